//! What is stored once, what as a difference, and what is refused.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::codec::FRAME_LEN;
use crate::disk::DiskFile;
use crate::id::CommitId;

use super::super::{
    ContentHasher, Encoding, FileSource, Kind, ObjectInfo, Outcome, Slice, Source, SourceError, StoreError,
};
use super::*;

fn info(store: &Store, key: ObjectKey) -> ObjectInfo {
    store.info(key).unwrap().unwrap()
}

#[test]
fn equal_bytes_are_stored_once_and_an_empty_transaction_writes_nothing() {
    let disk = new_disk();
    let store = open(&disk);
    let bytes = weights(1000, 1, 0);
    let ingest = store.begin().unwrap();
    let first = ingest.put(Dtype::F32, &bytes, &[]).unwrap();
    let second = ingest.put(Dtype::U8, &bytes, &[]).unwrap();
    assert_eq!((first.outcome, second.outcome), (Outcome::New, Outcome::Duplicate));
    assert_eq!((second.key, second.stored_len), (first.key, first.stored_len));
    assert_eq!(ingest.seal().unwrap().objects, 1);
    let used = disk.used();
    let again = store.begin().unwrap();
    assert_eq!(again.put(Dtype::F32, &bytes, &[]).unwrap().outcome, Outcome::Duplicate);
    assert_eq!(again.seal().unwrap().pack, None);
    assert_eq!(disk.used(), used);
    assert_eq!(store.read(first.key).unwrap(), bytes);
}

#[test]
fn objects_of_all_lengths_around_frames_come_back_whole_and_in_ranges() {
    let store = open(&new_disk());
    for len in [0, 1, 3, 4, 1000, FRAME_LEN - 1, FRAME_LEN, FRAME_LEN + 1, 5 * FRAME_LEN + 17, 40 * FRAME_LEN]
    {
        let mut bytes = weights(len.div_ceil(4), len as u64, 0);
        bytes.truncate(len);
        let key = put_one(&store, &bytes, &[]).key;
        assert_eq!(store.read(key).unwrap(), bytes);
        for (from, to) in [(0, len), (len / 2, len), (len / 3, len / 2), (len, len)] {
            let mut part = vec![0; to - from];
            store.reader(key).and_then(|reader| reader.read_at(from as u64, &mut part)).unwrap();
            assert_eq!(part, bytes[from..to]);
        }
        let beyond = store.reader(key).and_then(|reader| reader.read_at(1, &mut vec![0; len])).unwrap_err();
        assert!(matches!(beyond, StoreError::OutOfRange { .. }));
    }
}

#[test]
fn a_similar_tensor_is_stored_as_a_difference_and_a_stranger_is_not() {
    let store = open(&new_disk());
    let (base, near, far) = (weights(200_000, 1, 0), weights(200_000, 1, 1), weights(200_000, 2, 0));
    let base = put_one(&store, &base, &[]).key;
    let delta = put_one(&store, &near, &[ObjectKey::from_bytes([9; 16]), base]).key;
    let alone = put_one(&store, &far, &[base]).key;
    let found = info(&store, delta);
    assert_eq!((found.encoding, found.base, found.depth), (Encoding::Delta, Some(base), 1));
    assert!(found.stored_len < found.len / 4, "{found:?}");
    assert_eq!(info(&store, alone).base, None);
    assert_eq!((store.read(delta).unwrap(), store.read(alone).unwrap()), (near, far));
}

#[test]
fn chains_grow_to_the_cap_and_go_on_from_their_keyframe() {
    let store = open(&new_disk());
    let steps: Vec<Vec<u8>> = (0..12).map(|step| weights(100_000, 7, step)).collect();
    let ingest = store.begin().unwrap();
    let mut keys = Vec::new();
    for step in &steps {
        let bases: Vec<ObjectKey> = keys.last().copied().into_iter().collect();
        keys.push(ingest.put(Dtype::F32, step, &bases).unwrap().key);
    }
    ingest.seal().unwrap();
    let depths: Vec<u8> = keys.iter().map(|&key| info(&store, key).depth).collect();
    assert_eq!(depths, [0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]);
    for (key, step) in keys.iter().zip(&steps) {
        assert!(store.read(*key).unwrap() == *step);
        let mut part = [0; 1000];
        store.reader(*key).and_then(|reader| reader.read_at(300_001, &mut part)).unwrap();
        assert_eq!(part, step[300_001..301_001]);
    }
}

/// How deep each of six tensors is, each like the one before but for so many low bits of every element.
fn depths_of_a_walk(low_bits: u32) -> Vec<u8> {
    let store = open(&new_disk());
    let mut last = Vec::new();
    let mut tensor = weights(60_000, 11, 0);
    let mut depths = Vec::new();
    for step in 0..6 {
        let noise = weights(60_000, 100 + step, 0);
        for (element, noise) in tensor.as_chunks_mut::<4>().0.iter_mut().zip(noise.as_chunks::<4>().0) {
            let noise = u32::from_le_bytes(*noise) & ((1 << low_bits) - 1);
            *element = (u32::from_le_bytes(*element) ^ noise).to_le_bytes();
        }
        last = vec![put_one(&store, &tensor, &last).key];
        depths.push(info(&store, last[0]).depth);
        assert!(store.read(last[0]).unwrap() == tensor);
    }
    depths
}

#[test]
fn a_chain_is_as_long_as_its_differences_are_worth() {
    assert_eq!(depths_of_a_walk(8), [0, 1, 2, 3, 4, 5]);
    // Five sixths of the standalone size each: two of them are read for one tensor, not three.
    assert_eq!(depths_of_a_walk(20), [0, 1, 2, 1, 2, 1]);
    assert_eq!(depths_of_a_walk(25), [0; 6]);
}

#[test]
fn a_delta_whose_base_exists_in_two_copies_never_goes_in_circles() {
    let disk = new_disk();
    let (a, b) = (weights(70_000, 1, 0), weights(70_000, 1, 1));
    let [first, second] = [open(&disk), open(&disk)];
    let [one, two] = [first.begin().unwrap(), second.begin().unwrap()];
    let key_a = one.put(Dtype::F32, &a, &[]).unwrap().key;
    let key_b = one.put(Dtype::F32, &b, &[key_a]).unwrap().key;
    two.put(Dtype::F32, &b, &[]).unwrap();
    two.put(Dtype::F32, &a, &[key_b]).unwrap();
    for ingest in [one, two] {
        assert_eq!(ingest.seal().unwrap().objects, 2);
    }
    for store in [first, second, open(&disk)] {
        store.refresh().unwrap();
        assert!(store.read(key_a).unwrap() == a && store.read(key_b).unwrap() == b);
    }
}

/// Gives other bytes each time it is read.
struct Restless(AtomicU64);

impl Source for Restless {
    fn len(&self) -> u64 {
        3 * FRAME_LEN as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], _offset: u64) -> Result<(), SourceError> {
        buf.fill(self.0.fetch_add(1, Ordering::Relaxed) as u8);
        Ok(())
    }
}

/// A source that cannot be read beyond its first frame.
struct Broken;

impl Source for Broken {
    fn len(&self) -> u64 {
        40 * FRAME_LEN as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        buf.fill(1);
        if offset == 0 { Ok(()) } else { Err(SourceError::new("no more")) }
    }
}

#[test]
fn a_source_that_changes_or_fails_is_refused_and_the_transaction_goes_on() {
    let store = open(&new_disk());
    let ingest = store.begin().unwrap();
    let kept = ingest.put(Dtype::F32, &weights(10, 1, 0), &[]).unwrap().key;
    assert!(matches!(ingest.put(Dtype::U8, &Restless(AtomicU64::new(0)), &[]), Err(StoreError::Changed)));
    assert!(matches!(ingest.put(Dtype::U8, &Broken, &[]), Err(StoreError::Source(_))));
    let large = weights(1_500_000, 3, 0);
    let last = ingest.put(Dtype::F32, &large, &[]).unwrap().key;
    assert_eq!(ingest.seal().unwrap().objects, 2);
    assert_eq!(store.read(kept).unwrap(), weights(10, 1, 0));
    assert!(store.read(last).unwrap() == large);
}

#[test]
fn metadata_is_kept_by_kind_and_checked_against_its_whole_id() {
    let store = open(&new_disk());
    let bytes = b"a commit ".repeat(40);
    let id = *blake3::hash(&bytes).as_bytes();
    let commit = CommitId::from_bytes(id);
    assert!(matches!(store.durable(commit), Err(StoreError::NotFound { .. })));
    let ingest = store.begin().unwrap();
    ingest.put_meta(Kind::Commit, &id, &bytes).unwrap();
    assert!(matches!(ingest.put_meta(Kind::Commit, &id, b"other"), Err(StoreError::WrongId { .. })));
    let sealed = ingest.seal().unwrap();
    assert_eq!(sealed.vouch(commit).unwrap().get(), commit);
    assert_eq!(sealed.vouch(CommitId::from_bytes([0; 32])), None);
    assert_eq!(store.durable(commit).unwrap().get(), commit);
    assert_eq!(store.read_meta(Kind::Commit, &id).unwrap(), bytes);
    assert!(matches!(store.read_meta(Kind::Tree, &id), Err(StoreError::WrongKind { .. })));
    assert!(info(&store, commit.key()).stored_len < 60);
}

#[test]
fn other_readers_see_a_pack_once_it_is_sealed_and_not_before() {
    let disk = new_disk();
    let (writer, reader) = (open(&disk), open(&disk));
    let bytes = weights(10, 1, 0);
    let ingest = writer.begin().unwrap();
    let key = ingest.put(Dtype::F32, &bytes, &[]).unwrap().key;
    assert!(matches!(reader.read(key), Err(StoreError::NotFound { .. })));
    assert_eq!(writer.info(key).unwrap(), None);
    ingest.seal().unwrap();
    assert_eq!((reader.read(key).unwrap(), writer.read(key).unwrap()), (bytes.clone(), bytes));
}

#[test]
fn a_dropped_transaction_leaves_no_trace_and_dead_ones_are_swept() {
    let disk = new_disk();
    let store = open(&disk);
    let used = disk.used();
    let ingest = store.begin().unwrap();
    ingest.put(Dtype::F32, &weights(500_000, 1, 0), &[]).unwrap();
    assert_eq!(store.sweep().unwrap().busy, 1);
    drop(ingest);
    assert_eq!(disk.used(), used);
    let open_folder = Path::new(ROOT).join("packs/open");
    disk.create_new(&open_folder.join("dead.cpk")).unwrap();
    disk.create_new(&open_folder.join("dead.cix")).unwrap();
    assert_eq!(store.sweep().unwrap().removed, 1);
    assert_eq!(disk.list(&open_folder).unwrap(), [""; 0]);
}

#[test]
fn a_disk_that_cannot_be_written_is_read_even_without_sidecars() {
    let disk = new_disk();
    let bytes = weights(100_000, 1, 0);
    let key = put_one(&open(&disk), &bytes, &[]).key;
    disk.remove_file(&files(&disk, ".cix")[0]).unwrap();
    disk.set_read_only(true);
    assert!(open(&disk).read(key).unwrap() == bytes);
    assert!(open(&disk).begin().is_err());
    disk.set_read_only(false);
    assert!(open(&disk).read(key).unwrap() == bytes);
    assert_eq!(files(&disk, ".cix").len(), 1);
}

#[test]
fn files_and_parts_of_files_are_sources() {
    let disk = new_disk();
    let store = open(&disk);
    let bytes = weights(100_000, 1, 0);
    let file: Box<dyn DiskFile> = disk.create_new(Path::new("/model")).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let source = FileSource::new(&*file).unwrap();
    let ingest = store.begin().unwrap();
    let whole = ingest.put(Dtype::F32, &source, &[]).unwrap();
    let part = ingest.put(Dtype::F32, &Slice { source: &source, offset: 8, len: 80_000 }, &[]).unwrap();
    ingest.seal().unwrap();
    assert!(store.read(whole.key).unwrap() == bytes);
    assert!(store.read(part.key).unwrap() == bytes[8..80_008]);
}

#[test]
fn many_threads_put_at_once_and_have_the_crew_help() {
    let store = open(&new_disk());
    let tensors: Vec<Vec<u8>> =
        (0..40).map(|n| weights(if n % 7 == 0 { 1_300_000 } else { 3000 }, n % 20, 0)).collect();
    let ingest = store.begin().unwrap();
    let put = |bytes: &Vec<u8>| ingest.put(Dtype::F32, bytes, &[]).unwrap().key;
    let keys: Vec<ObjectKey> = std::thread::scope(|scope| {
        let parts: Vec<_> =
            tensors.chunks(10).map(|part| scope.spawn(|| store.threads().map(part.iter(), put))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    let distinct: std::collections::HashSet<_> = keys.iter().collect();
    // Beside them are records of those that are the beginning of others.
    assert!(ingest.seal().unwrap().objects >= distinct.len());
    for (key, bytes) in keys.iter().zip(&tensors) {
        assert!(store.read(*key).unwrap() == *bytes);
    }
}

#[test]
fn the_store_stays_within_a_promille_of_incompressible_bytes() {
    let disk = new_disk();
    let store = open(&disk);
    let mut bytes = vec![0; 5_000_000];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let key = put_one(&store, &bytes, &[]).key;
    assert_eq!(info(&store, key).encoding, Encoding::Raw);
    assert!(disk.used() < 5_005_000, "{}", disk.used());
}

#[test]
fn a_tensor_finds_its_base_without_being_told_even_after_sidecars_are_lost() {
    let disk = new_disk();
    let (base, near, nearer) = (weights(50_000, 1, 0), weights(50_000, 1, 1), weights(50_000, 1, 2));
    let base = put_one(&open(&disk), &base, &[]).key;
    for sidecar in files(&disk, ".cix") {
        disk.remove_file(&sidecar).unwrap();
    }
    let store = open(&disk);
    let near = put_one(&store, &near, &[]).key;
    assert_eq!(info(&store, near).base, Some(base));
    let signature = Store::signature_of(Dtype::F32, &nearer).unwrap().unwrap();
    let found = store.similar(Dtype::F32, nearer.len() as u64, &signature, 5).unwrap();
    let mut keys: Vec<ObjectKey> = found.iter().map(|neighbour| neighbour.item).collect();
    keys.sort();
    let mut wanted = [base, near];
    wanted.sort();
    assert_eq!(keys, wanted);
    assert!(store.similar(Dtype::Bf16, nearer.len() as u64, &signature, 5).unwrap().is_empty());
}

#[test]
fn a_tensor_finds_its_base_in_the_same_transaction() {
    let store = open(&new_disk());
    let ingest = store.begin().unwrap();
    let base = ingest.put(Dtype::F32, &weights(50_000, 1, 0), &[]).unwrap().key;
    let near = ingest.put(Dtype::F32, &weights(50_000, 1, 1), &[]).unwrap().key;
    ingest.seal().unwrap();
    assert_eq!(info(&store, near).base, Some(base));
    assert_eq!(store.read(near).unwrap(), weights(50_000, 1, 1));
}

/// Bytes of which no piece is read before two threads want some.
struct NeedsTwo {
    bytes: Vec<u8>,
    readers: Mutex<HashSet<ThreadId>>,
    more: Condvar,
}

impl NeedsTwo {
    fn new(seed: u64) -> Self {
        let words =
            (0..40 * FRAME_LEN as u64 / 8).map(|at| (at ^ seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bytes = words.flat_map(u64::to_le_bytes).collect();
        Self { bytes, readers: Mutex::default(), more: Condvar::new() }
    }
}

impl Source for NeedsTwo {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        let mut readers = self.readers.lock().unwrap();
        readers.insert(thread::current().id());
        self.more.notify_all();
        let (readers, waited) = self
            .more
            .wait_timeout_while(readers, Duration::from_secs(60), |readers| readers.len() < 2)
            .unwrap();
        drop(readers);
        assert!(!waited.timed_out(), "nobody helps");
        self.bytes.as_slice().read_exact_at(buf, offset)
    }
}

#[test]
fn who_waits_to_write_helps_to_code_what_is_being_written() {
    // Looking for what is known reads with one thread.
    let options = Options { threads: 2, anchor_bytes: 0, ..options() };
    let store = Store::open(Arc::new(new_disk()), Path::new(ROOT), options).unwrap();
    let ingest = store.begin().unwrap();
    let sources = [NeedsTwo::new(1), NeedsTwo::new(2)];
    let puts = store.threads().map(sources.iter(), |source| {
        let mut hasher = ContentHasher::new();
        hasher.update(&source.bytes);
        let hashed = hasher.finish();
        ingest.put_hashed(Dtype::Opaque, source, &[], hashed.key).unwrap().key
    });
    ingest.seal().unwrap();
    for (key, source) in puts.into_iter().zip(&sources) {
        assert!(store.read(key).unwrap() == source.bytes);
    }
}
