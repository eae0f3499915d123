//! Refs that say again what they said before an operation, or after it: all of them, or none.

use super::commit::Signature;
use super::error::Result;
use super::operations::{Operation, message_of};
use super::ref_value::commit_of_text;
use super::reflog::LogEntry;
use super::repository::Repo;
use super::warning::Warning;

impl Repo {
    /// Takes an operation back, or does it again.
    ///
    /// # Errors
    /// [`Error::RefMoved`](super::Error::RefMoved) if a ref is no longer where it was left, and what the store says of a commit
    /// that is gone. Nothing has changed then.
    pub fn put_back(&self, operation: &Operation, is_undo: bool, who: &Signature) -> Result<Vec<Warning>> {
        for change in &operation.changes {
            let then = if is_undo { &change.from } else { &change.to };
            if let Some(commit) = commit_of_text(then.as_deref()) {
                self.store().durable(commit)?;
            }
        }
        let entry = LogEntry { who: who.clone(), message: message_of(operation, is_undo) };
        let mut transaction = self.refs().transaction()?;
        for change in &operation.changes {
            transaction.put_back(change, is_undo, &entry)?;
        }
        transaction.commit()
    }
}
