//! Trees as plain files on a plain disk, with modes, links and times.

use super::error::{Error, Result};
use super::repository::Repo;
use super::tree::{Attributes, Entry, Node};
use crate::disk::DiskError;
use crate::id::{RecipeId, TreeId};
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Bytes that are read and written at once.
const COPY_LEN: usize = 8 << 20;

/// Writes entries of the history as plain files.
struct Export<'a> {
    repo: &'a Repo,
    exported: Exported,
}

impl Repo {
    /// Writes an entry to `out`, which must not exist or be an empty directory. Every file's bytes are checked against
    /// its BLAKE3; what is written is not synced.
    ///
    /// # Errors
    /// [`Error::OutputExists`] if something is in the way; nothing is overwritten.
    pub fn export(&self, entry: &Entry, out: &Path) -> Result<Exported> {
        let vacant = match fs::symlink_metadata(out) {
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(at("look at", out)(error)),
            Ok(found) => {
                let empty = || fs::read_dir(out).is_ok_and(|mut names| names.next().is_none());
                matches!(entry.node, Node::Dir(_)) && found.is_dir() && empty()
            }
        };
        if !vacant {
            return Err(Error::OutputExists(out.to_owned()));
        }
        let mut export = Export { repo: self, exported: Exported::default() };
        export.entry(entry, out)?;
        Ok(export.exported)
    }
}

impl Export<'_> {
    fn entry(&mut self, entry: &Entry, out: &Path) -> Result<()> {
        match &entry.node {
            Node::File { recipe, .. } => self.file(*recipe, entry.attributes, out),
            Node::Symlink(target) => symlink(OsStr::from_bytes(target), out).map_err(at("link", out)),
            Node::Dir(tree) => self.dir(*tree, entry.attributes, out),
        }
    }

    fn dir(&mut self, tree: TreeId, attributes: Attributes, out: &Path) -> Result<()> {
        fs::create_dir_all(out).map_err(at("create", out))?;
        for entry in self.repo.tree(tree)?.entries() {
            self.entry(entry, &out.join(OsStr::from_bytes(entry.name.as_bytes())))?;
        }
        let dir = File::open(out).map_err(at("open", out))?;
        set_attributes(&dir, attributes).map_err(at("set the attributes of", out))
    }

    fn file(&mut self, recipe: RecipeId, attributes: Attributes, out: &Path) -> Result<()> {
        let recipe = self.repo.recipe(recipe)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(out).map_err(at("create", out))?;
        let mut hasher = blake3::Hasher::new();
        let mut buf = vec![0; COPY_LEN.min(recipe.len() as usize)];
        let mut offset = 0;
        while offset < recipe.len() {
            let got = self.repo.read_file(&recipe, offset, &mut buf)?;
            hasher.update(&buf[..got]);
            file.write_all(&buf[..got]).map_err(at("write", out))?;
            offset += got as u64;
        }
        if hasher.finalize().as_bytes() != recipe.blake3() {
            return Err(Error::WrongBytes(out.display().to_string()));
        }
        self.exported.files += 1;
        self.exported.bytes += recipe.len();
        set_attributes(&file, attributes).map_err(at("set the attributes of", out))
    }
}

fn set_attributes(file: &File, attributes: Attributes) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(attributes.mode))?;
    file.set_times(FileTimes::new().set_modified(attributes.modified.to_system_time()))
}

/// Gives an I/O error its operation and path.
pub(super) fn at<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| DiskError { operation, path: path.to_owned(), source }.into()
}
