//! The version that a repository says to be of: which programs may read it.
//!
//! It is one digit of a file that is never replaced, because that file is what the repository is known by. It is raised
//! where it stands, durably, before anything is written that programs of the version before cannot read.

use super::error::{Error, Result};
use crate::disk::Disk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The newest version that this program reads; new repositories are of it.
pub const FORMAT: u32 = 6;

/// The first bytes of the file; the digit of the version comes next.
const LEAD: &str = "coral ";

/// Raises the version of one repository, durably and once.
pub(super) struct Raising {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Whether it is durable that it is of this version: what was read may not be.
    is_raised: AtomicBool,
}

impl Raising {
    /// Of the repository whose own folder is `root`. Nothing is raised yet.
    pub(super) fn of(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_owned(), is_raised: AtomicBool::new(false) }
    }

    /// Raises it unless that was done.
    pub(super) fn raise(&self) -> Result<()> {
        if !self.is_raised.load(Ordering::Relaxed) {
            raise(&*self.disk, &self.root)?;
            self.is_raised.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The version that a repository is of.
///
/// # Errors
/// [`Error::NotARepository`], [`Error::NewerFormat`], or damage.
pub(super) fn check(disk: &dyn Disk, root: &Path) -> Result<u32> {
    let path = root.join("format");
    if disk.stat(&path)?.is_none() {
        return Err(Error::NotARepository(root.to_owned()));
    }
    let text = String::from_utf8_lossy(&disk.read(&path)?).trim().to_owned();
    // What else there is are facts about this repository.
    let version = text.lines().next().unwrap_or_default();
    match version.strip_prefix(LEAD).map(str::parse::<u32>) {
        Some(Ok(format)) if format <= FORMAT => Ok(format),
        Some(Ok(_)) => {
            Err(Error::NewerFormat { path: root.to_owned(), found: version.to_owned(), known: FORMAT })
        }
        Some(Err(_)) | None => {
            Err(Error::DamagedFile { path, what: format!("`{text}` is not a repository format") })
        }
    }
}

/// Makes a repository one that only programs of this version read, durably.
///
/// Also of one that says so already: whoever wrote that may have been stopped before it was durable, or was told that it is
/// not. The bytes of a sync that failed are written by no later one, unless they are written again.
fn raise(disk: &dyn Disk, root: &Path) -> Result<()> {
    check(disk, root)?;
    let file = disk.open(&root.join("format"), true)?;
    file.write_all_at(FORMAT.to_string().as_bytes(), LEAD.len() as u64)?;
    Ok(file.sync()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

    const SEEDS: std::ops::Range<u64> = 0..8;

    /// A disk on which a repository of the version before is durable.
    fn older(root: &Path) -> SimulatedDisk {
        let disk = SimulatedDisk::new();
        disk.create_dir_all(root).expect("created");
        disk.replace(&root.join("format"), b"coral 2\nid 0123\n").expect("written");
        for folder in [root, root.parent().expect("a folder")] {
            disk.sync_dir(folder).expect("synced");
        }
        disk
    }

    #[test]
    fn a_version_that_is_relied_on_outlasts_a_power_cut_whatever_happened_before() {
        let root = Path::new("/r");
        let operations = {
            let disk = older(root);
            let before = disk.operations();
            raise(&disk, root).expect("raised");
            disk.operations() - before
        };
        let is_raised = |disk: &SimulatedDisk| check(disk, root).expect("a repository") == FORMAT;
        for at in 0..=operations {
            // The machine stops, or the operation fails and others go on: this program, or one that sees what it left.
            let stopped = older(root);
            stopped.stop_at_nth(at);
            let relied_on = raise(&stopped, root).is_ok();
            let failed = older(root);
            failed.fail_nth(at, libc::EIO);
            drop(raise(&failed, root));
            failed.set_fault(None);
            raise(&failed, root).expect("raised");
            for seed in SEEDS {
                assert!(is_raised(&stopped.crash_image(seed)) || !relied_on, "{at}");
                assert!(is_raised(&failed.crash_image(seed)), "{at}");
            }
        }
        // The kernel could not write back what another program wrote, and told that one.
        let lost = older(root);
        let file = lost.open(&root.join("format"), true).expect("opened");
        file.write_all_at(FORMAT.to_string().as_bytes(), LEAD.len() as u64).expect("written");
        lost.fail_write_back(root);
        drop(file.sync());
        raise(&lost, root).expect("raised");
        for seed in SEEDS {
            assert!(is_raised(&lost.crash_image(seed)));
        }
    }

    #[test]
    fn a_version_that_another_program_wrote_and_did_not_sync_is_synced_before_it_is_relied_on() {
        let root = Path::new("/r");
        let disk = SimulatedDisk::new();
        let branch = crate::history::BranchName::new("main").expect("a name");
        crate::history::Repo::create(std::sync::Arc::new(disk.clone()), root, &branch).expect("created");
        disk.replace(&root.join("format"), b"coral 2\nid 0123\n").expect("written");
        let file = disk.open(&root.join("format"), true).expect("opened");
        file.write_all_at(FORMAT.to_string().as_bytes(), LEAD.len() as u64).expect("written");
        let options = crate::history::Options::default();
        let repo =
            crate::history::Repo::open(std::sync::Arc::new(disk.clone()), root, options).expect("opened");
        repo.raise_format().expect("raised");
        for seed in SEEDS {
            assert_eq!(check(&disk.crash_image(seed), root).expect("a repository"), FORMAT);
        }
    }

    #[test]
    fn what_is_put_together_of_pieces_raises_the_version_before_it_is_written() {
        let root = Path::new("/r");
        let disk = SimulatedDisk::new();
        let branch = crate::history::BranchName::new("main").expect("a name");
        crate::history::Repo::create(Arc::new(disk.clone()), root, &branch).expect("created");
        disk.replace(&root.join("format"), b"coral 4\nid 0123\n").expect("written");
        let options = crate::history::Options::default();
        let repo = crate::history::Repo::open(Arc::new(disk.clone()), root, options).expect("opened");
        let mut random = crate::random::Random::new(1);
        let known: Vec<u8> = (0..100_000).map(|_| random.bits() as u8).collect();
        let put = |bytes: &Vec<u8>| {
            let ingest = repo.store().begin().expect("begin");
            let put = ingest.put(crate::tensor::Dtype::Opaque, bytes, &[]).expect("put");
            ingest.seal().expect("sealed");
            put.stored_len
        };
        put(&known);
        assert_eq!(check(&disk, root).expect("a repository"), 4);
        assert!(put(&[&known[9..], &known[..70_000]].concat()) < 100);
        assert_eq!(check(&disk, root).expect("a repository"), FORMAT);
    }

    #[test]
    fn a_version_is_raised_in_place_and_a_newer_one_refused() {
        let disk = SimulatedDisk::new();
        let root = Path::new("/r");
        disk.create_dir_all(root).expect("created");
        assert!(matches!(check(&disk, root), Err(Error::NotARepository(_))));
        let write = |text: &str| disk.replace(&root.join("format"), text.as_bytes()).expect("written");
        write("coral 2\nid 0123\n");
        let before = disk.stat(&root.join("format")).expect("stat").expect("a file").id;
        assert_eq!(check(&disk, root).expect("older"), 2);
        raise(&disk, root).expect("raised");
        assert_eq!(disk.read(&root.join("format")).expect("read"), b"coral 6\nid 0123\n");
        assert_eq!(disk.stat(&root.join("format")).expect("stat").expect("a file").id, before);
        write("coral 7\n");
        assert!(matches!(check(&disk, root), Err(Error::NewerFormat { .. })));
        write("coral\n");
        assert!(matches!(raise(&disk, root), Err(Error::DamagedFile { .. })));
    }
}
