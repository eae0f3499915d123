//! What a caller changes of a node's attributes.

use crate::units::Timestamp;

/// Seconds and nanoseconds that a caller set, or the time now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The time of the call.
    Now,
    /// A time of the caller's.
    At(Timestamp),
}

/// What setattr(2)'s relatives change; `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Length in bytes.
    pub len: Option<u64>,
    /// Modification time.
    pub modified: Option<SetTime>,
    /// Time of access, which is remembered while the mount lives.
    pub accessed: Option<SetTime>,
    /// Whether the file loses what would let others run it as somebody else, as when a stranger writes to it.
    pub drops_privileges: bool,
}

/// Permission bits without the one that lets a file run as its owner, and without the one that lets it run as its group
/// if the group may run it: without that it has another meaning, as chmod(2) says.
pub(super) fn without_privileges(mode: u32) -> u32 {
    let group = match mode & libc::S_IXGRP {
        0 => 0,
        _ => libc::S_ISGID,
    };
    mode & !(libc::S_ISUID | group)
}
