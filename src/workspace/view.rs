//! One tree that somebody looks at, of a commit or of a worktree, and what is at a path or behind a name in it.

use super::error::{Error, Result};
use super::workspace::Workspace;
use crate::history::{
    self, BranchName, Change, DraftDir, DraftEntry, DraftNode, DraftTree, FileContent, Node, Repo, Side,
    Target, Tree, TreePath, nearest_path,
};
use crate::id::{CommitId, TreeId};
use crate::worktree::{Snapshot, Worktree};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A tree, whole as it was when it was opened.
#[derive(Debug)]
pub struct View {
    repo: Repo,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Of no commit is a tree by itself.
    Commit {
        id: Option<CommitId>,
        shown_as: String,
        tree: DraftTree,
    },
    Worktree {
        worktree: Box<Worktree>,
        snapshot: Box<Snapshot>,
    },
}

/// Something in a tree.
#[derive(Debug)]
pub struct Located {
    /// The tree.
    pub view: View,
    /// Where in it.
    pub path: TreePath,
    /// What is there.
    pub entry: DraftEntry,
    /// The tensors of that file that are meant, perhaps with `*` and `?`; `None` for the file itself.
    pub tensor: Option<String>,
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Commit { shown_as, .. } => f.write_str(shown_as),
            What::Worktree { worktree, .. } => write!(f, "the worktree of {}", worktree.branch()),
        }
    }
}

/// What revisions and paths of a repository show.
#[derive(Debug, Clone, Copy)]
pub struct Views<'a>(pub(super) &'a Workspace);

impl Workspace {
    /// What revisions and paths of a repository show.
    pub fn views(&self) -> Views<'_> {
        Views(self)
    }
}

impl Views<'_> {
    /// The tree of a revision.
    ///
    /// # Errors
    /// As [`Repo::resolve`].
    pub fn view(&self, revision: &str) -> Result<View> {
        let id = self.0.repo.resolve(revision, self.0.now())?;
        self.view_of(id, revision)
    }

    /// The tree of a commit; `shown_as` is what to call it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn view_of(&self, id: CommitId, shown_as: &str) -> Result<View> {
        let tree = DraftTree::of(self.0.repo.commit(id)?.tree);
        let what = What::Commit { id: Some(id), shown_as: shown_as.to_owned(), tree };
        Ok(View { repo: self.0.repo.clone(), what })
    }

    /// The tree before the first commit.
    pub fn view_nothing(&self) -> View {
        self.view_tree(Tree::empty_id(), "nothing")
    }

    /// A tree of the history; `shown_as` is what to call it.
    pub fn view_tree(&self, tree: TreeId, shown_as: &str) -> View {
        let (tree, shown_as) = (DraftTree::of(tree), shown_as.to_owned());
        View { repo: self.0.repo.clone(), what: What::Commit { id: None, shown_as, tree } }
    }

    /// The worktree of a branch as a commit would take it now.
    ///
    /// # Errors
    /// As [`Workspace::worktree`].
    pub fn view_worktree(&self, branch: &BranchName) -> Result<View> {
        let worktree = Box::new(self.0.worktree(branch)?.worktree);
        let snapshot = Box::new(worktree.snapshot(false)?);
        Ok(View { repo: self.0.repo.clone(), what: What::Worktree { worktree, snapshot } })
    }

    /// What `REF`, `REF:path`, `:path` or `REF:path#tensor` means. Paths that begin with `./` or `../` count from where
    /// somebody stands.
    ///
    /// # Errors
    /// As [`Repo::resolve`]; [`UnknownPath`](history::Error::UnknownPath) with the nearest one that exists.
    pub fn locate(&self, text: impl AsRef<[u8]>) -> Result<Located> {
        let text = text.as_ref();
        let unknown = || {
            let text = String::from_utf8_lossy(text).into_owned();
            Error::from(history::Error::UnknownRevision { text, nearest: None })
        };
        let Target { side, path } = Target::parse(text).ok_or_else(unknown)?;
        let view = match side {
            Side::Revision(revision) => self.view(&revision)?,
            Side::Worktree => self.view_worktree(&self.0.branch(None)?)?,
        };
        self.locate_in(view, &path.unwrap_or_default())
    }

    /// What is at a path of the worktree that was typed as paths on the disk are.
    ///
    /// # Errors
    /// As [`Paths::tree_path`](super::Paths::tree_path) and [`Views::locate`].
    pub fn locate_typed(&self, typed: &Path) -> Result<Located> {
        let path = self.0.paths().tree_path(typed)?;
        let view = self.view_worktree(&self.0.branch(None)?)?;
        match view.find(&path)? {
            Some(entry) => Ok(Located { view, path, entry, tensor: None }),
            None => Err(view.unknown(&path)?.into()),
        }
    }

    fn locate_in(&self, view: View, said: &[u8]) -> Result<Located> {
        let path = self.path_in_tree(said)?;
        if let Some(entry) = view.find(&path)? {
            return Ok(Located { view, path, entry, tensor: None });
        }
        // The names of files may have the sign as well.
        for at in (0..said.len()).filter(|&at| said[at] == b'#') {
            let file = self.path_in_tree(&said[..at])?;
            let Some(entry) = view.find(&file)? else { continue };
            if let (true, Ok(tensor)) = (entry.node.is_file(), std::str::from_utf8(&said[at + 1..])) {
                let tensor = Some(tensor.to_owned());
                return Ok(Located { view, path: file, entry, tensor });
            }
        }
        Err(view.unknown(&path)?.into())
    }

    /// A path as it stands behind a colon.
    fn path_in_tree(&self, said: &[u8]) -> Result<TreePath> {
        let is_relative = matches!(said, b"." | b"..") || said.starts_with(b"./") || said.starts_with(b"../");
        if !is_relative {
            return Ok(TreePath::parse(said)?);
        }
        self.0.paths().below(&self.0.paths().here(), Path::new(OsStr::from_bytes(said)))
    }
}

impl Located {
    /// The directory that was found as a tree of its own, in which paths begin there.
    ///
    /// # Errors
    /// What was found, if it is no directory.
    pub fn into_dir(self) -> std::result::Result<View, Box<Self>> {
        let DraftNode::Dir(dir) = self.entry.node else { return Err(Box::new(self)) };
        let View { repo, mut what } = self.view;
        match &mut what {
            What::Commit { id, shown_as, tree } => {
                tree.root = dir;
                *id = None;
                if !self.path.is_root() {
                    *shown_as = format!("{shown_as}:{}", self.path);
                }
            }
            What::Worktree { snapshot, .. } => snapshot.tree.root = dir,
        }
        Ok(View { repo, what })
    }
}

impl View {
    /// The repository that it is in.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The commit; `None` for a worktree.
    pub fn commit(&self) -> Option<CommitId> {
        match &self.what {
            What::Commit { id, .. } => *id,
            What::Worktree { .. } => None,
        }
    }

    /// The directories.
    pub fn tree(&self) -> &DraftTree {
        match &self.what {
            What::Commit { tree, .. } => tree,
            What::Worktree { snapshot, .. } => &snapshot.tree,
        }
    }

    /// What differs from this tree to another one, sorted by path; `None` if this is a worktree, which nothing is compared
    /// from.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub(super) fn changes_between(&self, new: &View) -> Result<Option<Vec<Change>>> {
        let old = match (&self.what, self.tree().root) {
            (What::Commit { .. }, DraftDir::Unchanged(tree)) => tree,
            (What::Commit { .. }, DraftDir::Changed(_)) | (What::Worktree { .. }, _) => return Ok(None),
        };
        Ok(Some(match &new.what {
            What::Commit { tree, .. } => self.repo.diff(old, tree, &|_, _| Ok(false))?,
            What::Worktree { worktree, snapshot } => snapshot.diff_from(old, worktree)?,
        }))
    }

    /// What is at a path.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn find(&self, path: &TreePath) -> Result<Option<DraftEntry>> {
        let Some(mut entry) = self.tree().find(path, &self.repo)? else { return Ok(None) };
        if let (true, What::Commit { id: Some(id), .. }) = (path.is_root(), &self.what) {
            // Nothing records when a whole tree changed but the commit.
            entry.attributes.modified = self.repo.commit(*id)?.committer.time;
        }
        Ok(Some(entry))
    }

    /// What is in a directory, sorted by name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn entries(&self, dir: DraftDir) -> Result<Vec<DraftEntry>> {
        Ok(self.tree().entries(dir, &self.repo)?)
    }

    /// Everything below a directory, each directory before what is in it.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn all_below(&self, dir: DraftDir) -> Result<Vec<(TreePath, DraftEntry)>> {
        let mut found = Vec::new();
        let mut left: Vec<(TreePath, DraftEntry)> = self.in_reverse(dir, &TreePath::ROOT)?;
        while let Some((path, entry)) = left.pop() {
            if let DraftNode::Dir(dir) = entry.node {
                left.extend(self.in_reverse(dir, &path)?);
            }
            found.push((path, entry));
        }
        Ok(found)
    }

    fn in_reverse(&self, dir: DraftDir, at: &TreePath) -> Result<Vec<(TreePath, DraftEntry)>> {
        let entries = self.entries(dir)?.into_iter().rev();
        Ok(entries.map(|entry| (at.join(entry.name.clone()), entry)).collect())
    }

    /// What a file is made of; `None` for what is no file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn content(&self, node: &DraftNode) -> Result<Option<FileContent>> {
        match (&self.what, node) {
            (What::Worktree { worktree, .. }, node) => Ok(worktree.content(node)?),
            (What::Commit { .. }, DraftNode::Known(Node::File { recipe, .. })) => {
                Ok(Some(FileContent::of(&self.repo, *recipe)?))
            }
            (What::Commit { .. }, _) => Ok(None),
        }
    }

    fn unknown(&self, path: &TreePath) -> Result<history::Error> {
        let nearest = match &self.what {
            What::Commit { tree: DraftTree { root: DraftDir::Unchanged(tree), .. }, .. } => {
                nearest_path(&self.repo, *tree, path)?
            }
            What::Commit { .. } => None,
            What::Worktree { snapshot, .. } => {
                nearest_path(&self.repo, self.repo.tree_of(snapshot.base)?, path)?
            }
        };
        let place = match &self.what {
            What::Commit { .. } => format!("`{self}`"),
            What::Worktree { .. } => self.to_string(),
        };
        Ok(history::Error::UnknownPath { path: path.clone(), place, nearest })
    }
}
