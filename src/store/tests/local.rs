//! What is damaged, slow or hostile costs what needs it, and nothing else.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::{io, thread};

use crate::codec::{FRAME_LEN, Level, encode_frame};
use crate::disk::Hooked;
use crate::id::RecipeId;
use crate::store::pack::{
    Beside, Entry, Footer, Frame, PACK_HEAD, build_directory, frame_count, pack_id, pack_path,
};

use super::super::{DamageCause, Kind, METADATA_MAX, Outcome, Repack};
use super::*;

fn open_hooked(
    disk: &SimulatedDisk,
    hook: impl Fn(&str, &Path) -> io::Result<()> + Send + Sync + 'static,
) -> Store {
    Store::open(Arc::new(Hooked::new(disk, hook)), Path::new(ROOT), options()).unwrap()
}

/// Three packs of one object each; (disk, their keys and bytes, the path of the first one's pack).
fn three_packs() -> (SimulatedDisk, Vec<(ObjectKey, Vec<u8>)>, PathBuf) {
    let disk = new_disk();
    let mut first = None;
    let objects = (0..3).map(|n| {
        let bytes = weights(1000, 10 + n, 0);
        let key = put_one(&open(&disk), &bytes, &[]).key;
        first.get_or_insert_with(|| files(&disk, ".cpk")[0].clone());
        (key, bytes)
    });
    let objects = objects.collect();
    (disk, objects, first.unwrap())
}

/// Checks that all but the first object are whole and that the first one's pack is named wherever it is missed.
fn check_damage(store: &Store, objects: &[(ObjectKey, Vec<u8>)], pack: &Path) {
    for (key, bytes) in &objects[1..] {
        assert!(store.read(*key).unwrap() == *bytes);
    }
    let error = store.read(objects[0].0).unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { pack: named, .. } if named == pack), "{error}");
    assert!(store.info(objects[0].0).is_err() && store.durable(objects[0].0).is_err());
    let stats = store.stats().unwrap();
    assert_eq!((stats.packs, stats.damaged.len()), (2, 1));
    assert_eq!((&*stats.damaged[0].path, stats.damaged[0].cause), (pack, DamageCause::Unreadable));
    let problems = store.verify(&|_, _| true, &Task::default()).unwrap().problems;
    assert_eq!(problems.iter().map(|problem| &*problem.pack).collect::<Vec<_>>(), [pack]);
    let new = weights(500, 99, 0);
    assert!(store.read(put_one(store, &new, &[]).key).unwrap() == new);
    assert!(
        store
            .repack(
                &Repack {
                    served: Default::default(),
                    served_depth: 2,
                    level: None,
                    treatments: Default::default()
                },
                &Task::default()
            )
            .unwrap()
            .removed
            > 0
    );
    assert_eq!(store.rebuild(&Task::default()).unwrap().quarantined, []);
}

#[test]
fn a_pack_that_cannot_be_read_costs_what_it_alone_holds() {
    for code in [libc::EIO, libc::EACCES, libc::EMFILE] {
        let (disk, objects, pack) = three_packs();
        let bad = pack.file_stem().unwrap().to_owned();
        let store = open_hooked(&disk, move |operation, path| match path.file_stem() == Some(&bad) {
            true if operation != "stat" => Err(io::Error::from_raw_os_error(code)),
            _ => Ok(()),
        });
        check_damage(&store, &objects, &pack);
        // It was never touched, and is whole when it can be read again.
        assert!(open(&disk).read(objects[0].0).unwrap() == objects[0].1);
    }
}

#[test]
fn a_folder_in_the_place_of_a_pack_is_no_pack() {
    let (disk, objects, pack) = three_packs();
    disk.remove_file(&pack).unwrap();
    disk.create_dir_all(&pack).unwrap();
    check_damage(&open(&disk), &objects, &pack);
}

#[test]
fn a_pack_that_cannot_be_read_once_it_is_known_is_a_finding() {
    let (disk, objects, pack) = three_packs();
    let bad = pack.clone();
    let store = open_hooked(&disk, move |operation, path| match path == bad && operation == "open" {
        true => Err(io::Error::from_raw_os_error(libc::EIO)),
        false => Ok(()),
    });
    let error = store.read(objects[0].0).unwrap_err();
    assert!(error.to_string().contains(pack.to_str().unwrap()), "{error}");
    assert!(store.read(objects[1].0).unwrap() == objects[1].1);
    assert!(
        store
            .verify(&|_, _| true, &Task::default())
            .unwrap()
            .problems
            .iter()
            .all(|problem| problem.pack == pack)
    );
}

#[test]
fn a_copy_that_is_whole_is_read_whichever_of_two_is_damaged() {
    let (disk, other_disk) = (new_disk(), new_disk());
    let bytes = weights(100_000, 1, 0);
    let key = put_one(&open(&disk), &bytes, &[]).key;
    let ingest = open(&other_disk).begin().unwrap();
    ingest.put(Dtype::F32, &bytes, &[]).unwrap();
    ingest.put(Dtype::F32, &weights(10, 2, 0), &[]).unwrap();
    ingest.seal().unwrap();
    fetch(&disk, &other_disk);
    for damaged in files(&disk, ".cpk") {
        let whole = disk.read(&damaged).unwrap();
        disk.open(&damaged, true).unwrap().write_all_at(&[0xff; 64], 500).unwrap();
        let store = open(&disk);
        assert!(store.read(key).unwrap() == bytes);
        let mut part = [0; 64];
        store.reader(key).and_then(|reader| reader.read_at(450, &mut part)).unwrap();
        assert!(part == bytes[450..514]);
        let bad = damaged.clone();
        let store = open_hooked(&disk, move |operation, path| match operation == "open" && path == bad {
            true => Err(io::Error::from_raw_os_error(libc::EIO)),
            false => Ok(()),
        });
        assert!(store.read(key).unwrap() == bytes);
        disk.open(&damaged, true).unwrap().write_all_at(&whole, 0).unwrap();
    }
}

#[test]
fn readers_do_not_wait_for_those_who_look_for_packs() {
    let (disk, objects, _) = three_packs();
    let (entered, wait_for_entry) = channel();
    let (leave, wait_to_leave) = channel();
    let gate = Mutex::new(Some((entered, wait_to_leave)));
    let late = Arc::new(Mutex::new(PathBuf::new()));
    let held = Arc::clone(&late);
    let store = open_hooked(&disk, move |operation, path| {
        let is_late = operation == "map" && *path == *held.lock().unwrap();
        let taken = is_late.then(|| gate.lock().unwrap().take()).flatten();
        if let Some((entered, wait)) = taken {
            entered.send(()).unwrap();
            wait.recv().unwrap();
        }
        Ok(())
    });
    let known = files(&disk, ".cix");
    let later = weights(700, 50, 0);
    let key = put_one(&open(&disk), &later, &[]).key;
    *late.lock().unwrap() = files(&disk, ".cix").into_iter().find(|path| !known.contains(path)).unwrap();
    thread::scope(|scope| {
        let looking = scope.spawn(|| store.refresh().unwrap());
        wait_for_entry.recv().unwrap();
        // Somebody is in the middle of it.
        for (key, bytes) in &objects {
            assert!(store.read(*key).unwrap() == *bytes);
        }
        let own = weights(300, 51, 0);
        leave.send(()).unwrap();
        looking.join().unwrap();
        assert!(store.read(put_one(&store, &own, &[]).key).unwrap() == own);
    });
    assert!(store.read(key).unwrap() == later);
}

#[test]
fn a_pack_that_is_sealed_while_others_look_for_packs_stays_known() {
    let (disk, _, _) = three_packs();
    let (entered, wait_for_entry) = channel();
    let (leave, wait_to_leave) = channel();
    let gate = Mutex::new(None);
    let gate = Arc::new(gate);
    let held = Arc::clone(&gate);
    let store = open_hooked(&disk, move |operation, path| {
        if operation == "list" && path.ends_with("packs") {
            // Whoever lists next is held up after the listing was begun; the one after that is not.
            let taken: Option<(std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>)> =
                held.lock().unwrap().take();
            if let Some((entered, wait)) = taken {
                entered.send(()).unwrap();
                wait.recv().unwrap();
            }
        }
        Ok(())
    });
    let ingest = store.begin().unwrap();
    let bytes = weights(400, 60, 0);
    let key = ingest.put(Dtype::F32, &bytes, &[]).unwrap().key;
    *gate.lock().unwrap() = Some((entered, wait_to_leave));
    thread::scope(|scope| {
        let looking = scope.spawn(|| store.refresh().unwrap());
        wait_for_entry.recv().unwrap();
        let sealing = scope.spawn(|| ingest.seal().unwrap());
        leave.send(()).unwrap();
        looking.join().unwrap();
        sealing.join().unwrap();
    });
    assert!(store.read(key).unwrap() == bytes);
    assert_eq!(store.stats().unwrap().packs, 4);
}

#[test]
fn nobody_vouches_for_a_name_before_it_is_synced() {
    let (disk, objects, _) = three_packs();
    let syncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&syncs);
    let (entered, wait_for_entry) = channel();
    let (leave, wait_to_leave) = channel();
    let gate = Mutex::new(Some((entered, wait_to_leave)));
    let store = open_hooked(&disk, move |operation, path| {
        if operation != "sync" || !path.ends_with("packs") {
            return Ok(());
        }
        if let Some((entered, wait)) = gate.lock().unwrap().take() {
            entered.send(()).unwrap();
            let () = wait.recv().unwrap();
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    thread::scope(|scope| {
        let first = scope.spawn(|| store.durable(objects[0].0).is_ok());
        wait_for_entry.recv().unwrap();
        // The first one's sync is under way, and will fail.
        let second = scope.spawn(|| store.durable(objects[1].0).map(|_| syncs.load(Ordering::SeqCst)));
        leave.send(()).unwrap();
        assert!(!first.join().unwrap());
        assert_eq!(second.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn a_transaction_that_cannot_begin_leaves_nothing_behind() {
    let (disk, ..) = three_packs();
    let open_folder = Path::new(ROOT).join("packs/open");
    for operation in ["open", "lock"] {
        let store = open_hooked(&disk, move |asked, path| {
            match asked == operation && path.parent().is_some_and(|folder| folder.ends_with("open")) {
                true => Err(io::Error::from_raw_os_error(libc::EMFILE)),
                false => Ok(()),
            }
        });
        assert!(store.begin().is_err());
        assert_eq!(disk.list(&open_folder).unwrap(), [""; 0]);
    }
}

/// A store whose only pack is malformed; (disk, the path of the pack).
fn malformed() -> (SimulatedDisk, PathBuf) {
    let disk = new_disk();
    put_one(&open(&disk), &weights(1000, 1, 0), &[]);
    spoil(&disk);
    let pack = files(&disk, ".cpk")[0].clone();
    (disk, pack)
}

/// Takes the only pack's sidecar away and its end too.
fn spoil(disk: &SimulatedDisk) {
    let pack = files(disk, ".cpk")[0].clone();
    disk.remove_file(&pack.with_extension("cix")).unwrap();
    let len = disk.stat(&pack).unwrap().unwrap().len;
    disk.open(&pack, true).unwrap().set_len(len - 1).unwrap();
}

#[test]
fn rebuilding_moves_nothing_while_somebody_writes() {
    let (disk, pack) = malformed();
    let held =
        open_hooked(&disk, |operation, path| match operation == "lock" && path.ends_with("writers.lock") {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        });
    let error = held.rebuild(&Task::default()).unwrap_err();
    assert!(error.to_string().contains("writers.lock"), "{error}");
    assert!(disk.stat(&pack).unwrap().is_some());
    let moved = open(&disk).rebuild(&Task::default()).unwrap().quarantined;
    assert_eq!(moved[0].from, pack);
    assert!(disk.stat(&pack).unwrap().is_none() && disk.stat(&moved[0].to).unwrap().is_some());
}

#[test]
fn what_was_set_aside_stays_when_more_of_its_name_is() {
    let (disk, _) = malformed();
    let first = open(&disk).rebuild(&Task::default()).unwrap().quarantined;
    put_one(&open(&disk), &weights(1000, 1, 0), &[]);
    spoil(&disk);
    let second = open(&disk).rebuild(&Task::default()).unwrap().quarantined;
    assert_eq!(first[0].from, second[0].from);
    assert!(disk.stat(&first[0].to).unwrap().is_some() && disk.stat(&second[0].to).unwrap().is_some());
    assert_ne!(first[0].to, second[0].to);
}

/// Two strings of bytes with one key. XXH3 multiplies the halves of a lane of input and secret: where the lower half is
/// zero the upper one is only added, so that those of two stripes can change places.
fn colliding() -> [Vec<u8>; 2] {
    // The lower halves of the first two lanes of XXH3's secret under the seed 1, with which content is hashed.
    let secret = [0x396c_feb8_u32 + 1, 0x2c81_017c - 1];
    [[7u32, 9], [9, 7]].map(|upper| {
        let mut bytes = vec![0; 1000];
        for (stripe, (lower, upper)) in secret.into_iter().zip(upper).enumerate() {
            bytes[64 * stripe..][..4].copy_from_slice(&lower.to_le_bytes());
            bytes[64 * stripe + 4..][..4].copy_from_slice(&upper.to_le_bytes());
        }
        bytes
    })
}

/// Brings the only pack of another store into one, as if it had been fetched.
fn fetch(disk: &SimulatedDisk, other: &SimulatedDisk) {
    let pack = &files(other, ".cpk")[0];
    disk.create_new(pack).unwrap().write_all_at(&other.read(pack).unwrap(), 0).unwrap();
}

#[test]
fn bytes_with_the_key_of_others_are_stored_beside_them() {
    let store = open(&new_disk());
    let [one, other] = colliding();
    let (first, second) = (put_one(&store, &one, &[]), put_one(&store, &other, &[]));
    assert!(one != other && first.key != second.key);
    assert_eq!(put_one(&store, &other, &[]).outcome, Outcome::Duplicate);
    assert!(store.read(first.key).unwrap() == one && store.read(second.key).unwrap() == other);
}

#[test]
fn two_transactions_at_once_never_store_different_bytes_under_one_key() {
    let disk = new_disk();
    let [one, other] = colliding();
    let (early, late) = (open(&disk), open(&disk));
    let (first, second) = (early.begin().unwrap(), late.begin().unwrap());
    let key = first.put(Dtype::U8, &one, &[]).unwrap().key;
    assert_eq!(second.put(Dtype::U8, &other, &[]).unwrap().key, key);
    first.seal().unwrap();
    let error = second.seal().unwrap_err();
    assert!(matches!(error, StoreError::Collision { key: named, .. } if named == key), "{error}");
    assert_eq!((files(&disk, ".cpk").len(), files(&disk, ".cix").len()), (1, 1));
    assert!(open(&disk).read(key).unwrap() == one);
    // Once it is seen, there is a way.
    let second = put_one(&late, &other, &[]);
    assert!(second.key != key && late.read(second.key).unwrap() == other);
}

#[test]
fn equal_bytes_that_two_transactions_store_at_once_are_no_trouble() {
    let disk = new_disk();
    let (first, second) = (open(&disk).begin().unwrap(), open(&disk).begin().unwrap());
    let bytes = weights(100_000, 1, 0);
    let key = first.put(Dtype::F32, &bytes, &[]).unwrap().key;
    second.put(Dtype::F32, &bytes, &[]).unwrap();
    second.put(Dtype::F32, &weights(10, 2, 0), &[]).unwrap();
    first.seal().unwrap();
    second.seal().unwrap();
    assert!(open(&disk).read(key).unwrap() == bytes);
}

#[test]
fn a_repack_stops_at_different_bytes_under_one_key_and_removes_neither() {
    let (disk, other_disk) = (new_disk(), new_disk());
    let [one, other] = colliding();
    let key = put_one(&open(&disk), &one, &[]).key;
    assert_eq!(put_one(&open(&other_disk), &other, &[]).key, key);
    fetch(&disk, &other_disk);
    let packs = files(&disk, ".cpk");
    let request = Repack {
        served: Default::default(),
        served_depth: 2,
        level: Some(Level::Max),
        treatments: Default::default(),
    };
    let error = open(&disk).repack(&request, &Task::default()).unwrap_err();
    assert!(matches!(error, StoreError::Collision { key: named, .. } if named == key), "{error}");
    assert_eq!(files(&disk, ".cpk"), packs);
}

#[test]
fn a_repack_keeps_the_whole_one_of_two_copies() {
    let (disk, other_disk) = (new_disk(), new_disk());
    let bytes = weights(100_000, 1, 0);
    let key = put_one(&open(&disk), &bytes, &[]).key;
    // The same object in another pack: with one more.
    let ingest = open(&other_disk).begin().unwrap();
    ingest.put(Dtype::F32, &bytes, &[]).unwrap();
    ingest.put(Dtype::F32, &weights(10, 2, 0), &[]).unwrap();
    ingest.seal().unwrap();
    for is_first in [true, false] {
        let (disk, other_disk) = (disk.crash_image(0), other_disk.crash_image(0));
        let bad = if is_first { &disk } else { &other_disk };
        bad.open(&files(bad, ".cpk")[0], true).unwrap().write_all_at(&[0xff; 64], 500).unwrap();
        fetch(&disk, &other_disk);
        open(&disk)
            .repack(
                &Repack {
                    served: Default::default(),
                    served_depth: 2,
                    level: None,
                    treatments: Default::default(),
                },
                &Task::default(),
            )
            .unwrap();
        assert!(open(&disk).read(key).unwrap() == bytes);
        assert_eq!(open(&disk).verify(&|_, _| true, &Task::default()).unwrap().problems, []);
    }
}

/// A pack of one object that claims `len` bytes, each of whose frames repeats four bytes.
fn hostile(disk: &SimulatedDisk, kind: Kind, len: u64) -> ObjectKey {
    let key = ObjectKey::from_bytes([9; 16]);
    let mut stored = Vec::new();
    let raw = [1, 2, 3, 4].repeat(FRAME_LEN / 4);
    let tag = encode_frame(&raw, None, Dtype::F32.lane(), Level::Default, &mut stored);
    assert!(stored.len() < 100);
    let checksum = xxhash_rust::xxh3::xxh3_64(&stored);
    let count = frame_count(len);
    // All frames but the first would lie behind it: it is repeated for each.
    let frame = |n: u64| {
        let (start, end) = (n * stored.len() as u64, (n + 1) * stored.len() as u64);
        Frame { start, end, tag, checksum }
    };
    let entry = Entry {
        key,
        kind,
        dtype: Dtype::F32,
        len,
        depth: 0,
        base: None,
        through: None,
        file: 0,
        offset: PACK_HEAD.len() as u64,
    };
    let directory = build_directory(&mut [(entry, (0..count).map(frame).collect())], &Beside::default());
    let payload = stored.repeat(count as usize);
    let footer = Footer {
        directory_offset: (PACK_HEAD.len() + payload.len()) as u64,
        directory_len: directory.len() as u64,
        directory_checksum: xxhash_rust::xxh3::xxh3_64(&directory),
        pack: pack_id(&directory),
    };
    let path = pack_path(&Path::new(ROOT).join("packs"), &footer.pack);
    let bytes = [&PACK_HEAD[..], &payload, &directory, &footer.encode()].concat();
    disk.create_new(&path).unwrap().write_all_at(&bytes, 0).unwrap();
    key
}

#[test]
fn metadata_that_claims_to_be_endless_is_refused_before_it_is_decoded() {
    let disk = new_disk();
    hostile(&disk, Kind::Recipe, METADATA_MAX + 1);
    let id = RecipeId::from_bytes([9; 32]);
    let error = open(&disk).read_meta(Kind::Recipe, id.as_bytes()).unwrap_err();
    assert!(matches!(error, StoreError::TooLong { len, .. } if len == METADATA_MAX + 1), "{error}");
}

#[test]
fn memory_is_taken_for_what_was_decoded_and_not_for_what_was_promised() {
    // A gigabyte of which nothing can be decoded.
    let disk = new_disk();
    let key = hostile(&disk, Kind::Content, 1 << 30);
    let pack = files(&disk, ".cpk")[0].clone();
    let file = disk.open(&pack, true).unwrap();
    file.write_all_at(&[0xff; 8], PACK_HEAD.len() as u64).unwrap();
    assert!(open(&disk).read(key).unwrap_err().is_corruption());
}
