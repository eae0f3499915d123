//! The store's properties, on the simulated disk.

mod attached;
mod casts;
mod catalog;
mod crash;
mod damage;
mod formulas;
mod indexed;
mod local;
mod lookalikes;
mod model;
mod pieces;
mod policy;
mod readers;
mod repack;
mod sources;

use std::path::Path;
use std::sync::Arc;

use super::{Options, Put, Store, StoreError};
use crate::disk::{Disk, SimulatedDisk};
use crate::id::ObjectKey;
use crate::task::Task;
use crate::tensor::Dtype;

const ROOT: &str = "/repo";

/// An empty store on a disk that is synced.
fn new_disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new(ROOT)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    Store::create(&disk, Path::new(ROOT)).unwrap();
    disk
}

fn options() -> Options {
    Options { reserve_bytes: 0, threads: 2, ..Options::default() }
}

fn try_open(disk: &SimulatedDisk) -> Result<Store, StoreError> {
    Store::open(Arc::new(disk.clone()), Path::new(ROOT), options())
}

fn open(disk: &SimulatedDisk) -> Store {
    try_open(disk).unwrap()
}

/// Stores one object in a transaction of its own.
fn put_one(store: &Store, bytes: &[u8], bases: &[ObjectKey]) -> Put {
    let ingest = store.begin().unwrap();
    let put = ingest.put(Dtype::F32, &bytes, bases).unwrap();
    ingest.seal().unwrap();
    put
}

/// The paths of all files in the folder of packs with this suffix.
fn files(disk: &SimulatedDisk, suffix: &str) -> Vec<std::path::PathBuf> {
    let packs = Path::new(ROOT).join("packs");
    let names = disk.list(&packs).unwrap().into_iter().filter(|name| name.ends_with(suffix));
    names.map(|name| packs.join(name)).collect()
}

/// Floats like weights: `seed` chooses them, `step` moves each a little.
fn weights(count: usize, seed: u64, step: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(4 * count);
    for _ in 0..count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bits = 0x3c00_0000 + (state >> 38) as u32;
        bytes.extend((bits + (state as u32 & 7) * step as u32).to_le_bytes());
    }
    bytes
}
