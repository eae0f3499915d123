use super::context::{Context, disk};
use super::error::{CommandError, Result};
use super::json::OnDisk;
use super::mount_options::{self, MountOption};
use super::notify;
use super::output::{Output, note};
use super::quote;
use crate::checkpoint::When;
use crate::config::Config;
use crate::fs::{
    Author, AutoCommitSettings, Guards, LaunchError, Launched, MountError, MountOptions, Owner, ReadySignal,
    Settings, View, block_stop_signals, launch, mount, raise_descriptor_limit, wait_for_stop_signal,
};
use crate::history::{BranchName, Repo, TagName};
use crate::units::Timestamp;
use crate::workspace::{open_repo, root_of};
use schemars::JsonSchema;
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Show a repository as a file system
///
/// Stays in the foreground until it is unmounted or interrupted. What programs save below MNT/worktree/BRANCH is
/// what the next commit of the branch records.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the repository
    #[arg(value_name = "REPO")]
    repository: PathBuf,
    /// An empty directory
    #[arg(value_name = "MNT")]
    mount_point: PathBuf,
    /// Return when the mount is ready, and serve it in the background
    #[arg(short, long)]
    daemon: bool,
    /// Show one read-only tree: a revision, or a directory of it
    #[arg(long = "ref", value_name = "REF[:DIR]", conflicts_with = "worktree")]
    revision: Option<String>,
    /// Show one writable tree: the worktree of a branch
    #[arg(long, value_name = "BRANCH")]
    worktree: Option<String>,
    /// Where to write what goes wrong, or `none`; by default `run/mount.log` in the repository's own folder
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Let other users see the mount
    #[arg(long)]
    allow_other: bool,
    /// Let nobody write
    #[arg(long)]
    read_only: bool,
    /// Read and write everything through the mount's process, also where the kernel could by itself
    #[arg(long)]
    no_passthrough: bool,
    /// Show files as belonging to this user, by number; whoever mounts if not said
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,
    /// Show files as belonging to this group, by number
    #[arg(long, value_name = "GID")]
    gid: Option<u32>,
    /// Show every file and directory with all permissions but these, in octal digits: 022 lets everybody read. Files that
    /// are recorded as programs can be run
    #[arg(long, value_name = "MASK", value_parser = mount_options::permissions)]
    umask: Option<u32>,
    /// Commit by itself: when a checkpoint is complete (`sentinel`), when nothing changed for a while (`quiet`), when a file
    /// is closed (`close`), or not (`off`). `coral config list` has what else there is to say of it
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "sentinel",
          value_parser = ["off", "sentinel", "quiet", "close"])]
    auto_commit: Option<String>,
    /// Options as mount(8) takes them, with commas: ro, allow_other, ref=, worktree=, log=, uid=, gid=, umask=, auto_commit=,
    /// no_passthrough, noexec, nosuid, nodev
    #[arg(short = 'o', value_name = "OPTIONS")]
    options: Vec<String>,
    /// Do all but mount
    #[arg(long, hide = true)]
    fake: bool,
    /// Where to say that the mount is ready
    #[arg(long, value_name = "NUMBER", hide = true)]
    ready_fd: Option<i32>,
}

/// A mount that a process of its own serves.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MountedBy {
    mount_point: OnDisk,
    /// Its number
    process: u32,
}

pub fn run(context: &Context, out: &Output, mut args: Args) -> Result<()> {
    let guards = args.take_options()?;
    if args.fake {
        return Ok(());
    }
    if args.daemon {
        return start_in_background(context, out, args, guards);
    }
    let ready = args.ready_fd.map(ReadySignal::from_descriptor).transpose()?;
    let served = serve(context, &args, guards)?;
    if let Err(error) = notify::ready(std::env::var_os("NOTIFY_SOCKET").as_deref()) {
        note(format!("nobody hears that the mount is ready: {error}"));
    }
    match ready {
        Some(ready) => ready.ready(),
        None => out.line(format_args!(
            "mounted at {}; `coral umount` or Ctrl-C ends it",
            served.mount_point().display()
        ))?,
    }
    Ok(served.wait()?)
}

/// The mount, answering; a stop signal unmounts it.
fn serve(context: &Context, args: &Args, guards: Guards) -> Result<crate::fs::Mount> {
    // Before the first thread, so that only the waiting one gets them.
    block_stop_signals()?;
    raise_descriptor_limit();
    let root = root_of(&context.absolute(&args.repository))?;
    let config = context.config(Some(&root))?;
    context.heed(&config, Some(&root))?;
    let repo = open_repo(disk(), &root, &config)?;
    let author = Author {
        name: config.text("user.name").to_owned(),
        email: config.text("user.email").to_owned(),
        offset_minutes: context.offset_minutes,
    };
    let settings = Settings {
        view: view(&repo, args)?,
        author,
        clock: Arc::new(|| Timestamp::from(SystemTime::now())),
        log: log_file(context, args, &root)?,
        auto_commit: auto_commit(args, &config)?,
        background_ingest: true,
    };
    let own = Owner::of_process();
    let owner =
        Owner { uid: args.uid.unwrap_or(own.uid), gid: args.gid.unwrap_or(own.gid), umask: args.umask };
    let (read_only, passthrough) = (args.read_only, !args.no_passthrough);
    let options =
        MountOptions { settings, allow_other: args.allow_other, read_only, owner, guards, passthrough };
    let served = mount(repo, &context.absolute(&args.mount_point), options)?;
    if let Some(trouble) = served.index_trouble() {
        note(format!("there is no index for now, packs are searched one by one: {trouble}"));
    }
    if served.is_read_only() && !read_only {
        note("the repository cannot be written here, and so the mount cannot");
    }
    let stopper = served.stopper();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while wait_for_stop_signal().is_ok() {
            if let Err(error) = stopper.stop() {
                note(error);
            }
        }
    })?;
    Ok(served)
}

/// How the mount commits by itself, if it does.
fn auto_commit(args: &Args, config: &Config) -> Result<Option<AutoCommitSettings>> {
    let when = match args.auto_commit.as_deref().unwrap_or(config.text("auto_commit.when")) {
        "sentinel" => When::Sentinel,
        "quiet" => When::Quiet(Duration::from_secs(config.number("auto_commit.quiet"))),
        "close" => When::Close,
        _ => return Ok(None),
    };
    let tag = |key| match config.text(key) {
        "" => Ok(None),
        name => TagName::new(name).map(Some),
    };
    Ok(Some(AutoCommitSettings {
        when,
        paths: config.text("auto_commit.paths").to_owned(),
        message: config.text("auto_commit.message").to_owned(),
        tag_last: tag("auto_commit.tag_last")?,
        tag_best: tag("auto_commit.tag_best")?,
    }))
}

/// The log that is asked for; the repository's own if none is, where there is room for it.
fn log_file(context: &Context, args: &Args, root: &Path) -> Result<Option<PathBuf>> {
    match &args.log {
        Some(log) if log.as_os_str() == "none" => Ok(None),
        Some(log) => {
            let log = context.absolute(log);
            // Whoever names a file hears that it cannot be written.
            OpenOptions::new().append(true).create(true).open(&log).map_err(|error| {
                CommandError::new(format!("the log {} cannot be written: {error}", quote::file(&log)))
            })?;
            Ok(Some(log))
        }
        None => {
            let run = root.join("run");
            // On a read-only disk nothing is kept.
            Ok(fs::create_dir_all(&run).is_ok().then(|| run.join("mount.log")))
        }
    }
}

fn view(repo: &Repo, args: &Args) -> Result<View> {
    if let Some(text) = &args.revision {
        let (revision, folder) = text.split_once(':').unwrap_or((text, ""));
        repo.resolve(revision, Timestamp::from(SystemTime::now()))?;
        return Ok(View::Snapshot { revision: revision.to_owned(), folder: folder.to_owned() });
    }
    match &args.worktree {
        None => Ok(View::All),
        Some(name) => {
            let branch = BranchName::new(name)?;
            if repo.refs().current_branch().ok().as_ref() != Some(&branch) {
                repo.refs().existing_branch(&branch)?;
            }
            Ok(View::Worktree(branch))
        }
    }
}

impl Args {
    /// Takes what `-o` says as if it had been said by options of their own.
    fn take_options(&mut self) -> Result<Guards> {
        let mut guards = Guards::default();
        for text in std::mem::take(&mut self.options) {
            for option in mount_options::parse(&text)? {
                match option {
                    MountOption::ReadOnly => self.read_only = true,
                    MountOption::AllowOther => self.allow_other = true,
                    MountOption::NoExec => guards.no_exec = true,
                    MountOption::NoSuid => guards.no_suid = true,
                    MountOption::NoDev => guards.no_dev = true,
                    MountOption::Revision(revision) => self.revision = Some(revision),
                    MountOption::Worktree(branch) => self.worktree = Some(branch),
                    MountOption::Log(log) => self.log = Some(log.into()),
                    MountOption::Uid(uid) => self.uid = Some(uid),
                    MountOption::Gid(gid) => self.gid = Some(gid),
                    MountOption::Umask(umask) => self.umask = Some(umask),
                    MountOption::AutoCommit(when) => self.auto_commit = Some(when),
                    MountOption::NoPassthrough => self.no_passthrough = true,
                }
            }
        }
        match self.revision.is_some() && self.worktree.is_some() {
            true => Err(CommandError::usage("a mount shows one tree alone: `ref` or `worktree`, not both")),
            false => Ok(guards),
        }
    }
}

fn start_in_background(context: &Context, out: &Output, args: Args, guards: Guards) -> Result<()> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg("-C").arg(&context.cwd).arg("mount").arg(&args.repository).arg(&args.mount_point);
    for (name, value) in [("--ref", &args.revision), ("--worktree", &args.worktree)] {
        if let Some(value) = value {
            command.arg(name).arg(value);
        }
    }
    if let Some(log) = &args.log {
        command.arg("--log").arg(log);
    }
    for (name, number) in [("--uid", args.uid), ("--gid", args.gid)] {
        command.args(number.map(|number| format!("{name}={number}")));
    }
    command.args(args.umask.map(|umask| format!("--umask={umask:03o}")));
    command.args(args.auto_commit.map(|when| format!("--auto-commit={when}")));
    let flags = [
        ("--allow-other", args.allow_other),
        ("--read-only", args.read_only),
        ("--no-passthrough", args.no_passthrough),
        ("-onoexec", guards.no_exec),
        ("-onosuid", guards.no_suid),
        ("-onodev", guards.no_dev),
    ];
    command.args(flags.iter().filter(|(_, set)| *set).map(|(name, _)| name));
    let Launched { process, said } = launch(command).map_err(|error| match error {
        LaunchError::Failed(said) => CommandError::heard(&said),
        LaunchError::Died(_) | LaunchError::Start(_) => CommandError::new(error),
    })?;
    said.lines().for_each(|line| note(line.strip_prefix("note: ").unwrap_or(line)));
    let mount_point = context.absolute(&args.mount_point);
    match out.json {
        true => out.value(&MountedBy { mount_point: (&mount_point).into(), process }),
        false => out.line(format_args!("mounted at {} by process {process}", mount_point.display())),
    }
}

impl From<MountError> for CommandError {
    fn from(error: MountError) -> Self {
        let hint = match &error {
            MountError::Missing(path) => Some(format!("`mkdir {}` makes it", quote::file_argument(path))),
            MountError::NotADirectory(_) | MountError::NotEmpty(_) => {
                Some("mount on an empty directory".to_owned())
            }
            MountError::AlreadyMounted(mounted) => {
                Some(format!("`coral umount {}` takes it away", quote::file_argument(&mounted.mount_point)))
            }
            MountError::Busy(path) => Some(format!(
                "leave it first, or `coral umount --lazy {}` takes it away when the last user is done",
                quote::file_argument(path)
            )),
            MountError::Silent(path) => Some(format!(
                "`coral umount --lazy {}` takes it away; a process that was stopped goes on after `kill -CONT`",
                quote::file_argument(path)
            )),
            MountError::NotMounted(_)
            | MountError::NoFuseDevice
            | MountError::FuseDeviceDenied(_)
            | MountError::NoFusermount
            | MountError::OthersNotAllowed
            | MountError::TooLittleMemory { .. }
            | MountError::Unservable(_)
            | MountError::System { .. } => None,
        };
        match hint {
            Some(hint) => Self::new(error).hint(hint),
            None => Self::new(error),
        }
    }
}
