//! A folder on the user's disk that is being filled, by descriptor.
//!
//! Whatever is made is made in the very folder that was made before it, by one name: paths may be longer than the system
//! takes at once, and a link that somebody plants leads nowhere. One descriptor is open at any depth.

use super::error::{Error, Result};
use super::path::Name;
use super::plain_file::at;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fstat, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where in the folder somebody is.
#[derive(Debug)]
pub(super) struct OutDir {
    dir: File,
    /// Device and number of the folders above, from the top.
    above: Vec<(u64, u64)>,
    /// For errors.
    path: PathBuf,
}

impl OutDir {
    /// Begins in a folder that exists.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let dir = File::open(path).map_err(at("open", path))?;
        Ok(Self { dir, above: Vec::new(), path: path.to_owned() })
    }

    /// The folder that it is in.
    pub(super) fn dir(&self) -> &File {
        &self.dir
    }

    /// Where it is, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder and goes into it.
    pub(super) fn enter_new(&mut self, name: &Name) -> Result<()> {
        self.made("create", name, mkdirat(&self.dir, name.as_bytes(), Mode::RWXU))?;
        self.enter(name).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = self.remove_dir(name);
        })
    }

    /// Goes into a folder that was made here.
    pub(super) fn enter(&mut self, name: &Name) -> Result<()> {
        let id = self.id()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = self.made("open", name, openat(&self.dir, name.as_bytes(), flags, Mode::empty()))?;
        self.dir = dir.into();
        self.above.push(id);
        self.path.push(OsStr::from_bytes(name.as_bytes()));
        Ok(())
    }

    /// Goes back to the folder above.
    ///
    /// # Errors
    /// If somebody moved the one that it is in.
    pub(super) fn leave(&mut self) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = openat(&self.dir, "..", flags, Mode::empty());
        self.dir = above.map_err(|errno| at("leave", &self.path)(errno.into()))?.into();
        if self.above.pop() != Some(self.id()?) {
            let moved = io::Error::other("somebody moved it meanwhile");
            return Err(at("go on above", &self.path)(moved));
        }
        self.path.pop();
        Ok(())
    }

    /// Lets names be removed here.
    pub(super) fn make_writable(&self) -> Result<()> {
        fchmod(&self.dir, Mode::RWXU).map_err(|errno| at("set the mode of", &self.path)(errno.into()))
    }

    /// Removes a file or link that was made here.
    pub(super) fn remove(&self, name: &Name) -> Result<()> {
        self.made("remove", name, unlinkat(&self.dir, name.as_bytes(), AtFlags::empty()))
    }

    /// Removes a folder that was made here and has nothing in it.
    pub(super) fn remove_dir(&self, name: &Name) -> Result<()> {
        self.made("remove", name, unlinkat(&self.dir, name.as_bytes(), AtFlags::REMOVEDIR))
    }

    /// Makes an empty file.
    pub(super) fn create(&self, name: &Name) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.dir, name.as_bytes(), flags, Mode::RUSR | Mode::WUSR);
        self.made("create", name, file).map(OwnedFd::into)
    }

    /// Makes a symbolic link.
    pub(super) fn link(&self, name: &Name, target: &[u8]) -> Result<()> {
        self.made("link", name, symlinkat(target, &self.dir, name.as_bytes()))
    }

    /// The path of a name here, for errors.
    pub(super) fn path_of(&self, name: &Name) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.as_bytes()))
    }

    fn made<T>(&self, operation: &'static str, name: &Name, made: rustix::io::Result<T>) -> Result<T> {
        made.map_err(|errno| match errno {
            Errno::EXIST => Error::OutputExists(self.path_of(name)),
            other => at(operation, &self.path_of(name))(other.into()),
        })
    }

    fn id(&self) -> Result<(u64, u64)> {
        let stat = fstat(&self.dir).map_err(|errno| at("look at", &self.path)(errno.into()))?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn name(text: &str) -> Name {
        Name::new(text).expect("valid")
    }

    #[test]
    fn what_somebody_plants_is_not_followed() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (out, elsewhere) = (folder.path().join("out"), folder.path().join("elsewhere"));
        fs::create_dir(&out).expect("mkdir");
        fs::create_dir(&elsewhere).expect("mkdir");
        fs::write(elsewhere.join("file"), "theirs").expect("write");
        symlink(&elsewhere, out.join("dir")).expect("link");
        symlink(elsewhere.join("file"), out.join("file")).expect("link");
        symlink(elsewhere.join("new"), out.join("new")).expect("link");
        let mut at = OutDir::open(&out).expect("open");
        assert!(matches!(at.enter_new(&name("dir")), Err(Error::OutputExists(_))));
        for taken in ["file", "new"] {
            assert!(matches!(at.create(&name(taken)), Err(Error::OutputExists(_))));
            assert!(matches!(at.link(&name(taken), b"x"), Err(Error::OutputExists(_))));
        }
        assert_eq!(fs::read(elsewhere.join("file")).expect("read"), b"theirs");
        assert_eq!(fs::read_dir(&elsewhere).expect("list").count(), 1);
    }

    #[test]
    fn a_folder_that_is_moved_away_takes_nothing_along_but_its_own() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        for name in ["out", "elsewhere"] {
            fs::create_dir(folder.path().join(name)).expect("mkdir");
        }
        let mut at = OutDir::open(&folder.path().join("out")).expect("open");
        at.enter_new(&name("dir")).expect("enter");
        fs::rename(folder.path().join("out/dir"), folder.path().join("elsewhere/dir")).expect("move");
        at.create(&name("file")).expect("create");
        assert!(folder.path().join("elsewhere/dir/file").exists());
        assert!(matches!(at.leave(), Err(Error::Disk(_))));
    }
}
