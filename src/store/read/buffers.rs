//! Buffers of a frame's size that are used again instead of being given back to the system, which would hand out
//! cleared pages each time.

use super::counted::Counted;

/// Bytes that are kept for later: what a few threads have in flight.
const LIMIT: usize = 16 << 20;

#[derive(Default)]
pub struct Buffers {
    idle: Counted<Idle>,
}

#[derive(Default)]
struct Idle {
    buffers: Vec<Vec<u8>>,
    /// Bytes that they take.
    held: usize,
}

impl Buffers {
    #[cfg(test)]
    pub fn locks(&self) -> u64 {
        self.idle.locks()
    }

    /// A buffer of this length, with unspecified bytes.
    pub fn take(&self, len: usize) -> Vec<u8> {
        let mut buffer = self.take_any();
        buffer.resize(len, 0);
        buffer
    }

    /// A buffer of any length, with unspecified bytes.
    pub fn take_any(&self) -> Vec<u8> {
        let mut idle = self.idle.lock();
        let buffer = idle.buffers.pop().unwrap_or_default();
        idle.held -= buffer.capacity();
        buffer
    }

    /// A buffer of length 0.
    pub fn take_empty(&self) -> Vec<u8> {
        let mut buffer = self.take_any();
        buffer.clear();
        buffer
    }

    pub fn give(&self, buffer: Vec<u8>) {
        let mut idle = self.idle.lock();
        if buffer.capacity() > 0 && idle.held + buffer.capacity() <= LIMIT {
            idle.held += buffer.capacity();
            idle.buffers.push(buffer);
        }
    }
}
