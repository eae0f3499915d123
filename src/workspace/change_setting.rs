//! A setting that somebody changes: in which file, and nothing of it if it does not hold.

use super::error::{Error, Result};
use super::settings::{file_of, read, user_file};
use super::surroundings::Surroundings;
use crate::config::{ConfigError, Migrated, edit, migrate, remove};
use crate::disk::{Disk, Patience};
use std::path::PathBuf;

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of the repository that somebody stands in.
    Repository,
    /// Those of the user, for all of his repositories.
    User,
}

impl Surroundings {
    /// Changes a setting in the file of its scope, durably; comments and order stay. Returns the file.
    ///
    /// # Errors
    /// [`Error::Config`] if the file, the key or the value does not hold, [`Error::Homeless`], and what
    /// [`Surroundings::find`] says. After any error the file is as it was.
    pub fn set(&self, disk: &dyn Disk, scope: Scope, key: &str, value: &str) -> Result<PathBuf> {
        let (path, ()) = self.rewrite(disk, scope, |old| Ok((Some(edit(old, key, value)?), ())))?;
        Ok(path)
    }

    /// Takes a setting, or a name that no setting has, out of the file of its scope, durably. Returns the file; `None` if it was
    /// not there.
    ///
    /// # Errors
    /// As [`Surroundings::set`]. After any error the file is as it was.
    pub fn unset(&self, disk: &dyn Disk, scope: Scope, key: &str) -> Result<Option<PathBuf>> {
        let (path, was_there) = self.rewrite(disk, scope, |old| {
            let (new, was_there) = remove(old, key)?;
            Ok((was_there.then_some(new), was_there))
        })?;
        Ok(was_there.then_some(path))
    }

    /// Puts the file of a scope into the words of this program, durably. Returns the file, and what became of its lines.
    ///
    /// # Errors
    /// As [`Surroundings::set`]. After any error the file is as it was.
    pub fn migrate(&self, disk: &dyn Disk, scope: Scope) -> Result<(PathBuf, Vec<Migrated>)> {
        self.rewrite(disk, scope, |old| {
            let (new, done) = migrate(old)?;
            Ok(((!done.is_empty()).then_some(new), done))
        })
    }

    /// The file of a scope, which may not be there yet.
    ///
    /// # Errors
    /// [`Error::Homeless`], and what [`Surroundings::find`] says.
    pub fn file_of_scope(&self, scope: Scope) -> Result<PathBuf> {
        match scope {
            Scope::Repository => Ok(file_of(&self.find()?.root)),
            Scope::User => user_file(&self.variables).ok_or(Error::Homeless),
        }
    }

    /// Writes the file of a scope anew, if `change` makes something else of it, while nobody else does.
    fn rewrite<T>(
        &self,
        disk: &dyn Disk,
        scope: Scope,
        change: impl FnOnce(&str) -> std::result::Result<(Option<String>, T), ConfigError>,
    ) -> Result<(PathBuf, T)> {
        let path = self.file_of_scope(scope)?;
        if let Some(folder) = path.parent() {
            disk.create_dir_all(folder)?;
        }
        // From reading to writing nobody else changes it.
        let _lock = disk.lock(&path.with_extension("toml.lock"), true, Patience::BRIEF)?;
        let file = Some(path.clone());
        let old = read(&path)?.unwrap_or(Ok(String::new()));
        let old = old.map_err(|source| Error::Config { source, file: file.clone() })?;
        let (new, done) = change(&old).map_err(|source| match source {
            ConfigError::Syntax { .. } => Error::Config { source, file },
            source => Error::Config { source, file: None },
        })?;
        if let Some(new) = new {
            disk.replace(&path, new.as_bytes())?;
        }
        Ok((path, done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use crate::history;
    use crate::units::Timestamp;
    use std::fs;

    #[test]
    fn a_setting_is_changed_in_the_file_of_its_scope_or_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let surroundings = Surroundings {
            cwd: folder.path().to_owned(),
            variables: vec![("HOME".into(), folder.path().into())],
            now: Timestamp::EPOCH,
            offset_minutes: 0,
        };
        let set = |scope, key, value| surroundings.set(&RealDisk, scope, key, value);
        let file = folder.path().join(".config/coral/config.toml");
        assert_eq!(set(Scope::User, "user.name", "Ada").expect("set"), file);
        assert_eq!(surroundings.config(None).expect("valid").text("user.name"), "Ada");
        let before = fs::read_to_string(&file).expect("there");
        for (key, value) in [("user.nane", "x"), ("core.threads", "many")] {
            assert!(matches!(set(Scope::User, key, value), Err(Error::Config { file: None, .. })), "{key}");
        }
        assert_eq!(fs::read_to_string(&file).expect("there"), before);
        let nowhere = set(Scope::Repository, "user.name", "Ada");
        assert!(matches!(nowhere, Err(Error::Repo(history::Error::NotARepository(_)))), "{nowhere:?}");
        fs::write(&file, "not = [toml").expect("write");
        let unread = set(Scope::User, "user.name", "Ada");
        assert!(matches!(unread, Err(Error::Config { file: Some(_), .. })), "{unread:?}");
        fs::write(&file, b"# \xff").expect("write");
        let unread = set(Scope::User, "user.name", "Ada");
        assert!(matches!(unread, Err(Error::Config { file: Some(_), .. })), "{unread:?}");
        let homeless = Surroundings { variables: Vec::new(), ..surroundings };
        let refused = homeless.set(&RealDisk, Scope::User, "user.name", "Ada");
        assert!(matches!(refused, Err(Error::Homeless)), "{refused:?}");
    }
}
