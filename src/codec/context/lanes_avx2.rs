//! Sixteen states in two AVX2 registers.
//!
//! AVX2 can neither expand nor compress: a table of permutations, one per set of states, does it.

use super::lanes::{Lanes, PLACE, SLOT};
use super::rans::{GROUP, Sink, Stream, Ticket};
use super::tables::{PROBABILITY_BITS, SlotTables};
use std::arch::x86_64::*;

/// Sixteen numbers. A value exists only where AVX2 does: [`Lanes::load`] demands it.
#[derive(Clone, Copy)]
pub(super) struct Avx2([__m256i; 2]);

/// For each set of eight states: which of the next words each gets.
const SPREAD: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut next) = (0, 0);
        while lane < 8 {
            if set >> lane & 1 == 1 {
                table[set][lane] = next;
                next += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    table
};

/// For each set of eight states: its members in order, at the end.
const CONDENSE: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut place) = (8, 8);
        while lane > 0 {
            lane -= 1;
            if set >> lane & 1 == 1 {
                place -= 1;
                table[set][place] = lane as u8;
            }
        }
        set += 1;
    }
    table
};

impl Avx2 {
    #[inline(always)]
    fn map(self, each: impl Fn(__m256i) -> __m256i) -> Self {
        Self([each(self.0[0]), each(self.0[1])])
    }

    #[inline(always)]
    fn with(self, other: Self, each: impl Fn(__m256i, __m256i) -> __m256i) -> Self {
        Self([each(self.0[0], other.0[0]), each(self.0[1], other.0[1])])
    }
}

/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn permutation(table: &[[u8; 8]; 256], set: u8) -> __m256i {
    let places = u64::from_le_bytes(table[usize::from(set)]);
    // SAFETY: as the caller vouches.
    unsafe { _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(places as i64)) }
}

/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn set_of(lanes: __m256i) -> u8 {
    // SAFETY: as the caller vouches.
    unsafe { _mm256_movemask_ps(_mm256_castsi256_ps(lanes)) as u8 }
}

/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn refill(state: __m256i, stream: &mut Stream<'_>) -> __m256i {
    let window = stream.window();
    // SAFETY: as the caller vouches; the load reads half of the window's 32 bytes.
    unsafe {
        let low = _mm256_cmpeq_epi32(_mm256_srli_epi32::<16>(state), _mm256_setzero_si256());
        let set = set_of(low);
        let words = _mm256_cvtepu16_epi32(_mm_loadu_si128(window.as_ptr().cast()));
        let words = _mm256_permutevar8x32_epi32(words, permutation(&SPREAD, set));
        stream.skip(set.count_ones() as usize);
        let fed = _mm256_or_si256(_mm256_slli_epi32::<16>(state), words);
        _mm256_blendv_epi8(state, fed, low)
    }
}

/// Moves the low words of the states in `full` to the stream.
///
/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn spill(state: __m256i, full: __m256i, sink: &mut Sink<'_>) -> __m256i {
    // SAFETY: as the caller vouches; the store fills the second half of the room's 32 bytes.
    unsafe {
        let set = set_of(full);
        let words = _mm256_permutevar8x32_epi32(state, permutation(&CONDENSE, set));
        let words = _mm256_and_si256(words, _mm256_set1_epi32(0xffff));
        let words = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        _mm_storeu_si128(sink.room()[16..].as_mut_ptr().cast(), words);
        sink.wrote(set.count_ones() as usize);
        _mm256_blendv_epi8(state, _mm256_srli_epi32::<16>(state), full)
    }
}

impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn load(from: &[u32; GROUP]) -> Self {
        let (low, high) = from.split_at(GROUP / 2);
        // SAFETY: the caller vouches for the instructions; a half holds 32 bytes.
        unsafe { Self([_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())]) }
    }

    #[inline(always)]
    fn store(self, to: &mut [u32; GROUP]) {
        let (low, high) = to.split_at_mut(GROUP / 2);
        // SAFETY: a value proves that the instructions exist; a half holds 32 bytes.
        unsafe {
            _mm256_storeu_si256(low.as_mut_ptr().cast(), self.0[0]);
            _mm256_storeu_si256(high.as_mut_ptr().cast(), self.0[1]);
        }
    }

    #[inline(always)]
    fn look_up(self, table: &[u32; 32]) -> Self {
        // SAFETY: a value proves that the instructions exist; masked places are within the table.
        self.map(|place| unsafe {
            let place = _mm256_and_si256(place, _mm256_set1_epi32(31));
            _mm256_i32gather_epi32::<4>(table.as_ptr().cast(), place)
        })
    }

    #[inline(always)]
    fn pull_symbols(self, contexts: Self, slots: &SlotTables, stream: &mut Stream<'_>) -> (Self, Self) {
        // SAFETY: a value proves that the instructions exist; masked places are within the tables.
        unsafe {
            let slot_mask = _mm256_set1_epi32(SLOT as i32);
            let entry = self.with(contexts, |state, context| {
                let place = _mm256_or_si256(_mm256_and_si256(state, slot_mask), context);
                let place = _mm256_and_si256(place, _mm256_set1_epi32(PLACE as i32));
                _mm256_i32gather_epi32::<4>(slots.as_ptr().cast(), place)
            });
            let state = self.with(entry, |state, entry| {
                let others = _mm256_and_si256(_mm256_srli_epi32::<8>(entry), slot_mask);
                let frequency = _mm256_add_epi32(others, _mm256_set1_epi32(1));
                let rest = _mm256_srli_epi32::<{ PROBABILITY_BITS as i32 }>(state);
                _mm256_add_epi32(_mm256_mullo_epi32(frequency, rest), _mm256_srli_epi32::<19>(entry))
            });
            let first = refill(state.0[0], stream);
            let second = refill(state.0[1], stream);
            let symbols = entry.map(|entry| _mm256_and_si256(entry, _mm256_set1_epi32(0xff)));
            (Self([first, second]), symbols)
        }
    }

    #[inline(always)]
    fn pull_bits(self, bits: Self, stream: &mut Stream<'_>) -> (Self, Self) {
        // SAFETY: a value proves that the instructions exist.
        unsafe {
            let values = self.with(bits, |state, bits| {
                let one = _mm256_set1_epi32(1);
                _mm256_and_si256(state, _mm256_sub_epi32(_mm256_sllv_epi32(one, bits), one))
            });
            let state = self.with(bits, |state, bits| _mm256_srlv_epi32(state, bits));
            let first = refill(state.0[0], stream);
            let second = refill(state.0[1], stream);
            (Self([first, second]), values)
        }
    }

    #[inline(always)]
    fn push_symbols(self, places: Self, tickets: &[Ticket], sink: &mut Sink<'_>) -> Self {
        assert!(tickets.len().is_power_of_two());
        // SAFETY: a value proves that the instructions exist; masked places are within the tickets, of 4 bytes each.
        unsafe {
            let mask = _mm256_set1_epi32(tickets.len() as i32 - 1);
            let tickets = places.map(|place| {
                _mm256_i32gather_epi32::<4>(tickets.as_ptr().cast(), _mm256_and_si256(place, mask))
            });
            let second = push_symbols(self.0[1], tickets.0[1], sink);
            Self([push_symbols(self.0[0], tickets.0[0], sink), second])
        }
    }

    #[inline(always)]
    fn push_bits(self, values: Self, bits: Self, sink: &mut Sink<'_>) -> Self {
        // SAFETY: a value proves that the instructions exist.
        unsafe {
            let second = push_bits(self.0[1], values.0[1], bits.0[1], sink);
            Self([push_bits(self.0[0], values.0[0], bits.0[0], sink), second])
        }
    }

    #[inline(always)]
    fn verbatim(self, fine: u32, pass: u32) -> Self {
        // SAFETY: a value proves that the instructions exist.
        self.map(|symbols| unsafe {
            let octave = _mm256_srlv_epi32(symbols, _mm256_set1_epi32(fine as i32 + 1));
            let before = _mm256_set1_epi32(1 + 16 * pass as i32);
            let bits = _mm256_sub_epi32(_mm256_max_epi32(octave, before), before);
            _mm256_min_epi32(bits, _mm256_set1_epi32(16))
        })
    }

    #[inline(always)]
    fn any(self) -> bool {
        // SAFETY: a value proves that the instructions exist.
        unsafe {
            let all = _mm256_or_si256(self.0[0], self.0[1]);
            _mm256_testz_si256(all, all) == 0
        }
    }

    #[inline(always)]
    fn low_byte(self) -> Self {
        // SAFETY: a value proves that the instructions exist.
        self.map(|numbers| unsafe { _mm256_and_si256(numbers, _mm256_set1_epi32(0xff)) })
    }

    #[inline(always)]
    fn upper(self) -> Self {
        // SAFETY: a value proves that the instructions exist.
        self.map(|numbers| unsafe { _mm256_srli_epi32::<16>(numbers) })
    }

    #[inline(always)]
    fn below(self, high: Self) -> Self {
        // SAFETY: a value proves that the instructions exist.
        self.with(high, |low, high| unsafe { _mm256_or_si256(low, _mm256_slli_epi32::<16>(high)) })
    }
}

/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn push_symbols(state: __m256i, ticket: __m256i, sink: &mut Sink<'_>) -> __m256i {
    // SAFETY: as the caller vouches.
    unsafe {
        let frequency = _mm256_srli_epi32::<16>(ticket);
        let start = _mm256_and_si256(ticket, _mm256_set1_epi32(0xffff));
        let top = _mm256_srli_epi32::<{ 32 - PROBABILITY_BITS as i32 }>(state);
        let full = _mm256_cmpeq_epi32(_mm256_max_epi32(top, frequency), top);
        let state = spill(state, full, sink);
        // A state of 32 bits is not a signed number, its half is: the quotient of 21 bits is at most two off.
        let half = _mm256_cvtepi32_ps(_mm256_srli_epi32::<1>(state));
        let near = _mm256_div_ps(_mm256_add_ps(half, half), _mm256_cvtepi32_ps(frequency));
        let mut near = _mm256_cvttps_epi32(near);
        for _ in 0..2 {
            let rest = _mm256_sub_epi32(state, _mm256_mullo_epi32(near, frequency));
            let over = _mm256_srai_epi32::<31>(rest);
            let under = _mm256_cmpeq_epi32(_mm256_max_epi32(rest, frequency), rest);
            near = _mm256_sub_epi32(_mm256_add_epi32(near, over), under);
        }
        let skip = _mm256_sub_epi32(_mm256_set1_epi32(1 << PROBABILITY_BITS), frequency);
        _mm256_add_epi32(_mm256_add_epi32(state, start), _mm256_mullo_epi32(near, skip))
    }
}

/// # Safety
/// The machine must have AVX2.
#[inline(always)]
unsafe fn push_bits(state: __m256i, values: __m256i, bits: __m256i, sink: &mut Sink<'_>) -> __m256i {
    // SAFETY: as the caller vouches.
    unsafe {
        // A shift by all 32 bits gives zero.
        let beyond = _mm256_srlv_epi32(state, _mm256_sub_epi32(_mm256_set1_epi32(32), bits));
        let within = _mm256_cmpeq_epi32(beyond, _mm256_setzero_si256());
        let full = _mm256_xor_si256(within, _mm256_set1_epi32(-1));
        let state = spill(state, full, sink);
        let one = _mm256_set1_epi32(1);
        let mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, bits), one);
        _mm256_or_si256(_mm256_sllv_epi32(state, bits), _mm256_and_si256(values, mask))
    }
}
