//! How a model is cut into files, and what each is called and says of itself.

use super::error::Result;
use super::layout::{Layout, Sayings};
use super::origin::Origin;
use super::plan::{Container, Plan, Planned, Wish};
use crate::format::gguf::Pair;
use crate::format::safetensors;
use crate::tensor::{Block, Dtype, Element};
use std::collections::BTreeMap;
use std::ops::Range;

/// A file that is to be written.
pub(super) struct Shard {
    /// Its name.
    pub name: String,
    pub layout: Layout,
    /// Which of the tensors are in it.
    pub tensors: Range<usize>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Bytes of it.
    pub len: u64,
    /// Tensors in it.
    pub tensors: usize,
}

/// The version of ggml's quantised blocks.
const QUANTISATION: u32 = 2;

/// The files of a plan, of which the only one would be called `name`; the index of several last.
///
/// # Errors
/// [`Error::TooLarge`](super::Error::TooLarge).
pub(super) fn shards(wish: &Wish, plan: &Plan<'_>, origins: &[Origin], name: &str) -> Result<Vec<Shard>> {
    let sayings = sayings(wish, origins);
    let ranges = ranges(wish.shard.unwrap_or(u64::MAX), &plan.tensors);
    let count = ranges.len();
    let mut shards = Vec::with_capacity(count + 1);
    for (number, tensors) in ranges.into_iter().enumerate() {
        let (name, sayings) = match count {
            1 => (name.to_owned(), sayings.clone()),
            _ => (numbered(name, number, count), of_shard(&sayings, number, count, plan.tensors.len())),
        };
        let layout = Layout::of(wish.container, &sayings, &plan.tensors[tensors.clone()])?;
        shards.push(Shard { name, layout, tensors });
    }
    if count > 1 && wish.container == Container::Safetensors {
        let layout = Layout::plain(index(plan, &shards));
        shards.push(Shard { name: format!("{name}.index.json"), layout, tensors: 0..0 });
    }
    Ok(shards)
}

/// Which tensors are together: as many of the next as are at most so many bytes, or one.
fn ranges(most: u64, tensors: &[Planned<'_>]) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut bytes) = (Vec::new(), 0, 0u64);
    for (number, tensor) in tensors.iter().enumerate() {
        if number > start && bytes.saturating_add(tensor.len()) > most {
            ranges.push(start..number);
            (start, bytes) = (number, 0);
        }
        bytes = bytes.saturating_add(tensor.len());
    }
    ranges.push(start..tensors.len());
    ranges
}

/// `model.safetensors` as `model-00002-of-00005.safetensors`.
fn numbered(name: &str, number: usize, count: usize) -> String {
    let (stem, extension) = name.rfind('.').map_or((name, ""), |dot| name.split_at(dot));
    format!("{stem}-{:05}-of-{count:05}{extension}", number + 1)
}

fn index(plan: &Plan<'_>, shards: &[Shard]) -> Vec<u8> {
    let mut files = BTreeMap::new();
    for shard in shards {
        files.extend(
            plan.tensors[shard.tensors.clone()].iter().map(|tensor| (&tensor.name[..], &shard.name[..])),
        );
    }
    safetensors::write_index(plan.tensors.iter().map(Planned::len).sum(), &files)
}

/// What the files say of themselves: what the sources said, and what was wanted.
fn sayings(wish: &Wish, origins: &[Origin]) -> Sayings {
    let mut sayings = Sayings::default();
    for said in origins.iter().rev().map(|origin| &origin.said) {
        sayings.metadata.extend(said.metadata.clone());
        if said.is_torch {
            sayings.metadata.insert("format".into(), "pt".into());
        }
    }
    for (key, value) in &wish.metadata {
        sayings.metadata.insert(key.clone(), value.clone());
    }
    // What is said of a layout is said of that of the source.
    let of_layout = |key: &[u8]| key == b"general.alignment" || key.starts_with(b"split.");
    for pair in origins.iter().flat_map(|origin| &origin.said.pairs) {
        if !of_layout(&pair.key) && sayings.pairs.iter().all(|known| known.key != pair.key) {
            sayings.pairs.push(pair.clone());
        }
    }
    let types = wish.dtype.and_then(file_type);
    let quantised = matches!(wish.dtype, Some(Element::Block(_)));
    let types = types.map(|code| Pair::u32("general.file_type", code));
    let version = quantised.then(|| Pair::u32("general.quantization_version", QUANTISATION));
    let typed = wish.metadata.iter().map(|(key, value)| Pair::typed(key, value));
    for pair in types.into_iter().chain(version).chain(typed) {
        match sayings.pairs.iter_mut().find(|known| known.key == pair.key) {
            Some(known) => *known = pair,
            None => sayings.pairs.push(pair),
        }
    }
    sayings
}

/// What ggml calls a file most of whose tensors are of this type (`llama_ftype`).
fn file_type(element: Element) -> Option<u32> {
    Some(match element {
        Element::Number(Dtype::F32) => 0,
        Element::Number(Dtype::F16) => 1,
        Element::Block(Block(2)) => 2,
        Element::Block(Block(8)) => 7,
        Element::Number(Dtype::Bf16) => 32,
        Element::Number(_) | Element::BigEndian(_) | Element::Block(_) => return None,
    })
}

/// What one of several files says: the first everything, and each which it is.
fn of_shard(sayings: &Sayings, number: usize, count: usize, tensors: usize) -> Sayings {
    let mut pairs = if number == 0 { sayings.pairs.clone() } else { Vec::new() };
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    pairs.push(Pair::u16("split.no", short(number)));
    pairs.push(Pair::u16("split.count", short(count)));
    pairs.push(Pair::i32("split.tensors.count", i32::try_from(tensors).unwrap_or(i32::MAX)));
    Sayings { metadata: sayings.metadata.clone(), pairs }
}
