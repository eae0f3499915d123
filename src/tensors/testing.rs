//! What tests of tensors begin with.

use crate::disk::{Disk, SimulatedDisk};
use crate::history::{BranchName, Options, Repo};
use std::path::Path;
use std::sync::Arc;

/// An empty repository on a disk of its own.
pub(super) fn repository() -> Repo {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
    disk.create_dir_all(Path::new("/r")).expect("create");
    let main = BranchName::new("main").expect("valid");
    Repo::create(Arc::clone(&disk), Path::new("/r/.coral"), &main).expect("create");
    Repo::open(disk, Path::new("/r/.coral"), Options::default()).expect("open")
}
