//! How files are opened, and what the kernel may keep of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::id::RecipeId;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenMode {
    /// For writing, maybe also for reading.
    pub write: bool,
    /// Empty it first.
    pub truncate: bool,
    /// Only if it does not exist yet.
    pub exclusive: bool,
    /// Whether emptying it takes from it what lets it run as somebody else.
    pub drops_privileges: bool,
    /// Whether it may be mapped so that the mapping writes to it: it is opened for reading and for writing.
    pub may_map: bool,
    /// The thread that opens it, as the kernel numbers them; 0 if it is not known.
    pub opener: u32,
}

/// What the kernel may do with the pages of a file that it read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Keep them: the content cannot have changed.
    Keep,
    /// Forget them and cache anew.
    Renew,
    /// Cache nothing: the content is made up for each reader.
    Bypass,
}

/// An open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub handle: u64,
    /// What the kernel may cache of it.
    pub cache: Cache,
    /// Whether closing a descriptor of it means something to us: who only reads has nothing to say.
    pub is_writer: bool,
}

/// Where to seek to, as in lseek(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// The next byte that is not in a hole.
    Data,
    /// The next hole; the end of the file is one.
    Hole,
}

/// The content whose pages the kernel has, by inode: where it is the same at the next opening, they are still good.
#[derive(Debug, Default)]
pub(super) struct CachedContent(Mutex<HashMap<u64, RecipeId>>);

impl CachedContent {
    /// Notes what is being read, and tells whether it is what was read before.
    pub fn renew(&self, ino: u64, content: Option<RecipeId>) -> Cache {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match content {
            Some(content) if cached.insert(ino, content) == Some(content) => Cache::Keep,
            Some(_) => Cache::Renew,
            None => {
                cached.remove(&ino);
                Cache::Renew
            }
        }
    }

    /// Notes that the content may change now, or that the kernel forgot the inode.
    pub fn forget(&self, ino: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&ino);
    }
}
