//! Content anchors: short windows of known content, by which it is found wherever it lies in other bytes, with no knowledge of
//! how these are laid out.
//!
//! Which windows can be anchors is said by their content alone: those whose first bytes have a low rank, one of about 1,024. Of
//! these each block of known content has the lowest among its first bytes for its anchor. Who looks for known content in other bytes asks about
//! every window of a low rank in them: whatever has a whole block in common with something known is found.
//!
//! Anchors are kept in packs: ranks and hashes never change. The rank is a multiplicative hash (Knuth, The Art of Computer
//! Programming, volume 3, section 6.4); taking the lowest of a block is winnowing (Schleimer, Wilkerson and Aiken 2003).

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

/// Bytes of known content that have one anchor. What is decoded at once is a multiple of it.
pub const ANCHOR_BLOCK: usize = 16 << 10;
/// Bytes of a window.
pub const ANCHOR_WINDOW: usize = 64;
/// Bytes at the beginning of a block in which its anchor lies: there is a window of a low rank in 98 of 100.
const ANCHORED: usize = 4 << 10;
/// Shorter content has no anchors.
pub const ANCHORED_MIN: u64 = 4096;

/// Bytes at the beginning of a window that its rank is of.
const RANKED: usize = 8;
/// Windows of a lower rank can be anchors: one of 1,024.
const RANK_BELOW: u32 = 1 << 22;
/// Windows of fewer distinct bytes are nothing to recognise something by: constants, numbers of few bits.
const DISTINCT_MIN: u32 = 16;
/// Windows that are ranked together.
const STRIP: usize = 64;
const FACTORS: [u32; 2] = [0x9e37_79b1, 0x85eb_ca77];
/// What zeros rank as, which are common: high.
const OFFSET: u32 = 0x9747_b28c;

/// A window of a block by which it is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Where in the block it begins, in bytes.
    pub at: u16,
    /// Of its bytes.
    pub hash: u32,
}

impl Anchor {
    /// Bytes of what a record says of a block.
    pub const LEN: usize = 6;
    /// Where no window of a block begins.
    const NOWHERE: u16 = u16::MAX;

    /// What a record says of a block that has an anchor or none.
    pub fn to_bytes(anchor: Option<Self>) -> [u8; Self::LEN] {
        let Self { at, hash } = anchor.unwrap_or(Self { at: Self::NOWHERE, hash: 0 });
        let ([a, b], [c, d, e, f]) = (at.to_le_bytes(), hash.to_le_bytes());
        [a, b, c, d, e, f]
    }

    /// What a record of blocks says, which may be any bytes.
    pub fn each_of(record: &[u8]) -> impl Iterator<Item = Option<Self>> {
        let (blocks, _) = record.as_chunks::<{ Self::LEN }>();
        blocks.iter().map(|[a, b, c, d, e, f]| {
            let at = u16::from_le_bytes([*a, *b]);
            let is_inside = usize::from(at) + ANCHOR_WINDOW <= ANCHOR_BLOCK;
            is_inside.then_some(Self { at, hash: u32::from_le_bytes([*c, *d, *e, *f]) })
        })
    }
}

/// A window that may be an anchor of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Where it begins, in bytes.
    pub at: usize,
    /// Of its bytes.
    pub hash: u32,
}

/// How many blocks content of so many bytes has.
pub fn anchor_blocks(len: u64) -> u64 {
    if len < ANCHORED_MIN { 0 } else { len.div_ceil(ANCHOR_BLOCK as u64) }
}

/// The anchor of each block of some bytes that begin with one; `None` where no window is any good.
pub fn anchors_of(bytes: &[u8]) -> impl Iterator<Item = Option<Anchor>> {
    bytes.chunks(ANCHOR_BLOCK).map(|block| {
        let block = &block[..block.len().min(ANCHORED)];
        let mut lowest: Option<usize> = None;
        let mut limit = RANK_BELOW;
        each_low(block, &mut |at, rank| {
            if is_distinct(&block[at..at + ANCHOR_WINDOW]) {
                (lowest, limit) = (Some(at), rank);
            }
            limit
        });
        lowest.map(|at| Anchor { at: at as u16, hash: hash(&block[at..at + ANCHOR_WINDOW]) })
    })
}

/// All windows that lie in some bytes and may be anchors of something, in their order.
pub fn candidates(bytes: &[u8]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    each_low(bytes, &mut |at, _| {
        let window = &bytes[at..at + ANCHOR_WINDOW];
        if is_distinct(window) {
            candidates.push(Candidate { at, hash: hash(window) });
        }
        RANK_BELOW
    });
    candidates
}

fn hash(window: &[u8]) -> u32 {
    xxh3_64(window) as u32
}

fn is_distinct(window: &[u8]) -> bool {
    let mut seen = [0_u64; 4];
    window.iter().for_each(|byte| seen[usize::from(byte >> 6)] |= 1 << (byte & 63));
    seen.iter().map(|word| word.count_ones()).sum::<u32>() >= DISTINCT_MIN
}

/// Of the window that begins at a place of some bytes, of which there are enough.
#[inline(always)]
fn rank(bytes: &[u8], at: usize) -> u32 {
    let low = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let high = u32::from_le_bytes([bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]]);
    low.wrapping_mul(FACTORS[0]).wrapping_add(high.wrapping_mul(FACTORS[1])).wrapping_add(OFFSET)
}

/// Calls `found` with each window of a rank below a limit, whatever its bytes are; it says the limit from there on.
fn each_low(bytes: &[u8], found: &mut dyn FnMut(usize, u32) -> u32) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn avx2(bytes: &[u8], found: &mut dyn FnMut(usize, u32) -> u32) {
            each_low_in_strips(bytes, found);
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has what the function was compiled for.
            return unsafe { avx2(bytes, found) };
        }
    }
    each_low_in_strips(bytes, found);
}

#[inline(always)]
fn each_low_in_strips(bytes: &[u8], found: &mut dyn FnMut(usize, u32) -> u32) {
    let Some(count) = (bytes.len() + 1).checked_sub(ANCHOR_WINDOW) else { return };
    let (mut limit, mut at) = (RANK_BELOW, 0);
    while let Some(strip) = bytes[at..].first_chunk::<STRIP_BYTES>().filter(|_| at + STRIP <= count) {
        let lowest = lowest(strip);
        if lowest.iter().fold(u32::MAX, |least, rank| least.min(*rank)) < limit {
            for (group, lowest) in lowest.into_iter().enumerate() {
                if lowest < limit {
                    let first = at + 4 * group;
                    limit = each_low_by_one(bytes, first..first + 4, limit, found);
                }
            }
        }
        at += STRIP;
    }
    each_low_by_one(bytes, at..count, limit, found);
}

fn each_low_by_one(
    bytes: &[u8],
    range: Range<usize>,
    mut limit: u32,
    found: &mut dyn FnMut(usize, u32) -> u32,
) -> u32 {
    for at in range {
        let rank = rank(bytes, at);
        if rank < limit {
            limit = found(at, rank);
        }
    }
    limit
}

/// Bytes that the ranks of a strip are of.
const STRIP_BYTES: usize = STRIP + RANKED;

/// The lowest rank of each four windows, one behind the other, that begin in the first bytes of a strip.
#[inline(always)]
fn lowest(strip: &[u8; STRIP_BYTES]) -> [u32; STRIP / 4] {
    let mut lowest = [u32::MAX; STRIP / 4];
    for phase in 0..4 {
        for (group, lowest) in lowest.iter_mut().enumerate() {
            *lowest = (*lowest).min(rank(strip, phase + 4 * group));
        }
    }
    lowest
}

#[cfg(test)]
pub(in crate::similarity) mod tests {
    use super::*;
    use crate::random::Random;
    use proptest::prelude::*;

    /// Bytes that nothing else has.
    pub fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut random = Random::new(seed);
        (0..len).map(|_| random.bits() as u8).collect()
    }

    /// What [`each_low`] gives, one window at a time.
    fn low_by_scan(bytes: &[u8]) -> Vec<(usize, u32)> {
        let ranks = bytes.windows(ANCHOR_WINDOW).enumerate().map(|(at, window)| (at, rank(window, 0)));
        ranks.filter(|(_, rank)| *rank < RANK_BELOW).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn strips_give_what_single_windows_give(seed: u64, len in 0..20_000usize) {
            let bytes = noise(seed, len);
            let mut found = Vec::new();
            each_low(&bytes, &mut |at, rank| {
                found.push((at, rank));
                RANK_BELOW
            });
            prop_assert_eq!(found, low_by_scan(&bytes));
        }

        #[test]
        fn whatever_has_a_block_in_common_has_its_anchor_among_its_candidates(
            seed: u64, before in 0..5_000usize, after in 0..200usize,
        ) {
            let known = noise(seed, 3 * ANCHOR_BLOCK);
            let other = [noise(seed ^ 1, before), known.clone(), noise(seed ^ 2, after)].concat();
            let candidates = candidates(&other);
            for (block, anchor) in anchors_of(&known).enumerate() {
                let Some(Anchor { at, hash }) = anchor else { continue };
                let at = before + block * ANCHOR_BLOCK + usize::from(at);
                prop_assert!(candidates.iter().any(|candidate| (candidate.at, candidate.hash) == (at, hash)));
            }
        }
    }

    #[test]
    fn records_of_anchors_come_back() {
        let anchors = [Some(Anchor { at: 3, hash: 9 }), None, Some(Anchor { at: 16_320, hash: u32::MAX })];
        let record = anchors.map(Anchor::to_bytes).concat();
        assert_eq!(Anchor::each_of(&record).collect::<Vec<_>>(), anchors);
        // A window that lies across the border of blocks is none.
        assert_eq!(Anchor::each_of(&[0xc1, 0x3f, 1, 1, 1, 1, 9]).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn an_anchor_never_changes() {
        let anchors: Vec<_> = anchors_of(&noise(1, 2 * ANCHOR_BLOCK)).collect();
        let anchor = |at, hash| Some(Anchor { at, hash });
        assert_eq!(anchors, [anchor(2878, 2_250_894_926), anchor(2480, 1_582_497_452)]);
    }

    #[test]
    fn constants_and_numbers_of_few_bits_have_no_anchors() {
        for period in [1, 2, 4, 15] {
            let bytes: Vec<u8> = (0..2 * ANCHOR_BLOCK).map(|at| (at % period * 17) as u8).collect();
            assert!(anchors_of(&bytes).all(|anchor| anchor.is_none()), "{period}");
            assert!(candidates(&bytes).is_empty());
        }
        assert_eq!(anchors_of(&noise(1, ANCHOR_WINDOW - 1)).collect::<Vec<_>>(), [None]);
        assert_eq!((anchor_blocks(ANCHORED_MIN - 1), anchor_blocks(ANCHORED_MIN)), (0, 1));
    }
}
