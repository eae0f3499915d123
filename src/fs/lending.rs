//! Which files of worktrees are lent to the kernel, to be written without us: those that whoever opens them begins anew.
//!
//! A file that is written on stays with us, because its first write copies what it had. So does the file that a copy of a
//! stored one goes to, as far as one can tell, because giving it the stored bytes copies nothing; and so does everything
//! while the disk is nearly full: whoever writes to a full disk through us has plain copies and what was removed give way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::Space;

/// With less room than this nothing is lent; more than most disks take between two looks at it.
const ROOM: u64 = 4 << 30;
/// With so much room files are lent again.
const ENOUGH: u64 = 5 << 30;
/// A thread that opened a file to read it so long ago, and has not closed it, may be about to copy it: cp(1) opens both files
/// at once.
const COPYING: Duration = Duration::from_millis(500);
/// So many readers are remembered.
const READERS_MAX: usize = 32;

/// What decides whether a file is lent.
#[derive(Debug, Default)]
pub(super) struct Lending {
    /// Whether there was room at the last look.
    has_room: AtomicBool,
    readers: Mutex<VecDeque<Reader>>,
}

/// Somebody who opened a file to read it.
#[derive(Debug)]
struct Reader {
    thread: u32,
    handle: u64,
    since: Instant,
}

impl Lending {
    /// Notes how much room the disk has. Whether there was enough before, and is not any more.
    pub fn note_room(&self, space: Space) -> bool {
        let least = if self.has_room.load(Ordering::Relaxed) { ROOM } else { ENOUGH };
        let has_room = space.available >= least;
        self.has_room.swap(has_room, Ordering::Relaxed) && !has_room
    }

    /// Notes that a thread opened a file to read it.
    pub fn opened(&self, thread: u32, handle: u64) {
        let mut readers = self.readers();
        readers.truncate(READERS_MAX - 1);
        readers.push_front(Reader { thread, handle, since: Instant::now() });
    }

    /// Notes that a file was closed.
    pub fn closed(&self, handle: u64) {
        self.readers().retain(|reader| reader.handle != handle);
    }

    /// Whether a file that a thread begins to write now may be lent.
    pub fn lends_to(&self, thread: u32) -> bool {
        let copies = |reader: &Reader| reader.thread == thread && reader.since.elapsed() < COPYING;
        self.has_room.load(Ordering::Relaxed) && !self.readers().iter().any(copies)
    }

    fn readers(&self) -> MutexGuard<'_, VecDeque<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(available: u64) -> Space {
        Space { available, total: u64::MAX }
    }

    #[test]
    fn nothing_is_lent_while_the_disk_is_nearly_full() {
        let lending = Lending::default();
        assert!(!lending.lends_to(1), "before the first look");
        assert!(!lending.note_room(room(ENOUGH)) && lending.lends_to(1));
        assert!(!lending.note_room(room(ROOM)) && lending.lends_to(1));
        assert!(lending.note_room(room(ROOM - 1)) && !lending.lends_to(1));
        assert!(!lending.note_room(room(0)), "it was said before");
    }

    #[test]
    fn whoever_reads_a_file_may_be_copying_it_until_it_is_closed() {
        let lending = Lending::default();
        lending.note_room(room(ENOUGH));
        lending.opened(1, 10);
        assert!(!lending.lends_to(1) && lending.lends_to(2));
        lending.closed(10);
        assert!(lending.lends_to(1));
        (0..100).for_each(|handle| lending.opened(3, handle));
        assert_eq!(lending.readers().len(), READERS_MAX);
    }
}
