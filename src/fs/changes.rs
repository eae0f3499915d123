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
}
