//! The plain files beside a repository: they are not its working copy, and where they differ from the worktree somebody may
//! want to know.

use super::error::Result;
use super::ignored::Ignored;
use super::workspace::Workspace;
use crate::history::{DraftDir, DraftNode, Node, TreePath};
use crate::worktree::{Snapshot, Worktree};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that are looked at, at most: it is a hint, and must not take long.
const LOOKED_AT: usize = 10_000;
/// Files of so many bytes and fewer whose times alone differ are read, to see whether they do.
const READ_MAX: u64 = 1 << 20;

/// What lies around a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Around {
    /// Files that the worktree has with other content.
    pub changed: Vec<TreePath>,
    /// How many the worktree does not have.
    pub new: usize,
}

/// Plain files around a repository.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a>(&'a Workspace);

impl Workspace {
    /// Plain files around a repository.
    pub fn beside(&self) -> Beside<'_> {
        Beside(self)
    }
}

impl Beside<'_> {
    /// How the plain files around the repository differ from a worktree. Of very many only some are looked at.
    ///
    /// # Errors
    /// If the worktree cannot be read. What cannot be looked at outside of it is passed over.
    pub fn around(&self, worktree: &Worktree, snapshot: &Snapshot) -> Result<Around> {
        let mut found = Around::default();
        if self.0.inside.is_some() {
            return Ok(found);
        }
        let mut known: HashSet<TreePath> = HashSet::new();
        let mut dirs: Vec<(TreePath, DraftDir)> = vec![(TreePath::ROOT, snapshot.tree.root)];
        let mut left = LOOKED_AT;
        while let Some((at, dir)) = dirs.pop() {
            // Where there is no such folder there is nothing to look at.
            if !self.outside(&at).is_dir() {
                continue;
            }
            for entry in snapshot.tree.entries(dir, &self.0.repo)? {
                let path = at.join(entry.name.clone());
                known.insert(path.clone());
                match &entry.node {
                    DraftNode::Dir(below) => dirs.push((path, *below)),
                    DraftNode::Known(Node::File { .. }) | DraftNode::Staged { .. } if left > 0 => {
                        left -= 1;
                        if self.differs(worktree, &path, &entry)? {
                            found.changed.push(path);
                        }
                    }
                    DraftNode::Known(_) | DraftNode::Staged { .. } => {}
                }
            }
        }
        found.changed.sort();
        found.new = self.count_new(&known, left);
        Ok(found)
    }

    /// What adding the repository's folder leaves out because a rule says so, sorted; of a folder that is left out with all that is
    /// in it only its own name. Of very many only some are looked at.
    pub fn ignored(&self) -> Vec<TreePath> {
        let ignored = Ignored::below(&self.0.folder);
        let mut folders = vec![(self.0.folder.clone(), TreePath::ROOT)];
        let (mut found, mut left) = (Vec::new(), LOOKED_AT);
        while let Some((folder, at)) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if left == 0 {
                    break;
                }
                left -= 1;
                let Ok(name) = crate::history::Name::new(entry.file_name().as_bytes()) else { continue };
                let (path, Ok(kind)) = (at.join(name), entry.file_type()) else { continue };
                match ignored.reason(&entry.path(), kind.is_dir()) {
                    Some(_) => found.push(path),
                    None if kind.is_dir() && self.is_of_this_disk(&entry.path()) => {
                        folders.push((entry.path(), path));
                    }
                    None => {}
                }
            }
        }
        found.sort();
        found
    }

    /// Whether a folder is no other repository's, and no mount of this one: another disk may be that.
    fn is_of_this_disk(&self, folder: &Path) -> bool {
        let disk = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        !folder.join(super::FOLDER).exists() && disk(folder) == disk(&self.0.folder)
    }

    /// The path on the disk that a path of the worktree is added from.
    pub fn outside(&self, path: &TreePath) -> PathBuf {
        self.0.folder.join(OsStr::from_bytes(&path.to_bytes()))
    }

    fn differs(
        &self,
        worktree: &Worktree,
        path: &TreePath,
        entry: &crate::history::DraftEntry,
    ) -> Result<bool> {
        let outside = self.outside(path);
        let Ok(metadata) = fs::symlink_metadata(&outside) else { return Ok(false) };
        if !metadata.is_file() {
            return Ok(false);
        }
        let modified = entry.attributes.modified;
        let same_time =
            (metadata.mtime(), metadata.mtime_nsec() as u32) == (modified.seconds, modified.nanoseconds);
        match metadata.len() == entry.node.len() {
            false => Ok(true),
            true if same_time => Ok(false),
            true if metadata.len() > READ_MAX => Ok(true),
            true => {
                let Ok(bytes) = fs::read(&outside) else { return Ok(false) };
                let content = worktree.content(&entry.node)?;
                Ok(content.is_none_or(|content| content.recipe().blake3() != blake3::hash(&bytes).as_bytes()))
            }
        }
    }

    /// How many files there are that the worktree does not have and that adding the folder would take.
    fn count_new(&self, known: &HashSet<TreePath>, most: usize) -> usize {
        let ignored = Ignored::below(&self.0.folder);
        let mut folders = vec![(self.0.folder.clone(), TreePath::ROOT)];
        let (mut new, mut left) = (0, most);
        while let Some((folder, at)) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if left == 0 {
                    return new;
                }
                left -= 1;
                let Ok(name) = crate::history::Name::new(entry.file_name().as_bytes()) else { continue };
                let (path, Ok(kind)) = (at.join(name), entry.file_type()) else { continue };
                if ignored.reason(&entry.path(), kind.is_dir()).is_some() {
                    continue;
                }
                match kind.is_dir() {
                    true if self.is_of_this_disk(&entry.path()) => folders.push((entry.path(), path)),
                    true => {}
                    false => new += usize::from(kind.is_file() && !known.contains(&path)),
                }
            }
        }
        new
    }
}
