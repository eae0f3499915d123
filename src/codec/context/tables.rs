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

/// Precision of probabilities. 2,048 slots of 4 bytes per context let 16 contexts live in 128 KiB of a core's
/// second-level cache; 12 bits gain nothing on weights that the larger footprint does not lose.
pub(super) const PROBABILITY_BITS: u32 = 11;

/// Slots of one table.
pub(super) const SLOTS: usize = 1 << PROBABILITY_BITS;

/// The decoding tables of a frame, one after the other: entries as [`fill_slots`] makes them.
pub(super) type SlotTables = [u32; MAX_CONTEXTS * SLOTS];

/// Frequencies of all symbols in one context; they sum to [`SLOTS`], or are all zero.
pub(super) type Frequencies = [u16; 256];

const LEVELS_PER_OCTAVE: u32 = 4;
/// Highest level: `SLOTS` itself, and a little room for a large part of a sum that is rounded down.
const MAX_LEVEL: u8 = 63;

/// 2^(i/4), in sixteenths.
const QUARTER_OCTAVES: [u32; 4] = [16, 19, 23, 27];

fn weight(level: u8) -> u32 {
    let steps = u32::from(level - 1);
    QUARTER_OCTAVES[(steps % LEVELS_PER_OCTAVE) as usize] << (steps / LEVELS_PER_OCTAVE)
}

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
#[derive(Clone)]
pub(super) struct Levels([u8; 256]);

impl Levels {
    pub(super) fn of_counts(counts: &[u32; 256]) -> Self {
        let total: u32 = counts.iter().sum();
        Self(counts.map(|count| if count == 0 { 0 } else { level(count, total) }))
    }

    /// Appends the context's part of the stream.
    pub(super) fn write(&self, stream: &mut Vec<u8>) {
        let present = |&level: &u8| level != 0;
        let Some(first) = self.0.iter().position(present) else {
            stream.extend_from_slice(&[0, 0]);
            return;
        };
        // From an even symbol on, so that both signs of a bucket are together.
        let first = first & !1;
        let last = self.0.iter().rposition(present).unwrap_or(first);
        // Symbol 255 would stand for a magnitude beyond 2^63, so the count fits its byte.
        debug_assert!(last < 255);
        stream.extend_from_slice(&[first as u8, (last - first + 1) as u8]);
        for symbol in first..=last {
            let difference = self.0[symbol].wrapping_sub(self.guess(first, symbol)) as i8;
            stream.push(((difference << 1) ^ (difference >> 7)) as u8);
        }
    }

    /// Takes the context's part of the stream.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(stream: &mut &[u8], alphabet: usize) -> Result<Self, &'static str> {
        let mut levels = Self([0; 256]);
        let (head, rest) = stream.split_at_checked(2).ok_or("tables cut short")?;
        let (first, count) = (usize::from(head[0]), usize::from(head[1]));
        if first + count > alphabet {
            return Err("a table beyond the alphabet");
        }
        let (coded, rest) = rest.split_at_checked(count).ok_or("tables cut short")?;
        for (symbol, &byte) in (first..).zip(coded) {
            let difference = (byte >> 1) ^ (byte & 1).wrapping_neg();
            let level = levels.guess(first, symbol).wrapping_add(difference);
            if level > MAX_LEVEL {
                return Err("a frequency out of range");
            }
            levels.0[symbol] = level;
        }
        *stream = rest;
        Ok(levels)
    }

    fn guess(&self, first: usize, symbol: usize) -> u8 {
        match symbol - first {
            0 => 0,
            1 => self.0[symbol - 1],
            _ if symbol % 2 == 1 => self.0[symbol - 1],
            _ => self.0[symbol - 2],
        }
    }

    /// The frequencies that these levels stand for: all zero if no symbol occurs.
    pub(super) fn frequencies(&self) -> Frequencies {
        let mut frequencies = [0; 256];
        let total: u32 = self.0.iter().filter(|&&level| level > 0).map(|&level| weight(level)).sum();
        if total == 0 {
            return frequencies;
        }
        for (frequency, &level) in frequencies.iter_mut().zip(&self.0) {
            if level > 0 {
                let share =
                    (u64::from(weight(level)) * SLOTS as u64 + u64::from(total / 2)) / u64::from(total);
                *frequency = (share as u16).max(1);
            }
        }
        settle(&mut frequencies);
        frequencies
    }
}

/// Makes the frequencies sum to [`SLOTS`] by changing the largest (the lowest such symbol) as little at a time as
/// keeps its shape.
fn settle(frequencies: &mut Frequencies) {
    let mut sum: u32 = frequencies.iter().map(|&frequency| u32::from(frequency)).sum();
    while sum != SLOTS as u32 {
        let mut largest = 0;
        for symbol in 1..256 {
            if frequencies[symbol] > frequencies[largest] {
                largest = symbol;
            }
        }
        let slack = sum.abs_diff(SLOTS as u32).min(u32::from(frequencies[largest] / 4).max(1)) as u16;
        if sum > SLOTS as u32 {
            frequencies[largest] -= slack;
            sum -= u32::from(slack);
        } else {
            frequencies[largest] += slack;
            sum += u32::from(slack);
        }
    }
}

/// A decoding table entry for each slot: symbol in bits 0..8, frequency less one in bits 8..19, position of the slot
/// within its symbol in bits 19..30.
pub(super) fn fill_slots(frequencies: &Frequencies, slots: &mut [u32]) {
    let mut at = 0;
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        let own = &mut slots[at..at + usize::from(frequency)];
        let entry = symbol as u32 | (u32::from(frequency).wrapping_sub(1)) << 8;
        own.iter_mut().enumerate().for_each(|(within, slot)| *slot = entry | (within as u32) << 19);
        at += usize::from(frequency);
    }
    // A context that does not occur: only damaged frames look here, and they find symbol 0 at no cost.
    for (within, slot) in slots[at..].iter_mut().enumerate() {
        *slot = (SLOTS as u32 - 1) << 8 | (within as u32) << 19;
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
            let sum: u32 = frequencies.iter().map(|&f| u32::from(f)).sum();
            prop_assert_eq!(sum, if counts.iter().all(|&c| c == 0) { 0 } else { SLOTS as u32 });
            for (count, frequency) in counts.iter().zip(frequencies) {
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
            prop_assert_eq!(back.0, levels.0);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_stream_reads_to_a_table_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(levels) = Levels::read(&mut &bytes[..], 120) {
                let frequencies = levels.frequencies();
                let mut slots = vec![0; SLOTS];
                fill_slots(&frequencies, &mut slots);
                prop_assert!(frequencies[120..].iter().all(|&f| f == 0));
            }
        }

        #[test]
        fn rounding_costs_little(counts in counts()) {
            let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
            let frequencies = Levels::of_counts(&counts).frequencies();
            let present = counts.iter().zip(frequencies).filter(|(count, _)| **count > 0);
            let (mut ideal, mut coded) = (0.0, 0.0);
            for (&count, frequency) in present {
                ideal -= f64::from(count) * (f64::from(count) / total).log2();
                coded -= f64::from(count) * (f64::from(frequency) / SLOTS as f64).log2();
            }
            prop_assert!(coded <= ideal + 0.06 * total, "{} against {} bits per symbol", coded / total, ideal / total);
        }
    }
}
