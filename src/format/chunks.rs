//! Content-defined cutting of plain bytes: an insertion moves the cuts near it and no others.
//!
//! FastCDC with normalised chunk sizes (Xia et al., USENIX ATC 2016 and its 2020 revision), over a sliding window so
//! that memory does not grow with the file.

use std::io;
use std::ops::Range;

use fastcdc::v2020::FastCDC;

use crate::tensor::Dtype;

use super::Bytes;
use super::sniff::{Sniffed, sniff};

/// No chunk but the last of a span is shorter, in bytes.
pub const CHUNK_MIN: usize = 64 << 10;
/// The usual length of a chunk, in bytes: one frame of the store.
pub const CHUNK_AVERAGE: usize = 256 << 10;
/// No chunk is longer, in bytes, but for a part of an element that the one before left over.
pub const CHUNK_MAX: usize = 1 << 20;
/// Bytes looked at together. A cut depends on at most [`CHUNK_MAX`] bytes after the one before, so the window's size
/// changes no cut.
const WINDOW: usize = 8 << 20;

/// Calls `found(start, len, dtype)` for each chunk of the bytes `start..start + len`, in order. Where they seem to be floats, cuts
/// are moved back to where one begins.
pub(super) fn cut(
    file: &dyn Bytes,
    start: u64,
    len: u64,
    mut found: impl FnMut(u64, u64, Dtype),
) -> io::Result<()> {
    let end = start + len;
    let mut window = vec![0; len.min(WINDOW as u64) as usize];
    // Where the next chunk begins, and where the content says so: at most an element behind.
    let (mut begin, mut from) = (start, start);
    while from < end {
        let filled = (end - from).min(WINDOW as u64) as usize;
        file.read_exact_at(&mut window[..filled], from)?;
        let is_last = from + filled as u64 == end;
        let taken = cut_window(&window[..filled], is_last, |at, bytes| {
            let stop = from + (at + bytes.len()) as u64;
            let (stop, dtype) = aligned(bytes, from + at as u64, begin..stop, stop == end);
            found(begin, stop - begin, dtype);
            begin = stop;
        });
        from += taken as u64;
    }
    Ok(())
}

/// Where a chunk ends if it is to end between two elements, and what these are if it begins between two. `bytes` begin at
/// `at`.
fn aligned(bytes: &[u8], at: u64, chunk: Range<u64>, is_last: bool) -> (u64, Dtype) {
    let Some(Sniffed { dtype, phase }) = sniff(bytes) else { return (chunk.end, Dtype::Opaque) };
    let width = dtype.bits() / 8;
    let beyond = |place: u64| (place + width - (at + phase as u64) % width) % width;
    let stop = if is_last { chunk.end } else { chunk.end - beyond(chunk.end) };
    (stop, if beyond(chunk.start) == 0 { dtype } else { Dtype::Opaque })
}

/// Cuts the chunks that end surely inside `window`, all of it if it is the last one; returns how many bytes they take.
fn cut_window<'w>(window: &'w [u8], is_last: bool, mut found: impl FnMut(usize, &'w [u8])) -> usize {
    let mut taken = 0;
    for chunk in FastCDC::new(window, CHUNK_MIN, CHUNK_AVERAGE, CHUNK_MAX) {
        if !is_last && window.len() - chunk.offset < CHUNK_MAX {
            break;
        }
        taken = chunk.offset + chunk.length;
        found(chunk.offset, &window[chunk.offset..taken]);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, mut seed: u64) -> Vec<u8> {
        let mut step = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 56) as u8
        };
        (0..len).map(|_| step()).collect()
    }

    fn chunks(bytes: &[u8]) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        cut(&bytes.to_vec(), 0, bytes.len() as u64, |start, len, _| all.push((start, len))).unwrap();
        all
    }

    #[test]
    fn windows_cut_where_the_whole_would_be_cut() {
        let bytes = noise(3 * WINDOW + 12_345, 7);
        let whole: Vec<_> = FastCDC::new(&bytes, CHUNK_MIN, CHUNK_AVERAGE, CHUNK_MAX)
            .map(|chunk| (chunk.offset as u64, chunk.length as u64))
            .collect();
        assert_eq!(chunks(&bytes), whole);
    }

    #[test]
    fn an_insertion_leaves_distant_chunks_alone() {
        let bytes = noise(8 << 20, 3);
        let mut longer = bytes.clone();
        longer.splice(1_000_000..1_000_000, [1, 2, 3]);
        let ends = |bytes: &[u8]| {
            chunks(bytes).iter().map(|(start, len)| bytes.len() as u64 - start - len).collect::<Vec<_>>()
        };
        let (before, after) = (ends(&bytes), ends(&longer));
        let shared = before.iter().filter(|end| after.contains(end)).count();
        assert!(shared + 4 >= before.len(), "{shared} of {}", before.len());
    }

    #[test]
    fn constant_bytes_are_cut_at_the_longest() {
        assert_eq!(chunks(&vec![0; CHUNK_MAX + 1]), [(0, CHUNK_MAX as u64), (CHUNK_MAX as u64, 1)]);
    }

    #[test]
    fn floats_are_cut_between_two_of_them_wherever_they_lie() {
        let mut random = crate::random::Random::new(9);
        let weights: Vec<u8> = (0..600_000).flat_map(|_| (random.symmetric() * 0.02).to_le_bytes()).collect();
        let cuts = |shift: usize| {
            let bytes = [&[0x5a; 3][..shift], &weights[..]].concat();
            let mut all = Vec::new();
            cut(&bytes, 0, bytes.len() as u64, |start, len, dtype| all.push((start, len, dtype))).unwrap();
            all
        };
        let straight = cuts(0);
        assert!(straight.len() > 3 && straight.iter().all(|(start, len, _)| (start % 4, len % 4) == (0, 0)));
        assert!(straight.iter().all(|(.., dtype)| *dtype == Dtype::F32));
        // All but the first, which begins with something else, are the same chunks.
        let shifted = cuts(3);
        assert_eq!(shifted[0].2, Dtype::Opaque);
        let ends =
            |cuts: &[(u64, u64, Dtype)], shift| cuts[1..].iter().map(|cut| cut.0 - shift).collect::<Vec<_>>();
        let (one, other) = (ends(&straight, 0), ends(&shifted, 3));
        assert!(one.iter().filter(|at| other.contains(at)).count() + 2 >= one.len());
        assert!(shifted[1..].iter().all(|(start, ..)| start % 4 == 3));
    }
}
