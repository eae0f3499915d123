//! What is known of a tensor, as JSON.

use crate::history::Attributes;
use crate::tensors::Located;
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::Handle;
use super::super::opening::{Cache, OpenMode};
use super::super::place::FactsFile;
use super::super::superblock::Superblock;
use super::interface::{Node, Xattr};

impl Node for FactsFile {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::File)
    }

    fn is_immutable(&self) -> bool {
        true
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        let attributes = Attributes { mode: 0o444, ..self.attributes };
        let len = shared.tensors.facts_text_len(self.at)?;
        Ok(Attr { len, ..Attr::of(ino, Kind::File, attributes, Lifetime::Immutable) })
    }

    fn open(&self, _: u64, shared: &Superblock, _: OpenMode) -> Result<(Handle, Cache)> {
        Ok((Handle::Generated(shared.tensors.facts_text(self.at)?.into()), Cache::Keep))
    }

    fn xattr(&self, shared: &Superblock, wanted: Xattr) -> Result<Option<String>> {
        tensor_xattr(shared, self.at, wanted)
    }
}

/// An extended attribute of a tensor.
pub(super) fn tensor_xattr(shared: &Superblock, at: Located, wanted: Xattr) -> Result<Option<String>> {
    let facts = shared.tensors.facts(at)?;
    Ok(match wanted {
        Xattr::Id => Some(facts.id),
        Xattr::Encoding => Some(facts.encoding.to_owned()),
        Xattr::Base => facts.base,
        Xattr::Stored => Some(facts.stored_bytes.to_string()),
        Xattr::Commit => None,
    })
}
