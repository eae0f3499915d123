//! Inode numbers: which node the kernel means by a number, for as long as it remembers the number.
//!
//! A file of a commit has one number whichever ref leads to it, and no other file has it, be its content the same: programs
//! take one number for one file. What equal contents share is the plain copy that the kernel reads them from.
//! Directories must not be shared, because the kernel allows a directory only one place: they are numbered by place.
//! Numbers are never reused. A number lives from its first look-up until the kernel has forgotten all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};

use super::place::Place;
use super::worktrees::Opening;

/// The number of the mount's root, fixed by the FUSE protocol.
pub const ROOT: u64 = 1;

/// Names of a path that are shown to people.
const SHOWN_MAX: usize = 32;

/// What makes two look-ups find the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// The place alone.
    Place(Arc<Place>),
    /// The place, under a name in a directory.
    Named(u64, Box<[u8]>, Arc<Place>),
}

impl Identity {
    pub fn place(&self) -> &Arc<Place> {
        match self {
            Identity::Place(place) | Identity::Named(_, _, place) => place,
        }
    }

    /// The opening of a worktree that the node lives in.
    fn opening(&self) -> Option<Opening> {
        match &**self.place() {
            Place::Worktree(at) => at.opening(),
            _ => None,
        }
    }
}

/// The inodes that the kernel knows.
#[derive(Debug)]
pub(super) struct Inodes {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    by_identity: HashMap<Identity, u64>,
    slots: HashMap<u64, Slot>,
    /// How many nodes of each opening of a worktree are among them.
    opened: HashMap<Opening, usize>,
    next: u64,
}

#[derive(Debug)]
struct Slot {
    identity: Identity,
    /// The directory and the name that it was looked up by last; moving it changes nothing here.
    seen_as: (u64, Box<[u8]>),
    /// How many look-ups the kernel has not forgotten.
    lookups: u64,
}

impl Inodes {
    /// The table of a mount with this root, which is never forgotten.
    pub fn new(root: Place) -> Self {
        let identity = Identity::Place(Arc::new(root));
        let slots = HashMap::from([(
            ROOT,
            Slot { identity: identity.clone(), seen_as: (ROOT, Box::default()), lookups: 1 },
        )]);
        let by_identity = HashMap::from([(identity, ROOT)]);
        let opened = HashMap::new();
        Self { table: Mutex::new(Table { by_identity, slots, opened, next: ROOT + 1 }) }
    }

    /// What a number stands for; `None` if the kernel has no right to ask.
    pub fn find(&self, ino: u64) -> Option<Arc<Place>> {
        self.lock().slots.get(&ino).map(|slot| Arc::clone(slot.identity.place()))
    }

    /// The number that the kernel knows a node by, if it does.
    pub fn number(&self, identity: &Identity) -> Option<u64> {
        self.lock().by_identity.get(identity).copied()
    }

    /// The number of a node that is looked up by a name in a directory, counted as one look-up.
    pub fn remember(&self, identity: Identity, parent: u64, name: &[u8]) -> u64 {
        let table = &mut *self.lock();
        if let Some(&ino) = table.by_identity.get(&identity) {
            if let Some(slot) = table.slots.get_mut(&ino) {
                slot.lookups += 1;
                if (slot.seen_as.0, &*slot.seen_as.1) != (parent, name) {
                    slot.seen_as = (parent, name.into());
                }
            }
            return ino;
        }
        let ino = table.next;
        table.next += 1;
        if let Some(opening) = identity.opening() {
            *table.opened.entry(opening).or_default() += 1;
        }
        table.by_identity.insert(identity.clone(), ino);
        table.slots.insert(ino, Slot { identity, seen_as: (parent, name.into()), lookups: 1 });
        ino
    }

    /// Takes back look-ups; at none the number is gone, and the identity that it had is returned.
    pub fn forget(&self, ino: u64, lookups: u64) -> Option<Identity> {
        let table = &mut *self.lock();
        let slot = table.slots.get_mut(&ino).filter(|_| ino != ROOT)?;
        slot.lookups = slot.lookups.saturating_sub(lookups);
        if slot.lookups > 0 {
            return None;
        }
        let slot = table.slots.remove(&ino)?;
        table.by_identity.remove(&slot.identity);
        if let Some(opening) = slot.identity.opening()
            && let Entry::Occupied(mut count) = table.opened.entry(opening)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(slot.identity)
    }

    /// The path from the root under which a node was looked up last, and a name in it, for people: the beginning of a long
    /// one, and what the kernel forgot, is left out.
    pub fn path(&self, ino: u64, name: &[u8]) -> Vec<u8> {
        let table = self.lock();
        let mut names: Vec<&[u8]> = Vec::new();
        names.extend((!name.is_empty()).then_some(name));
        let mut at = ino;
        while at != ROOT {
            match table.slots.get(&at) {
                Some(slot) if names.len() < SHOWN_MAX => {
                    names.push(&slot.seen_as.1);
                    at = slot.seen_as.0;
                }
                Some(_) | None => {
                    names.push(b"...");
                    break;
                }
            }
        }
        names.reverse();
        names.join(&b'/')
    }

    /// Whether the kernel knows a node that lives in this opening of a worktree.
    pub fn knows(&self, opening: Opening) -> bool {
        self.lock().opened.contains_key(&opening)
    }

    /// How many numbers the kernel remembers.
    pub fn len(&self) -> usize {
        self.lock().slots.len()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No code that can panic runs under this lock.
        self.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::super::namespace::ControlFile;
    use super::*;

    fn content() -> Identity {
        Identity::Place(Arc::new(Place::Control(ControlFile::Version)))
    }

    fn named(parent: u64, name: &[u8]) -> Identity {
        Identity::Named(parent, name.into(), Arc::new(Place::Commits))
    }

    #[test]
    fn equal_content_has_one_number_and_places_have_their_own() {
        let inodes = Inodes::new(Place::Root);
        assert_eq!(inodes.remember(content(), 1, b"c"), inodes.remember(content(), 1, b"c"));
        assert_ne!(inodes.remember(named(1, b"a"), 1, b"a"), inodes.remember(named(1, b"b"), 1, b"b"));
        assert_ne!(inodes.remember(named(1, b"a"), 1, b"a"), inodes.remember(named(2, b"a"), 2, b"a"));
    }

    #[test]
    fn a_number_lives_until_all_look_ups_are_forgotten() {
        let inodes = Inodes::new(Place::Root);
        let ino = inodes.remember(content(), 1, b"c");
        inodes.remember(content(), 1, b"c");
        inodes.forget(ino, 1);
        assert_eq!(inodes.find(ino).as_deref(), Some(&Place::Control(ControlFile::Version)));
        inodes.forget(ino, 1);
        assert_eq!((inodes.find(ino), inodes.len()), (None, 1));
        assert_ne!(inodes.remember(content(), 1, b"c"), ino);
    }

    #[test]
    fn the_root_is_never_forgotten() {
        let inodes = Inodes::new(Place::Root);
        inodes.forget(ROOT, 100);
        assert!(inodes.find(ROOT).is_some());
    }

    #[test]
    fn a_path_is_that_of_the_last_look_up() {
        let inodes = Inodes::new(Place::Root);
        let dir = inodes.remember(named(ROOT, b"a"), ROOT, b"a");
        let file = inodes.remember(content(), dir, b"one");
        assert_eq!((inodes.path(file, b""), inodes.path(dir, b"x")), (b"a/one".to_vec(), b"a/x".to_vec()));
        inodes.remember(content(), ROOT, b"two");
        assert_eq!((inodes.path(file, b""), inodes.path(ROOT, b"")), (b"two".to_vec(), Vec::new()));
        let mut deep = ROOT;
        for depth in 0..100 {
            deep = inodes.remember(named(deep, b"d"), deep, b"d");
            assert!(inodes.path(deep, b"").len() <= 2 * depth.min(SHOWN_MAX) + 5);
        }
        inodes.forget(dir, 1);
        assert_eq!(inodes.path(dir, b"x"), b".../x");
    }
}
