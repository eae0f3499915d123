//! Sixteen rANS states side by side: the operations of one group, and their portable form.
//!
//! Every implementation computes the same integers and moves the same words in the same order, so frames do not show
//! which one coded them.

use super::rans::{FLOOR, GROUP, Sink, Stream, Ticket};
use super::tables::{PROBABILITY_BITS, SLOTS, SlotTables};

/// Mask of a slot within its table.
pub(super) const SLOT: u32 = SLOTS as u32 - 1;
/// Mask of a position in [`SlotTables`], whose length is a power of two.
pub(super) const PLACE: u32 = (size_of::<SlotTables>() / 4) as u32 - 1;

/// The states of a group, or a number for each of its elements.
pub(super) trait Lanes: Copy {
    /// Takes up sixteen numbers.
    ///
    /// # Safety
    /// The machine must have the instructions of this implementation. So the existence of a value proves that it has.
    unsafe fn load(from: &[u32; GROUP]) -> Self;
    /// The numbers, back in memory.
    fn store(self, to: &mut [u32; GROUP]);
    /// The table's number at each of these places, which are taken modulo its length.
    fn look_up(self, table: &[u32; 32]) -> Self;
    /// Decodes a symbol from each state, with the table that starts at its context's place: states, symbols.
    fn pull_symbols(self, contexts: Self, slots: &SlotTables, stream: &mut Stream<'_>) -> (Self, Self);
    /// Decodes up to 16 verbatim bits from each state: states, values.
    fn pull_bits(self, bits: Self, stream: &mut Stream<'_>) -> (Self, Self);
    /// Encodes the symbols whose tickets are at `places`; `tickets` holds a power of two.
    fn push_symbols(self, places: Self, tickets: &[Ticket], sink: &mut Sink<'_>) -> Self;
    /// Encodes up to 16 verbatim bits into each state: the low ones of `values`.
    fn push_bits(self, values: Self, bits: Self, sink: &mut Sink<'_>) -> Self;
    /// How many bits symbols have in the given pass of 16: `fine` as in `symbol`.
    fn verbatim(self, fine: u32, pass: u32) -> Self;
    /// Whether any number is not zero.
    fn any(self) -> bool;
    /// The low eight bits.
    fn low_byte(self) -> Self;
    /// The bits above the low 16.
    fn upper(self) -> Self;
    /// `self | high << 16`.
    fn below(self, high: Self) -> Self;
}

impl Lanes for [u32; GROUP] {
    #[inline(always)]
    unsafe fn load(from: &[u32; GROUP]) -> Self {
        *from
    }

    #[inline(always)]
    fn store(self, to: &mut [u32; GROUP]) {
        *to = self;
    }

    #[inline(always)]
    fn look_up(self, table: &[u32; 32]) -> Self {
        self.map(|place| table[(place % 32) as usize])
    }

    #[inline(always)]
    fn pull_symbols(mut self, contexts: Self, slots: &SlotTables, stream: &mut Stream<'_>) -> (Self, Self) {
        let mut symbols = [0; GROUP];
        for i in 0..GROUP {
            let entry = slots[((contexts[i] | self[i] & SLOT) & PLACE) as usize];
            let frequency = ((entry >> 8) & SLOT) + 1;
            self[i] = frequency.wrapping_mul(self[i] >> PROBABILITY_BITS).wrapping_add(entry >> 19);
            symbols[i] = entry & 0xff;
        }
        refill(&mut self, stream);
        (self, symbols)
    }

    #[inline(always)]
    fn pull_bits(mut self, bits: Self, stream: &mut Stream<'_>) -> (Self, Self) {
        let mut values = [0; GROUP];
        for i in 0..GROUP {
            values[i] = self[i] & ((1 << bits[i]) - 1);
            self[i] >>= bits[i];
        }
        refill(&mut self, stream);
        (self, values)
    }

    #[inline(always)]
    fn push_symbols(mut self, places: Self, tickets: &[Ticket], sink: &mut Sink<'_>) -> Self {
        for i in (0..GROUP).rev() {
            self[i] = tickets[places[i] as usize].push(self[i], sink);
        }
        self
    }

    #[inline(always)]
    fn push_bits(mut self, values: Self, bits: Self, sink: &mut Sink<'_>) -> Self {
        for i in (0..GROUP).rev() {
            self[i] = sink.push_bits(self[i], values[i] & ((1 << bits[i]) - 1), bits[i]);
        }
        self
    }

    #[inline(always)]
    fn verbatim(self, fine: u32, pass: u32) -> Self {
        self.map(|symbol| (symbol >> (fine + 1)).max(1).saturating_sub(1 + 16 * pass).min(16))
    }

    #[inline(always)]
    fn any(self) -> bool {
        self.iter().fold(0, |all, number| all | number) != 0
    }

    #[inline(always)]
    fn low_byte(self) -> Self {
        self.map(|number| number & 0xff)
    }

    #[inline(always)]
    fn upper(self) -> Self {
        self.map(|number| number >> 16)
    }

    #[inline(always)]
    fn below(mut self, high: Self) -> Self {
        for i in 0..GROUP {
            self[i] |= high[i] << 16;
        }
        self
    }
}

/// Feeds the states that fell below the floor, in order.
#[inline(always)]
fn refill(states: &mut [u32; GROUP], stream: &mut Stream<'_>) {
    let window = *stream.window();
    let mut taken = 0;
    for state in states {
        let at = 2 * (taken % GROUP);
        let word = u32::from(u16::from_le_bytes([window[at], window[at + 1]]));
        let low = *state < FLOOR;
        *state = if low { *state << 16 | word } else { *state };
        taken += usize::from(low);
    }
    stream.skip(taken);
}
