//! Where objects are, and what it costs to learn that one is nowhere.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::disk::Hooked;
use crate::store::catalog::{Catalog, Lookup};
use crate::store::pack::sidecar_path;

use super::*;

/// A catalog on a disk that counts how often the folder of packs is listed, with a clock that is set.
struct Watched {
    catalog: Catalog,
    listings: Arc<AtomicUsize>,
    seconds: Arc<AtomicU64>,
}

impl Watched {
    fn new(disk: &SimulatedDisk) -> Self {
        let (listings, seconds) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&listings);
        let disk = Hooked::new(disk, move |operation, path| {
            let is_listing = operation == "list" && path.ends_with("packs");
            counted.fetch_add(usize::from(is_listing), Ordering::SeqCst);
            Ok(())
        });
        let (start, set) = (Instant::now(), Arc::clone(&seconds));
        let clock = move || start + Duration::from_secs(set.load(Ordering::SeqCst));
        let catalog = Catalog::open(Arc::new(disk), Path::new(ROOT), 0, Box::new(clock)).unwrap();
        Self { catalog, listings, seconds }
    }

    fn wait(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn has(&self, key: ObjectKey) -> bool {
        matches!(self.catalog.look_up(&key, None).unwrap(), Lookup::Here(_))
    }

    fn listings(&self) -> usize {
        self.listings.swap(0, Ordering::SeqCst)
    }
}

const ABSENT: ObjectKey = ObjectKey::from_bytes([9; 16]);

#[test]
fn what_is_nowhere_is_looked_for_once_for_each_change_of_the_folder() {
    let disk = new_disk();
    put_one(&open(&disk), &weights(10, 1, 0), &[]);
    let watched = Watched::new(&disk);
    watched.wait(3);
    watched.listings();
    // The folder may have changed just before the first look, and once more in the same moment.
    assert!(!watched.has(ABSENT));
    assert_eq!(watched.listings(), 1);
    for _ in 0..100 {
        assert!(!watched.has(ABSENT));
    }
    assert_eq!(watched.listings(), 0);
    // Others store something: whoever looks for it finds it at once.
    let key = put_one(&open(&disk), &weights(10, 2, 0), &[]).key;
    assert!(watched.has(key));
    assert_eq!(watched.listings(), 1);
    // It has changed just now: until that is some time ago every look has to be believed anew.
    assert!(!watched.has(ABSENT) && !watched.has(ABSENT));
    assert_eq!(watched.listings(), 2);
    watched.wait(3);
    assert!(!watched.has(ABSENT) && !watched.has(ABSENT) && !watched.has(ABSENT));
    assert_eq!(watched.listings(), 1);
}

#[test]
fn a_damaged_pack_is_looked_at_anew_each_time() {
    let disk = new_disk();
    let key = put_one(&open(&disk), &weights(10, 1, 0), &[]).key;
    let [pack] = &files(&disk, ".cpk")[..] else { panic!("one pack") };
    disk.remove_file(&sidecar_path(pack)).unwrap();
    let whole = disk.read(pack).unwrap();
    disk.open(pack, true).unwrap().set_len(100).unwrap();
    let watched = Watched::new(&disk);
    watched.wait(3);
    for _ in 0..3 {
        assert!(matches!(watched.catalog.look_up(&key, None), Err(StoreError::Unreadable { .. })));
    }
    // Made whole in place, which its folder does not show.
    disk.open(pack, true).unwrap().write_all_at(&whole, 0).unwrap();
    assert!(watched.has(key));
}

#[test]
fn an_object_of_a_lost_pack_is_elsewhere_until_it_is_stored_again() {
    let disk = new_disk();
    let bytes = weights(300, 1, 0);
    let key = put_one(&open(&disk), &bytes, &[]).key;
    let [pack] = &files(&disk, ".cpk")[..] else { panic!("one pack") };
    let (there, store) = (open(&disk), open(&disk));
    disk.remove_file(pack).unwrap();
    for store in [&there, &store, &open(&disk)] {
        match store.read(key) {
            Err(StoreError::Elsewhere { key: found, pack: missing }) => {
                assert_eq!((found, &missing), (key, pack));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(store.info(key).unwrap(), None);
    }
    assert!(matches!(store.read(ABSENT), Err(StoreError::NotFound { .. })));
    // What is elsewhere is not here: it is stored, and others find it.
    assert_eq!(put_one(&store, &bytes, &[]).outcome, crate::store::Outcome::New);
    assert!(there.read(key).unwrap() == bytes);
    assert!(open(&disk).verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Stores come and go, and time goes by in steps; nothing that was sealed is missed by anybody, ever.
    #[test]
    fn whatever_is_sealed_is_found_by_everybody(steps in proptest::collection::vec((0u8..5, 0u64..4), 1..12)) {
        let disk = new_disk();
        let watched = [Watched::new(&disk), Watched::new(&disk)];
        let mut sealed = Vec::new();
        for (step, number) in steps {
            match step {
                0 => sealed.push(put_one(&open(&disk), &weights(8, number, 0), &[]).key),
                1 => watched.iter().for_each(|watched| watched.wait(number)),
                2 => assert!(!watched[0].has(ABSENT)),
                3 => assert!(!watched[1].has(ABSENT)),
                _ => {
                    let request = crate::store::Repack { served: Default::default(), served_depth: 8, level: None, treatments: Default::default() };
                    open(&disk).repack(&request, &Task::default()).unwrap();
                }
            }
            for key in &sealed {
                prop_assert!(watched.iter().all(|watched| watched.has(*key)));
            }
        }
    }
}
