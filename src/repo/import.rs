//! Plain files and directories into a worktree, without a mount.

use super::error::{Error, Result};
use super::export::at;
use super::ingest::IngestFile;
use super::path::{Name, TreePath};
use super::tree::{Attributes, Entry, MODE_MASK, Node, Tree};
use super::worktree::Worktree;
use crate::id::TreeId;
use crate::store::{Ingest, Source, SourceError};
use crate::units::Timestamp;
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

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

/// One thing that was found on the user's disk.
struct Found {
    from: PathBuf,
    to: TreePath,
    metadata: Metadata,
}

impl Worktree {
    /// Takes files, links and directories with everything in them into the worktree. Their bytes are in the store,
    /// durably, before the first name appears. Directories of repositories (`.coral`) are passed over.
    ///
    /// # Errors
    /// [`Error::KeepsChanging`] if a file changes while it is read; [`Error::UnsupportedFile`] for sockets, pipes and
    /// devices. After an error in reading, the worktree is as it was.
    pub fn add(&self, what: &[ToAdd], now: Timestamp) -> Result<Vec<Added>> {
        let mut found = Vec::new();
        for item in what {
            find(&item.from, &item.to, &mut found)?;
        }
        let repo = self.repo();
        let parent = match repo.refs().branch(self.branch())? {
            Some(tip) => repo.commit(tip)?.tree,
            None => Tree::empty_id(),
        };
        let ingest = repo.store().begin()?;
        let take_in = |item: &Found| self.take_in(&ingest, item, parent);
        let nodes: Vec<Node> = repo.store().threads().try_map(found.iter(), take_in)?;
        ingest.seal()?;
        let mut added = Vec::with_capacity(found.len());
        for (item, node) in found.iter().zip(nodes) {
            let len = if let Node::File { len, .. } = node { len } else { 0 };
            self.put(&item.to, attributes(&item.metadata), node, now)?;
            added.push(Added { path: item.to.clone(), len });
        }
        Ok(added)
    }

    fn take_in(&self, ingest: &Ingest, item: &Found, parent: TreeId) -> Result<Node> {
        let kind = item.metadata.file_type();
        if kind.is_dir() {
            return Ok(Node::Dir(Tree::empty_id()));
        }
        if kind.is_symlink() {
            let target = fs::read_link(&item.from).map_err(at("read the link", &item.from))?;
            return Ok(Node::Symlink(target.as_os_str().as_bytes().to_vec()));
        }
        let file = File::open(&item.from).map_err(at("open", &item.from))?;
        let before = file.metadata().map_err(at("look at", &item.from))?;
        let source = PlainFile { file: &file, len: before.len() };
        let parent = match self.repo().find_in_tree(parent, &item.to)? {
            Some(Entry { node: Node::File { recipe, .. }, .. }) => Some(recipe),
            _ => None,
        };
        let shown_as = item.from.display().to_string();
        let (recipe, len) = self.repo().ingest(ingest, &source, &IngestFile { shown_as, parent })?;
        let after = file.metadata().map_err(at("look at", &item.from))?;
        if (after.len(), after.mtime(), after.mtime_nsec())
            != (before.len(), before.mtime(), before.mtime_nsec())
        {
            return Err(Error::KeepsChanging(item.from.clone()));
        }
        Ok(Node::File { recipe, len })
    }
}

/// Lists a path and everything below it, directories before what is in them.
fn find(from: &Path, to: &TreePath, found: &mut Vec<Found>) -> Result<()> {
    let metadata = fs::symlink_metadata(from).map_err(at("look at", from))?;
    let kind = metadata.file_type();
    if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
        return Err(Error::UnsupportedFile(from.to_owned()));
    }
    if !to.is_root() {
        found.push(Found { from: from.to_owned(), to: to.clone(), metadata });
    }
    if kind.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(at("list", from))? {
            names.push(entry.map_err(at("list", from))?.file_name());
        }
        names.sort();
        for name in names.iter().filter(|name| *name != ".coral") {
            find(&from.join(name), &to.join(Name::new(name.as_bytes())?), found)?;
        }
    }
    Ok(())
}

fn attributes(metadata: &Metadata) -> Attributes {
    let modified = Timestamp { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() as u32 };
    Attributes { mode: metadata.mode() & MODE_MASK, modified }
}

/// A file on the user's disk at the length it had when it was opened.
pub(super) struct PlainFile<'a> {
    pub file: &'a File,
    pub len: u64,
}

impl Source for PlainFile<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}
