//! From an object to its bytes: which bases a read needs, and decoding them frame by frame.
//!
//! A frame of a difference needs only the same frame of its base. References lead to strictly lower depths (another
//! stored copy of the base is looked for where the first one found is not lower), so that there is no cycle whatever
//! copies lie in whatever packs; resolution is iterative and bounded.

use std::sync::Arc;

use crate::codec::{FRAME_LEN, decode_frame, tag_needs_base};
use crate::id::ObjectKey;

use super::cache::Memory;
use super::error::{Result, StoreError};
use super::object::Object;
use super::sidecar::{Frame, frame_len};

/// Where objects are found: sealed packs, or these and a transaction's own.
pub(super) trait Objects: Sync {
    /// A stored copy of the content under `key`, of a depth less than `below` if that is given.
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>>;
}

/// More nodes than any chain that this version writes has; a pack that claims more is damaged.
const MAX_NODES: usize = 1024;

/// An object with all that it is, directly or not, a difference to.
pub(super) struct Chain {
    /// The object itself is the first.
    nodes: Vec<Node>,
    /// The nodes by depth: each after those that it refers to.
    order: Vec<usize>,
}

struct Node {
    object: Object,
    base: Option<usize>,
}

impl Chain {
    pub(super) fn resolve(objects: &dyn Objects, object: Object) -> Result<Self> {
        let mut nodes = vec![Node { object, base: None }];
        let mut next = 0;
        while next < nodes.len() {
            let entry = nodes[next].object.entry;
            nodes[next].base = resolve_base(objects, &mut nodes, next, entry.base)?;
            next += 1;
        }
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by_key(|&node| nodes[node].object.entry.depth);
        Ok(Self { nodes, order })
    }

    pub(super) fn object(&self) -> &Object {
        &self.nodes[0].object
    }
}

/// The node that `from` refers to, added if it is not there yet.
fn resolve_base(
    objects: &dyn Objects,
    nodes: &mut Vec<Node>,
    from: usize,
    key: Option<ObjectKey>,
) -> Result<Option<usize>> {
    let Some(key) = key else { return Ok(None) };
    let (len, depth) = (nodes[from].object.entry.len, nodes[from].object.entry.depth);
    let known = nodes.iter().position(|node| node.object.entry.key == key && node.object.entry.depth < depth);
    if known.is_some() {
        return Ok(known);
    }
    let Some(object) = objects.find_content(&key, Some(depth))? else {
        return Err(nodes[from].object.corrupt(format!("its base {key} is missing")));
    };
    if object.entry.len != len || nodes.len() == MAX_NODES {
        return Err(nodes[from].object.corrupt(format!("{key} cannot be its base")));
    }
    nodes.push(Node { object, base: None });
    Ok(Some(nodes.len() - 1))
}

/// Decodes frames of one chain, one after another, in buffers that it keeps.
pub(super) struct FrameReader<'a> {
    chain: &'a Chain,
    memory: &'a Memory,
    stored: Vec<u8>,
    /// For each node its frame, where the last call needed it.
    decoded: Vec<Decoded>,
    needed: Vec<bool>,
}

#[derive(Default)]
struct Decoded {
    own: Vec<u8>,
    cached: Option<Arc<Vec<u8>>>,
}

impl Decoded {
    fn bytes(&self) -> &[u8] {
        self.cached.as_deref().unwrap_or(&self.own)
    }
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(chain: &'a Chain, memory: &'a Memory) -> Self {
        let count = chain.nodes.len();
        let decoded = (0..count).map(|_| Decoded::default()).collect();
        Self { chain, memory, stored: memory.buffers.take_empty(), decoded, needed: vec![false; count] }
    }

    /// Fills `out`, which is as long as frame `index`, with it.
    pub(super) fn read(&mut self, index: u64, out: &mut [u8]) -> Result<()> {
        let frame = self.chain.object().frame(index)?;
        if let Some(base) = self.base_of(0, &frame) {
            self.load(index, base)?;
        }
        self.decode(0, &frame, out)
    }

    /// Fills `out` with the bytes of frame `index` from byte `from` of it, remembering the frame in the cache.
    pub(super) fn read_part(&mut self, index: u64, from: usize, out: &mut [u8]) -> Result<()> {
        let name = (self.chain.object().entry.key, index);
        let frame = match self.memory.cache.get(&name) {
            Some(frame) => frame,
            None => {
                let mut whole = vec![0; frame_len(self.chain.object().entry.len, index)];
                self.read(index, &mut whole)?;
                let whole = Arc::new(whole);
                self.memory.cache.insert(name, Arc::clone(&whole));
                whole
            }
        };
        out.copy_from_slice(&frame[from..from + out.len()]);
        Ok(())
    }

    /// Frame `index` of the object as something to take differences to.
    pub(super) fn as_base(&mut self, index: u64) -> Result<&[u8]> {
        self.load(index, 0)?;
        Ok(self.decoded[0].bytes())
    }

    /// Decodes frame `index` of the wanted node and of all that it needs.
    fn load(&mut self, index: u64, wanted: usize) -> Result<()> {
        self.needed.fill(false);
        self.needed[wanted] = true;
        let mut pending = Vec::new();
        for &node in self.chain.order.iter().rev() {
            if self.needed[node] && !self.take_from_cache(node, index) {
                let frame = self.chain.nodes[node].object.frame(index)?;
                if let Some(base) = self.base_of(node, &frame) {
                    self.needed[base] = true;
                }
                pending.push((node, frame));
            }
        }
        let len = frame_len(self.chain.object().entry.len, index);
        for (node, frame) in pending.into_iter().rev() {
            let mut out = std::mem::take(&mut self.decoded[node].own);
            if out.capacity() == 0 {
                out = self.memory.buffers.take_empty();
            }
            out.resize(len, 0);
            let result = self.decode(node, &frame, &mut out);
            self.decoded[node].own = out;
            result?;
        }
        Ok(())
    }

    fn take_from_cache(&mut self, node: usize, index: u64) -> bool {
        let cached = self.memory.cache.get(&(self.chain.nodes[node].object.entry.key, index));
        self.decoded[node].cached = cached;
        self.decoded[node].cached.is_some()
    }

    /// The base of a node, if the frame needs it.
    fn base_of(&self, node: usize, frame: &Frame) -> Option<usize> {
        self.chain.nodes[node].base.filter(|_| tag_needs_base(frame.tag))
    }

    /// Decodes a node's frame, whose base is decoded if it needs it.
    fn decode(&mut self, node: usize, frame: &Frame, out: &mut [u8]) -> Result<()> {
        let object = &self.chain.nodes[node].object;
        object.read_stored(frame, &mut self.stored)?;
        let base = self.base_of(node, frame).map(|base| self.decoded[base].bytes());
        decode_frame(frame.tag, &self.stored, base, object.lane(), out)
            .map_err(|error| object.corrupt(error.to_string()))
    }
}

impl Drop for FrameReader<'_> {
    fn drop(&mut self) {
        let decoded = self.decoded.drain(..).map(|decoded| decoded.own);
        decoded.chain([std::mem::take(&mut self.stored)]).for_each(|buffer| self.memory.buffers.give(buffer));
    }
}

/// The part of a read that lies in one frame.
pub(super) struct Piece<'b> {
    index: u64,
    from: usize,
    out: &'b mut [u8],
}

/// Cuts a read at the borders of frames.
pub(super) fn pieces(offset: u64, buf: &mut [u8]) -> Vec<Piece<'_>> {
    let frame = FRAME_LEN as u64;
    let mut pieces = Vec::with_capacity(buf.len() / FRAME_LEN + 2);
    let (mut offset, mut rest) = (offset, buf);
    while !rest.is_empty() {
        let from = (offset % frame) as usize;
        let (out, tail) = rest.split_at_mut((FRAME_LEN - from).min(rest.len()));
        let index = offset / frame;
        offset += out.len() as u64;
        pieces.push(Piece { index, from, out });
        rest = tail;
    }
    pieces
}

impl Piece<'_> {
    /// Fills the piece. Frames that are read whole are not worth remembering: whoever reads them has them.
    pub(super) fn fill(self, reader: &mut FrameReader<'_>) -> Result<()> {
        let entry = &reader.chain.object().entry;
        let whole = self.out.len() == frame_len(entry.len, self.index);
        match whole && reader.memory.cache.get(&(entry.key, self.index)).is_none() {
            true => reader.read(self.index, self.out),
            false => reader.read_part(self.index, self.from, self.out),
        }
    }
}

/// Fails if the range is not within the object.
pub(super) fn check_range(object: &Object, offset: u64, wanted: u64) -> Result<()> {
    let len = object.entry.len;
    match offset.checked_add(wanted) {
        Some(end) if end <= len => Ok(()),
        _ => Err(StoreError::OutOfRange { key: object.entry.key, len, offset, wanted }),
    }
}
