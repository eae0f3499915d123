//! What reading frames takes, before anything is read: which stored bytes of which packs, and what is undone on what.
//!
//! A plan is made from directories alone. It has the stored bytes of all links of a chain at once, in as few ranges as
//! there can be: one journey to each pack, however deep the chain is.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{FRAME_LEN, tag_needs_base};
use crate::store::error::Result;
use crate::store::pack::{Frame, Object, Wanted, frame_len};

use super::cache::Memory;
use super::chain::{Chain, Computed, Placed};

/// Stored bytes of a plan beyond which no piece is taken into it: a frame may need some hundred others, whose bytes are not to be in
/// memory together. It is usually more than all that a frame needs.
const PIECES_BEYOND: u64 = 8 << 20;

/// The stored bytes that some frames need.
#[derive(Default)]
pub struct Plan<'c> {
    stored: Vec<(&'c Object, Frame)>,
    /// How many they are.
    len: u64,
}

/// How one frame comes about.
pub struct FramePlan<'c> {
    /// Its bytes.
    pub len: usize,
    /// The numbers of the stored frames that are undone on the ground: the object's own first, which is undone last.
    pub steps: Vec<usize>,
    pub ground: Ground<'c>,
}

/// What the last of the stored frames is a difference to.
pub enum Ground<'c> {
    /// Nothing, or a frame that is missing.
    Nothing,
    /// A frame that was decoded before.
    Cached(Arc<Vec<u8>>),
    /// What is made of some objects, from this byte on: the parts of each.
    Computed(&'c Computed, u64, Vec<Vec<Part<'c>>>),
    /// Parts of frames of some objects: zeros lie between them.
    Pieces(Vec<Placing<'c>>),
}

/// A part of a frame of an object, and where in what is made it begins, in bytes.
pub struct Placing<'c> {
    pub at: usize,
    pub origin: &'c Chain,
    pub part: PlacedPart<'c>,
}

/// Whether a part is in the plan.
pub enum PlacedPart<'c> {
    Planned(Part<'c>),
    /// The number of its frame and the bytes of that: what it needs is planned and read when it is its turn.
    Later(u64, Range<usize>),
}

impl PlacedPart<'_> {
    pub fn len(&self) -> usize {
        match self {
            PlacedPart::Planned(part) => part.range.len(),
            PlacedPart::Later(_, range) => range.len(),
        }
    }
}

/// A part of a frame of what something is made of.
pub struct Part<'c> {
    pub index: u64,
    pub range: Range<usize>,
    pub frame: FramePlan<'c>,
}

impl<'c> Plan<'c> {
    /// Plans frame `index` of what a chain gives. Of the first `new` links no frame is looked for in the cache.
    pub fn frame(
        &mut self,
        chain: &'c Chain,
        index: u64,
        new: usize,
        memory: &Memory,
    ) -> Result<FramePlan<'c>> {
        let len = frame_len(chain.len(), index);
        let mut steps = Vec::with_capacity(chain.links.len());
        for (depth, object) in chain.links.iter().enumerate() {
            let cached = if depth < new { None } else { memory.cached(object, index) };
            if let Some(frame) = cached {
                return Ok(FramePlan { len, steps, ground: Ground::Cached(frame) });
            }
            let frame = object.frame(index)?;
            steps.push(self.stored.len());
            self.len += frame.end - frame.start;
            self.stored.push((object, frame));
            if !tag_needs_base(frame.tag) {
                return Ok(FramePlan { len, steps, ground: Ground::Nothing });
            }
        }
        let offset = index * FRAME_LEN as u64;
        let ground = match &chain.computed {
            Some(computed) => self.computed(computed, offset, len, memory)?,
            None => Ground::Nothing,
        };
        Ok(FramePlan { len, steps, ground })
    }

    /// Plans a range of what is computed. Where single elements are made, both ends lie between these.
    pub fn computed(
        &mut self,
        computed: &'c Computed,
        offset: u64,
        len: usize,
        memory: &Memory,
    ) -> Result<Ground<'c>> {
        if let Some(placed) = computed.placed(offset, len) {
            let mut pieces = Vec::new();
            for Placed { mut at, origin, range } in placed {
                for (index, range) in cuts(range.start, range.end) {
                    let part = match self.len < PIECES_BEYOND {
                        true => {
                            let frame = self.frame(origin, index, 0, memory)?;
                            PlacedPart::Planned(Part { index, range, frame })
                        }
                        false => PlacedPart::Later(index, range),
                    };
                    let from = at;
                    at += part.len();
                    pieces.push(Placing { at: from, origin, part });
                }
            }
            return Ok(Ground::Pieces(pieces));
        }
        let unit = computed.unit();
        let (from, to) = (offset / unit, (offset + len as u64).div_ceil(unit));
        let mut all = Vec::with_capacity(computed.origins.len());
        for (origin, unit) in computed.operands() {
            let mut parts = Vec::new();
            for (index, range) in cuts(from * unit, to * unit) {
                let frame = self.frame(origin, index, 0, memory)?;
                parts.push(Part { index, range, frame });
            }
            all.push(parts);
        }
        Ok(Ground::Computed(computed, offset, all))
    }

    /// A stored frame of the plan.
    pub fn stored(&self, number: usize) -> (&'c Object, Frame) {
        self.stored[number]
    }

    /// Reads the stored bytes, one call to each pack, into `bytes`, and tells where each frame's begin.
    pub fn fetch(&self, bytes: &mut Vec<u8>) -> Result<Vec<usize>> {
        let (ranges, places, total) = self.coalesce();
        if bytes.len() < total {
            bytes.resize(total, 0);
        }
        let mut rest = &mut bytes[..total];
        for pack in ranges.chunk_by(|one, next| one.object.file_address() == next.object.file_address()) {
            let mut wanted = Vec::with_capacity(pack.len());
            for range in pack {
                let (buf, tail) = rest.split_at_mut((range.end - range.start) as usize);
                wanted.push(Wanted { offset: range.start, buf });
                rest = tail;
            }
            pack[0].object.bytes().read_ranges(&mut wanted)?;
        }
        Ok(places)
    }

    /// The ranges that the stored frames lie in, one after the other; where in them each frame begins; and their length.
    fn coalesce(&self) -> (Vec<StoredRange<'c>>, Vec<usize>, usize) {
        let mut order: Vec<usize> = (0..self.stored.len()).collect();
        let range = |(object, frame): &(&Object, Frame)| {
            (object.entry.offset + frame.start, object.entry.offset + frame.end)
        };
        order.sort_unstable_by_key(|&number| {
            (self.stored[number].0.file_address(), range(&self.stored[number]))
        });
        let (mut ranges, mut total): (Vec<StoredRange<'c>>, usize) = (Vec::new(), 0);
        let mut places = vec![0; order.len()];
        for number in order {
            let (object, (start, end)) = (self.stored[number].0, range(&self.stored[number]));
            if start == end {
                continue;
            }
            match ranges.last_mut().filter(|last| last.is_reached_by(object, start)) {
                Some(last) => {
                    places[number] = total - (last.end - start) as usize;
                    let more = end.saturating_sub(last.end);
                    last.end += more;
                    total += more as usize;
                }
                None => {
                    places[number] = total;
                    ranges.push(StoredRange { object, start, end });
                    total += (end - start) as usize;
                }
            }
        }
        (ranges, places, total)
    }
}

/// Bytes of a pack that are read at once.
struct StoredRange<'c> {
    /// An object in the pack.
    object: &'c Object,
    start: u64,
    end: u64,
}

impl StoredRange<'_> {
    fn is_reached_by(&self, object: &Object, start: u64) -> bool {
        self.object.file_address() == object.file_address() && start <= self.end
    }
}

/// How many frames of a chain are planned at once: what the place of its first pack is worth asking for, and less where
/// many links share it, so that memory is bounded however deep and wide the chain is.
pub fn frames_at_once(chain: &Chain) -> usize {
    (chain.object().bytes().frames_at_once() / chain.width().max(1)).max(1)
}

/// The frames that a range of an object touches, each with the part of it.
pub fn cuts(start: u64, end: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    let frame = FRAME_LEN as u64;
    let last = end.div_ceil(frame).max(start / frame);
    (start / frame..last).map(move |index| {
        let first = index * frame;
        (index, (start.max(first) - first) as usize..(end.min(first + frame) - first) as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_tile_the_range() {
        let frame = FRAME_LEN as u64;
        for (start, end) in
            [(0, 0), (0, 1), (5, frame), (frame - 1, frame + 1), (7, 3 * frame + 9), (frame, frame)]
        {
            let mut at = start;
            for (index, range) in cuts(start, end) {
                assert_eq!(index * frame + range.start as u64, at);
                assert!(!range.is_empty() && range.end <= FRAME_LEN);
                at += range.len() as u64;
            }
            assert_eq!(at, end);
        }
    }
}
