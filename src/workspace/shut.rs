//! Why nobody can save into the worktree of somebody who has saved nothing.

use super::mounts::Mounts;
use crate::daemons::Mounted;
use crate::disk::may_write;
use std::path::{Path, PathBuf};

/// What keeps files out of the worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shut {
    /// The repository itself cannot be written.
    Repository,
    /// Nobody writes through the mount at this place: the one that he stands in, or all that there are.
    Mount(PathBuf),
}

impl Mounts<'_> {
    /// What keeps files out of the worktree; `None` if nothing does.
    pub fn shut(&self) -> Option<Shut> {
        let workspace = self.0;
        if !may_write(workspace.repo.root()) {
            return Some(Shut::Repository);
        }
        let mounts = workspace.own_mounts.of(&workspace.repo, &workspace.folder);
        shut_mount(mounts, &workspace.surroundings.cwd).map(Shut::Mount)
    }
}

fn shut_mount(mounts: &[Mounted], cwd: &Path) -> Option<PathBuf> {
    let around = mounts.iter().filter(|mounted| cwd.starts_with(&mounted.mount_point));
    let meant = match around.max_by_key(|mounted| mounted.mount_point.components().count()) {
        Some(around) => around,
        None if mounts.iter().all(|mounted| mounted.is_read_only) => mounts.first()?,
        None => return None,
    };
    meant.is_read_only.then(|| meant.mount_point.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_shut_where_one_stands_in_it_or_there_is_no_other() {
        let mounted = |place: &str, is_read_only| Mounted {
            mount_point: place.into(),
            root: "/".into(),
            repository: "/r".into(),
            device: 7,
            is_read_only,
        };
        let (shut, open) = (mounted("/m/shut", true), mounted("/m", false));
        let found = |mounts: &[Mounted], cwd: &str| shut_mount(mounts, cwd.as_ref());
        let both = [open.clone(), shut.clone()];
        assert_eq!(found(&both, "/m/shut/worktree/main"), Some("/m/shut".into()));
        assert_eq!(found(&both, "/m/worktree"), None);
        assert_eq!(found(&both, "/r"), None);
        assert_eq!(found(&[shut], "/r"), Some("/m/shut".into()));
        assert_eq!((found(&[open], "/r"), found(&[], "/r")), (None, None));
    }
}
