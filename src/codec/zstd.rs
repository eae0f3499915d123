//! The two ways that libzstd is used: as a Huffman coder without a match search, and as a general compressor.
//!
//! Frames are magicless, single-shot, without checksum: length and integrity are known from outside. The output
//! buffer's length is the only bound that a decoder needs: libzstd never writes beyond it.

use zstd_safe::{CCtx, CParameter, DCtx, DParameter, FrameFormat, ParamSwitch, ResetDirective, Strategy};

/// How hard to look for structure in plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Order-0 Huffman only. With strategy *fast*, the longest minimum match, the smallest hash table and long steps
    /// where nothing matches the search is nearly nothing; measured on weights: the ratio of zstd-3 on byte planes or
    /// better, several times as fast to decode as literals interrupted by accidental matches. Steps of 131,072 instead
    /// of 64 cost up to 1 % on planes of half precision, whose few values do form runs.
    Huffman,
    /// Match search at this libzstd level.
    Level(i32),
}

/// Reusable libzstd state of one thread.
pub(super) struct Zstd {
    encoder: CCtx<'static>,
    effort: Option<Effort>,
    decoder: DCtx<'static>,
}

impl Zstd {
    pub(super) fn new() -> Self {
        let mut decoder = DCtx::create();
        decoder
            .set_parameter(DParameter::Format(FrameFormat::Magicless))
            .expect("libzstd knows magicless frames");
        Self { encoder: CCtx::create(), effort: None, decoder }
    }

    /// Appends a frame of `raw` to `out` if that takes less than `limit` bytes; returns whether it did.
    pub(super) fn compress(&mut self, raw: &[u8], effort: Effort, limit: usize, out: &mut Vec<u8>) -> bool {
        self.set_effort(effort);
        let start = out.len();
        out.resize(start + limit.min(zstd_safe::compress_bound(raw.len())), 0);
        let written = self.encoder.compress2(&mut out[start..], raw).unwrap_or(limit);
        let fits = written < limit;
        out.truncate(if fits { start + written } else { start });
        fits
    }

    /// Fills all of `out` from `frame`, or returns false.
    pub(super) fn decompress(&mut self, frame: &[u8], out: &mut [u8]) -> bool {
        self.decoder.decompress(out, frame) == Ok(out.len())
    }

    fn set_effort(&mut self, effort: Effort) {
        if self.effort == Some(effort) {
            return;
        }
        self.encoder
            .reset(ResetDirective::SessionAndParameters)
            .expect("a session that ends frees its parameters");
        let mut set = |parameter| {
            self.encoder.set_parameter(parameter).expect("libzstd knows its own parameters");
        };
        set(CParameter::Format(FrameFormat::Magicless));
        match effort {
            Effort::Level(level) => set(CParameter::CompressionLevel(level)),
            Effort::Huffman => {
                set(CParameter::Strategy(Strategy::ZSTD_fast));
                set(CParameter::MinMatch(7));
                set(CParameter::HashLog(8));
                set(CParameter::TargetLength(64));
                set(CParameter::LiteralCompressionMode(ParamSwitch::Enable));
            }
        }
        self.effort = Some(effort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_efforts_come_back_and_share_one_decoder() {
        let raw: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 29) as u8).collect();
        let mut zstd = Zstd::new();
        for effort in [Effort::Huffman, Effort::Level(3), Effort::Huffman] {
            let mut frame = Vec::new();
            assert!(zstd.compress(&raw, effort, raw.len(), &mut frame));
            let mut back = vec![0; raw.len()];
            assert!(zstd.decompress(&frame, &mut back));
            assert_eq!(back, raw);
            assert!(!zstd.decompress(&frame, &mut back[1..]), "a shorter output is refused");
        }
    }

    #[test]
    fn output_over_the_limit_leaves_nothing_behind() {
        let raw: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut out = vec![9];
        assert!(!Zstd::new().compress(&raw, Effort::Huffman, 100, &mut out));
        assert_eq!(out, [9]);
    }
}
