//! A lock of the read path. Tests count how often it is taken: that does not grow with the depth of a chain.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct Counted<T> {
    value: Mutex<T>,
    #[cfg(test)]
    locks: std::sync::atomic::AtomicU64,
}

impl<T> Counted<T> {
    /// Waits until nobody else has it. What a panic left is whole: nothing here is changed in more than one step.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(test)]
        self.locks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn locks(&self) -> u64 {
        self.locks.load(std::sync::atomic::Ordering::Relaxed)
    }
}
