//! From an object to its bytes: which bases a read needs, and decoding them frame by frame.
//!
//! A frame of a difference needs only the same frame of its base, or the same elements of one that is cast. References
//! lead to strictly lower depths (another stored copy of the base is looked for where the first one found is not
//! lower), so that there is no cycle whatever copies lie in whatever packs; resolution is iterative and bounded.

use std::sync::Arc;

use crate::codec::{FRAME_LEN, cast, decode_frame, is_castable, tag_needs_base};
use crate::id::ObjectKey;
use crate::tensor::Dtype;

use super::cache::Memory;
use super::error::{Result, StoreError};
use super::kind::Kind;
use super::object::Object;
use super::sidecar::{Frame, frame_len};

/// Where objects are found: sealed packs, or these and a transaction's own.
pub(super) trait Objects: Sync {
    /// A stored copy of the content under `key`, of a depth less than `below` if that is given.
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>>;
}

/// Casts that are followed. Writers take no cast of what stands on one; but a base is named by its key, and another
/// copy of it, stored meanwhile by somebody else, may stand on one.
const MAX_CASTS: usize = 4;

/// An object with all that it is, directly or not, a difference to. It gives the bytes of its first link or, where it
/// has none, of its cast.
#[derive(Clone)]
pub(super) struct Chain {
    /// Each is a difference to the next.
    links: Vec<Object>,
    /// What the last link is a difference to, if that is not an object but a cast of one.
    cast: Option<Box<Cast>>,
}

/// The elements of an object in another type: what differences are taken to, never stored itself.
#[derive(Clone)]
struct Cast {
    origin: Chain,
    from: Dtype,
    to: Dtype,
    /// Bytes of the cast elements.
    len: u64,
}

impl Chain {
    pub(super) fn resolve(objects: &dyn Objects, object: Object) -> Result<Self> {
        Self::resolve_within(objects, object, MAX_CASTS)
    }

    fn resolve_within(objects: &dyn Objects, object: Object, casts: usize) -> Result<Self> {
        let mut chain = Self::resolve_links(objects, object)?;
        let last = chain.links.last().expect("it has the object at least");
        if let (Some(from), Some(key)) = (last.entry.cast, last.entry.base) {
            let left = casts.checked_sub(1).ok_or_else(|| last.corrupt("it is a cast of casts of casts"))?;
            let origin = Self::resolve_within(objects, find_base(objects, last, &key)?, left)?;
            let cast = Cast::new(origin, from, last.entry.dtype).filter(|cast| cast.len == last.entry.len);
            let cast = cast.ok_or_else(|| last.corrupt(format!("it cannot be a cast of {key}")))?;
            chain.cast = Some(Box::new(cast));
        }
        Ok(chain)
    }

    /// The object and its bases down to one that has none, or a cast.
    fn resolve_links(objects: &dyn Objects, object: Object) -> Result<Self> {
        let mut links = vec![object];
        // Each has a lower depth than the one before, so there are no more than depths.
        while let Some(last) = links.last()
            && let (Some(key), None) = (last.entry.base, last.entry.cast)
        {
            let base = find_base(objects, last, &key)?;
            if base.entry.len != last.entry.len {
                return Err(last.corrupt(format!("{key} cannot be its base")));
            }
            links.push(base);
        }
        Ok(Self { links, cast: None })
    }

    /// The elements of the object as another type; `None` if types or lengths do not allow it, or it stands on a cast
    /// itself.
    pub(super) fn cast(self, to: Dtype) -> Option<Self> {
        let from = self.object().entry.dtype;
        let origin = Some(self).filter(|origin| origin.cast.is_none())?;
        Some(Self { links: Vec::new(), cast: Some(Box::new(Cast::new(origin, from, to)?)) })
    }

    /// The end of the chain alone: what all the rest is a difference to; `None` if there is no rest.
    pub(super) fn keyframe(&self) -> Option<Self> {
        match (&*self.links, &self.cast) {
            ([], _) | ([_], None) => None,
            ([.., last], None) => Some(Self { links: vec![last.clone()], cast: None }),
            (_, Some(cast)) => Some(Self { links: Vec::new(), cast: Some(cast.clone()) }),
        }
    }

    /// The object that a difference to what the chain gives names as its base.
    pub(super) fn object(&self) -> &Object {
        match (self.links.first(), &self.cast) {
            (Some(object), _) => object,
            (None, Some(cast)) => cast.origin.object(),
            (None, None) => unreachable!("a chain has a link or a cast"),
        }
    }

    /// The type of the object's elements, if what the chain gives is a cast of them.
    pub(super) fn cast_from(&self) -> Option<Dtype> {
        self.cast.as_ref().filter(|_| self.links.is_empty()).map(|cast| cast.from)
    }

    /// Bytes of what the chain gives.
    pub(super) fn len(&self) -> u64 {
        match (&self.cast, self.links.first()) {
            (Some(cast), None) => cast.len,
            _ => self.object().entry.len,
        }
    }

    /// Everything that the object is, directly or not, a difference to: the nearest first.
    pub(super) fn base_keys(&self) -> Vec<ObjectKey> {
        let mut keys: Vec<ObjectKey> = self.links.iter().skip(1).map(|object| object.entry.key).collect();
        if let Some(cast) = &self.cast {
            keys.push(cast.origin.object().entry.key);
            keys.extend(cast.origin.base_keys());
        }
        keys
    }

    /// Bytes of all the differences that are undone to rebuild the whole, as they are stored.
    pub(super) fn delta_len(&self) -> Result<u64> {
        let deltas = self.links.iter().filter(|link| link.entry.base.is_some());
        let own = deltas.map(Object::stored_len).sum::<Result<u64>>()?;
        Ok(own + self.cast.as_ref().map_or(Ok(0), |cast| cast.origin.delta_len())?)
    }

    /// How many bases deep what the chain gives is.
    pub(super) fn depth(&self) -> u8 {
        self.object().entry.depth
    }
}

impl Cast {
    fn new(origin: Chain, from: Dtype, to: Dtype) -> Option<Self> {
        let (from_width, to_width) = (from.lane().width() as u64, to.lane().width() as u64);
        let fits = is_castable(from, to) && origin.len().is_multiple_of(from_width);
        let len = (origin.len() / from_width).checked_mul(to_width).filter(|_| fits)?;
        Some(Self { origin, from, to, len })
    }
}

fn find_base(objects: &dyn Objects, of: &Object, key: &ObjectKey) -> Result<Object> {
    let found = objects.find_content(key, Some(of.entry.depth))?;
    found.ok_or_else(|| of.corrupt(format!("its base {key} is missing")))
}

/// Decodes frames of one chain, one after another, in buffers that it keeps.
pub(super) struct FrameReader<'a> {
    chain: &'a Chain,
    memory: &'a Memory,
    stored: Vec<u8>,
    /// The frame that was decoded last, of whichever link.
    current: Decoded,
    spare: Vec<u8>,
    /// Reads what the chain's cast is a cast of.
    origin: Option<Box<FrameReader<'a>>>,
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
        let buffer = || memory.buffers.take_empty();
        let origin = chain.cast.as_ref().map(|cast| Box::new(FrameReader::new(&cast.origin, memory)));
        let current = Decoded { own: buffer(), cached: None };
        Self { chain, memory, stored: buffer(), current, spare: buffer(), origin }
    }

    /// Fills `out`, which is as long as frame `index`, with it.
    pub(super) fn read(&mut self, index: u64, out: &mut [u8]) -> Result<()> {
        let Some(first) = self.chain.links.first() else {
            return self.read_cast(index * FRAME_LEN as u64, out);
        };
        let frame = first.frame(index)?;
        if tag_needs_base(frame.tag) {
            self.load(index, 1)?;
        }
        self.decode(first, &frame, out)
    }

    /// Fills `out` with the bytes of frame `index` from byte `from` of it, remembering the frame in the cache.
    pub(super) fn read_part(&mut self, index: u64, from: usize, out: &mut [u8]) -> Result<()> {
        let Some(first) = self.chain.links.first() else {
            return self.read_cast(index * FRAME_LEN as u64 + from as u64, out);
        };
        let name = (first.entry.key, index);
        let frame = match self.cached(first, index) {
            Some(frame) => frame,
            None => {
                let mut whole = vec![0; frame_len(first.entry.len, index)];
                self.read(index, &mut whole)?;
                let whole = Arc::new(whole);
                if first.entry.kind == Kind::Content {
                    self.memory.cache.insert(name, Arc::clone(&whole));
                }
                whole
            }
        };
        out.copy_from_slice(&frame[from..from + out.len()]);
        Ok(())
    }

    /// Fills `out` with what lies at `offset` of what the chain gives.
    pub(super) fn read_range(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        pieces(offset, out).into_iter().try_for_each(|piece| piece.fill(self))
    }

    /// Frame `index` of what the chain gives, to take differences to.
    pub(super) fn as_base(&mut self, index: u64) -> Result<&[u8]> {
        self.load(index, 0)?;
        Ok(self.current.bytes())
    }

    /// Decodes frame `index` of a link, or of the cast below the last one.
    fn load(&mut self, index: u64, link: usize) -> Result<()> {
        let links = self.chain.links.get(link..).unwrap_or_default();
        let mut frames: Vec<(&Object, Frame)> = Vec::with_capacity(links.len());
        let stands_on = |(_, frame): &(&Object, Frame)| tag_needs_base(frame.tag);
        for object in links {
            if self.take_from_cache(object, index) {
                break;
            }
            frames.push((object, object.frame(index)?));
            if !frames.last().is_some_and(stands_on) {
                break;
            }
        }
        let reaches_end = frames.len() == links.len() && frames.last().is_none_or(stands_on);
        if reaches_end {
            self.load_cast(index)?;
        }
        for (object, frame) in frames.into_iter().rev() {
            let mut out = std::mem::take(&mut self.spare);
            out.resize(frame_len(object.entry.len, index), 0);
            let result = self.decode(object, &frame, &mut out);
            self.spare = std::mem::replace(&mut self.current.own, out);
            self.current.cached = None;
            result?;
        }
        Ok(())
    }

    fn take_from_cache(&mut self, object: &Object, index: u64) -> bool {
        self.current.cached = self.cached(object, index);
        self.current.cached.is_some()
    }

    /// A frame in the cache, which names content alone: metadata may have a key that somebody gave to content.
    fn cached(&self, object: &Object, index: u64) -> Option<Arc<Vec<u8>>> {
        let is_content = object.entry.kind == Kind::Content;
        is_content.then(|| self.memory.cache.get(&(object.entry.key, index))).flatten()
    }

    /// Decodes what lies below the last link: a frame of the cast, or nothing, which is no base for anything.
    fn load_cast(&mut self, index: u64) -> Result<()> {
        let mut out = std::mem::take(&mut self.current.own);
        out.resize(self.chain.cast.as_ref().map_or(0, |cast| frame_len(cast.len, index)), 0);
        let result = self.read_cast(index * FRAME_LEN as u64, &mut out);
        self.current = Decoded { own: out, cached: None };
        result
    }

    /// Fills `out` with cast elements from byte `offset` of them. Both ends lie between elements.
    fn read_cast(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        let (Some(casting), Some(origin)) = (&self.chain.cast, &mut self.origin) else { return Ok(()) };
        let (from, to) = (casting.from, casting.to);
        let (from_width, to_width) = (from.lane().width(), to.lane().width());
        let mut elements = self.memory.buffers.take(out.len() / to_width * from_width);
        let result = origin.read_range(offset / to_width as u64 * from_width as u64, &mut elements);
        if result.is_ok() {
            cast(from, to, &elements, out);
        }
        self.memory.buffers.give(elements);
        result
    }

    /// Decodes a frame; what it is a difference to was decoded last.
    fn decode(&mut self, object: &Object, frame: &Frame, out: &mut [u8]) -> Result<()> {
        object.read_stored(frame, &mut self.stored)?;
        let base = tag_needs_base(frame.tag).then(|| self.current.bytes());
        decode_frame(frame.tag, &self.stored, base, object.lane(), out)
            .map_err(|error| object.corrupt(error.to_string()))
    }
}

impl Drop for FrameReader<'_> {
    fn drop(&mut self) {
        let buffers = [&mut self.stored, &mut self.current.own, &mut self.spare];
        buffers.into_iter().for_each(|buffer| self.memory.buffers.give(std::mem::take(buffer)));
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
        let whole = self.out.len() == frame_len(reader.chain.len(), self.index);
        match whole && reader.cached(reader.chain.object(), self.index).is_none() {
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
