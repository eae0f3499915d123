//! How a store works: what whoever opens one may choose.

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
        }
    }
}
