//! Committing checkpoints as they are completed: the thread that does what `checkpoint` decides.
//!
//! A commit takes the whole worktree as it is at one instant, as any other: what is still being written stands in it as it was
//! before. Whoever reads the branch sees all of a commit or nothing of it. What cannot be committed is told in the log and
//! tried again when more happens; what waits when the mount ends is committed then.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::checkpoint::{Due, Facts, Policy, STATE_FILES, message};
use crate::history::{BranchName, TreePath};
use crate::worktree;

use super::auto_events::Told;
use super::command::Commands;
use super::errno::{Error, Result};
use super::file_system::FileSystem;
use super::settings::AutoCommitSettings;
use super::superblock::Superblock;
use super::workers::shielded;
use super::worktrees::OpenWorktree;

/// Longer files tell nothing of a checkpoint, in bytes.
const FACTS_MAX: u64 = 16 << 20;

/// Starts the thread. It ends with the file system.
///
/// # Errors
/// If no thread can be started.
pub(super) fn start(core: &Arc<FileSystem>, settings: AutoCommitSettings) -> io::Result<()> {
    let Some(told) = core.shared.auto_events.listen() else { return Ok(()) };
    core.shared.auto_status.begin(settings.when);
    let agent =
        Agent { core: Arc::downgrade(core), settings, policies: BTreeMap::new(), began: Instant::now() };
    thread::Builder::new().name("auto-commit".into()).spawn(move || agent.run(&told)).map(drop)
}

struct Agent {
    core: Weak<FileSystem>,
    settings: AutoCommitSettings,
    policies: BTreeMap<BranchName, Policy>,
    began: Instant,
}

impl Agent {
    fn run(mut self, told: &Receiver<Told>) {
        loop {
            let next = self.policies.values().filter_map(Policy::next).min();
            let wait = next.map_or(Duration::MAX, |next| next.saturating_sub(self.began.elapsed()));
            // All that happened until now, which is what a commit takes: it is called after the last of it.
            let mut next = told.recv_timeout(wait);
            let mut known = told.len();
            while let Ok(Told::Event(branch, event)) = next {
                let new = || Policy::new(self.settings.when, &self.settings.paths);
                self.policies.entry(branch).or_insert_with(new).hear(&event, self.began.elapsed());
                if known == 0 {
                    next = Err(RecvTimeoutError::Timeout);
                    break;
                }
                known -= 1;
                next = told.recv_timeout(Duration::ZERO);
            }
            match next {
                Ok(Told::End(asker)) => {
                    self.commit_due(Policy::take_all);
                    drop(asker);
                }
                Ok(Told::Event(..)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.began.elapsed();
            self.commit_due(|policy| policy.take_due(now));
            self.tell_what_waits();
        }
    }

    fn tell_what_waits(&self) {
        let Some(core) = self.core.upgrade() else { return };
        let waiting = self.policies.iter().flat_map(|(branch, policy)| {
            policy.waiting().map(move |(folder, by, is_written)| {
                let place = if folder.is_empty() { by } else { folder };
                let why = if is_written { "somebody writes there still" } else { "more may come" };
                format!("{place} on {branch}, {why}")
            })
        });
        core.shared.auto_status.wait_for(waiting.collect());
    }

    fn commit_due(&mut self, take: impl Fn(&mut Policy) -> Vec<Due>) {
        for (branch, policy) in &mut self.policies {
            let due = take(policy);
            let Some(core) = self.core.upgrade().filter(|_| !due.is_empty()) else { continue };
            let (shared, settings) = (&core.shared, &self.settings);
            shielded(|| match commit(shared, settings, branch, &due) {
                // Another commit was faster, or what was written is what was there.
                Ok(()) | Err(Error::Worktree(worktree::Error::NothingToCommit { .. })) => {}
                Err(error) => {
                    let what = format!("a checkpoint of {branch} was not committed: {error}");
                    shared.auto_status.failed(shared.now(), what.clone());
                    shared.log.line(shared.now(), what);
                }
            });
        }
    }
}

fn commit(
    shared: &Superblock,
    settings: &AutoCommitSettings,
    branch: &BranchName,
    due: &[Due],
) -> Result<()> {
    let worktree = shared.worktrees.open(branch)?;
    let known: Vec<_> = due.iter().map(|due| known_of(&worktree, due)).collect();
    drop(worktree);
    // The commit has all of them.
    let is_best = known.iter().any(|(_, facts)| facts.is_best);
    // Of several the latest one counts.
    let Some((name, facts)) = known.into_iter().max_by_key(|(_, facts)| facts.step) else { return Ok(()) };
    let text = message(&settings.message, &name, &facts);
    let commands = Commands::of(shared);
    let id = commands.commit_checkpoint(branch, text, facts.values)?;
    let best = settings.tag_best.as_ref().filter(|_| is_best);
    for tag in settings.tag_last.iter().chain(best) {
        if let Err(error) = commands.move_tag(tag, id) {
            let what = format!("the tag {tag} was not moved to {id}: {error}");
            shared.auto_status.failed(shared.now(), what.clone());
            shared.log.line(shared.now(), what);
        }
    }
    let what = format!("{name} on {branch} as {id}");
    shared.log.line(shared.now(), format_args!("committed {what}"));
    shared.auto_status.committed(shared.now(), what);
    Ok(())
}

/// What a checkpoint is called, and what it says of itself.
fn known_of(worktree: &OpenWorktree, due: &Due) -> (String, Facts) {
    let parent = due.by.rsplit_once('/').map_or("", |(parent, _)| parent);
    let folder = if due.folder.is_empty() { parent } else { &due.folder };
    let name = if folder.is_empty() { &due.by } else { folder };
    let last = name.rsplit('/').next().unwrap_or_default();
    let mut facts = Facts::of_name(last);
    if facts.step.is_none() {
        facts = Facts::of_name(due.by.rsplit('/').next().unwrap_or_default());
    }
    for file in STATE_FILES {
        let path = if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
        // What cannot be read says nothing; the checkpoint is committed all the same.
        if let Ok(Some(text)) = read(worktree, &path) {
            facts.add(file, &text, last);
        }
    }
    (name.to_owned(), facts)
}

fn read(worktree: &OpenWorktree, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(node) = worktree.names().resolve(&TreePath::parse(path.as_bytes())?)? else { return Ok(None) };
    let known = worktree.names().attributes(node)?;
    if known.kind != worktree::Kind::File || known.len > FACTS_MAX {
        return Ok(None);
    }
    let mut text = vec![0; known.len as usize];
    let len = worktree.staging().read_at(node, 0, &mut text)?;
    text.truncate(len);
    Ok(Some(text))
}
