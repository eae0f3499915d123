//! What a node is: its attributes, the target of a link, and the extended attributes under `user.coral.`.

use std::sync::Arc;

use crate::history::Attributes;
use crate::units::Timestamp;
use crate::worktree;
use crate::worktree::{NodeAttributes, NodeId};

use super::attr::{Attr, Kind, Lifetime};
use super::core::{FOLDER_MODE, FileSystem};
use super::errno::{Error, Result};
use super::place::{Place, SnapshotDir};
use super::worktrees::{OpenWorktree, WorktreeNode};

/// The extended attributes that some nodes have.
const XATTRS: [Xattr; 5] = [Xattr::Commit, Xattr::Id, Xattr::Encoding, Xattr::Base, Xattr::Stored];

/// What can be asked of a node by getxattr(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Xattr {
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
    const fn name(self) -> &'static str {
        match self {
            Xattr::Commit => "user.coral.commit",
            Xattr::Id => "user.coral.id",
            Xattr::Encoding => "user.coral.encoding",
            Xattr::Base => "user.coral.base",
            Xattr::Stored => "user.coral.stored",
        }
    }
}

impl FileSystem {
    /// The attributes of a node.
    pub fn getattr(&self, ino: u64) -> Result<Attr> {
        let place = self.place(ino)?;
        self.attr_of(ino, &place, None)
    }

    /// The attributes of the node at a place; `known` saves asking the worktree.
    pub(super) fn attr_of(&self, ino: u64, place: &Place, known: Option<NodeAttributes>) -> Result<Attr> {
        let lifetime = match place {
            _ if place.is_immutable() => Lifetime::Immutable,
            Place::Control(_) => Lifetime::Moving,
            _ => Lifetime::Followed,
        };
        let (kind, attributes, len, stored) = match place {
            Place::Root
            | Place::Branches(_)
            | Place::Tags(_)
            | Place::Commits
            | Place::Dates
            | Place::Day(_)
            | Place::Tensors(_)
            | Place::ControlDir => (Kind::Dir, self.made_up(FOLDER_MODE), 0, 0),
            // Making a directory here makes a branch.
            Place::Worktrees(_) => (Kind::Dir, self.made_up(0o755), 0, 0),
            Place::Control(file) => (Kind::File, self.made_up(control_mode(*file)), 0, 0),
            Place::Link(target) => (Kind::Symlink, self.made_up(0o777), target.len() as u64, 0),
            Place::Dir(dir) => (Kind::Dir, dir.attributes, 0, 0),
            Place::TensorDir(SnapshotDir { attributes, .. }) => {
                (Kind::Dir, read_only(*attributes, 0o555), 0, 0)
            }
            Place::TensorFile(file) => (Kind::Dir, read_only(file.attributes, 0o555), 0, 0),
            Place::File { recipe, len, attributes } => {
                (Kind::File, *attributes, *len, self.stored_len(*recipe, *len))
            }
            Place::Symlink { target, attributes } => (Kind::Symlink, *attributes, target.len() as u64, 0),
            Place::Array(array) => {
                let (len, stored) = self.array_lens(array.at)?;
                (Kind::File, read_only(array.attributes, 0o444), len, stored)
            }
            Place::ArrayFacts(array) => {
                let len = self.array_facts(array.at)?.len() as u64;
                (Kind::File, read_only(array.attributes, 0o444), len, 0)
            }
            Place::Worktree(at) => {
                let known = match known {
                    Some(known) => known,
                    None => self.node_attributes(at)?,
                };
                return Ok(self.node_attr(ino, at, &known));
            }
        };
        let Attributes { mode, modified } = attributes;
        Ok(Attr { ino, kind, mode, len, stored, modified, changed: modified, linked: true, lifetime })
    }

    /// The root of a worktree that nobody looked into is not opened to be listed.
    fn node_attributes(&self, at: &WorktreeNode) -> Result<NodeAttributes> {
        if at.is_root() && self.find_worktree(at.branch()).is_none() {
            return Ok(NodeAttributes {
                kind: worktree::Kind::Dir,
                mode: 0o755,
                modified: self.started,
                len: 0,
                recipe: None,
                linked: true,
            });
        }
        self.within(at, |worktree| Ok(worktree.attributes(at.node())?))
    }

    fn node_attr(&self, ino: u64, at: &WorktreeNode, known: &NodeAttributes) -> Attr {
        let open = self.find_worktree(at.branch());
        let open = open.filter(|open| at.opening().is_none_or(|opening| opening == open.opening()));
        let stored = match known.recipe {
            Some(recipe) => self.stored_len(recipe, known.len),
            None => known.len,
        };
        Attr {
            ino,
            kind: kind(known.kind),
            mode: known.mode,
            len: known.len,
            stored,
            modified: known.modified,
            changed: open.and_then(|open| open.change_time(at.node())).unwrap_or(known.modified),
            linked: known.linked,
            lifetime: Lifetime::Shared,
        }
    }

    fn made_up(&self, mode: u32) -> Attributes {
        Attributes { mode, modified: self.started }
    }

    /// The target of a symbolic link.
    pub fn readlink(&self, ino: u64) -> Result<Vec<u8>> {
        match &*self.place(ino)? {
            Place::Link(target) => Ok(target.clone().into_bytes()),
            Place::Symlink { target, .. } => Ok(target.clone()),
            Place::Worktree(at) => self.within(at, |worktree| Ok(worktree.read_link(at.node())?)),
            _ => Err(Error::Invalid),
        }
    }

    /// The value of an extended attribute.
    pub fn getxattr(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>> {
        // Callers that hear "not supported" of a whole namespace stop asking it of every file.
        if !name.starts_with(b"user.") {
            return Err(Error::NotSupported);
        }
        let wanted = XATTRS.into_iter().find(|xattr| xattr.name().as_bytes() == name);
        let place = self.place(ino)?;
        wanted.and_then(|xattr| self.xattr(&place, xattr).transpose()).unwrap_or(Err(Error::NoAttribute))
    }

    /// The names of a node's extended attributes that a copy should carry: none. Those that there are tell of this node
    /// in this repository and would be untrue of the copy.
    pub fn listxattr(&self, ino: u64) -> Result<Vec<u8>> {
        self.place(ino).map(|_| Vec::new())
    }

    fn xattr(&self, place: &Place, xattr: Xattr) -> Result<Option<Vec<u8>>> {
        let text = match (place, xattr) {
            (Place::Dir(dir) | Place::TensorDir(dir), Xattr::Commit) => dir.commit.map(|id| id.to_string()),
            (Place::Dir(dir), Xattr::Id) => Some(dir.tree.to_string()),
            (Place::File { recipe, .. }, Xattr::Id) => Some(recipe.to_string()),
            (Place::File { recipe, len, .. }, Xattr::Stored) => {
                Some(self.stored_len(*recipe, *len).to_string())
            }
            (Place::Array(array) | Place::ArrayFacts(array), xattr) => {
                let facts = self.tensors.facts(array.at)?;
                match xattr {
                    Xattr::Id => Some(facts.id),
                    Xattr::Encoding => Some(facts.encoding.to_owned()),
                    Xattr::Base => facts.base,
                    Xattr::Stored => Some(facts.stored_bytes.to_string()),
                    Xattr::Commit => None,
                }
            }
            (Place::Worktree(at), Xattr::Commit) if at.is_root() => {
                self.within(at, |worktree| Ok(worktree.base()?))?.map(|id| id.to_string())
            }
            (Place::Worktree(at), Xattr::Id | Xattr::Stored) => {
                let known = self.node_attributes(at)?;
                known.recipe.map(|recipe| match xattr {
                    Xattr::Id => recipe.to_string(),
                    _ => self.stored_len(recipe, known.len).to_string(),
                })
            }
            _ => None,
        };
        Ok(text.map(String::into_bytes))
    }

    /// Changes the node behind an inode, if it may be changed.
    pub(super) fn writable<T>(
        &self,
        ino: u64,
        change: impl Fn(&Arc<OpenWorktree>, NodeId) -> Result<T>,
    ) -> Result<T> {
        match &*self.place(ino)? {
            Place::Worktree(at) => self.within(at, |worktree| change(worktree, at.node())),
            _ => Err(Error::ReadOnly),
        }
    }
}

fn control_mode(file: super::namespace::ControlFile) -> u32 {
    match file {
        super::namespace::ControlFile::Ctl => 0o600,
        super::namespace::ControlFile::Status
        | super::namespace::ControlFile::Log
        | super::namespace::ControlFile::Errors
        | super::namespace::ControlFile::Stats
        | super::namespace::ControlFile::Version
        | super::namespace::ControlFile::Repository
        | super::namespace::ControlFile::Worktree => 0o444,
    }
}

/// The time of something else with a mode of our own.
fn read_only(attributes: Attributes, mode: u32) -> Attributes {
    Attributes { mode, ..attributes }
}

pub(super) fn kind(kind: worktree::Kind) -> Kind {
    match kind {
        worktree::Kind::File => Kind::File,
        worktree::Kind::Dir => Kind::Dir,
        worktree::Kind::Symlink => Kind::Symlink,
    }
}

/// Seconds and nanoseconds that a caller set, or the time now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// The time of the call.
    Now,
    /// A time of the caller's.
    At(Timestamp),
}

/// What setattr(2)'s relatives change; `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Length in bytes.
    pub len: Option<u64>,
    /// Modification time.
    pub modified: Option<SetTime>,
}
