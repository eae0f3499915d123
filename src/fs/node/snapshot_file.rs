//! A file of a snapshot.

use crate::worktree::{Given, NodeAttributes};

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::Handle;
use super::super::opening::{Cache, OpenMode};
use super::super::place::SnapshotFile;
use super::super::sizes::{self, Size};
use super::super::superblock::Superblock;
use super::interface::{Node, Xattr};

impl Node for SnapshotFile {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::File)
    }

    fn is_immutable(&self) -> bool {
        true
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        let attr = Attr::of(ino, Kind::File, self.attributes, Lifetime::Immutable);
        if sizes::is_small(self.len) {
            return Ok(Attr { len: self.len, stored: self.len, ..attr });
        }
        let size = self.size(shared);
        let lifetime = if size.may_shrink { Lifetime::Shared } else { Lifetime::Immutable };
        Ok(Attr { len: self.len, stored: size.bytes, lifetime, ..attr })
    }

    fn open(&self, _: u64, shared: &Superblock, _: OpenMode) -> Result<(Handle, Cache)> {
        Ok((Handle::Snapshot(shared.repo.reader(&shared.repo.recipe(self.recipe)?)), Cache::Keep))
    }

    fn given(&self, _: &Superblock) -> Result<Option<Given>> {
        Ok(Some(Given::Stored { recipe: self.recipe, len: self.len }))
    }

    fn xattr(&self, shared: &Superblock, wanted: Xattr) -> Result<Option<String>> {
        Ok(match wanted {
            Xattr::Id => Some(self.recipe.to_string()),
            Xattr::Stored => Some(self.size(shared).bytes.to_string()),
            Xattr::Commit | Xattr::Encoding | Xattr::Base => None,
        })
    }
}

impl SnapshotFile {
    fn size(&self, shared: &Superblock) -> Size {
        shared.sizes.of(&shared.repo, self.recipe, self.len)
    }
}
