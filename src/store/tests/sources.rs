//! What reading asks of the places where packs lie, seen from a place that is strict.

use proptest::prelude::*;

use crate::codec::{FRAME_LEN, cast};
use crate::store::pack::InMemory;

use super::*;

/// Five tensors of three frames, each a difference to the one before, in packs of their own; a cast of the third; one
/// that stands alone.
pub struct Family {
    pub disk: SimulatedDisk,
    pub objects: Vec<(ObjectKey, Vec<u8>)>,
}

impl Family {
    pub fn new() -> Self {
        let disk = new_disk();
        let store = open(&disk);
        let mut objects: Vec<(ObjectKey, Vec<u8>)> = Vec::new();
        for step in 0..5 {
            let bytes = weights(150_000, 5, step);
            let last: Vec<ObjectKey> = objects.last().map(|(key, _)| *key).into_iter().collect();
            objects.push((put_one(&store, &bytes, &last).key, bytes));
        }
        let mut half = vec![0; 300_000];
        cast(Dtype::F32, Dtype::Bf16, &objects[2].1, &mut half);
        let ingest = store.begin().unwrap();
        objects.push((ingest.put(Dtype::Bf16, &half, &[]).unwrap().key, half));
        let stranger = weights(200_001, 6, 0);
        objects.push((ingest.put(Dtype::F32, &stranger, &[]).unwrap().key, stranger));
        ingest.seal().unwrap();
        let depths: Vec<u8> =
            objects.iter().map(|(key, _)| store.info(*key).unwrap().unwrap().depth).collect();
        assert_eq!(depths, [0, 1, 2, 3, 4, 1, 0]);
        Self { disk, objects }
    }
}

/// Puts memory in the place of every pack's file.
fn in_memory(store: &Store, disk: &SimulatedDisk) -> Vec<InMemory> {
    let catalog = &store.decoder.catalog;
    let packs: Vec<_> = catalog.packs().iter().cloned().collect();
    let replaced = packs.iter().map(|pack| {
        let bytes = InMemory::new(disk.read(&pack.path).unwrap());
        catalog.add(pack.with_bytes(Arc::new(bytes.clone())));
        bytes
    });
    replaced.collect()
}

/// A store that keeps no decoded frames, so that whatever is read is asked for.
fn open_forgetful(disk: &SimulatedDisk) -> Store {
    let options = Options { cache_bytes: 0, ..options() };
    Store::open(Arc::new(disk.clone()), Path::new(ROOT), options).unwrap()
}

#[test]
fn a_read_asks_each_pack_once_for_all_that_it_needs_of_it() {
    let family = Family::new();
    let store = open_forgetful(&family.disk);
    let packs = in_memory(&store, &family.disk);
    let mut buf = vec![0; 1000];
    // One pack for each link of the chain, and one range of each.
    store.reader(family.objects[4].0).and_then(|reader| reader.read_at(10, &mut buf)).unwrap();
    assert_eq!(buf, family.objects[4].1[10..1010]);
    let calls: Vec<usize> = packs.iter().map(InMemory::take_calls).collect();
    assert_eq!(calls.iter().sum::<usize>(), 5, "{calls:?}");
    assert_eq!(packs.iter().map(|pack| pack.take_ranges().len()).sum::<usize>(), 5);
    // Neighbouring frames of one object are one range: two threads read half of the four each.
    let (key, bytes) = &family.objects[6];
    assert!(store.read(*key).unwrap() == *bytes);
    let ranges: Vec<_> = packs.iter().flat_map(InMemory::take_ranges).collect();
    assert_eq!(ranges.len(), 2, "{ranges:?}");
}

#[test]
fn a_place_that_fails_is_an_error_and_no_wrong_bytes() {
    let family = Family::new();
    let store = open_forgetful(&family.disk);
    let packs = in_memory(&store, &family.disk);
    let reader = store.reader(family.objects[4].0).unwrap();
    for pack in &packs {
        let mut buf = vec![7; 3 * FRAME_LEN / 2];
        pack.fail(true);
        let result = reader.read_at(0, &mut buf);
        pack.fail(false);
        assert!(result.is_err() || buf[..] == family.objects[4].1[..buf.len()]);
        reader.read_at(0, &mut buf).unwrap();
        assert!(buf[..] == family.objects[4].1[..buf.len()]);
    }
}

#[test]
fn whatever_is_read_was_planned() {
    let family = Family::new();
    let store = open(&family.disk);
    in_memory(&store, &family.disk);
    let readers: Vec<_> = family.objects.iter().map(|(key, _)| store.reader(*key).unwrap()).collect();
    proptest!(ProptestConfig::with_cases(64), |(at in 0..readers.len(), from in 0.0..1f64, len in 0.0..1f64)| {
        let bytes = &family.objects[at].1;
        let from = (from * bytes.len() as f64) as usize;
        let len = (len * len * (bytes.len() - from) as f64) as usize;
        let mut buf = vec![0; len];
        readers[at].read_at(from as u64, &mut buf).unwrap();
        prop_assert!(buf[..] == bytes[from..from + len]);
    });
}
