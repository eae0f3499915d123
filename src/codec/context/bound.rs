//! What the model could reach: the entropy of its symbols, tables and rounding free.

use super::Buffers;
use super::encode::{analyse, moved_share};
use super::fit::fit;
use super::layout::Layout;
use super::scales::Measure;
use super::symbol::verbatim_bits;
use crate::codec::word::{Word, with_word};
use crate::tensor::Lane;

/// The bits that an ideal coder with the context coder's model would spend on a frame: the entropy of its block
/// scales, and of its symbols given their contexts, and the verbatim bits. The coder itself comes within a few
/// percent; the rest is tables. `base` is as long as `raw`.
pub fn context_bound(raw: &[u8], base: &[u8], lane: Lane) -> f64 {
    with_word!(lane, bound(raw, base, lane))
}

fn bound<W: Word>(raw: &[u8], base: &[u8], lane: Lane) -> f64 {
    let whole = raw.len() - raw.len() % W::BYTES;
    let (words, base) = (&raw[..whole], &base[..whole]);
    let mut predicted = base.to_vec();
    if let Some(decay) = fit(lane, words, base) {
        decay.predict(lane, base, &mut predicted).expect("only float lanes are fitted a decay");
    }
    let mut buffers = Buffers::default();
    let measure = Measure::for_frame(lane, moved_share::<W>(words, &predicted));
    analyse::<W>(Layout::of(lane), measure, words, &predicted, &mut buffers);
    let mut scales = [0u32; 256];
    buffers.side.iter().for_each(|&byte| scales[usize::from(byte)] += 1);
    let verbatim: u64 =
        buffers.codes.iter().map(|&code| u64::from(verbatim_bits::<W>(u32::from(code as u8) >> 1))).sum();
    let counts = &buffers.counts;
    let symbols: f64 = counts.contexts().map(|context| entropy(&counts.of(context))).sum();
    8.0 * (raw.len() - whole) as f64 + entropy(&scales) + symbols + verbatim as f64
}

/// Bits to code all counted symbols.
fn entropy(counts: &[u32; 256]) -> f64 {
    let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let present = counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count));
    present.map(|count| count * (total / count).log2()).sum()
}
