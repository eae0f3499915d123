//! Chance that can be repeated: `CORAL_SEED=N` replays what a run printed.

/// Numbers that are the same for the same seed (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in `percent` of cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// At most `count` of them, in their order.
    pub fn sample<T>(&mut self, mut of: Vec<T>, count: usize) -> Vec<T> {
        while of.len() > count {
            let at = self.below(of.len());
            of.remove(at);
        }
        of
    }
}

/// The seeds to run: the usual ones, or the one that was asked for.
pub fn seeds(usual: &[u64]) -> Vec<u64> {
    match std::env::var("CORAL_SEED") {
        Ok(seed) => vec![seed.parse().expect("CORAL_SEED is a number")],
        Err(_) => usual.to_vec(),
    }
}

/// Runs a test with each seed, and says which one it was if it fails.
pub fn each(usual: &[u64], run: impl Fn(u64)) {
    struct Said(u64);
    impl Drop for Said {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("replay with CORAL_SEED={}", self.0);
            }
        }
    }
    for seed in seeds(usual) {
        let _said = Said(seed);
        run(seed);
    }
}
