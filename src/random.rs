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
}
