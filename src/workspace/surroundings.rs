//! What a rim knows of where it runs, and the library does not ask for: the folder, the environment, the time.

use super::discover::{self, Found};
use super::error::Result;
use super::settings;
use crate::config::{Config, Origin};
use crate::units::Timestamp;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// Where somebody asks, and when.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The folder that he stands in, absolute and without links.
    pub cwd: PathBuf,
    /// The environment: where the user's settings are, and which ones it says itself.
    pub variables: Vec<(OsString, OsString)>,
    /// When it is.
    pub now: Timestamp,
    /// Minutes east of UTC there and then.
    pub offset_minutes: i16,
}

impl Surroundings {
    /// A path as it was typed, absolute.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        normalised(&self.cwd.join(path))
    }

    /// The settings that hold everywhere, with those of the repository at `root`.
    ///
    /// # Errors
    /// [`Error::Config`](super::Error::Config) and [`Error::Unreadable`](super::Error::Unreadable).
    pub fn config(&self, root: Option<&Path>) -> Result<Config> {
        settings::layered(&self.variables, root)
    }

    /// The file that settings of an origin are in; `None` for what is in none.
    pub fn settings_file(&self, origin: Origin, root: Option<&Path>) -> Option<PathBuf> {
        match origin {
            Origin::User => settings::user_file(&self.variables),
            Origin::Repository => root.map(settings::file_of),
            Origin::Default | Origin::Environment => None,
        }
    }

    /// A variable of the environment, if it says something.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let said = self.variables.iter().find(|(known, _)| known == OsStr::new(name));
        said.map(|(_, value)| value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// The repository that `CORAL_DIR` names, or else the one at or above the folder, also from inside a mount of it.
    ///
    /// # Errors
    /// [`NotARepository`](crate::history::Error::NotARepository).
    pub fn find(&self) -> Result<Found> {
        match self.variable("CORAL_DIR") {
            Some(said) => {
                Ok(Found { root: discover::root_of(&self.absolute(Path::new(said)))?, mount: None })
            }
            None => discover::find(&self.cwd),
        }
    }
}

/// A path without `.` and `..`, by its text alone.
pub(super) fn normalised(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
