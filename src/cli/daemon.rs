//! What commands ask of a mount daemon. Nothing here is needed for correctness: a dead daemon costs nothing, a hung one
//! a few seconds.

use super::output::note;
use crate::fs::{Answer, Request, ask_all};
use std::path::Path;

/// Every living daemon's answer.
pub fn ask(root: &Path, request: Request) -> Vec<Answer> {
    ask_all(&root.join("run"), request).unwrap_or_default()
}

/// Lets mounts look at the repository again.
pub fn refresh(root: &Path) {
    say_troubles(ask(root, Request::Refresh));
}

/// Lets mounts store what is settled.
pub fn drain(root: &Path) {
    say_troubles(ask(root, Request::Drain));
}

fn say_troubles(answers: Vec<Answer>) {
    for trouble in answers.into_iter().filter_map(Result::err) {
        note(format!("a mount of this repository says: {trouble}"));
    }
}
