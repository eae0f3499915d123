//! Throughput of the store on a real disk: writing new, equal and similar tensors, reading them whole and in parts.
//!
//! `cargo bench --bench store [-- FOLDER [MIB]]`: works in FOLDER (default: the system's folder for temporary files),
//! with tensors of MIB mebibytes (default 256). Each figure is the median of five runs, in GB/s of tensor bytes; the
//! plain file, written and synced in the same run, is what to compare with.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coral::disk::RealDisk;
use coral::id::ObjectKey;
use coral::store::{Options, Store};
use coral::tensor::Dtype;

const RUNS: usize = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let folder = args.first().map_or_else(std::env::temp_dir, PathBuf::from).join("coral-bench-store");
    let mib: usize = args.get(1).map_or(256, |mib| mib.parse().expect("MIB is a number"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder can be made");
    let bench = Bench { folder: folder.clone(), len: mib << 20 };
    bench.writes();
    bench.reads();
    bench.small();
    fs::remove_dir_all(&folder).expect("the folder can be removed");
}

struct Bench {
    folder: PathBuf,
    len: usize,
}

/// A store in a folder that is removed in the end.
struct Scratch {
    root: PathBuf,
    store: Store,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Scratch {
    fn put(&self, dtype: Dtype, bytes: &[u8], bases: &[ObjectKey]) -> ObjectKey {
        let ingest = self.store.begin().expect("there is room");
        let key = ingest.put(dtype, &bytes, bases).expect("it can be stored").key;
        ingest.seal().expect("it can be sealed");
        key
    }

    fn ratio(&self, key: ObjectKey) -> f64 {
        let info = self.store.info(key).expect("it is readable").expect("it is there");
        info.len as f64 / info.stored_len as f64
    }
}

impl Bench {
    fn scratch(&self, name: &str) -> Scratch {
        let root = self.folder.join(name);
        fs::create_dir_all(&root).expect("the folder can be made");
        Store::create(&RealDisk, &root).expect("a store can be made");
        let store = Store::open(Arc::new(RealDisk), &root, Options::default()).expect("it can be opened");
        Scratch { root, store }
    }

    fn report(&self, what: &str, median: Duration, ratio: f64) {
        let speed = self.len as f64 / median.as_secs_f64() / 1e9;
        println!("{what:<44} {speed:7.3} GB/s   raw/stored {ratio:.3}");
    }

    fn writes(&self) {
        let noise = noise(self.len, 1);
        let plain = median(|run| {
            let path = self.folder.join(format!("plain-{run}"));
            let time = timed(|| write_plain(&path, &noise));
            fs::remove_file(&path).expect("it can be removed");
            time
        });
        self.report("plain file: write, sync", plain, 1.0);
        let weights = weights(self.len, 2, 0);
        for (what, dtype, bytes) in [("noise", Dtype::U8, &noise), ("f32 weights", Dtype::F32, &weights)] {
            let mut ratio = 0.0;
            let new = median(|run| {
                let scratch = self.scratch(&format!("new-{run}"));
                let time = timed(|| ratio = scratch.ratio(scratch.put(dtype, bytes, &[])));
                sync_all();
                time
            });
            self.report(&format!("new {what}: put, seal"), new, ratio);
        }
        let scratch = self.scratch("equal");
        let noise_key = scratch.put(Dtype::U8, &noise, &[]);
        let base = scratch.put(Dtype::F32, &weights, &[]);
        let equal = median(|_| timed(|| _ = scratch.put(Dtype::U8, &noise, &[])));
        self.report("equal noise: put, seal", equal, scratch.ratio(noise_key));
        let equal = median(|_| timed(|| _ = scratch.put(Dtype::F32, &weights, &[])));
        self.report("equal f32 weights: put, seal", equal, scratch.ratio(base));
        let mut ratio = 0.0;
        let similar = median(|run| {
            let near = self::weights(self.len, 2, run as u32 + 1);
            timed(|| ratio = scratch.ratio(scratch.put(Dtype::F32, &near, &[base])))
        });
        self.report("similar f32 weights: put, seal", similar, ratio);
    }

    fn reads(&self) {
        let scratch = self.scratch("reads");
        let noise_key = scratch.put(Dtype::U8, &noise(self.len, 1), &[]);
        let base = scratch.put(Dtype::F32, &weights(self.len, 2, 0), &[]);
        let delta = scratch.put(Dtype::F32, &weights(self.len, 2, 1), &[base]);
        let mut buf = vec![0; self.len];
        for (what, key) in [("noise", noise_key), ("f32 weights", base), ("f32 difference", delta)] {
            let store =
                || Store::open(Arc::new(RealDisk), &scratch.root, Options::default()).expect("it opens");
            let whole = |store: &Store, buf: &mut [u8]| store.read_at(key, 0, buf).expect("it can be read");
            let cold = median(|_| {
                forget_pages(&scratch.root.join("packs"));
                timed(|| whole(&store(), &mut buf))
            });
            self.report(&format!("{what}: read whole, cold"), cold, scratch.ratio(key));
            let opened = store();
            let warm = median(|_| timed(|| whole(&opened, &mut buf)));
            self.report(&format!("{what}: read whole, warm"), warm, scratch.ratio(key));
            let parts = median(|_| {
                timed(|| {
                    for (index, part) in buf.chunks_mut(128 << 10).enumerate() {
                        opened.read_at(key, (index as u64) << 17, part).expect("it can be read");
                    }
                })
            });
            self.report(&format!("{what}: read by 128 KiB in order"), parts, scratch.ratio(key));
        }
    }

    /// Many small objects.
    fn small(&self) {
        const COUNT: usize = 20_000;
        let objects: Vec<Vec<u8>> = (0..COUNT).map(|n| weights(512, n as u64 + 9, 0)).collect();
        let scratch = self.scratch("small");
        let put = timed(|| {
            let ingest = scratch.store.begin().expect("there is room");
            for bytes in &objects {
                ingest.put(Dtype::F32, bytes, &[]).expect("it can be stored");
            }
            ingest.seal().expect("it can be sealed");
        });
        let stats = scratch.store.stats().expect("it can be counted");
        println!(
            "{COUNT} objects of 512 bytes: put, seal          {:7.0} objects/s",
            COUNT as f64 / put.as_secs_f64()
        );
        let overhead = (stats.disk_len - stats.stored_len) as f64 / COUNT as f64;
        println!("  on disk beside their payloads              {overhead:7.1} bytes/object");
        let open = median(|_| {
            timed(|| {
                drop(Store::open(Arc::new(RealDisk), &scratch.root, Options::default()).expect("it opens"))
            })
        });
        println!("  open the store                             {:7.2} ms", open.as_secs_f64() * 1e3);
        let absent = median(|_| {
            let ingest = scratch.store.begin().expect("there is room");
            let _ = &ingest;
            timed(|| {
                for n in 0..COUNT as u64 {
                    let key =
                        ObjectKey::from_bytes((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) as u128).to_le_bytes());
                    assert!(scratch.store.info(key).is_ok_and(|found| found.is_none()));
                }
            })
        });
        println!(
            "  look up an absent key                      {:7.2} us",
            absent.as_secs_f64() * 1e6 / COUNT as f64
        );
        let attach = timed(|| drop(scratch.store.attach_index().expect("it can be built")));
        println!(
            "  build the index                            {:7.0} objects/s",
            COUNT as f64 / attach.as_secs_f64()
        );
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut run: impl FnMut(usize) -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS).map(&mut run).collect();
    times.sort();
    times[RUNS / 2]
}

fn write_plain(path: &Path, bytes: &[u8]) {
    let mut file = File::create_new(path).expect("it can be made");
    file.write_all(bytes).expect("it can be written");
    file.sync_all().expect("it can be synced");
}

fn sync_all() {
    // SAFETY: sync takes nothing and cannot fail.
    unsafe { libc::sync() };
}

/// Lets the kernel forget the pages of the files in a folder.
fn forget_pages(folder: &Path) {
    use std::os::fd::AsRawFd;
    sync_all();
    for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
        if let Ok(file) = File::open(entry.path()) {
            // SAFETY: the descriptor is open; the call takes no pointers.
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        }
    }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Normally distributed f32; with a `step`, each moved a little.
fn weights(len: usize, seed: u64, step: u32) -> Vec<u8> {
    let uniform = noise(len, seed);
    let mut out = Vec::with_capacity(len);
    for bytes in uniform.chunks_exact(4) {
        let sum: i32 = bytes.iter().map(|&byte| i32::from(byte) - 128).sum();
        let fine = i32::from(bytes[0]) * 257 + i32::from(bytes[3]);
        let value = (sum as f32 + fine as f32 / 65536.0) * 1e-4;
        let moved = value * (1.0 + step as f32 * (f32::from(bytes[1]) - 128.0) * 1e-7);
        out.extend(moved.to_le_bytes());
    }
    out
}
