//! Objects that stay in the files that they were saved in, until they are coded.

use crate::disk::DiskFile;
use crate::id::CommitId;
use crate::store::{ContentHasher, Kind, Outcome};

use super::*;

/// Two files that were saved beside the store: the second a little different from what is stored already, and both with
/// something in front that is no object.
struct Saved {
    old: Vec<u8>,
    files: [Vec<u8>; 2],
    meta: Vec<u8>,
}

const HEADER: usize = 100;

impl Saved {
    fn sample() -> Self {
        let file = |tensors: &[Vec<u8>]| [&[7; HEADER][..], &tensors.concat()].concat();
        let files = [
            file(&[weights(300_000, 2, 0), weights(1_000, 3, 0)]),
            file(&[weights(70_000, 1, 1), weights(300_000, 2, 0)]),
        ];
        Self { old: weights(70_000, 1, 0), files, meta: b"tree, parent, message".to_vec() }
    }

    fn commit(&self) -> CommitId {
        CommitId::from_bytes(*blake3::hash(&self.meta).as_bytes())
    }

    /// Where the tensors lie in the files.
    fn tensors(&self) -> [(usize, std::ops::Range<usize>); 4] {
        let [a, b, c] = [300_000 * 4, 1_000 * 4, 70_000 * 4];
        let at = |start: usize, len: usize| HEADER + start..HEADER + start + len;
        [(0, at(0, a)), (0, at(a, b)), (1, at(0, c)), (1, at(c, a))]
    }

    fn path(at: usize) -> std::path::PathBuf {
        Path::new("/staging").join(at.to_string())
    }

    /// A disk with the old object and both files.
    fn disk(&self) -> (SimulatedDisk, ObjectKey) {
        let disk = new_disk();
        let old = put_one(&open(&disk), &self.old, &[]).key;
        disk.create_dir_all(Path::new("/staging")).unwrap();
        for (at, bytes) in self.files.iter().enumerate() {
            disk.create_new(&Self::path(at)).unwrap().write_all_at(bytes, 0).unwrap();
        }
        disk.sync_dir(Path::new("/staging")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        (disk, old)
    }

    /// Keeps the tensors in their files.
    fn keep(&self, disk: &SimulatedDisk, old: ObjectKey) -> Result<Vec<Put>, StoreError> {
        let ingest = try_open(disk)?.begin()?;
        let file = |at: usize| {
            let file: Arc<dyn DiskFile> = Arc::from(disk.open(&Self::path(at), true)?);
            let len = self.files[at].len() as u64;
            Ok::<_, StoreError>(ingest.attach(Self::path(at), file, len).unwrap())
        };
        let attached = [file(0)?, file(1)?];
        let mut puts = Vec::new();
        for (at, range) in self.tensors() {
            let bytes = &self.files[at][range.clone()];
            let mut hasher = ContentHasher::new();
            hasher.update(bytes);
            let (hashed, place) = (hasher.finish(), (&attached[at], range.start as u64));
            puts.push(ingest.put_in_place(Dtype::F32, &bytes, &[old], &hashed, place)?);
        }
        ingest.put_meta(Kind::Commit, self.commit().as_bytes(), &self.meta)?;
        ingest.seal()?;
        Ok(puts)
    }

    fn lose_staging(disk: &SimulatedDisk) {
        (0..2).for_each(|at| disk.remove_file(&Self::path(at)).unwrap());
    }

    /// Checks that what was there before is there, and that the tensors are all there or, unless `acknowledged`, none.
    fn check(&self, disk: &SimulatedDisk, old: ObjectKey, keys: &[ObjectKey], acknowledged: bool) {
        let store = open(disk);
        assert_eq!(store.stats().unwrap().damaged, []);
        assert!(store.read(old).unwrap() == self.old);
        let all = store.durable(self.commit()).is_ok();
        assert!(all || !acknowledged);
        for (key, (at, range)) in keys.iter().zip(self.tensors()) {
            match store.read(*key) {
                Ok(found) => assert!(all && found == self.files[at][range]),
                Err(StoreError::NotFound { .. } | StoreError::Elsewhere { .. }) => assert!(!all),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(store.verify(&|_, _| true, &Task::default()).unwrap().problems, []);
    }
}

fn keys(puts: &[Put]) -> Vec<ObjectKey> {
    puts.iter().map(|put| put.key).collect()
}

#[test]
fn what_stays_in_its_file_is_there_when_its_first_name_is_gone_and_takes_no_room_twice() {
    let saved = Saved::sample();
    let (disk, old) = saved.disk();
    let before = disk.used();
    let puts = saved.keep(&disk, old).unwrap();
    let outcomes: Vec<Outcome> = puts.iter().map(|put| put.outcome).collect();
    assert_eq!(outcomes, [Outcome::New, Outcome::New, Outcome::New, Outcome::Duplicate]);
    assert!(disk.used() - before < 10_000, "{}", disk.used() - before);
    Saved::lose_staging(&disk);
    saved.check(&disk, old, &keys(&puts), true);
    saved.check(&disk.crash_image(1), old, &keys(&puts), true);
    let mut part = vec![0; 300_000];
    open(&disk).reader(puts[0].key).and_then(|reader| reader.read_at(250_000, &mut part)).unwrap();
    assert!(part == saved.files[0][HEADER + 250_000..][..300_000]);
    let waiting: u64 = saved.files.iter().map(|file| file.len() as u64).sum();
    assert_eq!((open(&disk).attached_len(), open(&disk).stats().unwrap().attached_len), (waiting, waiting));
}

#[test]
fn coded_it_is_as_small_as_if_it_had_been_coded_at_once_and_its_files_are_gone() {
    let saved = Saved::sample();
    let (disk, old) = saved.disk();
    let keys = keys(&saved.keep(&disk, old).unwrap());
    Saved::lose_staging(&disk);
    let store = open(&disk);
    let reader = store.reader(keys[2]).unwrap();
    let done = store.code_attached(&Task::default()).unwrap();
    assert_eq!((done.packs, done.objects), (1, 3));
    assert_eq!(files(&disk, ".raw"), [""; 0].map(std::path::PathBuf::from));
    saved.check(&disk, old, &keys, true);
    let info = store.info(keys[2]).unwrap().unwrap();
    assert_eq!((info.base, info.depth), (Some(old), 1));
    // Who began to read before goes on.
    let mut bytes = vec![0; reader.len() as usize];
    reader.read_at(0, &mut bytes).unwrap();
    assert!(bytes == saved.files[1][saved.tensors()[2].1.clone()]);
    drop(reader);
    let (at_once, old) = saved.disk();
    let ingest = open(&at_once).begin().unwrap();
    for (at, range) in saved.tensors() {
        ingest.put(Dtype::F32, &&saved.files[at][range], &[old]).unwrap();
    }
    ingest.put_meta(Kind::Commit, saved.commit().as_bytes(), &saved.meta).unwrap();
    ingest.seal().unwrap();
    Saved::lose_staging(&at_once);
    assert_eq!(disk.used(), at_once.used());
    assert_eq!(store.code_attached(&Task::default()).unwrap(), crate::store::CodedFiles::default());
}

#[test]
fn a_power_cut_at_any_operation_of_keeping_leaves_all_or_nothing() {
    let saved = Saved::sample();
    let (keys, operations) = {
        let (disk, old) = saved.disk();
        let before = disk.operations();
        let puts = saved.keep(&disk, old).unwrap();
        (keys(&puts), disk.operations() - before)
    };
    for stop in 0..=operations {
        let (disk, old) = saved.disk();
        disk.stop_at_nth(stop);
        let acknowledged = saved.keep(&disk, old).is_ok();
        for seed in 0..2 {
            let image = disk.crash_image(seed * 1000 + stop);
            saved.check(&image, old, &keys, acknowledged);
            if !acknowledged {
                // Bytes that were never synced are whatever they are: they are saved again.
                for (at, bytes) in saved.files.iter().enumerate() {
                    image.open(&Saved::path(at), true).unwrap().write_all_at(bytes, 0).unwrap();
                }
                saved.keep(&image, old).unwrap();
                saved.check(&image.crash_image(seed), old, &keys, true);
            }
        }
    }
}

#[test]
fn a_stop_or_a_failure_at_any_operation_of_coding_loses_nothing_and_the_next_one_is_done_with_it() {
    let saved = Saved::sample();
    let kept = || {
        let (disk, old) = saved.disk();
        let puts = saved.keep(&disk, old).unwrap();
        Saved::lose_staging(&disk);
        disk.sync_dir(Path::new("/staging")).unwrap();
        (disk, old, keys(&puts))
    };
    let operations = {
        let (disk, ..) = kept();
        let before = disk.operations();
        open(&disk).code_attached(&Task::default()).unwrap();
        disk.operations() - before
    };
    let mut left = 0;
    for nth in 0..operations {
        let (disk, old, keys) = kept();
        disk.stop_at_nth(nth);
        let _ = try_open(&disk).and_then(|store| store.code_attached(&Task::default()));
        let image = disk.crash_image(nth);
        saved.check(&image, old, &keys, true);
        left += open(&image).code_attached(&Task::default()).unwrap().packs;
        saved.check(&image, old, &keys, true);
        assert_eq!(open(&image).attached_len(), 0);

        let (disk, old, keys) = kept();
        disk.fail_nth(nth, libc::EIO);
        let _ = try_open(&disk).and_then(|store| store.code_attached(&Task::default()));
        saved.check(&disk, old, &keys, true);
        open(&disk).code_attached(&Task::default()).unwrap();
        assert_eq!(files(&disk, ".raw").len(), 0);
    }
    assert!(left > 0);
}

#[test]
fn nothing_is_stored_as_a_difference_to_what_waits_to_be_coded() {
    let saved = Saved::sample();
    let (disk, old) = saved.disk();
    let keys = keys(&saved.keep(&disk, old).unwrap());
    let store = open(&disk);
    let next = weights(300_000, 2, 1);
    let put = put_one(&store, &next, &[keys[0]]);
    assert_eq!(store.info(put.key).unwrap().unwrap().base, None);
    store.code_attached(&Task::default()).unwrap();
    saved.check(&disk, old, &keys, true);
    assert!(store.read(put.key).unwrap() == next);
    // Which of the two is the base of the other does not matter: one is.
    assert!(store.info(keys[0]).unwrap().unwrap().base == Some(put.key));
}

#[test]
fn a_file_that_cannot_have_two_names_is_refused_and_nothing_is_stored() {
    let saved = Saved::sample();
    let (disk, old) = saved.disk();
    let refusing = crate::disk::Hooked::new(&disk, |operation, _| match operation {
        "link" => Err(std::io::Error::from_raw_os_error(libc::EPERM)),
        _ => Ok(()),
    });
    let store = Store::open(Arc::new(refusing), Path::new(ROOT), options()).unwrap();
    let ingest = store.begin().unwrap();
    let bytes = &saved.files[0][HEADER..HEADER + 1_200_000];
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    let file = Arc::from(disk.open(&Saved::path(0), true).unwrap());
    let attached = ingest.attach(Saved::path(0), file, saved.files[0].len() as u64).unwrap();
    let put = ingest.put_in_place(Dtype::F32, &bytes, &[], &hasher.finish(), (&attached, HEADER as u64));
    let key = put.unwrap().key;
    assert!(matches!(ingest.seal(), Err(StoreError::Unlinkable(_))));
    assert!(matches!(store.read(key), Err(StoreError::NotFound { .. })));
    saved.check(&disk, old, &[], false);
}

#[test]
fn a_file_that_another_took_the_place_of_is_not_kept_for_it() {
    let saved = Saved::sample();
    let (disk, old) = saved.disk();
    let store = open(&disk);
    let ingest = store.begin().unwrap();
    let bytes = &saved.files[0][HEADER..HEADER + 1_200_000];
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    let file = Arc::from(disk.open(&Saved::path(0), true).unwrap());
    let attached = ingest.attach(Saved::path(0), file, saved.files[0].len() as u64).unwrap();
    let place = (&attached, HEADER as u64);
    let key = ingest.put_in_place(Dtype::F32, &bytes, &[], &hasher.finish(), place).unwrap().key;
    disk.rename(&Saved::path(1), &Saved::path(0)).unwrap();
    assert!(matches!(ingest.seal(), Err(StoreError::Changed)));
    assert!(matches!(store.read(key), Err(StoreError::NotFound { .. })));
    assert_eq!(files(&disk, ".raw").len(), 0);
    saved.check(&disk, old, &[], false);
}

#[test]
fn a_bit_that_flips_in_a_kept_file_is_an_error_and_never_coded() {
    let saved = Saved::sample();
    let (disk, old) = saved.disk();
    let keys = keys(&saved.keep(&disk, old).unwrap());
    let raw = &files(&disk, ".raw")[0];
    let before = disk.read(raw).unwrap();
    disk.open(raw, true).unwrap().write_all_at(&[before[5_000] ^ 1], 5_000).unwrap();
    let store = open(&disk);
    let damaged = keys.iter().filter(|key| store.read(**key).is_err_and(|error| error.is_corruption()));
    assert_eq!(damaged.count(), 2, "one tensor, which both files have");
    assert!(store.code_attached(&Task::default()).is_err_and(|error| error.is_corruption()));
    assert_eq!(store.verify(&|_, _| true, &Task::default()).unwrap().problems.len(), 1);
    assert_eq!(
        store.read(keys[1]).unwrap(),
        saved.files[0][saved.tensors()[1].1.clone()],
        "others are whole"
    );
}

#[test]
fn what_stands_on_something_beside_an_attached_file_finds_it_when_that_is_coded() {
    let saved = Saved::sample();
    let (disk, _) = saved.disk();
    let store = open(&disk);
    // Each is a difference to the one before.
    let versions: Vec<Vec<u8>> = (0..5).map(|step| weights(70_000, 8, step)).collect();
    let mut keys: Vec<ObjectKey> = Vec::new();
    for version in &versions {
        keys.push(put_one(&store, version, keys.last().map(std::slice::from_ref).unwrap_or_default()).key);
    }
    assert_eq!(store.info(keys[4]).unwrap().unwrap().depth, 4);
    // Two store the same at the same time: deep, and less deep beside a file that is attached.
    let shared = weights(70_000, 8, 9);
    let (deep, shallow) = (store.begin().unwrap(), store.begin().unwrap());
    deep.put(Dtype::F32, &shared, &[keys[4]]).unwrap();
    let key = shallow.put(Dtype::F32, &shared, &[keys[0]]).unwrap().key;
    let file: Arc<dyn DiskFile> = Arc::from(disk.open(&Saved::path(0), true).unwrap());
    let attached = shallow.attach(Saved::path(0), file, saved.files[0].len() as u64).unwrap();
    let range = HEADER..HEADER + 300_000 * 4;
    let bytes = &saved.files[0][range.clone()];
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    let large = shallow
        .put_in_place(Dtype::F32, &bytes, &[], &hasher.finish(), (&attached, range.start as u64))
        .unwrap()
        .key;
    deep.seal().unwrap();
    shallow.seal().unwrap();
    assert_eq!(store.info(key).unwrap().unwrap().depth, 1);
    let above = weights(70_000, 8, 10);
    let last = put_one(&store, &above, &[key]).key;
    assert_eq!(store.info(last).unwrap().unwrap().depth, 2);
    store.code_attached(&Task::default()).unwrap();
    for store in [store, open(&disk)] {
        assert!(store.read(last).unwrap() == above);
        assert!(store.read(key).unwrap() == shared);
        assert!(store.read(large).unwrap() == bytes);
        assert_eq!(store.verify(&|_, _| true, &Task::default()).unwrap().problems, []);
    }
}
