//! A plain copy in the making.
//!
//! The file is cut into chunks. Whoever fills takes the next ones, and they are there for readers as soon as they are
//! written. Filling keeps a distance from reading: a reader that stops is not followed to the end of a large file, and
//! nobody waits for readers. When the last reader leaves, a copy that is half done is completed, and any other given up;
//! one that nobody holds any more is taken away.

use crate::disk::{Disk, DiskFile, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that are decoded and written at once.
pub const CHUNK_LEN: u64 = 1 << 20;

/// So far ahead of its readers a copy is filled.
const AHEAD: u64 = 64 << 20;

/// A file that is being filled. Threads share it.
#[derive(Debug)]
pub struct Filling {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    blake3: [u8; 32],
    len: u64,
    state: Mutex<State>,
    /// Told when chunks are there, or will not come.
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    chunks: Vec<Chunk>,
    /// The first chunk that nobody took.
    next: usize,
    /// How many are there.
    done: usize,
    readers: u32,
    /// Up to where readers want it: so far as somebody read, and [`AHEAD`].
    wanted: u64,
    /// Whether somebody is filling it.
    is_driven: bool,
    /// Whether somebody was asked to.
    is_asked: bool,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Missing,
    Taken,
    There,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All of it is there, and is being named: it is not taken away any more.
    Naming,
    /// All of it is there, under its name.
    Named,
    /// It is taken away.
    GivenUp,
}

/// What whoever fills is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Bring these ranges of the file.
    Fill(Vec<Range<u64>>),
    /// Stop: readers have enough ahead of them, or somebody else is at it.
    Pause,
    /// All bytes are there: check and name it.
    Complete,
    /// Nobody wants it any more.
    GiveUp,
}

impl Filling {
    /// Begins to fill an empty file at a path.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        blake3: [u8; 32],
        len: u64,
    ) -> Result<Self> {
        file.set_len(len)?;
        let state = State {
            chunks: vec![Chunk::Missing; len.div_ceil(CHUNK_LEN) as usize],
            next: 0,
            done: 0,
            readers: 0,
            wanted: AHEAD,
            is_driven: false,
            is_asked: false,
            end: None,
        };
        Ok(Self { disk, path, file, blake3, len, state: Mutex::new(state), moved: Condvar::new() })
    }

    /// BLAKE3 of what it is to be.
    pub fn blake3(&self) -> &[u8; 32] {
        &self.blake3
    }

    /// Its length in bytes, from the beginning.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing to fill.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file: what is there of it may be read, and never changes.
    pub fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has its name, or was given up.
    pub fn is_over(&self) -> bool {
        matches!(self.state().end, Some(End::Named | End::GivenUp))
    }

    /// Whether it has its name: its file is a plain copy.
    pub fn is_named(&self) -> bool {
        self.state().end == Some(End::Named)
    }

    /// Begins to give it its name; `false` if it was taken away.
    pub(super) fn begin_naming(&self) -> bool {
        let mut state = self.state();
        let is_there = state.end.is_none();
        if is_there {
            state.end = Some(End::Naming);
        }
        is_there
    }

    /// Notes how naming it went. What could not be named is taken away.
    pub(super) fn end_naming(&self, is_named: bool) {
        self.state().end = is_named.then_some(End::Named);
        if !is_named {
            self.give_up();
        }
    }

    /// Takes it away, with the room that it takes, whoever still has it open; the result is how much that was. Whoever
    /// reads it goes back to where the bytes come from.
    pub(super) fn give_up(&self) -> u64 {
        let mut state = self.state();
        if state.end.is_some() {
            return 0;
        }
        state.end = Some(End::GivenUp);
        let freed = state.done as u64 * CHUNK_LEN;
        drop(state);
        self.moved.notify_all();
        // What cannot be removed is swept by whoever makes room next.
        let _ = self.disk.remove_file(&self.path);
        let _ = self.file.set_len(0);
        freed.min(self.len)
    }

    /// How much of it is not there yet.
    pub(super) fn missing(&self) -> u64 {
        self.len.saturating_sub(self.state().done as u64 * CHUNK_LEN)
    }

    /// One more reads it, until the result is dropped.
    pub(super) fn join(self: &Arc<Self>) -> Reader {
        self.state().readers += 1;
        Reader { filling: Arc::clone(self), has_left: AtomicBool::new(false) }
    }

    /// Whether somebody is to be asked to go on, to complete it or to give it up: nobody is at it, nor was asked.
    fn ask(state: &mut State) -> bool {
        !state.is_driven && state.end.is_none() && !std::mem::replace(&mut state.is_asked, true)
    }

    fn leave(&self) -> bool {
        let mut state = self.state();
        state.readers -= 1;
        state.readers == 0 && Self::ask(&mut state)
    }

    /// A reader got to this position. The result tells whether somebody is to go on filling.
    #[must_use]
    pub fn note_read(&self, end: u64) -> bool {
        let mut state = self.state();
        state.wanted = state.wanted.max(end.saturating_add(AHEAD));
        let is_behind = state.next as u64 * CHUNK_LEN < state.wanted.saturating_sub(AHEAD / 2).min(self.len);
        (is_behind || state.done == state.chunks.len()) && Self::ask(&mut state)
    }

    /// All of it is wanted, whether or not somebody reads it.
    pub fn want_all(&self) {
        self.state().wanted = u64::MAX;
    }

    /// Fills `buf` from `offset`, which must lie in the file, waiting for what somebody is just bringing; `None` if it
    /// is not there and not on its way.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Option<Result<()>> {
        let chunks = (offset / CHUNK_LEN) as usize..(offset + buf.len() as u64).div_ceil(CHUNK_LEN) as usize;
        let mut state = self.state();
        loop {
            if state.end == Some(End::GivenUp) {
                return None;
            }
            let wanted = state.chunks.get(chunks.clone())?;
            if wanted.iter().all(|chunk| *chunk == Chunk::There) {
                break;
            }
            if wanted.contains(&Chunk::Missing) {
                return None;
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let read = self.file.read_exact_at(buf, offset);
        // What is taken away has no bytes, and what is written to it then has holes.
        (self.state().end != Some(End::GivenUp)).then_some(read)
    }

    /// What to do next for whoever begins to fill; see [`Filling::next`].
    pub fn begin(&self, count: usize) -> Part {
        let mut state = self.state();
        if state.is_driven {
            return Part::Pause;
        }
        (state.is_driven, state.is_asked) = (true, false);
        self.advance(&mut state, count)
    }

    /// Ends the work of whoever fills, with the part that he does not do any more; somebody is asked to go on.
    pub fn put_back(&self, part: Part) {
        let mut state = self.state();
        if let Part::Fill(ranges) = part {
            for range in &ranges {
                state.chunks[(range.start / CHUNK_LEN) as usize] = Chunk::Missing;
            }
            // They were the last that were taken.
            state.next -= ranges.len();
        }
        (state.is_driven, state.is_asked) = (false, true);
        drop(state);
        self.moved.notify_all();
    }

    /// What to do next for whoever fills and is done with what he took: at most so many chunks. Everything but
    /// [`Part::Fill`] ends his work.
    pub fn next(&self, count: usize) -> Part {
        self.advance(&mut self.state(), count)
    }

    fn advance(&self, state: &mut State, count: usize) -> Part {
        let total = state.chunks.len();
        let is_worth_it = state.readers > 0 || state.wanted == u64::MAX || state.done * 2 >= total;
        let part = match state.end {
            Some(_) => Part::Pause,
            None if state.done == total => Part::Complete,
            None if !is_worth_it || state.next == total => Part::GiveUp,
            None if state.readers > 0 && state.next as u64 * CHUNK_LEN >= state.wanted => Part::Pause,
            None => {
                let taken = state.next..(state.next + count.max(1)).min(total);
                state.next = taken.end;
                state.chunks[taken.clone()].fill(Chunk::Taken);
                Part::Fill(taken.map(|chunk| self.range(chunk)).collect())
            }
        };
        state.is_driven = matches!(part, Part::Fill(_) | Part::Complete | Part::GiveUp);
        part
    }

    fn range(&self, chunk: usize) -> Range<u64> {
        let start = chunk as u64 * CHUNK_LEN;
        start..(start + CHUNK_LEN).min(self.len)
    }

    /// Brings the bytes of a range that was taken.
    pub fn put(&self, range: &Range<u64>, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, range.start)?;
        let mut state = self.state();
        if let Some(chunk) = state.chunks.get_mut((range.start / CHUNK_LEN) as usize) {
            *chunk = Chunk::There;
            state.done += 1;
        }
        drop(state);
        self.moved.notify_all();
        Ok(())
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Somebody who reads a file that is being filled.
#[derive(Debug)]
pub struct Reader {
    filling: Arc<Filling>,
    has_left: AtomicBool,
}

impl Reader {
    /// What he reads.
    pub fn filling(&self) -> &Arc<Filling> {
        &self.filling
    }

    /// He does not read it any more; dropping this says the same. The result tells whether somebody is to go on filling,
    /// to complete it or to give it up.
    pub fn leave(&self) -> bool {
        !self.has_left.swap(true, Ordering::Relaxed) && self.filling.leave()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Whoever drops the last holder of a file that is not complete takes it away.
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, SimulatedDisk};

    const MANY: usize = 200;

    fn filling(len: u64) -> Arc<Filling> {
        let disk = SimulatedDisk::new();
        let path = Path::new("/copy");
        let file = disk.create_new(path).unwrap();
        Arc::new(Filling::new(Arc::new(disk), path.to_owned(), file.into(), [0; 32], len).unwrap())
    }

    fn put(filling: &Filling, part: Part) -> u64 {
        let Part::Fill(ranges) = part else { panic!("{part:?}") };
        for range in &ranges {
            filling.put(range, &vec![7; (range.end - range.start) as usize]).unwrap();
        }
        ranges.last().unwrap().end
    }

    #[test]
    fn chunks_tile_the_file_and_are_read_when_they_are_there() {
        let filling = filling(2 * CHUNK_LEN + 5);
        let _reader = filling.join();
        let mut buf = [0; 10];
        assert!(filling.read_at(CHUNK_LEN - 5, &mut buf).is_none());
        assert_eq!(put(&filling, filling.begin(2)), 2 * CHUNK_LEN);
        assert!(filling.read_at(CHUNK_LEN - 5, &mut buf).unwrap().is_ok());
        assert_eq!(buf, [7; 10]);
        assert!(filling.read_at(2 * CHUNK_LEN, &mut buf[..5]).is_none());
        assert_eq!(put(&filling, filling.next(2)), filling.len());
        assert_eq!(filling.next(2), Part::Complete);
        assert!(filling.read_at(2 * CHUNK_LEN, &mut buf[..5]).unwrap().is_ok());
    }

    #[test]
    fn a_reader_that_stops_is_followed_so_far_and_no_farther() {
        let filling = filling(1000 * CHUNK_LEN);
        let reader = filling.join();
        let mut end = put(&filling, filling.begin(MANY));
        assert!(end >= AHEAD && filling.next(MANY) == Part::Pause);
        assert!(!filling.note_read(CHUNK_LEN), "there is enough ahead of it");
        assert!(filling.note_read(end - 1), "it caught up");
        while let part @ Part::Fill(_) = if end == 0 { filling.next(MANY) } else { filling.begin(MANY) } {
            put(&filling, part);
            end = 0;
        }
        assert!(reader.leave() && !reader.leave());
        assert_eq!(filling.begin(1), Part::GiveUp, "less than half was read");
    }

    #[test]
    fn one_fills_at_a_time_and_what_is_half_done_is_completed() {
        let filling = filling(4 * CHUNK_LEN);
        let reader = filling.join();
        put(&filling, filling.begin(2));
        assert_eq!(filling.begin(2), Part::Pause);
        assert!(!reader.leave(), "somebody is at it");
        put(&filling, filling.next(9));
        assert_eq!(filling.next(1), Part::Complete);
        assert!(filling.begin_naming() && !filling.begin_naming());
        assert_eq!(filling.give_up(), 0, "it is being named");
        filling.end_naming(true);
        assert!(filling.is_over() && filling.is_named());
        assert_eq!(filling.give_up(), 0);
    }

    #[test]
    fn whoever_waits_for_a_chunk_is_told_that_it_will_not_come() {
        let filling = filling(4 * CHUNK_LEN);
        let _reader = filling.join();
        let Part::Fill(_) = filling.begin(4) else { panic!() };
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| filling.read_at(0, &mut [0; 5]).is_none());
            filling.give_up();
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn somebody_is_asked_once_until_he_begins() {
        let filling = filling(200 * CHUNK_LEN);
        let reader = filling.join();
        assert!(filling.note_read(CHUNK_LEN) && !filling.note_read(2 * CHUNK_LEN) && !reader.leave());
        let _again = filling.join();
        put(&filling, filling.begin(1));
        filling.put_back(filling.next(3));
        assert!(filling.read_at(CHUNK_LEN, &mut [0; 5]).is_none(), "nobody is at it");
        assert!(!filling.note_read(3 * CHUNK_LEN), "whoever handed on has asked");
    }

    #[test]
    fn what_is_taken_away_is_not_read_whatever_is_written_to_it_then() {
        let filling = filling(4 * CHUNK_LEN);
        let _reader = filling.join();
        let Part::Fill(ranges) = filling.begin(4) else { panic!() };
        let put = |range: &Range<u64>| filling.put(range, &[7; CHUNK_LEN as usize]).unwrap();
        put(&ranges[0]);
        assert_eq!(filling.give_up(), CHUNK_LEN);
        put(&ranges[3]);
        assert!(filling.read_at(0, &mut [0; 5]).is_none());
        assert!(filling.read_at(3 * CHUNK_LEN, &mut [0; 5]).is_none());
    }
}
