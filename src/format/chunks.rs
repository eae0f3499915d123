//! Content-defined cutting of plain bytes: an insertion moves the cuts near it and no others.
//!
//! FastCDC with normalised chunk sizes (Xia et al., USENIX ATC 2016 and its 2020 revision), over a sliding window so
//! that memory does not grow with the file.

use std::io;

use fastcdc::v2020::FastCDC;

use super::Bytes;

/// No chunk but the last of a span is shorter, in bytes.
pub const CHUNK_MIN: usize = 64 << 10;
/// The usual length of a chunk, in bytes: one frame of the store.
pub const CHUNK_AVERAGE: usize = 256 << 10;
/// No chunk is longer, in bytes.
pub const CHUNK_MAX: usize = 1 << 20;
/// Bytes looked at together. A cut depends on at most [`CHUNK_MAX`] bytes after the one before, so the window's size
/// changes no cut.
const WINDOW: usize = 8 << 20;

/// Calls `found(start, len)` for each chunk of the bytes `start..start + len`, in order.
pub(super) fn cut(file: &dyn Bytes, start: u64, len: u64, mut found: impl FnMut(u64, u64)) -> io::Result<()> {
    let end = start + len;
    let mut window = vec![0; len.min(WINDOW as u64) as usize];
    let mut from = start;
    while from < end {
        let filled = (end - from).min(WINDOW as u64) as usize;
        file.read_exact_at(&mut window[..filled], from)?;
        let last = from + filled as u64 == end;
        let taken = cut_window(&window[..filled], last, |at, len| found(from + at as u64, len as u64));
        from += taken as u64;
    }
    Ok(())
}

/// Cuts the chunks that end surely inside `window`, all of it if it is the last one; returns how many bytes they take.
fn cut_window(window: &[u8], last: bool, mut found: impl FnMut(usize, usize)) -> usize {
    let mut taken = 0;
    for chunk in FastCDC::new(window, CHUNK_MIN, CHUNK_AVERAGE, CHUNK_MAX) {
        if !last && window.len() - chunk.offset < CHUNK_MAX {
            break;
        }
        found(chunk.offset, chunk.length);
        taken = chunk.offset + chunk.length;
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
        cut(&bytes.to_vec(), 0, bytes.len() as u64, |start, len| all.push((start, len))).unwrap();
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
}
