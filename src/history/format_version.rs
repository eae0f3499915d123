//! The version that a repository says to be of: which programs may read it.
//!
//! It is one digit of a file that is never replaced, because that file is what the repository is known by. It is raised
//! where it stands, durably, before anything is written that programs of the version before cannot read.

use super::error::{Error, Result};
use crate::disk::Disk;
use std::path::Path;

/// The newest version that this program reads; new repositories are of it.
pub const FORMAT: u32 = 3;

/// The first bytes of the file; the digit of the version comes next.
const LEAD: &str = "coral ";

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

/// Makes a repository one that only programs of this version read, if it is none yet.
pub(super) fn raise(disk: &dyn Disk, root: &Path) -> Result<()> {
    if check(disk, root)? == FORMAT {
        return Ok(());
    }
    let file = disk.open(&root.join("format"), true)?;
    file.write_all_at(FORMAT.to_string().as_bytes(), LEAD.len() as u64)?;
    Ok(file.sync()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimulatedDisk;

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
        assert_eq!(disk.read(&root.join("format")).expect("read"), b"coral 3\nid 0123\n");
        assert_eq!(disk.stat(&root.join("format")).expect("stat").expect("a file").id, before);
        write("coral 4\n");
        assert!(matches!(check(&disk, root), Err(Error::NewerFormat { .. })));
        write("coral\n");
        assert!(matches!(raise(&disk, root), Err(Error::DamagedFile { .. })));
    }
}
