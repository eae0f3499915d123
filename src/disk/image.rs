//! The state of a simulated disk: what programs see beside what a power cut is sure to leave.
//!
//! Stricter than the file systems it stands for. Each unsynced write is kept, lost or torn by itself; each unsynced
//! name is at any of the states it went through since its directory was synced; syncing a file says nothing about
//! its name, and syncing a directory nothing about the files in it.

use std::collections::BTreeMap;

/// The index of a file or directory; the root is [`ROOT`].
pub(super) type Ino = usize;
pub(super) const ROOT: Ino = 0;

/// Writes are torn at multiples of this: the smallest unit that disks write whole.
const SECTOR: u64 = 512;

#[derive(Debug, Clone)]
pub(super) enum Inode {
    File(File),
    Dir(Dir),
}

#[derive(Debug, Clone, Default)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// When `bytes` last changed, in operations since the disk was made.
    pub(super) modified: u64,
    /// Room that was taken for bytes to come, from the file's start.
    pub(super) reserved: u64,
    /// Whether bytes were lost that the next sync has to tell of.
    lost: bool,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { bytes: Vec<u8>, offset: u64 },
    SetLen(u64),
}

impl File {
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        self.change(Change::Write { bytes: bytes.to_vec(), offset });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.reserved = self.reserved.min(len);
        self.change(Change::SetLen(len));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What a failed write-back does: the unsynced bytes are gone, and the next sync says so.
    pub(super) fn fail_write_back(&mut self) {
        if !self.pending.is_empty() {
            self.drop_unsynced();
            self.lost = true;
        }
    }

    /// Whether bytes were lost since the last sync; told once.
    pub(super) fn take_lost(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// What a failed sync does: the unsynced bytes are gone, and a later sync would succeed without them.
    pub(super) fn drop_unsynced(&mut self) {
        self.pending.clear();
        self.bytes.clone_from(&self.durable);
    }

    fn after_power_cut(&self, chance: &mut Chance) -> File {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            change.apply_by_chance(&mut bytes, chance);
        }
        File {
            durable: bytes.clone(),
            bytes,
            modified: self.modified,
            reserved: 0,
            lost: false,
            pending: Vec::new(),
        }
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { bytes, offset } => write(to, bytes, *offset as usize),
            Change::SetLen(len) => to.resize(*len as usize, 0),
        }
    }

    fn apply_by_chance(&self, to: &mut Vec<u8>, chance: &mut Chance) {
        match (chance.below(3), self) {
            (0, _) => {}
            (1, Change::Write { bytes, offset }) => write_torn(to, bytes, *offset, chance),
            _ => self.apply(to),
        }
    }
}

fn write(to: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if to.len() < end && !bytes.is_empty() {
        to.resize(end, 0);
    }
    if !bytes.is_empty() {
        to[offset..end].copy_from_slice(bytes);
    }
}

/// Writes each sector or not, by chance.
fn write_torn(to: &mut Vec<u8>, bytes: &[u8], offset: u64, chance: &mut Chance) {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        let len = ((SECTOR - at % SECTOR) as usize).min(bytes.len() - done);
        if chance.below(2) == 0 {
            write(to, &bytes[done..done + len], at as usize);
        }
        done += len;
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Dir {
    pub(super) entries: BTreeMap<String, Ino>,
    /// The operation that changed it last.
    pub(super) changed: u64,
    durable: BTreeMap<String, Ino>,
    /// Each name changed since the last sync, with what it named after each change.
    pending: BTreeMap<String, Vec<Option<Ino>>>,
}

impl Dir {
    pub(super) fn set(&mut self, name: &str, ino: Option<Ino>) {
        set_entry(&mut self.entries, name, ino);
        self.pending.entry(name.to_owned()).or_default().push(ino);
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.entries);
        self.pending.clear();
    }

    fn after_power_cut(&self, chance: &mut Chance) -> Dir {
        let mut entries = self.durable.clone();
        for (name, states) in &self.pending {
            if let Some(reached) = chance.below(states.len() + 1).checked_sub(1) {
                set_entry(&mut entries, name, states[reached]);
            }
        }
        Dir { durable: entries.clone(), entries, changed: 0, pending: BTreeMap::new() }
    }
}

fn set_entry(entries: &mut BTreeMap<String, Ino>, name: &str, ino: Option<Ino>) {
    match ino {
        Some(ino) => entries.insert(name.to_owned(), ino),
        None => entries.remove(name),
    };
}

/// What a power cut leaves of all files and directories.
pub(super) fn after_power_cut(inodes: &[Inode], seed: u64) -> Vec<Inode> {
    let mut chance = Chance(seed);
    let survive = |inode: &Inode| match inode {
        Inode::File(file) => Inode::File(file.after_power_cut(&mut chance)),
        Inode::Dir(dir) => Inode::Dir(dir.after_power_cut(&mut chance)),
    };
    inodes.iter().map(survive).collect()
}

/// Pseudo-random numbers: splitmix64 (Steele, Lea and Flood 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }
}
