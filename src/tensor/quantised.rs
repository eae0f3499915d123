//! Numbers to blocks and back, as ggml's reference does it: the same bytes for the same numbers.
//!
//! Rules: `quantize_row_*_ref` and `dequantize_row_*` of ggml (ggml-quants.c), for the kinds whose blocks are found without a
//! search. All arithmetic is in `f32`, each operation rounded by itself.

use super::block::Block;
use half::f16;

/// Elements of a block of each kind that has a rule.
pub const QUANTISED_ELEMENTS: usize = 32;

const HALF: usize = QUANTISED_ELEMENTS / 2;

/// A kind of block that has a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Mxfp4,
}

/// The numbers of MXFP4, doubled.
const MXFP4: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

impl Block {
    fn rule(self) -> Option<Rule> {
        Some(match self.0 {
            2 => Rule::Q4_0,
            3 => Rule::Q4_1,
            6 => Rule::Q5_0,
            7 => Rule::Q5_1,
            8 => Rule::Q8_0,
            39 => Rule::Mxfp4,
            _ => return None,
        })
    }

    /// Bytes of a block that [`Block::quantise`] can make; `None` of other kinds. It has [`QUANTISED_ELEMENTS`] elements.
    pub fn quantised_len(self) -> Option<usize> {
        self.rule()?;
        self.size().map(|(_, bytes)| bytes as usize)
    }

    /// Makes blocks of numbers. False if there is no rule for the kind, or the lengths do not fit together; then nothing is
    /// made.
    pub fn quantise(self, numbers: &[f32], blocks: &mut [u8]) -> bool {
        let (Some(rule), Some(len)) = (self.rule(), self.quantised_len()) else { return false };
        let (numbers, rest) = numbers.as_chunks::<QUANTISED_ELEMENTS>();
        if !rest.is_empty() || blocks.len() != numbers.len() * len {
            return false;
        }
        for (numbers, block) in numbers.iter().zip(blocks.chunks_exact_mut(len)) {
            match rule {
                Rule::Q4_0 => q4(block, outermost(numbers) / -8.0, numbers, |x| x + 8.5),
                Rule::Q4_1 => {
                    let (least, most) = bounds(numbers);
                    half(&mut block[2..], least);
                    let from_least = numbers.map(|number| number - least);
                    let (scale, body) = block.split_at_mut(2);
                    let d = (most - least) / 15.0;
                    half(scale, d);
                    nibbles(&mut body[2..], &scaled(d, &from_least, |x| x + 0.5, 15));
                }
                Rule::Q5_0 => q5(block, 2, outermost(numbers) / -16.0, numbers, |x| x + 16.5),
                Rule::Q5_1 => {
                    let (least, most) = bounds(numbers);
                    half(&mut block[2..], least);
                    q5(block, 4, (most - least) / 31.0, &numbers.map(|number| number - least), |x| x + 0.5);
                }
                Rule::Q8_0 => {
                    let d = numbers.iter().fold(0.0f32, |most, number| most.max(number.abs())) / 127.0;
                    half(block, d);
                    let inverse = inverse(d);
                    for (byte, number) in block[2..].iter_mut().zip(numbers) {
                        *byte = (number * inverse).round() as i8 as u8;
                    }
                }
                Rule::Mxfp4 => mxfp4(block, numbers),
            }
        }
        true
    }

    /// Makes numbers of blocks. False as [`Block::quantise`] says.
    pub fn dequantise(self, blocks: &[u8], numbers: &mut [f32]) -> bool {
        let (Some(rule), Some(len)) = (self.rule(), self.quantised_len()) else { return false };
        let (numbers, rest) = numbers.as_chunks_mut::<QUANTISED_ELEMENTS>();
        if !rest.is_empty() || blocks.len() != numbers.len() * len {
            return false;
        }
        for (block, numbers) in blocks.chunks_exact(len).zip(numbers) {
            let d = || f16::from_le_bytes([block[0], block[1]]).to_f32();
            let least = || f16::from_le_bytes([block[2], block[3]]).to_f32();
            match rule {
                Rule::Q4_0 => of_nibbles(&block[2..], numbers, |q, _| f32::from(q as i8 - 8) * d()),
                Rule::Q4_1 => of_nibbles(&block[4..], numbers, |q, _| f32::from(q) * d() + least()),
                Rule::Q5_0 => {
                    let high = high_bits(&block[2..]);
                    of_nibbles(&block[6..], numbers, |q, at| f32::from((q | high(at)) as i8 - 16) * d());
                }
                Rule::Q5_1 => {
                    let high = high_bits(&block[4..]);
                    of_nibbles(&block[8..], numbers, |q, at| f32::from(q | high(at)) * d() + least());
                }
                Rule::Q8_0 => {
                    for (number, byte) in numbers.iter_mut().zip(&block[2..]) {
                        *number = f32::from(*byte as i8) * d();
                    }
                }
                Rule::Mxfp4 => {
                    let scale = half_of_power(block[0]);
                    of_nibbles(&block[1..], numbers, |q, _| f32::from(MXFP4[usize::from(q)]) * scale);
                }
            }
        }
        true
    }
}

type Numbers = [f32; QUANTISED_ELEMENTS];

/// The number of the largest absolute value, the first of equals.
fn outermost(numbers: &Numbers) -> f32 {
    let farther = |most: f32, number: f32| if number.abs() > most.abs() { number } else { most };
    numbers.iter().fold(0.0, |most, number| farther(most, *number))
}

fn bounds(numbers: &Numbers) -> (f32, f32) {
    let less = |least: f32, number: f32| if number < least { number } else { least };
    let more = |most: f32, number: f32| if number > most { number } else { most };
    (
        numbers.iter().fold(f32::MAX, |least, number| less(least, *number)),
        numbers.iter().fold(f32::MIN, |most, number| more(most, *number)),
    )
}

fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

fn half(block: &mut [u8], value: f32) {
    block[..2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
}

/// The numbers in units of `d`, moved and cut to whole ones from 0 to `most`.
fn scaled(d: f32, numbers: &Numbers, moved: impl Fn(f32) -> f32, most: u8) -> [u8; QUANTISED_ELEMENTS] {
    let inverse = inverse(d);
    numbers.map(|number| (moved(number * inverse) as i8).clamp(0, most as i8) as u8)
}

fn q4(block: &mut [u8], d: f32, numbers: &Numbers, moved: impl Fn(f32) -> f32) {
    half(block, d);
    nibbles(&mut block[2..], &scaled(d, numbers, moved, 15));
}

/// Blocks of five bits: the high ones in four bytes at `at`, the others behind them.
fn q5(block: &mut [u8], at: usize, d: f32, numbers: &Numbers, moved: impl Fn(f32) -> f32) {
    half(block, d);
    let all = scaled(d, numbers, moved, 31);
    let high = all.iter().enumerate().fold(0u32, |bits, (place, q)| bits | u32::from(q >> 4) << place);
    block[at..at + 4].copy_from_slice(&high.to_le_bytes());
    nibbles(&mut block[at + 4..], &all.map(|q| q & 15));
}

/// Two of four bits in each byte: one of the first half, one of the second.
fn nibbles(bytes: &mut [u8], all: &[u8; QUANTISED_ELEMENTS]) {
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = all[place] | all[place + HALF] << 4;
    }
}

fn of_nibbles(bytes: &[u8], numbers: &mut Numbers, number: impl Fn(u8, usize) -> f32) {
    for (place, byte) in bytes.iter().enumerate() {
        numbers[place] = number(byte & 15, place);
        numbers[place + HALF] = number(byte >> 4, place + HALF);
    }
}

fn high_bits(bytes: &[u8]) -> impl Fn(usize) -> u8 {
    let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    move |place| (bits >> place & 1) as u8 * 16
}

/// Half of two to the power that a byte says: what the doubled numbers of MXFP4 are multiplied by.
fn half_of_power(byte: u8) -> f32 {
    match byte {
        // Below the normal numbers.
        0 | 1 => f32::from_bits(0x0020_0000 << byte),
        _ => f32::from_bits(u32::from(byte - 1) << 23),
    }
}

fn mxfp4(block: &mut [u8], numbers: &Numbers) {
    let most = numbers.iter().fold(0.0f32, |most, number| most.max(number.abs()));
    // Two less than the power of two below the largest, of which the exponent has 127 more; of none and the smallest, 0.
    let byte = (most.to_bits() >> 23).saturating_sub(2) as u8;
    block[0] = byte;
    let scale = half_of_power(byte);
    let nearest = |number: f32| {
        let mut best = (0, f32::INFINITY);
        for (index, value) in (0u8..).zip(MXFP4) {
            let distance = (f32::from(value) * scale - number).abs();
            if index == 0 || distance < best.1 {
                best = (index, distance);
            }
        }
        best.0
    };
    nibbles(&mut block[1..], &numbers.map(nearest));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of BLAKE3 of blocks, and of what they are read as, computed by gguf-py 0.19.
    const MADE_ELSEWHERE: [(u32, &str, &str); 6] = [
        (2, "54cf0692b25866fa", "09155b99c39d2aee"),
        (3, "1e64c475f961a10f", "9bd7dacd99df47bd"),
        (6, "3efc783166da0c8e", "46c681b5a9de0a3e"),
        (7, "e1c717fa7b6bddd3", "8643c0220e335397"),
        (8, "79c31ce622e37781", "36a1827e8005f1c2"),
        (39, "17d6277136449e90", "af74b9260bad2cd6"),
    ];

    fn numbers() -> Vec<f32> {
        let mut numbers: Vec<f32> =
            (0..2048u32).map(|at| at.wrapping_mul(2_654_435_761) as i32 as f32 * 2f32.powi(-36)).collect();
        numbers[..32].fill(0.0);
        numbers[32..64].fill(0.5);
        numbers[64..96].iter_mut().for_each(|number| *number *= 2f32.powi(-20));
        numbers[96] = 3.0;
        numbers
    }

    fn hash(bytes: &[u8]) -> String {
        blake3::hash(bytes).to_hex()[..16].to_owned()
    }

    #[test]
    fn blocks_and_numbers_are_what_others_make() {
        for (code, blocks, read) in MADE_ELSEWHERE {
            let block = Block(code);
            let (from, mut to) = (numbers(), vec![0.0; 2048]);
            let mut bytes = vec![0; 2048 / QUANTISED_ELEMENTS * block.quantised_len().expect("a rule")];
            assert!(block.quantise(&from, &mut bytes));
            assert_eq!(hash(&bytes), blocks, "{:?}", block.name());
            assert!(block.dequantise(&bytes, &mut to));
            let to: Vec<u8> = to.iter().flat_map(|number| number.to_le_bytes()).collect();
            assert_eq!(hash(&to), read, "{:?}", block.name());
        }
    }

    #[test]
    fn any_blocks_and_any_numbers_give_something() {
        let mut random = crate::random::Random::new(3);
        for (code, ..) in MADE_ELSEWHERE {
            let block = Block(code);
            let len = block.quantised_len().expect("a rule");
            for _ in 0..500 {
                let blocks: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
                let mut numbers = [0.0; QUANTISED_ELEMENTS];
                assert!(block.dequantise(&blocks, &mut numbers));
                let any = [(); QUANTISED_ELEMENTS].map(|()| f32::from_bits(random.bits() as u32));
                assert!(block.quantise(&any, &mut vec![0; len]));
            }
            assert!(!block.quantise(&[0.0; 31], &mut vec![0; len]));
            assert!(!block.dequantise(&vec![0; len - 1], &mut [0.0; QUANTISED_ELEMENTS]));
        }
        assert!(!Block(12).quantise(&[], &mut []));
    }
}
