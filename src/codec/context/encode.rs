//! From words to a coded frame.
//!
//! Layout of a coded frame:
//! - flags, one byte: 1 a decay follows;
//! - the decay (see `predict`), if any;
//! - first scale, i16; lowest context, i16; number of contexts, u8 (0: no block moved);
//! - the bytes beyond the last whole word;
//! - block scales: a plane's kind and body (see `plane`, `scales`), as many bytes as the frame has blocks;
//! - if any block moved: the tables (u16 length of the stream, a plane's kind and body; see `tables`), 32 states of
//!   u32, and u16 words to the end (see `rans`).

use super::fit::fit;
use super::layout::Layout;
use super::rans::{FLOOR, GROUP, STATES, Ticket, Writer, tickets};
use super::scales::{BLOCK, Contexts, MAX_CONTEXTS, ScaleWriter, measure};
use super::symbol::{bucket, fine_bits, floor, verbatim_bits};
use super::tables::Levels;
use super::{Buffers, HAS_DECAY};
use crate::codec::isa::per_isa;
use crate::codec::plane;
use crate::codec::scratch::Scratch;
use crate::codec::word::{Word, with_word};
use crate::tensor::Lane;

/// Appends the coded frame to `out`, or leaves `out` as it was if that takes `limit` bytes or more. `base` is as long
/// as `raw`.
pub(in crate::codec) fn encode(
    scratch: &mut Scratch,
    raw: &[u8],
    base: &[u8],
    lane: Lane,
    limit: usize,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    with_word!(lane, encode_words(scratch, raw, base, lane, out));
    let fits = out.len() - start < limit;
    if !fits {
        out.truncate(start);
    }
    fits
}

fn encode_words<W: Word>(scratch: &mut Scratch, raw: &[u8], base: &[u8], lane: Lane, out: &mut Vec<u8>) {
    let Scratch { zstd, context: buffers, .. } = scratch;
    let whole = raw.len() - raw.len() % W::BYTES;
    let (words, tail) = raw.split_at(whole);
    let decay = fit(lane, words, &base[..whole]);
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
    let mut counts = vec![[0u32; 256]; ABSOLUTE_CONTEXTS];
    let first_scale = analyse::<W>(layout, words, predicted, buffers, &mut counts);
    let contexts = choose_contexts(&counts);
    out.extend_from_slice(&first_scale.to_le_bytes());
    out.extend_from_slice(&(contexts.lowest as i16).to_le_bytes());
    out.push(contexts.count as u8);
    out.extend_from_slice(tail);
    write_plane(zstd, &buffers.side, out);
    if contexts.count > 0 {
        let levels = merge_counts(&counts, contexts);
        write_tables(zstd, &levels, buffers, out);
        write_stream::<W>(contexts, buffers, out);
    }
    buffers.predicted = space;
}

fn write_plane(zstd: &mut crate::codec::zstd::Zstd, plane: &[u8], out: &mut Vec<u8>) {
    let kind_at = out.len();
    out.push(0);
    out[kind_at] = plane::encode(zstd, plane, out);
}

/// Contexts before the frame's range is known: from [`LOWEST`] half octaves to the longest magnitude.
pub(super) const ABSOLUTE_CONTEXTS: usize = 128;
/// Under a sixteenth of a rank expected: nearly all elements stay, and finer distinctions cost more than they give.
const LOWEST: i32 = -8;

per_isa! {
    /// Fills `buffers.side` with the block scales, and `codes` and `verbatim` with the elements of blocks that moved;
    /// counts the symbols of each context. Returns the first scale.
    fn analyse<W: Word>(
        layout: Layout,
        words: &[u8],
        predicted: &[u8],
        buffers: &mut Buffers,
        counts: &mut [[u32; 256]],
    ) -> i16 = analyse_body::<W>
}

#[inline(always)]
fn analyse_body<W: Word>(
    layout: Layout,
    words: &[u8],
    predicted: &[u8],
    buffers: &mut Buffers,
    counts: &mut [[u32; 256]],
) -> i16 {
    let elements = words.len() / W::BYTES;
    buffers.side.clear();
    buffers.codes.clear();
    buffers.codes.reserve(elements);
    buffers.verbatim.clear();
    buffers.verbatim.reserve(elements);
    let mut scales = ScaleWriter::default();
    let mut block = Block::<W>::new();
    for (words, predicted) in words.chunks(BLOCK * W::BYTES).zip(predicted.chunks(BLOCK * W::BYTES)) {
        let length = words.len() / W::BYTES;
        if length == BLOCK {
            block.compare(layout, words, predicted, BLOCK);
        } else {
            block.compare(layout, words, predicted, length);
        }
        let Some(scale) = measure(&block.magnitudes[..length], &block.exponents[..length]) else {
            buffers.side.push(0);
            continue;
        };
        let (scale, byte) = scales.settle(scale);
        buffers.side.push(byte);
        block.code(scale);
        for &code in &block.codes[..length] {
            counts[usize::from(code >> 8)][usize::from(code as u8)] += 1;
        }
        buffers.codes.extend_from_slice(&block.codes[..length]);
        buffers.verbatim.extend_from_slice(&block.verbatim[..length]);
    }
    scales.first()
}

/// What is known of the elements of one block.
struct Block<W> {
    magnitudes: [W; BLOCK],
    negative: [bool; BLOCK],
    exponents: [i16; BLOCK],
    /// Context above symbol.
    codes: [u16; BLOCK],
    verbatim: [u64; BLOCK],
}

impl<W: Word> Block<W> {
    fn new() -> Self {
        Self {
            magnitudes: [W::default(); BLOCK],
            negative: [false; BLOCK],
            exponents: [0; BLOCK],
            codes: [0; BLOCK],
            verbatim: [0; BLOCK],
        }
    }

    #[inline(always)]
    fn compare(&mut self, layout: Layout, words: &[u8], predicted: &[u8], length: usize) {
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
    fn code(&mut self, scale: i32) {
        let contexts = Contexts { lowest: LOWEST, count: ABSOLUTE_CONTEXTS };
        for i in 0..BLOCK {
            let bucket = bucket(self.magnitudes[i]);
            let context = contexts.of(scale, i32::from(self.exponents[i])) as u32;
            self.codes[i] = (context << 8 | bucket << 1 | u32::from(self.negative[i])) as u16;
            self.verbatim[i] = self.magnitudes[i].wide() - floor::<W>(bucket);
        }
    }
}

/// The range of contexts worth tables: those at the ends join their neighbour until that has a share worth a table.
fn choose_contexts(counts: &[[u32; 256]]) -> Contexts {
    let totals: Vec<u64> =
        counts.iter().map(|counts| counts.iter().map(|&count| u64::from(count)).sum()).collect();
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
    Contexts { lowest: LOWEST + first as i32, count: last - first + 1 }
}

fn merge_counts(counts: &[[u32; 256]], contexts: Contexts) -> Vec<Levels> {
    let mut merged = vec![[0u32; 256]; contexts.count];
    for (absolute, counts) in counts.iter().enumerate() {
        let context = relative(absolute, contexts);
        for (sum, count) in merged[context].iter_mut().zip(counts) {
            *sum += count;
        }
    }
    merged.iter().map(Levels::of_counts).collect()
}

#[inline(always)]
fn relative(absolute: usize, contexts: Contexts) -> usize {
    (absolute as i32 + LOWEST - contexts.lowest).clamp(0, contexts.count as i32 - 1) as usize
}

fn write_tables(
    zstd: &mut crate::codec::zstd::Zstd,
    levels: &[Levels],
    buffers: &mut Buffers,
    out: &mut Vec<u8>,
) {
    buffers.side.clear();
    buffers.tickets.resize(256 * levels.len(), Ticket::default());
    for (levels, table) in levels.iter().zip(buffers.tickets.chunks_exact_mut(256)) {
        levels.write(&mut buffers.side);
        tickets(&levels.frequencies(), table);
    }
    out.extend_from_slice(&(buffers.side.len() as u16).to_le_bytes());
    write_plane(zstd, &buffers.side, out);
}

/// Words that one element can add to the stream: one for its symbol, the others for its verbatim bits.
const fn words_per_element<W: Word>() -> usize {
    1 + (8 * W::BYTES - 1 - fine_bits::<W>() as usize).div_ceil(16)
}

fn write_stream<W: Word>(contexts: Contexts, buffers: &mut Buffers, out: &mut Vec<u8>) {
    let Buffers { codes, verbatim, words, tickets, .. } = buffers;
    words.resize(codes.len() * words_per_element::<W>() + 1, 0);
    let mut writer = Writer::new(words);
    let mut states = [FLOOR; STATES];
    let blocks = codes.chunks(BLOCK).zip(verbatim.chunks(BLOCK));
    for (codes, verbatim) in blocks.rev() {
        let groups = codes.chunks(GROUP).zip(verbatim.chunks(GROUP)).enumerate();
        for (group, (codes, verbatim)) in groups.rev() {
            let states = &mut states[GROUP * (group % 2)..][..codes.len()];
            write_group::<W>(contexts, tickets, codes, verbatim, states, &mut writer);
        }
    }
    out.extend(states.iter().flat_map(|state| state.to_le_bytes()));
    out.extend(writer.written().iter().flat_map(|word| word.to_le_bytes()));
}

#[inline(always)]
fn write_group<W: Word>(
    contexts: Contexts,
    tickets: &[Ticket],
    codes: &[u16],
    verbatim: &[u64],
    states: &mut [u32],
    writer: &mut Writer<'_>,
) {
    let top = codes.iter().map(|&code| code as u8).fold(0, u8::max);
    let passes = verbatim_bits::<W>(u32::from(top >> 1)).div_ceil(16);
    for pass in (0..passes).rev() {
        let lanes = states.iter_mut().zip(codes.iter().zip(verbatim));
        for (state, (&code, &verbatim)) in lanes.rev() {
            let bits = verbatim_bits::<W>(u32::from(code as u8 >> 1)).saturating_sub(16 * pass).min(16);
            let value = (verbatim >> (16 * pass)) as u32 & ((1 << bits) - 1);
            writer.verbatim(state, value, bits);
        }
    }
    for (state, &code) in states.iter_mut().zip(codes).rev() {
        let context = relative(usize::from(code >> 8), contexts);
        writer.symbol(state, &tickets[context << 8 | usize::from(code as u8)]);
    }
}
