//! Properties of every coder through the frame's border: what goes in comes out, and junk never harms.

use super::*;
use crate::tensor::{Dtype, Lane};
use proptest::prelude::*;

const LEVELS: [Level; 3] = [Level::Fast, Level::Default, Level::Max];

/// A multiplicative generator: deterministic bytes without a crate.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Words that floats and integers find hard: zeros of both signs, denormals, infinities, NaN payloads, extremes.
fn edges(length: usize, width: usize) -> Vec<u8> {
    let words: [u64; 14] = [
        0,
        1 << (8 * width - 1),
        1,
        u64::MAX,
        0x7f80_0000_7f80_7c00,
        0x7fc0_1234_7fc1_7e01,
        0xff80_0001_ff81_fc01,
        0x7ff0_0000_0000_0001,
        0x7f7f_ffff_7f7f_7bff,
        0x8000_0001_8001_8001,
        0x3f80_0000_3f80_3c00,
        0x3f80_0001_3f81_3c01,
        0x3ff0_0000_0000_0000,
        1 << (8 * width - 2),
    ];
    words.iter().cycle().flat_map(|word| word.to_le_bytes()[..width].to_vec()).take(length).collect()
}

/// A base's bytes moved by up to `reach` ranks in a share of the words.
fn near(base: &[u8], width: usize, reach: u64, seed: u64) -> Vec<u8> {
    let dice = noise(seed, base.len());
    let mut moved = base.to_vec();
    for (word, dice) in moved.chunks_exact_mut(width).zip(dice.chunks_exact(width)) {
        if dice[0] < 100 {
            continue;
        }
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(word);
        let step = u64::from(dice[0]) % (2 * reach + 1);
        let value = u64::from_le_bytes(wide).wrapping_add(step).wrapping_sub(reach);
        word.copy_from_slice(&value.to_le_bytes()[..width]);
    }
    moved
}

fn lanes() -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Dtype::ALL.iter().map(|dtype| dtype.lane()).collect();
    lanes.dedup();
    lanes
}

fn assert_comes_back(raw: &[u8], base: Option<&[u8]>, lane: Lane) {
    for level in LEVELS {
        let mut stored = vec![0xa5; 3];
        let tag = encode_frame(raw, base, lane, level, &mut stored);
        assert!(
            stored.len() <= raw.len() + 3,
            "{lane:?} {level:?} tag {tag} grew {} to {}",
            raw.len(),
            stored.len()
        );
        assert_eq!(stored[..3], [0xa5; 3]);
        let mut back = vec![0x5a; raw.len()];
        decode_frame(tag, &stored[3..], base, lane, &mut back).expect("what was coded decodes");
        assert!(back == raw, "{lane:?} {level:?} tag {tag} of {} bytes came back different", raw.len());
        if tag_needs_base(tag) && !raw.is_empty() {
            let alone = decode_frame(tag, &stored[3..], None, lane, &mut back);
            assert_eq!(alone, Err(DecodeError::MissingBase(tag)));
        }
    }
}

#[test]
fn every_lane_and_length_comes_back_with_hard_contents() {
    for lane in lanes() {
        let width = lane.width();
        for length in [0, 1, width, width + 1, 63, 64 * width, 257 * width + 1, 5000] {
            let contents = [
                edges(length, width),
                vec![0; length],
                vec![0x80; length],
                noise(7, length),
                vec![0xff; length],
            ];
            for raw in &contents {
                assert_comes_back(raw, None, lane);
                for base in &contents {
                    assert_comes_back(raw, Some(base), lane);
                }
                let base = near(raw, width, 3, 11);
                assert_comes_back(raw, Some(&base), lane);
            }
        }
    }
}

#[test]
fn whole_frames_come_back() {
    for lane in lanes() {
        let smooth: Vec<u8> = noise(3, FRAME_LEN).iter().map(|byte| byte / 9 + 40).collect();
        let base = near(&smooth, lane.width(), 2, 5);
        assert_comes_back(&smooth, None, lane);
        assert_comes_back(&smooth, Some(&base), lane);
        assert_comes_back(&smooth[..FRAME_LEN - 1], None, lane);
    }
}

#[test]
fn a_tiled_frame_costs_its_period_at_most() {
    for lane in lanes() {
        let width = lane.width();
        let base = noise(2, FRAME_LEN);
        for words in [1, 3, 384] {
            let raw: Vec<u8> =
                noise(words as u64, words * width).into_iter().cycle().take(FRAME_LEN).collect();
            assert_comes_back(&raw, Some(&base), lane);
            for level in LEVELS {
                let mut stored = Vec::new();
                encode_frame(&raw, Some(&base), lane, level, &mut stored);
                assert!(stored.len() <= words * width, "{lane:?} {level:?} {words} took {}", stored.len());
            }
        }
    }
}

#[test]
fn an_equal_base_costs_nothing() {
    let raw = noise(1, 4096);
    let mut stored = Vec::new();
    let tag = encode_frame(&raw, Some(&raw), Lane::F32, Level::Default, &mut stored);
    assert!(stored.is_empty() && tag_needs_base(tag));
}

#[test]
fn a_base_of_another_length_is_not_used() {
    let raw = vec![1; 400];
    let base = Some(&raw[..396]);
    let mut stored = Vec::new();
    let tag = encode_frame(&raw, base, Lane::F32, Level::Default, &mut stored);
    assert!(!tag_needs_base(tag));
    let mut back = vec![0; 400];
    assert_eq!(decode_frame(1, &[], base, Lane::F32, &mut back), Err(DecodeError::MissingBase(1)));
}

proptest! {
    #[test]
    fn small_frames_of_any_bytes_come_back(
        raw in proptest::collection::vec(any::<u8>(), 0..600),
        lane in proptest::sample::select(lanes()),
        reach in 1u64..200,
        seed: u64,
    ) {
        let base = near(&raw, lane.width(), reach, seed);
        assert_comes_back(&raw, None, lane);
        assert_comes_back(&raw, Some(&base), lane);
    }

    #[test]
    fn arbitrary_bytes_decode_to_a_frame_or_an_error(
        tag: u8,
        stored in proptest::collection::vec(any::<u8>(), 0..400),
        lane in proptest::sample::select(lanes()),
        length in 0usize..3000,
    ) {
        let base = noise(9, length);
        let mut out = vec![0; length];
        for tag in [tag, tag % 16] {
            let _ = decode_frame(tag, &stored, Some(&base), lane, &mut out);
            let _ = decode_frame(tag, &stored, None, lane, &mut out);
        }
    }

    #[test]
    fn a_damaged_frame_decodes_to_a_frame_or_an_error(
        at: prop::sample::Index,
        bit in 0u8..8,
        cut: prop::sample::Index,
        lane in proptest::sample::select(lanes()),
        level in proptest::sample::select(LEVELS.to_vec()),
        seed: u64,
    ) {
        let raw: Vec<u8> = noise(seed, 4001).iter().map(|byte| byte / 9 + 40).collect();
        let base = near(&raw, lane.width(), 2, seed);
        let base = Some(&base[..]);
        let mut stored = Vec::new();
        let tag = encode_frame(&raw, base, lane, level, &mut stored);
        let mut out = vec![0; raw.len()];
        let position = at.index(stored.len());
        stored[position] ^= 1 << bit;
        let _ = decode_frame(tag, &stored, base, lane, &mut out);
        let _ = decode_frame(tag, &stored[..cut.index(stored.len())], base, lane, &mut out);
    }
}

/// Coded by `isa` and decoded by it: all paths must agree on both.
fn coded_by(isa: Isa, raw: &[u8], base: &[u8], lane: Lane) -> (u8, Vec<u8>, Vec<u8>) {
    isa.limit();
    let base = Some(base);
    let (mut stored, mut back) = (Vec::new(), vec![0; raw.len()]);
    let tag = encode_frame_as(Coder::Context, raw, base, lane, &mut stored);
    decode_frame(tag, &stored, base, lane, &mut back).expect("what was coded decodes");
    (tag, stored, back)
}

/// What `isa` makes of damaged bytes: even nonsense must not depend on the machine.
fn decoded_by(isa: Isa, stored: &[u8], base: &[u8], lane: Lane) -> (Result<(), DecodeError>, Vec<u8>) {
    isa.limit();
    let mut out = vec![0; base.len()];
    let context = super::tag::Tag::Context.code();
    let result = decode_frame(context, stored, Some(base), lane, &mut out);
    (result, out)
}

proptest! {
    #[test]
    fn every_instruction_set_gives_the_same_bytes(
        length in 0usize..20_000,
        reach in 1u64..1 << 40,
        rare in 0u8..=255,
        lane in proptest::sample::select(lanes()),
        at: prop::sample::Index,
        bit in 0u8..8,
        seed: u64,
    ) {
        let width = lane.width();
        let base: Vec<u8> = noise(seed, length).iter().map(|byte| byte / 9 + 40).collect();
        let far = near(&base, width, reach >> (64 - 8 * width.min(5)).min(34), seed ^ 1);
        let dice = noise(seed ^ 2, length);
        let mut raw = near(&base, width, 2, seed);
        for ((word, far), dice) in raw.chunks_mut(width).zip(far.chunks(width)).zip(&dice) {
            if *dice < rare {
                word.copy_from_slice(far);
            }
        }
        let expected = coded_by(Isa::Scalar, &raw, &base, lane);
        prop_assert!(expected.2 == raw);
        let mut damaged = expected.1.clone();
        if !damaged.is_empty() {
            let position = at.index(damaged.len());
            damaged[position] ^= 1 << bit;
        }
        let nonsense = decoded_by(Isa::Scalar, &damaged, &base, lane);
        for isa in [Isa::Avx2, Isa::Avx512] {
            prop_assert!(coded_by(isa, &raw, &base, lane) == expected, "{isa:?} differs");
            prop_assert!(decoded_by(isa, &damaged, &base, lane) == nonsense, "{isa:?} differs on damage");
        }
    }
}
