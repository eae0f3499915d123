//! What an open file of the history has of plain copies: one that it reads, or one in the making.
//!
//! Decides who wants all of a file: whoever reads it from its beginning on. A reader of a few tensors reads the header and
//! jumps.

use super::repository::Repo;
use crate::disk::DiskFile;
use crate::plain::Filling;
use crate::recipe::Recipe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// So far a file is read from its beginning before all of it is taken to be wanted.
const WANTED_AFTER: u64 = 4 << 20;

/// So far apart may two reads be that follow each other: a kernel that reads ahead asks for several ranges at once.
const APART: u64 = 1 << 20;

/// What an open file has of plain copies.
#[derive(Debug)]
pub(super) struct Plain {
    copy: Option<Box<dyn DiskFile>>,
    /// Up to where the file was read from its beginning.
    reached: AtomicU64,
    /// The copy in the making that it reads; `None` inside once it may have none.
    filling: OnceLock<Option<Arc<Filling>>>,
    has_left: AtomicBool,
}

impl Plain {
    pub(super) fn new(copy: Option<Box<dyn DiskFile>>) -> Self {
        Self { copy, reached: AtomicU64::new(0), filling: OnceLock::new(), has_left: AtomicBool::new(false) }
    }

    pub(super) fn copy(&self) -> Option<&dyn DiskFile> {
        self.copy.as_deref()
    }

    /// Fills `buf`, which must lie in the file, from what there is of a copy; `false` if that is not possible.
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool {
        // A copy that cannot be read is none: the packs have the bytes.
        match &self.copy {
            Some(copy) => copy.read_exact_at(buf, offset).is_ok(),
            None => self
                .filling()
                .is_some_and(|filling| filling.read_at(offset, buf).is_some_and(|read| read.is_ok())),
        }
    }

    fn filling(&self) -> Option<&Arc<Filling>> {
        self.filling.get()?.as_ref()
    }

    /// Notes a read. The result is a copy that somebody is to fill on.
    pub(super) fn note_read(
        &self,
        repo: &Repo,
        recipe: &Recipe,
        offset: u64,
        len: u64,
    ) -> Option<Arc<Filling>> {
        if self.copy.is_some() {
            return None;
        }
        let end = offset.saturating_add(len);
        if let Some(filling) = self.filling() {
            return filling.note_read(end).then(|| Arc::clone(filling));
        }
        let reached = self.reached.load(Ordering::Relaxed);
        if offset > reached.saturating_add(APART) || end <= reached {
            return None;
        }
        self.reached.fetch_max(end, Ordering::Relaxed);
        if end < WANTED_AFTER.min(recipe.len()) {
            return None;
        }
        // Whoever is not the first finds what the first made, or makes it with him.
        let mut begun = None;
        let filling = self.filling.get_or_init(|| {
            // For want of room there is no copy, and reading goes on without.
            let (filling, is_new) = repo.plain().begin(recipe.blake3(), recipe.len()).ok()??;
            filling.join();
            begun = Some(is_new);
            Some(filling)
        });
        let filling = filling.as_ref()?;
        (begun == Some(true) || filling.note_read(end)).then(|| Arc::clone(filling))
    }

    /// Ends reading. The result is a copy that somebody is to complete or to give up.
    pub(super) fn leave(&self) -> Option<Arc<Filling>> {
        let filling = self.filling()?;
        if self.has_left.swap(true, Ordering::Relaxed) {
            return None;
        }
        filling.leave().then(|| Arc::clone(filling))
    }
}
