//! The methods of the field, written again here so that they run on the same bytes in the same minute.

use super::weights::Kind;
use zstd_safe::{CCtx, CParameter, DCtx};

/// A method that codes a whole tensor, as its authors do.
pub trait Anchor {
    fn name(&self) -> &'static str;
    fn encode(&mut self, new: &[u8], base: &[u8], kind: Kind) -> Vec<Vec<u8>>;
    fn decode(&mut self, stored: &[Vec<u8>], base: &[u8], kind: Kind, out: &mut Vec<u8>);
}

/// libzstd at level 3.
pub struct Zstd3 {
    encoder: CCtx<'static>,
    decoder: DCtx<'static>,
}

impl Zstd3 {
    pub fn new() -> Self {
        let mut encoder = CCtx::create();
        encoder.set_parameter(CParameter::CompressionLevel(3)).expect("a level");
        Self { encoder, decoder: DCtx::create() }
    }

    fn pack(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
        self.encoder.compress2(&mut out, bytes).expect("room enough");
        out
    }

    fn unpack(&mut self, stored: &[u8], length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length);
        self.decoder.decompress(&mut out, stored).expect("what was packed");
        out
    }
}

impl Anchor for Zstd3 {
    fn name(&self) -> &'static str {
        "zstd-3"
    }
    fn encode(&mut self, new: &[u8], _base: &[u8], _kind: Kind) -> Vec<Vec<u8>> {
        vec![self.pack(new)]
    }
    fn decode(&mut self, stored: &[Vec<u8>], base: &[u8], _kind: Kind, out: &mut Vec<u8>) {
        *out = self.unpack(&stored[0], base.len());
    }
}

/// Byte shuffle and LZ4.
pub struct ShuffleLz4;

impl Anchor for ShuffleLz4 {
    fn name(&self) -> &'static str {
        "byte shuffle + lz4"
    }
    fn encode(&mut self, new: &[u8], _base: &[u8], kind: Kind) -> Vec<Vec<u8>> {
        let width = kind.lane().width();
        let shuffled: Vec<u8> = (0..width).flat_map(|k| new.iter().skip(k).step_by(width).copied()).collect();
        vec![lz4_flex::block::compress(&shuffled)]
    }
    fn decode(&mut self, stored: &[Vec<u8>], base: &[u8], kind: Kind, out: &mut Vec<u8>) {
        let width = kind.lane().width();
        let shuffled = lz4_flex::block::decompress(&stored[0], base.len()).expect("what was packed");
        let count = shuffled.len() / width;
        out.resize(shuffled.len(), 0);
        for (k, plane) in shuffled.chunks_exact(count.max(1)).enumerate() {
            for (i, &byte) in plane.iter().enumerate() {
                out[i * width + k] = byte;
            }
        }
    }
}

/// Exclusive or with the base, exponent plane and sign-and-mantissa plane each through zstd-3: the method of BitX
/// (arXiv 2505.06252). binary16's five exponent bits share their plane with sign and top mantissa bits.
pub struct BitX(pub Zstd3);

impl Anchor for BitX {
    fn name(&self) -> &'static str {
        "BitX"
    }
    fn encode(&mut self, new: &[u8], base: &[u8], kind: Kind) -> Vec<Vec<u8>> {
        let xor = new.iter().zip(base).map(|(a, b)| a ^ b);
        let (exponents, mantissas): (Vec<u8>, Vec<u8>) = match kind {
            Kind::Bf16 | Kind::F16 => {
                let xor: Vec<u8> = xor.collect();
                xor.chunks_exact(2).map(|word| halves(u16::from_le_bytes([word[0], word[1]]), kind)).unzip()
            }
            Kind::F32 => {
                let xor: Vec<u8> = xor.collect();
                let words: Vec<u32> =
                    xor.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
                let exponents = words.iter().map(|word| (word >> 23) as u8).collect();
                let low = words.iter().map(|word| word & 0x7f_ffff | word >> 8 & 0x80_0000);
                (exponents, low.flat_map(|low| [low as u8, (low >> 8) as u8, (low >> 16) as u8]).collect())
            }
        };
        vec![self.0.pack(&exponents), self.0.pack(&mantissas)]
    }
    fn decode(&mut self, stored: &[Vec<u8>], base: &[u8], kind: Kind, out: &mut Vec<u8>) {
        let count = base.len() / kind.lane().width();
        let exponents = self.0.unpack(&stored[0], count);
        let mantissas = self.0.unpack(&stored[1], base.len() - count);
        out.resize(base.len(), 0);
        match kind {
            Kind::Bf16 | Kind::F16 => {
                let bytes =
                    exponents.iter().zip(&mantissas).zip(base.chunks_exact(2)).zip(out.chunks_exact_mut(2));
                for (((&exponent, &mantissa), base), out) in bytes {
                    let word = whole(exponent, mantissa, kind) ^ u16::from_le_bytes([base[0], base[1]]);
                    out.copy_from_slice(&word.to_le_bytes());
                }
            }
            Kind::F32 => {
                let low = mantissas.chunks_exact(3);
                let bytes = exponents.iter().zip(low).zip(base.chunks_exact(4)).zip(out.chunks_exact_mut(4));
                for (((&exponent, low), base), out) in bytes {
                    let low = u32::from_le_bytes([low[0], low[1], low[2], 0]);
                    let word = u32::from(exponent) << 23 | low & 0x7f_ffff | (low & 0x80_0000) << 8;
                    let base = u32::from_le_bytes([base[0], base[1], base[2], base[3]]);
                    out.copy_from_slice(&(word ^ base).to_le_bytes());
                }
            }
        }
    }
}

fn halves(word: u16, kind: Kind) -> (u8, u8) {
    if kind == Kind::F16 {
        return ((word >> 8) as u8, word as u8);
    }
    ((word >> 7) as u8, (word & 0x7f | word >> 8 & 0x80) as u8)
}

fn whole(exponent: u8, mantissa: u8, kind: Kind) -> u16 {
    let (exponent, mantissa) = (u16::from(exponent), u16::from(mantissa));
    if kind == Kind::F16 {
        return exponent << 8 | mantissa;
    }
    exponent << 7 | mantissa & 0x7f | (mantissa & 0x80) << 8
}

/// The order-0 entropy of the rotated byte planes of a frame in bytes: what no table-driven coder of single elements
/// goes below by much.
pub fn order_zero_bytes(frame: &[u8], kind: Kind) -> f64 {
    let width = kind.lane().width();
    let mut counts = vec![[0u32; 256]; width];
    for word in frame.chunks_exact(width) {
        let mut wide = [0; 4];
        wide[..width].copy_from_slice(word);
        let wide = u32::from_le_bytes(wide);
        let turned = if width == 2 { u32::from((wide as u16).rotate_left(1)) } else { wide.rotate_left(1) };
        for (k, counts) in counts.iter_mut().enumerate() {
            counts[(turned >> (8 * k)) as usize & 0xff] += 1;
        }
    }
    let bits = |counts: &[u32; 256]| {
        let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        let present = counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count));
        present.map(|count| count * (total / count).log2()).sum::<f64>()
    };
    counts.iter().map(bits).sum::<f64>() / 8.0
}
