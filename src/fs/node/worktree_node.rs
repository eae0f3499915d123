//! A node of a worktree: what it is, the worktree tells.

use std::sync::Arc;

use crate::history::{Attributes, Name};
use crate::worktree::{self, Given, NodeAttributes};

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::{Handle, Listed, Listing};
use super::super::opening::{Cache, OpenMode};
use super::super::place::Place;
use super::super::sizes;
use super::super::superblock::Superblock;
use super::super::workers::Lane;
use super::super::worktrees::{WorktreeNode, drop_privileges, with_room};
use super::found::{Found, tree_name};
use super::interface::{Node, Xattr};

impl Node for WorktreeNode {
    fn kind(&self) -> Option<Kind> {
        None
    }

    fn takes_writing(&self) -> bool {
        true
    }

    fn names_lifetime(&self) -> Lifetime {
        Lifetime::Shared
    }

    fn attr(&self, ino: u64, shared: &Superblock, known: Option<NodeAttributes>) -> Result<Attr> {
        let known = match known {
            Some(known) => known,
            None => attributes(self, shared)?,
        };
        let open = shared.worktrees.find(self.branch());
        let open = open.filter(|open| self.opening().is_none_or(|opening| opening == open.opening()));
        let while_lent = open.as_ref().and_then(|open| open.lending().changed(self.node()));
        let times = open.and_then(|open| open.times(self.node()));
        let shown = Attributes { mode: known.mode, modified: known.modified };
        Ok(Attr {
            len: known.len,
            stored: self.takes(shared, &known),
            changed: times.map_or(known.modified, |times| times.changed).max(while_lent.unwrap_or_default()),
            accessed: times.and_then(|times| times.accessed).unwrap_or(known.modified),
            linked: known.linked,
            ..Attr::of(ino, kind(known.kind), shown, Lifetime::Shared)
        })
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let Some(name) = tree_name(name)? else { return Ok(None) };
        shared.worktrees.within(self, |worktree| {
            let found = worktree.names().lookup(self.node(), &name)?;
            Ok(found.map(|(node, known)| Found {
                place: Place::Worktree(WorktreeNode::new(worktree, node)),
                known: Some(known),
                worktree: Some(Arc::clone(worktree)),
            }))
        })
    }

    /// With the worktree that gives the nodes their numbers.
    fn children(&self, shared: &Superblock) -> Result<Listing> {
        shared.worktrees.within(self, |worktree| {
            let entries = worktree.names().entries(self.node())?;
            let list = entries.into_iter().map(|(name, node, known): (Name, _, NodeAttributes)| Listed {
                name: name.as_bytes().to_vec(),
                kind: kind(known.kind),
                place: Arc::new(Place::Worktree(WorktreeNode::new(worktree, node))),
                known: Some(known),
            });
            let names: Vec<Listed> = list.collect();
            Ok(Listing { names: Arc::new(names), _worktree: Some(Arc::clone(worktree)) })
        })
    }

    fn open(&self, ino: u64, shared: &Superblock, mode: OpenMode) -> Result<(Handle, Cache)> {
        let write = mode.write || mode.truncate;
        let open = shared.worktrees.within(self, |worktree| {
            worktree.open_file(self.node(), write)?;
            // From here on, dropping it closes the file.
            Ok(shared.opened(worktree, self.node(), mode, mode.truncate))
        })?;
        if mode.truncate {
            open.act(|worktree, node| {
                with_room(worktree, || worktree.set_len(node, 0, shared.now()))?;
                if mode.drops_privileges { drop_privileges(worktree, node) } else { Ok(()) }
            })?;
            shared.note_changes(&open.worktree, [self.node()]);
        }
        let cache = match write {
            true => {
                shared.cached_content.forget(ino);
                Cache::Renew
            }
            false => {
                let content = open.worktree.names().attributes(self.node())?.recipe;
                shared.cached_content.renew(ino, content)
            }
        };
        Ok((Handle::Worktree(open), cache))
    }

    fn given(&self, shared: &Superblock) -> Result<Option<Given>> {
        shared.worktrees.within(self, |worktree| Ok(worktree.giving().given(self.node())?))
    }

    fn read_link(&self, shared: &Superblock) -> Result<Vec<u8>> {
        shared.worktrees.within(self, |worktree| Ok(worktree.names().read_link(self.node())?))
    }

    fn xattr(&self, shared: &Superblock, wanted: Xattr) -> Result<Option<String>> {
        Ok(match wanted {
            Xattr::Commit if self.is_root() => {
                shared.worktrees.within(self, |worktree| Ok(worktree.base()?))?.map(|id| id.to_string())
            }
            Xattr::Id => attributes(self, shared)?.recipe.map(|recipe| recipe.to_string()),
            Xattr::Stored => stored(shared, &attributes(self, shared)?).map(|stored| stored.to_string()),
            Xattr::Commit | Xattr::Encoding | Xattr::Base => None,
        })
    }

    fn names_lane(&self, shared: &Superblock) -> Lane {
        match shared.worktrees.find(self.branch()) {
            Some(_) => Lane::Look,
            None => Lane::Open,
        }
    }

    fn naming_lane(&self, shared: &Superblock) -> Lane {
        match shared.worktrees.find(self.branch()) {
            Some(_) => Lane::Change,
            None => Lane::Open,
        }
    }

    fn open_lane(&self) -> Lane {
        Lane::Change
    }
}

impl WorktreeNode {
    /// Bytes that it takes: in the store, or while it waits on the disk.
    fn takes(&self, shared: &Superblock, known: &NodeAttributes) -> u64 {
        if known.kind != worktree::Kind::File || sizes::is_small(known.len) {
            return known.len;
        }
        // What cannot be told does not keep anybody from looking.
        let waiting = || shared.worktrees.within(self, |open| Ok(open.names().allocated(self.node())?));
        stored(shared, known).or_else(|| waiting().ok().flatten()).unwrap_or(known.len)
    }
}

/// The root of a worktree that nobody looked into is not opened to be listed.
fn attributes(at: &WorktreeNode, shared: &Superblock) -> Result<NodeAttributes> {
    if at.is_root() && shared.worktrees.find(at.branch()).is_none() {
        return Ok(NodeAttributes {
            kind: worktree::Kind::Dir,
            mode: 0o755,
            modified: shared.started,
            len: 0,
            recipe: None,
            linked: true,
        });
    }
    shared.worktrees.within(at, |worktree| Ok(worktree.names().attributes(at.node())?))
}

/// What a node takes in the store, if it is stored.
fn stored(shared: &Superblock, known: &NodeAttributes) -> Option<u64> {
    known.recipe.map(|recipe| shared.sizes.of(&shared.repo, recipe, known.len).bytes)
}

const fn kind(kind: worktree::Kind) -> Kind {
    match kind {
        worktree::Kind::File => Kind::File,
        worktree::Kind::Dir => Kind::Dir,
        worktree::Kind::Symlink => Kind::Symlink,
    }
}
