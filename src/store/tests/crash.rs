//! Every point at which the machine may stop, the disk may fail or fill up.

use crate::id::CommitId;

use super::super::{Kind, Sealed};
use super::*;

struct Work {
    old: Vec<u8>,
    new: Vec<Vec<u8>>,
    meta: Vec<u8>,
}

impl Work {
    fn sample() -> Self {
        let new = vec![weights(70_000, 1, 1), weights(50, 2, 0), weights(1_200_000, 3, 0), Vec::new()];
        Self { old: weights(70_000, 1, 0), new, meta: b"tree, parent, message".to_vec() }
    }

    fn commit(&self) -> CommitId {
        CommitId::from_bytes(*blake3::hash(&self.meta).as_bytes())
    }

    /// A disk on which the old object is durable.
    fn disk(&self) -> (SimulatedDisk, ObjectKey) {
        let disk = new_disk();
        let key = put_one(&open(&disk), &self.old, &[]).key;
        (disk, key)
    }

    /// Puts all that is new and seals it.
    fn run(&self, disk: &SimulatedDisk, old: ObjectKey) -> Result<(Vec<ObjectKey>, Sealed), StoreError> {
        let ingest = try_open(disk)?.begin()?;
        let put = |bytes| Ok(ingest.put(Dtype::F32, bytes, &[old])?.key);
        let keys = self.new.iter().map(|bytes| put(bytes)).collect::<Result<_, StoreError>>()?;
        ingest.put_meta(Kind::Commit, self.commit().as_bytes(), &self.meta)?;
        Ok((keys, ingest.seal()?))
    }

    /// The keys that a run gives, and how many operations it takes.
    fn rehearse(&self) -> (Vec<ObjectKey>, u64) {
        let (disk, old) = self.disk();
        let before = disk.operations();
        let (keys, _) = self.run(&disk, old).unwrap();
        (keys, disk.operations() - before)
    }

    /// Checks that the old object is there and that the new ones are all there or, unless `acknowledged`, none.
    fn check(&self, disk: &SimulatedDisk, old: ObjectKey, keys: &[ObjectKey], acknowledged: bool) {
        let store = open(disk);
        assert_eq!(store.stats().unwrap().damaged, []);
        assert!(store.read(old).unwrap() == self.old);
        let all = store.durable(self.commit()).is_ok();
        assert!(all || !acknowledged);
        for (key, bytes) in keys.iter().zip(&self.new) {
            match store.read(*key) {
                Ok(found) => assert!(all && found == *bytes),
                // Of a pack that did not get its name, the sidecar may have.
                Err(StoreError::NotFound { .. } | StoreError::Elsewhere { .. }) => assert!(!all),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_leaves_all_or_nothing_of_a_transaction() {
    let work = Work::sample();
    let (keys, operations) = work.rehearse();
    for stop in 0..=operations {
        let (disk, old) = work.disk();
        disk.stop_at_nth(stop);
        let acknowledged = work.run(&disk, old).is_ok();
        for seed in 0..3 {
            let image = disk.crash_image(seed * 1000 + stop);
            work.check(&image, old, &keys, acknowledged);
            // What the crash left is no obstacle, and nothing of it stays.
            work.run(&image, old).unwrap();
            work.check(&image.crash_image(seed), old, &keys, true);
            assert_eq!(image.list(&Path::new(ROOT).join("packs/open")).unwrap(), [""; 0]);
        }
    }
}

#[test]
fn one_failed_operation_leaves_all_or_nothing_and_the_store_usable() {
    let work = Work::sample();
    let (keys, operations) = work.rehearse();
    for nth in 0..operations {
        for errno in [libc::EIO, libc::ENOSPC] {
            let (disk, old) = work.disk();
            disk.fail_nth(nth, errno);
            let acknowledged = work.run(&disk, old).is_ok();
            work.check(&disk, old, &keys, acknowledged);
            work.run(&disk, old).unwrap();
            work.check(&disk.crash_image(nth), old, &keys, true);
        }
    }
}

#[test]
fn a_disk_that_fills_up_anywhere_is_left_as_it_was() {
    let work = Work::sample();
    let (keys, _) = work.rehearse();
    let (disk, old) = work.disk();
    let used = disk.used();
    let needed = {
        let (other, old) = work.disk();
        work.run(&other, old).unwrap();
        other.used() - used
    };
    for room in (0..needed).step_by(64 * 1024).chain([needed - 1]) {
        disk.set_capacity(Some(used + room));
        let error = work.run(&disk, old).err().unwrap();
        assert!(error.is_full(), "{error}");
        assert_eq!(disk.used(), used);
        work.check(&disk, old, &keys, false);
    }
    disk.set_capacity(None);
    work.run(&disk, old).unwrap();
    work.check(&disk, old, &keys, true);
}

#[test]
fn writing_stops_while_the_reserve_is_all_that_is_left() {
    let disk = new_disk();
    let options = Options { reserve_bytes: 1 << 20, ..options() };
    let store = Store::open(Arc::new(disk.clone()), Path::new(ROOT), options).unwrap();
    disk.set_capacity(Some(1 << 19));
    assert!(store.begin().err().unwrap().is_full());
}

#[test]
fn after_a_failed_write_a_transaction_can_only_be_dropped() {
    let disk = new_disk();
    let store = open(&disk);
    let ingest = store.begin().unwrap();
    disk.set_capacity(Some(100_000));
    assert!(ingest.put(Dtype::F32, &weights(2_000_000, 1, 0), &[]).unwrap_err().is_full());
    disk.set_capacity(None);
    assert!(matches!(
        ingest.put(Dtype::F32, &weights(1, 1, 0), &[]),
        Err(StoreError::Poisoned { is_full: true, .. })
    ));
    let error = ingest.put(Dtype::F32, &weights(1, 1, 0), &[]).unwrap_err().to_string();
    assert!(error.starts_with("an earlier write of this transaction failed: cannot write "), "{error}");
    assert!(matches!(ingest.seal(), Err(StoreError::Poisoned { is_full: true, .. })));
    assert_eq!(store.stats().unwrap().objects, 0);
}
