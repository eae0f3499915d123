//! What lossy differences promise: bounded errors, reported truly, and no panic on junk.

use super::*;
use proptest::prelude::*;

const FLOATS: [(Lane, Float); 4] =
    [(Lane::F16, Float::F16), (Lane::BF16, Float::Bf16), (Lane::F32, Float::F32), (Lane::F64, Float::F64)];

fn bytes(float: Float, numbers: &[f64]) -> Vec<u8> {
    let mut bytes = vec![0; numbers.len() * float.width()];
    for (number, word) in numbers.iter().zip(bytes.chunks_exact_mut(float.width())) {
        float.write(*number, word);
    }
    bytes
}

/// Half the distance between neighbours of the element type, relative.
fn rounding(float: Float) -> f64 {
    match float {
        Float::F16 => 2f64.powi(-11),
        Float::Bf16 => 2f64.powi(-8),
        Float::F32 => 2f64.powi(-24),
        Float::F64 => 2f64.powi(-53),
    }
}

fn kinds() -> impl Strategy<Value = LossyType> {
    prop_oneof![
        Just(LossyType::Int8Quantized),
        Just(LossyType::Int16Quantized),
        (0.0..1.0f64).prop_map(|threshold| LossyType::Sparse { threshold }),
        (1usize..9).prop_map(|row| LossyType::PerAxisScaled { row }),
    ]
}

#[test]
fn quantised_differences_reach_the_largest_without_clipping() {
    let base = bytes(Float::F32, &[0.0; 3]);
    let raw = bytes(Float::F32, &[1.0, -1.0, 0.25]);
    let lossy = encode_lossy(LossyType::Int8Quantized, &raw, &base, Lane::F32).expect("finite");
    let mut back = vec![0; 12];
    apply_lossy(&lossy.kept, &base, Lane::F32, &mut back).expect("just made");
    assert_eq!(back[..8], raw[..8]);
    assert!(lossy.max_error > 0.0 && lossy.max_error <= 0.5 / 127.0);
}

#[test]
fn sparse_keeps_what_is_no_number_and_the_others_refuse_it() {
    let base = bytes(Float::F32, &[0.0, 1.0]);
    let mut raw = base.clone();
    raw[..4].copy_from_slice(&0x7fc0_1234u32.to_le_bytes());
    let sparse = encode_lossy(LossyType::Sparse { threshold: 0.1 }, &raw, &base, Lane::F32).expect("kept");
    let mut back = vec![0; 8];
    apply_lossy(&sparse.kept, &base, Lane::F32, &mut back).expect("just made");
    assert_eq!(back, raw);
    let refused = encode_lossy(LossyType::Int8Quantized, &raw, &base, Lane::F32);
    assert_eq!(refused, Err(LossyError::NotFinite(0)));
    let integers = encode_lossy(LossyType::Int8Quantized, &raw, &base, Lane::Signed { width: 4 });
    assert_eq!(integers, Err(LossyError::NotFloat));
}

proptest! {
    #[test]
    fn errors_are_bounded_and_reported_truly(
        pairs in proptest::collection::vec((-100.0..100.0f64, -1.0..1.0f64), 1..80),
        (lane, float) in proptest::sample::select(FLOATS.to_vec()),
        kind in kinds(),
    ) {
        let base = bytes(float, &pairs.iter().map(|(base, _)| *base).collect::<Vec<_>>());
        let raw = bytes(float, &pairs.iter().map(|(base, by)| base + by).collect::<Vec<_>>());
        let lossy = encode_lossy(kind, &raw, &base, lane).expect("finite");
        let mut back = vec![0; raw.len()];
        apply_lossy(&lossy.kept, &base, lane, &mut back).expect("just made");
        prop_assert_eq!((lossy.max_error, lossy.rms_error), errors(float, &raw, &back));
        let moved = differences(float, &raw, &base).expect("finite");
        let largest = moved.iter().fold(0.0f64, |largest, by| largest.max(by.abs()));
        let bound = match kind {
            LossyType::Int8Quantized => largest / 254.0,
            LossyType::Int16Quantized => largest / 65_534.0,
            LossyType::Sparse { threshold } => threshold,
            LossyType::PerAxisScaled { .. } => largest * 1.01,
        };
        prop_assert!(lossy.max_error <= bound * 1.000_001 + 102.0 * rounding(float), "{}", lossy.max_error);
        prop_assert!(lossy.rms_error <= lossy.max_error * 1.000_001);
    }

    #[test]
    fn junk_applies_or_is_refused(
        kind in 0u8..5,
        count in 0u64..20,
        junk in proptest::collection::vec(any::<u8>(), 0..80),
        (lane, float) in proptest::sample::select(FLOATS.to_vec()),
    ) {
        let base = vec![0; count as usize * float.width()];
        let mut out = base.clone();
        let stored = [&[kind][..], &count.to_le_bytes(), &junk].concat();
        let _ = apply_lossy(&stored, &base, lane, &mut out);
        let _ = apply_lossy(&junk, &base, lane, &mut out);
    }
}
