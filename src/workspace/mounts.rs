//! Telling the mounts of a repository what changes, and what they say to it. Nothing here is needed for correctness: a
//! dead daemon costs nothing, a hung one a few seconds, once.

use crate::daemons::{Daemons, Request};
use crate::task::Task;
use std::path::Path;

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

/// Asks every mount that a repository has.
pub(super) fn ask(daemons: &Daemons, root: &Path, request: Request, task: &Task) -> Heard {
    let known = daemons.silent();
    let answers = daemons.ask_all(&root.join("run"), request, task).unwrap_or_default();
    let silent = daemons.silent().into_iter().filter(|process| !known.contains(process)).collect();
    let answered = answers.len();
    Heard { answered, silent, troubles: answers.into_iter().filter_map(Result::err).collect() }
}
