//! The words for plain files that are not in the worktree as they are.

use crate::workspace::Around;

/// What there is, and how to take it, in words.
pub fn ways_in(around: &Around) -> Vec<String> {
    let files = |count: usize| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let mut ways = Vec::new();
    if !around.changed.is_empty() {
        let differ = if around.changed.len() == 1 { "differs" } else { "differ" };
        let count = files(around.changed.len());
        ways.push(format!(
            "{count} in this folder {differ} from the worktree: `coral add -u` takes what differs"
        ));
    }
    if around.new > 0 {
        let is = if around.new == 1 { "is" } else { "are" };
        ways.push(format!(
            "{} in this folder {is} not in the worktree: `coral add PATH` takes them",
            files(around.new)
        ));
    }
    ways
}
