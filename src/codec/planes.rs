//! Byte planes: the k-th bytes of all words side by side.
//!
//! Layout of a coded frame: the kind of each plane, a byte each (see `plane`); the planes' bodies in the same order;
//! the bytes beyond the last whole word. Plane 0 holds the lowest bytes.
//!
//! Byte planes are old practice (HDF5's shuffle, Blosc). That planes must be compressed separately and that only
//! Huffman coding pays on weights is measured here and in ZipNN (arXiv 2411.05239).

use super::isa::per_isa;
use super::plane;
use super::scratch::Scratch;
use super::word::{BLOCK, Word};

/// A bijection between words and the words that planes are made of, which may lean on a base's word.
pub(super) trait Turn: Copy + Send + Sync + 'static {
    /// Whether the base's word matters; if not, `base` slices are empty and its words zero.
    const LEANS: bool;
    /// To the coded word.
    fn forth<W: Word>(word: W, base: W) -> W;
    /// Back from the coded word.
    fn back<W: Word>(coded: W, base: W) -> W;
}

type Encode = fn(&mut Scratch, &[u8], &[u8], usize, &mut Vec<u8>) -> bool;
type Decode = fn(&mut Scratch, &[u8], &[u8], &mut [u8]) -> Result<(), &'static str>;

/// The plane coder of one word width and one bijection.
#[derive(Clone, Copy)]
pub(super) struct PlaneCoder {
    /// See [`encode`]: scratch, raw, base, limit, out.
    pub(super) encode: Encode,
    /// See [`decode`]: scratch, stored, base, out.
    pub(super) decode: Decode,
}

impl PlaneCoder {
    pub(super) fn of<W: Word, T: Turn>() -> Self {
        Self { encode: encode::<W, T>, decode: decode::<W, T> }
    }
}

/// Appends the planes of `forth(raw, base)` to `out`, or leaves `out` as it was if that takes `limit` bytes or more.
fn encode<W: Word, T: Turn>(
    scratch: &mut Scratch,
    raw: &[u8],
    base: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> bool {
    let count = raw.len() / W::BYTES;
    let (words, tail) = raw.split_at(count * W::BYTES);
    let mut planes = std::mem::take(&mut scratch.planes);
    planes.resize(words.len(), 0);
    split::<W, T>(words, lean::<T>(base, words.len()), &mut planes);
    let start = out.len();
    let kinds = out.len();
    out.resize(start + W::BYTES, 0);
    for k in 0..W::BYTES {
        out[kinds + k] = plane::encode(&mut scratch.zstd, &planes[k * count..][..count], out);
    }
    out.extend_from_slice(tail);
    scratch.planes = planes;
    let fits = out.len() - start < limit;
    if !fits {
        out.truncate(start);
    }
    fits
}

/// Fills `out` with the words that `stored` codes. `base` is as long as `out`.
///
/// # Errors
/// What is wrong with `stored`.
fn decode<W: Word, T: Turn>(
    scratch: &mut Scratch,
    stored: &[u8],
    base: &[u8],
    out: &mut [u8],
) -> Result<(), &'static str> {
    let count = out.len() / W::BYTES;
    let (words, tail) = out.split_at_mut(count * W::BYTES);
    let Scratch { zstd, planes: room, .. } = scratch;
    room.resize(words.len(), 0);
    let (kinds, mut rest) = stored.split_at_checked(W::BYTES).ok_or("no plane kinds")?;
    let mut planes: [&[u8]; 8] = [&[]; 8];
    let mut room = &mut room[..];
    for (plane, &kind) in planes.iter_mut().zip(kinds) {
        let (space, next) = room.split_at_mut(count);
        room = next;
        *plane = plane::decode(zstd, kind, &mut rest, space)?;
    }
    if rest.len() != tail.len() {
        return Err("wrong length after the planes");
    }
    tail.copy_from_slice(rest);
    merge::<W, T>(&planes, lean::<T>(base, words.len()), words);
    Ok(())
}

/// The part of the base that a transform leaning on it may see.
fn lean<T: Turn>(base: &[u8], length: usize) -> &[u8] {
    if T::LEANS { &base[..length] } else { &[] }
}

#[inline(always)]
fn window<T: Turn>(base: &[u8], from: usize, length: usize) -> &[u8] {
    if T::LEANS { &base[from..][..length] } else { &[] }
}

#[inline(always)]
fn base_word<W: Word, T: Turn>(base: &[u8], at: usize) -> W {
    if T::LEANS { W::load(&base[at * W::BYTES..]) } else { W::default() }
}

per_isa! {
    /// Writes plane k of the turned words to `planes[k * count..]`.
    fn split<W: Word, T: Turn>(words: &[u8], base: &[u8], planes: &mut [u8]) = split_body::<W, T>
}

#[inline(always)]
fn split_body<W: Word, T: Turn>(words: &[u8], base: &[u8], planes: &mut [u8]) {
    let count = words.len() / W::BYTES;
    let whole = count - count % BLOCK;
    let mut coded = [W::default(); BLOCK];
    for at in (0..whole).step_by(BLOCK) {
        let from = at * W::BYTES;
        let base = window::<T>(base, from, BLOCK * W::BYTES);
        turn_block::<W, T>(&words[from..][..BLOCK * W::BYTES], base, &mut coded);
        for k in 0..W::BYTES {
            let plane = &mut planes[k * count + at..][..BLOCK];
            for i in 0..BLOCK {
                plane[i] = (coded[i].wide() >> (8 * k)) as u8;
            }
        }
    }
    for at in whole..count {
        let coded = T::forth(W::load(&words[at * W::BYTES..]), base_word::<W, T>(base, at));
        for k in 0..W::BYTES {
            planes[k * count + at] = (coded.wide() >> (8 * k)) as u8;
        }
    }
}

#[inline(always)]
fn turn_block<W: Word, T: Turn>(words: &[u8], base: &[u8], coded: &mut [W; BLOCK]) {
    for i in 0..BLOCK {
        coded[i] = T::forth(W::load(&words[i * W::BYTES..]), base_word::<W, T>(base, i));
    }
}

per_isa! {
    /// Puts the words together again from their planes, each as long as `words` has words.
    fn merge<W: Word, T: Turn>(planes: &[&[u8]; 8], base: &[u8], words: &mut [u8]) = merge_body::<W, T>
}

#[inline(always)]
fn merge_body<W: Word, T: Turn>(planes: &[&[u8]; 8], base: &[u8], words: &mut [u8]) {
    let count = words.len() / W::BYTES;
    let whole = count - count % BLOCK;
    for at in (0..whole).step_by(BLOCK) {
        let mut coded = [W::default(); BLOCK];
        for (k, plane) in planes.iter().enumerate().take(W::BYTES) {
            let plane = &plane[at..][..BLOCK];
            for i in 0..BLOCK {
                coded[i] = coded[i].xor(W::narrow(u64::from(plane[i]) << (8 * k)));
            }
        }
        let from = at * W::BYTES;
        let base = window::<T>(base, from, BLOCK * W::BYTES);
        let words = &mut words[from..][..BLOCK * W::BYTES];
        for i in 0..BLOCK {
            T::back(coded[i], base_word::<W, T>(base, i)).store(&mut words[i * W::BYTES..]);
        }
    }
    for at in whole..count {
        let coded = (0..W::BYTES).fold(0, |word, k| word | u64::from(planes[k][at]) << (8 * k));
        T::back(W::narrow(coded), base_word::<W, T>(base, at)).store(&mut words[at * W::BYTES..]);
    }
}
