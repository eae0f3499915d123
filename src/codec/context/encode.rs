//! From words to a coded frame.
//!
//! Layout of a coded frame:
//! - flags, one byte: 1 a decay follows; twice the logarithm of how many blocks share a scale;
//! - the decay (see `predict`), if any;
//! - first scale, i16; lowest context, i16; number of contexts, u8 (0: no block moved);
//! - the bytes beyond the last whole word;
//! - block scales: a plane's kind and body (see `plane`, `scales`), a byte for as many blocks as share one;
//! - if any block moved: the tables (see `tables`), 32 states of u32, and u16 words to the end (see `rans`).

use super::counts::{CONTEXTS, Counts};
use super::fit::fit;
use super::lanes::Lanes;
use super::layout::Layout;
use super::merge::{Group, merge};
use super::rans::{FLOOR, GROUP, GroupStates, Sink, States, Ticket, tickets};
use super::scales::{BLOCK, Contexts, MAX_CONTEXTS, Measure, STILL, ScaleWriter};
use super::symbol::{bucket, fine_bits, floor, passes, verbatim_bits};
use super::tables::Levels;
use super::with_lanes::with_lanes;
use super::{Buffers, HAS_DECAY, SHARING_AT};
use crate::codec::isa::per_isa;
use crate::codec::plane;
use crate::codec::plane::golomb;
use crate::codec::word::{Word, with_word};
use crate::codec::zstd::Zstd;
use crate::tensor::Lane;

/// Appends the coded frame to `out`, or leaves `out` as it was if that takes `limit` bytes or more. `base` is as long
/// as `raw`.
pub(in crate::codec) fn encode(
    zstd: &mut Zstd,
    buffers: &mut Buffers,
    raw: &[u8],
    base: &[u8],
    lane: Lane,
    limit: usize,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    with_word!(lane, encode_words(zstd, buffers, raw, base, lane, out));
    let fits = out.len() - start < limit;
    if !fits {
        out.truncate(start);
    }
    fits
}

fn encode_words<W: Word>(
    zstd: &mut Zstd,
    buffers: &mut Buffers,
    raw: &[u8],
    base: &[u8],
    lane: Lane,
    out: &mut Vec<u8>,
) {
    let whole = raw.len() - raw.len() % W::BYTES;
    let (words, tail) = raw.split_at(whole);
    let decay = fit(lane, words, &base[..whole]);
    let flags_at = out.len();
    out.push(if decay.is_some() { HAS_DECAY } else { 0 });
    let mut space = std::mem::take(&mut buffers.predicted);
    let predicted = match decay {
        None => &base[..whole],
        Some(decay) => {
            out.extend_from_slice(&decay.to_bytes());
            space.resize(whole, 0);
            decay.predict(lane, &base[..whole], &mut space).expect("only float lanes are fitted a decay");
            &space[..]
        }
    };
    let layout = Layout::of(lane);
    let measure = Measure::for_frame(lane, moved_share::<W>(words, predicted));
    out[flags_at] |= (measure.sharing as u8) << SHARING_AT;
    let first_scale = analyse::<W>(layout, measure, words, predicted, buffers);
    let contexts = choose_contexts(&buffers.counts);
    out.extend_from_slice(&first_scale.to_le_bytes());
    out.extend_from_slice(&(contexts.lowest as i16).to_le_bytes());
    out.push(contexts.count as u8);
    out.extend_from_slice(tail);
    let kind_at = out.len();
    out.push(0);
    out[kind_at] = plane::encode_small(zstd, &buffers.side, out);
    if contexts.count > 0 {
        let groups = merge::<W>(counts_of(&buffers.counts, contexts));
        write_tables(&groups, buffers, out);
        write_stream::<W>(contexts, buffers, out);
    }
    buffers.predicted = space;
}

/// The share of words that are not what was predicted, from every sixteenth run of 64.
pub(super) fn moved_share<W: Word>(words: &[u8], predicted: &[u8]) -> f64 {
    let run = 64 * W::BYTES;
    let runs = words.chunks(run).zip(predicted.chunks(run)).step_by(16);
    let (mut moved, mut seen) = (0, 0);
    for (words, predicted) in runs {
        let pairs = words.chunks_exact(W::BYTES).zip(predicted.chunks_exact(W::BYTES));
        moved += pairs.filter(|(word, predicted)| word != predicted).count();
        seen += words.len() / W::BYTES;
    }
    moved as f64 / seen.max(1) as f64
}

/// Contexts before the frame's range is known start here. Under a sixteenth of a rank expected: nearly all elements stay, and finer distinctions cost more than they give.
const LOWEST: i32 = -8;

per_isa! {
    /// Fills `buffers.side` with the block scales, `codes`, `low` and `high` with the elements of blocks that moved,
    /// `counts` with the symbols of each context. Returns the first scale.
    fn analyse<W: Word>(
        layout: Layout,
        measure: Measure,
        words: &[u8],
        predicted: &[u8],
        buffers: &mut Buffers,
    ) -> i16 = analyse_body::<W>
}

#[inline(always)]
fn analyse_body<W: Word>(
    layout: Layout,
    measure: Measure,
    words: &[u8],
    predicted: &[u8],
    buffers: &mut Buffers,
) -> i16 {
    buffers.start(words.len() / W::BYTES);
    let mut scales = ScaleWriter::default();
    let mut block = Block::<W>::new();
    let share = (BLOCK * W::BYTES) << measure.sharing;
    for (words, predicted) in words.chunks(share).zip(predicted.chunks(share)) {
        let parts = || words.chunks(BLOCK * W::BYTES).zip(predicted.chunks(BLOCK * W::BYTES));
        let mut sum = 0.0;
        for (words, predicted) in parts() {
            block.compare(layout, words, predicted);
            sum += measure.sum(&block.magnitudes[..block.length], &block.exponents[..block.length]);
        }
        let Some(scale) = measure.scale(sum, words.len() / W::BYTES) else {
            buffers.side.push(STILL);
            continue;
        };
        let (scale, byte) = scales.settle(scale);
        buffers.side.push(byte);
        for (words, predicted) in parts() {
            // A block that is alone was compared just now.
            if measure.sharing > 0 {
                block.compare(layout, words, predicted);
            }
            block.code(scale);
            block.append_to(buffers);
        }
    }
    scales.first()
}

/// What is known of the elements of one block.
struct Block<W> {
    /// How many there are: fewer than fit in the frame's last block.
    length: usize,
    magnitudes: [W; BLOCK],
    negative: [bool; BLOCK],
    exponents: [i16; BLOCK],
    /// Context above symbol.
    codes: [u16; BLOCK],
    /// The magnitude's bits below the bucket, 32 and 32.
    low: [u32; BLOCK],
    high: [u32; BLOCK],
}

impl<W: Word> Block<W> {
    fn new() -> Self {
        Self {
            length: BLOCK,
            magnitudes: [W::default(); BLOCK],
            negative: [false; BLOCK],
            exponents: [0; BLOCK],
            codes: [0; BLOCK],
            low: [0; BLOCK],
            high: [0; BLOCK],
        }
    }

    /// Takes up the elements of a block.
    #[inline(always)]
    fn compare(&mut self, layout: Layout, words: &[u8], predicted: &[u8]) {
        self.length = words.len() / W::BYTES;
        if self.length == BLOCK {
            self.compare_some(layout, words, predicted, BLOCK);
        } else {
            self.compare_some(layout, words, predicted, self.length);
        }
    }

    #[inline(always)]
    fn compare_some(&mut self, layout: Layout, words: &[u8], predicted: &[u8], length: usize) {
        let (words, predicted) = (&words[..length * W::BYTES], &predicted[..length * W::BYTES]);
        for i in 0..length {
            let predicted = W::load(&predicted[i * W::BYTES..]);
            let difference = layout.difference(W::load(&words[i * W::BYTES..]), predicted);
            let negative = difference.negative();
            self.magnitudes[i] = if negative { difference.negated() } else { difference };
            self.negative[i] = negative;
            self.exponents[i] = layout.exponent(predicted) as i16;
        }
    }

    #[inline(always)]
    fn append_to(&self, buffers: &mut Buffers) {
        buffers.counts.add(&self.codes[..self.length]);
        buffers.codes.extend_from_slice(&self.codes[..self.length]);
        buffers.low.extend_from_slice(&self.low[..self.length]);
        if passes::<W>() > 2 {
            buffers.high.extend_from_slice(&self.high[..self.length]);
        }
    }

    #[inline(always)]
    fn code(&mut self, scale: i32) {
        let contexts = Contexts { lowest: LOWEST, count: CONTEXTS };
        for i in 0..BLOCK {
            let bucket = bucket(self.magnitudes[i]);
            let context = contexts.of(scale, i32::from(self.exponents[i]));
            self.codes[i] = (context << 8 | bucket << 1 | u32::from(self.negative[i])) as u16;
            let below = self.magnitudes[i].minus(floor::<W>(bucket)).wide();
            self.low[i] = below as u32;
            self.high[i] = (below >> 32) as u32;
        }
    }
}

/// The range of contexts worth tables: those at the ends join their neighbour until that has a share worth a table.
fn choose_contexts(counts: &Counts) -> Contexts {
    let found = counts.contexts();
    let totals: Vec<u64> =
        found.clone().map(|context| u64::from(counts.of(context).iter().sum::<u32>())).collect();
    let all: u64 = totals.iter().sum();
    if all == 0 {
        return Contexts { lowest: 0, count: 0 };
    }
    let worth = (all / 512).max(64).min(all);
    let reached = |sum: &mut u64, total: u64| {
        *sum += total;
        Some(*sum >= worth)
    };
    let short = |reached: &bool| !reached;
    let first = totals.iter().copied().scan(0, reached).take_while(short).count();
    let last = totals.len() - 1 - totals.iter().rev().copied().scan(0, reached).take_while(short).count();
    let last = last.max(first);
    let first = first.max((last + 1).saturating_sub(MAX_CONTEXTS));
    Contexts { lowest: LOWEST + (found.start + first) as i32, count: last - first + 1 }
}

/// How often each context that the frame has meets each symbol.
fn counts_of(counts: &Counts, contexts: Contexts) -> Vec<[u32; 256]> {
    let mut merged = vec![[0u32; 256]; contexts.count];
    for absolute in counts.contexts() {
        let context = relative(absolute as u32, contexts);
        for (sum, count) in merged[context as usize].iter_mut().zip(counts.of(absolute)) {
            *sum += count;
        }
    }
    merged
}

#[inline(always)]
fn relative(absolute: u32, contexts: Contexts) -> u32 {
    (absolute as i32 + LOWEST - contexts.lowest).clamp(0, contexts.count as i32 - 1) as u32
}

/// Appends the tables and leaves every context's tickets in `buffers`.
fn write_tables(groups: &[Group], buffers: &mut Buffers, out: &mut Vec<u8>) {
    let Buffers { side, tickets: all, .. } = buffers;
    all.resize(256 * MAX_CONTEXTS, Ticket::default());
    side.clear();
    let (mut before, mut contexts) = (Levels::NONE, all.chunks_exact_mut(256));
    for group in groups {
        let levels = Levels::of_counts(&group.counts, &before);
        side.push(group.contexts as u8 - 1);
        levels.write(&before, side);
        let frequencies = levels.frequencies();
        let mut table = [Ticket::default(); 256];
        tickets(&frequencies, &mut table);
        contexts.by_ref().take(group.contexts).for_each(|context| context.copy_from_slice(&table));
        before = levels;
    }
    let (order, _) = golomb::measure(side);
    golomb::encode(side, order, out);
}

fn write_stream<W: Word>(contexts: Contexts, buffers: &mut Buffers, out: &mut Vec<u8>) {
    let Buffers { codes, low, high, stream, tickets, .. } = buffers;
    stream.resize((codes.len() * 2 * (1 + passes::<W>()) + Sink::MARGIN).max(stream.len()), 0);
    let mut sink = Sink::new(stream);
    let mut states = [[FLOOR; GROUP]; 2];
    let whole = codes.len() - codes.len() % BLOCK;
    let elements = Elements { codes, low, high };
    push_last_block::<W>(contexts, tickets, elements.from(whole), &mut states, &mut sink);
    push_blocks::<W>(contexts, tickets, elements.until(whole), &mut states, &mut sink);
    out.extend(states.as_flattened().iter().flat_map(|state| state.to_le_bytes()));
    out.extend_from_slice(sink.written());
}

/// Symbols and verbatim bits of consecutive elements; `high` is empty for words of at most 32 bits.
#[derive(Clone, Copy)]
struct Elements<'a> {
    codes: &'a [u16],
    low: &'a [u32],
    high: &'a [u32],
}

impl Elements<'_> {
    fn until(self, end: usize) -> Self {
        let Self { codes, low, high } = self;
        Self { codes: &codes[..end], low: &low[..end], high: &high[..end.min(high.len())] }
    }

    fn from(self, start: usize) -> Self {
        let Self { codes, low, high } = self;
        Self { codes: &codes[start..], low: &low[start..], high: &high[start.min(high.len())..] }
    }
}

/// A block that is cut short: element by element.
fn push_last_block<W: Word>(
    contexts: Contexts,
    tickets: &[Ticket],
    elements: Elements<'_>,
    states: &mut States,
    sink: &mut Sink<'_>,
) {
    for first in (0..elements.codes.len()).step_by(GROUP).rev() {
        let group = elements.from(first).until(GROUP.min(elements.codes.len() - first));
        push_some::<W>(contexts, tickets, group, &mut states[first / GROUP % 2], sink);
    }
}

/// Up to a group.
fn push_some<W: Word>(
    contexts: Contexts,
    tickets: &[Ticket],
    elements: Elements<'_>,
    states: &mut GroupStates,
    sink: &mut Sink<'_>,
) {
    let Elements { codes, low, high } = elements;
    for pass in (0..passes::<W>() as u32).rev() {
        let half = if pass < 2 { low } else { high };
        for i in (0..codes.len()).rev() {
            let bits = verbatim_bits::<W>(u32::from(codes[i] as u8 >> 1)).saturating_sub(16 * pass).min(16);
            let value = half[i] >> (16 * (pass % 2)) & ((1 << bits) - 1);
            states[i] = sink.push_bits(states[i], value, bits);
        }
    }
    for (state, &code) in states.iter_mut().zip(codes).rev() {
        let context = relative(u32::from(code >> 8), contexts);
        *state = tickets[(context << 8 | u32::from(code as u8)) as usize].push(*state, sink);
    }
}

fn push_blocks<W: Word>(
    contexts: Contexts,
    tickets: &[Ticket],
    elements: Elements<'_>,
    states: &mut States,
    sink: &mut Sink<'_>,
) {
    with_lanes!(push_blocks_with::<W>(
        contexts: Contexts,
        tickets: &[Ticket],
        elements: Elements<'_>,
        states: &mut States,
        sink: &mut Sink<'_>,
    ))
}

/// # Safety
/// The machine must have the instructions of `L`.
#[inline(always)]
unsafe fn push_blocks_with<W: Word, L: Lanes>(
    contexts: Contexts,
    tickets: &[Ticket],
    elements: Elements<'_>,
    states: &mut States,
    sink: &mut Sink<'_>,
) {
    let mut places = [0; BLOCK];
    // SAFETY: as the caller vouches.
    let [mut even, mut odd] = unsafe { [L::load(&states[0]), L::load(&states[1])] };
    for first in (0..elements.codes.len()).step_by(BLOCK).rev() {
        let block = elements.from(first).until(BLOCK);
        let codes: &[u16; BLOCK] = block.codes.try_into().expect("a whole block");
        for (place, &code) in places.iter_mut().zip(codes) {
            *place = relative(u32::from(code >> 8), contexts) << 8 | u32::from(code) & 0xff;
        }
        for group in (0..BLOCK / GROUP).rev() {
            let of = |numbers: &[u32]| -> L {
                let group = numbers[group * GROUP..].first_chunk().expect("a block has whole groups");
                // SAFETY: as the caller vouches.
                unsafe { L::load(group) }
            };
            let places = of(&places);
            let mut state = odd;
            if passes::<W>() > 2 {
                state = push_half::<W, L>(state, places, 2, of(block.high), sink);
            }
            state = push_half::<W, L>(state, places, 0, of(block.low), sink);
            state = state.push_symbols(places, tickets, sink);
            (even, odd) = (state, even);
        }
    }
    even.store(&mut states[0]);
    odd.store(&mut states[1]);
}

/// Encodes 32 verbatim bits of a group, those that reading starts at turn `pass`.
#[inline(always)]
fn push_half<W: Word, L: Lanes>(mut state: L, places: L, pass: u32, half: L, sink: &mut Sink<'_>) -> L {
    let symbols = places.low_byte();
    if passes::<W>() > 1 {
        let bits = symbols.verbatim(fine_bits::<W>(), pass + 1);
        if bits.any() {
            state = state.push_bits(half.upper(), bits, sink);
        }
    }
    state.push_bits(half, symbols.verbatim(fine_bits::<W>(), pass), sink)
}
