//! Interleaved range asymmetric numeral systems: the arithmetic of one state, and the stream that all share.
//!
//! rANS is Duda's (arXiv 1311.2540); interleaving many states over one stream of 16-bit words is Giesen's
//! (arXiv 1402.3392). States hold 32 bits, never less than 2^16 between operations, so that one operation moves at
//! most one word. Element `i` of a block belongs to state `i % 32`; the elements of a group of 16 take their words in
//! order: first all symbols, then the first 16 verbatim bits of all, then the next 16.

use super::tables::{Frequencies, PROBABILITY_BITS};

/// States, and so elements in flight.
pub(super) const STATES: usize = 32;
/// Elements that take turns on the stream together.
pub(super) const GROUP: usize = 16;
/// Every state starts, and after decoding ends, here.
pub(super) const FLOOR: u32 = 1 << 16;

/// What encoding one symbol takes, so that it needs no division.
#[derive(Clone, Copy, Default)]
pub(super) struct Ticket {
    /// 2^64 / frequency, rounded up.
    reciprocal: u64,
    /// Added to the state beside the quotient: where the symbol's slots start.
    start: u32,
    /// Slots of all other symbols.
    others: u32,
}

/// The tickets of one context.
pub(super) fn tickets(frequencies: &Frequencies, tickets: &mut [Ticket]) {
    let mut start = 0;
    for (ticket, &frequency) in tickets.iter_mut().zip(frequencies) {
        let frequency = u32::from(frequency);
        *ticket = match frequency {
            0 => Ticket::default(),
            // 2^64 does not fit: 2^64 - 1 makes the quotient one too small, which the start makes up for.
            1 => Ticket {
                reciprocal: u64::MAX,
                start: start + (1 << PROBABILITY_BITS) - 1,
                others: (1 << PROBABILITY_BITS) - 1,
            },
            _ => Ticket {
                reciprocal: u64::MAX / u64::from(frequency) + 1,
                start,
                others: (1 << PROBABILITY_BITS) - frequency,
            },
        };
        start += frequency;
    }
}

/// Words written from the last to the first.
pub(super) struct Writer<'a> {
    words: &'a mut [u16],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(words: &'a mut [u16]) -> Self {
        let at = words.len();
        Self { words, at }
    }

    /// Moves the state's low word to the stream if `full`.
    #[inline(always)]
    fn spill(&mut self, state: u32, full: bool) -> u32 {
        self.words[self.at - 1] = state as u16;
        self.at -= usize::from(full);
        if full { state >> 16 } else { state }
    }

    /// Encodes a symbol into a state.
    #[inline(always)]
    pub(super) fn symbol(&mut self, state: &mut u32, ticket: &Ticket) {
        let frequency = (1 << PROBABILITY_BITS) - u64::from(ticket.others);
        let full = u64::from(*state) >= frequency << (32 - PROBABILITY_BITS);
        let rest = self.spill(*state, full);
        let quotient = ((u128::from(rest) * u128::from(ticket.reciprocal)) >> 64) as u32;
        *state = rest.wrapping_add(ticket.start).wrapping_add(quotient.wrapping_mul(ticket.others));
    }

    /// Encodes up to 16 verbatim bits into a state.
    #[inline(always)]
    pub(super) fn verbatim(&mut self, state: &mut u32, value: u32, bits: u32) {
        let full = u64::from(*state) >= 1 << (32 - bits);
        let rest = self.spill(*state, full);
        *state = rest << bits | value;
    }

    /// The words in reading order.
    pub(super) fn written(&self) -> &[u16] {
        &self.words[self.at..]
    }
}

/// Words read from first to last, and the states they feed.
pub(super) struct Reader<'a> {
    /// States of both halves.
    pub(super) states: [u32; STATES],
    /// Little-endian words.
    pub(super) words: &'a [u8],
    /// Bytes of `words` that are read.
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    /// Takes the states and then the words.
    pub(super) fn new(stored: &'a [u8]) -> Option<Self> {
        let (states, words) = stored.split_at_checked(4 * STATES)?;
        let mut reader = Self { states: [0; STATES], words, at: 0 };
        for (state, bytes) in reader.states.iter_mut().zip(states.chunks_exact(4)) {
            *state = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Some(reader)
    }

    /// Feeds a state that fell below the floor. Beyond the end it reads zeros, which [`Reader::is_finished`] tells.
    #[inline(always)]
    fn refill(&mut self, lane: usize) {
        if self.states[lane] < FLOOR {
            let word = match self.words.get(self.at..self.at + 2) {
                Some(bytes) => u32::from(u16::from_le_bytes([bytes[0], bytes[1]])),
                None => 0,
            };
            self.at += 2;
            self.states[lane] = self.states[lane] << 16 | word;
        }
    }

    /// Decodes a symbol from a state with its context's slots.
    #[inline(always)]
    pub(super) fn symbol(&mut self, lane: usize, slots: &[u32]) -> u32 {
        let state = self.states[lane];
        let entry = slots[(state & ((1 << PROBABILITY_BITS) - 1)) as usize];
        let frequency = ((entry >> 8) & ((1 << PROBABILITY_BITS) - 1)) + 1;
        self.states[lane] = frequency.wrapping_mul(state >> PROBABILITY_BITS).wrapping_add(entry >> 19);
        self.refill(lane);
        entry & 0xff
    }

    /// Decodes up to 16 verbatim bits from a state.
    #[inline(always)]
    pub(super) fn verbatim(&mut self, lane: usize, bits: u32) -> u32 {
        let state = self.states[lane];
        self.states[lane] = state >> bits;
        self.refill(lane);
        state & ((1 << bits) - 1)
    }

    /// Whether all words were read and every state is back at its start: true for every frame that was encoded, and
    /// hardly ever for a damaged one.
    pub(super) fn is_finished(&self) -> bool {
        self.at == self.words.len() && self.states.iter().all(|&state| state == FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::{Levels, SLOTS, fill_slots};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn symbols_and_bits_come_back_in_order(
            elements in proptest::collection::vec((0u32..6, 0u32..=16, any::<u16>()), 0..400),
            skew in 1u32..100_000,
        ) {
            let mut counts = [0; 256];
            for symbol in 0..6 {
                counts[symbol as usize] = 1 + skew / (1 << (3 * symbol));
            }
            let frequencies = Levels::of_counts(&counts).frequencies();
            let mut forth = [Ticket::default(); 256];
            tickets(&frequencies, &mut forth);
            let mut buffer = vec![0; 2 * elements.len() + 1];
            let mut writer = Writer::new(&mut buffer);
            let mut state = FLOOR;
            for &(symbol, bits, value) in elements.iter().rev() {
                writer.verbatim(&mut state, u32::from(value) & ((1 << bits) - 1), bits);
                writer.symbol(&mut state, &forth[symbol as usize]);
            }
            let mut stored = state.to_le_bytes().to_vec();
            stored.extend([FLOOR; STATES - 1].iter().flat_map(|state| state.to_le_bytes()));
            stored.extend(writer.written().iter().flat_map(|word| word.to_le_bytes()));
            let mut slots = vec![0; SLOTS];
            fill_slots(&frequencies, &mut slots);
            let mut reader = Reader::new(&stored).expect("long enough");
            for &(symbol, bits, value) in &elements {
                prop_assert_eq!(reader.symbol(0, &slots), symbol);
                prop_assert_eq!(reader.verbatim(0, bits), u32::from(value) & ((1 << bits) - 1));
            }
            prop_assert!(reader.is_finished());
        }
    }
}
