//! The proof that something will survive a power cut.

use crate::id::{CommitId, ObjectKey, RecipeId, TreeId};

/// A name whose object lies in a sealed, synced pack. Only sealing a transaction or finding the object in a sealed
/// pack makes one, so whoever takes a `Durable` cannot be handed an object that a crash would lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Durable<T>(T);

impl<T: Copy> Durable<T> {
    pub(super) fn vouched(name: T) -> Self {
        Self(name)
    }

    /// The name.
    pub fn get(self) -> T {
        self.0
    }
}

/// What names an object in the store.
pub trait ObjectName: Copy {
    /// The key that the object lies under.
    fn object_key(self) -> ObjectKey;
}

impl ObjectName for ObjectKey {
    fn object_key(self) -> ObjectKey {
        self
    }
}

macro_rules! named_by_key {
    ($($id:ident),*) => {$(
        impl ObjectName for $id {
            fn object_key(self) -> ObjectKey {
                self.key()
            }
        }
    )*};
}
named_by_key!(RecipeId, TreeId, CommitId);
