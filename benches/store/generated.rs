//! Bytes to store: noise, and numbers like weights at several steps of a training.

use coral::random::Random;
use half::bf16;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Bytes of each tensor in a generated file.
const TENSOR: u64 = 16 << 20;

/// Bytes that nothing makes shorter.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// How far a step of training moves a weight, where it does not matter.
pub const STEP: f32 = 2e-5;

/// Numbers like weights, of deviation 0.02, after some steps that each move them by normal numbers of a deviation.
pub fn weights(count: usize, seed: u64, steps: u32, step_size: f32) -> impl Iterator<Item = f32> {
    let mut origin = Random::new(seed);
    let mut moves: Vec<Random> = (1..=steps)
        .map(|step| Random::new(seed ^ u64::from(step).wrapping_mul(0xd6e8_feb8_6659_fd93)))
        .collect();
    (0..count).map(move |_| {
        moves.iter_mut().fold(0.02 * normal(&mut origin), |value, random| value + step_size * normal(random))
    })
}

pub fn f32_bytes(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(f32::to_le_bytes).collect()
}

pub fn bf16_bytes(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect()
}

/// Writes a .safetensors file of f32 tensors that nothing makes shorter, without ever holding much of it: what a
/// program is seen to take includes what its parent held.
pub fn write_noise(path: &Path, len: u64) {
    write_model(path, &vec![TENSOR; (len / TENSOR) as usize], |at, out| out.write_all(&noise(1 << 20, at)));
}

/// Writes a .safetensors file of one f32 tensor like weights.
pub fn write_weights(path: &Path, len: u64, steps: u32) {
    write_model(path, &[len], |at, out| out.write_all(&f32_bytes(weights(1 << 18, at, steps, STEP))));
}

/// A file of tensors of these lengths, whose `n`-th mebibyte is written by `part`.
fn write_model(
    path: &Path,
    tensors: &[u64],
    part: impl Fn(u64, &mut BufWriter<File>) -> std::io::Result<()>,
) {
    let mut end = 0;
    let entries: Vec<String> = tensors
        .iter()
        .enumerate()
        .map(|(at, len)| {
            let start = end;
            end += len;
            let count = len / 4;
            format!(
                "\"layer.{at}\":{{\"dtype\":\"F32\",\"shape\":[{count}],\"data_offsets\":[{start},{end}]}}"
            )
        })
        .collect();
    let mut header = format!("{{{}}}", entries.join(","));
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut file = BufWriter::new(File::create(path).expect("it can be made"));
    let write = |file: &mut BufWriter<File>| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        (0..end >> 20).try_for_each(|at| part(at, file))?;
        file.flush()
    };
    write(&mut file).expect("it can be written");
}

/// Nearly normal, of deviation 1: the sum of four uniform numbers.
fn normal(random: &mut Random) -> f32 {
    let bits = random.bits();
    let sum: i32 = (0..4).map(|part| i32::from((bits >> (16 * part)) as i16)).sum();
    (sum as f32 + 2.0) * (1.732_050_8 / 65_536.0)
}
