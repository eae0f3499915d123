//! Reading a whole tensor that lies at the end of a chain of differences, with nothing cached, on all cores.

use super::generated::{bf16_bytes, f32_bytes, weights};
use super::measure::{RUNS, forget_pages, median, process_time, timed};
use super::scratch::{Folder, Scratch};
use coral::id::ObjectKey;
use coral::tensor::Dtype;
use std::time::Duration;

const COUNT: usize = 64 << 20;
const SHOWN: [u8; 5] = [0, 1, 2, 4, 8];
const STEPS: u32 = 9;

/// Types, and how far each step moves weights of deviation 0.02. Where a step changes much, the store begins anew before
/// a chain is deep.
const CASES: [(&str, Dtype, f32); 3] = [
    ("f32, steps of 2e-5", Dtype::F32, 2e-5),
    ("f32, steps of 2e-8", Dtype::F32, 2e-8),
    ("bf16, steps of 2e-5", Dtype::Bf16, 2e-5),
];

pub fn run(folder: &Folder) {
    println!("a whole tensor, cold; GB/s of its bytes, and by each second of processor time");
    for (name, dtype, step_size) in CASES {
        let scratch = folder.store();
        let mut bases: Vec<ObjectKey> = Vec::new();
        let mut shown = Vec::new();
        for step in 0..STEPS {
            let values = weights(COUNT, 1, step, step_size);
            let bytes = if dtype == Dtype::F32 { f32_bytes(values) } else { bf16_bytes(values) };
            let key = scratch.put(dtype, &bytes, &bases);
            bases = vec![key];
            let depth = scratch.info(key).depth;
            if SHOWN.contains(&depth) && !shown.contains(&depth) {
                shown.push(depth);
                read_cold(&scratch, key, &bytes, &format!("{name}, depth {depth}"));
            }
        }
    }
}

fn read_cold(scratch: &Scratch, key: ObjectKey, bytes: &[u8], what: &str) {
    let mut read = vec![0; bytes.len()];
    let (mut walls, mut processors) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        forget_pages(&scratch.path("packs"));
        let before = process_time();
        walls.push(timed(|| scratch.reopened().read_all(key, &mut read).expect("it can be read")));
        processors.push(process_time() - before);
    }
    assert!(read == bytes, "it came back changed");
    let speed = |times| bytes.len() as f64 / median::<Duration>(times).as_secs_f64() / 1e9;
    let (wall, processor) = (speed(walls), speed(processors));
    let ratio = scratch.ratio(key);
    println!("  {what}: {wall:6.2} GB/s, {processor:6.2} per second of a core, raw/stored {ratio:.3}");
}
