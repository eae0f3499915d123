//! Decoded frames that are likely to be read again, within a budget of bytes.
//!
//! Second-chance replacement per shard: a frame that was used since it was last considered is kept once more. Frames
//! are immutable and named by content, so nothing is ever invalidated.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::id::ObjectKey;
use crate::store::object::Kind;
use crate::store::pack::{Entry, Object, frame_len};

use super::buffers::Buffers;
use super::counted::Counted;

/// A frame of an object, by its number.
pub type FrameName = (ObjectKey, u64);

/// A shard smaller than this would hold too few frames to be a cache.
const MIN_SHARD_BYTES: usize = 4 << 20;
const MAX_SHARDS: usize = 16;
/// Several times the frames that fit into the largest budgets that are usual.
const PRESENCES: usize = 16_381;

/// What readers of frames share.
pub struct Memory {
    pub cache: Cache,
    pub buffers: Buffers,
}

impl Memory {
    /// How often a lock was taken so far.
    #[cfg(test)]
    pub fn locks(&self) -> u64 {
        self.buffers.locks() + self.cache.shards.iter().map(Counted::locks).sum::<u64>()
    }

    /// A frame in the cache, as long as it is in the object. The cache names content alone: metadata may have a key that
    /// somebody gave to content.
    pub fn cached(&self, object: &Object, index: u64) -> Option<Arc<Vec<u8>>> {
        let Entry { key, kind, len, .. } = object.entry;
        let found = (kind == Kind::Content).then(|| self.cache.get(&(key, index))).flatten();
        found.filter(|frame| frame.len() == frame_len(len, index))
    }

    /// Takes a decoded frame into the cache.
    pub fn remember(&self, object: &Object, index: u64, frame: Vec<u8>) {
        if object.entry.kind == Kind::Content {
            self.cache.insert((object.entry.key, index), Arc::new(frame));
        }
    }
}

pub struct Cache {
    shards: Vec<Counted<Shard>>,
    /// How many frames are in the cache whose names hash to each number. Most look-ups, for a frame of every base of a
    /// chain, find nothing: these take no lock.
    present: Vec<AtomicU32>,
    /// Bytes that each shard may hold.
    budget: usize,
}

#[derive(Default)]
struct Shard {
    frames: HashMap<FrameName, Cached>,
    queue: VecDeque<FrameName>,
    bytes: usize,
}

struct Cached {
    bytes: Arc<Vec<u8>>,
    used: bool,
}

impl Cache {
    pub fn new(budget: usize) -> Self {
        let count = (budget / MIN_SHARD_BYTES).clamp(1, MAX_SHARDS);
        Self {
            shards: (0..count).map(|_| Counted::default()).collect(),
            present: (0..PRESENCES).map(|_| AtomicU32::new(0)).collect(),
            budget: budget / count,
        }
    }

    fn shard(&self, (key, index): &FrameName) -> &Counted<Shard> {
        let spread = usize::from(key.as_bytes()[8]) + *index as usize;
        &self.shards[spread % self.shards.len()]
    }

    fn presence(&self, (key, index): &FrameName) -> &AtomicU32 {
        let [a, b, c, d, ..] = *key.as_bytes();
        let spread =
            u64::from(u32::from_le_bytes([a, b, c, d])).wrapping_add(index.wrapping_mul(0x9e37_79b9));
        &self.present[spread as usize % PRESENCES]
    }

    pub fn get(&self, name: &FrameName) -> Option<Arc<Vec<u8>>> {
        if self.presence(name).load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut shard = self.shard(name).lock();
        let cached = shard.frames.get_mut(name)?;
        cached.used = true;
        Some(Arc::clone(&cached.bytes))
    }

    pub fn insert(&self, name: FrameName, bytes: Arc<Vec<u8>>) {
        if bytes.len() > self.budget {
            return;
        }
        let mut shard = self.shard(&name).lock();
        let len = bytes.len();
        if shard.frames.insert(name, Cached { bytes, used: false }).is_none() {
            shard.bytes += len;
            shard.queue.push_back(name);
            self.presence(&name).fetch_add(1, Ordering::Relaxed);
        }
        shard.shrink_to(self.budget, |name| {
            self.presence(name).fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Shard {
    fn shrink_to(&mut self, budget: usize, gone: impl Fn(&FrameName)) {
        while self.bytes > budget {
            let Some(name) = self.queue.pop_front() else { return };
            match self.frames.get_mut(&name) {
                Some(cached) if cached.used => {
                    cached.used = false;
                    self.queue.push_back(name);
                }
                _ => {
                    self.bytes -= self.frames.remove(&name).map_or(0, |cached| cached.bytes.len());
                    gone(&name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds_and_used_frames_stay_longest() {
        let cache = Cache::new(100);
        let name = |index| (ObjectKey::from_bytes([1; 16]), index);
        for index in 0..10 {
            cache.insert(name(index), Arc::new(vec![index as u8; 10]));
        }
        assert!(cache.get(&name(0)).is_some());
        cache.insert(name(10), Arc::new(vec![10; 10]));
        let present: Vec<u64> = (0..11).filter(|&index| cache.get(&name(index)).is_some()).collect();
        assert_eq!(present, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        cache.insert(name(11), Arc::new(vec![0; 101]));
        assert!(cache.get(&name(11)).is_none());
    }
}
