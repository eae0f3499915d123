//! Writing new, equal and similar tensors, reading them whole and in parts; GB/s of tensor bytes.
//!
//! The plain file, written and synced in the same run, is what to compare with.

use super::generated::{STEP, f32_bytes, noise, weights};
use super::measure::{forget_pages, median_of, sync, timed};
use super::scratch::Folder;
use coral::id::ObjectKey;
use coral::store::Store;
use coral::tensor::Dtype;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const LEN: usize = 256 << 20;

pub fn run(folder: &Folder) {
    let noise = noise(LEN, 1);
    let weights = |steps| f32_bytes(weights(LEN / 4, 2, steps, STEP));
    writes(folder, &noise, &weights);
    reads(folder, &noise, &weights);
}

fn report(what: &str, median: Duration, ratio: f64) {
    let speed = LEN as f64 / median.as_secs_f64() / 1e9;
    println!("{what:<44} {speed:7.3} GB/s   raw/stored {ratio:.3}");
}

fn writes(folder: &Folder, noise: &[u8], weights: &dyn Fn(u32) -> Vec<u8>) {
    let plain = median_of(|run| {
        let path = folder.path().join(format!("plain-{run}"));
        let time = timed(|| write_plain(&path, noise));
        fs::remove_file(&path).expect("it can be removed");
        time
    });
    report("plain file: write, sync", plain, 1.0);
    let origin = weights(0);
    for (what, dtype, bytes) in [("noise", Dtype::U8, noise), ("f32 weights", Dtype::F32, &origin)] {
        let mut ratio = 0.0;
        let new = median_of(|_| {
            let scratch = folder.store();
            let time = timed(|| ratio = scratch.ratio(scratch.put(dtype, bytes, &[])));
            sync(folder.path());
            time
        });
        report(&format!("new {what}: put, seal"), new, ratio);
    }
    let scratch = folder.store();
    let noise_key = scratch.put(Dtype::U8, noise, &[]);
    let base = scratch.put(Dtype::F32, &origin, &[]);
    let equal = median_of(|_| timed(|| _ = scratch.put(Dtype::U8, noise, &[])));
    report("equal noise: put, seal", equal, scratch.ratio(noise_key));
    let equal = median_of(|_| timed(|| _ = scratch.put(Dtype::F32, &origin, &[])));
    report("equal f32 weights: put, seal", equal, scratch.ratio(base));
    let mut ratio = 0.0;
    let near = weights(1);
    let similar = median_of(|_| {
        let scratch = folder.store();
        let base = scratch.put(Dtype::F32, &origin, &[]);
        timed(|| ratio = scratch.ratio(scratch.put(Dtype::F32, &near, &[base])))
    });
    report("similar f32 weights: put, seal", similar, ratio);
}

fn reads(folder: &Folder, noise: &[u8], weights: &dyn Fn(u32) -> Vec<u8>) {
    let scratch = folder.store();
    let noise_key = scratch.put(Dtype::U8, noise, &[]);
    let base = scratch.put(Dtype::F32, &weights(0), &[]);
    let delta = scratch.put(Dtype::F32, &weights(1), &[base]);
    let mut buf = vec![0; LEN];
    for (what, key) in [("noise", noise_key), ("f32 weights", base), ("f32 difference", delta)] {
        let ratio = scratch.ratio(key);
        let cold = median_of(|_| {
            forget_pages(&scratch.path("packs"));
            timed(|| scratch.reopened().read_all(key, &mut buf).expect("it can be read"))
        });
        report(&format!("{what}: read whole, cold"), cold, ratio);
        let opened = scratch.reopened();
        let warm = median_of(|_| timed(|| opened.read_all(key, &mut buf).expect("it can be read")));
        report(&format!("{what}: read whole, warm"), warm, ratio);
        let parts = median_of(|_| timed(|| read_in_parts(&opened, key, &mut buf)));
        report(&format!("{what}: read by 128 KiB in order"), parts, ratio);
    }
}

fn read_in_parts(store: &Store, key: ObjectKey, buf: &mut [u8]) {
    for (index, part) in buf.chunks_mut(128 << 10).enumerate() {
        store
            .reader(key)
            .and_then(|reader| reader.read_at((index as u64) << 17, part))
            .expect("it can be read");
    }
}

fn write_plain(path: &Path, bytes: &[u8]) {
    let mut file = File::create_new(path).expect("it can be made");
    file.write_all(bytes).expect("it can be written");
    file.sync_all().expect("it can be synced");
}
