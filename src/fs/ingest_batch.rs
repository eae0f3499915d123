//! Storing the complete files of a worktree, a pack for each batch of them.
//!
//! What is wrong with a file costs that file: it stays staged, and the others are stored. One that ends the work on it by a
//! panic is marked, and is tried again by nobody but the commit.

use std::any::Any;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::history::{self, BranchName, Intake, Tree};
use crate::id::StagingId;
use crate::id::{RecipeId, TreeId};
use crate::quote;
use crate::store::{Ingest, StoreError};
use crate::task::Task;
use crate::worktree::{Coding, Error, Result, StagedFile, Tenant};

use super::report::shown;

/// Bytes that go into one pack before it is sealed: what is lost to a crash in the background is stored again.
const BATCH: u64 = 2 << 30;
/// What is told of a panic, in bytes.
const TOLD_MAX: usize = 500;

/// Takes a file into the store; the tree is the one that it probably derives from.
type Take = dyn Fn(&Tenant, &Ingest, &StagedFile, TreeId, &Task) -> Result<(RecipeId, u64)> + Send;

/// Stores files of worktrees, and remembers which ones it will not try again.
pub(super) struct Storer {
    take: Box<Take>,
    marked: HashSet<(BranchName, StagingId)>,
}

impl Default for Storer {
    fn default() -> Self {
        Self::taking(|worktree, ingest, file, parent, task| {
            let intake = Intake::begin(task, file.len);
            worktree.staging().ingest(ingest, file, parent, Coding::Now, &intake)
        })
    }
}

/// How a batch ended.
enum Tried {
    /// They are stored, but for those with which something is wrong: what it is with the last of them.
    Stored(Option<String>),
    /// Nothing is stored: this file ended the work.
    Panicked(StagingId, String),
    /// Nothing is stored: somebody else has something to do that is waited for.
    Stopped,
}

impl Storer {
    /// One that takes files in another way.
    pub fn taking(
        take: impl Fn(&Tenant, &Ingest, &StagedFile, TreeId, &Task) -> Result<(RecipeId, u64)> + Send + 'static,
    ) -> Self {
        Self { take: Box::new(take), marked: HashSet::new() }
    }

    /// Stores the complete files of a worktree that have at least so many bytes. A batch that is stopped is not stored, and
    /// those after it are not tried.
    ///
    /// # Errors
    /// What is wrong with the last of those that stay staged. If the store fails, those after that one are not tried.
    pub fn store(&mut self, worktree: &Tenant, least: u64, task: &Task) -> std::result::Result<(), String> {
        let text = |error: Error| error.to_string();
        let files: Vec<StagedFile> = worktree
            .staging()
            .complete()
            .map_err(text)?
            .into_iter()
            .filter(|file| file.len >= least)
            .collect();
        let is_marked = |file: &StagedFile| self.marked.contains(&(worktree.branch().clone(), file.staging));
        let (marked, files): (Vec<_>, Vec<_>) = files.into_iter().partition(is_marked);
        let mut trouble = marked.last().map(|file| format!("`{}` waits for a commit", shown(&file.path)));
        let mut rest = files.as_slice();
        while !rest.is_empty() && task.check().is_ok() {
            let (batch, later) = rest.split_at(batch_len(rest));
            trouble = self.store_batch(worktree, batch, task).map_err(text)?.or(trouble);
            rest = later;
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Stores a batch, without those files in it that end the work.
    fn store_batch(
        &mut self,
        worktree: &Tenant,
        files: &[StagedFile],
        task: &Task,
    ) -> Result<Option<String>> {
        let mut files = files.to_vec();
        let mut trouble = None;
        loop {
            match self.try_batch(worktree, &files, task)? {
                Tried::Stored(failed) => return Ok(failed.or(trouble)),
                Tried::Stopped => return Ok(trouble),
                Tried::Panicked(bad, why) => {
                    self.marked.insert((worktree.branch().clone(), bad));
                    files.retain(|file| file.staging != bad);
                    trouble = Some(why);
                }
            }
        }
    }

    fn try_batch(&self, worktree: &Tenant, files: &[StagedFile], task: &Task) -> Result<Tried> {
        let repo = worktree.repo();
        let parent = match worktree.base()? {
            Some(commit) => repo.commit(commit)?.tree,
            None => Tree::empty_id(),
        };
        let ingest = repo.store().begin()?;
        let mut stored: Vec<(StagingId, RecipeId, u64)> = Vec::new();
        let mut trouble = None;
        for file in files {
            // What it leaves half done is in the pack that is not sealed then, and in nothing else.
            let taken = catch_unwind(AssertUnwindSafe(|| (self.take)(worktree, &ingest, file, parent, task)));
            match taken {
                Ok(Ok((recipe, len))) => stored.push((file.staging, recipe, len)),
                Ok(Err(_)) if task.check().is_err() => return Ok(Tried::Stopped),
                Ok(Err(error)) if is_gone(&error) => {}
                Ok(Err(error)) if is_of_store(&error) => return Err(error),
                Ok(Err(error)) => trouble = Some(error.to_string()),
                Err(panic) => {
                    let why =
                        format!("`{}` ended the work on it: {}", shown(&file.path), panic_text(&*panic));
                    return Ok(Tried::Panicked(file.staging, why));
                }
            }
        }
        ingest.seal()?;
        worktree.staging().mark_stored(&stored)?;
        Ok(Tried::Stored(trouble))
    }
}

/// How many files go into the next batch: at least one.
fn batch_len(files: &[StagedFile]) -> usize {
    let mut sum = 0u64;
    let fits = files.iter().take_while(|file| {
        sum = sum.saturating_add(file.len);
        sum <= BATCH
    });
    fits.count().max(1)
}

/// Whether the file was removed or written on in between.
fn is_gone(error: &Error) -> bool {
    match error {
        Error::Stale | Error::History(history::Error::KeepsChanging(_)) => true,
        Error::History(history::Error::Disk(error)) => error.source.kind() == ErrorKind::NotFound,
        _ => false,
    }
}

/// Whether the next file would meet the same.
fn is_of_store(error: &Error) -> bool {
    let is_of_file = |error: &StoreError| matches!(error, StoreError::Source(_) | StoreError::TooLong { .. });
    matches!(error, Error::History(history::Error::Store(error)) if !is_of_file(error))
}

/// Does a piece of work that may panic, which is a failure of that piece: the thread goes on.
pub(super) fn guarded(
    work: impl FnOnce() -> std::result::Result<(), String>,
) -> std::result::Result<(), String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panic_text(&*panic)))
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    quote::clipped(said.unwrap_or("a panic that said nothing"), TOLD_MAX)
}
