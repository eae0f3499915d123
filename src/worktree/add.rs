//! Plain files and directories into a worktree, without a mount.

use super::attributes::PathAttributes;
use super::edit_plan::Edit;
use super::edits::Edits;
use super::error::{Error, Result};
use crate::history::{
    self, Attributes, Entry, IngestFile, Intake, MODE_MASK, Name, Node, PathError, PlainFile, Tree, TreePath,
    at, open_file,
};
use crate::id::TreeId;
use crate::store::Ingest;
use crate::task::{Meter, Task, Unit};
use crate::units::Timestamp;
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file or directory to take in, and where it goes.
#[derive(Debug, Clone)]
pub struct ToAdd {
    /// Where it is on the user's disk.
    pub from: PathBuf,
    /// Where it goes in the worktree.
    pub to: TreePath,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Where it is in the worktree.
    pub path: TreePath,
    /// Length in bytes; 0 for directories and links.
    pub len: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addition {
    /// What was taken in.
    pub added: Vec<Added>,
    /// What lay in directories and was left out.
    pub skipped: Vec<Skipped>,
}

/// Something in a directory that no history records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is on the user's disk.
    pub path: PathBuf,
    /// Why.
    pub why: SkipReason,
}

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A socket, pipe or device.
    NoFile,
    /// Its name is that of a repository's own folder to some file system.
    ReservedName,
}

/// Where nothing is taken from: the repository's own folder, and its history seen through a mount.
#[derive(Debug, Clone, Default)]
pub struct Fence {
    /// The numbers of the devices that mounts of this repository are.
    pub mounts: Vec<u64>,
    /// Files in such mounts that may be taken all the same: single files of the history.
    pub history: HashSet<PathBuf>,
    /// What is left out of folders besides; what is named itself is taken.
    pub ignores: Option<Arc<dyn Ignores>>,
}

/// What is left out of folders that are added.
pub trait Ignores: fmt::Debug + Send + Sync {
    /// Whether this path is, which lies in no folder that is.
    fn ignores(&self, path: &Path, is_dir: bool) -> bool;
}

/// One thing that was found on the user's disk.
struct Found {
    from: PathBuf,
    to: TreePath,
    metadata: Metadata,
}

/// Finds what there is to take in.
struct Search<'a> {
    fence: &'a Fence,
    /// Device and number of the repository's own folder.
    own_folder: Option<(u64, u64)>,
    found: Vec<Found>,
    skipped: Vec<Skipped>,
}

impl Edits<'_> {
    /// Takes files, links and directories with everything in them into the worktree. Their bytes are in the store before
    /// the first name appears, and all is durable when this returns. Directories of repositories (`.coral`) are passed
    /// over.
    ///
    /// # Errors
    /// [`KeepsChanging`](history::Error::KeepsChanging) if a file changes while it is read; [`Stopped`](history::Error::Stopped); [`UnsupportedFile`](history::Error::UnsupportedFile) for a socket, pipe or
    /// device that is named itself; [`Error::OwnStore`] and [`Error::OwnMount`] for what lies behind the fence. After any
    /// error the worktree is as it was.
    pub fn add(&self, what: &[ToAdd], fence: &Fence, now: Timestamp, task: &Task) -> Result<Addition> {
        match self.try_add(what, fence, now, task) {
            Err(error) if error.is_full() && self.worktree.repo().plain().give_way() => {
                self.try_add(what, fence, now, task)
            }
            done => done,
        }
    }

    fn try_add(&self, what: &[ToAdd], fence: &Fence, now: Timestamp, task: &Task) -> Result<Addition> {
        let repo = self.worktree.repo();
        let own_folder = fs::metadata(repo.root()).ok().map(|folder| (folder.dev(), folder.ino()));
        let mut search = Search { fence, own_folder, found: Vec::new(), skipped: Vec::new() };
        let looked_at = task.begin("looking for files", Unit::Files, None);
        what.iter().try_for_each(|item| search.run(item, task, &*looked_at))?;
        drop(looked_at);
        let Search { found, skipped, .. } = search;
        let parent = repo.tree_of(repo.refs().branch(self.worktree.branch())?)?;
        let ingest = repo.store().begin()?;
        let files = found.iter().filter(|item| item.metadata.is_file());
        let intake = Intake::begin(task, files.map(|item| item.metadata.len()).sum());
        // What is said by files that come along holds from the next time on.
        let snapshot = self.worktree.snapshot(false)?;
        let said = PathAttributes::of(self.worktree, &snapshot.tree);
        let take_in = |item: &Found| self.take_in(&ingest, item, parent, &said, &intake);
        let nodes: Vec<Node> = repo.store().threads().try_map(found.iter(), take_in)?;
        task.check()?;
        ingest.seal()?;
        let mut added = Vec::with_capacity(found.len());
        let mut edits = Vec::with_capacity(found.len());
        for (item, node) in found.iter().zip(nodes) {
            let len = if let Node::File { len, .. } = node { len } else { 0 };
            added.push(Added { path: item.to.clone(), len });
            let (path, attributes) = (item.to.clone(), attributes(&item.metadata));
            edits.push(Edit::Put { path, attributes, node, replaces_dirs: false });
        }
        self.make(edits, now)?;
        Ok(Addition { added, skipped })
    }

    fn take_in(
        &self,
        ingest: &Ingest,
        item: &Found,
        parent: TreeId,
        attributes: &PathAttributes<'_>,
        intake: &Intake<'_>,
    ) -> Result<Node> {
        let kind = item.metadata.file_type();
        if kind.is_dir() {
            return Ok(Node::Dir(Tree::empty_id()));
        }
        if kind.is_symlink() {
            let target = fs::read_link(&item.from).map_err(at("read the link", &item.from))?;
            return Ok(Node::Symlink(target.as_os_str().as_bytes().to_vec()));
        }
        // A link that took the place of the file meanwhile is not followed.
        let (file, before) = open_file(&item.from, libc::O_NOFOLLOW)?;
        let source = PlainFile { file: &file, len: before.len() };
        let said = attributes.at(&item.to)?;
        let known = self.worktree.repo().find_in_tree(parent, &item.to)?;
        let parent = match (attributes.base_of(&said, &item.to)?, known) {
            (Some(base), _) => Some(base),
            (None, Some(Entry { node: Node::File { recipe, .. }, .. })) => Some(recipe),
            (None, _) => None,
        };
        let treatment = said.treatment();
        let shown_as = item.from.display().to_string();
        let (recipe, len) = self.worktree.repo().ingest(
            ingest,
            &source,
            &IngestFile { shown_as, parent, treatment, in_place: None, made: Vec::new() },
            intake,
        )?;
        let after = file.metadata().map_err(at("look at", &item.from))?;
        if (after.len(), after.mtime(), after.mtime_nsec())
            != (before.len(), before.mtime(), before.mtime_nsec())
        {
            return Err(history::Error::KeepsChanging(item.from.clone()).into());
        }
        Ok(Node::File { recipe, len })
    }
}

impl Search<'_> {
    /// Lists a path and everything below it, directories before what is in them.
    fn run(&mut self, item: &ToAdd, task: &Task, looked_at: &dyn Meter) -> Result<()> {
        self.check_ancestors(&item.from)?;
        let metadata = fs::symlink_metadata(&item.from).map_err(at("look at", &item.from))?;
        let kind = metadata.file_type();
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
            return Err(history::Error::UnsupportedFile(item.from.clone()).into());
        }
        let mut found = vec![Found { from: item.from.clone(), to: item.to.clone(), metadata }];
        while let Some(next) = found.pop() {
            task.check()?;
            looked_at.advance(1);
            self.check(&next)?;
            if next.metadata.is_dir() {
                found.extend(self.inside(&next)?.into_iter().rev());
            }
            if !next.to.is_root() {
                self.found.push(next);
            }
        }
        Ok(())
    }

    /// Refuses what lies in the repository's own folder.
    fn check_ancestors(&self, from: &Path) -> Result<()> {
        // A link counts where it lies. What cannot be looked at is told of when it is itself looked at.
        let Some(Ok(around)) = from.parent().map(Path::canonicalize) else { return Ok(()) };
        let own = around.ancestors().any(|folder| {
            fs::metadata(folder).is_ok_and(|folder| self.own_folder == Some((folder.dev(), folder.ino())))
        });
        if own { Err(Error::OwnStore(from.to_owned())) } else { Ok(()) }
    }

    /// Refuses what lies behind the fence, also if it was bound to where it is.
    fn check(&self, found: &Found) -> Result<()> {
        let Found { from, metadata, .. } = found;
        if metadata.is_dir() && self.own_folder == Some((metadata.dev(), metadata.ino())) {
            return Err(Error::OwnStore(from.clone()));
        }
        match self.fence.mounts.contains(&metadata.dev()) && !self.fence.history.contains(from) {
            true => Err(Error::OwnMount(from.clone())),
            false => Ok(()),
        }
    }

    /// What is in a directory and can be recorded, sorted by name.
    fn inside(&mut self, dir: &Found) -> Result<Vec<Found>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir.from).map_err(at("list", &dir.from))? {
            names.push(entry.map_err(at("list", &dir.from))?.file_name());
        }
        names.sort();
        let mut inside = Vec::with_capacity(names.len());
        for name in names.iter().filter(|name| *name != ".coral") {
            let from = dir.from.join(name);
            let name = match Name::new(name.as_bytes()) {
                Err(PathError::Reserved(_)) => {
                    self.skipped.push(Skipped { path: from, why: SkipReason::ReservedName });
                    continue;
                }
                name => name?,
            };
            let metadata = fs::symlink_metadata(&from).map_err(at("look at", &from))?;
            let kind = metadata.file_type();
            if self.fence.ignores.as_ref().is_some_and(|ignores| ignores.ignores(&from, kind.is_dir())) {
                continue;
            }
            if kind.is_file() || kind.is_dir() || kind.is_symlink() {
                inside.push(Found { to: dir.to.child(name)?, from, metadata });
            } else {
                self.skipped.push(Skipped { path: from, why: SkipReason::NoFile });
            }
        }
        Ok(inside)
    }
}

fn attributes(metadata: &Metadata) -> Attributes {
    let modified = Timestamp { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() as u32 };
    Attributes { mode: metadata.mode() & MODE_MASK, modified }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_takes_the_place_of_a_file_is_neither_waited_for_nor_read() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "bytes").expect("write");
        assert!(open_file(&at("file"), libc::O_NOFOLLOW).is_ok());
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo");
        assert!(made.success());
        assert!(matches!(open_file(&at("pipe"), 0), Err(history::Error::UnsupportedFile(_))));
        assert!(matches!(open_file(folder.path(), 0), Err(history::Error::UnsupportedFile(_))));
        let _socket = UnixListener::bind(at("socket")).expect("bind");
        assert!(matches!(open_file(&at("socket"), 0), Err(history::Error::Disk(_))));
        symlink("file", at("link")).expect("link");
        assert!(matches!(open_file(&at("link"), libc::O_NOFOLLOW), Err(history::Error::Disk(_))));
        assert!(open_file(&at("link"), 0).is_ok());
    }
}
