//! A signature whose bits agree the more often the smaller the angle between two tensors is.
//!
//! SimHash (Charikar, STOC 2002) takes the signs of random projections. Projecting on dense random vectors costs
//! hundreds of operations for each element; here the tensor is first folded into a count-sketch of 1,024 accumulators
//! (Charikar, Chen, Farach-Colton, ICALP 2002) with one rotation and random signs for each block of 1,024 elements, and
//! the sketch is then mixed by a random-sign Walsh-Hadamard transform, twice (Ailon and Chazelle, STOC 2006). Two
//! tensors at angle t agree in each bit with probability 1 - t/pi, as with dense projections.
//!
//! Large tensors are sampled: one block of each stratum, at a place that depends on the element count alone, so that
//! tensors of one shape are sampled alike. Additions happen in one fixed order; nothing depends on the machine.

use crate::random::Random;
use crate::tensor::Dtype;
use half::f16;
use std::sync::LazyLock;

/// Elements in a block, and accumulators of the sketch.
const BLOCK: usize = 1024;
/// Bits of a signature.
const BITS: usize = 256;
/// Tensors up to this many blocks are read whole; larger ones give at least so many.
const BLOCKS_MIN: u64 = 256;
/// One of so many blocks is read of larger tensors.
const STRATUM: u64 = 16;
/// The random numbers of signatures; another seed would make them incomparable.
const SEED: u64 = 0x00c0_7a15_19ea;

/// The bits of a binary32's exponent.
const EXPONENT: u32 = 0x7f80_0000;

/// Random signs as bits to be flipped, twice over, so that every block takes a run of them from a place of its own.
static SIGNS: LazyLock<Box<[u32; 2 * BLOCK]>> = LazyLock::new(|| {
    let mut random = Random::new(!SEED);
    let once: Vec<u32> = (0..BLOCK).map(|_| ((random.bits() >> 63) as u32) << 31).collect();
    let mut twice = Box::new([0; 2 * BLOCK]);
    twice[..BLOCK].copy_from_slice(&once);
    twice[BLOCK..].copy_from_slice(&once);
    twice
});

/// 256 bits that stand for a tensor's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u64; BITS / 64]);

impl Signature {
    /// Bytes of a signature.
    pub const LEN: usize = BITS / 8;

    /// The signature with these bytes.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut words = [0; BITS / 64];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes([
                bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
            ]);
        }
        Self(words)
    }

    /// The bytes of the signature.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// In how many bits two signatures differ: 0 to 256.
    #[inline(always)]
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// An estimate of the cosine of the angle between two tensors, from their signatures.
    pub fn cosine(&self, other: &Self) -> f64 {
        Self::cosine_at(self.distance(other))
    }

    /// The cosine that a distance stands for.
    pub(super) fn cosine_at(distance: u32) -> f64 {
        (std::f64::consts::PI * f64::from(distance) / BITS as f64).cos()
    }

    /// `count` bits from bit `first`, at most 16.
    pub(super) fn bits(&self, first: usize, count: usize) -> u16 {
        let (word, shift) = (first / 64, first % 64);
        let low = self.0[word] >> shift;
        let high = match shift {
            0 => 0,
            _ => self.0.get(word + 1).map_or(0, |next| next << (64 - shift)),
        };
        ((low | high) & ((1 << count) - 1)) as u16
    }
}

/// Takes the signature of one tensor.
#[derive(Debug)]
pub struct Sampler {
    dtype: Dtype,
    elements: u64,
    sketch: Box<[f32; BLOCK]>,
}

impl Sampler {
    /// A sampler of a tensor with so many bytes of elements of a type; `None` for types whose numbers have no direction
    /// (complex, packed and opaque ones) and for tensors that are too small to have a telling one.
    pub fn new(dtype: Dtype, byte_len: u64) -> Option<Self> {
        const ELEMENTS_MIN: u64 = 256;
        folder(dtype)?;
        let elements = byte_len * 8 / dtype.bits();
        (elements >= ELEMENTS_MIN).then(|| Self { dtype, elements, sketch: Box::new([0.0; BLOCK]) })
    }

    /// The byte ranges to feed, in this order.
    pub fn ranges(&self) -> impl Iterator<Item = std::ops::Range<u64>> + use<> {
        let width = self.dtype.bits() / 8;
        let elements = self.elements;
        sampled_blocks(elements).map(move |block| {
            let start = block * BLOCK as u64;
            start * width..(start + BLOCK as u64).min(elements) * width
        })
    }

    /// Adds the bytes of the `index`-th of [`Sampler::ranges`].
    pub fn feed(&mut self, index: u64, bytes: &[u8]) {
        let random = Random::new(SEED ^ index.wrapping_mul(0xd6e8_feb8_6659_fd93)).bits();
        let (rotation, first_sign) = (random as usize % BLOCK, (random >> 32) as usize % BLOCK);
        if let Some(fold) = folder(self.dtype) {
            fold(
                &mut Fold { sketch: &mut self.sketch, rotation, signs: &SIGNS[first_sign..][..BLOCK] },
                bytes,
            );
        }
    }

    /// The signature; `None` if everything that was fed is zero.
    pub fn finish(self) -> Option<Signature> {
        let mut sketch = self.sketch;
        let peak = sketch.iter().fold(0.0f32, |peak, value| peak.max(value.abs()));
        if peak == 0.0 || !peak.is_finite() {
            return None;
        }
        // A power of two: scaling changes no bit of the result but keeps the transform within range.
        let scale = f32::from_bits((254 - (peak.to_bits() >> 23).clamp(1, 253)) << 23);
        sketch.iter_mut().for_each(|value| *value *= scale);
        let mut random = Random::new(SEED);
        for _ in 0..2 {
            flip_signs(&mut sketch, &mut random);
            walsh_hadamard(&mut sketch);
        }
        let mut words = [0; BITS / 64];
        for (at, value) in sketch[..BITS].iter().enumerate() {
            words[at / 64] |= u64::from(*value < 0.0) << (at % 64);
        }
        Some(Signature(words))
    }
}

/// The blocks that are read of a tensor: all of a small one, one of each stratum of a large one.
fn sampled_blocks(elements: u64) -> impl Iterator<Item = u64> {
    let blocks = elements.div_ceil(BLOCK as u64);
    let taken = if blocks <= BLOCKS_MIN { blocks } else { (blocks / STRATUM).max(BLOCKS_MIN) };
    let strata = (0..=taken).map(move |index| match index.checked_mul(blocks) {
        Some(product) => product / taken,
        None => (u128::from(index) * u128::from(blocks) / u128::from(taken)) as u64,
    });
    strata
        .clone()
        .zip(strata.skip(1))
        .zip(0..taken)
        .map(|((start, end), index)| start + Random::new(SEED ^ !index).bits() % (end - start).max(1))
}

fn flip_signs(values: &mut [f32; BLOCK], random: &mut Random) {
    for part in values.chunks_exact_mut(64) {
        let signs = random.bits();
        for (at, value) in part.iter_mut().enumerate() {
            *value = f32::from_bits(value.to_bits() ^ ((signs >> at) as u32 & 1) << 31);
        }
    }
}

/// The fast Walsh-Hadamard transform, unnormalised, in place.
fn walsh_hadamard(values: &mut [f32; BLOCK]) {
    let mut half = 1;
    while half < BLOCK {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// How the numbers of one block are added to the sketch: the first to the accumulator at `rotation`, and so on around.
struct Fold<'a> {
    sketch: &'a mut [f32; BLOCK],
    rotation: usize,
    /// A sign for each number.
    signs: &'a [u32],
}

impl Fold<'_> {
    /// Adds whole elements, read as binary32. Each accumulator takes one number, so that it does not matter how many
    /// are added at once.
    fn add<const N: usize>(&mut self, bytes: &[u8], read: impl Fn([u8; N]) -> f32) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2")]
            fn avx2<const N: usize>(fold: &mut Fold<'_>, bytes: &[u8], read: impl Fn([u8; N]) -> f32) {
                fold.add_each(bytes, read);
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the machine has what the function was compiled for.
                return unsafe { avx2(self, bytes, read) };
            }
        }
        self.add_each(bytes, read);
    }

    #[inline(always)]
    fn add_each<const N: usize>(&mut self, bytes: &[u8], read: impl Fn([u8; N]) -> f32) {
        let (elements, _) = bytes.as_chunks::<N>();
        let (first, wrapped) = elements.split_at(elements.len().min(BLOCK - self.rotation));
        let (first_signs, wrapped_signs) = self.signs.split_at(BLOCK - self.rotation);
        let (low, high) = self.sketch.split_at_mut(self.rotation);
        for (sums, elements, signs) in [(high, first, first_signs), (low, wrapped, wrapped_signs)] {
            for ((sum, element), sign) in sums.iter_mut().zip(elements).zip(signs) {
                let bits = read(*element).to_bits();
                // A sum must not become infinite, nor depend on values that are none: their exponent is all ones.
                let finite = if bits & EXPONENT == EXPONENT { 0 } else { u32::MAX };
                *sum += f32::from_bits((bits ^ sign) & finite);
            }
        }
    }
}

/// How elements of a type are read and added; `None` for types whose numbers have no direction.
fn folder(dtype: Dtype) -> Option<fn(&mut Fold<'_>, &[u8])> {
    Some(match dtype {
        Dtype::F32 => |fold, bytes| fold.add(bytes, f32::from_le_bytes),
        // The upper half of a binary32.
        Dtype::Bf16 => |fold, bytes| fold.add(bytes, |[low, high]| f32::from_le_bytes([0, 0, low, high])),
        Dtype::F16 => |fold, bytes| fold.add(bytes, |two| f16::from_le_bytes(two).to_f32()),
        Dtype::F64 => |fold, bytes| fold.add(bytes, |eight| f64::from_le_bytes(eight) as f32),
        Dtype::I8 => |fold, bytes| fold.add(bytes, |[one]| f32::from(one as i8)),
        // Centred: what is stored unsigned usually has its zero in the middle.
        Dtype::U8 => |fold, bytes| fold.add(bytes, |[one]| f32::from(one) - 128.0),
        Dtype::I16 => |fold, bytes| fold.add(bytes, |two| f32::from(i16::from_le_bytes(two))),
        Dtype::I32 => |fold, bytes| fold.add(bytes, |four| i32::from_le_bytes(four) as f32),
        // The upper half of a binary16 with the same exponent.
        Dtype::F8E5M2 => |fold, bytes| fold.add(bytes, |[one]| f16::from_bits(u16::from(one) << 8).to_f32()),
        Dtype::Opaque
        | Dtype::Bool
        | Dtype::U16
        | Dtype::U32
        | Dtype::U64
        | Dtype::I64
        | Dtype::F8E4M3
        | Dtype::F8E8M0
        | Dtype::C64
        | Dtype::C128
        | Dtype::F4
        | Dtype::F6E2M3
        | Dtype::F6E3M2
        | Dtype::F8E4M3Fnuz
        | Dtype::F8E5M2Fnuz => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use half::bf16;

    /// Numbers that are roughly normal, the same for the same seed.
    pub(in crate::similarity) fn normal(seed: u64, count: usize) -> Vec<f32> {
        let mut random = Random::new(seed);
        let mut uniform = move || (random.bits() >> 40) as f32 / (1 << 24) as f32 - 0.5;
        (0..count).map(|_| (0..6).map(|_| uniform()).sum::<f32>()).collect()
    }

    /// A tensor at an angle with this cosine to `base`.
    pub(in crate::similarity) fn at_cosine(base: &[f32], cosine: f32, seed: u64) -> Vec<f32> {
        let noise = normal(seed, base.len());
        let sine = (1.0 - cosine * cosine).sqrt();
        base.iter().zip(noise).map(|(value, noise)| cosine * value + sine * noise).collect()
    }

    pub(in crate::similarity) fn signature(values: &[f32]) -> Signature {
        signature_of(Dtype::F32, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
            .expect("not all zero")
    }

    fn signature_of(dtype: Dtype, bytes: &[u8]) -> Option<Signature> {
        let mut sampler = Sampler::new(dtype, bytes.len() as u64)?;
        for (index, range) in sampler.ranges().enumerate() {
            sampler.feed(index as u64, &bytes[range.start as usize..range.end as usize]);
        }
        sampler.finish()
    }

    #[test]
    fn signatures_estimate_the_cosine() {
        for count in [3_000, 600_000] {
            let base = normal(1, count);
            for cosine in [0.99f32, 0.9, 0.5, 0.0] {
                let other = at_cosine(&base, cosine, 2);
                let estimate = signature(&base).cosine(&signature(&other));
                // Four standard deviations of 256 coin flips.
                let slack =
                    4.0 * std::f64::consts::PI * 0.5 / 16.0 * (1.0 - f64::from(cosine).powi(2)).sqrt() + 0.02;
                assert!(
                    (estimate - f64::from(cosine)).abs() < slack,
                    "{count}: {cosine} looks like {estimate}"
                );
            }
        }
    }

    #[test]
    fn a_signature_never_changes() {
        let bytes = signature(&normal(5, 5_000)).to_bytes();
        assert_eq!(Signature::from_bytes(&bytes).to_bytes(), bytes);
        let digest = xxhash_rust::xxh3::xxh3_64(&bytes);
        assert_eq!(
            digest, 2_711_733_586_064_492_260,
            "the signature of a fixed tensor is part of the disk format"
        );
    }

    #[test]
    fn vector_instructions_add_the_same_numbers() {
        let bytes: Vec<u8> = normal(4, 1_000).iter().flat_map(|value| value.to_le_bytes()).collect();
        let signs: Vec<u32> = SIGNS[..BLOCK].to_vec();
        for rotation in [0, 1, 500, BLOCK - 1] {
            let mut sums = [[0.25; BLOCK]; 2];
            let [any, plain] = &mut sums;
            Fold { sketch: any, rotation, signs: &signs }.add(&bytes, f32::from_le_bytes);
            Fold { sketch: plain, rotation, signs: &signs }.add_each(&bytes, f32::from_le_bytes);
            assert_eq!(sums[0].map(f32::to_bits), sums[1].map(f32::to_bits));
        }
    }

    #[test]
    fn scale_and_values_that_are_none_do_not_matter() {
        let values = normal(3, 10_000);
        let scaled: Vec<f32> = values.iter().map(|value| value * 4.0).collect();
        assert_eq!(signature(&values), signature(&scaled));
        let mut holed = values.clone();
        (holed[17], holed[4_000]) = (f32::NAN, f32::INFINITY);
        assert!(signature(&values).distance(&signature(&holed)) < 16);
    }

    #[test]
    fn tensors_without_a_direction_have_no_signature() {
        assert_eq!(signature_of(Dtype::F32, &[0; 4096]), None);
        assert_eq!(signature_of(Dtype::Opaque, &[1; 4096]), None);
        assert_eq!(signature_of(Dtype::F32, &[1; 64]), None);
        assert_eq!(signature_of(Dtype::F32, &f32::NAN.to_le_bytes().repeat(500)), None);
    }

    #[test]
    fn large_tensors_are_sampled_once_in_each_stratum() {
        let blocks: Vec<u64> = sampled_blocks(1 << 30).collect();
        assert_eq!(blocks.len(), 1 << 16);
        assert!(blocks.is_sorted() && blocks.iter().all(|&block| block < 1 << 20));
        assert_eq!(sampled_blocks(300 * 1024).count(), 256);
        assert_eq!(sampled_blocks(1000).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn casts_of_one_tensor_have_nearly_one_signature() {
        let values = normal(9, 50_000);
        let cast: Vec<u8> = values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect();
        let cast = signature_of(Dtype::Bf16, &cast).expect("not all zero");
        assert!(signature(&values).distance(&cast) < 12);
    }
}
