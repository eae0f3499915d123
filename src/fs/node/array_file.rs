//! A tensor as an `.npy` file.

use crate::history::Attributes;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::Handle;
use super::super::opening::{Cache, OpenMode};
use super::super::place::ArrayFile;
use super::super::sizes;
use super::super::superblock::Superblock;
use super::facts_file::tensor_xattr;
use super::interface::{Node, Xattr};

impl Node for ArrayFile {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::File)
    }

    fn is_immutable(&self) -> bool {
        true
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        let attributes = Attributes { mode: 0o444, ..self.attributes };
        let len = shared.tensors.array_len(self.at, self.lens)?;
        let known = (!sizes::is_small(len)).then(|| shared.tensors.stored_len(self.at));
        let stored = known.and_then(std::result::Result::ok).unwrap_or(len);
        Ok(Attr { len, stored, ..Attr::of(ino, Kind::File, attributes, Lifetime::Immutable) })
    }

    fn open(&self, _: u64, shared: &Superblock, _: OpenMode) -> Result<(Handle, Cache)> {
        Ok((Handle::Array(shared.tensors.open(self.at, self.lens)?), Cache::Keep))
    }

    fn xattr(&self, shared: &Superblock, wanted: Xattr) -> Result<Option<String>> {
        tensor_xattr(shared, self.at, wanted)
    }
}
