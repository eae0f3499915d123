//! The mounts of one repository, looked up once: what lies in them is no plain file beside it.

use super::discover::root_of;
use crate::daemons::{Mounted, mounted};
use crate::history::Repo;
use std::path::Path;
use std::sync::OnceLock;

/// The mounts of a repository, as they were when it was first asked.
#[derive(Debug, Default)]
pub(super) struct OwnMounts(OnceLock<Vec<Mounted>>);

impl OwnMounts {
    /// Those of a repository in a folder.
    pub(super) fn of(&self, repo: &Repo, folder: &Path) -> &[Mounted] {
        self.0.get_or_init(|| {
            let own = repo.root().canonicalize().ok();
            let same = |mounted: &Mounted| {
                mounted.repository == folder || (own.is_some() && root_of(&mounted.repository).ok() == own)
            };
            // Where the kernel does not tell, there is nothing to compare with.
            mounted().unwrap_or_default().into_iter().filter(same).collect()
        })
    }
}
