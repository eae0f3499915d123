//! Trees as plain files on a plain disk, with modes, links and times.

use super::error::{Error, Result};
use super::out_dir::OutDir;
use super::path::Name;
use super::repository::Repo;
use super::tree::{Attributes, Entry, Node, Tree};
use crate::disk::DiskError;
use crate::id::{RecipeId, TreeId};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Writes entries of the history as plain files.
struct Export<'a> {
    repo: &'a Repo,
    to: OutDir,
    exported: Exported,
}

/// A directory that is being written.
struct Open {
    tree: Arc<Tree>,
    /// The entries before it are written.
    next: usize,
    attributes: Attributes,
}

impl Repo {
    /// Writes an entry to `out`, which must not exist or be an empty directory. Every file's bytes are checked against
    /// its BLAKE3; what is written is not synced.
    ///
    /// # Errors
    /// [`Error::OutputExists`] if something is in the way; nothing is overwritten.
    pub fn export(&self, entry: &Entry, out: &Path) -> Result<Exported> {
        check_vacant(entry, out)?;
        let is_dir = matches!(entry.node, Node::Dir(_));
        let folder = if is_dir { out } else { out.parent().unwrap_or(Path::new("/")) };
        if is_dir {
            fs::create_dir_all(out).map_err(at("create", out))?;
        }
        let mut export = Export { repo: self, to: OutDir::open(folder)?, exported: Exported::default() };
        match &entry.node {
            Node::Dir(tree) => export.dir(*tree, entry.attributes)?,
            Node::File { .. } | Node::Symlink(_) => {
                let name = Name::new(out.file_name().unwrap_or_default().as_bytes())?;
                export.leaf(&Entry { name, ..entry.clone() })?;
            }
        }
        Ok(export.exported)
    }
}

/// Refuses to write over something.
fn check_vacant(entry: &Entry, out: &Path) -> Result<()> {
    let vacant = match fs::symlink_metadata(out) {
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(at("look at", out)(error)),
        Ok(found) => {
            let empty = || fs::read_dir(out).is_ok_and(|mut names| names.next().is_none());
            matches!(entry.node, Node::Dir(_)) && found.is_dir() && empty()
        }
    };
    if vacant { Ok(()) } else { Err(Error::OutputExists(out.to_owned())) }
}

impl Export<'_> {
    /// Writes what is in a directory into the one that it is at.
    fn dir(&mut self, tree: TreeId, attributes: Attributes) -> Result<()> {
        let mut open = vec![Open { tree: self.repo.tree(tree)?, next: 0, attributes }];
        while let Some(dir) = open.last_mut() {
            let Some(entry) = dir.tree.entries().get(dir.next).cloned() else {
                let path = self.to.path();
                set_attributes(self.to.dir(), dir.attributes).map_err(at("set the attributes of", path))?;
                open.pop();
                if !open.is_empty() {
                    self.to.leave()?;
                }
                continue;
            };
            dir.next += 1;
            match entry.node {
                Node::Dir(tree) => {
                    self.to.enter_new(&entry.name)?;
                    open.push(Open { tree: self.repo.tree(tree)?, next: 0, attributes: entry.attributes });
                }
                Node::File { .. } | Node::Symlink(_) => self.leaf(&entry)?,
            }
        }
        Ok(())
    }

    /// Writes a file or a link into the directory that it is at.
    fn leaf(&mut self, entry: &Entry) -> Result<()> {
        match &entry.node {
            Node::File { recipe, len } => self.file(&entry.name, *recipe, *len, entry.attributes),
            Node::Symlink(target) => self.to.link(&entry.name, target),
            Node::Dir(_) => Ok(()),
        }
    }

    fn file(&mut self, name: &Name, recipe: RecipeId, len: u64, attributes: Attributes) -> Result<()> {
        let mut file = self.to.create(name)?;
        let path = self.to.path_of(name);
        self.repo.read_through(recipe, len, &path.display(), |bytes| {
            file.write_all(bytes).map_err(at("write", &path))
        })?;
        self.exported.files += 1;
        self.exported.bytes += len;
        set_attributes(&file, attributes).map_err(at("set the attributes of", &path))
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
