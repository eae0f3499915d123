//! Frequency tables: how counts become probabilities, and how probabilities are stored.
//!
//! A frame has a table per context and few elements per table, so tables must be small. A frequency is stored as its
//! logarithm in quarter octaves (an error of at most 9 % in a frequency costs about 0.002 bits per symbol), as the
//! folded difference to a neighbour's, and the stream of these bytes is Huffman-coded like any byte plane.
//!
//! Layout of the stream, per context: first symbol present; number of symbols from there to the last present (0 and
//! no more bytes: the context does not occur); then a byte per symbol: `zigzag(level - guess)`, where the guess is the
//! level of the same bucket's other sign, or of the bucket below (0 before the first). Level 0: the symbol does not
//! occur.

use super::scales::MAX_CONTEXTS;
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

/// The level whose weight is nearest to `count` of `total` (both nonzero): never 0.
fn level(count: u32, total: u32) -> u8 {
    let wanted = (u64::from(count) << (PROBABILITY_BITS + 4)) / u64::from(total);
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).max(QUARTER_OCTAVES[0]);
    let octave = wanted.ilog2() - 4;
    let below = 1 + (octave * LEVELS_PER_OCTAVE) as u8;
    (below..=(below + 4).min(MAX_LEVEL))
        .min_by_key(|&level| weight(level).abs_diff(wanted))
        .unwrap_or(MAX_LEVEL)
}

/// The levels of the symbols of one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    of: [u8; 256],
    /// All that occur are among these. Begins with an even symbol, so that both signs of a bucket are together.
    symbols: Range<usize>,
}

impl Levels {
    pub(super) fn of_counts(counts: &[u32; 256]) -> Self {
        let total: u32 = counts.iter().sum();
        let present = |&count: &u32| count != 0;
        let first = counts.iter().position(present).map_or(0, |first| first & !1);
        // Symbol 255 would stand for a magnitude beyond 2^63, so the length of the range fits a byte.
        let end = counts.iter().rposition(present).map_or(0, |last| last + 1);
        Self { of: counts.map(|count| if count == 0 { 0 } else { level(count, total) }), symbols: first..end }
    }

    /// Appends the context's part of the stream.
    pub(super) fn write(&self, stream: &mut Vec<u8>) {
        let Range { start, end } = self.symbols;
        stream.extend_from_slice(&[start as u8, (end - start) as u8]);
        for symbol in start..end {
            let difference = self.of[symbol].wrapping_sub(self.guess(symbol)) as i8;
            stream.push(((difference << 1) ^ (difference >> 7)) as u8);
        }
    }

    /// Takes the context's part of the stream.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(stream: &mut &[u8], alphabet: usize) -> Result<Self, &'static str> {
        let (head, rest) = stream.split_at_checked(2).ok_or("tables cut short")?;
        let (first, count) = (usize::from(head[0]), usize::from(head[1]));
        if first + count > alphabet {
            return Err("a table beyond the alphabet");
        }
        let (coded, rest) = rest.split_at_checked(count).ok_or("tables cut short")?;
        let mut levels = Self { of: [0; 256], symbols: first..first + count };
        for (symbol, &byte) in (first..).zip(coded) {
            let difference = (byte >> 1) ^ (byte & 1).wrapping_neg();
            let level = levels.guess(symbol).wrapping_add(difference);
            if level > MAX_LEVEL {
                return Err("a frequency out of range");
            }
            levels.of[symbol] = level;
        }
        *stream = rest;
        Ok(levels)
    }

    fn guess(&self, symbol: usize) -> u8 {
        match symbol - self.symbols.start {
            0 => 0,
            1 => self.of[symbol - 1],
            _ if symbol % 2 == 1 => self.of[symbol - 1],
            _ => self.of[symbol - 2],
        }
    }

    /// The frequencies that these levels stand for: all zero if no symbol occurs.
    #[inline(always)]
    pub(super) fn frequencies(&self) -> Frequencies {
        let mut frequencies = Frequencies { of: [0; 256], symbols: self.symbols.clone() };
        let levels = &self.of[self.symbols.clone()];
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
    use proptest::prelude::*;

    fn counts() -> impl Strategy<Value = [u32; 256]> {
        proptest::collection::vec((0usize..255, prop_oneof![0u32..10, 0u32..200_000]), 1..60).prop_map(
            |pairs| {
                let mut counts = [0; 256];
                for (symbol, count) in pairs {
                    counts[symbol] = count;
                }
                counts
            },
        )
    }

    proptest! {
        #[test]
        fn frequencies_cover_exactly_the_symbols_that_occur(counts in counts()) {
            let frequencies = Levels::of_counts(&counts).frequencies();
            let sum: u32 = frequencies.all().iter().map(|&f| u32::from(f)).sum();
            prop_assert_eq!(sum, if counts.iter().all(|&c| c == 0) { 0 } else { SLOTS as u32 });
            for (count, frequency) in counts.iter().zip(*frequencies.all()) {
                prop_assert_eq!(*count > 0, frequency > 0);
            }
        }

        #[test]
        fn levels_come_back_from_their_stream(counts in counts()) {
            let levels = Levels::of_counts(&counts);
            let mut stream = Vec::new();
            levels.write(&mut stream);
            let mut rest = &stream[..];
            let back = Levels::read(&mut rest, 256).expect("what was written reads");
            prop_assert_eq!(back, levels);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_stream_reads_to_a_table_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(levels) = Levels::read(&mut &bytes[..], 120) {
                let frequencies = levels.frequencies();
                let mut slots = vec![0; SLOTS + RUN];
                fill_slots(&frequencies, &mut slots);
                prop_assert!(frequencies.all()[120..].iter().all(|&f| f == 0));
            }
        }

        #[test]
        fn rounding_costs_little(counts in counts()) {
            let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
            let frequencies = Levels::of_counts(&counts).frequencies();
            let present = counts.iter().zip(*frequencies.all()).filter(|(count, _)| **count > 0);
            let (mut ideal, mut coded) = (0.0, 0.0);
            for (&count, frequency) in present {
                ideal -= f64::from(count) * (f64::from(count) / total).log2();
                coded -= f64::from(count) * (f64::from(frequency) / SLOTS as f64).log2();
            }
            prop_assert!(coded <= ideal + 0.06 * total, "{} against {} bits per symbol", coded / total, ideal / total);
        }
    }
}
