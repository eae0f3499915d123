//! Runs every method on one pair and prints a row for each.

use super::anchors::{Anchor, BitX, ShuffleLz4, Zstd3, order_zero_bytes};
use super::weights::{Kind, Pair};
use coral::codec::{Coder, FRAME_LEN, Level, context_bound, decode_frame, encode_frame, encode_frame_as};

const PASSES: usize = 5;

/// What the store adds to a frame: where it ends, its tag, its checksum.
const FRAME_ENTRY: usize = 9;

/// One tensor's bytes in both checkpoints.
struct Bytes {
    new: Vec<u8>,
    base: Vec<u8>,
}

struct Row {
    name: String,
    stored: f64,
    encode: Option<f64>,
    decode: Option<f64>,
}

pub fn print(pair: &Pair, kind: Kind) {
    let tensors: Vec<Bytes> =
        pair.tensors.iter().map(|t| Bytes { new: kind.bytes(&t.new), base: kind.bytes(&t.base) }).collect();
    let raw: usize = tensors.iter().map(|tensor| tensor.new.len()).sum();
    println!("\n{} {} ({} tensors, {raw} bytes)", pair.name, kind.name(), tensors.len());
    println!("{:34} {:>8} {:>9} {:>9} {:>9}", "", "ratio", "vs BitX", "enc GB/s", "dec GB/s");
    let mut anchors: Vec<Box<dyn Anchor>> =
        vec![Box::new(BitX(Zstd3::new())), Box::new(Zstd3::new()), Box::new(ShuffleLz4)];
    let mut rows: Vec<Row> =
        anchors.iter_mut().map(|anchor| anchor_row(anchor.as_mut(), &tensors, kind)).collect();
    rows.push(bound_row("order-0 bound, alone", &tensors, |new, _| order_zero_bytes(new, kind)));
    rows.push(bound_row("context model's bound", &tensors, |new, base| {
        context_bound(new, base, kind.lane()) / 8.0
    }));
    for coder in Coder::ALL.into_iter().filter(|coder| *coder != Coder::Raw) {
        rows.push(frame_row(&format!("{coder:?}"), &tensors, kind, |new, base, out| {
            encode_frame_as(coder, new, Some(base), kind.lane(), out)
        }));
    }
    for level in [Level::Fast, Level::Default, Level::Max] {
        rows.push(frame_row(&format!("level {level:?}, alone"), &tensors, kind, |new, _, out| {
            encode_frame(new, None, kind.lane(), level, out)
        }));
        rows.push(frame_row(&format!("level {level:?}"), &tensors, kind, |new, base, out| {
            encode_frame(new, Some(base), kind.lane(), level, out)
        }));
    }
    let bitx = rows[0].stored;
    for row in rows {
        let speed = |speed: Option<f64>| speed.map_or("-".into(), |speed| format!("{speed:.2}"));
        println!(
            "{:34} {:>8.3} {:>8.1}% {:>9} {:>9}",
            row.name,
            raw as f64 / row.stored,
            100.0 * (row.stored / bitx - 1.0),
            speed(row.encode),
            speed(row.decode)
        );
    }
}

fn gigabytes_per_second(bytes: usize, mut pass: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..PASSES)
        .map(|_| {
            let start = thread_seconds();
            pass();
            thread_seconds() - start
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    bytes as f64 / seconds[PASSES / 2] / 1e9
}

/// CPU time of this thread: what else the machine does counts less than on a clock at the wall.
fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the structure that it is given, and every Linux has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn anchor_row(anchor: &mut dyn Anchor, tensors: &[Bytes], kind: Kind) -> Row {
    let raw = tensors.iter().map(|tensor| tensor.new.len()).sum();
    let mut stored = Vec::new();
    let encode = gigabytes_per_second(raw, || {
        stored = tensors.iter().map(|tensor| anchor.encode(&tensor.new, &tensor.base, kind)).collect();
    });
    let mut out = Vec::new();
    let decode = gigabytes_per_second(raw, || {
        for (tensor, stored) in tensors.iter().zip(&stored) {
            anchor.decode(stored, &tensor.base, kind, &mut out);
            std::hint::black_box(&out);
        }
    });
    for (tensor, stored) in tensors.iter().zip(&stored) {
        anchor.decode(stored, &tensor.base, kind, &mut out);
        assert!(out == tensor.new, "{} came back different", anchor.name());
    }
    let size = stored.iter().flatten().map(|part| part.len() as f64).sum();
    Row { name: anchor.name().into(), stored: size, encode: Some(encode), decode: Some(decode) }
}

fn bound_row(name: &str, tensors: &[Bytes], bound: impl Fn(&[u8], &[u8]) -> f64) -> Row {
    let frames = tensors.iter().flat_map(|t| t.new.chunks(FRAME_LEN).zip(t.base.chunks(FRAME_LEN)));
    let stored = frames.map(|(new, base)| bound(new, base).min(new.len() as f64)).sum();
    Row { name: name.into(), stored, encode: None, decode: None }
}

/// Codes frame by frame, checks every byte, times both ways.
fn frame_row(
    name: &str,
    tensors: &[Bytes],
    kind: Kind,
    code: impl Fn(&[u8], &[u8], &mut Vec<u8>) -> u8,
) -> Row {
    let raw = tensors.iter().map(|tensor| tensor.new.len()).sum();
    let frames: Vec<(&[u8], &[u8])> =
        tensors.iter().flat_map(|t| t.new.chunks(FRAME_LEN).zip(t.base.chunks(FRAME_LEN))).collect();
    let mut stored: Vec<(u8, Vec<u8>)> = vec![(0, Vec::with_capacity(2 * FRAME_LEN)); frames.len()];
    let encode = gigabytes_per_second(raw, || {
        for ((new, base), (tag, stored)) in frames.iter().zip(&mut stored) {
            stored.clear();
            *tag = code(new, base, stored);
        }
    });
    let mut out = vec![0; FRAME_LEN];
    let decode = gigabytes_per_second(raw, || {
        for ((new, base), (tag, stored)) in frames.iter().zip(&stored) {
            decode_frame(*tag, stored, Some(base), kind.lane(), &mut out[..new.len()])
                .expect("what was coded");
        }
    });
    for ((new, base), (tag, stored)) in frames.iter().zip(&stored) {
        decode_frame(*tag, stored, Some(base), kind.lane(), &mut out[..new.len()]).expect("what was coded");
        assert!(&out[..new.len()] == *new, "{name} came back different");
    }
    let size: usize = stored.iter().map(|(_, stored)| stored.len() + FRAME_ENTRY).sum();
    Row { name: name.into(), stored: size as f64, encode: Some(encode), decode: Some(decode) }
}
