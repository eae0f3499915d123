//! Decoding the frames of a chain, one after another.

use std::sync::Arc;

use crate::codec::{FRAME_LEN, cast, decode_frame, tag_needs_base};
use crate::store::error::{Result, StoreError};
use crate::store::object::Kind;
use crate::store::pack::{Frame, Object, frame_len};

use super::cache::Memory;
use super::chain::Chain;

/// Decodes frames of one chain, one after another, in buffers that it keeps.
pub struct FrameReader<'a> {
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
    pub fn new(chain: &'a Chain, memory: &'a Memory) -> Self {
        let buffer = || memory.buffers.take_empty();
        let origin = chain.cast.as_ref().map(|cast| Box::new(FrameReader::new(&cast.origin, memory)));
        let current = Decoded { own: buffer(), cached: None };
        Self { chain, memory, stored: buffer(), current, spare: buffer(), origin }
    }

    /// Fills `out`, which is as long as frame `index`, with it.
    pub fn read(&mut self, index: u64, out: &mut [u8]) -> Result<()> {
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
    pub fn read_part(&mut self, index: u64, from: usize, out: &mut [u8]) -> Result<()> {
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
    pub fn read_range(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        pieces(offset, out).into_iter().try_for_each(|piece| piece.fill(self))
    }

    /// Frame `index` of what the chain gives, to take differences to.
    pub fn as_base(&mut self, index: u64) -> Result<&[u8]> {
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
pub struct Piece<'b> {
    index: u64,
    from: usize,
    out: &'b mut [u8],
}

/// Cuts a read at the borders of frames.
pub fn pieces(offset: u64, buf: &mut [u8]) -> Vec<Piece<'_>> {
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
    pub fn fill(self, reader: &mut FrameReader<'_>) -> Result<()> {
        let whole = self.out.len() == frame_len(reader.chain.len(), self.index);
        match whole && reader.cached(reader.chain.object(), self.index).is_none() {
            true => reader.read(self.index, self.out),
            false => reader.read_part(self.index, self.from, self.out),
        }
    }
}

/// Fails if the range is not within the object.
pub fn check_range(object: &Object, offset: u64, wanted: u64) -> Result<()> {
    let len = object.entry.len;
    match offset.checked_add(wanted) {
        Some(end) if end <= len => Ok(()),
        _ => Err(StoreError::OutOfRange { key: object.entry.key, len, offset, wanted }),
    }
}
