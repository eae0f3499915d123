//! Open files and directories: what the kernel's handle numbers stand for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::recipe::Recipe;
use crate::repo::{NodeAttributes, NodeId, Release, Tenant};

use super::errno::{Error, Result};
use super::place::Place;

/// Something open.
#[derive(Debug)]
pub(super) enum Handle {
    /// A file of a snapshot.
    Snapshot(Arc<Recipe>),
    /// A tensor as an `.npy` file.
    Array(OpenArray),
    /// A file made up when it was opened.
    Generated(Arc<[u8]>),
    /// `.coral/ctl`: what the last command said.
    Control(Mutex<Vec<u8>>),
    /// A file of a worktree.
    Worktree(OpenNode),
    /// A directory, listed when it was opened.
    Listing(Arc<[Listed]>),
}

/// An open tensor.
#[derive(Debug)]
pub(super) struct OpenArray {
    /// What stands before the payload.
    pub header: Vec<u8>,
    /// The file that the payload is in.
    pub recipe: Arc<Recipe>,
    /// Where in the file the payload begins.
    pub start: u64,
    /// Bytes of the payload.
    pub len: u64,
}

/// An open file of a worktree; closed when this is dropped.
#[derive(Debug)]
pub(super) struct OpenNode {
    pub worktree: Arc<Tenant>,
    pub node: NodeId,
    pub write: bool,
}

impl Drop for OpenNode {
    fn drop(&mut self) {
        // close(2) has reported what flush found; release(2) has nobody to report to. What failed here is found again
        // as an unfinished file by the next process that opens the worktree.
        let _ = self.worktree.release(self.node, self.write, Release::Complete);
    }
}

/// A name in an open directory.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub name: Vec<u8>,
    pub place: Arc<Place>,
    /// What is known already of a node of a worktree.
    pub known: Option<NodeAttributes>,
}

/// All that is open.
#[derive(Debug, Default)]
pub(super) struct Handles {
    open: RwLock<HashMap<u64, Arc<Handle>>>,
    last: AtomicU64,
}

impl Handles {
    /// Gives something a number that was never used before.
    pub fn insert(&self, handle: Handle) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(handle));
        number
    }

    /// What a number stands for.
    pub fn get(&self, number: u64) -> Result<Arc<Handle>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&number).cloned().ok_or(Error::BadHandle)
    }

    /// Closes; what is still being read lives until that is done.
    pub fn remove(&self, number: u64) {
        let closed = self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        // Closing may do I/O, so not under the lock.
        drop(closed);
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
