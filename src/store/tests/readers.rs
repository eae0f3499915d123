//! Objects that were looked up once.

use crate::store::Repack;

use super::sources::Family;
use super::*;

#[test]
fn reading_looks_nothing_up_however_deep_the_chain_is() {
    let family = Family::new();
    let store = open(&family.disk);
    let mut opened = Vec::new();
    for (key, bytes) in &family.objects[..5] {
        let before = store.lookups();
        let reader = store.reader(*key).unwrap();
        opened.push(store.lookups() - before);
        let before = store.lookups();
        for offset in (0..bytes.len()).step_by(100_000) {
            let mut buf = vec![0; 100_000.min(bytes.len() - offset)];
            reader.read_at(offset as u64, &mut buf).unwrap();
            assert!(buf[..] == bytes[offset..offset + buf.len()]);
        }
        assert_eq!(store.lookups(), before);
    }
    // Opening looks up the object and each of its bases.
    assert_eq!(opened, [1, 2, 3, 4, 5]);
}

#[test]
fn reading_takes_as_many_locks_however_deep_the_chain_is() {
    let family = Family::new();
    let mut locks = Vec::new();
    for (key, bytes) in &family.objects[..5] {
        // Each thread takes its own.
        let options = Options { threads: 1, ..options() };
        let store = Store::open(Arc::new(family.disk.clone()), Path::new(ROOT), options).unwrap();
        let reader = store.reader(*key).unwrap();
        let mut buf = vec![0; bytes.len().min(1 << 20)];
        let before = store.locks();
        reader.read_at(0, &mut buf).unwrap();
        locks.push(store.locks() - before);
    }
    assert!(locks[0] > 0);
    assert_eq!(locks, [locks[0]; 5]);
}

#[test]
fn a_reader_goes_on_when_a_repack_removed_its_packs() {
    let family = Family::new();
    let store = open(&family.disk);
    let readers: Vec<_> = family.objects.iter().map(|(key, _)| store.reader(*key).unwrap()).collect();
    let served = family.objects.iter().map(|(key, _)| *key).collect();
    // Once by this process, which forgets the packs, and once by another.
    for (actor, seed) in [(store.clone(), 8), (open(&family.disk), 9)] {
        let request = Repack {
            served: std::collections::HashSet::clone(&served),
            served_depth: 0,
            level: None,
            treatments: Default::default(),
        };
        actor.repack(&request, &Task::default()).unwrap();
        put_one(&actor, &weights(1000, seed, 0), &[]);
        let before = store.lookups();
        for (reader, (_, bytes)) in readers.iter().zip(&family.objects) {
            let mut buf = vec![0; bytes.len()];
            reader.read_at(0, &mut buf).unwrap();
            assert!(buf == *bytes);
        }
        assert_eq!(store.lookups(), before, "what is held is not looked for");
    }
    assert_eq!(files(&family.disk, ".cpk").len(), 2);
}

/// More packs than may be held, so that some readers have to look for their objects again.
#[test]
fn readers_beyond_the_number_of_files_that_are_held_go_on_too() {
    let disk = new_disk();
    let store = open(&disk);
    let objects: Vec<_> = (0..300)
        .map(|seed| {
            let bytes = weights(20, seed, 0);
            (put_one(&store, &bytes, &[]).key, bytes)
        })
        .collect();
    let readers: Vec<_> = objects.iter().map(|(key, _)| store.reader(*key).unwrap()).collect();
    let request =
        Repack { served: Default::default(), served_depth: 8, level: None, treatments: Default::default() };
    assert_eq!(open(&disk).repack(&request, &Task::default()).unwrap().removed, 300);
    for (reader, (_, bytes)) in readers.iter().zip(&objects) {
        let mut buf = vec![0; bytes.len()];
        reader.read_at(0, &mut buf).unwrap();
        assert_eq!(buf, *bytes);
    }
}

#[test]
fn a_damaged_copy_is_made_up_for_by_another() {
    let disk = new_disk();
    let bytes = weights(50_000, 5, 0);
    // Two who did not see each other.
    let stores = [open(&disk), open(&disk)];
    let ingests: Vec<_> = stores.iter().map(|store| store.begin().unwrap()).collect();
    for (ingest, more) in ingests.into_iter().zip(1..) {
        ingest.put(Dtype::F32, &bytes, &[]).unwrap();
        ingest.put(Dtype::F32, &weights(100, more, 0), &[]).unwrap();
        ingest.seal().unwrap();
    }
    for pack in files(&disk, ".cpk") {
        let whole = disk.read(&pack).unwrap();
        let store = open(&disk);
        let reader = store.reader(key_of(&store, &bytes)).unwrap();
        disk.open(&pack, true).unwrap().write_all_at(&[0xff; 500], 100).unwrap();
        let mut buf = vec![0; bytes.len()];
        reader.read_at(0, &mut buf).unwrap();
        assert!(buf == bytes);
        disk.open(&pack, true).unwrap().write_all_at(&whole, 0).unwrap();
    }
}

fn key_of(store: &Store, bytes: &[u8]) -> ObjectKey {
    store.begin().unwrap().put(Dtype::F32, &bytes, &[]).unwrap().key
}

#[test]
fn a_range_beyond_the_object_is_refused() {
    let family = Family::new();
    let reader = open(&family.disk).reader(family.objects[0].0).unwrap();
    let len = reader.len();
    for (offset, wanted) in [(len, 1), (0, len as usize + 1), (u64::MAX, 2)] {
        assert!(matches!(reader.read_at(offset, &mut vec![0; wanted]), Err(StoreError::OutOfRange { .. })));
    }
    reader.read_at(len, &mut []).unwrap();
}
