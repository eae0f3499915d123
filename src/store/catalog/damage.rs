//! Packs that cannot be used.

use std::path::PathBuf;

/// A pack that cannot be used. It costs what it alone holds, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What does not add up, or why it cannot be read.
    pub what: String,
    /// Which of the two.
    pub cause: DamageCause,
}

/// Why a pack cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageCause {
    /// Its bytes are not those of a pack.
    Malformed,
    /// Its bytes cannot be read: that may pass.
    Unreadable,
}
