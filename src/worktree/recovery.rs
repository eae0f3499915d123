//! Taking over a worktree whose last users are gone: what is believed of what they left, and what is set aside.
//!
//! Processes that may write into files hold the lock file `tenants` shared. Who gets it alone knows that nobody is at
//! work. A process that died costs nothing that was closed: the machine still has its bytes. A machine that stopped, or a
//! disk that went away and came back, may have lost whatever was not synced; what happened, the journal tells by the run
//! of the machine and of the file system that it was written in. Nothing is deleted that no record gave up: it goes to
//! `quarantine/`.

use super::closed::complete_closed;
use super::error::{Error, Result};
use super::generation::make_quarantine;
use super::interrupted::{Fallback, Interrupted};
use super::nodes::Body;
use super::record::Record;
use super::state::State;
use super::tenant::Tenant;
use super::worktree::{Worktree, base_among};
use crate::disk::{self, Disk, Patience};
use crate::history::{Entry, Node, TreePath};
use crate::id::StagingId;
use crate::random::unpredictable;
use std::collections::HashSet;
use std::path::Path;

impl Tenant {
    /// Becomes one of those who may write into files of a worktree, as long as the result lives. Recovers first if nobody
    /// else is.
    ///
    /// # Errors
    /// If another process holds the worktree alone for too long; [`Error::Replaced`] if the worktree was deleted.
    pub fn adopt(worktree: Worktree) -> Result<(Self, Vec<Interrupted>)> {
        let mut recovered = worktree.recover_if_abandoned()?;
        loop {
            // Somebody who only looks holds it alone for a moment; without it, that one would take this process for dead.
            let tenancy = share(&worktree)?;
            if is_recovered(&worktree)? {
                return Ok((Self::new(worktree, tenancy), recovered));
            }
            drop(tenancy);
            // Who was recovering it ended before that was done.
            match Recovery::begin(&worktree, Patience::BRIEF)? {
                Some(recovery) => match recovery.run() {
                    // Everything can be looked at, and every write says so itself.
                    Err(error) if is_read_only(&error) => break,
                    found => recovered.extend(found?),
                },
                None => break,
            }
        }
        let tenancy = share(&worktree)?;
        Ok((Self::new(worktree, tenancy), recovered))
    }
}

impl Worktree {
    /// Recovers what others left if no living process may write into files here.
    pub fn recover_if_abandoned(&self) -> Result<Vec<Interrupted>> {
        let recovered = match Recovery::begin(self, Patience::Try) {
            Ok(Some(recovery)) => recovery.run(),
            Ok(None) => return Ok(Vec::new()),
            Err(error) => Err(error),
        };
        match recovered {
            Err(error) if is_read_only(&error) => Ok(Vec::new()),
            recovered => recovered,
        }
    }
}

/// Whether somebody recovered a worktree in this run.
fn is_recovered(worktree: &Worktree) -> Result<bool> {
    let run = worktree.repo().disk().run(&worktree.dir);
    worktree.read(|state| Ok(state.nodes.run.is_some_and(|last| run.is_same(&last))))
}

/// Becomes one of those who may write into files.
fn share(worktree: &Worktree) -> Result<Box<dyn Send + Sync>> {
    let tenancy = lock_tenants(worktree, false, Patience::BRIEF)?;
    tenancy.ok_or_else(|| Error::Replaced(worktree.dir.clone()))
}

fn lock_tenants(
    worktree: &Worktree,
    alone: bool,
    patience: Patience,
) -> Result<Option<Box<dyn Send + Sync>>> {
    worktree.repo().disk().lock(&worktree.dir.join("tenants"), alone, patience).map_err(|error| {
        match error.is_absence() {
            true => Error::Replaced(worktree.dir.clone()),
            false => error.into(),
        }
    })
}

/// One who is alone in a worktree, and takes over what others left there.
struct Recovery<'a> {
    worktree: &'a Worktree,
    _alone: Box<dyn Send + Sync>,
}

impl<'a> Recovery<'a> {
    /// `None` while others may write into files.
    fn begin(worktree: &'a Worktree, patience: Patience) -> Result<Option<Self>> {
        let alone = lock_tenants(worktree, true, patience)?;
        Ok(alone.map(|alone| Self { worktree, _alone: alone }))
    }

    /// That it was done is the last word of it: who comes after one that was cut short does it again.
    fn run(&self) -> Result<Vec<Interrupted>> {
        let mut interrupted = match self.is_after_an_end()? {
            true => Vec::new(),
            false => complete_closed(self.worktree)?,
        };
        let doubted = self.in_doubt()?;
        if !doubted.is_empty() {
            self.worktree.change(|state| {
                for staging in doubted {
                    interrupted.extend(self.doubt(state, staging)?);
                }
                Ok(())
            })?;
            self.worktree.sync_records()?;
        }
        self.sweep()?;
        self.note_run()?;
        interrupted.sort();
        Ok(interrupted)
    }

    /// Says in which run everything that comes is done, unless that was said, and at least as exactly.
    fn note_run(&self) -> Result<()> {
        let run = self.worktree.repo().disk().run(&self.worktree.dir);
        let last = self.worktree.read(|state| Ok(state.nodes.run))?;
        match last {
            Some(last) if run.is_same(&last) && (last.mount.is_some() || run.mount.is_none()) => Ok(()),
            Some(_) | None => {
                self.worktree.change(|state| state.append(self.worktree.repo(), Record::Run { run }))
            }
        }
    }

    /// Whether the machine stopped, or the disk went away, since somebody last wrote here.
    fn is_after_an_end(&self) -> Result<bool> {
        let run = self.worktree.repo().disk().run(&self.worktree.dir);
        self.worktree
            .read(|state| Ok(state.nodes.run.is_none_or(|last| !run.keeps_what_was_written_in(&last))))
    }

    /// The staging files whose bytes may not have reached the disk before the machine stopped or the disk went away.
    fn in_doubt(&self) -> Result<Vec<StagingId>> {
        let run = self.worktree.repo().disk().run(&self.worktree.dir);
        self.worktree.read(|state| {
            let ended = state.nodes.run.is_some_and(|last| !run.keeps_what_was_written_in(&last));
            let mut doubted = Vec::new();
            let stagings: Vec<StagingId> = state.nodes.stagings().collect();
            for staging in stagings {
                let Some((_, file)) = state.nodes.file_of(staging) else { continue };
                let Some(stat) = self.worktree.repo().disk().stat(&self.worktree.staging().path(staging))?
                else {
                    doubted.push(staging);
                    continue;
                };
                // Where nobody tells of the end of a run, a length that does not fit is what one can know.
                let complete = file.complete_len_in(staging);
                let is_short = !file.is_durable_in(staging) && complete.is_some_and(|len| stat.len < len);
                let is_unlike = state.nodes.run.is_none() && complete.is_some_and(|len| stat.len != len);
                let is_unsynced = ended && !file.is_durable_in(staging) && file.is_believed_in(staging);
                if is_short || is_unlike || is_unsynced {
                    doubted.push(staging);
                }
            }
            doubted.sort();
            Ok(doubted)
        })
    }

    /// Takes back what a staging file was believed to hold.
    fn doubt(&self, state: &mut State, staging: StagingId) -> Result<Option<Interrupted>> {
        let Some((node, before)) = state.nodes.file_of(staging).map(|(node, file)| (node, file.clone()))
        else {
            return Ok(None);
        };
        if !state.nodes.is_linked(node) {
            return Ok(None);
        }
        state.append(self.worktree.repo(), Record::Doubted { staging })?;
        let path = state.nodes.path_of(node)?;
        let Body::File(after) = &state.nodes.get(node)?.body else { return Ok(None) };
        if after.current.staging() != Some(staging) {
            let changed = before.current != after.current || before.complete != after.complete;
            return Ok(changed.then_some(Interrupted { path, now: Fallback::LastDurable }));
        }
        if self.worktree.repo().disk().stat(&self.worktree.staging().path(staging))?.is_none() {
            self.fall_back(state, &path)?;
            return Ok(Some(Interrupted { path, now: Fallback::AsCommitted }));
        }
        let told = before.complete.and_then(|content| content.staging()) == Some(staging);
        Ok(told.then_some(Interrupted { path, now: Fallback::Incomplete }))
    }

    /// Brings back the file at a path as it is in the base; if that has none, the file goes.
    fn fall_back(&self, state: &mut State, path: &TreePath) -> Result<()> {
        let repo = self.worktree.repo();
        let node = state.nodes.resolve(path, repo)?.ok_or(Error::Stale)?;
        let at = state.nodes.get(node)?.attributes.modified;
        let base = base_among(repo, self.worktree.branch(), state.nodes.base, &state.nodes.announced)?;
        let committed = match base {
            Some(base) => self.worktree.repo().find_in_tree(self.worktree.repo().commit(base)?.tree, path)?,
            None => None,
        };
        let record = match committed {
            Some(Entry { attributes, node: node @ Node::File { .. }, .. }) => {
                Record::Put { path: path.clone(), attributes, node, at }
            }
            _ => Record::Remove { path: path.clone(), at },
        };
        state.append(self.worktree.repo(), record)
    }

    /// Takes away staging files that no node needs. Nobody is writing here.
    fn sweep(&self) -> Result<()> {
        let staged = self.worktree.staging().dir();
        let names = match self.worktree.repo().disk().list(&staged) {
            Err(error) if error.is_absence() => return Err(Error::Replaced(self.worktree.dir.clone())),
            names => names?,
        };
        let (needed, doubted, cut) = self.worktree.read(|state| {
            let needed: HashSet<String> = state.nodes.stagings().map(|staging| staging.to_string()).collect();
            let doubted: HashSet<String> =
                std::mem::take(&mut state.nodes.doubted).iter().map(ToString::to_string).collect();
            Ok((needed, doubted, state.journal.generation.was_cut()?))
        })?;
        let leftovers: Vec<String> = names.into_iter().filter(|name| !needed.contains(name)).collect();
        if leftovers.is_empty() {
            return Ok(());
        }
        let Some(_alone) =
            self.worktree.repo().disk().lock(&self.worktree.dir.join("holds"), true, Patience::Try)?
        else {
            return Ok(());
        };
        self.worktree.sync_records()?;
        for name in leftovers {
            // Where records were lost that may have named it, or its bytes may be of use, it is kept.
            match cut || doubted.contains(&name) {
                true => self.set_aside(&staged.join(&name), &name)?,
                false => self.worktree.repo().disk().remove_file(&staged.join(&name))?,
            }
        }
        let mut state = self.worktree.state();
        state.nodes.garbage.clear();
        state.freed.clear();
        Ok(())
    }

    fn set_aside(&self, path: &Path, name: &str) -> Result<()> {
        let prefix = self.worktree.state().journal.generation.aside_prefix();
        let aside = format!("{prefix}staged-{name}-{:08x}", unpredictable() as u32);
        let repo = self.worktree.repo();
        Ok(move_to_quarantine(&**repo.disk(), path, &repo.root().join("quarantine"), &aside)?)
    }
}

fn move_to_quarantine(disk: &dyn Disk, path: &Path, quarantine: &Path, name: &str) -> disk::Result<()> {
    make_quarantine(disk, quarantine)?;
    disk.rename(path, &quarantine.join(name))?;
    disk.sync_dir(quarantine)
}

fn is_read_only(error: &Error) -> bool {
    let code = error.disk().and_then(|error| error.source.raw_os_error());
    matches!(code, Some(libc::EROFS | libc::EACCES))
}
