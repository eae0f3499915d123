//! Folders and stores that are removed in the end.

use coral::disk::RealDisk;
use coral::id::ObjectKey;
use coral::store::{ObjectInfo, Options, Store};
use coral::tensor::Dtype;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder to work in.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let parent = std::env::var_os("CORAL_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        Self(tempfile::Builder::new().prefix("coral-bench-").tempdir_in(parent).expect("a folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A new store in a folder of its own.
    pub fn store(&self) -> Scratch {
        let root = tempfile::tempdir_in(self.path()).expect("a folder can be made");
        Store::create(&RealDisk, root.path()).expect("a store can be made");
        Scratch { store: open(root.path()), root }
    }
}

fn open(root: &Path) -> Store {
    Store::open(Arc::new(RealDisk), root, Options::default()).expect("it can be opened")
}

/// A store in a folder that is removed with it.
pub struct Scratch {
    pub store: Store,
    root: tempfile::TempDir,
}

impl Scratch {
    /// The same store opened anew, with nothing in its caches.
    pub fn reopened(&self) -> Store {
        open(self.root.path())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Stores a tensor durably.
    pub fn put(&self, dtype: Dtype, bytes: &[u8], bases: &[ObjectKey]) -> ObjectKey {
        let ingest = self.store.begin().expect("there is room");
        let key = ingest.put(dtype, &bytes, bases).expect("it can be stored").key;
        ingest.seal().expect("it can be sealed");
        key
    }

    pub fn info(&self, key: ObjectKey) -> ObjectInfo {
        self.store.info(key).expect("it is readable").expect("it is there")
    }

    /// Raw bytes over stored bytes.
    pub fn ratio(&self, key: ObjectKey) -> f64 {
        let info = self.info(key);
        info.len as f64 / info.stored_len as f64
    }
}
