//! Writing the store anew: the same bytes under the same keys, whatever happens meanwhile.

use std::collections::HashSet;

use crate::codec::{Level, cast};
use crate::disk::Patience;
use crate::id::CommitId;

use super::super::{Kind, Repack, Repacked};
use super::*;

/// A chain of eight tensors in eight packs, a cast of the fifth, a stranger, and a commit.
struct History {
    disk: SimulatedDisk,
    objects: Vec<(ObjectKey, Vec<u8>)>,
    meta: Vec<u8>,
}

impl History {
    fn new() -> Self {
        Self::of(70_000)
    }

    /// The same with tensors of so many elements.
    fn of(elements: usize) -> Self {
        let disk = new_disk();
        let store = open(&disk);
        let mut objects: Vec<(ObjectKey, Vec<u8>)> = Vec::new();
        for step in 0..8 {
            let bytes = weights(elements, 5, step);
            let last: Vec<ObjectKey> = objects.last().map(|(key, _)| *key).into_iter().collect();
            objects.push((put_one(&store, &bytes, &last).key, bytes));
        }
        let mut half = vec![0; 2 * elements];
        cast(Dtype::F32, Dtype::Bf16, &objects[4].1, &mut half);
        let ingest = store.begin().unwrap();
        objects.push((ingest.put(Dtype::Bf16, &half, &[]).unwrap().key, half));
        let stranger = weights(elements + 1, 6, 0);
        objects.push((ingest.put(Dtype::F32, &stranger, &[]).unwrap().key, stranger));
        let meta = b"tree, parent, message".to_vec();
        ingest.put_meta(Kind::Commit, commit(&meta).as_bytes(), &meta).unwrap();
        ingest.seal().unwrap();
        Self { disk, objects, meta }
    }

    fn depth(&self, at: usize) -> u8 {
        open(&self.disk).info(self.objects[at].0).unwrap().unwrap().depth
    }

    fn assert_whole(&self, store: &Store) {
        for (key, bytes) in &self.objects {
            assert!(store.read(*key).unwrap() == *bytes);
        }
        assert_eq!(store.read_meta(Kind::Commit, commit(&self.meta).as_bytes()).unwrap(), self.meta);
    }
}

fn commit(meta: &[u8]) -> CommitId {
    CommitId::from_bytes(*blake3::hash(meta).as_bytes())
}

fn serving(keys: impl IntoIterator<Item = ObjectKey>, served_depth: u8) -> Repack {
    Repack { served: keys.into_iter().collect(), served_depth, level: None, treatments: Default::default() }
}

#[test]
fn what_is_served_becomes_shallow_and_one_pack_holds_all() {
    let history = History::new();
    assert_eq!(history.depth(7), 7);
    let store = open(&history.disk);
    let before = store.similar(Dtype::F32, 280_000, &signature_of(&history.objects[0].1), 9).unwrap();
    let done = store.repack(&serving([history.objects[7].0], 2), &Task::default()).unwrap();
    assert_eq!((done.objects, done.recoded, done.removed), (11, 1, 9));
    assert_eq!(files(&history.disk, ".cpk").len(), 1);
    assert!((1..=2).contains(&history.depth(7)), "a difference still, but not to the one before");
    assert_eq!(history.depth(6), 6);
    for store in [store, open(&history.disk)] {
        history.assert_whole(&store);
        assert!(store.verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
        let near = store.similar(Dtype::F32, 280_000, &signature_of(&history.objects[0].1), 9).unwrap();
        assert_eq!(near, before);
    }
    let again = open(&history.disk).repack(&serving([history.objects[7].0], 2), &Task::default()).unwrap();
    assert_eq!((again.objects, again.disk_len), (0, done.disk_len));
}

fn signature_of(bytes: &[u8]) -> crate::similarity::Signature {
    Store::signature_of(Dtype::F32, &bytes).unwrap().unwrap()
}

#[test]
fn all_is_coded_anew_at_another_level() {
    let history = History::new();
    let store = open(&history.disk);
    for level in [Level::Fast, Level::Max, Level::Max] {
        let request = Repack { level: Some(level), ..serving([], 2) };
        assert_eq!(store.repack(&request, &Task::default()).unwrap().recoded, 10);
        history.assert_whole(&open(&history.disk));
        assert!(store.verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
    }
}

#[test]
fn nothing_served_is_a_difference_if_no_depth_is_allowed() {
    let history = History::new();
    let keys: HashSet<ObjectKey> = history.objects.iter().map(|(key, _)| *key).collect();
    open(&history.disk).repack(&serving(keys, 0), &Task::default()).unwrap();
    assert!((0..history.objects.len()).all(|at| history.depth(at) == 0));
    history.assert_whole(&open(&history.disk));
}

#[test]
fn a_store_that_has_nothing_to_gain_stays_as_it_is() {
    let disk = new_disk();
    assert_eq!(open(&disk).repack(&serving([], 2), &Task::default()).unwrap(), Repacked::default());
    let key = put_one(&open(&disk), &weights(1000, 1, 0), &[]).key;
    let packs = files(&disk, ".cpk");
    assert_eq!(open(&disk).repack(&serving([key], 0), &Task::default()).unwrap().objects, 0);
    assert_eq!(files(&disk, ".cpk"), packs);
}

#[test]
fn readers_and_writers_that_were_there_before_go_on() {
    let history = History::new();
    let reader = open(&history.disk);
    let writer = open(&history.disk);
    reader.attach_index().unwrap();
    open(&history.disk).repack(&serving([history.objects[7].0], 1), &Task::default()).unwrap();
    history.assert_whole(&reader);
    let (base, _) = history.objects[7];
    let next = weights(70_000, 5, 8);
    let key = put_one(&writer, &next, &[base]).key;
    assert!(open(&history.disk).read(key).unwrap() == next);
    assert_eq!(open(&history.disk).info(key).unwrap().unwrap().base, Some(base));
}

#[test]
fn a_running_transaction_is_waited_for_and_keeps_its_base() {
    let history = History::new();
    let (base, _) = history.objects[7];
    let next = weights(70_000, 5, 8);
    let store = open(&history.disk);
    let ingest = store.begin().unwrap();
    let key = ingest.put(Dtype::F32, &next, &[base]).unwrap().key;
    std::thread::scope(|scope| {
        let repack =
            scope.spawn(|| open(&history.disk).repack(&serving([base], 0), &Task::default()).unwrap());
        ingest.seal().unwrap();
        repack.join().unwrap();
    });
    let store = open(&history.disk);
    assert!(store.read(key).unwrap() == next);
    history.assert_whole(&store);
    assert!(store.verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
}

#[test]
fn a_second_repack_is_refused_and_a_damaged_object_stops_it() {
    let history = History::new();
    let lock = Path::new(ROOT).join("packs/repack.lock");
    let held = history.disk.lock(&lock, true, Patience::Try).unwrap();
    let refused = open(&history.disk).repack(&serving([], 2), &Task::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Busy { .. }));
    drop(held);
    let packs = files(&history.disk, ".cpk");
    let file = history.disk.open(&packs[0], true).unwrap();
    file.write_all_at(&[0xff; 64], 500).unwrap();
    let refused = open(&history.disk).repack(&serving([], 2), &Task::default()).unwrap_err();
    assert!(refused.is_corruption(), "{refused}");
    assert_eq!(files(&history.disk, ".cpk"), packs);
}

#[test]
fn a_repack_that_ends_at_the_same_pack_never_removes_it() {
    let history = History::of(700);
    let request = Repack { level: Some(Level::Max), ..serving([], 2) };
    let copy = || history.disk.crash_image(0);
    let settled = copy();
    (0..3).for_each(|_| _ = open(&settled).repack(&request, &Task::default()).unwrap());
    let pack = files(&settled, ".cpk");
    open(&settled).repack(&request, &Task::default()).unwrap();
    assert_eq!(files(&settled, ".cpk"), pack, "the same objects coded in the same way");
    // What a power cut brings back of unfinished packs is swept first, in as many operations as there are of them.
    let (mut nth, mut unharmed) = (0, 0);
    while unharmed < 20 {
        let failing = settled.crash_image(0);
        failing.fail_nth(nth, libc::EIO);
        let done = try_open(&failing).and_then(|store| store.repack(&request, &Task::default()));
        failing.set_fault(None);
        history.assert_whole(&open(&failing));
        unharmed = if done.is_ok() { unharmed + 1 } else { 0 };
        nth += 1;
    }
}

#[test]
fn a_repack_that_fails_or_is_cut_off_anywhere_loses_nothing() {
    let history = History::of(700);
    let request = serving([history.objects[7].0], 2);
    // All of it is durable: what a power cut leaves is a copy.
    let copy = || history.disk.crash_image(0);
    let rehearsal = copy();
    let before = rehearsal.operations();
    open(&rehearsal).repack(&request, &Task::default()).unwrap();
    for nth in 0..rehearsal.operations() - before {
        let failing = copy();
        failing.fail_nth(nth, libc::EIO);
        let _ = try_open(&failing).and_then(|store| store.repack(&request, &Task::default()));
        history.assert_whole(&open(&failing));
        let stopping = copy();
        stopping.stop_at_nth(nth);
        let _ = try_open(&stopping).and_then(|store| store.repack(&request, &Task::default()));
        let image = stopping.crash_image(nth);
        history.assert_whole(&open(&image));
        open(&image).repack(&request, &Task::default()).unwrap();
        history.assert_whole(&open(&image));
        assert_eq!((files(&image, ".cpk").len(), files(&image, ".cix").len()), (1, 1));
    }
}
