//! Frequency tables: how counts become probabilities, and how probabilities are stored.
//!
//! A frame has a table per context and few elements per table, so tables must be small. A frequency is stored as its
//! logarithm in quarter octaves (an error of at most 9 % in a frequency costs about 0.002 bits per symbol), as the
//! folded difference to a neighbour's in an exponential Golomb code.
//!
//! Layout, as Golomb codes (see `golomb`), for each table: how many contexts beyond one it serves, which follow those of
//! the table before; half the difference of its first symbol, which is even, to that of the table before, folded; the
//! difference of its end (the symbol after its last), folded; then for each symbol but symbol 1, the zero that is
//! negative, `zigzag(level - guess)`. The guess is the level of the same bucket's other sign, or of the bucket below, and
//! for the first symbol the level that it has in the table before. Level 0: the symbol does not occur.

use super::scales::MAX_CONTEXTS;
use crate::codec::plane::golomb::Reader;
use std::ops::Range;

/// Precision of probabilities. 2,048 slots of 4 bytes per context let 16 contexts live in 128 KiB of a core's
/// second-level cache; 12 bits gain nothing on weights that the larger footprint does not lose.
pub(super) const PROBABILITY_BITS: u32 = 11;

/// Slots of one table.
pub(super) const SLOTS: usize = 1 << PROBABILITY_BITS;

/// The decoding tables of a frame, one after the other: entries as [`fill_slots`] makes them.
pub(super) type SlotTables = [u32; MAX_CONTEXTS * SLOTS];

const LEVELS_PER_OCTAVE: u32 = 4;
/// Highest level: `SLOTS` itself, and a little room for a large part of a sum that is rounded down.
const MAX_LEVEL: u8 = 63;

/// 2^(i/4), in sixteenths.
const QUARTER_OCTAVES: [u32; 4] = [16, 19, 23, 27];

/// What a level weighs.
#[inline(always)]
fn weight(level: u8) -> u32 {
    WEIGHTS[usize::from(level.min(MAX_LEVEL))]
}

const WEIGHTS: [u32; MAX_LEVEL as usize + 1] = {
    let mut weights = [0; MAX_LEVEL as usize + 1];
    let mut level = 1;
    while level < weights.len() {
        let steps = level as u32 - 1;
        weights[level] = QUARTER_OCTAVES[(steps % LEVELS_PER_OCTAVE) as usize] << (steps / LEVELS_PER_OCTAVE);
        level += 1;
    }
    weights
};

/// The level whose weight is nearest to a share of all slots: never 0.
fn level(share: f64) -> u8 {
    let wanted = ((share * WHOLE) as u32).max(QUARTER_OCTAVES[0]);
    let octave = wanted.ilog2() - 4;
    let below = 1 + (octave * LEVELS_PER_OCTAVE) as u8;
    (below..=(below + 4).min(MAX_LEVEL))
        .min_by_key(|&level| weight(level).abs_diff(wanted))
        .unwrap_or(MAX_LEVEL)
}

/// The level between the guess and the nearest that costs the fewest bits: its own code, the symbol's codes, and what
/// its share of the slots takes from all other symbols. Of the levels whose codes are equally long only the one closest
/// to the nearest is looked at.
fn cheapest(count: f64, total: f64, guess: u8) -> u8 {
    let nearest = if count == 0.0 { 0 } else { level(count / total) };
    // An octave at most: many symbols that take more than they need would leave too little for the others.
    let allowed = u8::from(count > 0.0)..=nearest + LEVELS_PER_OCTAVE as u8;
    let distance = nearest.abs_diff(guess);
    let mut best = (f64::INFINITY, nearest);
    for length in 0.. {
        let reach = ((1 << length) - 1).min(distance);
        let level = if nearest < guess { guess - reach } else { guess + reach };
        let own = f64::from(2 * length + 1);
        let taken = total * f64::from(weight(level)) * (std::f64::consts::LOG2_E / WHOLE);
        let bits = own + taken - count * octaves(level);
        if bits < best.0 && allowed.contains(&level) {
            best = (bits, level);
        }
        if reach == distance {
            break;
        }
    }
    best.1
}

/// What all weights of a table sum to, about.
const WHOLE: f64 = (SLOTS as u32 * QUARTER_OCTAVES[0]) as f64;

/// The logarithm of a level's weight, but for a constant.
fn octaves(level: u8) -> f64 {
    f64::from(level) / f64::from(LEVELS_PER_OCTAVE)
}

/// The levels of the symbols of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    of: [u8; 256],
    /// All that occur are among these. Begins with an even symbol, so that both signs of a bucket are together; ends
    /// before 256, because that would be a magnitude beyond 2^63.
    symbols: Range<u8>,
}

/// A difference modulo 256 as a number that is small if its magnitude is.
fn fold(difference: u8) -> u8 {
    (difference << 1) ^ ((difference as i8) >> 7) as u8
}

fn unfold(folded: u8) -> u8 {
    (folded >> 1) ^ (folded & 1).wrapping_neg()
}

impl Levels {
    /// What lies before the first table.
    pub(super) const NONE: Self = Self { of: [0; 256], symbols: 0..0 };

    /// Levels for these counts, given the table `before`: those that take the fewest bits together with the symbols that
    /// they code.
    pub(super) fn of_counts(counts: &[u32; 256], before: &Self) -> Self {
        let total = f64::from(counts.iter().sum::<u32>());
        let present = |&count: &u32| count != 0;
        let start = counts.iter().position(present).map_or(0, |first| first as u8 & !1);
        let end = counts.iter().rposition(present).map_or(0, |last| last as u8 + 1);
        let mut levels = Self { of: [0; 256], symbols: start..end };
        for symbol in levels.coded() {
            let guess = levels.guess(symbol, before);
            levels.of[usize::from(symbol)] = cheapest(f64::from(counts[usize::from(symbol)]), total, guess);
        }
        levels
    }

    /// The symbols that have a code.
    fn coded(&self) -> impl Iterator<Item = u8> + use<> {
        self.symbols.clone().filter(|&symbol| symbol != 1)
    }

    /// Appends the table's part of the stream.
    pub(super) fn write(&self, before: &Self, stream: &mut Vec<u8>) {
        let Range { start, end } = self.symbols;
        stream.push(fold(((start.wrapping_sub(before.symbols.start) as i8) / 2) as u8));
        stream.push(fold(end.wrapping_sub(before.symbols.end)));
        for symbol in self.coded() {
            stream.push(fold(self.of[usize::from(symbol)].wrapping_sub(self.guess(symbol, before))));
        }
    }

    /// Takes the table's part of the stream.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(
        stream: &mut Reader<'_>,
        before: &Self,
        alphabet: usize,
    ) -> Result<Self, &'static str> {
        let start = before.symbols.start.wrapping_add(unfold(stream.next()?).wrapping_mul(2));
        let end = before.symbols.end.wrapping_add(unfold(stream.next()?));
        if start > end || usize::from(end) > alphabet {
            return Err("a table beyond the alphabet");
        }
        let mut levels = Self { of: [0; 256], symbols: start..end };
        for symbol in levels.coded() {
            let level = levels.guess(symbol, before).wrapping_add(unfold(stream.next()?));
            if level > MAX_LEVEL {
                return Err("a frequency out of range");
            }
            levels.of[usize::from(symbol)] = level;
        }
        Ok(levels)
    }

    #[inline(always)]
    fn guess(&self, symbol: u8, before: &Self) -> u8 {
        let symbol = usize::from(symbol);
        match symbol - usize::from(self.symbols.start) {
            0 => before.of[symbol],
            _ if symbol % 2 == 1 => self.of[symbol - 1],
            _ => self.of[symbol - 2],
        }
    }

    /// The frequencies that these levels stand for: all zero if no symbol occurs.
    #[inline(always)]
    pub(super) fn frequencies(&self) -> Frequencies {
        let symbols = usize::from(self.symbols.start)..usize::from(self.symbols.end);
        let levels = &self.of[symbols.clone()];
        let mut frequencies = Frequencies { of: [0; 256], symbols: symbols.clone() };
        let total: u32 = levels.iter().map(|&level| weight(level)).sum();
        let Some(reciprocal) = ((SLOTS as u64) << 32).checked_div(u64::from(total)) else {
            return frequencies;
        };
        let mut sum = 0;
        for (frequency, &level) in frequencies.present_mut().iter_mut().zip(levels) {
            let share = (u64::from(weight(level)) * reciprocal + (1 << 31)) >> 32;
            *frequency = (share as u16).max(u16::from(level > 0));
            sum += *frequency;
        }
        settle(frequencies.present_mut(), sum);
        frequencies
    }
}

/// Frequencies of all symbols in one context; they sum to [`SLOTS`], or are all zero.
pub(super) struct Frequencies {
    of: [u16; 256],
    symbols: Range<usize>,
}

impl Frequencies {
    /// Of every symbol.
    pub(super) fn all(&self) -> &[u16; 256] {
        &self.of
    }

    fn present_mut(&mut self) -> &mut [u16] {
        &mut self.of[self.symbols.clone()]
    }
}

/// Makes the frequencies, whose sum is given, sum to [`SLOTS`] by changing the largest (the lowest such symbol) as
/// little at a time as keeps its shape.
#[inline(always)]
fn settle(frequencies: &mut [u16], mut sum: u16) {
    while sum != SLOTS as u16 {
        let most = frequencies.iter().copied().fold(0, u16::max);
        let largest = frequencies.iter().position(|&frequency| frequency == most).unwrap_or(0);
        if sum < SLOTS as u16 {
            frequencies[largest] += SLOTS as u16 - sum;
            return;
        }
        let slack = (sum - SLOTS as u16).min((most / 4).max(1));
        frequencies[largest] -= slack;
        sum -= slack;
    }
}

/// Entries that are written at once.
pub(super) const RUN: usize = 32;

/// What is added to the first entry of a run.
const WITHIN: [u32; RUN] = {
    let mut within = [0; RUN];
    let mut i = 0;
    while i < RUN {
        within[i] = (i as u32) << 19;
        i += 1;
    }
    within
};

/// A decoding table entry for each slot: symbol in bits 0..8, frequency less one in bits 8..19, position of the slot
/// within its symbol in bits 19..30. `slots` has room for [`RUN`] more than it will hold: a symbol's entries are written
/// in whole runs, whose excess the next symbol overwrites.
#[inline(always)]
pub(super) fn fill_slots(frequencies: &Frequencies, slots: &mut [u32]) {
    let mut at = 0;
    let present = frequencies.symbols.clone().map(|symbol| (symbol, frequencies.of[symbol]));
    for (symbol, frequency) in present.filter(|(_, frequency)| *frequency > 0) {
        let entry = symbol as u32 | (u32::from(frequency) - 1) << 8;
        fill(&mut slots[at..], entry, usize::from(frequency));
        at += usize::from(frequency);
    }
    // A context that does not occur: only damaged frames look here, and they find symbol 0 at no cost.
    if at < SLOTS {
        fill(&mut slots[at..], (SLOTS as u32 - 1) << 8, SLOTS - at);
    }
}

/// Writes `count` entries of one symbol, at least one.
#[inline(always)]
fn fill(slots: &mut [u32], entry: u32, count: usize) {
    for within in (0..count).step_by(RUN) {
        let first = entry + ((within as u32) << 19);
        let run: &mut [u32; RUN] = slots[within..].first_chunk_mut().expect("there is room for a run more");
        run.iter_mut().zip(&WITHIN).for_each(|(slot, within)| *slot = first + within);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::plane::golomb;
    use proptest::prelude::*;

    fn counts() -> impl Strategy<Value = [u32; 256]> {
        proptest::collection::vec((0usize..255, prop_oneof![0u32..10, 0u32..200_000]), 1..60).prop_map(
            |pairs| {
                let mut counts = [0; 256];
                for (symbol, count) in pairs {
                    // Symbol 1, the zero that is negative, never occurs.
                    counts[if symbol == 1 { 0 } else { symbol }] = count;
                }
                counts
            },
        )
    }

    proptest! {
        #[test]
        fn frequencies_cover_all_symbols_that_occur(counts in counts()) {
            let frequencies = Levels::of_counts(&counts, &Levels::NONE).frequencies();
            let sum: u32 = frequencies.all().iter().map(|&f| u32::from(f)).sum();
            prop_assert_eq!(sum, if counts.iter().all(|&c| c == 0) { 0 } else { SLOTS as u32 });
            for (count, frequency) in counts.iter().zip(*frequencies.all()) {
                prop_assert!(*count == 0 || frequency > 0);
            }
        }

        #[test]
        fn levels_come_back_from_their_stream(tables in proptest::collection::vec(counts(), 1..5)) {
            let (mut stream, mut before, mut all) = (Vec::new(), Levels::NONE, Vec::new());
            for counts in tables {
                let levels = Levels::of_counts(&counts, &before);
                levels.write(&before, &mut stream);
                all.push(levels.clone());
                before = levels;
            }
            let mut stored = Vec::new();
            golomb::encode(&stream, 1, &mut stored);
            let (mut reader, mut before) = (Reader::open(&stored).expect("a known order"), Levels::NONE);
            for levels in all {
                let back = Levels::read(&mut reader, &before, 256).expect("what was written reads");
                prop_assert_eq!(&back, &levels);
                before = back;
            }
            prop_assert_eq!(reader.finish(), Ok(&[][..]));
        }

        #[test]
        fn any_stream_reads_to_tables_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut before = Levels::NONE;
            let Ok(mut reader) = Reader::open(&bytes) else { return Ok(()) };
            while let Ok(levels) = Levels::read(&mut reader, &before, 120) {
                let frequencies = levels.frequencies();
                let mut slots = vec![0; SLOTS + RUN];
                fill_slots(&frequencies, &mut slots);
                prop_assert!(frequencies.all()[120..].iter().all(|&f| f == 0));
                before = levels;
            }
        }

        #[test]
        fn rounding_costs_little(counts in counts()) {
            let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
            let present = counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count));
            let ideal: f64 = present.map(|count| count * (total / count).log2()).sum();
            let coded = symbol_bits(&counts, &nearest(&counts));
            prop_assert!(coded <= ideal + 0.06 * total, "{} against {} bits per symbol", coded / total, ideal / total);
        }

        #[test]
        fn the_cheapest_levels_hardly_ever_cost_more_than_the_nearest(counts in counts()) {
            let cost = |levels: &Levels| {
                let mut stream = Vec::new();
                levels.write(&Levels::NONE, &mut stream);
                let mut stored = Vec::new();
                golomb::encode(&stream, 0, &mut stored);
                symbol_bits(&counts, levels) + 8.0 * stored.len() as f64
            };
            let (cheapest, nearest) = (Levels::of_counts(&counts, &Levels::NONE), nearest(&counts));
            prop_assert!(cost(&cheapest) <= 1.02 * cost(&nearest) + 256.0, "{} {}", cost(&cheapest), cost(&nearest));
        }
    }

    /// The levels of counts without regard to what they cost.
    fn nearest(counts: &[u32; 256]) -> Levels {
        let total = f64::from(counts.iter().sum::<u32>());
        let Levels { symbols, .. } = Levels::of_counts(counts, &Levels::NONE);
        Levels {
            of: counts.map(|count| if count == 0 { 0 } else { level(f64::from(count) / total) }),
            symbols,
        }
    }

    /// What coding these symbols takes with these levels.
    fn symbol_bits(counts: &[u32; 256], levels: &Levels) -> f64 {
        let frequencies = levels.frequencies();
        let present = counts.iter().zip(frequencies.all()).filter(|(count, _)| **count > 0);
        present.map(|(&count, &of)| f64::from(count) * (SLOTS as f64 / f64::from(of)).log2()).sum()
    }
}
