//! How somebody wants an object to be stored, where that is not as the repository is set up.

use crate::codec::Level;
use crate::id::ObjectKey;

/// How an object is stored; nothing said, as the store is set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Treatment {
    /// How much time to spend for a smaller store.
    pub level: Option<Level>,
    /// Whether it must stand for itself, and be no difference to anything.
    pub no_delta: bool,
    /// What it is a difference to before anything else, if that saves something: told when a store is written anew.
    pub base: Option<ObjectKey>,
}

impl Treatment {
    /// Whether nothing is said.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}
