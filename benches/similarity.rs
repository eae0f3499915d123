//! How well and how fast tensors that resemble each other are found: `cargo bench --bench similarity`.
//!
//! Recall and false candidates of the banding among 20,000 generated tensors of one type and length; speed of taking
//! signatures; time and memory of an index of 100,000 in one bucket, by banding and by looking at every signature.
//! Times are the least of seven runs in one thread, by the thread's own clock: the work takes no locks and no disk.

use coral::random::Random;
use coral::similarity::{Bucket, LshIndex, Sampler, Signature};
use coral::tensor::Dtype;
use half::bf16;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const RUNS: usize = 7;
/// Elements of the tensors that recall is measured with.
const ELEMENTS: usize = 2_000;
const TENSORS: u64 = 20_000;
const QUERIES: u64 = 1_000;
const MANY: u64 = 100_000;
const BUCKET: Bucket = Bucket { dtype: 12, len: 4 * ELEMENTS as u64 };

fn main() {
    recall();
    throughput();
    index_of_many("unrelated", |item| Signature::from_bytes(&random_bytes(item)));
    index_of_many("versions of one tensor", |item| flipped(&random_bytes(0), item, 8));
}

fn recall() {
    let mut index = LshIndex::default();
    (0..TENSORS).for_each(|seed| index.insert(BUCKET, signature_of(&normal(seed)), seed));
    println!("recall and candidates among {TENSORS} tensors, {QUERIES} queries each");
    for cosine in [0.99f32, 0.98, 0.95, 0.9, 0.85] {
        let near = |item: u64| signature_of(&at_cosine(&normal(item), cosine, TENSORS + item));
        let queries: Vec<(u64, Signature)> = (0..QUERIES).map(|item| (item, near(item))).collect();
        let share = |finds: &dyn Fn(&Signature) -> Option<u64>| {
            queries.iter().filter(|(item, query)| finds(query) == Some(*item)).count() as f64 / QUERIES as f64
        };
        let banded = share(&|query| index.nearest(BUCKET, query, 1).first().map(|first| first.item));
        let scanned = share(&|query| index.nearest_by_scan(BUCKET, query, 1).first().map(|first| first.item));
        println!("  cosine {cosine:.2}: by bands {banded:.4}, by scan {scanned:.4}");
    }
    let strangers = (0..QUERIES).map(|item| signature_of(&normal(1 << 32 | item)));
    let (mut candidates, mut neighbours) = (0, 0);
    for stranger in strangers {
        candidates += index.candidates(BUCKET, &stranger);
        neighbours += index.nearest_by_scan(BUCKET, &stranger, usize::MAX).len();
    }
    let share = |count: usize| 100.0 * count as f64 / (QUERIES * TENSORS) as f64;
    println!("  unrelated: {:.3} % candidates, {:.6} % neighbours", share(candidates), share(neighbours));
}

fn throughput() {
    println!("signatures, GB/s of tensor bytes in one thread");
    let values: Vec<f32> = (0..32).flat_map(|seed| normal(seed).into_iter().take(1_024)).collect();
    let f32s = |count: usize| values.iter().cycle().take(count).flat_map(|v| v.to_le_bytes()).collect();
    let bf16s = |count: usize| {
        values.iter().cycle().take(count).flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect()
    };
    let cases: [(&str, Dtype, Vec<u8>); 4] = [
        ("f32, read whole (256 Ki elements)", Dtype::F32, f32s(1 << 18)),
        ("bf16, read whole (256 Ki elements)", Dtype::Bf16, bf16s(1 << 18)),
        ("f32, sampled (64 Mi elements)", Dtype::F32, f32s(1 << 26)),
        ("bf16, sampled (64 Mi elements)", Dtype::Bf16, bf16s(1 << 26)),
    ];
    for (what, dtype, bytes) in cases {
        let time = least(|| _ = black_box(sign(dtype, &bytes)));
        println!("  {what:<36} {:7.1}", bytes.len() as f64 / time.as_secs_f64() / 1e9);
    }
}

fn index_of_many(what: &str, signature: impl Fn(u64) -> Signature) {
    let signatures: Vec<Signature> = (0..MANY).map(signature).collect();
    // An item is as large as the store's keys.
    let load = || {
        let mut index = LshIndex::default();
        for (item, signature) in signatures.iter().enumerate() {
            index.insert(BUCKET, *signature, item as u128);
        }
        index
    };
    let time = least(|| drop(black_box(load())));
    let before = ALLOCATED.load(Ordering::Relaxed);
    let index = load();
    let resident = ALLOCATED.load(Ordering::Relaxed) - before;
    println!("index of {MANY}, {what}");
    println!("  load: {:.1} ms, {} bytes a tensor", time.as_secs_f64() * 1e3, resident / MANY as usize);
    let queries: Vec<Signature> =
        (0..100).map(|n| flipped(&signatures[n * 977].to_bytes(), n as u64, 16)).collect();
    let each = |query: &dyn Fn(&Signature)| {
        least(|| queries.iter().for_each(query)).as_secs_f64() * 1e6 / queries.len() as f64
    };
    let banded = each(&|query| drop(black_box(index.nearest(BUCKET, query, 2))));
    let scanned = each(&|query| drop(black_box(index.nearest_by_scan(BUCKET, query, 2))));
    println!("  query: {banded:.1} us by bands, {scanned:.1} us by scan");
    let same = |query: &&Signature| {
        index.nearest(BUCKET, query, 1).first().map(|first| first.distance)
            == index.nearest_by_scan(BUCKET, query, 1).first().map(|first| first.distance)
    };
    println!("  bands find one as near as the scan does in {} of 100", queries.iter().filter(same).count());
}

fn sign(dtype: Dtype, bytes: &[u8]) -> Option<Signature> {
    let mut sampler = Sampler::new(dtype, bytes.len() as u64)?;
    for (index, range) in sampler.ranges().enumerate() {
        sampler.feed(index as u64, &bytes[range.start as usize..range.end as usize]);
    }
    sampler.finish()
}

fn signature_of(values: &[f32]) -> Signature {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    sign(Dtype::F32, &bytes).expect("not all zero")
}

/// Roughly normal numbers, the same for the same seed.
fn normal(seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
    let mut uniform = move || (random.bits() >> 40) as f32 / (1 << 24) as f32 - 0.5;
    (0..ELEMENTS).map(|_| (0..6).map(|_| uniform()).sum::<f32>()).collect()
}

fn at_cosine(base: &[f32], cosine: f32, seed: u64) -> Vec<f32> {
    let sine = (1.0 - cosine * cosine).sqrt();
    base.iter().zip(normal(!seed)).map(|(value, noise)| cosine * value + sine * noise).collect()
}

fn random_bytes(seed: u64) -> [u8; Signature::LEN] {
    let mut random = Random::new(seed.wrapping_mul(0xa076_1d64_78bd_642f));
    std::array::from_fn(|_| (random.bits() >> 56) as u8)
}

/// A signature with some of its bits changed.
fn flipped(bytes: &[u8; Signature::LEN], seed: u64, bits: usize) -> Signature {
    let (mut bytes, mut random) = (*bytes, Random::new(!seed));
    for _ in 0..bits {
        let bit = (random.bits() >> 56) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    Signature::from_bytes(&bytes)
}

/// The least time of the runs.
fn least(mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = thread_time();
        run();
        thread_time() - start
    };
    (0..RUNS).map(timed).min().expect("there are runs")
}

/// What this thread has run so far.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that is ours to write.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Bytes that are allocated now.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
