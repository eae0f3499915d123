//! Where a command runs: which repository, which branch, who and when.

use super::daemon;
use super::error::{CommandError, Result};
use super::output::note;
use super::quote;
use super::when;
use crate::codec::{DeltaType, Level};
use crate::config::{Config, Origin};
use crate::daemons::mounted_above;
use crate::disk::{Disk, RealDisk};
use crate::history::{BranchName, Error, Head, Name, Options, Repo, Signature, TreePath};
use crate::store;
use crate::task::Task;
use crate::units::Timestamp;
use crate::worktree::{Fallback, Interrupted, Worktree};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The folder of a repository inside the folder that it is for.
pub const FOLDER: &str = ".coral";

/// The surroundings of a command.
pub struct Context {
    /// The folder that it runs in, absolute.
    pub cwd: PathBuf,
    /// When it runs.
    pub now: Timestamp,
}

/// A repository, and the place in it that a command runs at.
pub struct Place {
    /// The repository.
    pub repo: Repo,
    /// The settings in force.
    pub config: Config,
    /// The folder that contains the repository's own folder.
    pub folder: PathBuf,
    /// The branch whose mounted worktree the command runs in, and where in it.
    pub inside: Option<(BranchName, TreePath)>,
    now: Timestamp,
    cwd: PathBuf,
}

impl Context {
    /// The surroundings of this process, in `directory` if one is given.
    pub fn new(directory: Option<PathBuf>) -> Result<Self> {
        let cwd = std::env::current_dir().map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                CommandError::new("the current folder is gone: it was removed, or its branch was")
                    .hint("`cd` to a folder that is there; nothing was done")
            }
            _ => CommandError::new(format!("cannot tell the current folder: {error}")),
        })?;
        let cwd = match directory {
            Some(directory) => {
                let path = cwd.join(&directory);
                path.canonicalize().map_err(|error| {
                    CommandError::new(format!("cannot go to `{}`: {error}", directory.display()))
                })?
            }
            None => cwd,
        };
        Ok(Self { cwd, now: Timestamp::from(SystemTime::now()) })
    }

    /// A path as the user typed it, absolute.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        normalised(&self.cwd.join(path))
    }

    /// The settings that hold everywhere, with those of the repository at `root`.
    pub fn config(&self, root: Option<&Path>) -> Result<Config> {
        let mut config = Config::default();
        if let Some(path) = user_file() {
            overlay(&mut config, &path, Origin::User)?;
        }
        if let Some(root) = root {
            overlay(&mut config, &root.join("coral.toml"), Origin::Repository)?;
        }
        config.overlay_environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )?;
        Ok(config)
    }

    /// The repository's own folder at or above the current one, also from inside a mount of it.
    pub fn find_root(&self) -> Result<PathBuf> {
        self.find().map(|found| found.root)
    }

    fn find(&self) -> Result<FoundRoot> {
        // What a mount shows is content: its repository is the one that the kernel names, and nothing in it is another.
        if let Ok(Some(mounted)) = mounted_above(&self.cwd) {
            let told = std::fs::read(mounted.mount_point.join(FOLDER).join("repository")).unwrap_or_default();
            let named = match told.strip_suffix(b"\n") {
                Some(path) => PathBuf::from(OsStr::from_bytes(path)),
                // Only a part of the mount is shown here.
                None => mounted.repository,
            };
            return Ok(FoundRoot { root: root_of(&named)?, mount: Some(mounted.mount_point) });
        }
        for folder in self.cwd.ancestors() {
            let own = folder.join(FOLDER);
            if own.join("format").exists() {
                return Ok(FoundRoot { root: own, mount: None });
            }
            // The inside of a repository's own folder.
            if folder.join("format").is_file()
                && folder.join("refs").is_dir()
                && folder.join("packs").is_dir()
            {
                return Ok(FoundRoot { root: folder.to_owned(), mount: None });
            }
        }
        Err(Error::NotARepository(self.cwd.clone()).into())
    }

    /// Opens the repository at or above the current folder.
    pub fn open(&self) -> Result<Place> {
        let found = self.find()?;
        let config = self.config(Some(&found.root))?;
        let repo = open_repo(&found.root, &config)?;
        let folder = found.root.parent().unwrap_or(&found.root).to_owned();
        let inside = match &found.mount {
            Some(mount) => inside_worktree(&repo, mount, &self.cwd)?,
            None => None,
        };
        Ok(Place { repo, config, folder, inside, now: self.now, cwd: self.cwd.clone() })
    }
}

/// A repository's own folder, and the mount it was found through.
struct FoundRoot {
    root: PathBuf,
    mount: Option<PathBuf>,
}

/// A repository's own folder, given that or the folder around it.
pub fn root_of(folder: &Path) -> Result<PathBuf> {
    let own = folder.join(FOLDER);
    let root = if own.join("format").exists() { own } else { folder.to_owned() };
    match root.join("format").exists() {
        true => Ok(root.canonicalize()?),
        false => Err(Error::NotARepository(folder.to_owned()).into()),
    }
}

/// Opens a repository with its settings.
pub fn open_repo(root: &Path, config: &Config) -> Result<Repo> {
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
        },
    };
    Ok(Repo::open(disk(), root, options)?)
}

/// The operating system's disk.
pub fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// `~/.config/coral/config.toml`, or where the environment puts it.
pub fn user_file() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("coral/config.toml"))
}

fn overlay(config: &mut Config, path: &Path, origin: Origin) -> Result<()> {
    match std::fs::read_to_string(path) {
        Ok(text) => config
            .overlay_file(&text, origin)
            .map_err(|error| CommandError::from(error).hint(format!("the file is `{}`", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CommandError::new(format!("cannot read `{}`: {error}", path.display()))),
    }
}

/// The branch and the path below `MNT/worktree/` that a folder is at. Branch names may have slashes: the one that
/// exists counts.
///
/// # Errors
/// If the folder is left of a branch that is gone: nothing that is asked for there may be done to another one.
fn inside_worktree(repo: &Repo, mount: &Path, cwd: &Path) -> Result<Option<(BranchName, TreePath)>> {
    // The whole mount may be one worktree.
    let alone = std::fs::read_to_string(mount.join(FOLDER).join("worktree")).unwrap_or_default();
    if let (Ok(branch), Ok(below)) = (BranchName::new(alone.trim_end()), cwd.strip_prefix(mount)) {
        return match is_there(repo, &branch)? {
            true => Ok(Some((branch, TreePath::parse(below.as_os_str().as_bytes())?))),
            false => Err(gone(&branch)),
        };
    }
    let Ok(below) = cwd.strip_prefix(mount.join("worktree")) else { return Ok(None) };
    let path = TreePath::parse(below.as_os_str().as_bytes())?;
    for split in 1..=path.names().len() {
        let (branch, rest) = path.names().split_at(split);
        let branch: TreePath = branch.iter().cloned().collect();
        let Ok(branch) = BranchName::new(branch.to_string()) else { continue };
        if is_there(repo, &branch)? {
            return Ok(Some((branch, rest.iter().cloned().collect())));
        }
    }
    let folder = format!("{path}/");
    let mut branches = repo.refs().branches()?.into_iter();
    match path.is_root() || branches.any(|(branch, _)| branch.as_str().starts_with(&folder)) {
        true => Ok(None),
        false => Err(gone(&quote::path(&path))),
    }
}

/// Whether there is a branch, or a worktree of the one that has no commit yet.
fn is_there(repo: &Repo, branch: &BranchName) -> Result<bool> {
    Ok(repo.refs().branch(branch)?.is_some()
        || repo.refs().head()? == Head::Branch(branch.clone())
        || repo.has_worktree(branch)?)
}

fn gone(branch: &dyn std::fmt::Display) -> CommandError {
    CommandError::new(format!("this is the worktree of `{branch}`, and that branch is gone"))
        .hint("`cd` to another folder; `coral branch` lists what there is. Nothing was done")
}

/// A path without `.` and `..`, by its text alone.
fn normalised(path: &Path) -> PathBuf {
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

impl Place {
    /// The branch that a command is about: the one it names, the one whose worktree it runs in, or the current one.
    pub fn branch(&self, named: Option<&str>) -> Result<BranchName> {
        if let Some(name) = named {
            let branch = BranchName::new(name)?;
            if self.repo.refs().branch(&branch)?.is_none() && !self.repo.has_worktree(&branch)? {
                self.repo.refs().existing_branch(&branch)?;
            }
            return Ok(branch);
        }
        match &self.inside {
            Some((branch, _)) => Ok(branch.clone()),
            None => Ok(self.repo.refs().current_branch()?),
        }
    }

    /// The worktree of a branch, as it is after whatever a mount of it has under way; names what a mount that died
    /// left unfinished.
    pub fn worktree(&self, branch: &BranchName) -> Result<Worktree> {
        let worktree = self.repo.worktree(branch)?;
        for Interrupted { path, now } in worktree.recover_if_abandoned()? {
            let now = match now {
                Fallback::LastDurable => {
                    "it is the last version that was; the newer bytes are in quarantine/"
                }
                Fallback::Incomplete => "it has what arrived, and does not count as complete",
                Fallback::AsCommitted => "it is as in the last commit, or gone",
            };
            note(format!(
                "`{path}` was not yet on the disk when the machine stopped or the disk went away: {now}"
            ));
        }
        worktree.follow_branch()?;
        Ok(worktree)
    }

    /// Where in the tree a path that the user typed is: below the repository's folder or the mounted worktree.
    pub fn tree_path(&self, typed: &Path) -> Result<TreePath> {
        let absolute = normalised(&self.cwd.join(typed));
        if let Some((_, at)) = &self.inside {
            let base = typed.is_relative().then_some(at);
            if let Some(base) = base {
                return self.relative_to(base, typed);
            }
        }
        if let Ok(below) = absolute.strip_prefix(&self.folder) {
            return Ok(TreePath::parse(below.as_os_str().as_bytes())?);
        }
        Ok(TreePath::parse(typed.as_os_str().as_bytes())?)
    }

    /// The same for several, each once, in the order in which they were typed.
    pub fn tree_paths(&self, typed: &[PathBuf]) -> Result<Vec<TreePath>> {
        let mut paths: Vec<TreePath> = Vec::with_capacity(typed.len());
        let mut seen = HashSet::new();
        for typed in typed {
            let path = self.tree_path(typed)?;
            if seen.insert(path.clone()) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    fn relative_to(&self, base: &TreePath, typed: &Path) -> Result<TreePath> {
        let mut names: Vec<Name> = base.names().to_vec();
        for component in typed.components() {
            match component {
                Component::ParentDir if names.pop().is_none() => {
                    return Err(CommandError::usage(format!(
                        "`{}` leads out of the worktree",
                        typed.display()
                    )));
                }
                Component::Normal(name) => names.push(Name::new(name.as_bytes())?),
                Component::ParentDir | Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Who runs the command, now and here.
    pub fn signature(&self) -> Signature {
        Signature {
            name: self.config.text("user.name").to_owned(),
            email: self.config.text("user.email").to_owned(),
            time: self.now,
            offset_minutes: when::local_offset(self.now),
        }
    }

    /// Lets mounts of the repository show at once what a command changed.
    pub fn announce(&self) {
        daemon::refresh(self.repo.root());
    }

    /// Lets mounts of the repository finish taking in what was saved.
    pub fn settle(&self, task: &Task) {
        daemon::drain(self.repo.root(), task);
    }

    /// When the command runs.
    pub fn now(&self) -> Timestamp {
        self.now
    }
}
