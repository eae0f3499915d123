//! Damaged packs and sidecars: found, named, worked around where there is a second copy.

use std::path::PathBuf;

use proptest::prelude::*;

use crate::store::pack::{Directory, frame_count};
use crate::store::{Copies, Repack};

use crate::codec::Level;
use crate::formula::{Elementwise, Formula, NumberBuffers, Operand, Weighted};

use super::*;

/// A store with a base, a difference to it and a small object; (disk, keys, bytes).
fn sample() -> (SimulatedDisk, Vec<ObjectKey>, Vec<Vec<u8>>) {
    let disk = new_disk();
    let store = open(&disk);
    let objects = vec![weights(100_000, 1, 0), weights(100_000, 1, 1), weights(20, 2, 0)];
    let ingest = store.begin().unwrap();
    let mut keys: Vec<ObjectKey> = Vec::new();
    for bytes in &objects {
        let bases = keys.clone();
        keys.push(ingest.put(Dtype::F32, bytes, &bases).unwrap().key);
    }
    ingest.seal().unwrap();
    (disk, keys, objects)
}

fn flip(disk: &SimulatedDisk, path: &Path, at: u64) {
    let file = disk.open(path, true).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn overwrite(disk: &SimulatedDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, true).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

fn only(disk: &SimulatedDisk, suffix: &str) -> PathBuf {
    let files = files(disk, suffix);
    assert_eq!(files.len(), 1);
    files[0].clone()
}

#[test]
fn a_flipped_bit_in_a_payload_is_an_error_that_names_object_and_pack() {
    let (disk, keys, _) = sample();
    let pack = only(&disk, ".cpk");
    flip(&disk, &pack, 1000);
    for key in &keys[..2] {
        let error = open(&disk).read(*key).unwrap_err();
        let StoreError::Corrupt { key: named, pack: path, .. } = &error else { panic!("{error}") };
        assert_eq!((named, path), (&keys[0], &pack));
    }
    assert!(open(&disk).read(keys[2]).is_ok());
    let report = open(&disk).verify(&|_, _| true, &Task::default()).unwrap();
    let named: Vec<_> = report.problems.iter().map(|problem| problem.key).collect();
    assert_eq!((report.objects, named.len()), (3, 2));
    assert!(named.contains(&Some(keys[0])) && named.contains(&Some(keys[1])));
}

#[test]
fn an_object_whose_copy_is_damaged_is_stored_again_when_it_comes_again() {
    // Also if what stands on the damaged copy is named as what it resembles.
    for names in [false, true] {
        let (disk, keys, objects) = sample();
        flip(&disk, &only(&disk, ".cpk"), 1000);
        let store = open(&disk);
        let bases = if names { &keys[1..2] } else { &[] };
        assert_eq!(put_one(&store, &objects[0], bases).outcome, super::super::Outcome::New);
        for store in [store, open(&disk)] {
            assert!(store.read(keys[0]).unwrap() == objects[0]);
            assert!(store.read(keys[1]).unwrap() == objects[1]);
        }
    }
}

#[test]
fn damage_to_what_came_before_hinders_nobody_who_saves_on() {
    // Wherever the damage is: also where the sample that chooses the base does not meet it.
    let len = 1_200_000;
    for at in [1_000, 400_000, 900_000, 1_500_000, 2_900_000] {
        let disk = new_disk();
        let first = put_one(&open(&disk), &weights(len, 1, 0), &[]).key;
        let second = put_one(&open(&disk), &weights(len, 1, 1), &[first]).key;
        let pack = files(&disk, ".cpk").into_iter().max_by_key(|pack| disk.stat(pack).unwrap().unwrap().len);
        flip(&disk, &pack.unwrap(), at);
        let store = open(&disk);
        for (step, bases) in [(2, vec![second]), (3, vec![first]), (4, vec![])] {
            let bytes = weights(len, 1, step);
            let key = put_one(&store, &bytes, &bases).key;
            assert!(store.read(key).unwrap() == bytes, "step {step}, damage at {at}");
            assert!(open(&disk).read(key).unwrap() == bytes, "step {step}, damage at {at}");
        }
    }
}

#[test]
fn a_transaction_whose_own_bytes_are_lost_is_over() {
    let disk = new_disk();
    let store = open(&disk);
    let ingest = store.begin().unwrap();
    let (bytes, others) = (weights(100_000, 1, 0), weights(1_000_000, 2, 0));
    ingest.put(Dtype::F32, &bytes, &[]).unwrap();
    // So much that the first is written out.
    ingest.put(Dtype::F32, &others, &[]).unwrap();
    let folder = Path::new(ROOT).join("packs/open");
    let name = disk.list(&folder).unwrap().into_iter().find(|name| name.ends_with(".cpk")).unwrap();
    let pack = folder.join(name);
    flip(&disk, &pack, 1000);
    assert!(ingest.put(Dtype::F32, &bytes, &[]).unwrap_err().is_corruption());
    assert!(matches!(ingest.put(Dtype::F32, &weights(20, 3, 0), &[]), Err(StoreError::Poisoned { .. })));
    assert!(ingest.seal().is_err());
}

#[test]
fn a_damaged_sidecar_is_made_anew_wherever_the_damage_is() {
    let (disk, keys, objects) = sample();
    let sidecar = only(&disk, ".cix");
    let right = disk.read(&sidecar).unwrap();
    for at in 0..right.len() as u64 {
        flip(&disk, &sidecar, at);
        let store = open(&disk);
        assert!(store.read(keys[2]).unwrap() == objects[2]);
        assert_eq!(disk.read(&sidecar).unwrap(), right);
    }
    for len in [0, 1, right.len() - 1] {
        overwrite(&disk, &sidecar, &right[..len]);
        assert!(open(&disk).read(keys[1]).unwrap() == objects[1]);
        assert_eq!(disk.read(&sidecar).unwrap(), right);
    }
}

#[test]
fn a_pack_whose_end_is_damaged_is_read_through_its_sidecar_and_reported() {
    let (disk, keys, objects) = sample();
    let pack = only(&disk, ".cpk");
    let end = disk.stat(&pack).unwrap().unwrap().len;
    flip(&disk, &pack, end - 100);
    let store = open(&disk);
    assert!(store.read(keys[1]).unwrap() == objects[1]);
    let report = store.verify(&|_, _| true, &Task::default()).unwrap();
    assert_eq!(report.problems.len(), 1);
    assert_eq!((&report.problems[0].pack, report.problems[0].key), (&pack, None));
    store.rebuild(&Task::default()).unwrap();
    assert!(open(&disk).read(keys[1]).unwrap() == objects[1]);
}

#[test]
fn a_pack_that_nothing_explains_is_quarantined_and_the_others_stay() {
    let (disk, keys, _) = sample();
    let pack = only(&disk, ".cpk");
    let other = put_one(&open(&disk), b"other", &[]).key;
    let end = disk.stat(&pack).unwrap().unwrap().len;
    flip(&disk, &pack, end - 1);
    disk.remove_file(&pack.with_extension("cix")).unwrap();
    let store = open(&disk);
    assert_eq!(store.stats().unwrap().damaged[0].path, pack);
    assert_eq!(store.read(other).unwrap(), b"other");
    assert!(matches!(store.read(keys[0]), Err(StoreError::Unreadable { pack: named, .. }) if named == pack));
    let rebuilt = store.rebuild(&Task::default()).unwrap();
    assert_eq!(rebuilt.quarantined.len(), 1);
    assert_eq!(disk.stat(&rebuilt.quarantined[0].to).unwrap().unwrap().len, end);
    assert_eq!((store.stats().unwrap().damaged.len(), store.stats().unwrap().packs), (0, 1));
}

#[test]
fn a_pack_of_a_newer_program_stays_where_it_is() {
    let (disk, keys, objects) = sample();
    let pack = only(&disk, ".cpk");
    let sidecar = only(&disk, ".cix");
    let (whole, directory) = (disk.read(&pack).unwrap(), disk.read(&sidecar).unwrap());
    let mut newer = whole.clone();
    let at = newer.len() - directory.len();
    newer[at + 8..at + 12].copy_from_slice(&99u32.to_le_bytes());
    reseal(&mut newer[at..]);
    overwrite(&disk, &pack, &newer);
    disk.remove_file(&sidecar).unwrap();
    let store = open(&disk);
    assert!(store.stats().unwrap().damaged[0].what.contains("a newer program"));
    assert!(matches!(store.read(keys[0]), Err(StoreError::Unreadable { pack: named, .. }) if named == pack));
    assert_eq!(store.rebuild(&Task::default()).unwrap().quarantined.len(), 0);
    overwrite(&disk, &pack, &whole);
    assert!(open(&disk).read(keys[0]).unwrap() == objects[0]);
}

#[test]
fn rebuilding_gives_the_same_answers_and_removes_orphans() {
    let (disk, keys, objects) = sample();
    let sidecar = only(&disk, ".cix");
    let right = disk.read(&sidecar).unwrap();
    let store = open(&disk);
    disk.remove_file(&sidecar).unwrap();
    disk.create_new(&sidecar.with_file_name("00.cix")).unwrap();
    let rebuilt = store.rebuild(&Task::default()).unwrap();
    assert_eq!((rebuilt.sidecars, rebuilt.orphans, rebuilt.quarantined.len()), (1, 1, 0));
    assert_eq!(disk.read(&sidecar).unwrap(), right);
    assert!(store.read(keys[1]).unwrap() == objects[1]);
    assert_eq!(store.verify(&|_, _| true, &Task::default()).unwrap().problems, []);
}

#[test]
fn a_removed_pack_is_noticed_and_named_by_who_wants_its_objects() {
    let (disk, keys, _) = sample();
    let store = open(&disk);
    disk.remove_file(&only(&disk, ".cpk")).unwrap();
    store.refresh().unwrap();
    assert!(matches!(store.read(keys[0]), Err(StoreError::Elsewhere { .. })));
    disk.remove_file(&only(&disk, ".cix")).unwrap();
    assert!(matches!(store.read(keys[0]), Err(StoreError::NotFound { .. })));
}

/// Looks at all that a directory says.
fn look_everywhere(directory: &Directory) {
    for row in 0..directory.len() {
        let _ = directory.rows(&directory.key(row));
        let _ = directory.stored_len(row);
        if let Ok(entry) = directory.entry(row) {
            for index in 0..frame_count(entry.len) {
                let _ = directory.frame(row, index);
            }
        }
    }
    let _ = directory.rows(&ObjectKey::from_bytes([0x80; 16]));
}

/// The sidecar of a store with many small objects, so that it has a fan-out.
fn fanned_out() -> Vec<u8> {
    let disk = new_disk();
    let store = open(&disk);
    let ingest = store.begin().unwrap();
    for n in 0..700u32 {
        ingest.put(Dtype::U8, &n.to_le_bytes().to_vec(), &[]).unwrap();
    }
    ingest.seal().unwrap();
    disk.read(&only(&disk, ".cix")).unwrap()
}

/// Makes the checksums right again, so that what they protect is looked at.
fn reseal(bytes: &mut [u8]) {
    use xxhash_rust::xxh3::xxh3_64;
    let body = bytes.len() - 72;
    let checksum = xxh3_64(&bytes[..body]).to_le_bytes();
    bytes[body + 16..body + 24].copy_from_slice(&checksum);
    let checksum = xxh3_64(&bytes[body..body + 64]).to_le_bytes();
    bytes[body + 64..].copy_from_slice(&checksum);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn directories_of_any_bytes_are_refused_or_read_without_a_panic(
        mut changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        small in any::<bool>(),
    ) {
        thread_local!(static LARGE: Vec<u8> = fanned_out());
        thread_local!(static SMALL: Vec<u8> = { let (disk, ..) = sample(); disk.read(&only(&disk, ".cix")).unwrap() });
        let mut bytes = if small { SMALL.with(Clone::clone) } else { LARGE.with(Clone::clone) };
        let body = bytes.len() - 72;
        for (index, (place, byte)) in changes.iter_mut().enumerate() {
            // The head and the tables are few bytes: aim at them too.
            let len = if index % 2 == 0 { body.min(160) } else { body };
            bytes[place.index(len)] = *byte;
        }
        reseal(&mut bytes);
        if let Ok(directory) = Directory::open(Arc::new(bytes)) {
            look_everywhere(&directory);
        }
    }

    #[test]
    fn noise_is_not_a_directory(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Directory::open(Arc::new(bytes)).is_err());
    }

    #[test]
    fn a_pack_of_any_bytes_gives_right_bytes_or_errors(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        drop_sidecar in any::<bool>(),
    ) {
        let (disk, keys, objects) = sample();
        let pack = only(&disk, ".cpk");
        let mut bytes = disk.read(&pack).unwrap();
        for (place, byte) in &changes {
            let at = place.index(bytes.len());
            bytes[at] = *byte;
        }
        overwrite(&disk, &pack, &bytes);
        if drop_sidecar {
            disk.remove_file(&only(&disk, ".cix")).unwrap();
        }
        let store = open(&disk);
        for (key, bytes) in keys.iter().zip(&objects) {
            if let Ok(found) = store.read(*key) {
                prop_assert!(found == *bytes);
            }
        }
        store.verify(&|_, _| true, &Task::default()).unwrap();
    }
}

#[test]
fn what_stands_on_others_is_read_from_their_whole_copies() {
    let (base, other) = (weights(70_000, 1, 0), weights(70_000, 1, 5));
    let weighted = Weighted { weights: vec![0.5, 0.25], divisor: None };
    // Which of the two copies is damaged, and where.
    for pack in 0..2 {
        for part in 0..12 {
            let disk = new_disk();
            let store = open(&disk);
            let put = |ingest: &crate::store::Ingest| {
                let operands = [&base, &other].map(|bytes| {
                    let key = ingest.put(Dtype::F32, bytes, &[]).unwrap().key;
                    Operand { dtype: Dtype::F32, key }
                });
                let each = Elementwise::Weighted(weighted.clone());
                let formula = Formula::new(each, None, &operands, Dtype::F32, 70_000).unwrap();
                (ingest.put_formula(&formula).unwrap(), formula)
            };
            // Two write the same at the same time, so that there are two copies. They are not the same pack.
            let (one, two) = (store.begin().unwrap(), store.begin().unwrap());
            let ((key, formula), _) = (put(&one), put(&two));
            two.put(Dtype::F32, &weights(100, 9, 0), &[]).unwrap();
            one.seal().unwrap();
            let first = only(&disk, ".cpk");
            two.seal().unwrap();
            let mut bytes = vec![0; base.len()];
            formula.fill(0, &[&base[..], &other].concat(), &mut NumberBuffers::default(), &mut bytes);
            let computed = put_one(&store, &bytes, &[key]).key;
            let mut changed = base.clone();
            changed[40_000] ^= 1;
            let difference = put_one(&store, &changed, &[formula.operands()[0].key]).key;
            drop(store);
            let both = files(&disk, ".cpk");
            let damaged = if pack == 0 {
                first
            } else {
                let holds =
                    |path: &&PathBuf| **path != first && disk.stat(path).unwrap().unwrap().len > 100_000;
                both.iter().find(holds).unwrap().clone()
            };
            let len = disk.stat(&damaged).unwrap().unwrap().len;
            flip(&disk, &damaged, 16 + (len - 2_000) / 12 * part);
            let store = open(&disk);
            assert!(store.read(computed).unwrap() == bytes, "{pack} {part}");
            assert!(store.read(difference).unwrap() == changed, "{pack} {part}");
            // What is damaged is said of each copy, though nobody who reads meets it, and none is kept when all is written anew.
            let problems =
                store.verify(&|_, copies| copies == Copies::Several, &Task::default()).unwrap().problems;
            assert!(problems.iter().all(|problem| problem.pack == damaged), "{pack} {part}: {problems:?}");
            let level = if part % 2 == 0 { None } else { Some(Level::Fast) };
            let request =
                Repack { served: [computed].into(), served_depth: 2, level, treatments: Default::default() };
            store.repack(&request, &Task::default()).unwrap();
            let store = open(&disk);
            assert_eq!(store.verify(&|_, _| true, &Task::default()).unwrap().problems, [], "{pack} {part}");
            assert!(store.read(computed).unwrap() == bytes && store.read(difference).unwrap() == changed);
        }
    }
}
