//! The top directories of snapshots: what a branch, a tag, a commit or a view's revision leads to.

use crate::history::{self, Attributes, BranchName, Head, Name, Node, Repo, TagName, Tree};
use crate::id::CommitId;
use crate::units::Timestamp;

use super::errno::{Error, Result};
use super::path_key::PathKey;
use super::place::{Place, SnapshotDir};
use super::settings::View;
use super::worktrees::WorktreeNode;

/// The mode of directories that we made up.
pub(super) const FOLDER_MODE: u32 = 0o555;

/// The top directory of a commit.
pub(super) fn commit_dir(repo: &Repo, id: CommitId) -> Result<SnapshotDir> {
    let commit = repo.commit(id)?;
    let attributes = Attributes { mode: 0o755, modified: commit.committer.time };
    Ok(SnapshotDir { tree: commit.tree, attributes, commit: Some(id), at: PathKey::top(Some(id)) })
}

/// The top directory of a branch: empty, and as old as the mount, if it is the current one and has no commit yet.
pub(super) fn branch_dir(repo: &Repo, started: Timestamp, name: &BranchName) -> Result<Option<SnapshotDir>> {
    match repo.refs().branch(name)? {
        Some(commit) => commit_dir(repo, commit).map(Some),
        None if repo.refs().head()? == Head::Branch(name.clone()) => Ok(Some(SnapshotDir {
            tree: Tree::empty_id(),
            attributes: Attributes { mode: FOLDER_MODE, modified: started },
            commit: None,
            at: PathKey::top(None),
        })),
        None => Ok(None),
    }
}

/// The top directory of a tag's commit.
pub(super) fn tag_dir(repo: &Repo, name: &TagName) -> Result<Option<SnapshotDir>> {
    repo.refs().tag(name)?.map(|tag| commit_dir(repo, tag.commit)).transpose()
}

/// The commit that a text means; `None` if it means none.
pub(super) fn revision(repo: &Repo, text: &[u8], now: Timestamp) -> Result<Option<CommitId>> {
    use history::Error as E;
    let Ok(text) = str::from_utf8(text) else { return Ok(None) };
    match repo.resolve(text, now) {
        Ok(id) => Ok(Some(id)),
        Err(
            E::UnknownRevision { .. }
            | E::AmbiguousPrefix { .. }
            | E::TooShort { .. }
            | E::TooFar { .. }
            | E::UnknownTime(_)
            | E::DetachedHead(_)
            | E::Unborn(_)
            | E::RefName(_),
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What stands at inode 1.
pub(super) fn root_place(repo: &Repo, view: &View, now: Timestamp) -> Result<Place> {
    match view {
        View::All => Ok(Place::Root),
        View::Worktree(branch) => Ok(Place::Worktree(WorktreeNode::root(branch.clone()))),
        View::Snapshot { revision, folder } => {
            let mut dir = commit_dir(repo, repo.resolve(revision, now)?)?;
            for name in folder.split('/').filter(|name| !name.is_empty()) {
                dir = child_dir(repo, &dir, &Name::new(name)?)?;
            }
            Ok(Place::Dir(dir))
        }
    }
}

fn child_dir(repo: &Repo, dir: &SnapshotDir, name: &Name) -> Result<SnapshotDir> {
    let tree = repo.tree(dir.tree)?;
    let entry = tree.find(name).ok_or(Error::NoEntry)?;
    match entry.node {
        Node::Dir(tree) => Ok(dir.inner(tree, entry)),
        Node::File { .. } | Node::Symlink(_) => Err(Error::NotADirectory),
    }
}
