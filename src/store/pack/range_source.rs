//! A pack as a source of ranges: what reading asks of the place where the bytes of a pack lie.
//!
//! Knows no objects. Whoever reads says all that is wanted of one pack at once, so that a place that is far away needs
//! one journey, and one that is near makes of it what suits it.

use std::sync::Arc;

use crate::store::error::Result;

/// A range that is wanted, and where its bytes go.
pub struct Wanted<'b> {
    /// Where the range begins in the pack.
    pub offset: u64,
    /// As long as the range.
    pub buf: &'b mut [u8],
}

/// The bytes of one pack, which never change.
pub trait PackBytes: Send + Sync {
    /// How many there are.
    fn len(&self) -> u64;

    /// Fills every buffer with its range. The ranges are given in the order of the pack, and do not overlap or touch.
    fn read_ranges(&self, wanted: &mut [Wanted<'_>]) -> Result<()>;

    /// How many frames are worth being asked for at once. One where reading is near: the system reads ahead by itself,
    /// and what was just read is decoded while it is in the processor's cache.
    fn frames_at_once(&self) -> usize {
        1
    }

    /// The same bytes, for one who goes on reading them: found without a look-up, and there although the pack is
    /// removed. `None` if they cannot be held, or so many are held that one more would be too many.
    fn hold(&self) -> Result<Option<Arc<dyn PackBytes>>>;
}
