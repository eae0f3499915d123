//! A worktree as a whole: deleting it, setting it aside, giving it to another branch.

use super::cut::say_all_closes;
use super::error::Result;
use super::worktree::{Worktree, place};
use crate::disk::{self, Disk, Patience};
use crate::history::{BranchName, Repo};
use crate::random::unpredictable;
use std::path::{Path, PathBuf};

/// Does something while nobody but this thread changes a worktree, however often it does so meanwhile.
pub(super) fn change_alone<T>(worktree: &Worktree, act: impl FnOnce() -> Result<T>) -> Result<T> {
    worktree.change_unlocked(|| {
        let _turn = worktree.still_for.begin();
        act()
    })
}

/// Does something with a worktree that nobody else changes meanwhile; whoever wants to, waits, so that it must not take long.
/// A file that is closed then still passes for one that is being written: of those the bytes have to be taken that they have.
///
/// # Errors
/// If somebody else does not let go of it.
pub fn while_still<T>(worktree: &Worktree, act: impl FnOnce() -> T) -> Result<T> {
    say_all_closes(worktree);
    change_alone(worktree, || Ok(act()))
}

/// The worktree of a branch in which nothing changes as long as this lives.
pub(super) struct Still {
    repo: Repo,
    branch: BranchName,
    dir: PathBuf,
    _lock: Box<dyn Send + Sync>,
}

impl Still {
    /// Waits for changes that are under way; `None` if the branch has no worktree.
    pub(super) fn hold(repo: &Repo, branch: &BranchName) -> Result<Option<Self>> {
        let dir = place(repo, branch).dir;
        if repo.disk().stat(&dir)?.is_none() {
            return Ok(None);
        }
        match repo.disk().lock(&dir.join("lock"), true, Patience::BRIEF) {
            Ok(lock) => {
                Ok(lock.map(|lock| Self { repo: repo.clone(), branch: branch.clone(), dir, _lock: lock }))
            }
            // Somebody else deleted it a moment ago.
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes it from the disk, in one step for who looks. Who has it open gets [`Replaced`](super::error::Error::Replaced) from then on.
    pub(super) fn delete(self) -> Result<()> {
        let disk = self.repo.disk();
        let all = self.repo.root().join("worktrees");
        let deleted = all.join(format!("{DELETED}{:016x}", unpredictable() as u64));
        disk.rename(&self.dir, &deleted)?;
        disk.sync_dir(&all)?;
        // It is gone; what is left of it takes room, and the next deletion tries again.
        let leftovers = disk.list(&all)?.into_iter().filter(|name| name.starts_with(DELETED));
        leftovers.for_each(|name| drop(remove_folder(&**disk, &all.join(name))));
        Ok(())
    }

    /// Moves it into `quarantine/`, durably, and tells where it is now.
    pub(super) fn set_aside(self) -> Result<PathBuf> {
        let (disk, root) = (self.repo.disk(), self.repo.root());
        let quarantine = root.join("quarantine");
        disk.create_dir_all(&quarantine)?;
        disk.sync_dir(root)?;
        let taken = disk.list(&quarantine)?;
        let name = |n: u32| format!("worktree-{}.{n}", self.branch.escaped());
        let free = (1..).map(name).find(|name| !taken.contains(name)).expect("numbers do not end");
        let to = quarantine.join(free);
        self.move_to(&to)?;
        Ok(to)
    }

    /// Gives it to another branch, which has none, durably.
    pub(super) fn give_to(self, branch: &BranchName) -> Result<()> {
        self.move_to(&place(&self.repo, branch).dir)
    }

    fn move_to(&self, to: &Path) -> Result<()> {
        let (disk, from) = (self.repo.disk(), &self.dir);
        disk.rename(from, to)?;
        let mut folders = [to, from].into_iter().filter_map(Path::parent);
        let synced = folders.try_for_each(|folder| disk.sync_dir(folder));
        if synced.is_err() {
            // An error means that nothing has changed. If this fails too, the disk is not to be helped.
            let _ = disk.rename(to, from);
        }
        Ok(synced?)
    }
}

/// The start of the names of worktrees that were deleted; no branch can have it.
const DELETED: &str = ".deleted-";

/// Removes the folder of a worktree: files, and one folder of files.
fn remove_folder(disk: &dyn Disk, dir: &Path) -> disk::Result<()> {
    let staged = dir.join("staged");
    if disk.stat(&staged)?.is_some() {
        disk.list(&staged)?.iter().try_for_each(|name| disk.remove_file(&staged.join(name)))?;
        disk.remove_dir(&staged)?;
    }
    disk.list(dir)?.iter().try_for_each(|name| disk.remove_file(&dir.join(name)))?;
    disk.remove_dir(dir)
}
