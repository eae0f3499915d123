//! The same answers with the index, without it, and whatever happens to its files.

use std::fs;
use std::path::PathBuf;

use crate::disk::RealDisk;

use super::super::IndexState;
use super::*;

struct Indexed {
    dir: tempfile::TempDir,
    expected: Vec<(ObjectKey, Vec<u8>)>,
}

impl Indexed {
    /// A store of some packs, its index up to date and closed.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Store::create(&RealDisk, dir.path()).unwrap();
        let mut indexed = Self { dir, expected: Vec::new() };
        let store = indexed.open();
        for n in 0..5 {
            indexed.put(&store, n);
        }
        assert!(matches!(store.attach_index().unwrap(), IndexState::Built { .. }));
        indexed
    }

    fn open(&self) -> Store {
        Store::open(Arc::new(RealDisk), self.dir.path(), options()).unwrap()
    }

    fn put(&mut self, store: &Store, n: u64) {
        let ingest = store.begin().unwrap();
        for size in 1..400 {
            let bytes = weights(size, n, 0);
            self.expected.push((ingest.put(Dtype::F32, &bytes, &[]).unwrap().key, bytes));
        }
        ingest.seal().unwrap();
    }

    fn attach(&self) -> (Store, IndexState) {
        let store = self.open();
        let state = store.attach_index().unwrap();
        self.check(&store);
        (store, state)
    }

    fn check(&self, store: &Store) {
        for (key, bytes) in &self.expected {
            assert!(store.read(*key).unwrap() == *bytes);
        }
        assert_eq!(store.info(ObjectKey::from_bytes([7; 16])).unwrap(), None);
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("index/db")
    }
}

#[test]
fn an_index_is_built_kept_and_replayed() {
    let mut indexed = Indexed::new();
    assert_eq!(indexed.attach().1, IndexState::Clean);
    let store = indexed.open();
    indexed.put(&store, 10);
    indexed.put(&store, 11);
    assert_eq!(indexed.attach().1, IndexState::Replayed { packs: 2 });
    let (store, state) = indexed.attach();
    assert_eq!(state, IndexState::Clean);
    indexed.put(&store, 12);
    indexed.check(&store);
    store.update_index().unwrap();
    indexed.check(&store);
    drop(store);
    assert_eq!(indexed.attach().1, IndexState::Clean);
}

#[test]
fn only_one_process_has_the_index_and_the_others_work_without() {
    let indexed = Indexed::new();
    let (_holder, _) = indexed.attach();
    assert_eq!(indexed.attach().1, IndexState::Unavailable);
}

#[test]
fn the_index_is_unavailable_where_files_are_not_real() {
    let store = open(&new_disk());
    assert_eq!(store.attach_index().unwrap(), IndexState::Unavailable);
}

#[test]
fn a_deleted_index_is_built_again() {
    let indexed = Indexed::new();
    fs::remove_dir_all(indexed.dir.path().join("index")).unwrap();
    assert!(matches!(indexed.attach().1, IndexState::Built { .. }));
    assert_eq!(indexed.attach().1, IndexState::Clean);
}

#[test]
fn a_truncated_or_flipped_index_gives_the_same_answers() {
    let indexed = Indexed::new();
    let file = indexed.database().join("db");
    let right = fs::read(&file).unwrap();
    let mut rebuilt = 0;
    for round in 0..24usize {
        let mut bytes = fs::read(&file).unwrap();
        match round % 3 {
            0 => bytes.truncate(bytes.len() * round / 24),
            _ => {
                let at = (round * 7919) % right.len().min(bytes.len());
                bytes[at] ^= 1 << (round % 8);
            }
        }
        fs::write(&file, bytes).unwrap();
        rebuilt += usize::from(matches!(indexed.attach().1, IndexState::Built { .. }));
    }
    assert!(rebuilt >= 4, "{rebuilt}");
}

#[test]
fn an_index_of_packs_that_are_gone_is_built_anew() {
    let mut indexed = Indexed::new();
    let packs = indexed.dir.path().join("packs");
    for name in RealDisk.list(&packs).unwrap().iter().filter(|name| name.ends_with(".cpk")).take(3) {
        fs::remove_file(packs.join(name)).unwrap();
    }
    let left = indexed.open();
    indexed.expected.retain(|(key, _)| left.info(*key).unwrap().is_some());
    assert!(matches!(indexed.attach().1, IndexState::Built { .. }));
}

#[test]
fn rebuilding_keeps_an_attached_index_attached() {
    let indexed = Indexed::new();
    let (store, _) = indexed.attach();
    store.rebuild(&Task::default()).unwrap();
    indexed.check(&store);
    assert_eq!(indexed.attach().1, IndexState::Unavailable);
    drop(store);
    assert_eq!(indexed.attach().1, IndexState::Clean);
}
