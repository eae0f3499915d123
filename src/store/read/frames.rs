//! Reading frames of a chain: planned, read and decoded a few at a time, in buffers that are kept.

use std::ops::Range;

use crate::codec::FRAME_LEN;
use crate::store::error::{Result, StoreError};
use crate::store::pack::Object;

use super::cache::Memory;
use super::chain::Chain;
use super::plan::{FramePlan, Ground, Plan, cuts, frames_at_once};
use super::undo::{Fetched, Scratch};

/// Decodes frames of one chain, one after another, in buffers that it keeps.
pub struct FrameReader<'a> {
    chain: &'a Chain,
    memory: &'a Memory,
    stored: Vec<u8>,
    scratch: Scratch,
}

/// The part of a read that lies in one frame.
pub struct Piece<'b> {
    index: u64,
    range: Range<usize>,
    out: &'b mut [u8],
}

impl<'a> FrameReader<'a> {
    pub fn new(chain: &'a Chain, memory: &'a Memory) -> Self {
        Self { chain, memory, stored: memory.buffers.take_any(), scratch: Scratch::new(memory) }
    }

    /// Bytes of memory for stored bytes that are read together.
    #[cfg(test)]
    pub fn stored_capacity(&self) -> usize {
        self.stored.capacity()
    }

    /// Fills `out`, which is as long as frame `index`, with it.
    pub fn read(&mut self, index: u64, out: &mut [u8]) -> Result<()> {
        let mut plan = Plan::default();
        let frame = plan.frame(self.chain, index, 1, self.memory)?;
        let places = plan.fetch(&mut self.stored)?;
        let fetched = Fetched { plan: &plan, stored: &self.stored, places, memory: self.memory };
        self.scratch.decode(&fetched, &frame, out)
    }

    /// Frame `index` of what the chain gives, to take differences to.
    pub fn as_base(&mut self, index: u64) -> Result<&[u8]> {
        let mut plan = Plan::default();
        let frame = plan.frame(self.chain, index, 0, self.memory)?;
        let places = plan.fetch(&mut self.stored)?;
        let fetched = Fetched { plan: &plan, stored: &self.stored, places, memory: self.memory };
        self.scratch.load(&fetched, &frame, 0)?;
        Ok(self.scratch.current.bytes())
    }

    /// Fills `out` with what lies at `offset` of what the chain gives.
    pub fn read_range(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        pieces(offset, out).chunks_mut(frames_at_once(self.chain)).try_for_each(|pieces| self.fill(pieces))
    }

    /// Fills some pieces, whose stored bytes are read at once. Frames that are read whole are not worth remembering:
    /// whoever reads them has them.
    pub fn fill(&mut self, pieces: &mut [Piece<'_>]) -> Result<()> {
        let (mut plan, mut planned) = (Plan::default(), Vec::with_capacity(pieces.len()));
        for piece in pieces {
            match self.chain.links.first().map(|first| (first, self.memory.cached(first, piece.index))) {
                Some((_, Some(frame))) => piece.out.copy_from_slice(&frame[piece.range.clone()]),
                Some((first, None)) => {
                    let frame = plan.frame(self.chain, piece.index, 1, self.memory)?;
                    planned.push((piece, Some(first), frame));
                }
                None => {
                    let frame = self.plan_computed(&mut plan, piece)?;
                    planned.push((piece, None, frame));
                }
            }
        }
        let places = plan.fetch(&mut self.stored)?;
        let fetched = Fetched { plan: &plan, stored: &self.stored, places, memory: self.memory };
        for (piece, first, frame) in planned {
            match first.filter(|_| piece.out.len() < frame.len) {
                None => self.scratch.decode(&fetched, &frame, piece.out)?,
                Some(first) => {
                    let mut whole = vec![0; frame.len];
                    self.scratch.decode(&fetched, &frame, &mut whole)?;
                    piece.out.copy_from_slice(&whole[piece.range.clone()]);
                    self.memory.remember(first, piece.index, whole);
                }
            }
        }
        Ok(())
    }

    /// A chain that gives what is computed gives any elements of it, and none of them are remembered.
    fn plan_computed(&self, plan: &mut Plan<'a>, piece: &Piece<'_>) -> Result<FramePlan<'a>> {
        let offset = piece.index * FRAME_LEN as u64 + piece.range.start as u64;
        let ground = match &self.chain.computed {
            Some(computed) => plan.computed(computed, offset, piece.out.len(), self.memory)?,
            None => Ground::Nothing,
        };
        Ok(FramePlan { len: piece.out.len(), steps: Vec::new(), ground })
    }
}

impl Drop for FrameReader<'_> {
    fn drop(&mut self) {
        self.memory.buffers.give(std::mem::take(&mut self.stored));
        self.scratch.give_back(self.memory);
    }
}

/// Cuts a read at the borders of frames.
pub fn pieces(offset: u64, buf: &mut [u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::with_capacity(buf.len() / FRAME_LEN + 2);
    let mut rest = buf;
    for (index, range) in cuts(offset, offset + rest.len() as u64) {
        let (out, tail) = rest.split_at_mut(range.len());
        pieces.push(Piece { index, range, out });
        rest = tail;
    }
    pieces
}

/// Fails if the range is not within the object.
pub fn check_range(object: &Object, offset: u64, wanted: u64) -> Result<()> {
    let len = object.entry.len;
    match offset.checked_add(wanted) {
        Some(end) if end <= len => Ok(()),
        _ => Err(StoreError::OutOfRange { key: object.entry.key, len, offset, wanted }),
    }
}
