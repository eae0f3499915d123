//! The file system without FUSE: plain arguments in, attributes, bytes or a typed error out.
//!
//! Here is what looks; what changes names is in `change.rs`, what has to do with bytes in `io.rs`. Every request is safe to
//! make from any number of threads; none holds a lock while it decodes, reads a disk or waits.

use std::fmt;
use std::sync::Arc;

use crate::history::Repo;
use crate::worktree;

use super::attr::{Attr, Kind, Lifetime};
use super::errno::{Error, Result};
use super::handle::{Handle, Listed, Listing, OpenDir};
use super::inode::ROOT;
use super::namespace::Top;
use super::node::{Found, Node, XATTRS, node};
use super::numbers::{self, found_as, remember};
use super::place::Place;
use super::settings::{Settings, View};
use super::superblock::Superblock;

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// A node, and for how long its name leads to it.
    Found(Attr, Lifetime),
    /// Nothing, for this long.
    Missing(Lifetime),
}

/// The file system of one mount.
pub struct FileSystem {
    pub(super) shared: Superblock,
}

impl fmt::Debug for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSystem").field("repo", &self.shared.repo).finish_non_exhaustive()
    }
}

impl FileSystem {
    /// The file system that shows a repository.
    ///
    /// # Errors
    /// If the view names a revision, folder or branch that does not exist.
    pub fn new(repo: Repo, settings: Settings) -> Result<Self> {
        let shared = Superblock::new(repo, settings)?;
        if let View::Worktree(branch) = &shared.view {
            shared.worktrees.open(branch)?;
        }
        Ok(Self { shared })
    }

    /// The repository that is shown.
    pub fn repo(&self) -> &Repo {
        &self.shared.repo
    }

    /// The node that a name in a directory leads to, counted as known to the kernel.
    pub fn lookup(&self, parent: u64, name: &[u8]) -> Result<Lookup> {
        let shared = &self.shared;
        let place = shared.place(parent)?;
        let directory = node(&place);
        let (found, entry) = match hidden(shared, parent, name) {
            Some(hidden) => (Some(Found::from(hidden)), Lifetime::Immutable),
            None => (shared.worktrees.explain(directory.child(shared, name))?, directory.names_lifetime()),
        };
        let Some(Found { place, known, worktree }) = found else {
            return Ok(Lookup::Missing(match directory.is_immutable() {
                true => Lifetime::Immutable,
                false => Lifetime::Moving,
            }));
        };
        // Only which immutable tree a name leads to moves. A directory that stays must not be taken from those who work in
        // it: the kernel would no longer know its path.
        let moves = entry == Lifetime::Followed && node(&place).is_immutable();
        let attr = remember(shared, parent, name, Arc::new(place), known)?;
        // The kernel knows the node now, and that keeps the worktree.
        drop(worktree);
        if moves {
            shared.moving_names.note(parent, name, shared.now());
        }
        Ok(Lookup::Found(attr, entry))
    }

    /// Looks up a name of a listing, as [`FileSystem::lookup`] would; `None` if it is gone. What is damaged has a number
    /// and a kind, and is looked at again, and found damaged, by who wants to know more.
    pub(super) fn lookup_listed(&self, parent: u64, entry: &Listed) -> Result<Option<(Attr, Lifetime)>> {
        let shared = &self.shared;
        match remember(shared, parent, &entry.name, Arc::clone(&entry.place), entry.known) {
            Ok(attr) => Ok(Some((attr, listed_lifetime(node(&*shared.place(parent)?))))),
            Err(Error::Worktree(worktree::Error::Stale)) => Ok(None),
            Err(_) => {
                let identity = found_as(Arc::clone(&entry.place), parent, &entry.name);
                let ino = shared.inodes.remember(identity, parent, &entry.name);
                Ok(Some((Attr::unknown(ino, entry.kind()), Lifetime::Moving)))
            }
        }
    }

    /// Takes back look-ups of a number that the kernel forgot.
    pub fn forget(&self, ino: u64, lookups: u64) {
        numbers::forget(&self.shared, ino, lookups);
    }

    /// The attributes of a node.
    pub fn getattr(&self, ino: u64) -> Result<Attr> {
        node(&*self.shared.place(ino)?).attr(ino, &self.shared, None)
    }

    /// The target of a symbolic link.
    pub fn readlink(&self, ino: u64) -> Result<Vec<u8>> {
        node(&*self.shared.place(ino)?).read_link(&self.shared)
    }

    /// The value of an extended attribute.
    pub fn getxattr(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        // Callers that hear "not supported" of a whole namespace stop asking it of every file.
        if !name.starts_with(b"user.") {
            return Err(Error::NotSupported);
        }
        let wanted = XATTRS.into_iter().find(|xattr| xattr.name().as_bytes() == name);
        let place = self.shared.place(ino)?;
        let value = match wanted {
            Some(wanted) => node(&place).xattr(&self.shared, wanted)?,
            None => None,
        };
        value.map(String::into_bytes).ok_or(Error::NoAttribute)
    }

    /// The names of a node's extended attributes that a copy should carry: none. Those that there are tell of this node
    /// in this repository and would be untrue of the copy.
    pub fn listxattr(&self, ino: u64) -> Result<Vec<u8>> {
        self.shared.place(ino).map(|_| Vec::new())
    }

    /// Opens a directory. The result tells whether the kernel may cache the names.
    pub fn open_dir(&self, ino: u64) -> Result<(u64, bool)> {
        let place = self.shared.place(ino)?;
        let kind = match node(&place).kind() {
            Some(kind) => kind,
            None => self.getattr(ino)?.kind,
        };
        match kind {
            Kind::Dir => {
                let is_immutable = node(&place).is_immutable();
                Ok((self.shared.handles.insert(Handle::Listing(OpenDir::new(place))), is_immutable))
            }
            Kind::File | Kind::Symlink => Err(Error::NotADirectory),
        }
    }

    /// The names in an open directory from a position on: those that were there when reading began at position 0.
    pub(super) fn listing(&self, handle: u64, position: u64) -> Result<Listing> {
        match &*self.shared.handles.get(handle)? {
            Handle::Listing(dir) => dir
                .listing(position, || self.shared.worktrees.explain(node(&dir.place).children(&self.shared))),
            _ => Err(Error::BadHandle),
        }
    }
}

/// A mount of a single tree has `.coral/` too, so that commands find the repository from inside, but does not list it.
fn hidden(shared: &Superblock, parent: u64, name: &[u8]) -> Option<Place> {
    let single = matches!(shared.view, View::Snapshot { .. } | View::Worktree(_));
    (single && parent == ROOT && name == Top::Control.name().as_bytes()).then_some(Place::ControlDir)
}

/// For how long a name from a listing holds: the list may be older than the last move of a ref.
fn listed_lifetime(parent: &dyn Node) -> Lifetime {
    match parent.names_lifetime() {
        Lifetime::Followed => Lifetime::Moving,
        other => other,
    }
}
