//! Many small objects: their overhead, and how fast they are stored, found and indexed.

use super::generated::{STEP, f32_bytes, weights};
use super::measure::{disk_bytes, median_of, timed};
use super::scratch::Folder;
use coral::id::ObjectKey;
use coral::tensor::Dtype;

const COUNT: usize = 20_000;

pub fn run(folder: &Folder) {
    let objects: Vec<Vec<u8>> =
        (0..COUNT).map(|seed| f32_bytes(weights(128, 9 + seed as u64, 0, STEP))).collect();
    let scratch = folder.store();
    let put = timed(|| {
        let ingest = scratch.store.begin().expect("there is room");
        for bytes in &objects {
            ingest.put(Dtype::F32, bytes, &[]).expect("it can be stored");
        }
        ingest.seal().expect("it can be sealed");
    });
    let rate = |time: std::time::Duration| COUNT as f64 / time.as_secs_f64();
    println!("{COUNT} objects of 512 bytes: put, seal          {:7.0} objects/s", rate(put));
    let stats = scratch.store.stats().expect("it can be counted");
    let each = |bytes: u64| bytes as f64 / COUNT as f64;
    println!(
        "  on disk beside their payloads              {:7.1} bytes/object",
        each(stats.disk_len - stats.stored_len)
    );
    let open = median_of(|_| timed(|| drop(scratch.reopened())));
    println!("  open the store                             {:7.2} ms", open.as_secs_f64() * 1e3);
    let absent = median_of(|_| {
        timed(|| {
            for n in 0..COUNT as u64 {
                let bytes = u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes();
                let found = scratch.store.info(ObjectKey::from_bytes(bytes));
                assert!(found.is_ok_and(|found| found.is_none()));
            }
        })
    });
    println!(
        "  look up an absent key                      {:7.2} us",
        absent.as_secs_f64() * 1e6 / COUNT as f64
    );
    let attach = timed(|| drop(scratch.store.attach_index().expect("it can be built")));
    println!("  build the index                            {:7.0} objects/s", rate(attach));
    println!(
        "  the index on disk                          {:7.1} bytes/object",
        each(disk_bytes(&scratch.path("index")))
    );
}
