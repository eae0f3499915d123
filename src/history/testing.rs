//! What tests of history begin with: a repository on a simulated disk, and commits that say little.

use super::commit::{Commit, Signature};
use super::ref_name::BranchName;
use super::repository::{Options, Repo};
use super::tree::Tree;
use crate::disk::{Disk, SimulatedDisk};
use crate::id::CommitId;
use crate::store::Durable;
use crate::units::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(super) const ROOT: &str = "/repo/.coral";

/// The repository of a disk, as a new process sees it.
pub(super) fn open(disk: &SimulatedDisk) -> Repo {
    Repo::open(Arc::new(disk.clone()), Path::new(ROOT), Options::default()).expect("open")
}

/// A disk with a repository whose HEAD names a branch that has no commit.
pub(super) fn create(branch: &str) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new("/repo")).expect("create");
    disk.sync_dir(Path::new("/")).expect("sync");
    let branch = BranchName::new(branch).expect("valid");
    Repo::create(Arc::new(disk.clone()), Path::new(ROOT), &branch).expect("create");
    disk
}

/// Somebody, at an instant.
pub(super) fn who(seconds: i64) -> Signature {
    let time = Timestamp { seconds, nanoseconds: 0 };
    Signature { name: "Ada".into(), email: String::new(), time, offset_minutes: 0 }
}

/// What a commit of an empty tree is.
pub(super) fn empty(parents: &[CommitId], seconds: i64) -> Commit {
    Commit {
        tree: Tree::empty_id(),
        parents: parents.to_vec(),
        author: who(seconds),
        committer: who(seconds),
        message: String::new(),
        metadata: BTreeMap::new(),
    }
}

/// A durable commit of an empty tree.
pub(super) fn commit(repo: &Repo, parents: &[CommitId], seconds: i64) -> Durable<CommitId> {
    repo.commit_tree(repo.store().begin().expect("begin"), &empty(parents, seconds)).expect("commit")
}
