//! What is known of a tensor, as JSON.

use crate::history::Attributes;
use crate::tensors::{Facts, Located};
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::{Error, Result};
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
        let len = shown_len(shared, self.at)? as u64;
        Ok(Attr { len, ..Attr::of(ino, Kind::File, attributes, Lifetime::Immutable) })
    }

    fn open(&self, _: u64, shared: &Superblock, _: OpenMode) -> Result<(Handle, Cache)> {
        Ok((Handle::Generated(text(shared, self.at)?.into()), Cache::Keep))
    }

    fn xattr(&self, shared: &Superblock, wanted: Xattr) -> Result<Option<String>> {
        tensor_xattr(shared, self.at, wanted)
    }
}

/// What is known of a tensor. It ends in as many spaces as make its length one that can be told without looking the object
/// up.
fn text(shared: &Superblock, at: Located) -> Result<Vec<u8>> {
    let mut text = json(&shared.tensors.facts(at)?)?;
    text.resize(text.len().max(shown_len(shared, at)? - 1), b' ');
    text.push(b'\n');
    Ok(text)
}

/// The length of the text: what only the store knows is taken to be as long as it can be.
fn shown_len(shared: &Superblock, at: Located) -> Result<usize> {
    Ok(json(&shared.tensors.widest_facts(at)?)?.len() + 1)
}

fn json(facts: &Facts) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(facts).map_err(|_| Error::Invalid)
}

/// An extended attribute of a tensor.
pub(super) fn tensor_xattr(shared: &Superblock, at: Located, wanted: Xattr) -> Result<Option<String>> {
    let facts = shared.tensors.facts(at)?;
    Ok(match wanted {
        Xattr::Id => facts.id,
        Xattr::Encoding => Some(facts.encoding.to_owned()),
        Xattr::Base => facts.base,
        Xattr::Stored => Some(facts.stored_bytes.to_string()),
        Xattr::Commit => None,
    })
}
