//! What became of files whose writers, or whose daemon, or whose machine ended before all was known of them.

use crate::history::TreePath;

/// A file whose last bytes may not have reached the disk before the machine stopped or the disk went away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interrupted {
    /// The file.
    pub path: TreePath,
    /// What it is now.
    pub now: Fallback,
}

/// What became of a file whose last bytes are in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fallback {
    /// It is the last version that was durable; the newer bytes are in `quarantine/`.
    LastDurable,
    /// It has what arrived and does not count as complete: there was no version before.
    Incomplete,
    /// It is as in the last commit, or gone if that has none: nothing of it arrived.
    AsCommitted,
    /// It counts as complete, because its writer closed it, and was not seen to write again.
    Closed,
}

impl Fallback {
    /// What happened to the file, as the end of a sentence that it begins.
    pub fn told(self) -> &'static str {
        match self {
            Fallback::LastDurable => {
                "was not yet on the disk when the machine stopped or the disk went away: it is the last version that was; \
                 the newer bytes are in quarantine/"
            }
            Fallback::Incomplete => {
                "was not yet on the disk when the machine stopped or the disk went away: it has what arrived, and does not \
                 count as complete"
            }
            Fallback::AsCommitted => {
                "was not yet on the disk when the machine stopped or the disk went away: it is as in the last commit, or gone"
            }
            Fallback::Closed => {
                "was closed just before the process of its mount was killed: it counts as complete, by the word of who wrote it"
            }
        }
    }
}
