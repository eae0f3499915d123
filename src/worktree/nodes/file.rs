//! The bytes of one file of a worktree: up to three versions, and what happens to them.
//!
//! Pure: versions in, versions out. Knows no names, and no other file.

use crate::id::{RecipeId, StagingId};
use crate::worktree::record::Closed;

/// The bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::worktree) enum Content {
    /// In the store.
    Stored { recipe: RecipeId, len: u64 },
    /// In a staging file; `len` is the length at the last time it was complete.
    Staged { staging: StagingId, len: u64 },
}

impl Content {
    pub(in crate::worktree) fn staging(&self) -> Option<StagingId> {
        match self {
            Content::Staged { staging, .. } => Some(*staging),
            Content::Stored { .. } => None,
        }
    }
}

/// A regular file: up to three versions of its bytes.
///
/// What a reader sees, what a commit takes, and what a power cut brings back are the same most of the time. They part
/// when a file is written (the last complete version stays for commits) and when it was not synced since (the last
/// version whose bytes are durable stays, whatever the records say that came after it).
#[derive(Debug, Clone)]
pub(in crate::worktree) struct File {
    /// What a reader sees.
    pub current: Content,
    /// What a commit takes: the bytes as of the last time that no writer was at work; `None` if there was none.
    pub complete: Option<Content>,
    /// Whether that is known to be durable.
    pub sure: bool,
    /// The last version whose bytes are known to be durable: what a commit takes, or what is being written since.
    pub safe: Option<Safe>,
    /// What was durable under the name before this file was moved there with but some of its bytes durable. It is what a
    /// power cut brings back if the rest did not get that far, until those bytes, or the folder, are synced.
    pub replaced: Option<Safe>,
    /// A staging file of which the disk lost bytes that it had accepted.
    pub lost: Option<StagingId>,
    /// What the staging file that is being written was like when a writer last closed it.
    pub closed: Option<Box<Closed>>,
}

/// A version whose bytes are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::worktree) struct Safe {
    pub content: Content,
    /// Whether it was complete then.
    pub complete: bool,
}

impl File {
    /// A file whose bytes are in the store.
    pub(in crate::worktree) fn stored(content: Content) -> Self {
        let safe = Some(Safe { content, complete: true });
        Self {
            current: content,
            complete: Some(content),
            sure: true,
            safe,
            replaced: None,
            lost: None,
            closed: None,
        }
    }

    /// A file that is being written for the first time.
    pub(in crate::worktree) fn begun(current: Content) -> Self {
        Self { current, complete: None, sure: false, safe: None, replaced: None, lost: None, closed: None }
    }

    /// Whether no writer is at work, nor ended in the middle of it.
    pub(in crate::worktree) fn is_complete(&self) -> bool {
        self.complete == Some(self.current)
    }

    /// Whether what a commit takes is durable already.
    pub(in crate::worktree) fn is_sure(&self) -> bool {
        self.complete.is_some() && self.sure
    }

    /// Whether bytes that a reader or a commit would take are lost.
    pub(in crate::worktree) fn is_lost(&self) -> bool {
        self.is_current_lost() || self.complete.is_some_and(|complete| self.is_lost_in(complete))
    }

    /// Whether bytes that a reader would take are lost: who saves the file again begins with bytes of which none are.
    pub(in crate::worktree) fn is_current_lost(&self) -> bool {
        self.is_lost_in(self.current)
    }

    fn is_lost_in(&self, content: Content) -> bool {
        self.lost.is_some() && content.staging() == self.lost
    }

    /// What a power cut would leave under the file's name.
    pub(super) fn after_power_cut(&self) -> Option<Safe> {
        let is_doubted = !self.sure
            && self.safe.is_some_and(|safe| {
                self.complete.is_some_and(|complete| complete.staging() == safe.content.staging())
            });
        if is_doubted { self.replaced.or(self.safe) } else { self.safe }
    }

    /// The staging file with bytes that are durable, in a version that is not known to be, if the name may yet go back to
    /// what was there before.
    pub(super) fn unsure_of_name(&self) -> Option<StagingId> {
        self.replaced.and(self.safe)?.content.staging()
    }

    /// The staging files that hold its versions.
    pub(super) fn stagings(&self) -> impl Iterator<Item = StagingId> {
        let safe = [self.safe, self.replaced].map(|safe| safe.map(|safe| safe.content));
        let versions = [Some(self.current), self.complete, safe[0], safe[1]];
        versions.into_iter().flatten().filter_map(|content| content.staging())
    }

    /// It is being written in a staging file from now on.
    pub(in crate::worktree) fn open(&mut self, current: Content) {
        self.current = current;
        self.closed = None;
        // A journal of before may let a complete file be written on in place: what was complete is gone then.
        if self.complete.and_then(|content| content.staging()) == current.staging() {
            self.complete = None;
            self.safe = self.safe.map(|safe| Safe { complete: safe.content.staging().is_none(), ..safe });
        }
    }

    /// The bytes in a staging file are complete.
    pub(in crate::worktree) fn settle(&mut self, staging: StagingId, len: u64) {
        if self.current.staging() == Some(staging) {
            self.current = Content::Staged { staging, len };
            self.complete = Some(self.current);
            self.sure = false;
            self.closed = None;
        }
    }

    /// Whoever writes it in a staging file closed it, maybe not the last to do so, or was killed.
    pub(super) fn close(&mut self, staging: StagingId, closed: Option<Closed>) {
        if self.is_unsettled_in(staging) {
            self.closed = closed.map(Box::new);
        }
    }

    /// Whether it is being written in a staging file, or was when a writer ended in the middle of it.
    pub(in crate::worktree) fn is_unsettled_in(&self, staging: StagingId) -> bool {
        self.current.staging() == Some(staging) && !self.is_complete() && !self.is_current_lost()
    }

    /// The complete bytes of a staging file are in the store.
    pub(super) fn store(&mut self, staging: StagingId, stored: Content) {
        let is_staged = |content: Content| content.staging() == Some(staging);
        if !self.complete.is_some_and(is_staged) {
            return;
        }
        self.complete = Some(stored);
        self.sure = true;
        if is_staged(self.current) {
            self.current = stored;
        }
        // What is being written since may be durable already, and is newer.
        let newer = self.safe.filter(|safe| {
            safe.content.staging().is_some() && safe.content.staging() == self.current.staging()
        });
        if newer.is_none() {
            self.safe = Some(Safe { content: stored, complete: true });
            self.replaced = None;
        }
    }

    /// Bytes are durable, and the name stands for them from now on.
    pub(super) fn note_synced(&mut self, staging: StagingId, len: u64, complete: bool) {
        let is_complete = self.complete.and_then(|content| content.staging()) == Some(staging);
        if is_complete && complete {
            self.sure = true;
            // What is being written since may be durable already, and is newer.
            let newer = self.safe.filter(|safe| {
                safe.content.staging() == self.current.staging() && safe.content.staging() != Some(staging)
            });
            if newer.is_none() {
                self.safe = self.complete.map(|content| Safe { content, complete });
                self.replaced = None;
            }
        } else if self.current.staging() == Some(staging) && !(is_complete && self.sure) {
            self.safe = Some(Safe { content: Content::Staged { staging, len }, complete: false });
            self.replaced = None;
        }
    }

    /// Goes back behind what the machine may not have written: to the last version that is durable, or, where there is
    /// none, to a file that was never complete.
    pub(super) fn doubt(&mut self, staging: StagingId) {
        let is_staged = |content: Content| content.staging() == Some(staging);
        self.replaced = self.replaced.filter(|safe| !is_staged(safe.content));
        if self.safe.is_some_and(|safe| is_staged(safe.content)) && self.replaced.is_some() {
            self.safe = self.replaced.take();
        }
        let fallback = self.safe.filter(|safe| !is_staged(safe.content));
        if self.complete.is_some_and(is_staged) {
            self.complete = fallback.filter(|safe| safe.complete).map(|safe| safe.content);
            self.sure = self.complete.is_some();
        }
        if let Some(safe) = fallback
            && is_staged(self.current)
        {
            self.current = safe.content;
        }
    }

    /// It takes the name of a file of which a power cut would leave `before`: after one, the name leads to the old bytes or
    /// to the new ones. What was synced of the new ones is not forgotten: with the rest they are a version that is durable,
    /// and once the folder is synced too they are what the name leads to.
    pub(super) fn inherit(&mut self, before: Safe) {
        match self.safe {
            None => self.safe = Some(before),
            Some(Safe { complete: false, .. }) => self.replaced = Some(before),
            Some(Safe { complete: true, .. }) => {}
        }
    }

    /// Whether so many bytes of what is or was being written in a staging file are durable.
    pub(in crate::worktree) fn is_synced(&self, staging: StagingId, len: u64) -> bool {
        self.safe.is_some_and(|safe| safe.content == Content::Staged { staging, len })
    }

    /// The length of the complete version, if that is in a staging file.
    pub(in crate::worktree) fn complete_len_in(&self, staging: StagingId) -> Option<u64> {
        match self.complete {
            Some(Content::Staged { staging: complete, len }) if complete == staging => Some(len),
            _ => None,
        }
    }

    /// Whether a power cut would bring back what a staging file has.
    pub(in crate::worktree) fn is_safe_in(&self, staging: StagingId) -> bool {
        let safe = [self.safe, self.replaced].into_iter().flatten();
        safe.filter_map(|safe| safe.content.staging()).any(|safe| safe == staging)
    }

    /// Whether something would change if the bytes in a staging file were doubted: they count as complete, or there is a
    /// durable version to go back to.
    pub(in crate::worktree) fn is_believed_in(&self, staging: StagingId) -> bool {
        self.complete.and_then(|content| content.staging()) == Some(staging) || self.safe.is_some()
    }

    /// Whether every version that is in a staging file is known to be durable.
    pub(in crate::worktree) fn is_durable_in(&self, staging: StagingId) -> bool {
        match self.complete.and_then(|content| content.staging()) == Some(staging) {
            true => self.is_sure(),
            false => [self.safe, self.replaced]
                .iter()
                .flatten()
                .any(|safe| safe.content.staging() == Some(staging)),
        }
    }
}
