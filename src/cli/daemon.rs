//! What commands ask of a mount daemon. Nothing here is needed for correctness: a dead daemon costs nothing, a hung one
//! a few seconds, once a command.

use super::output::note;
use crate::daemons::{Answer, Daemons, Request};
use crate::task::Task;
use std::path::Path;

/// A process runs one command: who hangs is waited for once.
static DAEMONS: Daemons = Daemons::new();

/// Every living daemon's answer.
pub fn ask(root: &Path, request: Request, task: &Task) -> Vec<Answer> {
    let known = DAEMONS.silent();
    let answers = DAEMONS.ask_all(&root.join("run"), request, task).unwrap_or_default();
    for process in DAEMONS.silent().into_iter().filter(|process| !known.contains(process)) {
        note(format!(
            "the mount served by process {process} does not answer, and was not waited for any longer"
        ));
    }
    answers
}

/// Lets mounts look at the repository again.
pub fn refresh(root: &Path) {
    say_troubles(ask(root, Request::Refresh, &Task::default()));
}

/// Lets mounts finish with files that were closed just now.
pub fn settle(root: &Path) {
    say_troubles(ask(root, Request::Settle, &Task::default()));
}

/// Lets mounts store what is settled, which may take long.
pub fn drain(root: &Path, task: &Task) {
    say_troubles(ask(root, Request::Drain, task));
}

fn say_troubles(answers: Vec<Answer>) {
    for trouble in answers.into_iter().filter_map(Result::err) {
        note(format!("a mount of this repository says: {trouble}"));
    }
}
