//! Order-0 statistics: how many bits an ideal coder would spend.

/// Bytes of one contiguous piece of a sample, and how many bytes one piece stands for.
const PIECE: usize = 512;
const STRIDE: usize = 4096;

/// Up to this length all bytes are counted.
const WHOLE: usize = 8192;

/// Counts the bytes of every eighth half kibibyte: enough to tell planes that compress from those that do not.
pub(super) fn sampled_histogram(bytes: &[u8]) -> [u32; 256] {
    let mut counts = [0; 256];
    for piece in bytes.chunks(if bytes.len() <= WHOLE { PIECE } else { STRIDE }) {
        for &byte in &piece[..piece.len().min(PIECE)] {
            counts[usize::from(byte)] += 1;
        }
    }
    counts
}

/// The order-0 entropy in bits per counted symbol, corrected for the bias of small samples (Miller and Madow 1955).
pub(super) fn byte_bits(counts: &[u32]) -> f64 {
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    if total == 0 {
        return 0.0;
    }
    let weighted: f64 = counts.iter().map(|&count| f64::from(count) * log2(f64::from(count))).sum();
    let seen = counts.iter().filter(|&&count| count > 0).count();
    let total = total as f64;
    log2(total) - weighted / total + (seen as f64 - 1.0) / (2.0 * total * std::f64::consts::LN_2)
}

/// The binary logarithm of a positive normal number, within 2e-5, and a finite number for zero: a few instructions that
/// vectorise, and the same result on every machine.
#[inline(always)]
pub(super) fn log2(value: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i32 - 1023;
    let mantissa = f64::from_bits(bits & MANTISSA | 1023 << 52);
    // ln(m) = 2 artanh((m - 1) / (m + 1)), with four terms of its series.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let series = 1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0)));
    f64::from(exponent) + 2.0 * std::f64::consts::LOG2_E * t * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close() {
        for value in 1..100_000u32 {
            let value = f64::from(value);
            assert!((log2(value) - value.log2()).abs() < 2e-5, "{value}");
        }
        assert!(log2(0.0).is_finite());
    }
}
