//! Reading a whole tensor that lies at the end of a chain of differences, with nothing cached, on all cores.

use super::generated::{bf16_bytes, f32_bytes, weights};
use super::measure::{RUNS, forget_pages, median, process_time, timed};
use super::scratch::Folder;
use coral::id::ObjectKey;
use coral::tensor::Dtype;

const COUNT: usize = 64 << 20;
const SHOWN: [u8; 5] = [0, 1, 2, 4, 8];

pub fn run(folder: &Folder) {
    println!("a whole tensor, cold; GB/s of its bytes, and by each second of processor time");
    let count = COUNT;
    for (name, dtype) in [("f32", Dtype::F32), ("bf16", Dtype::Bf16)] {
        let scratch = folder.store();
        let mut bases: Vec<ObjectKey> = Vec::new();
        for step in 0..=8 {
            let values = weights(count, 1, step);
            let bytes = if dtype == Dtype::F32 { f32_bytes(values) } else { bf16_bytes(values) };
            let key = scratch.put(dtype, &bytes, &bases);
            bases = vec![key];
            let depth = scratch.info(key).depth;
            assert_eq!(u32::from(depth), step, "each step is a difference to the one before");
            if !SHOWN.contains(&depth) {
                continue;
            }
            let mut read = vec![0; bytes.len()];
            let (mut walls, mut processors) = (Vec::new(), Vec::new());
            for _ in 0..RUNS {
                forget_pages(&scratch.path("packs"));
                let before = process_time();
                walls.push(timed(|| scratch.reopened().read_at(key, 0, &mut read).expect("it can be read")));
                processors.push(process_time() - before);
            }
            assert!(read == bytes, "it came back changed");
            let speed = |times| bytes.len() as f64 / median::<std::time::Duration>(times).as_secs_f64() / 1e9;
            println!(
                "  {name} at depth {depth}: {:6.2} GB/s, {:6.2} per second of a core, raw/stored {:.3}",
                speed(walls),
                speed(processors),
                scratch.ratio(key)
            );
        }
    }
}
