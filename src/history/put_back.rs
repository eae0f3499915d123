//! Refs that say again what they said before an operation, or after it: all of them, or none.

use super::any_ref::AnyRef;
use super::commit::Signature;
use super::error::{Error, Result};
use super::operations::{Operation, message_of, stacks};
use super::ref_value::commit_of_text;
use super::reflog::LogEntry;
use super::repository::Repo;
use super::warning::Warning;

impl Operation {
    /// Takes it back, or does it again.
    ///
    /// # Errors
    /// [`Error::Overtaken`] if it is not the next one to be taken back, or done again, any more; [`Error::RefMoved`] if a ref is no
    /// longer where it was left; what the store says of a commit that is gone. Nothing has changed then.
    pub fn put_back(&self, repo: &Repo, is_undo: bool, who: &Signature) -> Result<Vec<Warning>> {
        // Files that were kept stay so.
        let is_kept = |which: &AnyRef| matches!(which, AnyRef::Tag(name) if name.is_kept());
        let changes = || self.changes.iter().filter(|change| !is_kept(&change.which));
        for change in changes() {
            let then = if is_undo { &change.from } else { &change.to };
            if let Some(commit) = commit_of_text(then.as_deref()) {
                repo.store().durable(commit)?;
            }
        }
        let entry = LogEntry { who: who.clone(), message: message_of(self, is_undo) };
        let mut transaction = repo.refs().transaction()?;
        // One that moved no ref would agree with whatever they say.
        let operations = repo.refs().logs().operations()?;
        let (undo, redo) = stacks(&operations);
        let next = if is_undo { undo.last() } else { redo.last() };
        if next.is_none_or(|next| next.number != self.number) {
            return Err(Error::Overtaken(self.number));
        }
        transaction.is_told_as(&entry);
        for change in changes() {
            transaction.put_back(change, is_undo, &entry)?;
        }
        transaction.commit()
    }
}
