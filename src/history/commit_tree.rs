//! Making a commit of a tree: no worktree is needed, and no ref names it yet.
//!
//! Whoever makes one takes files into the store through an [`Ingest`], describes the tree as a draft, records both, and
//! swaps a ref to the result:
//!
//! ```text
//! let ingest = repo.store().begin()?;                       // files: repo.ingest(&ingest, ...)
//! let tree = draft.record(&ingest, &task)?;
//! let id = repo.commit_tree(ingest, &Commit { tree, parents, ... })?;
//! repo.refs().update_branch(&branch, old, id, &entry)?;     // the only commit point
//! ```

use super::commit::Commit;
use super::draft::DraftTree;
use super::error::{Error, Result};
use super::repository::Repo;
use super::tree::Tree;
use crate::id::{CommitId, TreeId};
use crate::store::{Durable, Ingest, Kind, StoreError};
use crate::task::Task;

impl DraftTree {
    /// Records the directories that the history does not have, and names its root. Durable when the ingest is
    /// sealed.
    ///
    /// # Errors
    /// [`Error::NotStored`] if a file of it is staged still; [`Error::Stopped`].
    pub fn record(self, ingest: &Ingest, task: &Task) -> Result<TreeId> {
        self.write(&|tree: Tree| {
            task.check()?;
            let encoding = tree.encode();
            let id = Tree::id_of(&encoding);
            ingest.put_meta(Kind::Tree, id.as_bytes(), &encoding)?;
            Ok(id)
        })
    }
}

impl Repo {
    /// Records a commit and seals what was taken in with it: when this returns, all of it survives a power cut, and a ref
    /// may name it.
    ///
    /// # Errors
    /// [`Error::MissingCommit`] if a parent is not there; nothing was sealed then.
    pub fn commit_tree(&self, ingest: Ingest, commit: &Commit) -> Result<Durable<CommitId>> {
        for &parent in &commit.parents {
            if self.store().info(parent.key())?.is_none() {
                return Err(Error::MissingCommit { name: "a parent".into(), commit: parent });
            }
        }
        let encoding = commit.encode();
        let id = Commit::id_of(&encoding);
        ingest.put_meta(Kind::Commit, id.as_bytes(), &encoding)?;
        let sealed = ingest.seal()?;
        Ok(sealed.vouch(id).ok_or(StoreError::NotFound { key: id.key() })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::CommitGraph;
    use crate::history::testing::{create, empty, open, who};
    use crate::history::{
        Attributes, BranchName, ChangeKind, DraftDir, DraftEntry, DraftNode, IngestFile, Intake, LogEntry,
        Name, Node,
    };
    use crate::units::Timestamp;

    fn repository() -> Repo {
        open(&create("main"))
    }

    fn entry(name: &str, node: DraftNode) -> DraftEntry {
        let attributes = Attributes { mode: 0o644, modified: Timestamp::EPOCH };
        DraftEntry { name: Name::new(name).unwrap(), attributes, node }
    }

    /// A commit of one file in a folder, and of whatever is in another commit's tree beside it.
    fn commit(repo: &Repo, bytes: &[u8], parents: Vec<CommitId>, seconds: i64) -> Durable<CommitId> {
        let ingest = repo.store().begin().unwrap();
        let (recipe, len) = {
            let task = Task::default();
            let intake = Intake::begin(&task, bytes.len() as u64);
            repo.ingest(&ingest, &bytes, &IngestFile::default(), &intake).unwrap()
        };
        let mut top = vec![entry("run", DraftNode::Dir(DraftDir::Changed(1)))];
        if let Some(parent) = parents.first() {
            let tree = repo.commit(*parent).unwrap().tree;
            top.insert(0, entry("before", DraftNode::Dir(DraftDir::Unchanged(tree))));
        }
        let run = vec![entry("w.bin", DraftNode::Known(Node::File { recipe, len }))];
        let draft = DraftTree::new(DraftDir::Changed(0), vec![top, run]);
        let tree = draft.record(&ingest, &Task::default()).unwrap();
        let commit = Commit { tree, ..empty(&parents, seconds) };
        repo.commit_tree(ingest, &commit).unwrap()
    }

    #[test]
    fn a_merge_is_committed_without_a_worktree() {
        let repo = repository();
        let (a, b) = (commit(&repo, b"one", vec![], 1), commit(&repo, b"two", vec![], 2));
        let merged = commit(&repo, b"three", vec![a.get(), b.get()], 3);
        let log = LogEntry { who: who(3), message: "merge".into() };
        let branch = BranchName::new("main").unwrap();
        repo.refs().update_branch(&branch, None, merged, &log).unwrap();
        assert_eq!(repo.commit(merged.get()).unwrap().parents, [a.get(), b.get()]);
        assert!(CommitGraph::of(&repo).is_ancestor(b.get(), merged.get()).unwrap());
        let tree = |id| repo.commit(id).unwrap().tree;
        let changes = repo.diff_trees(tree(a.get()), tree(merged.get())).unwrap();
        let told: Vec<_> = changes.iter().map(|change| (change.path.to_string(), change.kind)).collect();
        let expected = [("before/run/w.bin", ChangeKind::Added), ("run/w.bin", ChangeKind::Modified)];
        assert_eq!(told, expected.map(|(path, kind)| (path.to_owned(), kind)));
        // Both sides of what changed are told.
        assert!(changes[0].old.is_none() && changes[0].new.is_some());
        assert_ne!(changes[1].old, changes[1].new);
        assert!(changes[1].old.is_some() && changes[1].new.is_some());
    }

    #[test]
    fn a_commit_whose_parent_is_not_there_is_refused() {
        let repo = repository();
        let ingest = repo.store().begin().unwrap();
        let missing = CommitId::from_bytes([7; 32]);
        let commit = empty(&[missing], 1);
        let refused = repo.commit_tree(ingest, &commit).unwrap_err();
        assert!(matches!(refused, Error::MissingCommit { commit, .. } if commit == missing));
    }
}
