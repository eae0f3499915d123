//! Settings from their files and the environment, and a repository opened with them.

use super::error::{Error, Result};
use crate::codec::{DeltaType, Level};
use crate::config::{Config, ConfigError, Origin};
use crate::disk::Disk;
use crate::history::{Options, Repo, prefer_tips};
use crate::store;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The settings in force: the user's file, over it the repository's, over it the environment.
pub(super) fn layered(variables: &[(OsString, OsString)], root: Option<&Path>) -> Result<Config> {
    let mut config = Config::default();
    if let Some(path) = user_file(variables) {
        overlay(&mut config, &path, Origin::User)?;
    }
    if let Some(root) = root {
        overlay(&mut config, &file_of(root), Origin::Repository)?;
    }
    let text = |(name, value): &(OsString, OsString)| Some((name.to_str()?.into(), value.to_str()?.into()));
    config.overlay_environment(variables.iter().filter_map(text));
    Ok(config)
}

/// `~/.config/coral/config.toml`, or where the environment puts it; `None` if it puts it nowhere.
pub(super) fn user_file(variables: &[(OsString, OsString)]) -> Option<PathBuf> {
    let value =
        |name: &str| variables.iter().find(|(known, _)| known == OsStr::new(name)).map(|(_, value)| value);
    let absolute = |name| value(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("coral/config.toml"))
}

/// The file of settings in a repository's own folder.
pub(super) fn file_of(root: &Path) -> PathBuf {
    root.join("coral.toml")
}

fn overlay(config: &mut Config, path: &Path, origin: Origin) -> Result<()> {
    match read(path)? {
        Some(Ok(text)) => config.overlay_file(&text, origin),
        Some(Err(error)) => config.trouble(error, origin),
        None => {}
    }
    Ok(())
}

/// The text of a file of settings, or why its bytes are none; `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<std::result::Result<String, ConfigError>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(ConfigError::text_of(bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Unreadable { path: path.to_owned(), source }),
    }
}

/// Opens a repository whose own folder is `root` with its settings.
///
/// # Errors
/// As [`Repo::open`].
pub fn open_repo(disk: Arc<dyn Disk>, root: &Path, config: &Config) -> Result<Repo> {
    let options = Options {
        store: store::Options {
            cache_bytes: usize::try_from(config.number("core.cache_size")).unwrap_or(usize::MAX),
            // Settings are checked when they are read.
            level: Level::from_name(config.text("core.compression_level")).unwrap_or_default(),
            delta_type: DeltaType::from_name(config.text("core.delta_type")).unwrap_or_default(),
            max_depth: match config.bool("core.delta_encoding") {
                true => config.number("core.max_delta_depth") as u8,
                false => 0,
            },
            threads: config.number("core.threads") as usize,
            reserve_bytes: config.number("core.reserve"),
            anchor_bytes: usize::try_from(config.number("core.anchor_size")).unwrap_or(usize::MAX),
            ..store::Options::default()
        },
        plain_bytes: config.number("core.plain_size"),
    };
    let repo = Repo::open(disk, root, options)?;
    prefer_tips(&repo);
    Ok(repo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn variables(pairs: &[(&str, &Path)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (OsString::from(name), value.as_os_str().to_owned())).collect()
    }

    #[test]
    fn the_environment_that_is_handed_in_is_the_only_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, root) = (folder.path().join("home"), folder.path().join("repo"));
        fs::create_dir_all(home.join(".config/coral")).expect("create");
        fs::create_dir_all(&root).expect("create");
        fs::write(home.join(".config/coral/config.toml"), "[user]\nname = \"Ada\"\nemail = \"a@b\"")
            .expect("write");
        fs::write(root.join("coral.toml"), "[user]\nname = \"Grace\"").expect("write");
        let none = layered(&[], None).expect("defaults");
        assert_eq!(none.text("user.name"), "Anonymous");
        let said = variables(&[("HOME", &home), ("CORAL_USER_EMAIL", Path::new("g@h"))]);
        let all = layered(&said, Some(&root)).expect("valid");
        assert_eq!((all.text("user.name"), all.text("user.email")), ("Grace", "g@h"));
        // A relative folder is nowhere.
        assert_eq!(user_file(&variables(&[("HOME", Path::new("here"))])), None);
        fs::write(root.join("coral.toml"), "[user]\nnane = \"x\"").expect("write");
        assert!(layered(&[], Some(&root)).expect("read all the same").troubles()[0].is_stranger());
        fs::write(root.join("coral.toml"), b"[user]\nname = \"\xff\"").expect("write");
        let none = layered(&said, Some(&root)).expect("read all the same");
        assert_eq!(none.text("user.name"), "Ada");
        assert!(matches!(none.troubles()[0].error, ConfigError::Syntax { line: 2, .. }));
        fs::write(root.join("coral.toml"), "[core]\nthreads = \"many\"").expect("write");
        let wrong = layered(&[], Some(&root)).expect("read all the same");
        assert!(!wrong.troubles()[0].is_stranger() && wrong.number("core.threads") == 0);
    }
}
