//! What others would make of the same tensors, in this run: exact deduplication with a general compressor, and with
//! byte planes and the better of nothing, exclusive or, and difference to a base.

use super::models::{Model, Tensor};
use std::collections::HashSet;
use zstd_safe::{CCtx, CParameter};

/// Bytes that a method needs for all models: tensors that are equal to an earlier one are free, and so is everything
/// but the numbers.
pub struct Anchors {
    /// Every distinct tensor as it is.
    pub distinct: usize,
    /// Through zstd-3.
    pub zstd: usize,
    /// Its byte planes through zstd-3 each.
    pub planes: usize,
    /// The same of it alone, or of its exclusive or or integer difference with the base: whichever is smallest.
    pub deltas: usize,
}

impl Anchors {
    /// `base_of` gives the model that one derives from: the anchors are told, and have nothing to find.
    pub fn measure<'a>(models: &'a [Model], base_of: impl Fn(&Model) -> Option<&'a Model>) -> Self {
        let mut zstd = Zstd3::new();
        let mut sums = Self { distinct: 0, zstd: 0, planes: 0, deltas: 0 };
        let mut seen = HashSet::new();
        for model in models {
            let base = base_of(model);
            for (at, tensor) in model.tensors.iter().enumerate() {
                let bytes = tensor.bytes();
                if !seen.insert(blake3::hash(&bytes)) {
                    continue;
                }
                let alone = zstd.planes(&words(tensor));
                sums.distinct += bytes.len();
                sums.zstd += zstd.len(&bytes);
                sums.planes += alone;
                sums.deltas += match base.map(|base| &base.tensors[at]) {
                    Some(base) => alone.min(zstd.delta(&words(tensor), &words(base))),
                    None => alone,
                };
            }
        }
        sums
    }
}

fn words(tensor: &Tensor) -> Vec<u32> {
    tensor.values.iter().map(|value| value.to_bits()).collect()
}

struct Zstd3(CCtx<'static>);

impl Zstd3 {
    fn new() -> Self {
        let mut encoder = CCtx::create();
        encoder.set_parameter(CParameter::CompressionLevel(3)).expect("a level");
        Self(encoder)
    }

    /// The length of the compressed bytes, or of the bytes if they do not shrink.
    fn len(&mut self, bytes: &[u8]) -> usize {
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
        self.0.compress2(&mut out, bytes).expect("room enough").min(bytes.len())
    }

    fn planes(&mut self, words: &[u32]) -> usize {
        let plane = |k: usize| words.iter().map(|word| word.to_le_bytes()[k]).collect::<Vec<u8>>();
        (0..4).map(|k| self.len(&plane(k))).sum()
    }

    /// The smaller of exclusive or and difference; of the difference, the sign is folded into the lowest bit.
    fn delta(&mut self, new: &[u32], base: &[u32]) -> usize {
        let pairs = || new.iter().zip(base);
        let xor: Vec<u32> = pairs().map(|(a, b)| a ^ b).collect();
        let folded = |d: i32| (d << 1 ^ d >> 31) as u32;
        let difference: Vec<u32> = pairs().map(|(a, b)| folded(a.wrapping_sub(*b) as i32)).collect();
        self.planes(&xor).min(self.planes(&difference))
    }
}
