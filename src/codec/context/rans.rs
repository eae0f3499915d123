//! Interleaved range asymmetric numeral systems: the arithmetic of one state, and the stream that all share.
//!
//! rANS is Duda's (arXiv 1311.2540); interleaving many states over one stream of 16-bit words is Giesen's
//! (arXiv 1402.3392). States hold 32 bits, never less than 2^16 between operations, so that one operation moves at
//! most one word. Element `i` of a block belongs to state `i % 32`; the elements of a group of 16 take their words in
//! order: first all symbols, then the first 16 verbatim bits of all, then the next 16.

use super::tables::{Frequencies, PROBABILITY_BITS};

/// Elements that take turns on the stream together.
pub(super) const GROUP: usize = 16;
/// Every state starts, and after decoding ends, here.
pub(super) const FLOOR: u32 = 1 << 16;

/// The states of a group.
pub(super) type GroupStates = [u32; GROUP];
/// All states: groups take turns, so that two are in flight.
pub(super) type States = [GroupStates; 2];

/// Bytes of a turn: a word for each element of a group.
const TURN: usize = 2 * GROUP;

/// What encoding one symbol takes: where its slots start in bits 0..16, their number in bits 16..28.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(super) struct Ticket(u32);

impl Ticket {
    /// Encodes the symbol into a state.
    #[inline(always)]
    pub(super) fn push(self, state: u32, sink: &mut Sink<'_>) -> u32 {
        let frequency = (self.0 >> 16).max(1);
        let state = sink.spill(state, state >> (32 - PROBABILITY_BITS) >= frequency);
        let (quotient, rest) = (state / frequency, state % frequency);
        (quotient << PROBABILITY_BITS).wrapping_add(rest).wrapping_add(self.0 & 0xffff)
    }
}

/// The tickets of one context.
pub(super) fn tickets(frequencies: &Frequencies, tickets: &mut [Ticket]) {
    let mut start = 0;
    for (ticket, &frequency) in tickets.iter_mut().zip(frequencies.all()) {
        *ticket = Ticket(u32::from(frequency) << 16 | start);
        start += u32::from(frequency);
    }
}

/// The stream while it is written, from the last word to the first.
pub(super) struct Sink<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Sink<'a> {
    /// Bytes that must be left beyond all words, so that a turn can be stored whole.
    pub(super) const MARGIN: usize = TURN;

    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        let at = bytes.len();
        Self { bytes, at }
    }

    /// The place of the next turn's words: those in use must end where it ends.
    #[inline(always)]
    pub(super) fn room(&mut self) -> &mut [u8; TURN] {
        let place = &mut self.bytes[self.at - TURN..self.at];
        place.try_into().expect("as many bytes as were sliced")
    }

    /// Keeps the last `count` words of the room.
    #[inline(always)]
    pub(super) fn wrote(&mut self, count: usize) {
        self.at -= 2 * count;
    }

    /// Moves the state's low word to the stream if `full`.
    #[inline(always)]
    fn spill(&mut self, state: u32, full: bool) -> u32 {
        self.room()[TURN - 2..].copy_from_slice(&(state as u16).to_le_bytes());
        self.wrote(usize::from(full));
        if full { state >> 16 } else { state }
    }

    /// Encodes up to 16 verbatim bits into a state.
    #[inline(always)]
    pub(super) fn push_bits(&mut self, state: u32, value: u32, bits: u32) -> u32 {
        self.spill(state, u64::from(state) >> (32 - bits) != 0) << bits | value
    }

    /// The bytes in reading order.
    pub(super) fn written(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
}

/// The stream while it is read, from first word to last.
pub(super) struct Stream<'a> {
    /// Little-endian words.
    words: &'a [u8],
    /// Bytes of `words` that are read.
    at: usize,
    /// The last of the words with zeros after them, for windows that reach beyond the end.
    last: [u8; 3 * TURN],
}

impl<'a> Stream<'a> {
    /// Takes the states and then the words.
    pub(super) fn open(stored: &'a [u8]) -> Option<(States, Self)> {
        let (heads, words) = stored.split_at_checked(size_of::<States>())?;
        let mut states = States::default();
        for (state, bytes) in states.as_flattened_mut().iter_mut().zip(heads.chunks_exact(4)) {
            *state = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let mut last = [0; 3 * TURN];
        let rest = &words[words.len().saturating_sub(TURN)..];
        last[..rest.len()].copy_from_slice(rest);
        Some((states, Self { words, at: 0, last }))
    }

    /// The next words, as many as a turn can take. Beyond the end it reads zeros, which [`Stream::is_finished`] tells.
    #[inline(always)]
    pub(super) fn window(&self) -> &[u8; TURN] {
        match self.words.get(self.at..) {
            Some(rest) if rest.len() >= TURN => rest.first_chunk().expect("as long as was just seen"),
            _ => self.last_window(),
        }
    }

    #[cold]
    fn last_window(&self) -> &[u8; TURN] {
        let at = self.at.saturating_sub(self.words.len().saturating_sub(TURN)).min(2 * TURN);
        self.last[at..].first_chunk().expect("a turn is left after two of three")
    }

    /// Passes over `count` words.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: usize) {
        self.at += 2 * count;
    }

    /// Feeds a state that fell below the floor.
    #[inline(always)]
    fn refilled(&mut self, state: u32) -> u32 {
        if state >= FLOOR {
            return state;
        }
        let window = self.window();
        let word = u16::from_le_bytes([window[0], window[1]]);
        self.skip(1);
        state << 16 | u32::from(word)
    }

    /// Decodes a symbol from a state with its context's slots: state, symbol.
    #[inline(always)]
    pub(super) fn pull_symbol(&mut self, state: u32, slots: &[u32]) -> (u32, u32) {
        let entry = slots[(state & ((1 << PROBABILITY_BITS) - 1)) as usize];
        let frequency = ((entry >> 8) & ((1 << PROBABILITY_BITS) - 1)) + 1;
        let state = frequency.wrapping_mul(state >> PROBABILITY_BITS).wrapping_add(entry >> 19);
        (self.refilled(state), entry & 0xff)
    }

    /// Decodes up to 16 verbatim bits from a state: state, value.
    #[inline(always)]
    pub(super) fn pull_bits(&mut self, state: u32, bits: u32) -> (u32, u32) {
        (self.refilled(state >> bits), state & ((1 << bits) - 1))
    }

    /// Whether all words were read and every state is back at its start: true for every frame that was encoded, and
    /// hardly ever for a damaged one.
    pub(super) fn is_finished(&self, states: &States) -> bool {
        self.at == self.words.len() && states.as_flattened().iter().all(|&state| state == FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::{Levels, RUN, SLOTS, fill_slots};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn symbols_and_bits_come_back_in_order(
            elements in proptest::collection::vec((2u32..8, 0u32..=16, any::<u16>()), 0..400),
            skew in 1u32..100_000,
        ) {
            let mut counts = [0; 256];
            for symbol in 2..8 {
                counts[symbol as usize] = 1 + skew / (1 << (3 * (symbol - 2)));
            }
            let frequencies = Levels::of_counts(&counts, &Levels::NONE).frequencies();
            let mut forth = [Ticket::default(); 256];
            tickets(&frequencies, &mut forth);
            let mut buffer = vec![0; 4 * elements.len() + Sink::MARGIN];
            let mut sink = Sink::new(&mut buffer);
            let mut state = FLOOR;
            for &(symbol, bits, value) in elements.iter().rev() {
                state = sink.push_bits(state, u32::from(value) & ((1 << bits) - 1), bits);
                state = forth[symbol as usize].push(state, &mut sink);
            }
            let mut stored = state.to_le_bytes().to_vec();
            stored.extend([FLOOR; 2 * GROUP - 1].iter().flat_map(|state| state.to_le_bytes()));
            stored.extend(sink.written());
            let mut slots = vec![0; SLOTS + RUN];
            fill_slots(&frequencies, &mut slots);
            let (mut states, mut stream) = Stream::open(&stored).expect("long enough");
            for &(symbol, bits, value) in &elements {
                let (state, pulled) = stream.pull_symbol(states[0][0], &slots);
                prop_assert_eq!(pulled, symbol);
                let (state, pulled) = stream.pull_bits(state, bits);
                prop_assert_eq!(pulled, u32::from(value) & ((1 << bits) - 1));
                states[0][0] = state;
            }
            prop_assert!(stream.is_finished(&states));
        }
    }
}
