//! Undoing stored frames, each on what it is a difference to, as it was planned.
//!
//! The checksum of every stored frame is compared before it is decoded.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{decode_frame, tag_needs_base};
use crate::formula::NumberBuffers;
use crate::store::error::Result;

use super::cache::Memory;
use super::chain::{Chain, Computed};
use super::plan::{FramePlan, Ground, Part, PlacedPart, Placing, Plan};

/// Stored bytes that were read for a plan.
pub struct Fetched<'f, 'c> {
    pub plan: &'f Plan<'c>,
    pub stored: &'f [u8],
    /// Where in these each frame of the plan begins.
    pub places: Vec<usize>,
    pub memory: &'f Memory,
}

impl<'c> Fetched<'_, 'c> {
    /// Decodes a stored frame onto `base`.
    fn undo(&self, number: usize, base: &[u8], out: &mut [u8]) -> Result<()> {
        let (object, frame) = self.plan.stored(number);
        let stored = &self.stored[self.places[number]..][..(frame.end - frame.start) as usize];
        object.check(&frame, stored)?;
        let base = tag_needs_base(frame.tag).then_some(base);
        decode_frame(frame.tag, stored, base, object.lane(), out)
            .map_err(|error| object.corrupt(error.to_string()))
    }
}

/// What decoding needs beside its result.
pub struct Scratch {
    /// The frame that was decoded last, of whichever link.
    pub current: Decoded,
    pub spare: Vec<u8>,
    /// For what is computed.
    origin: Option<Box<Scratch>>,
    numbers: NumberBuffers,
}

#[derive(Default)]
pub struct Decoded {
    pub own: Vec<u8>,
    cached: Option<Arc<Vec<u8>>>,
}

impl Decoded {
    pub fn bytes(&self) -> &[u8] {
        self.cached.as_deref().unwrap_or(&self.own)
    }
}

impl Scratch {
    pub fn new(memory: &Memory) -> Self {
        let buffer = || memory.buffers.take_any();
        Self {
            current: Decoded { own: buffer(), cached: None },
            spare: buffer(),
            origin: None,
            numbers: NumberBuffers::default(),
        }
    }

    /// Gives its buffers back to where it has them from.
    pub fn give_back(&mut self, memory: &Memory) {
        let mut next = Some(self);
        while let Some(scratch) = next {
            memory.buffers.give(std::mem::take(&mut scratch.current.own));
            memory.buffers.give(std::mem::take(&mut scratch.spare));
            next = scratch.origin.as_deref_mut();
        }
    }

    /// Fills `out`, which is as long as the frame, with it.
    pub fn decode(&mut self, fetched: &Fetched<'_, '_>, frame: &FramePlan<'_>, out: &mut [u8]) -> Result<()> {
        match (&*frame.steps, &frame.ground) {
            ([], Ground::Computed(computed, from, parts)) => {
                self.compute(fetched, computed, (*from, parts), out)
            }
            ([], Ground::Pieces(pieces)) => self.place(fetched, pieces, out),
            ([], _) => {
                self.load(fetched, frame, 0)?;
                // It was in the cache, which gives frames of the right length only.
                out.copy_from_slice(self.current.bytes());
                Ok(())
            }
            ([own], Ground::Nothing) => fetched.undo(*own, &[], out),
            ([own, ..], _) => {
                self.load(fetched, frame, 1)?;
                fetched.undo(*own, self.current.bytes(), out)
            }
        }
    }

    /// Makes the frame the current one, but for its first `open` steps.
    pub fn load(&mut self, fetched: &Fetched<'_, '_>, frame: &FramePlan<'_>, open: usize) -> Result<()> {
        self.current.cached = None;
        match &frame.ground {
            Ground::Nothing => self.current.own.clear(),
            Ground::Cached(bytes) => self.current.cached = Some(Arc::clone(bytes)),
            made @ (Ground::Computed(..) | Ground::Pieces(_)) => {
                let mut out = std::mem::take(&mut self.current.own);
                out.resize(frame.len, 0);
                let result = match made {
                    Ground::Computed(computed, from, parts) => {
                        self.compute(fetched, computed, (*from, parts), &mut out)
                    }
                    Ground::Pieces(pieces) => self.place(fetched, pieces, &mut out),
                    Ground::Nothing | Ground::Cached(_) => Ok(()),
                };
                self.current.own = out;
                result?;
            }
        }
        for number in frame.steps[open..].iter().rev() {
            let mut out = std::mem::take(&mut self.spare);
            out.resize(frame.len, 0);
            let result = fetched.undo(*number, self.current.bytes(), &mut out);
            self.spare = std::mem::replace(&mut self.current.own, out);
            self.current.cached = None;
            result?;
        }
        Ok(())
    }

    /// Fills `out` with what is made of some parts of other objects' frames, from a byte on.
    fn compute(
        &mut self,
        fetched: &Fetched<'_, '_>,
        of: &Computed,
        (offset, all): (u64, &[Vec<Part<'_>>]),
        out: &mut [u8],
    ) -> Result<()> {
        let memory = fetched.memory;
        let origin = self.origin.get_or_insert_with(|| Box::new(Scratch::new(memory)));
        let mut elements = memory.buffers.take(all.iter().flatten().map(|part| part.range.len()).sum());
        let mut rest = &mut elements[..];
        for (chain, parts) in of.origins.iter().zip(all) {
            for part in parts {
                let (out, tail) = rest.split_at_mut(part.range.len());
                rest = tail;
                origin.decode_part(fetched, chain, part, out)?;
            }
        }
        of.fill(offset, &elements, &mut self.numbers, out);
        memory.buffers.give(elements);
        Ok(())
    }

    /// Fills `out` with parts of other objects' frames where they begin, and with zeros between them.
    fn place(&mut self, fetched: &Fetched<'_, '_>, pieces: &[Placing<'_>], out: &mut [u8]) -> Result<()> {
        let origin = self.origin.get_or_insert_with(|| Box::new(Scratch::new(fetched.memory)));
        let mut end = 0;
        for Placing { at, origin: chain, part } in pieces {
            out[end..*at].fill(0);
            end = at + part.len();
            let out = &mut out[*at..end];
            match part {
                PlacedPart::Planned(part) => origin.decode_part(fetched, chain, part, out)?,
                PlacedPart::Later(index, range) => {
                    origin.fetch_part(fetched.memory, chain, *index, range.clone(), out)?;
                }
            }
        }
        out[end..].fill(0);
        Ok(())
    }

    /// Fills `out` with a part of a frame that was not planned with others.
    fn fetch_part(
        &mut self,
        memory: &Memory,
        chain: &Chain,
        index: u64,
        range: Range<usize>,
        out: &mut [u8],
    ) -> Result<()> {
        let mut plan = Plan::default();
        let frame = plan.frame(chain, index, 0, memory)?;
        let mut stored = memory.buffers.take_any();
        let done = plan.fetch(&mut stored).and_then(|places| {
            let fetched = Fetched { plan: &plan, stored: &stored, places, memory };
            self.decode_part(&fetched, chain, &Part { index, range, frame }, out)
        });
        memory.buffers.give(stored);
        done
    }

    /// Fills `out` with a part of a frame, which is remembered if that is not all of it: the next read wants the rest.
    fn decode_part(
        &mut self,
        fetched: &Fetched<'_, '_>,
        chain: &Chain,
        Part { index, range, frame }: &Part<'_>,
        out: &mut [u8],
    ) -> Result<()> {
        if range.len() == frame.len {
            return self.decode(fetched, frame, out);
        }
        self.load(fetched, frame, 0)?;
        out.copy_from_slice(&self.current.bytes()[range.clone()]);
        if let (Some(first), None) = (chain.links.first(), &self.current.cached) {
            fetched.memory.remember(first, *index, self.current.own.clone());
        }
        Ok(())
    }
}
