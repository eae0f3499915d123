//! What is asked of a node, and what one answers that has nothing to say.

use crate::worktree::{Given, NodeAttributes};

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::{Error, Result};
use super::super::handle::{Handle, Listing};
use super::super::opening::{Cache, OpenMode};
use super::super::snapshots::FOLDER_MODE;
use super::super::superblock::Superblock;
use super::super::workers::Lane;
use super::found::Found;

/// A kind of node. What a kind does not have is refused as POSIX refuses it.
pub trait Node {
    /// What it is; `None` if that is to be asked by [`Node::attr`].
    fn kind(&self) -> Option<Kind>;

    /// Whether nothing about it can ever change.
    fn is_immutable(&self) -> bool {
        false
    }

    /// Whether it has a number of its own under each name. The kernel allows a directory one place only, and some can be
    /// in several.
    fn is_numbered_by_name(&self) -> bool {
        false
    }

    /// Whether it can be opened for writing.
    fn takes_writing(&self) -> bool {
        false
    }

    /// For how long the names in it hold.
    fn names_lifetime(&self) -> Lifetime {
        match self.is_immutable() {
            true => Lifetime::Immutable,
            false => Lifetime::Followed,
        }
    }

    /// Its attributes under a number; `known` saves asking the worktree.
    fn attr(&self, ino: u64, shared: &Superblock, known: Option<NodeAttributes>) -> Result<Attr>;

    /// What a name in it stands for.
    fn child(&self, _shared: &Superblock, _name: &[u8]) -> Result<Option<Found>> {
        Err(Error::NotADirectory)
    }

    /// What is in it, sorted by name where that costs nothing.
    fn children(&self, _shared: &Superblock) -> Result<Listing> {
        Err(Error::NotADirectory)
    }

    /// Opens it as a file, known to the kernel by this number.
    fn open(&self, _ino: u64, _shared: &Superblock, _mode: OpenMode) -> Result<(Handle, Cache)> {
        Err(Error::Invalid)
    }

    /// The bytes of a file that is complete, as it is now.
    fn given(&self, _shared: &Superblock) -> Result<Option<Given>> {
        Ok(None)
    }

    /// The target of a symbolic link.
    fn read_link(&self, _shared: &Superblock) -> Result<Vec<u8>> {
        Err(Error::Invalid)
    }

    /// An extended attribute, if it has one.
    fn xattr(&self, _shared: &Superblock, _wanted: Xattr) -> Result<Option<String>> {
        Ok(None)
    }

    /// Where looking into it waits. Only what is in memory is looked at to tell.
    fn names_lane(&self, _shared: &Superblock) -> Lane {
        Lane::Look
    }

    /// Where changing the names in it waits.
    fn naming_lane(&self, _shared: &Superblock) -> Lane {
        Lane::Change
    }

    /// Where opening it as a file waits.
    fn open_lane(&self) -> Lane {
        Lane::Look
    }
}

/// The attributes of a directory that we made up.
pub(super) fn folder_attr(ino: u64, shared: &Superblock) -> Attr {
    Attr::of(ino, Kind::Dir, shared.made_up(FOLDER_MODE), Lifetime::Followed)
}

/// The extended attributes that some nodes have.
pub const XATTRS: [Xattr; 5] = [Xattr::Commit, Xattr::Id, Xattr::Encoding, Xattr::Base, Xattr::Stored];

/// What can be asked of a node by getxattr(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Xattr {
    /// The commit that a directory of a snapshot belongs to.
    Commit,
    /// The id of a tree, a file's recipe or a tensor's object.
    Id,
    /// How a tensor is encoded.
    Encoding,
    /// The object that a tensor is encoded against.
    Base,
    /// Bytes in the store.
    Stored,
}

impl Xattr {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Xattr::Commit => "user.coral.commit",
            Xattr::Id => "user.coral.id",
            Xattr::Encoding => "user.coral.encoding",
            Xattr::Base => "user.coral.base",
            Xattr::Stored => "user.coral.stored",
        }
    }
}
