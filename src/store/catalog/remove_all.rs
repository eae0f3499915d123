//! Removing what another library laid on the disk.

use std::path::Path;

use crate::disk::{Disk, FileType};
use crate::store::error::Result;

/// Removes a folder with all that is in it; none is fine.
pub fn remove_all(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.stat(path)?.map(|stat| stat.kind) {
        None => Ok(()),
        Some(FileType::File | FileType::Other) => Ok(disk.remove_file(path)?),
        Some(FileType::Dir) => {
            for name in disk.list(path)? {
                remove_all(disk, &path.join(name))?;
            }
            Ok(disk.remove_dir(path)?)
        }
    }
}
