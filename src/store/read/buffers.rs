//! Buffers of a frame's size that are used again instead of being given back to the system, which would hand out
//! cleared pages each time.

use std::sync::{Mutex, PoisonError};

/// 16 MiB of frames: what a few threads have in flight.
const LIMIT: usize = 64;

#[derive(Default)]
pub struct Buffers {
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// A buffer of this length, with unspecified bytes.
    pub fn take(&self, len: usize) -> Vec<u8> {
        let mut buffer = self.take_empty();
        buffer.resize(len, 0);
        buffer
    }

    /// A buffer of length 0.
    pub fn take_empty(&self) -> Vec<u8> {
        let mut buffer = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    pub fn give(&self, buffer: Vec<u8>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < LIMIT && buffer.capacity() > 0 {
            idle.push(buffer);
        }
    }
}
