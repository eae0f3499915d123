//! Where a command runs, asked of this process; and what the workspace has to tell, in words.

use super::error::{CommandError, Result};
use super::output::note;
use super::quote;
use super::signals::Signals;
use super::when;
use crate::config::Config;
use crate::disk::{Disk, StoppableDisk};
use crate::history::{BranchName, Revisions};
use crate::task::Task;
use crate::units::Timestamp;
use crate::workspace::{Heard, OpenedWorktree, Surroundings, Workspace};
use crate::worktree::{Interrupted, Worktree};
use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The surroundings of a command.
pub struct Context {
    surroundings: Surroundings,
    /// Whether the command only looks: settings that do not hold are no reason not to then.
    only_looks: bool,
}

/// A repository, and the place in it that a command runs at.
pub struct Place(Workspace);

impl Deref for Context {
    type Target = Surroundings;

    fn deref(&self) -> &Surroundings {
        &self.surroundings
    }
}

impl Deref for Place {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.0
    }
}

impl Context {
    /// The surroundings of this process, or of one that was started in these directories, each in the one before.
    pub fn new(directories: Vec<PathBuf>, only_looks: bool) -> Result<Self> {
        let cwd = std::env::current_dir().map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                CommandError::new("the current folder is gone: it was removed, or its branch was")
                    .hint("`cd` to a folder that is there; nothing was done")
            }
            _ => CommandError::new(format!("cannot tell the current folder: {error}")),
        })?;
        let cwd = directories.into_iter().try_fold(cwd, |cwd, directory| {
            let there = cwd.join(&directory).canonicalize().and_then(|there| match there.is_dir() {
                true => Ok(there),
                false => Err(ErrorKind::NotADirectory.into()),
            });
            there.map_err(|error| {
                CommandError::new(format!("cannot go to `{}`: {error}", directory.display()))
            })
        })?;
        let now = Timestamp::from(SystemTime::now());
        let (variables, offset_minutes) = (std::env::vars_os().collect(), when::local_offset(now));
        Ok(Self { surroundings: Surroundings { cwd, variables, now, offset_minutes }, only_looks })
    }

    /// Opens the repository at or above the current folder.
    pub fn open(&self) -> Result<Place> {
        let workspace = Workspace::open_on(disk(), &self.surroundings)?;
        quote::stand_in(workspace.paths().here());
        self.heed(&workspace.config, Some(workspace.repo.root()))?;
        Ok(Place(workspace))
    }

    /// The same without a word, if there is one.
    pub fn open_quietly(&self) -> Option<Place> {
        Workspace::open_on(disk(), &self.surroundings).ok().map(Place)
    }

    /// Tells of settings that do not hold. Of one that has no meaning a command that changes something makes nothing: what
    /// somebody wanted of it is not known.
    pub fn heed(&self, config: &Config, root: Option<&Path>) -> Result<()> {
        for trouble in config.troubles() {
            let (error, file) = (&trouble.error, self.settings_file(trouble.origin, root));
            let place =
                file.as_ref().map_or("the environment".to_owned(), |file| format!("`{}`", file.display()));
            match (trouble.is_stranger(), self.only_looks) {
                (true, _) => note(format!("{error}, in {place}: `coral config unset` takes it out")),
                (false, true) => note(format!("{error}, in {place}: it is passed over")),
                (false, false) => {
                    let hint = match file {
                        Some(_) => format!("it is in {place}; `coral config edit` opens that"),
                        None => format!("it is in {place}; commands that change nothing pass it over"),
                    };
                    return Err(CommandError::from(error.clone()).hint(hint));
                }
            }
        }
        Ok(())
    }
}

/// The operating system's disk; who waits for a lock ends when a signal that is caught came.
pub fn disk() -> Arc<dyn Disk> {
    Arc::new(StoppableDisk::new(Arc::new(Signals::heard())))
}

impl Place {
    /// The worktree of a branch, as it is after whatever a mount of it has under way; names what a mount that died
    /// left unfinished.
    pub fn worktree(&self, branch: &BranchName) -> Result<Worktree> {
        let OpenedWorktree { worktree, interrupted } = self.0.worktree(branch)?;
        for Interrupted { path, now } in interrupted {
            note(format!("`{path}` {}", now.told()));
        }
        Ok(worktree)
    }

    /// Tells of names that mean something else as well, and of logs that do not go back so far. That it cannot be told is no
    /// reason to fail.
    pub fn heed_names<'t>(&self, texts: impl IntoIterator<Item = &'t str>) {
        for text in texts {
            let begins = Revisions::of(&self.0.repo).begins_later(text, self.0.now());
            if let Ok(Some((of, first))) = begins {
                let date = when::date(first, when::local_offset(first));
                note(format!("the log of `{of}` begins at {date}: `{text}` is where it was then"));
            }
            for other in Revisions::of(&self.0.repo).other_meanings(text).unwrap_or_default() {
                note(format!(
                    "`{text}` is ambiguous: here it is the ref of that name, `{other}` is something else"
                ));
            }
        }
    }

    /// Lets mounts of the repository show at once what a command changed.
    pub fn announce(&self) {
        say_heard(&self.0.mounts().announce());
    }

    /// Lets mounts finish with files that were closed just now.
    pub fn settle(&self) {
        say_heard(&self.0.mounts().settle());
    }

    /// Lets mounts make way for a commit; whether there is one, which goes on with its files afterwards.
    pub fn begin_commit(&self) -> bool {
        let heard = self.0.mounts().begin_commit();
        say_heard(&heard);
        heard.answered > 0
    }

    /// Lets mounts of the repository finish taking in what was saved.
    pub fn drain(&self, task: &Task) {
        say_heard(&self.0.mounts().drain(task));
    }
}

/// Says what mounts said, and which said nothing.
pub fn say_heard(heard: &Heard) {
    for process in &heard.silent {
        note(format!(
            "the mount served by process {process} does not answer, and was not waited for any longer"
        ));
    }
    for trouble in &heard.troubles {
        note(format!("a mount of this repository says: {trouble}"));
    }
}
