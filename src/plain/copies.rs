//! The folder of plain copies: finding one, making one, and staying within the bytes that they may take.
//!
//! Processes share the folder without talking to each other: a name appears when its bytes are complete and durable, and
//! whoever has a file open keeps it whoever removes its name. A file that is being filled has a temporary name and is
//! marked by its process, so that others can tell what was left behind.

use super::filling::{Filling, Reader};
use crate::disk::{Disk, DiskError, DiskFile, FileType, Result, Stat};
use crate::random::unpredictable;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

/// The ending of files that are being filled.
const UNFINISHED: &str = ".tmp";

/// How often a file is made anew that somebody swept away before it was marked.
const ATTEMPTS: usize = 8;

/// Files shorter than this, in bytes, are no files of their own beside the packs: they are coded at once and read from there, which
/// costs no more than another file does.
pub const LEN_MIN: u64 = 1 << 20;

/// The plain copies of one repository. Clones share everything.
#[derive(Debug, Clone)]
pub struct PlainCopies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Bytes that they may take on the disk.
    budget: u64,
    /// Bytes of the disk that are left free for others.
    reserve: u64,
    /// What this process is filling.
    filling: Mutex<Vec<Weak<Filling>>>,
    preferred: OnceLock<Preferred>,
}

/// Tells the hashes of those that are to stay longer than others.
struct Preferred(Box<dyn Fn() -> HashSet<[u8; 32]> + Send + Sync>);

impl fmt::Debug for Preferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preferred")
    }
}

/// What becomes of the wish for a copy.
#[derive(Debug)]
pub enum Begun {
    /// The reader is to see to its being filled.
    New(Reader),
    /// Somebody fills it already.
    Joined(Reader),
    /// It is there.
    Named(Box<dyn DiskFile>),
    /// The file may have none, or there is no room for it.
    None,
    /// Somebody is just making room: it is to be wished again.
    Busy,
}

/// What the plain copies take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlainUsage {
    /// How many there are.
    pub files: u64,
    /// Bytes that they take on the disk.
    pub bytes: u64,
}

/// One of them, as the folder shows it.
struct Listed {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

impl PlainCopies {
    /// Those of the repository whose own folder is `root`: at most `budget` bytes on the disk, and none that would leave
    /// fewer than `reserve` bytes free. Makes and opens nothing yet.
    pub fn new(disk: Arc<dyn Disk>, root: &Path, budget: u64, reserve: u64) -> Self {
        let dir = root.join("plain");
        let (filling, preferred) = (Mutex::default(), OnceLock::new());
        Self(Arc::new(Inner { disk, dir, budget, reserve, filling, preferred }))
    }

    /// Those with one of these hashes stay longer than the others. Asked when some have to go; said once.
    pub fn prefer(&self, which: impl Fn() -> HashSet<[u8; 32]> + Send + Sync + 'static) {
        // What was said first stands.
        let _ = self.0.preferred.set(Preferred(Box::new(which)));
    }

    /// Whether a file of so many bytes may have a copy.
    pub fn takes(&self, len: u64) -> bool {
        (LEN_MIN..=self.0.budget).contains(&len)
    }

    /// The copy of the file with these bytes, open for reading; `None` if there is none. It counts as used now.
    pub fn find(&self, blake3: &[u8; 32], len: u64) -> Option<Box<dyn DiskFile>> {
        if !self.takes(len) {
            return None;
        }
        // A cache that cannot be read is none.
        let file = self.0.disk.open(&self.path(blake3), false).ok()?;
        let is_whole = file.len().is_ok_and(|found| found == len);
        file.note_use();
        is_whole.then_some(file)
    }

    /// Begins a copy for a reader, or lets him join whoever is filling it in this process.
    ///
    /// # Errors
    /// Of the disk. Nothing is left behind.
    pub fn begin(&self, blake3: &[u8; 32], len: u64) -> Result<Begun> {
        if !self.takes(len) {
            return Ok(Begun::None);
        }
        // One at a time looks at the disk and makes room; whoever reads does not wait for that.
        let Ok(mut all) = self.0.filling.try_lock() else { return Ok(Begun::Busy) };
        all.retain(|filling| filling.strong_count() > 0);
        let known = all.iter().filter_map(Weak::upgrade).find(|filling| filling.blake3() == blake3);
        if let Some(filling) = known.filter(|filling| !filling.is_over()) {
            return Ok(Begun::Joined(filling.join()));
        }
        if let Some(file) = self.find(blake3, len) {
            return Ok(Begun::Named(file));
        }
        if !self.make_room(len, &all)? {
            return Ok(Begun::None);
        }
        self.0.disk.create_dir_all(&self.0.dir)?;
        let Some((path, file)) = self.create_unfinished(blake3)? else { return Ok(Begun::Busy) };
        let disk = Arc::clone(&self.0.disk);
        let filling = Filling::new(disk, path.clone(), file.into(), *blake3, len);
        let filling = Arc::new(filling.inspect_err(|_| drop(self.0.disk.remove_file(&path)))?);
        all.push(Arc::downgrade(&filling));
        Ok(Begun::New(filling.join()))
    }

    /// Gives a copy its name, durably, when all of it is there and its bytes were found to be what they should be; nothing
    /// if it was taken away meanwhile.
    pub fn finish(&self, filling: &Filling) -> Result<()> {
        if !filling.begin_naming() {
            return Ok(());
        }
        let named = filling.file().sync().and_then(|()| {
            self.0.disk.rename(filling.path(), &self.path(filling.blake3()))?;
            self.0.disk.sync_dir(&self.0.dir)
        });
        filling.end_naming(named.is_ok());
        named
    }

    /// Gives a complete file of the same disk, whose bytes have this hash and are durable, a second name as the copy of
    /// itself: nothing is copied. A wish: where there is no room for it, or the file system cannot, nothing is done.
    pub fn adopt(&self, file: &Path, blake3: &[u8; 32], len: u64) {
        let Ok(all) = self.0.filling.try_lock() else { return };
        let is_file = |stat: Stat| stat.kind == FileType::File && stat.len == len;
        if !self.takes(len) || !self.0.disk.stat(file).is_ok_and(|stat| stat.is_some_and(is_file)) {
            return;
        }
        if self.make_room(len, &all).is_ok_and(|has_room| has_room) {
            let made = self.0.disk.create_dir_all(&self.0.dir);
            let _ = made.and_then(|()| self.0.disk.link(file, &self.path(blake3)));
        }
    }

    /// Bytes that copies may take on the disk.
    pub fn budget(&self) -> u64 {
        self.0.budget
    }

    /// Takes away what was filled so far. Whoever reads it goes back to the packs.
    pub fn give_up(&self, filling: &Filling) {
        filling.give_up();
    }

    /// What they take now.
    pub fn usage(&self) -> Result<PlainUsage> {
        let (copies, _) = self.list()?;
        Ok(PlainUsage { files: copies.len() as u64, bytes: copies.iter().map(|copy| copy.bytes).sum() })
    }

    /// Removes those that were not used for longest, the preferred ones last, until they take at most so many bytes, and what
    /// others left behind unfinished. Returns how many bytes were freed.
    pub fn shrink_to(&self, bytes: u64) -> Result<u64> {
        let (mut copies, unfinished) = self.list()?;
        let mut freed: u64 = unfinished.iter().map(|left| self.sweep(left)).sum();
        let mut taken: u64 = copies.iter().map(|copy| copy.bytes).sum();
        let preferred = match self.0.preferred.get().filter(|_| (1..taken).contains(&bytes)) {
            Some(Preferred(which)) => which().iter().map(|blake3| self.path(blake3)).collect(),
            None => HashSet::new(),
        };
        copies.sort_by_key(|copy| (preferred.contains(&copy.path), copy.used));
        for copy in copies {
            if taken <= bytes {
                break;
            }
            self.remove(&copy.path)?;
            taken -= copy.bytes;
            freed += copy.bytes;
        }
        Ok(freed)
    }

    /// Removes a copy, unless somebody else did.
    fn remove(&self, path: &Path) -> Result<()> {
        match self.0.disk.remove_file(path) {
            Err(error) if !error.is_absence() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes all of them for something that the disk has no room for, also those that this process is filling. The
    /// result tells whether that freed anything.
    pub fn give_way(&self) -> bool {
        let filling: Vec<Arc<Filling>> = {
            let all = self.0.filling.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        let given_up: u64 = filling.iter().map(|filling| filling.give_up()).sum();
        let freed = self.shrink_to(0).unwrap_or(0);
        given_up + freed > 0
    }

    /// Compares each of them with its name by `hash`, and removes those that differ or that the disk cannot read. Returns
    /// their paths.
    ///
    /// # Errors
    /// If the folder cannot be listed or a copy removed, and those of `hash` that say nothing of the copy.
    pub fn check<E: From<DiskError>>(
        &self,
        mut hash: impl FnMut(&dyn DiskFile) -> std::result::Result<[u8; 32], E>,
        is_damage: impl Fn(&E) -> bool,
    ) -> std::result::Result<Vec<PathBuf>, E> {
        let mut damaged = Vec::new();
        for copy in self.list()?.0 {
            let file = match self.0.disk.open(&copy.path, false) {
                Err(error) if error.is_absence() => continue,
                file => file?,
            };
            let is_whole = match hash(&*file) {
                Ok(found) => copy.path == self.path(&found),
                Err(error) if is_damage(&error) => false,
                Err(error) => return Err(error),
            };
            if !is_whole {
                self.remove(&copy.path)?;
                damaged.push(copy.path);
            }
        }
        Ok(damaged)
    }

    /// Whether there is room for so many bytes more, once those are gone that may go; none goes in vain. A copy takes at
    /// most half of what is free: others want to write too. What is being `filled` has its room already.
    fn make_room(&self, len: u64, filled: &[Weak<Filling>]) -> Result<bool> {
        let filled: Vec<Arc<Filling>> =
            filled.iter().filter_map(Weak::upgrade).filter(|filling| !filling.is_over()).collect();
        let promised: u64 = filled.iter().map(|filling| filling.len()).sum();
        let Some(left) = self.0.budget.checked_sub(promised.saturating_add(len)) else { return Ok(false) };
        let missing: u64 = filled.iter().map(|filling| filling.missing()).sum();
        let around = self.0.dir.parent().unwrap_or(&self.0.dir);
        let needed = len.saturating_mul(2).saturating_add(self.0.reserve).saturating_add(missing);
        let available = self.0.disk.space(around)?.available;
        let taken = self.usage()?.bytes;
        let wanting = needed.saturating_sub(available);
        if wanting > taken {
            return Ok(false);
        }
        self.shrink_to(left.min(taken - wanting))?;
        Ok(self.0.disk.space(around)?.available >= needed)
    }

    /// Makes a file to fill, marked as in use. Whoever sweeps between its making and its mark takes it for one that was
    /// left behind: then another is made. `None` if that goes on.
    fn create_unfinished(&self, blake3: &[u8; 32]) -> Result<Option<(PathBuf, Box<dyn DiskFile>)>> {
        for _ in 0..ATTEMPTS {
            let name = format!("{}.{:016x}{UNFINISHED}", hex(blake3), unpredictable() as u64);
            let path = self.0.dir.join(name);
            let file = self.0.disk.create_new(&path)?;
            let is_ours = file.try_lock().and_then(|marked| Ok(marked && self.0.disk.stat(&path)?.is_some()));
            match is_ours {
                Ok(true) => return Ok(Some((path, file))),
                // Whoever marked it removes it.
                Ok(false) => {}
                Err(error) => {
                    let _ = self.0.disk.remove_file(&path);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Removes what somebody left behind who is gone. Returns how many bytes that frees.
    fn sweep(&self, path: &Path) -> u64 {
        let Ok(file) = self.0.disk.open(path, true) else { return 0 };
        let takes = self.0.disk.stat(path).ok().flatten().map_or(0, |stat| stat.allocated);
        // It stays marked until it is gone: whoever made it just now makes another.
        let is_left = file.try_lock().is_ok_and(|marked| marked);
        if is_left && self.0.disk.remove_file(path).is_ok() { takes } else { 0 }
    }

    /// The copies, and the files that are or were being filled.
    fn list(&self) -> Result<(Vec<Listed>, Vec<PathBuf>)> {
        let names = match self.0.disk.list(&self.0.dir) {
            Err(error) if error.is_absence() => return Ok((Vec::new(), Vec::new())),
            names => names?,
        };
        let (mut copies, mut unfinished) = (Vec::new(), Vec::new());
        for name in names {
            let path = self.0.dir.join(&name);
            match name.ends_with(UNFINISHED) {
                true => unfinished.push(path),
                // Somebody else may have removed it.
                false => copies.extend(self.0.disk.stat(&path)?.map(|stat| Listed {
                    path,
                    used: stat.modified,
                    bytes: stat.allocated,
                })),
            }
        }
        Ok((copies, unfinished))
    }

    fn path(&self, blake3: &[u8; 32]) -> PathBuf {
        self.0.dir.join(hex(blake3))
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::filling::{CHUNK_LEN, Part};
    use super::*;
    use crate::disk::SimulatedDisk;
    use std::sync::atomic::{AtomicBool, Ordering};

    const ROOT: &str = "/repo/.coral";

    fn copies(disk: &SimulatedDisk, budget: u64) -> PlainCopies {
        disk.create_dir_all(Path::new(ROOT)).unwrap();
        PlainCopies::new(Arc::new(disk.clone()), Path::new(ROOT), budget, 0)
    }

    fn content(seed: u8, len: u64) -> (Vec<u8>, [u8; 32]) {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8 ^ seed).collect();
        let hash = *blake3::hash(&bytes).as_bytes();
        (bytes, hash)
    }

    /// Makes a copy, if there may be one.
    fn make(copies: &PlainCopies, bytes: &[u8], hash: &[u8; 32]) -> Option<()> {
        let Begun::New(reader) = copies.begin(hash, bytes.len() as u64).unwrap() else { return None };
        let filling = reader.filling();
        filling.want_all();
        let Part::Fill(ranges) = filling.begin(1000) else { panic!("nothing to fill") };
        for range in ranges {
            filling.put(&range, &bytes[range.start as usize..range.end as usize]).unwrap();
        }
        assert_eq!(filling.next(1), Part::Complete);
        copies.finish(filling).unwrap();
        Some(())
    }

    fn has(copies: &PlainCopies, bytes: &[u8], hash: &[u8; 32]) -> bool {
        copies.find(hash, bytes.len() as u64).is_some_and(|file| {
            let mut found = vec![0; bytes.len()];
            file.read_exact_at(&mut found, 0).unwrap();
            found == bytes
        })
    }

    #[test]
    fn a_copy_is_found_by_its_bytes_and_by_nothing_shorter() {
        let copies = copies(&SimulatedDisk::new(), 1 << 30);
        let (bytes, hash) = content(1, CHUNK_LEN + 10);
        assert!(!has(&copies, &bytes, &hash));
        make(&copies, &bytes, &hash).unwrap();
        assert!(has(&copies, &bytes, &hash));
        assert!(copies.find(&hash, CHUNK_LEN + 11).is_none());
        assert_eq!(copies.usage().unwrap(), PlainUsage { files: 1, bytes: CHUNK_LEN + 10 });
    }

    #[test]
    fn what_is_short_or_larger_than_the_budget_has_none() {
        let copies = copies(&SimulatedDisk::new(), 3 * CHUNK_LEN);
        let (bytes, hash) = content(1, CHUNK_LEN - 1);
        assert!(make(&copies, &bytes, &hash).is_none());
        assert!(matches!(copies.begin(&hash, 3 * CHUNK_LEN + 1).unwrap(), Begun::None));
    }

    #[test]
    fn the_budget_is_kept_by_letting_others_go() {
        let disk = SimulatedDisk::new();
        let copies = copies(&disk, 4 * CHUNK_LEN);
        for seed in 0..5 {
            let (bytes, hash) = content(seed, 2 * CHUNK_LEN);
            make(&copies, &bytes, &hash).unwrap();
            assert!(has(&copies, &bytes, &hash));
            assert!(copies.usage().unwrap().bytes <= 4 * CHUNK_LEN);
        }
        assert_eq!(copies.usage().unwrap().files, 2);
        assert!(copies.give_way() && !copies.give_way());
        assert_eq!(copies.usage().unwrap(), PlainUsage::default());
    }

    #[test]
    fn what_is_preferred_goes_last_and_all_goes_where_there_is_no_room() {
        let copies = copies(&SimulatedDisk::new(), 4 * CHUNK_LEN);
        let first = content(0, 2 * CHUNK_LEN);
        let preferred = first.1;
        copies.prefer(move || HashSet::from([preferred]));
        make(&copies, &first.0, &first.1).unwrap();
        for seed in 1..4 {
            let (bytes, hash) = content(seed, 2 * CHUNK_LEN);
            make(&copies, &bytes, &hash).unwrap();
            assert!(has(&copies, &bytes, &hash) && has(&copies, &first.0, &first.1), "{seed}");
        }
        assert!(copies.give_way());
        assert_eq!(copies.usage().unwrap(), PlainUsage::default());
    }

    #[test]
    fn a_copy_leaves_as_much_room_as_it_takes() {
        let disk = SimulatedDisk::new();
        let copies = copies(&disk, 1 << 30);
        disk.set_capacity(Some(disk.used() + 5 * CHUNK_LEN));
        let (bytes, hash) = content(1, 2 * CHUNK_LEN);
        make(&copies, &bytes, &hash).unwrap();
        let (other, other_hash) = content(2, 2 * CHUNK_LEN);
        make(&copies, &other, &other_hash).unwrap();
        assert!(!has(&copies, &bytes, &hash), "it made room");
        assert!(matches!(copies.begin(&content(3, 3 * CHUNK_LEN).1, 3 * CHUNK_LEN).unwrap(), Begun::None));
        assert!(has(&copies, &other, &other_hash), "nothing goes in vain");
    }

    #[test]
    fn those_who_want_the_same_at_once_share_it() {
        let copies = copies(&SimulatedDisk::new(), 1 << 30);
        let (bytes, hash) = content(1, CHUNK_LEN);
        let len = bytes.len() as u64;
        let Begun::New(first) = copies.begin(&hash, len).unwrap() else { panic!("not begun") };
        let Begun::Joined(second) = copies.begin(&hash, len).unwrap() else { panic!("not joined") };
        assert!(Arc::ptr_eq(first.filling(), second.filling()));
        copies.give_up(first.filling());
        assert!(matches!(copies.begin(&hash, len).unwrap(), Begun::New(_)));
        make(&copies, &bytes, &hash).unwrap();
        assert!(matches!(copies.begin(&hash, len).unwrap(), Begun::Named(_)), "it is not made twice");
    }

    #[test]
    fn what_a_process_left_unfinished_is_swept_and_what_one_is_at_is_not() {
        let disk = SimulatedDisk::new();
        let left = Path::new(ROOT).join("plain").join(format!("{}.0.tmp", "a".repeat(64)));
        let copies = copies(&disk, 1 << 30);
        let Begun::New(going_on) = copies.begin(&content(2, CHUNK_LEN).1, CHUNK_LEN).unwrap() else {
            panic!()
        };
        let path = going_on.filling().path().to_owned();
        disk.create_new(&left).unwrap().write_all_at(&[1; 100], 0).unwrap();
        assert_eq!(copies.shrink_to(0).unwrap(), 100);
        assert!(disk.stat(&left).unwrap().is_none());
        assert!(disk.stat(&path).unwrap().is_some());
        drop(going_on);
        assert!(disk.stat(&path).unwrap().is_none(), "nobody holds it any more");
    }

    #[test]
    fn whoever_sweeps_takes_nothing_away_that_somebody_begins_at_the_same_time() {
        let disk = SimulatedDisk::new();
        let (ours, others) = (copies(&disk, 1 << 30), copies(&disk, 1 << 30));
        let over = AtomicBool::new(false);
        let taken = std::thread::scope(|scope| {
            let sweeping = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    others.shrink_to(0)?;
                }
                Result::Ok(())
            });
            let taken: Result<Vec<u16>> = (0..2000)
                .map(|n| {
                    let begun = ours.begin(&content(n as u8, CHUNK_LEN).1, CHUNK_LEN)?;
                    let Begun::New(begun) = begun else { return Ok(None) };
                    Ok(disk.stat(begun.filling().path())?.is_none().then_some(n))
                })
                .filter_map(Result::transpose)
                .collect();
            over.store(true, Ordering::Relaxed);
            sweeping.join().unwrap().and(taken)
        });
        assert_eq!(taken.unwrap(), Vec::<u16>::new());
    }

    #[test]
    fn a_copy_that_is_not_what_its_name_says_is_found_and_removed() {
        let disk = SimulatedDisk::new();
        let copies = copies(&disk, 1 << 30);
        let (bytes, hash) = content(1, CHUNK_LEN);
        let (other, other_hash) = content(2, CHUNK_LEN);
        make(&copies, &bytes, &hash).unwrap();
        make(&copies, &other, &other_hash).unwrap();
        disk.open(&copies.path(&hash), true).unwrap().write_all_at(b"bad", 100).unwrap();
        let read = |file: &dyn DiskFile| {
            let mut bytes = vec![0; file.len()? as usize];
            file.read_exact_at(&mut bytes, 0)?;
            Ok::<_, DiskError>(*blake3::hash(&bytes).as_bytes())
        };
        assert_eq!(copies.check(read, |_| false).unwrap(), [copies.path(&hash)]);
        assert!(copies.find(&hash, CHUNK_LEN).is_none() && has(&copies, &other, &other_hash));
    }

    #[test]
    fn after_a_power_cut_a_name_has_all_its_bytes() {
        let (bytes, hash) = content(1, 2 * CHUNK_LEN);
        for stop in 0..20 {
            let disk = SimulatedDisk::new();
            let copies = copies(&disk, 1 << 30);
            disk.sync_dir(Path::new("/")).unwrap();
            disk.sync_dir(Path::new("/repo")).unwrap();
            let before = disk.operations();
            disk.stop_at_nth(before + stop);
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(&copies, &bytes, &hash)));
            for seed in 0..3 {
                let image = disk.crash_image(seed);
                let copies = PlainCopies::new(Arc::new(image), Path::new(ROOT), 1 << 30, 0);
                assert!(copies.find(&hash, 2 * CHUNK_LEN).is_none() || has(&copies, &bytes, &hash));
            }
        }
    }

    #[test]
    fn files_that_are_filled_at_once_stay_within_the_budget_too() {
        let copies = copies(&SimulatedDisk::new(), 4 * CHUNK_LEN);
        let begin = |seed| copies.begin(&content(seed, 3 * CHUNK_LEN).1, 3 * CHUNK_LEN).unwrap();
        let Begun::New(first) = begin(1) else { panic!("not begun") };
        assert!(matches!(begin(2), Begun::None));
        drop(first);
        assert!(matches!(begin(2), Begun::New(_)));
    }

    #[test]
    fn a_copy_in_the_making_gives_way_as_well() {
        let disk = SimulatedDisk::new();
        let copies = copies(&disk, 1 << 30);
        let (bytes, hash) = content(1, 4 * CHUNK_LEN);
        let Begun::New(reader) = copies.begin(&hash, bytes.len() as u64).unwrap() else { panic!() };
        let Part::Fill(ranges) = reader.filling().begin(3) else { panic!() };
        for range in ranges {
            reader.filling().put(&range, &bytes[range.start as usize..range.end as usize]).unwrap();
        }
        let used = disk.used();
        assert!(copies.give_way() && disk.used() < used);
    }

    #[test]
    fn a_check_that_is_stopped_removes_nothing() {
        let copies = copies(&SimulatedDisk::new(), 1 << 30);
        let (bytes, hash) = content(1, CHUNK_LEN);
        make(&copies, &bytes, &hash).unwrap();
        let stopped = || copies.0.disk.open(Path::new("/none"), false).map(|_| hash);
        assert!(copies.check(|_| stopped(), |_| false).is_err() && has(&copies, &bytes, &hash));
        assert_eq!(copies.check(|_| stopped(), |_| true).unwrap().len(), 1);
    }
}
