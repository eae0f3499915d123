//! Trees as plain files on a plain disk, with modes, links and times.

use super::error::{Error, Result};
use super::file_hash::hash_whole;
use super::out_dir::OutDir;
use super::path::Name;
use super::plain_file::at;
use super::repository::Repo;
use super::tree::{Attributes, Entry, Node, Tree};
use super::tree_walk::TreeWalk;
use crate::disk::reflink;
use crate::id::{RecipeId, TreeId};
use crate::store::{FileSource, Watched};
use crate::task::{Meter, Task, Unit};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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
    task: &'a Task,
    written: Box<dyn Meter>,
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
    /// [`Error::OutputExists`] if something is in the way; nothing is overwritten. After any error what was written is
    /// removed again, and nothing else.
    pub fn export(&self, entry: &Entry, out: &Path, task: &Task) -> Result<Exported> {
        check_vacant(entry, out)?;
        let written = task.begin("writing", Unit::Bytes, Some(bytes_below(self, entry)?));
        let is_dir = matches!(entry.node, Node::Dir(_));
        let folder = if is_dir { out } else { out.parent().unwrap_or(Path::new("/")) };
        let mut made = Vec::new();
        let exported = (|| {
            if is_dir {
                create_dirs(out, &mut made)?;
            }
            let to = OutDir::open(folder)?;
            let mut export = Export { repo: self, to, exported: Exported::default(), task, written };
            match &entry.node {
                Node::Dir(tree) => export.dir(*tree, entry.attributes)?,
                Node::File { .. } | Node::Symlink(_) => {
                    let name = Name::new(out.file_name().unwrap_or_default().as_bytes())?;
                    export.leaf(&Entry { name, ..entry.clone() })?;
                }
            }
            Ok(export.exported)
        })();
        if exported.is_err() {
            // One that somebody put something into stays.
            made.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
        }
        exported
    }
}

/// The bytes of all files of an entry.
fn bytes_below(repo: &Repo, entry: &Entry) -> Result<u64> {
    match entry.node {
        Node::File { len, .. } => Ok(len),
        Node::Symlink(_) => Ok(0),
        Node::Dir(tree) => TreeWalk::below(repo, tree).try_fold(0, |sum, entry| match entry?.1.node {
            Node::File { len, .. } => Ok(sum + len),
            Node::Dir(_) | Node::Symlink(_) => Ok(sum),
        }),
    }
}

/// Makes a directory with those above it that are missing, and tells which ones it made, from the top.
fn create_dirs(path: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    let is_missing = |path: &&Path| !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) => made.push(folder.to_owned()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(at("create", folder)(error)),
        }
    }
    Ok(())
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
    /// Writes what is in a directory into the one that it is at, or nothing.
    fn dir(&mut self, tree: TreeId, attributes: Attributes) -> Result<()> {
        let mut open = vec![Open { tree: self.repo.tree(tree)?, next: 0, attributes }];
        self.fill(&mut open).inspect_err(|_| {
            // What cannot be removed stays, and the first error is the one to tell.
            let _ = self.empty(open);
        })
    }

    fn fill(&mut self, open: &mut Vec<Open>) -> Result<()> {
        while let Some(dir) = open.last_mut() {
            self.task.check()?;
            let Some(entry) = dir.tree.entries().get(dir.next).cloned() else {
                let path = self.to.path();
                set_attributes(self.to.dir(), dir.attributes).map_err(at("set the attributes of", path))?;
                if open.len() > 1 {
                    self.to.leave()?;
                }
                open.pop();
                continue;
            };
            match entry.node {
                Node::Dir(tree) => {
                    let tree = self.repo.tree(tree)?;
                    self.to.enter_new(&entry.name)?;
                    dir.next += 1;
                    open.push(Open { tree, next: 0, attributes: entry.attributes });
                }
                Node::File { .. } | Node::Symlink(_) => {
                    self.leaf(&entry)?;
                    dir.next += 1;
                }
            }
        }
        Ok(())
    }

    /// Removes what was written before `next` in each of the directories that it is in, from the innermost on.
    fn empty(&mut self, mut open: Vec<Open>) -> Result<()> {
        self.to.make_writable()?;
        while let Some(dir) = open.last_mut() {
            let Some(at) = dir.next.checked_sub(1) else {
                open.pop();
                if let Some(above) = open.last_mut() {
                    self.to.leave()?;
                    above.next -= 1;
                    self.to.remove_dir(&above.tree.entries()[above.next].name)?;
                }
                continue;
            };
            let entry = &dir.tree.entries()[at];
            match entry.node {
                Node::Dir(tree) => {
                    self.to.enter(&entry.name)?;
                    self.to.make_writable()?;
                    let (tree, attributes) = (self.repo.tree(tree)?, entry.attributes);
                    open.push(Open { next: tree.entries().len(), tree, attributes });
                }
                Node::File { .. } | Node::Symlink(_) => {
                    self.to.remove(&entry.name)?;
                    dir.next = at;
                }
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
        let file = self.to.create(name)?;
        self.write(&file, name, recipe, len, attributes).inspect_err(|_| {
            // As above.
            let _ = self.to.remove(name);
        })?;
        self.exported.files += 1;
        self.exported.bytes += len;
        Ok(())
    }

    fn write(
        &self,
        mut file: &File,
        name: &Name,
        recipe: RecipeId,
        len: u64,
        attributes: Attributes,
    ) -> Result<()> {
        let path = self.to.path_of(name);
        if self.share(file, recipe, len)? {
            return set_attributes(file, attributes).map_err(at("set the attributes of", &path));
        }
        self.repo.read_through(recipe, len, &path.display(), |bytes| {
            self.task.check()?;
            self.written.advance(bytes.len() as u64);
            file.write_all(bytes).map_err(at("write", &path))
        })?;
        set_attributes(file, attributes).map_err(at("set the attributes of", &path))
    }
}

impl Export<'_> {
    /// Lets a file share the blocks of the plain copy of a file of the history, where the disk can do that and the copy
    /// has the bytes that it should have. Whether it does; if not the file is still empty.
    fn share(&self, file: &File, recipe: RecipeId, len: u64) -> Result<bool> {
        let recipe = self.repo.recipe(recipe)?;
        let copy = self.repo.plain().find(recipe.blake3(), len).filter(|_| recipe.len() == len);
        let Some(copy) = copy else { return Ok(false) };
        let Some(descriptor) = copy.as_fd() else { return Ok(false) };
        // What goes wrong with a copy says nothing of what is stored.
        if !reflink(descriptor, file.as_fd()).is_ok_and(|shares| shares) {
            return Ok(false);
        }
        let source = FileSource::up_to(&*copy, len);
        let read = Watched { source: &source, task: self.task, meter: Some(&*self.written) };
        let hash = hash_whole(self.repo.store().threads(), &read);
        self.task.check()?;
        if hash.is_ok_and(|hash| hash == *recipe.blake3()) {
            return Ok(true);
        }
        file.set_len(0).map_err(at("cut", self.to.path()))?;
        Ok(false)
    }
}

fn set_attributes(file: &File, attributes: Attributes) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(attributes.mode))?;
    file.set_times(FileTimes::new().set_modified(attributes.modified.to_system_time()))
}
