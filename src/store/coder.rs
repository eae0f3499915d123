//! Coding a new object frame by frame, on several threads, in order, in bounded memory.
//!
//! Every frame is decoded again and compared before it is handed on.

use std::collections::VecDeque;
use std::sync::Mutex;

use crossbeam_channel::{Receiver, Sender};
use rayon::{Scope, ThreadPool};
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{DeltaType, FRAME_LEN, Level, decode_frame, encode_frame};
use crate::id::ObjectKey;
use crate::tensor::Lane;

use super::cache::Memory;
use super::error::{Result, StoreError};
use super::resolve::{Chain, FrameReader};
use super::sidecar::{frame_count, frame_len};
use super::source::Source;

/// A frame of a new object.
pub(super) struct Coded {
    pub(super) raw: Vec<u8>,
    pub(super) stored: Vec<u8>,
    pub(super) tag: u8,
    /// XXH3-64 of `stored`.
    pub(super) checksum: u64,
}

/// All that the coding of an object's frames depends on.
pub(super) struct Coder<'a> {
    pub(super) key: ObjectKey,
    pub(super) source: &'a dyn Source,
    pub(super) len: u64,
    pub(super) lane: Lane,
    pub(super) level: Level,
    pub(super) delta_type: DeltaType,
    pub(super) base: Option<&'a Chain>,
    pub(super) memory: &'a Memory,
}

/// Frames in flight for each thread: one that is coded, one that waits for its turn.
const WINDOW_PER_THREAD: usize = 2;

impl<'a> Coder<'a> {
    fn worker(&self) -> Worker<'_> {
        Worker { base: self.base.map(|chain| FrameReader::new(chain, self.memory)), check: Vec::new() }
    }

    fn code(&self, index: u64, worker: &mut Worker<'_>) -> Result<Coded> {
        let Worker { base, check } = worker;
        let mut raw = self.memory.buffers.take(frame_len(self.len, index));
        check.resize(raw.len(), 0);
        self.source.read_exact_at(&mut raw, index * FRAME_LEN as u64)?;
        let base = match base {
            Some(reader) => Some(reader.as_base(index)?),
            None => None,
        };
        let mut stored = self.memory.buffers.take_empty();
        // A frame whose difference does not decode to itself is coded alone.
        let coded = [base, None].into_iter().find_map(|base| {
            stored.clear();
            let tag = self.encode(&raw, base, &mut stored);
            let decoded = decode_frame(tag, &stored, base, self.lane, check);
            (decoded.is_ok() && stored.len() <= raw.len() && raw == *check).then_some(tag)
        });
        let tag = coded.ok_or(StoreError::Coder { key: self.key, frame: index as u32 })?;
        Ok(Coded { raw, checksum: xxh3_64(&stored), stored, tag })
    }

    /// A difference of the configured type, or the best that the level allows.
    fn encode(&self, raw: &[u8], base: Option<&[u8]>, out: &mut Vec<u8>) -> u8 {
        match (base, self.delta_type) {
            (Some(base), delta_type) if delta_type != DeltaType::default() && base != raw => {
                delta_type.encode(raw, base, self.lane, out)
            }
            _ => encode_frame(raw, base, self.lane, self.level, out),
        }
    }

    /// Runs `consume` with the frames in order, while `pool` codes those that come next. No more than a constant
    /// number of frames is in memory.
    ///
    /// Whoever takes a lock in `consume` must let go of it there: on the way out this thread may be given other work.
    pub(super) fn with_frames<R>(
        &self,
        pool: Option<&ThreadPool>,
        consume: impl FnOnce(&mut dyn Iterator<Item = Result<Coded>>) -> R,
    ) -> R {
        let count = frame_count(self.len);
        match pool {
            Some(pool) if count > 1 => {
                let workers = Mutex::new(Vec::new());
                pool.in_place_scope(|scope| {
                    let window = WINDOW_PER_THREAD * pool.current_num_threads();
                    consume(&mut InOrder::new(self, scope, &workers, count, window))
                })
            }
            _ => {
                let mut worker = self.worker();
                consume(&mut (0..count).map(|index| self.code(index, &mut worker)))
            }
        }
    }
}

/// The buffers of one thread.
struct Worker<'c> {
    base: Option<FrameReader<'c>>,
    check: Vec<u8>,
}

/// Gives the frames of an object in order while the pool codes a window of them.
struct InOrder<'c, 's, 'scope> {
    coder: &'c Coder<'c>,
    scope: &'s Scope<'scope>,
    /// Idle workers.
    workers: &'scope Mutex<Vec<Worker<'c>>>,
    sender: Sender<(u64, Result<Coded>)>,
    receiver: Receiver<(u64, Result<Coded>)>,
    /// The frames from `next` on that were started; those that are done are there.
    started: VecDeque<Option<Result<Coded>>>,
    next: u64,
    count: u64,
    window: usize,
}

impl<'c: 'scope, 's, 'scope> InOrder<'c, 's, 'scope> {
    fn new(
        coder: &'c Coder<'c>,
        scope: &'s Scope<'scope>,
        workers: &'scope Mutex<Vec<Worker<'c>>>,
        count: u64,
        window: usize,
    ) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(window);
        Self { coder, scope, workers, sender, receiver, started: VecDeque::new(), next: 0, count, window }
    }

    fn fill_window(&mut self) {
        while self.started.len() < self.window && self.next + (self.started.len() as u64) < self.count {
            self.start(self.next + self.started.len() as u64);
            self.started.push_back(None);
        }
    }

    fn start(&self, index: u64) {
        let (coder, workers, sender) = (self.coder, self.workers, self.sender.clone());
        self.scope.spawn(move |_| {
            let idle = workers.lock().ok().and_then(|mut idle| idle.pop());
            let mut worker = idle.unwrap_or_else(|| coder.worker());
            let coded = coder.code(index, &mut worker);
            if let Ok(mut idle) = workers.lock() {
                idle.push(worker);
            }
            // It fails only if the frames are no longer wanted.
            let _ = sender.send((index, coded));
        });
    }
}

impl<'c: 'scope, 'scope> Iterator for InOrder<'c, '_, 'scope> {
    type Item = Result<Coded>;

    fn next(&mut self) -> Option<Result<Coded>> {
        self.fill_window();
        while let Some(first) = self.started.front() {
            if first.is_some() {
                self.next += 1;
                return self.started.pop_front()?;
            }
            let (index, coded) = self.receiver.recv().ok()?;
            self.started[(index - self.next) as usize] = Some(coded);
        }
        None
    }
}
