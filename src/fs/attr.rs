//! What `stat` tells of a node, and for how long the kernel may believe it.

use std::time::Duration;

use crate::history::Attributes;
use crate::units::Timestamp;

/// The kinds of nodes that Coral shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
}

/// The attributes of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// The inode number.
    pub ino: u64,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Length in bytes: of the content, or of a link's target.
    pub len: u64,
    /// Bytes that it takes on the disk: encoded objects, or the staging file.
    pub stored: u64,
    /// When the content last changed.
    pub modified: Timestamp,
    /// When it was last read, if somebody said so; else when its content last changed: reading is not noted.
    pub accessed: Timestamp,
    /// When anything about it last changed, as far as this mount knows.
    pub changed: Timestamp,
    /// Whether a name leads to it; an open file may have lost its name.
    pub linked: bool,
    /// For how long the kernel may answer from its own memory.
    pub lifetime: Lifetime,
}

impl Attr {
    /// Of a node without bytes that has never changed since.
    pub(super) fn of(
        ino: u64,
        kind: Kind,
        Attributes { mode, modified }: Attributes,
        lifetime: Lifetime,
    ) -> Self {
        Self {
            ino,
            kind,
            mode,
            len: 0,
            stored: 0,
            modified,
            accessed: modified,
            changed: modified,
            linked: true,
            lifetime,
        }
    }

    /// Of a node of which nothing but its kind can be told now.
    pub(super) fn unknown(ino: u64, kind: Kind) -> Self {
        let nothing = Attributes { mode: 0, modified: Timestamp::EPOCH };
        Self::of(ino, kind, nothing, Lifetime::Moving)
    }
}

/// For how long a name or an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// For ever: content and place are immutable.
    Immutable,
    /// A writable tree: other processes may change it, and the daemon tells the kernel when it sees that.
    Shared,
    /// What a ref leads to: remembered for a moment, since paths go through it again and again. The daemon tells the
    /// kernel when a ref moves.
    Followed,
    /// Asked again each time: generated files.
    Moving,
}

impl Lifetime {
    /// The time that the kernel is given.
    pub const fn duration(self) -> Duration {
        match self {
            // A year: the kernel adds it to a counter of jiffies, so the largest number would overflow.
            Lifetime::Immutable => Duration::from_secs(365 * 24 * 3600),
            Lifetime::Shared | Lifetime::Followed => Duration::from_secs(1),
            Lifetime::Moving => Duration::ZERO,
        }
    }
}
