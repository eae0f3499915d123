//! What writing may take: room on the disk, and memory for what waits for its turn.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::catalog::Catalog;
use crate::store::error::{Result, StoreError};

/// Objects up to this many frames are coded before they take their turn to be appended, so that many of them can be
/// coded at once; longer ones are appended while they are coded.
pub const GATHERED_FRAMES: u64 = 16;
/// Bytes appended between two looks at the room left on the disk.
const ROOM_CHECK_BYTES: u64 = 64 << 20;

/// The room on the disk, as one transaction watches it: writing stops while too little is left for the rest of the
/// system.
pub struct Room {
    reserve_bytes: u64,
    /// How long the pack was when somebody last looked.
    checked_at: AtomicU64,
}

impl Room {
    /// Fails if too little is left to begin.
    pub fn begin(catalog: &Catalog, reserve_bytes: u64) -> Result<Self> {
        let room = Self { reserve_bytes, checked_at: AtomicU64::new(0) };
        room.look(catalog)?;
        Ok(room)
    }

    /// Fails if too little is left to go on with a pack of `len` bytes. Looks only now and then.
    pub fn check(&self, catalog: &Catalog, len: u64) -> Result<()> {
        if len < self.checked_at.load(Ordering::Relaxed) + ROOM_CHECK_BYTES {
            return Ok(());
        }
        self.checked_at.store(len, Ordering::Relaxed);
        self.look(catalog)
    }

    fn look(&self, catalog: &Catalog) -> Result<()> {
        let path = &catalog.folders.packs;
        let available = catalog.disk.space(path)?.available;
        let reserve = self.reserve_bytes;
        match available < reserve {
            true => Err(StoreError::Full { path: path.clone(), available, reserve }),
            false => Ok(()),
        }
    }
}
