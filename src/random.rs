//! Random numbers. Reproducible ones: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), the same on every machine and forever:
//! signatures on disk depend on them. And unpredictable ones, for names that two makers must not share.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Uniform from -1 to 1, without 1.
    pub fn symmetric(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }

    /// Below `bound`, which is not 0; as good as uniform where `bound` is far from 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }
}

/// Random numbers by their place: any of them can be had at once, in any order, by any number of threads. Philox4x64-10
/// (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011), counted as numpy's
/// `Generator(Philox(key=[k0, k1]))` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Philox {
    /// What makes this stream another one than the next.
    pub key: [u64; 2],
}

impl Philox {
    /// The numbers from `4 * index` on, four of them.
    pub fn block(&self, index: u64) -> [u64; 4] {
        // The counter goes forward before each block.
        let (low, carry) = index.overflowing_add(1);
        let mut words = [low, u64::from(carry), 0, 0];
        let [mut first, mut second] = self.key;
        for _ in 0..10 {
            let product = |factor: u64, word: u64| u128::from(factor) * u128::from(word);
            let (a, b) = (product(0xd2e7_470e_e14c_6c93, words[0]), product(0xca5a_8263_9512_1157, words[2]));
            words = [
                (b >> 64) as u64 ^ words[1] ^ first,
                b as u64,
                (a >> 64) as u64 ^ words[3] ^ second,
                a as u64,
            ];
            first = first.wrapping_add(0x9e37_79b9_7f4a_7c15);
            second = second.wrapping_add(0xbb67_ae85_84ca_a73b);
        }
        words
    }
}

/// 64 random bits as a number from 0 to 1, without 1.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// 128 bits that no other caller, process or machine gets.
pub fn unpredictable() -> u128 {
    // The keys of the standard library's hash maps come from the system's random numbers.
    let bits = || u128::from(RandomState::new().hash_one(0));
    bits() << 64 | bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_splitmix64() {
        // The first outputs of the authors' reference implementation for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let stream = [(); 3].map(|()| random.bits());
        assert_eq!(stream, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_numbers_by_their_place_are_those_of_numpy() {
        // `Philox(key=[7, 0x0123456789abcdef]).random_raw(9)` and `Generator(...).random(5)` of numpy 2.4.
        let philox = Philox { key: [7, 0x0123_4567_89ab_cdef] };
        let stream: Vec<u64> = (0..3).flat_map(|index| philox.block(index)).collect();
        let known = [
            17_331_271_423_950_902_892,
            2_718_372_181_977_374_537,
            2_277_741_037_278_081_713,
            9_210_702_345_722_914_765,
            281_423_002_770_071_246,
            11_591_243_333_048_836_102,
            3_705_338_509_162_797_138,
            4_514_596_111_459_609_704,
            13_023_584_709_896_022_674,
        ];
        assert_eq!(stream[..9], known);
        assert_eq!((unit(known[0]), unit(known[4])), (0.9395301064891755, 0.015255971549535174));
        // From the counter 2^64 - 1 on, which carries into the next word.
        let philox = Philox { key: [u64::MAX; 2] };
        assert_eq!(philox.block(u64::MAX - 1)[0], 17_287_646_667_900_078_771);
        assert_eq!(philox.block(u64::MAX)[0], 109_122_805_035_564_445);
    }
}
