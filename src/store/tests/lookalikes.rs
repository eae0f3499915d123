//! Tensors that look like bases and are none: retrained networks of the same shape, scale and distribution.
//!
//! A difference to a stranger is larger than the tensor alone (the ranks of two unrelated numbers are further apart than
//! one number is long), so whatever is offered as a base, a look-alike must not cost more than in an empty store.

use half::{bf16, f16};

use crate::codec::Level;

use super::*;

/// The shape of the numbers.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Normal,
    Uniform,
}

/// Numbers of deviation 0.02 or so: the same for the same seed, independent for different ones.
fn trained(shape: Shape, seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let mut symmetric = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut number = || match shape {
        Shape::Normal => (0..6).map(|_| symmetric()).sum::<f32>() * 0.014,
        Shape::Uniform => symmetric() * 0.035,
    };
    (0..count).map(|_| number()).collect()
}

/// Numbers that correlate with `base` by `share`.
fn retrained(base: &[f32], shape: Shape, share: f32, seed: u64) -> Vec<f32> {
    let rest = (1.0 - share * share).sqrt();
    base.iter().zip(trained(shape, seed, base.len())).map(|(old, new)| share * old + rest * new).collect()
}

fn bytes(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    match dtype {
        Dtype::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

fn empty(level: Level) -> Store {
    let options = Options { level, ..options() };
    Store::open(Arc::new(new_disk()), Path::new(ROOT), options).unwrap()
}

fn put(store: &Store, dtype: Dtype, bytes: &[u8], bases: &[ObjectKey]) -> Put {
    let ingest = store.begin().unwrap();
    let put = ingest.put(dtype, &bytes, bases).unwrap();
    ingest.seal().unwrap();
    put
}

/// Stores a base and then its look-alike, told of the base and not, and compares with the look-alike in an empty store.
fn check(level: Level, dtype: Dtype, base: &[f32], alike: &[f32], what: &str) {
    let (base, alike) = (bytes(dtype, base), bytes(dtype, alike));
    let alone = put(&empty(level), dtype, &alike, &[]).stored_len;
    let store = empty(level);
    let named = put(&store, dtype, &base, &[]).key;
    for bases in [&[named][..], &[]] {
        let transaction = store.begin().unwrap();
        let put = transaction.put(dtype, &alike, bases).unwrap();
        assert!(put.stored_len <= alone, "{what} {dtype:?} {level:?}: {} instead of {alone}", put.stored_len);
        drop(transaction);
    }
    let put = put(&store, dtype, &alike, &[named]);
    assert!(store.read(put.key).unwrap() == alike);
}

#[test]
fn retrained_look_alikes_never_cost_more_than_alone() {
    for (seed, count) in [(1, 8), (2, 64), (3, 300), (4, 5_000), (5, 70_000)] {
        for shape in [Shape::Normal, Shape::Uniform] {
            let base = trained(shape, seed, count);
            for share in [0.0, 0.2, 0.3, 0.6, 0.9] {
                let alike = retrained(&base, shape, share, 100 + seed);
                for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
                    for level in [Level::Fast, Level::Default, Level::Max] {
                        check(level, dtype, &base, &alike, &format!("{count} {shape:?} {share}"));
                    }
                }
            }
        }
    }
}
