//! One tensor in several precisions: stored once, and every byte of each comes back.

use crate::codec::cast;

use super::super::{Encoding, Kind, ObjectInfo, Repack, StoreError};
use super::*;

const FLOATS: [Dtype; 4] = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64];

fn casted(from: Dtype, to: Dtype, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; bytes.len() / from.lane().width() * to.lane().width()];
    cast(from, to, bytes, &mut out);
    out
}

fn put(store: &Store, dtype: Dtype, bytes: &[u8], bases: &[ObjectKey]) -> ObjectInfo {
    let ingest = store.begin().unwrap();
    let key = ingest.put(dtype, &bytes, bases).unwrap().key;
    ingest.seal().unwrap();
    store.info(key).unwrap().unwrap()
}

fn key_of(store: &Store, dtype: Dtype, bytes: &[u8]) -> ObjectKey {
    store.begin().unwrap().put(dtype, &bytes, &[]).unwrap().key
}

/// The whole object and ranges of it, from a store that has nothing in its cache.
fn assert_reads(disk: &SimulatedDisk, key: ObjectKey, bytes: &[u8]) {
    assert!(open(disk).read(key).unwrap() == bytes);
    let fresh = open(disk);
    for (from, to) in [(0, 1), (bytes.len() / 3, bytes.len() / 2), (bytes.len() - 7, bytes.len())] {
        let mut part = vec![0; to - from];
        fresh.reader(key).and_then(|reader| reader.read_at(from as u64, &mut part)).unwrap();
        assert_eq!(part, bytes[from..to], "{from}..{to}");
    }
}

#[test]
fn an_exact_cast_takes_no_bytes_whichever_type_it_is_from_and_to() {
    for from in FLOATS {
        // Values that each of the types has room for.
        let source = casted(Dtype::F32, from, &weights(140_001, 1, 0));
        for to in FLOATS.into_iter().filter(|to| *to != from) {
            let disk = new_disk();
            let store = open(&disk);
            let original = key_of(&store, from, &source);
            put(&store, from, &source, &[]);
            let other = casted(from, to, &source);
            let found = put(&store, to, &other, &[]);
            assert_eq!((found.encoding, found.base, found.stored_len), (Encoding::Cast, Some(original), 0));
            assert_reads(&disk, key_of(&store, to, &other), &other);
            assert!(store.verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
        }
    }
}

#[test]
fn tensors_in_other_precisions_are_found_similar() {
    let store = open(&new_disk());
    let full = weights(50_000, 2, 0);
    let original = key_of(&store, Dtype::F32, &full);
    put(&store, Dtype::F32, &full, &[]);
    let half = casted(Dtype::F32, Dtype::Bf16, &full);
    let signature = Store::signature_of(Dtype::Bf16, &half.as_slice()).unwrap().unwrap();
    let near = store.similar(Dtype::Bf16, half.len() as u64, &signature, 3).unwrap();
    assert_eq!(near.iter().map(|near| near.item).collect::<Vec<_>>(), [original]);
}

#[test]
fn both_precisions_of_one_transaction_share_their_numbers() {
    let disk = new_disk();
    let store = open(&disk);
    let full = weights(200_000, 3, 0);
    let half = casted(Dtype::F32, Dtype::Bf16, &full);
    let ingest = store.begin().unwrap();
    let full_key = ingest.put(Dtype::F32, &full, &[]).unwrap().key;
    let half_key = ingest.put(Dtype::Bf16, &half, &[]).unwrap().key;
    ingest.seal().unwrap();
    assert_eq!(store.info(half_key).unwrap().unwrap().stored_len, 0);
    assert_reads(&disk, full_key, &full);
    assert_reads(&disk, half_key, &half);
}

#[test]
fn a_cast_of_a_fine_tune_finds_it_among_others_of_the_same_model() {
    let store = open(&new_disk());
    let tunes: Vec<Vec<u8>> = (0..4).map(|tune| weights(100_000, 9, 3_000 * tune)).collect();
    tunes.iter().for_each(|tune| _ = put(&store, Dtype::F32, tune, &[]));
    let mut last = Vec::new();
    for tune in &tunes {
        let half = casted(Dtype::F32, Dtype::F16, tune);
        let found = put(&store, Dtype::F16, &half, &last);
        assert_eq!((found.encoding, found.base), (Encoding::Cast, Some(key_of(&store, Dtype::F32, tune))));
        last = vec![key_of(&store, Dtype::F16, &half)];
    }
}

#[test]
fn a_cast_comes_back_whatever_copy_of_its_origin_somebody_else_stored() {
    let disk = new_disk();
    let [first, second] = [open(&disk), open(&disk)];
    let coarse: Vec<u8> = weights(80_000, 12, 0);
    let narrow = casted(Dtype::F32, Dtype::Bf16, &coarse);
    // Numbers that binary32 and bfloat16 both hold exactly.
    let full = casted(Dtype::Bf16, Dtype::F32, &narrow);
    let half = casted(Dtype::F32, Dtype::F16, &full);
    let before = weights(80_000, 12, 1);
    put(&first, Dtype::F32, &before, &[]);
    let [one, two] = [first.begin().unwrap(), second.begin().unwrap()];
    let base = key_of(&first, Dtype::F32, &before);
    let full_key = one.put(Dtype::F32, &full, &[base]).unwrap().key;
    let half_key = one.put(Dtype::F16, &half, &[]).unwrap().key;
    two.put(Dtype::Bf16, &narrow, &[]).unwrap();
    two.put(Dtype::F32, &full, &[]).unwrap();
    one.seal().unwrap();
    two.seal().unwrap();
    for served_depth in [8, 2, 0] {
        assert_reads(&disk, full_key, &full);
        assert_reads(&disk, half_key, &half);
        let served = [full_key, half_key].into_iter().collect();
        open(&disk)
            .repack(
                &Repack { served, served_depth, level: None, treatments: Default::default() },
                &Task::default(),
            )
            .unwrap();
    }
    assert!(open(&disk).verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
}

#[test]
fn a_fine_tune_in_another_precision_is_a_difference_to_the_cast() {
    let disk = new_disk();
    let store = open(&disk);
    let base = put(&store, Dtype::F32, &weights(200_000, 4, 0), &[]);
    let mut tuned = casted(Dtype::F32, Dtype::Bf16, &weights(200_000, 4, 0));
    tuned.iter_mut().step_by(50).for_each(|byte| *byte ^= 1);
    let found = put(&store, Dtype::Bf16, &tuned, &[]);
    assert_eq!((found.encoding, found.depth), (Encoding::Delta, base.depth + 1));
    assert!(found.stored_len < found.len / 10, "{found:?}");
    assert_reads(&disk, key_of(&store, Dtype::Bf16, &tuned), &tuned);
}

#[test]
fn differences_stand_on_casts_and_casts_on_differences() {
    let disk = new_disk();
    let store = open(&disk);
    let full: Vec<Vec<u8>> = (0..3).map(|step| weights(150_000, 5, step)).collect();
    let half: Vec<Vec<u8>> = full.iter().map(|full| casted(Dtype::F32, Dtype::Bf16, full)).collect();
    let mut keys: Vec<(ObjectKey, &[u8])> = Vec::new();
    for (full, half) in full.iter().zip(&half) {
        let last = |at: usize| keys.len().checked_sub(at).map(|at| keys[at].0);
        let (full_bases, half_bases) = (last(2), last(1));
        put(&store, Dtype::F32, full, full_bases.as_slice());
        put(&store, Dtype::Bf16, half, half_bases.as_slice());
        keys.push((key_of(&store, Dtype::F32, full), full));
        keys.push((key_of(&store, Dtype::Bf16, half), half));
    }
    for (key, bytes) in &keys {
        assert_reads(&disk, *key, bytes);
    }
    let depths: Vec<u8> = keys.iter().map(|(key, _)| store.info(*key).unwrap().unwrap().depth).collect();
    assert_eq!(depths, [0, 1, 1, 2, 2, 3]);
    assert!(store.verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
}

#[test]
fn what_is_rounded_in_another_way_still_comes_back() {
    let disk = new_disk();
    let store = open(&disk);
    let full = weights(120_000, 6, 0);
    // Truncation: the upper halves.
    let half: Vec<u8> = full.as_chunks::<4>().0.iter().flat_map(|four| [four[2], four[3]]).collect();
    put(&store, Dtype::F32, &full, &[]);
    let found = put(&store, Dtype::Bf16, &half, &[]);
    assert!(found.stored_len < found.len / 4, "{found:?}");
    assert_reads(&disk, key_of(&store, Dtype::Bf16, &half), &half);
}

#[test]
fn values_that_are_no_numbers_keep_their_payloads() {
    let disk = new_disk();
    let store = open(&disk);
    let mut full = weights(100_000, 7, 0);
    for (at, bits) in [(5, 0x7f80_0001u32), (17, 0xffc1_2345), (99, 0x8000_0000), (4_000, 0x0000_0001)] {
        full[4 * at..4 * at + 4].copy_from_slice(&bits.to_le_bytes());
    }
    let half: Vec<u8> = full.as_chunks::<4>().0.iter().flat_map(|four| [four[2], four[3]]).collect();
    put(&store, Dtype::Bf16, &half, &[]);
    put(&store, Dtype::F32, &full, &[]);
    assert_reads(&disk, key_of(&store, Dtype::F32, &full), &full);
    assert_reads(&disk, key_of(&store, Dtype::Bf16, &half), &half);
}

#[test]
fn a_cast_without_what_it_is_cast_from_is_an_error() {
    let disk = new_disk();
    let store = open(&disk);
    let full = weights(100_000, 8, 0);
    let half = casted(Dtype::F32, Dtype::Bf16, &full);
    put(&store, Dtype::F32, &full, &[]);
    let packs = files(&disk, ".cpk");
    put(&store, Dtype::Bf16, &half, &[]);
    let key = key_of(&store, Dtype::Bf16, &half);
    for pack in packs {
        disk.remove_file(&pack).unwrap();
        disk.remove_file(&pack.with_extension("cix")).unwrap();
    }
    assert!(matches!(open(&disk).read(key), Err(StoreError::Corrupt { .. })));
    assert_eq!(store.info(key).unwrap().unwrap().kind, Kind::Content);
}
