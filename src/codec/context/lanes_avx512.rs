//! Sixteen states in one AVX-512 register.
//!
//! The words that states need are spread to them by one expand instruction, those that they give are gathered by one
//! compress instruction.

use super::lanes::{Lanes, PLACE, SLOT};
use super::rans::{FLOOR, GROUP, Sink, Stream, Ticket};
use super::tables::{PROBABILITY_BITS, SlotTables};
use std::arch::x86_64::*;

/// Sixteen numbers. A value exists only where AVX-512 F, BW and VL do: [`Lanes::load`] demands it.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512i);

impl Avx512 {
    #[inline(always)]
    fn refill(self, stream: &mut Stream<'_>) -> Self {
        let window = stream.window();
        // SAFETY: a value proves that the instructions exist; the load reads the window's 32 bytes.
        unsafe {
            let low = _mm512_cmplt_epu32_mask(self.0, _mm512_set1_epi32(FLOOR as i32));
            let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(window.as_ptr().cast()));
            let spread = _mm512_maskz_expand_epi32(low, words);
            stream.skip(low.count_ones() as usize);
            Self(_mm512_mask_or_epi32(self.0, low, _mm512_slli_epi32::<16>(self.0), spread))
        }
    }

    /// Moves the low words of the states in `full` to the stream.
    #[inline(always)]
    fn spill(self, full: __mmask16, sink: &mut Sink<'_>) -> Self {
        let count = full.count_ones();
        // SAFETY: a value proves that the instructions exist; the store fills the room's 32 bytes.
        unsafe {
            let words = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, self.0));
            // To the end of the room; what lies before them is overwritten by later words.
            let places = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let places = _mm256_add_epi16(places, _mm256_set1_epi16(count as i16));
            let words = _mm256_permutexvar_epi16(places, words);
            _mm256_storeu_si256(sink.room().as_mut_ptr().cast(), words);
            sink.wrote(count as usize);
            Self(_mm512_mask_srli_epi32::<16>(self.0, full, self.0))
        }
    }
}

impl Lanes for Avx512 {
    #[inline(always)]
    unsafe fn load(from: &[u32; GROUP]) -> Self {
        // SAFETY: the caller vouches for the instructions; an array holds 64 bytes.
        Self(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [u32; GROUP]) {
        // SAFETY: a value proves that the instructions exist; an array holds 64 bytes.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn look_up(self, table: &[u32; 32]) -> Self {
        let (low, high) = table.split_at(GROUP);
        // SAFETY: a value proves that the instructions exist; each half holds 64 bytes; of places, five bits count.
        unsafe {
            let low = _mm512_loadu_si512(low.as_ptr().cast());
            let high = _mm512_loadu_si512(high.as_ptr().cast());
            Self(_mm512_permutex2var_epi32(low, self.0, high))
        }
    }

    #[inline(always)]
    fn pull_symbols(self, contexts: Self, slots: &SlotTables, stream: &mut Stream<'_>) -> (Self, Self) {
        // SAFETY: a value proves that the instructions exist; masked places are within the tables.
        unsafe {
            let slot = _mm512_and_si512(self.0, _mm512_set1_epi32(SLOT as i32));
            let place = _mm512_and_si512(_mm512_or_si512(slot, contexts.0), _mm512_set1_epi32(PLACE as i32));
            let entry = _mm512_i32gather_epi32::<4>(place, slots.as_ptr().cast());
            let others = _mm512_and_si512(_mm512_srli_epi32::<8>(entry), _mm512_set1_epi32(SLOT as i32));
            let frequency = _mm512_add_epi32(others, _mm512_set1_epi32(1));
            let rest = _mm512_srli_epi32::<{ PROBABILITY_BITS }>(self.0);
            let state = _mm512_add_epi32(_mm512_mullo_epi32(frequency, rest), _mm512_srli_epi32::<19>(entry));
            (Self(state).refill(stream), Self(_mm512_and_si512(entry, _mm512_set1_epi32(0xff))))
        }
    }

    #[inline(always)]
    fn pull_bits(self, bits: Self, stream: &mut Stream<'_>) -> (Self, Self) {
        // SAFETY: a value proves that the instructions exist.
        unsafe {
            let one = _mm512_set1_epi32(1);
            let mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, bits.0), one);
            let values = _mm512_and_si512(self.0, mask);
            (Self(_mm512_srlv_epi32(self.0, bits.0)).refill(stream), Self(values))
        }
    }

    #[inline(always)]
    fn push_symbols(self, places: Self, tickets: &[Ticket], sink: &mut Sink<'_>) -> Self {
        assert!(tickets.len().is_power_of_two());
        // SAFETY: a value proves that the instructions exist; masked places are within the tickets, of 4 bytes each.
        unsafe {
            let place = _mm512_and_si512(places.0, _mm512_set1_epi32(tickets.len() as i32 - 1));
            let ticket = _mm512_i32gather_epi32::<4>(place, tickets.as_ptr().cast());
            let frequency = _mm512_srli_epi32::<16>(ticket);
            let start = _mm512_and_si512(ticket, _mm512_set1_epi32(0xffff));
            let full =
                _mm512_cmpge_epu32_mask(_mm512_srli_epi32::<{ 32 - PROBABILITY_BITS }>(self.0), frequency);
            let state = self.spill(full, sink).0;
            // The quotient has 21 bits, so that the float's is at most one off.
            let near = _mm512_div_ps(_mm512_cvtepu32_ps(state), _mm512_cvtepu32_ps(frequency));
            let near = _mm512_cvttps_epu32(near);
            let rest = _mm512_sub_epi32(state, _mm512_mullo_epi32(near, frequency));
            let over = _mm512_cmplt_epi32_mask(rest, _mm512_setzero_si512());
            let under = _mm512_cmpge_epi32_mask(rest, frequency);
            let skip = _mm512_sub_epi32(_mm512_set1_epi32(1 << PROBABILITY_BITS), frequency);
            let state = _mm512_add_epi32(_mm512_add_epi32(state, start), _mm512_mullo_epi32(near, skip));
            let state = _mm512_mask_sub_epi32(state, over, state, skip);
            Self(_mm512_mask_add_epi32(state, under, state, skip))
        }
    }

    #[inline(always)]
    fn push_bits(self, values: Self, bits: Self, sink: &mut Sink<'_>) -> Self {
        // SAFETY: a value proves that the instructions exist.
        unsafe {
            // A shift by all 32 bits gives zero.
            let beyond = _mm512_srlv_epi32(self.0, _mm512_sub_epi32(_mm512_set1_epi32(32), bits.0));
            let state = self.spill(_mm512_test_epi32_mask(beyond, beyond), sink);
            let one = _mm512_set1_epi32(1);
            let mask = _mm512_sub_epi32(_mm512_sllv_epi32(one, bits.0), one);
            let values = _mm512_and_si512(values.0, mask);
            Self(_mm512_or_si512(_mm512_sllv_epi32(state.0, bits.0), values))
        }
    }

    #[inline(always)]
    fn verbatim(self, fine: u32, pass: u32) -> Self {
        // SAFETY: a value proves that the instructions exist.
        unsafe {
            let octave = _mm512_srlv_epi32(self.0, _mm512_set1_epi32(fine as i32 + 1));
            let before = _mm512_set1_epi32(1 + 16 * pass as i32);
            let bits = _mm512_sub_epi32(_mm512_max_epi32(octave, before), before);
            Self(_mm512_min_epi32(bits, _mm512_set1_epi32(16)))
        }
    }

    #[inline(always)]
    fn any(self) -> bool {
        // SAFETY: a value proves that the instructions exist.
        unsafe { _mm512_test_epi32_mask(self.0, self.0) != 0 }
    }

    #[inline(always)]
    fn low_byte(self) -> Self {
        // SAFETY: a value proves that the instructions exist.
        Self(unsafe { _mm512_and_si512(self.0, _mm512_set1_epi32(0xff)) })
    }

    #[inline(always)]
    fn upper(self) -> Self {
        // SAFETY: a value proves that the instructions exist.
        Self(unsafe { _mm512_srli_epi32::<16>(self.0) })
    }

    #[inline(always)]
    fn below(self, high: Self) -> Self {
        // SAFETY: a value proves that the instructions exist.
        Self(unsafe { _mm512_or_si512(self.0, _mm512_slli_epi32::<16>(high.0)) })
    }
}
