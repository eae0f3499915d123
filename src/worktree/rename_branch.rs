//! A branch under another name, with its worktree.

use super::branches::Branches;
use super::error::{Error, Result};
use super::still::Still;
use super::warning::Warning;
use crate::history::{self, BranchName, Head, LogEntry, Signature};

impl Branches<'_> {
    /// Gives a branch another name: HEAD and its worktree go along, and its log stays under the old one. Before its first
    /// commit there is nothing to move but these.
    ///
    /// # Errors
    /// [`RefExists`](history::Error::RefExists) if there is one of that name, [`UnknownRef`](history::Error::UnknownRef). After an
    /// error nothing has changed.
    pub fn rename(&self, from: &BranchName, to: &BranchName, who: &Signature) -> Result<Vec<Warning>> {
        let commit = self.repo.refs().existing_branch(from)?;
        if from == to {
            return Ok(Vec::new());
        }
        if self.repo.refs().branch(to)?.is_some() {
            return Err(history::Error::RefExists { kind: BranchName::KIND, name: to.to_string() }.into());
        }
        let mut warnings = Vec::new();
        let aside = Still::hold(self.repo, to)?.map(Still::set_aside).transpose()?;
        warnings.extend(aside.map(|path| Warning::SetAside { branch: to.clone(), path }));
        // From here on nobody saves into it.
        let still = Still::hold(self.repo, from)?;
        let entry = LogEntry { who: who.clone(), message: format!("branch: renamed {from} to {to}") };
        let durable = self.repo.store().durable(commit)?;
        let mut transaction = self.repo.refs().transaction()?;
        if self.repo.refs().head()? == Head::Branch(from.clone()) {
            transaction.set_head(&Head::Branch(to.clone()), who)?;
        }
        // A name may be a folder of the other.
        transaction.delete_branch(from, commit, &entry)?;
        transaction.update_branch(to, None, durable, &entry)?;
        warnings.extend(transaction.commit()?.into_iter().map(Warning::from));
        if let Some(Err(error)) = still.map(|still| still.give_to(to)) {
            let source: Box<Error> = Box::new(error);
            warnings.push(Warning::Worktree { branch: to.clone(), source });
        }
        Ok(warnings)
    }
}
