//! When to commit: events in, what is due out.
//!
//! An instant is a time since some beginning, and comes with each event; it never goes back. A checkpoint that its program
//! completed is due at once, one that may be complete when nothing more happened in its folder for a while; both wait for
//! those who still write there, but not for ever: whoever keeps a file open stands in the commit as he was before.

use super::sentinel::{Says, closed, folder_of, moved, split};
use crate::history::glob;
use std::collections::BTreeMap;
use std::time::Duration;

/// After each change, where each is committed: what is done by one command comes together.
const TOGETHER: Duration = Duration::from_millis(200);
/// After what may be the last.
const PERHAPS: Duration = Duration::from_secs(2);
/// So long those are waited for who still write.
const WRITERS_MAX: Duration = Duration::from_secs(60);
/// So often it is looked whether they are done.
const AGAIN: Duration = Duration::from_millis(200);

/// On what a commit is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A checkpoint is complete, by what its program writes last.
    Sentinel,
    /// Nothing changed for so long.
    Quiet(Duration),
    /// A file was closed, moved or removed.
    Close,
}

/// What happened to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody opened it for writing.
    Opened {
        /// What tells the file apart whatever its name becomes: of a move it may be told after the end of its writer.
        file: u64,
        /// The file.
        path: String,
    },
    /// He closed it, and it is complete; or not, if he was killed.
    Closed {
        /// As it was when it was opened.
        file: u64,
        /// The file.
        path: String,
        /// Whether it is.
        complete: bool,
    },
    /// It got another name.
    Moved {
        /// The old one.
        from: String,
        /// The new one.
        to: String,
    },
    /// It is no more.
    Removed(String),
}

/// A commit that is to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The folder of the checkpoint; empty for the top.
    pub folder: String,
    /// The file or folder that said so; empty if it was time.
    pub by: String,
}

#[derive(Debug)]
struct Waiting {
    by: String,
    due: Duration,
    /// When it is due whoever still writes.
    latest: Duration,
    /// Whether anything that happens in the folder puts it off.
    is_put_off: bool,
}

/// What is known of one worktree.
#[derive(Debug)]
pub struct Policy {
    when: When,
    /// Which paths count: each is a list of names with `*`; all if there is none.
    paths: Vec<Vec<String>>,
    waiting: BTreeMap<String, Waiting>,
    /// Who writes: to which file, and where that is.
    writing: Vec<(u64, String)>,
}

impl Policy {
    /// Of a worktree in which nothing happened yet. `paths` are paths with `*` in them and blanks between them; only what is
    /// there or below counts. All counts if it is empty.
    pub fn new(when: When, paths: &str) -> Self {
        let names = |path: &str| path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let paths = paths.split_whitespace().map(names).collect();
        Self { when, paths, waiting: BTreeMap::new(), writing: Vec::new() }
    }

    /// Hears what happened.
    pub fn hear(&mut self, event: &Event, now: Duration) {
        self.count(event);
        let path = match event {
            Event::Opened { path, .. } | Event::Closed { path, .. } | Event::Removed(path) => path,
            Event::Moved { to, .. } => to,
        };
        if !self.is_of_interest(path) {
            return;
        }
        self.put_off(event, now);
        let (folder, says) = match (self.when, event) {
            (_, Event::Opened { .. } | Event::Closed { complete: false, .. }) => return,
            (When::Sentinel, Event::Closed { path, .. }) => (folder_of(None, path), closed(path)),
            (When::Sentinel, Event::Moved { from, to }) => (folder_of(Some(from), to), moved(from, to)),
            (When::Sentinel, Event::Removed(_)) => return,
            (When::Quiet(_), _) => ("", Says::Perhaps),
            (When::Close, _) => ("", Says::Complete),
        };
        if says != Says::Nothing {
            self.wait(folder.to_owned(), path.clone(), says, now);
        }
    }

    /// What waits: the folder of each checkpoint, what said so, and whether somebody writes there still.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let waiting = self.waiting.iter();
        waiting.map(|(folder, waiting)| (folder.as_str(), waiting.by.as_str(), self.is_written(folder)))
    }

    /// When something is due, if something waits.
    pub fn next(&self) -> Option<Duration> {
        self.waiting.values().map(|waiting| waiting.due).min()
    }

    /// What is due by now. It waits no longer then.
    pub fn take_due(&mut self, now: Duration) -> Vec<Due> {
        let mut due = Vec::new();
        for (folder, waiting) in std::mem::take(&mut self.waiting) {
            let is_written = self.is_written(&folder) && now < waiting.latest;
            if now < waiting.due {
                self.waiting.insert(folder, waiting);
            } else if is_written {
                self.waiting.insert(folder, Waiting { due: now.saturating_add(AGAIN), ..waiting });
            } else {
                due.push(Due { folder, by: waiting.by });
            }
        }
        due
    }

    /// All that waits, because nothing more will happen.
    pub fn take_all(&mut self) -> Vec<Due> {
        let all = std::mem::take(&mut self.waiting);
        all.into_iter().map(|(folder, waiting)| Due { folder, by: waiting.by }).collect()
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Opened { file, path } => self.writing.push((*file, path.clone())),
            Event::Closed { file, path, .. } => {
                // One of whose beginning nothing was told is known by its name.
                let by_file = self.writing.iter().position(|(written, _)| written == file);
                let found = by_file.or_else(|| self.writing.iter().position(|(_, written)| written == path));
                if let Some(found) = found {
                    self.writing.swap_remove(found);
                }
            }
            // A writer goes on under the new name, and its folder's writers as well.
            Event::Moved { from, to } => {
                let below = format!("{from}/");
                let is_moving = |path: &String| path == from || path.starts_with(&below);
                for (_, path) in self.writing.iter_mut().filter(|(_, path)| is_moving(path)) {
                    *path = format!("{to}{}", &path[from.len()..]);
                }
            }
            // What is closed after it was removed has no name.
            Event::Removed(path) => self.writing.retain(|(_, written)| written != path),
        }
    }

    /// What happens in a folder puts off what waits for quiet there, and a folder that goes takes along what waits for it.
    fn put_off(&mut self, event: &Event, now: Duration) {
        let touched: [Option<&str>; 2] = match event {
            Event::Opened { path, .. } | Event::Closed { path, .. } => [Some(split(path).0), None],
            Event::Moved { from, to } => {
                self.waiting.remove(from);
                [Some(split(from).0), Some(split(to).0)]
            }
            Event::Removed(path) => {
                self.waiting.remove(path);
                [Some(split(path).0), None]
            }
        };
        let delay = self.delay(Says::Perhaps);
        for (folder, waiting) in &mut self.waiting {
            let is_here = touched.contains(&Some(folder)) || matches!(self.when, When::Quiet(_));
            if waiting.is_put_off && is_here {
                waiting.due = now.saturating_add(delay);
                waiting.latest = waiting.due.saturating_add(WRITERS_MAX);
            }
        }
    }

    fn delay(&self, says: Says) -> Duration {
        match (self.when, says) {
            (When::Quiet(quiet), _) => quiet,
            (When::Sentinel, Says::Perhaps) => PERHAPS,
            // The next one may be saved over it.
            (When::Sentinel, _) => Duration::ZERO,
            (When::Close, _) => TOGETHER,
        }
    }

    fn wait(&mut self, folder: String, by: String, says: Says, now: Duration) {
        let due = now.saturating_add(self.delay(says));
        let new =
            Waiting { by, due, latest: due.saturating_add(WRITERS_MAX), is_put_off: says == Says::Perhaps };
        match self.waiting.get(&folder) {
            // What its program says is not taken back by what may be.
            Some(known) if !known.is_put_off && new.is_put_off => {}
            Some(_) | None => drop(self.waiting.insert(folder, new)),
        }
    }

    /// Whether somebody writes in a folder. Quiet is of everything.
    fn is_written(&self, folder: &str) -> bool {
        match self.when {
            When::Quiet(_) => !self.writing.is_empty(),
            When::Close => false,
            When::Sentinel => self.writing.iter().any(|(_, path)| split(path).0 == folder),
        }
    }

    fn is_of_interest(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        let has = |pattern: &Vec<String>| {
            pattern.len() <= names.len()
                && pattern.iter().zip(&names).all(|(pattern, name)| glob(pattern, name))
        };
        self.paths.is_empty() || self.paths.iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn number(path: &str) -> u64 {
        path.bytes().fold(7, |number, byte| number * 31 % 1_000_003 + u64::from(byte))
    }

    #[test]
    fn a_writer_whose_end_is_told_under_another_name_writes_no_more() {
        for events in [[0, 1], [1, 0]] {
            let mut policy = Policy::new(When::Sentinel, "");
            policy.hear(&Event::Opened { file: 1, path: "tmp/m.pt".into() }, SECOND);
            for event in events {
                let event = match event {
                    0 => Event::Moved { from: "tmp".into(), to: "out".into() },
                    _ => Event::Closed {
                        file: 1,
                        path: if events[0] == 0 { "tmp/m.pt" } else { "out/m.pt" }.into(),
                        complete: true,
                    },
                };
                policy.hear(&event, SECOND);
            }
            assert!(policy.writing.is_empty());
        }
    }

    fn closed(path: &str) -> Event {
        Event::Closed { file: number(path), path: path.into(), complete: true }
    }

    fn opened(path: &str) -> Event {
        Event::Opened { file: number(path), path: path.into() }
    }

    fn due(folder: &str, by: &str) -> Vec<Due> {
        vec![Due { folder: folder.into(), by: by.into() }]
    }

    #[test]
    fn a_checkpoint_of_a_trainer_is_due_once_when_its_state_is_written() {
        let mut policy = Policy::new(When::Sentinel, "");
        for name in ["model.safetensors", "optimizer.pt", "rng_state.pth"] {
            let path = format!("checkpoint-5/{name}");
            policy.hear(&opened(&path), SECOND);
            policy.hear(&closed(&path), SECOND);
        }
        assert_eq!((policy.next(), policy.take_due(9 * SECOND)), (None, vec![]));
        policy.hear(&opened("checkpoint-5/trainer_state.json"), 9 * SECOND);
        policy.hear(&closed("checkpoint-5/trainer_state.json"), 9 * SECOND);
        // The oldest one goes meanwhile, which puts nothing off.
        policy.hear(&Event::Removed("checkpoint-1/model.safetensors".into()), 9 * SECOND);
        assert_eq!(policy.next(), Some(9 * SECOND));
        assert_eq!(policy.take_due(9 * SECOND), due("checkpoint-5", "checkpoint-5/trainer_state.json"));
        assert_eq!((policy.next(), policy.take_due(99 * SECOND)), (None, vec![]));
    }

    #[test]
    fn what_may_be_complete_waits_for_quiet_in_its_folder() {
        let mut policy = Policy::new(When::Sentinel, "");
        policy.hear(&closed("m/a.safetensors"), SECOND);
        policy.hear(&opened("m/tokenizer.json"), 2 * SECOND);
        policy.hear(&closed("other/x"), 3 * SECOND);
        // Somebody writes: it waits on.
        assert_eq!(policy.take_due(5 * SECOND), []);
        policy.hear(&closed("m/tokenizer.json"), 6 * SECOND);
        assert_eq!(policy.take_due(7 * SECOND), []);
        assert_eq!(policy.take_due(8 * SECOND), due("m", "m/a.safetensors"));
    }

    #[test]
    fn who_never_closes_a_file_is_not_waited_for_for_ever() {
        let mut policy = Policy::new(When::Sentinel, "");
        policy.hear(&opened("events.log"), SECOND);
        policy.hear(&closed("m.gguf"), SECOND);
        assert_eq!(policy.take_due(SECOND + PERHAPS), []);
        assert_eq!(policy.take_due(SECOND + PERHAPS + WRITERS_MAX), due("", "m.gguf"));
    }

    #[test]
    fn a_folder_that_goes_takes_along_what_was_due() {
        let mut policy = Policy::new(When::Sentinel, "");
        policy.hear(&closed("checkpoint-5/trainer_state.json"), SECOND);
        policy.hear(&Event::Removed("checkpoint-5".into()), SECOND);
        assert_eq!(policy.next(), None);
        policy.hear(&closed("checkpoint-6/trainer_state.json"), SECOND);
        assert_eq!(policy.take_all(), due("checkpoint-6", "checkpoint-6/trainer_state.json"));
    }

    #[test]
    fn files_of_a_killed_program_complete_nothing() {
        for when in [When::Sentinel, When::Close, When::Quiet(SECOND)] {
            let mut policy = Policy::new(when, "");
            policy.hear(&opened("m.pt"), SECOND);
            policy
                .hear(&Event::Closed { file: number("m.pt"), path: "m.pt".into(), complete: false }, SECOND);
            assert_eq!(policy.next(), None);
        }
    }

    #[test]
    fn quiet_is_when_nothing_changes_anywhere() {
        let mut policy = Policy::new(When::Quiet(10 * SECOND), "");
        policy.hear(&closed("a"), SECOND);
        policy.hear(&Event::Removed("b/c".into()), 5 * SECOND);
        assert_eq!(policy.take_due(14 * SECOND), []);
        assert_eq!(policy.take_due(15 * SECOND), due("", "b/c"));
    }

    #[test]
    fn only_what_is_below_the_paths_counts() {
        let mut policy = Policy::new(When::Close, "runs/*/out  best");
        for path in ["runs/out/a", "runs/1/log", "bestest/a", "a"] {
            policy.hear(&closed(path), SECOND);
            assert_eq!(policy.next(), None, "{path}");
        }
        for path in ["runs/1/out/a", "best/a/b", "best"] {
            policy.hear(&closed(path), SECOND);
            assert_eq!(policy.take_due(2 * SECOND), due("", path));
        }
    }

    #[test]
    fn a_writer_is_counted_under_the_name_that_his_file_has() {
        let mut policy = Policy::new(When::Sentinel, "");
        policy.hear(&opened("tmp/a"), SECOND);
        policy.hear(&Event::Moved { from: "tmp".into(), to: "m".into() }, SECOND);
        policy.hear(&closed("m/x.ckpt"), SECOND);
        assert_eq!(policy.take_due(4 * SECOND), []);
        policy.hear(&closed("m/a"), 4 * SECOND);
        assert_eq!(policy.take_due(6 * SECOND), due("m", "m/x.ckpt"));
        assert!(policy.writing.is_empty());
    }

    proptest! {
        /// Whatever happens in whatever order: what waits is due in the end, once, and nothing is due twice.
        #[test]
        fn whatever_waits_is_due_in_the_end_and_once(
            events in proptest::collection::vec((0..5u8, 0..6usize, 0..6usize, 0..4000u64), 0..60),
            when in 0..3u8,
        ) {
            let paths = ["d/trainer_state.json", "d/m.pt", "m.gguf", "d", "e", "e/x"];
            let when = [When::Sentinel, When::Close, When::Quiet(SECOND)][usize::from(when)];
            let mut policy = Policy::new(when, "");
            let mut now = Duration::ZERO;
            for (kind, one, two, pause) in events {
                now += Duration::from_millis(pause);
                let (path, to) = (paths[one].to_owned(), paths[two].to_owned());
                policy.hear(&match kind {
                    0 => opened(&path),
                    1 => closed(&path),
                    2 => Event::Closed { file: number(&path), path, complete: false },
                    3 => Event::Moved { from: path, to },
                    _ => Event::Removed(path),
                }, now);
                prop_assert!(policy.next().is_none_or(|next| next <= now + WRITERS_MAX));
                policy.take_due(now);
            }
            let mut looks = 0;
            while let Some(next) = policy.next() {
                now = now.max(next);
                policy.take_due(now);
                looks += 1;
                prop_assert!(looks < 1000, "it waits for ever");
            }
            prop_assert_eq!(policy.take_due(now + WRITERS_MAX), vec![]);
        }
    }
}
