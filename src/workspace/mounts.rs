//! Telling the mounts of a repository what changes, and what they say to it. Nothing here is needed for correctness: a
//! dead daemon costs nothing, a hung one a few seconds, once.

use super::workspace::Workspace;
use crate::daemons::{Daemons, Request};
use crate::task::Task;
use crate::worktree::CloseListener;
use std::path::PathBuf;
use std::sync::Arc;

/// What came back from the mounts of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// How many mounts answered.
    pub answered: usize,
    /// Processes that serve a mount, do not answer, and are not waited for any longer. Each is named once.
    pub silent: Vec<u32>,
    /// What mounts tried and failed at.
    pub troubles: Vec<String>,
}

/// The mounts that show a repository.
#[derive(Debug, Clone, Copy)]
pub struct Mounts<'a>(pub(super) &'a Workspace);

impl Workspace {
    /// The mounts that show the repository.
    pub fn mounts(&self) -> Mounts<'_> {
        Mounts(self)
    }
}

impl Mounts<'_> {
    /// Lets mounts of the repository show at once what was changed.
    pub fn announce(&self) -> Heard {
        self.ask(Request::Refresh, &Task::default())
    }

    /// Lets mounts finish with files that were closed just now.
    pub fn settle(&self) -> Heard {
        self.ask(Request::Settle, &Task::default())
    }

    /// What the mounts hear of closes.
    pub(super) fn closings(&self) -> Arc<dyn CloseListener> {
        Arc::new(HeardCloses { daemons: Arc::clone(&self.0.daemons), run: self.run() })
    }

    /// Lets mounts finish with files that were closed just now, and leave what is done in the background for a commit that
    /// is made now.
    pub fn begin_commit(&self) -> Heard {
        self.ask(Request::GiveWay, &Task::default())
    }

    /// Lets mounts store what is settled, which may take long.
    pub fn drain(&self, task: &Task) -> Heard {
        self.ask(Request::Drain, task)
    }

    /// Asks every mount that the repository has.
    fn ask(&self, request: Request, task: &Task) -> Heard {
        let daemons = &self.0.daemons;
        let known = daemons.silent();
        let answers = daemons.ask_all(&self.run(), request, task).unwrap_or_default();
        let silent = daemons.silent().into_iter().filter(|process| !known.contains(process)).collect();
        let answered = answers.len();
        Heard { answered, silent, troubles: answers.into_iter().filter_map(Result::err).collect() }
    }

    /// Where their sockets are.
    fn run(&self) -> PathBuf {
        self.0.repo.root().join("run")
    }
}

/// Closes as the daemons of a repository hear of them.
struct HeardCloses {
    daemons: Arc<Daemons>,
    run: PathBuf,
}

impl CloseListener for HeardCloses {
    fn settle(&self) {
        // Who cannot be asked hears of nothing.
        let _ = self.daemons.ask_all(&self.run, Request::Settle, &Task::default());
    }
}
