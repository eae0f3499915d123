//! A frame that repeats one period: constant tensors, tiled tables, masks.
//!
//! Layout of a coded frame: the period's bytes. Byte `i` of the frame is byte `i % period` of them.

use super::isa::per_isa;
use super::word::{BLOCK, Word, with_word};
use crate::tensor::Lane;

/// Longest period, in bytes.
const MAX_PERIOD: usize = 64 * 1024;

/// Words that must meet their like before all others are compared.
const WINDOW: usize = 8;

/// The shortest period of `raw`, in bytes: whole words of the lane, at least twice in the frame. Compares a frame's length
/// and a little more in vain and then gives up, so that the search is linear whatever the bytes.
pub(super) fn period(raw: &[u8], lane: Lane) -> Option<usize> {
    with_word!(lane, period_of(raw))
}

fn period_of<W: Word>(raw: &[u8]) -> Option<usize> {
    let longest = MAX_PERIOD.min(raw.len() / 2) / W::BYTES;
    let repeats = |shift: usize| common(&raw[shift * W::BYTES..], raw);
    let all = |shift: usize| raw.len() - shift * W::BYTES;
    if longest == 0 {
        return None;
    }
    let still = repeats(1);
    if still == all(1) {
        return Some(W::BYTES);
    }
    // The first word unlike the one before it must meet its like, so no period is shorter.
    let change = still / W::BYTES + 1;
    let window = change.saturating_sub(WINDOW - 1);
    let mut patience = raw.len() + MAX_PERIOD;
    let mut shift = change + 1;
    while shift <= longest {
        if raw.len() >= 2 * WINDOW * W::BYTES {
            let end = (longest + window + WINDOW) * W::BYTES;
            let candidates = &raw[(shift + window) * W::BYTES..end.min(raw.len())];
            shift += find::<W>(candidates, &raw[window * W::BYTES..][..WINDOW * W::BYTES])?;
        }
        let same = repeats(shift);
        if same == all(shift) {
            return Some(shift * W::BYTES);
        }
        patience = patience.checked_sub(same + BLOCK)?;
        shift += 1;
    }
    None
}

per_isa! {
    /// How many words lie before the first place where `words` continue with the window.
    fn find<W: Word>(words: &[u8], window: &[u8]) -> Option<usize> = find_body::<W>
}

#[inline(always)]
fn find_body<W: Word>(words: &[u8], window: &[u8]) -> Option<usize> {
    let mut wanted = [W::default(); WINDOW];
    for (wanted, word) in wanted.iter_mut().zip(window.chunks_exact(W::BYTES)) {
        *wanted = W::load(word);
    }
    let places = (words.len() / W::BYTES + 1).checked_sub(WINDOW)?;
    let is_at = |place: usize| {
        let window = &words[place * W::BYTES..][..WINDOW * W::BYTES];
        (0..WINDOW).all(|k| W::load(&window[k * W::BYTES..]) == wanted[k])
    };
    let whole = places - places % BLOCK;
    for first in (0..whole).step_by(BLOCK) {
        let block = &words[first * W::BYTES..][..(BLOCK + WINDOW - 1) * W::BYTES];
        let mut found = [true; BLOCK];
        for k in 0..WINDOW {
            let shifted = &block[k * W::BYTES..][..BLOCK * W::BYTES];
            for i in 0..BLOCK {
                found[i] &= W::load(&shifted[i * W::BYTES..]) == wanted[k];
            }
        }
        if found.iter().fold(false, |any, found| any | found) {
            return (first..first + BLOCK).find(|&place| is_at(place));
        }
    }
    (whole..places).find(|&place| is_at(place))
}

/// How many bytes two slices have in common from their start.
fn common(one: &[u8], other: &[u8]) -> usize {
    const PIECE: usize = 256;
    let pieces = one.chunks(PIECE).zip(other.chunks(PIECE));
    let equal =
        PIECE * pieces.take_while(|(one, other)| *one == &other[..one.len().min(other.len())]).count();
    let equal = equal.min(one.len()).min(other.len());
    equal + one[equal..].iter().zip(&other[equal..]).take_while(|(one, other)| one == other).count()
}

/// Fills `out` with the frame that `stored` codes.
///
/// # Errors
/// What is wrong with `stored`.
pub(super) fn decode(stored: &[u8], out: &mut [u8]) -> Result<(), &'static str> {
    if stored.len() > MAX_PERIOD || stored.len() > out.len() {
        return Err("a period that is too long");
    }
    if stored.is_empty() && !out.is_empty() {
        return Err("a period of nothing");
    }
    out[..stored.len()].copy_from_slice(stored);
    let mut filled = stored.len();
    while filled < out.len() {
        let more = filled.min(out.len() - filled);
        out.copy_within(..more, filled);
        filled += more;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frame::FRAME_LEN;
    use crate::tensor::Dtype;
    use proptest::prelude::*;

    fn tiled(period: &[u8], length: usize) -> Vec<u8> {
        period.iter().copied().cycle().take(length).collect()
    }

    /// By definition.
    fn shortest(raw: &[u8], width: usize) -> Option<usize> {
        (1..=raw.len() / 2 / width)
            .map(|words| words * width)
            .find(|&shift| raw[shift..] == raw[..raw.len() - shift])
    }

    proptest! {
        #[test]
        fn the_period_is_the_shortest_and_tiles_back(
            period_bytes in proptest::collection::vec(0u8..3, 1..40),
            length in 0usize..400,
            damage in proptest::option::of(any::<prop::sample::Index>()),
            dtype in proptest::sample::select(Dtype::ALL.to_vec()),
        ) {
            let mut raw = tiled(&period_bytes, length);
            if let (Some(at), false) = (damage, raw.is_empty()) {
                let at = at.index(raw.len());
                raw[at] ^= 1;
            }
            let lane = dtype.lane();
            let found = period(&raw, lane);
            // A search may give up, but not where so little is to be compared.
            prop_assert_eq!(found, shortest(&raw, lane.width()));
            if let Some(found) = found {
                let mut back = vec![9; raw.len()];
                prop_assert_eq!(decode(&raw[..found], &mut back), Ok(()));
                prop_assert_eq!(back, raw);
            }
        }

        #[test]
        fn any_bytes_tile_or_are_refused(
            stored in proptest::collection::vec(any::<u8>(), 0..50),
            length in 0usize..200,
        ) {
            let mut out = vec![0; length];
            let fits = stored.len() <= length && (length == 0 || !stored.is_empty());
            prop_assert_eq!(decode(&stored, &mut out).is_ok(), fits);
            if fits {
                prop_assert_eq!(out, tiled(&stored, length));
            }
        }
    }

    #[test]
    fn long_periods_are_found_up_to_the_limit() {
        let noise: Vec<u8> = (0..70_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for period_bytes in [4, 384 * 4, 30_000, MAX_PERIOD] {
            let raw = tiled(&noise[..period_bytes], FRAME_LEN);
            assert_eq!(period(&raw, Lane::F32), Some(period_bytes));
        }
        assert_eq!(period(&tiled(&noise[..MAX_PERIOD + 4], FRAME_LEN), Lane::F32), None);
    }

    #[test]
    fn a_row_of_zeros_that_ends_in_a_one_is_found() {
        let mut row = vec![0; 30_000];
        row[29_999] = 1;
        assert_eq!(period(&tiled(&row, FRAME_LEN), Lane::Bytes), Some(30_000));
        let mut late = vec![0; FRAME_LEN];
        late[FRAME_LEN - 1] = 1;
        assert_eq!(period(&late, Lane::Bytes), None);
    }
}
