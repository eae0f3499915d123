//! What an open file of the history has of plain copies: one that it reads, or one in the making.
//!
//! Decides who wants all of a file: whoever reads it from its beginning on. A reader of a few tensors reads the header and
//! jumps.

use super::repository::Repo;
use crate::disk::DiskFile;
use crate::plain::{Begun, Filling, Reader};
use crate::recipe::Recipe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// So far a file is read from its beginning before all of it is taken to be wanted.
const WANTED_AFTER: u64 = 4 << 20;

/// So far apart may two reads be that follow each other: a kernel that reads ahead asks for several ranges at once.
const APART: u64 = 1 << 20;

/// What an open file has of plain copies.
#[derive(Debug)]
pub(super) struct OpenCopy {
    found: Option<Found>,
    /// What came of the wish for one after it was opened.
    made: OnceLock<Option<Found>>,
    /// Up to where the file was read from its beginning.
    reached: AtomicU64,
    /// Whether somebody is just wishing for one.
    is_wished: AtomicBool,
    is_closed: AtomicBool,
}

#[derive(Debug)]
enum Found {
    Copy(Box<dyn DiskFile>),
    Making(Reader),
}

impl OpenCopy {
    pub(super) fn new(copy: Option<Box<dyn DiskFile>>) -> Self {
        Self {
            found: copy.map(Found::Copy),
            made: OnceLock::new(),
            reached: AtomicU64::new(0),
            is_wished: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }
    }

    /// The copy that was there when the file was opened.
    pub(super) fn copy(&self) -> Option<&dyn DiskFile> {
        match &self.found {
            Some(Found::Copy(copy)) => Some(&**copy),
            Some(Found::Making(_)) | None => None,
        }
    }

    fn known(&self) -> Option<&Found> {
        self.found.as_ref().or_else(|| self.made.get()?.as_ref())
    }

    /// Fills `buf`, which must lie in the file, from what there is of a copy; `false` if that is not possible.
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> bool {
        // A copy that cannot be read is none: the packs have the bytes.
        match self.known() {
            Some(Found::Copy(copy)) => copy.read_exact_at(buf, offset).is_ok(),
            Some(Found::Making(reader)) => {
                reader.filling().read_at(offset, buf).is_some_and(|read| read.is_ok())
            }
            None => false,
        }
    }

    /// Notes a read. The result is a copy that somebody is to fill on.
    pub(super) fn note_read(
        &self,
        repo: &Repo,
        recipe: &Recipe,
        offset: u64,
        len: u64,
    ) -> Option<Arc<Filling>> {
        let end = offset.saturating_add(len);
        match self.known() {
            Some(Found::Copy(_)) => return None,
            Some(Found::Making(reader)) => {
                let filling = reader.filling();
                return filling.note_read(end).then(|| Arc::clone(filling));
            }
            None => {}
        }
        let reached = self.reached.load(Ordering::Relaxed);
        if offset > reached.saturating_add(APART) || end <= reached {
            return None;
        }
        self.reached.fetch_max(end, Ordering::Relaxed);
        if end < WANTED_AFTER.min(recipe.len()) || self.made.get().is_some() {
            return None;
        }
        self.wish(repo, recipe)
    }

    /// Wishes for a copy, once. The result is one that somebody is to fill.
    fn wish(&self, repo: &Repo, recipe: &Recipe) -> Option<Arc<Filling>> {
        if self.is_wished.swap(true, Ordering::Acquire) {
            return None;
        }
        let mut begun = None;
        // For want of room there is no copy, and reading goes on without.
        let made = match repo.plain().begin(recipe.blake3(), recipe.len()).unwrap_or(Begun::None) {
            Begun::Busy => {
                self.is_wished.store(false, Ordering::Release);
                return None;
            }
            Begun::New(reader) => {
                begun = Some(Arc::clone(reader.filling()));
                Some(Found::Making(reader))
            }
            Begun::Joined(reader) => Some(Found::Making(reader)),
            Begun::Named(copy) => Some(Found::Copy(copy)),
            Begun::None => None,
        };
        let _ = self.made.set(made);
        // Whoever closed it meanwhile found nothing to leave.
        let left = self.is_closed.load(Ordering::SeqCst).then(|| self.leave()).flatten();
        begun.or(left)
    }

    /// Ends reading. The result is a copy that somebody is to complete or to give up.
    pub(super) fn close(&self) -> Option<Arc<Filling>> {
        self.is_closed.store(true, Ordering::SeqCst);
        self.leave()
    }

    fn leave(&self) -> Option<Arc<Filling>> {
        match self.known() {
            Some(Found::Making(reader)) => reader.leave().then(|| Arc::clone(reader.filling())),
            Some(Found::Copy(_)) | None => None,
        }
    }
}
