//! From a coded frame back to words. See `encode` for the layout.

use super::layout::Layout;
use super::predict::Decay;
use super::rans::{GROUP, Reader};
use super::scales::{BLOCK, Contexts, MAX_CONTEXTS, read};
use super::symbol::{alphabet, floor, verbatim_bits};
use super::tables::{Levels, SLOTS, fill_slots};
use super::{Buffers, HAS_DECAY};
use crate::codec::plane::{self, take};
use crate::codec::scratch::Scratch;
use crate::codec::word::{Word, with_word};
use crate::codec::zstd::Zstd;
use crate::tensor::Lane;

/// Fills `out` with the frame that `stored` codes. `base` is as long as `out`.
///
/// # Errors
/// What is wrong with `stored`.
pub(in crate::codec) fn decode(
    scratch: &mut Scratch,
    stored: &[u8],
    base: &[u8],
    lane: Lane,
    out: &mut [u8],
) -> Result<(), &'static str> {
    with_word!(lane, decode_words(scratch, stored, base, lane, out))
}

fn decode_words<W: Word>(
    scratch: &mut Scratch,
    stored: &[u8],
    base: &[u8],
    lane: Lane,
    out: &mut [u8],
) -> Result<(), &'static str> {
    let Scratch { zstd, context: buffers, .. } = scratch;
    let Buffers { predicted, slots, side, .. } = buffers;
    let mut rest = stored;
    let whole = out.len() - out.len() % W::BYTES;
    let (words, tail) = out.split_at_mut(whole);
    let predicted = predict(&mut rest, lane, &base[..whole], predicted)?;
    let first_scale = read_i16(&mut rest)?;
    let lowest = i32::from(read_i16(&mut rest)?);
    let count = usize::from(take(&mut rest, 1)?[0]);
    tail.copy_from_slice(take(&mut rest, tail.len())?);
    side.resize(words.len().div_ceil(BLOCK * W::BYTES) + usize::from(u16::MAX), 0);
    let (scales, side) = side.split_at_mut(words.len().div_ceil(BLOCK * W::BYTES));
    let scales = read_plane(zstd, &mut rest, scales)?;
    if count == 0 {
        return still(scales, rest, predicted, words);
    }
    if count > MAX_CONTEXTS {
        return Err("too many contexts");
    }
    read_tables::<W>(zstd, &mut rest, count, side, slots)?;
    let tables = Tables { contexts: Contexts { lowest, count }, slots };
    let mut reader = Reader::new(rest).ok_or("states cut short")?;
    let blocks = words.chunks_mut(BLOCK * W::BYTES).zip(predicted.chunks(BLOCK * W::BYTES));
    for (scale, (words, predicted)) in read(first_scale, scales).zip(blocks) {
        match scale {
            None => words.copy_from_slice(predicted),
            Some(scale) => decode_block::<W>(Layout::of(lane), tables, scale, predicted, words, &mut reader),
        }
    }
    reader.is_finished().then_some(()).ok_or("the stream does not end where it should")
}

/// A frame of which no block moved.
fn still(scales: &[u8], rest: &[u8], predicted: &[u8], words: &mut [u8]) -> Result<(), &'static str> {
    if !rest.is_empty() || scales.iter().any(|&byte| byte != 0) {
        return Err("blocks that move in a frame without tables");
    }
    words.copy_from_slice(predicted);
    Ok(())
}

fn predict<'a>(
    rest: &mut &[u8],
    lane: Lane,
    base: &'a [u8],
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], &'static str> {
    match take(rest, 1)?[0] {
        0 => Ok(base),
        HAS_DECAY => {
            let bytes = take(rest, Decay::LEN)?.try_into().expect("as many bytes as were taken");
            buffer.resize(base.len(), 0);
            Decay::from_bytes(bytes)?.predict(lane, base, buffer)?;
            Ok(buffer)
        }
        _ => Err("unknown flags"),
    }
}

fn read_i16(rest: &mut &[u8]) -> Result<i16, &'static str> {
    take(rest, 2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
}

fn read_plane<'a>(
    zstd: &mut Zstd,
    rest: &mut &'a [u8],
    space: &'a mut [u8],
) -> Result<&'a [u8], &'static str> {
    let kind = take(rest, 1)?[0];
    plane::decode(zstd, kind, rest, space)
}

fn read_tables<'a, W: Word>(
    zstd: &mut Zstd,
    rest: &mut &'a [u8],
    count: usize,
    space: &'a mut [u8],
    slots: &mut Vec<u32>,
) -> Result<(), &'static str> {
    let length = take(rest, 2)?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let mut stream = read_plane(zstd, rest, &mut space[..length])?;
    slots.resize(MAX_CONTEXTS * SLOTS, 0);
    for slots in slots.chunks_exact_mut(SLOTS).take(count) {
        fill_slots(&Levels::read(&mut stream, alphabet::<W>())?.frequencies(), slots);
    }
    stream.is_empty().then_some(()).ok_or("bytes after the tables")
}

/// The tables of a frame.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    /// Which contexts there are.
    pub(super) contexts: Contexts,
    /// Their slots, one table after the other.
    pub(super) slots: &'a [u32],
}

fn decode_block<W: Word>(
    layout: Layout,
    tables: Tables<'_>,
    scale: i32,
    predicted: &[u8],
    words: &mut [u8],
    reader: &mut Reader<'_>,
) {
    let groups = words.chunks_mut(GROUP * W::BYTES).zip(predicted.chunks(GROUP * W::BYTES)).enumerate();
    for (group, (words, predicted)) in groups {
        decode_group::<W>(layout, tables, scale, GROUP * (group % 2), predicted, words, reader);
    }
}

/// Decodes up to 16 elements with the states from `first` on.
fn decode_group<W: Word>(
    layout: Layout,
    tables: Tables<'_>,
    scale: i32,
    first: usize,
    predicted: &[u8],
    words: &mut [u8],
    reader: &mut Reader<'_>,
) {
    let length = words.len() / W::BYTES;
    let mut symbols = [0u32; GROUP];
    for (i, symbol) in symbols[..length].iter_mut().enumerate() {
        let exponent = layout.exponent(W::load(&predicted[i * W::BYTES..]));
        let context = tables.contexts.of(scale, exponent);
        *symbol = reader.symbol(first + i, &tables.slots[context * SLOTS..][..SLOTS]);
    }
    let mut low = [0u64; GROUP];
    let top = symbols.iter().fold(0, |top, &symbol| symbol.max(top));
    for pass in 0..verbatim_bits::<W>(top >> 1).div_ceil(16) {
        for (i, low) in low[..length].iter_mut().enumerate() {
            let bits = verbatim_bits::<W>(symbols[i] >> 1).saturating_sub(16 * pass).min(16);
            *low |= u64::from(reader.verbatim(first + i, bits)) << (16 * pass);
        }
    }
    for i in 0..length {
        let magnitude = W::narrow(floor::<W>(symbols[i] >> 1) + low[i]);
        let difference = if symbols[i] & 1 == 1 { magnitude.negated() } else { magnitude };
        let predicted = W::load(&predicted[i * W::BYTES..]);
        layout.step(difference, predicted).store(&mut words[i * W::BYTES..]);
    }
}
