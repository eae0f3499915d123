//! Packs in memory, for tests. Stricter than a disk: what is asked must have been planned.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::DiskError;
use crate::store::error::{Result, StoreError};

use super::range_source::{PackBytes, Wanted};

/// The bytes of a pack, and what was asked of them. Clones are the same pack.
#[derive(Clone)]
pub struct InMemory(Arc<Inside>);

struct Inside {
    bytes: Vec<u8>,
    calls: AtomicUsize,
    ranges: Mutex<Vec<std::ops::Range<u64>>>,
    fails: AtomicBool,
}

impl InMemory {
    pub fn new(bytes: Vec<u8>) -> Self {
        let (calls, ranges, fails) = (AtomicUsize::new(0), Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Inside { bytes, calls, ranges, fails }))
    }

    /// How often it was asked for ranges, since this was last called.
    pub fn take_calls(&self) -> usize {
        self.0.calls.swap(0, Ordering::SeqCst)
    }

    /// The ranges that were read, since this was last called.
    pub fn take_ranges(&self) -> Vec<std::ops::Range<u64>> {
        std::mem::take(&mut *self.0.ranges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, whether reading fails.
    pub fn fail(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }
}

fn refuse(kind: std::io::ErrorKind, why: &str) -> StoreError {
    let source = std::io::Error::new(kind, why.to_owned());
    DiskError { operation: "read", path: "memory".into(), source }.into()
}

impl PackBytes for InMemory {
    fn len(&self) -> u64 {
        self.0.bytes.len() as u64
    }

    fn read_ranges(&self, wanted: &mut [Wanted<'_>]) -> Result<()> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(refuse(std::io::ErrorKind::TimedOut, "it is told to fail"));
        }
        let mut end = 0;
        for Wanted { offset, buf } in wanted {
            let range = *offset..*offset + buf.len() as u64;
            // The head of a pack is nobody's, so that no range begins at 0 and touches what is before it.
            if buf.is_empty() || range.start <= end {
                return Err(refuse(std::io::ErrorKind::InvalidInput, "the ranges were not planned"));
            }
            end = range.end;
            let found = self.0.bytes.get(range.start as usize..range.end as usize);
            buf.copy_from_slice(
                found.ok_or_else(|| refuse(std::io::ErrorKind::UnexpectedEof, "it ends before"))?,
            );
            self.0.ranges.lock().unwrap_or_else(PoisonError::into_inner).push(range);
        }
        Ok(())
    }

    /// As if it were far away.
    fn frames_at_once(&self) -> usize {
        4
    }

    fn hold(&self) -> Result<Option<Arc<dyn PackBytes>>> {
        Ok(Some(Arc::new(self.clone())))
    }
}
