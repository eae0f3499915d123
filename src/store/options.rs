//! How a store works: what whoever opens one may choose.

use std::fmt;
use std::sync::Arc;

use crate::codec::{DeltaType, Level};

/// How a store works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of decoded frames that are kept for later reads.
    pub cache_bytes: usize,
    /// How much time coding may take, unless a transaction says otherwise.
    pub level: Level,
    /// How differences are coded.
    pub delta_type: DeltaType,
    /// No object is stored as a difference to one that is itself this many bases deep.
    pub max_depth: u8,
    /// Threads that hash, code, decode and compare, with the one that asks for it; 0 for as many as the machine runs at
    /// once.
    pub threads: usize,
    /// Writing stops while fewer bytes than this are left on the disk, so that the rest of the system still works.
    pub reserve_bytes: u64,
    /// Bytes of memory for anchors, by which known content is found in other bytes; 0 to look for none.
    pub anchor_bytes: usize,
    /// Whether something may be written that programs of versions before cannot read.
    pub consent: Consent,
}

/// Who is asked before the first record is written that programs of versions before cannot read. Nobody: it may be.
#[derive(Clone, Default)]
pub struct Consent(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Consent {
    /// Who says whether it may be, and then has seen to it that such programs refuse the store, durably.
    pub fn of(asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(asked)))
    }

    /// Whether it may be.
    pub(super) fn is_given(&self) -> bool {
        self.0.as_ref().is_none_or(|asked| asked())
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consent").field(&self.0.is_some()).finish()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            level: Level::Default,
            delta_type: DeltaType::default(),
            max_depth: 8,
            threads: 0,
            reserve_bytes: 16 << 20,
            anchor_bytes: 64 << 20,
            consent: Consent::default(),
        }
    }
}
