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
    let weighted: f64 =
        counts.iter().filter(|&&count| count > 0).map(|&c| f64::from(c) * f64::from(c).log2()).sum();
    let seen = counts.iter().filter(|&&count| count > 0).count();
    let total = total as f64;
    total.log2() - weighted / total + (seen as f64 - 1.0) / (2.0 * total * std::f64::consts::LN_2)
}
