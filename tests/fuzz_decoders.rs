//! Every decoder of frames over deterministic damage: any bytes give a frame or a typed error, never a panic, and the
//! memory that a decoder takes is bounded by the frame, whatever lengths the bytes claim.
//!
//! The corpus is made here from a fixed seed, every coder over every element type; each entry is then mutated as a
//! fuzzer would. A failure names the seed of its case, which reproduces it.

use coral::codec::{Coder, DecodeError, LossyType, apply_lossy, decode_frame, encode_frame_as, encode_lossy};
use coral::tensor::{Dtype, Lane};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what this thread's largest single allocation was.
struct Meter;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged; the counter allocates nothing.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static METER: Meter = Meter;

/// What decoders may take at once beside the frame: tables of all contexts, zstd's workspace.
const WORKSPACE: usize = 4 << 20;

/// A linear congruential generator: the cases must be the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() as usize) % end.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.roll() as u8).collect()
    }
}

/// A coded frame with what it needs to decode.
struct Entry {
    tag: u8,
    stored: Vec<u8>,
    base: Vec<u8>,
    lane: Lane,
}

fn corpus() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (at, dtype) in Dtype::ALL.iter().enumerate() {
        let mut dice = Dice(at as u64 + 1);
        for length in [1, 130, 1500, 9001] {
            let base: Vec<u8> = dice.bytes(length).iter().map(|byte| byte / 9 + 40).collect();
            let mut raw = base.clone();
            for byte in raw.iter_mut().step_by(dtype.lane().width()) {
                *byte = byte.wrapping_add(dice.below(10).saturating_sub(5) as u8);
            }
            let period = dtype.lane().width() * (1 + dice.below(9));
            let tiled: Vec<u8> = raw.iter().copied().take(period).cycle().take(length).collect();
            let (mut stored, lane) = (Vec::new(), dtype.lane());
            let tag = encode_frame_as(Coder::Repeat, &tiled, None, lane, &mut stored);
            entries.push(Entry { tag, stored, base: base.clone(), lane });
            for coder in Coder::ALL {
                let (mut stored, lane) = (Vec::new(), dtype.lane());
                let tag = encode_frame_as(coder, &raw, Some(&base), lane, &mut stored);
                entries.push(Entry { tag, stored, base: base.clone(), lane });
            }
        }
    }
    entries
}

/// One to four edits: bits, bytes, interesting numbers, cuts, repetitions, other entries' tails.
fn mutate(stored: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = stored.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = dice.roll() as u8,
            2 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            3 if bytes.len() >= at + 4 && at + 4 > 4 => bytes[at..at + 4].fill([0, 0xff][dice.below(2)]),
            4 => bytes.truncate(at),
            5 => bytes.extend_from_slice(&other[dice.below(other.len()).min(other.len())..]),
            6 => bytes = [&bytes[..at], &bytes[at / 2..]].concat(),
            // Headers are where the lengths are.
            _ if !bytes.is_empty() => {
                let early = dice.below(bytes.len().min(24));
                bytes[early] = dice.roll() as u8;
            }
            _ => bytes.push(dice.roll() as u8),
        }
    }
    bytes
}

fn decode(tag: u8, stored: &[u8], base: &[u8], lane: Lane, out: &mut [u8]) -> Result<(), DecodeError> {
    LARGEST.set(0);
    let result = decode_frame(tag, stored, Some(base), lane, out);
    assert!(LARGEST.get() <= WORKSPACE + 8 * out.len(), "tag {tag} took {} bytes at once", LARGEST.get());
    result
}

#[test]
fn mutated_frames_decode_to_a_frame_or_a_typed_error() {
    let entries = corpus();
    let mut refused = 0;
    for seed in 0..40_000u64 {
        let mut dice = Dice(seed << 8 | 1);
        let entry = &entries[dice.below(entries.len())];
        let other = &entries[dice.below(entries.len())];
        let stored = mutate(&entry.stored, &other.stored, &mut dice);
        // Also as what they are not: another coder, another element type, another length.
        let tag = if dice.below(8) == 0 { dice.below(10) as u8 } else { entry.tag };
        let lane = if dice.below(8) == 0 { other.lane } else { entry.lane };
        let length = if dice.below(8) == 0 { dice.below(entry.base.len()) } else { entry.base.len() };
        let mut out = vec![0; length];
        refused += usize::from(decode(tag, &stored, &entry.base[..length], lane, &mut out).is_err());
    }
    assert!(refused > 10_000, "mutations that hardly ever harm test little: {refused}");
}

#[test]
fn unharmed_entries_decode() {
    for entry in corpus() {
        let mut out = vec![0; entry.base.len()];
        decode(entry.tag, &entry.stored, &entry.base, entry.lane, &mut out).expect("an entry of the corpus");
    }
}

#[test]
fn noise_under_every_tag_decodes_to_a_frame_or_a_typed_error() {
    for seed in 0..10_000u64 {
        let mut dice = Dice(seed << 8 | 3);
        let (stored, base) = (dice.below(300), dice.below(2000));
        let (stored, base) = (dice.bytes(stored), dice.bytes(base));
        let lane = Dtype::ALL[dice.below(Dtype::ALL.len())].lane();
        let mut out = vec![0; base.len()];
        let tag = dice.below(10) as u8;
        if let Err(DecodeError::UnknownTag(unknown)) = decode(tag, &stored, &base, lane, &mut out) {
            assert_eq!(unknown, tag);
        }
    }
}

#[test]
fn mutated_lossy_differences_apply_or_are_refused() {
    let lanes = [Lane::F16, Lane::BF16, Lane::F32, Lane::F64];
    let kinds = [
        LossyType::Int8Quantized,
        LossyType::Int16Quantized,
        LossyType::Sparse { threshold: 1e-3 },
        LossyType::PerAxisScaled { row: 7 },
    ];
    for seed in 0..5_000u64 {
        let mut dice = Dice(seed << 8 | 5);
        let (lane, kind) = (lanes[dice.below(4)], kinds[dice.below(4)]);
        let base: Vec<u8> = dice.bytes(40 * lane.width()).iter().map(|byte| byte / 9 + 40).collect();
        let raw: Vec<u8> = base.iter().map(|byte| byte ^ u8::from(dice.below(3) == 0)).collect();
        let stored = encode_lossy(kind, &raw, &base, lane).expect("finite numbers").kept;
        let damaged = mutate(&stored, &raw, &mut dice);
        let mut out = vec![0; base.len()];
        LARGEST.set(0);
        let _ = apply_lossy(&damaged, &base, lane, &mut out);
        assert!(LARGEST.get() <= WORKSPACE);
    }
}
