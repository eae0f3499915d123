//! From a coded frame back to words. See `encode` for the layout.

use super::lanes::Lanes;
use super::layout::Layout;
use super::predict::Decay;
use super::rans::{GROUP, GroupStates, States, Stream};
use super::scales::{BLOCK, Contexts, MAX_CONTEXTS, MAX_SHARING, STILL, read};
use super::symbol::{alphabet, fine_bits, floor, passes, verbatim_bits};
use super::tables::{Levels, RUN, SLOTS, SlotTables, fill_slots};
use super::with_lanes::with_lanes;
use super::{Buffers, HAS_DECAY, SHARING_AT};
use crate::codec::isa::per_isa;
use crate::codec::plane::golomb::Reader;
use crate::codec::plane::{self, take};
use crate::codec::word::{Word, with_word};
use crate::codec::zstd::Zstd;
use crate::tensor::Lane;
use std::iter::repeat_n;
use std::ops::Range;

/// Fills `out` with the frame that `stored` codes. `base` is as long as `out`.
///
/// # Errors
/// What is wrong with `stored`.
pub(in crate::codec) fn decode(
    zstd: &mut Zstd,
    buffers: &mut Buffers,
    stored: &[u8],
    base: &[u8],
    lane: Lane,
    out: &mut [u8],
) -> Result<(), &'static str> {
    with_word!(lane, decode_words(zstd, buffers, stored, base, lane, out))
}

fn decode_words<W: Word>(
    zstd: &mut Zstd,
    buffers: &mut Buffers,
    stored: &[u8],
    base: &[u8],
    lane: Lane,
    out: &mut [u8],
) -> Result<(), &'static str> {
    let Buffers { predicted, slots, side, .. } = buffers;
    let mut rest = stored;
    let whole = out.len() - out.len() % W::BYTES;
    let (words, tail) = out.split_at_mut(whole);
    let flags = take(&mut rest, 1)?[0];
    let sharing = u32::from(flags >> SHARING_AT);
    if sharing > MAX_SHARING {
        return Err("unknown flags");
    }
    let predicted = predict(flags, &mut rest, lane, &base[..whole], predicted)?;
    let first_scale = read_i16(&mut rest)?;
    let lowest = i32::from(read_i16(&mut rest)?);
    let count = usize::from(take(&mut rest, 1)?[0]);
    tail.copy_from_slice(take(&mut rest, tail.len())?);
    side.resize(words.len().div_ceil((BLOCK * W::BYTES) << sharing), 0);
    let kind = take(&mut rest, 1)?[0];
    let scales = plane::decode(zstd, kind, &mut rest, side)?;
    if count == 0 {
        return still(scales, rest, predicted, words);
    }
    if count > MAX_CONTEXTS {
        return Err("too many contexts");
    }
    let places = read_tables::<W>(&mut rest, count, slots)?;
    let slots = slots.first_chunk().expect("as long as all tables");
    let contexts = Contexts { lowest, count };
    let layout = Layout::of(lane);
    let frame = Frame { layout, contexts, places, slots, first_scale, scales, sharing, predicted };
    let (mut states, mut stream) = Stream::open(rest).ok_or("states cut short")?;
    decode_blocks::<W>(&frame, words, &mut states, &mut stream);
    stream.is_finished(&states).then_some(()).ok_or("the stream does not end where it should")
}

/// A frame of which no block moved.
fn still(scales: &[u8], rest: &[u8], predicted: &[u8], words: &mut [u8]) -> Result<(), &'static str> {
    if !rest.is_empty() || scales.iter().any(|&byte| byte != STILL) {
        return Err("blocks that move in a frame without tables");
    }
    words.copy_from_slice(predicted);
    Ok(())
}

fn predict<'a>(
    flags: u8,
    rest: &mut &[u8],
    lane: Lane,
    base: &'a [u8],
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    match flags & HAS_DECAY {
        0 => Ok(base),
        _ => {
            let bytes = take(rest, Decay::LEN)?.try_into().expect("as many bytes as were taken");
            buffer.resize(base.len(), 0);
            Decay::from_bytes(bytes)?.predict(lane, base, buffer)?;
            Ok(buffer)
        }
    }
}

fn read_i16(rest: &mut &[u8]) -> Result<i16, &'static str> {
    take(rest, 2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
}

/// Where the tables of contexts start among the slots.
type Places = [u32; MAX_CONTEXTS];

/// Reads the tables of `count` contexts.
fn read_tables<W: Word>(
    rest: &mut &[u8],
    count: usize,
    slots: &mut Vec<u32>,
) -> Result<Places, &'static str> {
    slots.resize(MAX_CONTEXTS * SLOTS + RUN, 0);
    let (mut places, mut served, mut tables) = ([0; MAX_CONTEXTS], 0, 0);
    let (mut stream, mut before) = (Reader::open(rest)?, Levels::NONE);
    while served < count {
        let contexts = usize::from(stream.next()?) + 1;
        places[..count]
            .get_mut(served..served + contexts)
            .ok_or("tables for too many contexts")?
            .fill(tables);
        before = Levels::read(&mut stream, &before, alphabet::<W>())?;
        build::<W>(&before, &mut slots[tables as usize..]);
        served += contexts;
        tables += SLOTS as u32;
    }
    *rest = stream.finish()?;
    Ok(places)
}

per_isa! {
    /// Fills the slots of one context.
    fn build<W: Word>(levels: &Levels, slots: &mut [u32]) = build_body::<W>
}

#[inline(always)]
fn build_body<W: Word>(levels: &Levels, slots: &mut [u32]) {
    fill_slots(&levels.frequencies(), slots);
}

/// What the elements of a frame are decoded with.
struct Frame<'a> {
    layout: Layout,
    contexts: Contexts,
    places: Places,
    slots: &'a SlotTables,
    first_scale: i16,
    scales: &'a [u8],
    sharing: u32,
    predicted: &'a [u8],
}

fn decode_blocks<W: Word>(frame: &Frame<'_>, words: &mut [u8], states: &mut States, stream: &mut Stream<'_>) {
    with_lanes!(decode_blocks_with::<W>(
        frame: &Frame<'_>,
        words: &mut [u8],
        states: &mut States,
        stream: &mut Stream<'_>,
    ))
}

/// # Safety
/// The machine must have the instructions of `L`.
#[inline(always)]
unsafe fn decode_blocks_with<W: Word, L: Lanes>(
    frame: &Frame<'_>,
    words: &mut [u8],
    states: &mut States,
    stream: &mut Stream<'_>,
) {
    let mut block = Block::new();
    let blocks = words.chunks_mut(BLOCK * W::BYTES).zip(frame.predicted.chunks(BLOCK * W::BYTES));
    let scales = read(frame.first_scale, frame.scales).flat_map(|scale| repeat_n(scale, 1 << frame.sharing));
    for (scale, (words, predicted)) in scales.zip(blocks) {
        match scale {
            None => words.copy_from_slice(predicted),
            Some(scale) if words.len() == BLOCK * W::BYTES => {
                block.place::<W, BLOCK>(frame, scale, predicted);
                // SAFETY: as the caller vouches.
                unsafe { block.pull::<W, L>(frame, states, stream) };
                block.step::<W, BLOCK>(frame.layout, predicted, words);
            }
            Some(scale) => decode_last_block::<W>(&mut block, frame, scale, predicted, words, states, stream),
        }
    }
}

/// A block that is cut short: element by element.
fn decode_last_block<W: Word>(
    block: &mut Block,
    frame: &Frame<'_>,
    scale: i32,
    predicted: &[u8],
    words: &mut [u8],
    states: &mut States,
    stream: &mut Stream<'_>,
) {
    let elements = words.chunks_exact_mut(W::BYTES).zip(predicted.chunks_exact(W::BYTES)).enumerate();
    for (i, (_, predicted)) in elements {
        block.place_at::<W>(i, frame, scale, predicted);
    }
    let length = words.len() / W::BYTES;
    for group in (0..length).step_by(GROUP) {
        let end = length.min(group + GROUP);
        block.pull_some::<W>(group..end, frame, &mut states[group / GROUP % 2], stream);
    }
    let elements = words.chunks_exact_mut(W::BYTES).zip(predicted.chunks_exact(W::BYTES)).enumerate();
    for (i, (word, predicted)) in elements {
        block.step_at::<W>(i, frame.layout, predicted, word);
    }
}

/// What is known of the elements of one block.
struct Block {
    contexts: [u32; BLOCK],
    symbols: [u32; BLOCK],
    /// The magnitude's bits below the bucket, 32 and 32.
    low: [u32; BLOCK],
    high: [u32; BLOCK],
}

impl Block {
    fn new() -> Self {
        Self { contexts: [0; BLOCK], symbols: [0; BLOCK], low: [0; BLOCK], high: [0; BLOCK] }
    }

    #[inline(always)]
    fn place<W: Word, const LEN: usize>(&mut self, frame: &Frame<'_>, scale: i32, predicted: &[u8]) {
        let predicted = &predicted[..LEN * W::BYTES];
        for i in 0..LEN {
            self.place_at::<W>(i, frame, scale, &predicted[i * W::BYTES..]);
        }
    }

    #[inline(always)]
    fn place_at<W: Word>(&mut self, i: usize, frame: &Frame<'_>, scale: i32, predicted: &[u8]) {
        let exponent = frame.layout.exponent(W::load(predicted));
        self.contexts[i] = frame.contexts.of(scale, exponent);
    }

    /// Decodes symbols and verbatim bits of a whole block.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`.
    #[inline(always)]
    unsafe fn pull<W: Word, L: Lanes>(
        &mut self,
        frame: &Frame<'_>,
        states: &mut States,
        stream: &mut Stream<'_>,
    ) {
        // SAFETY: as the caller vouches.
        let [mut even, mut odd] = unsafe { [L::load(&states[0]), L::load(&states[1])] };
        let contexts = self.contexts.as_chunks::<GROUP>().0.iter();
        let symbols = self.symbols.as_chunks_mut::<GROUP>().0.iter_mut();
        let low = self.low.as_chunks_mut::<GROUP>().0.iter_mut();
        let high = self.high.as_chunks_mut::<GROUP>().0.iter_mut();
        for (((contexts, symbols), low), high) in contexts.zip(symbols).zip(low).zip(high) {
            // SAFETY: as the caller vouches.
            let places = unsafe { L::load(contexts) }.look_up(&frame.places);
            let (state, symbol) = even.pull_symbols(places, frame.slots, stream);
            symbol.store(symbols);
            let state = pull_half::<W, L>(state, symbol, 0, low, stream);
            let state =
                if passes::<W>() > 2 { pull_half::<W, L>(state, symbol, 2, high, stream) } else { state };
            (even, odd) = (odd, state);
        }
        even.store(&mut states[0]);
        odd.store(&mut states[1]);
    }

    /// Decodes symbols and verbatim bits of up to a group.
    fn pull_some<W: Word>(
        &mut self,
        elements: Range<usize>,
        frame: &Frame<'_>,
        states: &mut GroupStates,
        stream: &mut Stream<'_>,
    ) {
        for (i, state) in elements.clone().zip(states.iter_mut()) {
            let place = frame.places[self.contexts[i] as usize];
            let table = &frame.slots[place as usize..][..SLOTS];
            (*state, self.symbols[i]) = stream.pull_symbol(*state, table);
            (self.low[i], self.high[i]) = (0, 0);
        }
        for pass in 0..passes::<W>() as u32 {
            for (i, state) in elements.clone().zip(states.iter_mut()) {
                let bits = verbatim_bits::<W>(self.symbols[i] >> 1).saturating_sub(16 * pass).min(16);
                let half = if pass < 2 { &mut self.low[i] } else { &mut self.high[i] };
                let value;
                (*state, value) = stream.pull_bits(*state, bits);
                *half |= value << (16 * (pass % 2));
            }
        }
    }

    #[inline(always)]
    fn step<W: Word, const LEN: usize>(&self, layout: Layout, predicted: &[u8], words: &mut [u8]) {
        let (predicted, words) = (&predicted[..LEN * W::BYTES], &mut words[..LEN * W::BYTES]);
        for i in 0..LEN {
            self.step_at::<W>(i, layout, &predicted[i * W::BYTES..], &mut words[i * W::BYTES..]);
        }
    }

    #[inline(always)]
    fn step_at<W: Word>(&self, i: usize, layout: Layout, predicted: &[u8], word: &mut [u8]) {
        let magnitude = floor::<W>(self.symbols[i] >> 1).plus(W::joined(self.low[i], self.high[i]));
        let difference = if self.symbols[i] & 1 == 1 { magnitude.negated() } else { magnitude };
        layout.step(difference, W::load(predicted)).store(word);
    }
}

/// Decodes 32 verbatim bits of a group, from turn `pass` on. The second turn is rarely needed.
#[inline(always)]
fn pull_half<W: Word, L: Lanes>(
    state: L,
    symbols: L,
    pass: u32,
    half: &mut [u32; GROUP],
    stream: &mut Stream<'_>,
) -> L {
    let (mut state, mut values) = state.pull_bits(symbols.verbatim(fine_bits::<W>(), pass), stream);
    if passes::<W>() > 1 {
        let bits = symbols.verbatim(fine_bits::<W>(), pass + 1);
        if bits.any() {
            let (fed, upper) = state.pull_bits(bits, stream);
            (state, values) = (fed, values.below(upper));
        }
    }
    values.store(half);
    state
}
