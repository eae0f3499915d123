//! Small numbers in few bits: exponential Golomb codes (Teuhola 1978), for streams too short to pay for a code table of
//! their own.
//!
//! Layout: the order `k`, one byte, 0 to 3; then for each value `v` the number `v + 2^k`: as many zero bits as its bits
//! exceed `k + 1`, a one bit, its bits below the leading one. Bits fill bytes from the lowest; the last byte is filled
//! up with zeros.

const MAX_ORDER: u32 = 3;
/// Zeros of the longest code: that of 255 at order 0.
const MAX_ZEROS: u32 = 8;

/// Bits of a value's code.
fn length(value: u8, order: u32) -> u32 {
    2 * (u32::from(value) + (1 << order)).ilog2() + 1 - order
}

/// The order that codes values best, and the bytes that it takes with its own.
pub(in crate::codec) fn measure(values: &[u8]) -> (u32, usize) {
    let bits = |order| values.iter().map(|&value| length(value, order) as usize).sum::<usize>();
    let best = (0..=MAX_ORDER).map(|order| (bits(order), order)).min();
    let (bits, order) = best.unwrap_or((0, 0));
    (order, 1 + bits.div_ceil(8))
}

/// Appends the values, coded with an order.
pub(in crate::codec) fn encode(values: &[u8], order: u32, out: &mut Vec<u8>) {
    out.push(order as u8);
    let (mut bits, mut count) = (0u64, 0);
    for &value in values {
        let number = u64::from(value) + (1 << order);
        let below = number.ilog2();
        let zeros = below - order;
        let code = (number - (1 << below)) << 1 | 1;
        bits |= code << (count + zeros);
        count += zeros + 1 + below;
        while count >= 8 {
            out.push(bits as u8);
            (bits, count) = (bits >> 8, count - 8);
        }
    }
    if count > 0 {
        out.push(bits as u8);
    }
}

/// Reads values one by one.
pub(in crate::codec) struct Reader<'a> {
    bytes: &'a [u8],
    order: u32,
    /// Bits that are read.
    at: usize,
}

impl<'a> Reader<'a> {
    /// # Errors
    /// If the order is missing or unknown.
    pub(in crate::codec) fn open(stored: &'a [u8]) -> Result<Self, &'static str> {
        match stored.split_first() {
            Some((&order, bytes)) if u32::from(order) <= MAX_ORDER => {
                Ok(Self { bytes, order: u32::from(order), at: 0 })
            }
            _ => Err("unknown order of a Golomb code"),
        }
    }

    /// The next value. Beyond the end it reads zeros, which [`Reader::finish`] tells.
    ///
    /// # Errors
    /// If the code is too long.
    #[inline]
    pub(in crate::codec) fn next(&mut self) -> Result<u8, &'static str> {
        let bits = self.window() >> (self.at % 8);
        let zeros = (bits | 1 << (MAX_ZEROS + 1)).trailing_zeros();
        let below = zeros + self.order;
        let number = 1 << below | (bits >> (zeros + 1)) & ((1 << below) - 1);
        self.at += (zeros + 1 + below) as usize;
        u8::try_from(number - (1 << self.order)).map_err(|_| "a Golomb code beyond a byte")
    }

    /// The bytes from the one of the next bit on, as a number.
    #[inline]
    fn window(&self) -> u64 {
        match self.bytes.get(self.at / 8..).and_then(|rest| rest.first_chunk()) {
            Some(window) => u64::from_le_bytes(*window),
            None => self.last_window(),
        }
    }

    #[cold]
    fn last_window(&self) -> u64 {
        let mut window = [0; 8];
        let rest = self.bytes.get(self.at / 8..).unwrap_or(&[]);
        window[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(window)
    }

    /// What follows the values.
    ///
    /// # Errors
    /// If they reached beyond the end.
    pub(in crate::codec) fn finish(self) -> Result<&'a [u8], &'static str> {
        self.bytes.get(self.at.div_ceil(8)..).ok_or("Golomb codes cut short")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_back_with_what_follows(
            values in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..200),
            after in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let (order, bytes) = measure(&values);
            for order in [order, (order + 1) % (MAX_ORDER + 1)] {
                let mut stored = Vec::new();
                encode(&values, order, &mut stored);
                prop_assert!(stored.len() >= bytes);
                stored.extend(&after);
                let mut reader = Reader::open(&stored).expect("a known order");
                for value in &values {
                    prop_assert_eq!(reader.next(), Ok(*value));
                }
                prop_assert_eq!(reader.finish(), Ok(&after[..]));
            }
        }

        #[test]
        fn any_bytes_read_to_values_or_an_error(stored in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(mut reader) = Reader::open(&stored) {
                let read = (0..400).take_while(|_| reader.next().is_ok()).count();
                prop_assert!(read <= 8 * stored.len());
            }
        }
    }
}
