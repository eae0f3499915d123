//! Buffers and compressor state that one thread reuses from frame to frame.
//!
//! Purely an allocation cache: no result depends on what a frame before left here.

use super::context;
use super::zstd::Zstd;
use std::cell::RefCell;

/// What one call of a coder may use as it likes.
pub(super) struct Scratch {
    /// libzstd contexts.
    pub(super) zstd: Zstd,
    /// Byte planes, side by side.
    pub(super) planes: Vec<u8>,
    /// What the context coder works in.
    pub(super) context: context::Buffers,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        zstd: Zstd::new(),
        planes: Vec::new(),
        context: context::Buffers::default(),
    });
}

/// Lends the thread's scratch to `work`, which must not call back into this function.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(work)
}
