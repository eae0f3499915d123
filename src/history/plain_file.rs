//! Files on the user's own disk, outside of any repository.

use super::error::{Error, Result};
use crate::disk::DiskError;
use crate::store::{Source, SourceError};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Gives an I/O error its operation and path.
pub(crate) fn at<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| DiskError { operation, path: path.to_owned(), source }.into()
}

/// Opens a regular file, and nothing else: a pipe that took its place would be waited for, a device may do anything.
pub(crate) fn open_file(path: &Path, flags: i32) -> Result<(File, Metadata)> {
    let options = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | flags).clone();
    let file = options.open(path).map_err(at("open", path))?;
    let metadata = file.metadata().map_err(at("look at", path))?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false => Err(Error::UnsupportedFile(path.to_owned())),
    }
}

/// A file on the user's disk at the length it had when it was opened.
pub(crate) struct PlainFile<'a> {
    pub file: &'a File,
    pub len: u64,
}

impl Source for PlainFile<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}
