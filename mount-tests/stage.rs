//! A scratch repository, mounted, and programs that run in it. Whatever happens, nothing stays mounted or running.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub use crate::harness::Missing;
use crate::harness::scratch;
use crate::nobody::{NOBODY, as_nobody, needs_unprivileged_fuse};

/// How long a program may take, in seconds: a mount that hangs fails its test instead of hanging the run.
const PATIENCE: &str = "120";
/// How long what happens behind an answer may take.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A mounted repository: `repo` and `mnt` in a scratch folder.
pub struct Stage {
    folder: tempfile::TempDir,
    /// Whether it belongs to a user without privileges, who runs everything there.
    is_nobodys: bool,
    daemons: Vec<Daemon>,
    /// Where a test mounts something itself.
    others: Vec<PathBuf>,
}

struct Daemon {
    process: Child,
    mount_point: PathBuf,
}

impl Stage {
    /// A new repository, mounted whole.
    pub fn new() -> Result<Self, Missing> {
        let mut stage = Self::unmounted()?;
        stage.mount(&["repo", "mnt"]);
        Ok(stage)
    }

    /// A new repository that is not mounted.
    pub fn unmounted() -> Result<Self, Missing> {
        needs_fuse()?;
        let stage = Self::empty();
        stage.coral(&["init", "repo"]).succeeds();
        Ok(stage)
    }

    /// A new repository of a user without privileges, who mounts it and runs every program.
    pub fn of_nobody() -> Result<Self, Missing> {
        needs_unprivileged_fuse()?;
        let mut stage = Self::empty();
        stage.is_nobodys = true;
        fs::copy(coral(), stage.path("coral")).expect("room");
        fs::create_dir(stage.path("home")).expect("a scratch folder");
        fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
        for path in ["", "mnt", "home"] {
            chown(stage.path(path), Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        stage.coral(&["init", "repo"]).succeeds();
        stage.mount(&["repo", "mnt"]);
        Ok(stage)
    }

    fn empty() -> Self {
        let folder = scratch("mount-");
        let stage = Self { folder, is_nobodys: false, daemons: Vec::new(), others: Vec::new() };
        fs::create_dir(stage.path("mnt")).expect("a scratch folder");
        stage
    }

    /// The program as whoever runs it here may: he need not get to where it was built.
    fn own_coral(&self) -> PathBuf {
        match self.is_nobodys {
            true => self.path("coral"),
            false => coral().into(),
        }
    }

    /// A program that whoever the repository belongs to starts.
    fn started(&self, program: impl AsRef<OsStr>) -> Command {
        match self.is_nobodys {
            true => as_nobody(program),
            false => Command::new(program),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the mount.
    pub fn mnt(&self, path: &str) -> PathBuf {
        self.path("mnt").join(path)
    }

    /// A path in the worktree of main.
    pub fn worktree(&self, path: &str) -> PathBuf {
        self.mnt("worktree/main").join(path)
    }

    /// Runs `coral` in the scratch folder.
    pub fn coral(&self, arguments: &[&str]) -> Ran {
        self.run(self.program(self.own_coral(), self.folder.path()).args(arguments))
    }

    /// Runs `coral` in the repository's folder.
    pub fn in_repo(&self, arguments: &[&str]) -> Ran {
        self.run(self.program(self.own_coral(), &self.path("repo")).args(arguments))
    }

    /// Runs a shell script that stops at the first failure. `$M` is the mount, `$W` the worktree of main.
    pub fn sh(&self, script: &str) -> Ran {
        self.sh_in(self.folder.path(), script)
    }

    pub fn sh_in(&self, folder: &Path, script: &str) -> Ran {
        self.run(self.program("sh", folder).args(["-euc", script]))
    }

    /// A program that is about to run, limited in time.
    pub fn program(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = self.started("timeout");
        command.arg(PATIENCE).arg(program).current_dir(folder);
        command.env("M", self.path("mnt")).env("W", self.worktree("")).env("CORAL", self.own_coral());
        command.env("HOME", self.path("home")).env_remove("CI");
        command
    }

    pub fn run(&self, command: &mut Command) -> Ran {
        let output = command.stdin(Stdio::null()).output().expect("the program starts");
        Ran { output }
    }

    /// Waits for something that happens behind an answer.
    #[track_caller]
    pub fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < WAIT_MAX, "still waiting until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Commits the worktree of main and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        let said = self.in_repo(&["--json", "commit", "-m", message]).succeeds().text();
        let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        value["commit"].as_str().expect("an id").to_owned()
    }

    /// Mounts with these arguments, the last of which is the mount point, and waits until it answers.
    pub fn mount(&mut self, arguments: &[&str]) {
        let mut command = self.started(self.own_coral());
        command.current_dir(self.folder.path()).env("HOME", self.path("home")).arg("mount").args(arguments);
        // SAFETY: signal(2) is one that may be called between fork and exec.
        unsafe { command.pre_exec(hear_signals) };
        self.serve(command, arguments.last().expect("a mount point"));
    }

    /// Starts a daemon and waits until it says that it serves.
    pub fn serve(&mut self, mut command: Command, mount_point: &str) {
        let mount_point = self.path(mount_point);
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("coral starts");
        let mut said = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut said).expect("readable");
        if !said.starts_with("mounted") {
            let mut trouble = String::new();
            let mut stderr = process.stderr.take().expect("piped");
            stderr.read_to_string(&mut trouble).expect("readable");
            let _ = process.wait();
            panic!("not mounted: {said}{trouble}");
        }
        self.daemons.push(Daemon { process, mount_point });
    }

    /// Sees to it that nothing stays mounted at a place where a test mounts by its own commands.
    pub fn mounts_itself(&mut self, mount_point: &str) {
        let mount_point = self.path(mount_point);
        self.others.push(mount_point);
    }

    /// Kills the daemon of the last mount without a chance to do anything.
    pub fn kill_daemon(&mut self) {
        let daemon = self.daemons.last_mut().expect("a daemon");
        daemon.process.kill().expect("it runs");
        daemon.process.wait().expect("it ran");
    }

    /// Sends the daemon of the last mount a signal and waits for its end.
    pub fn signal_daemon(&mut self, signal: i32) -> bool {
        let mut daemon = self.daemons.pop().expect("a daemon");
        send(&daemon.process, signal);
        daemon.process.wait().expect("it ran").success()
    }

    /// Waits for the end of the daemon of the last mount but one, which has lost its mount.
    pub fn wait_for_the_one_before(&mut self) {
        let at = self.daemons.len().checked_sub(2).expect("two daemons");
        let mut daemon = self.daemons.remove(at);
        assert!(daemon.process.wait().expect("it ran").success());
    }

    /// Waits for the end of the daemon of the last mount, which a test took away.
    pub fn wait_for_the_last(&mut self) {
        let mut daemon = self.daemons.pop().expect("a daemon");
        assert!(daemon.process.wait().expect("it ran").success());
    }

    /// The number of the process that serves the last mount.
    pub fn daemon_process(&self) -> u32 {
        self.daemons.last().expect("a daemon").process.id()
    }

    /// Sends the daemon of the last mount a signal.
    pub fn signal(&self, signal: i32) {
        send(&self.daemons.last().expect("a daemon").process, signal);
    }

    /// Unmounts the last mount properly.
    pub fn unmount(&mut self) {
        let mut daemon = self.daemons.pop().expect("a daemon");
        let mount_point = daemon.mount_point.to_str().expect("our own name").to_owned();
        self.coral(&["umount", &mount_point]).succeeds();
        assert!(daemon.process.wait().expect("it ran").success());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.others.iter().for_each(|mount_point| detach(mount_point));
        for mut daemon in self.daemons.drain(..).rev() {
            detach(&daemon.mount_point);
            send(&daemon.process, libc::SIGTERM);
            // A daemon that hangs must not hang the tests: its mount is gone, so killing it harms nobody.
            let ended = (0..100).any(|_| {
                std::thread::sleep(Duration::from_millis(20));
                !matches!(daemon.process.try_wait(), Ok(None))
            });
            if !ended {
                let _ = daemon.process.kill();
                let _ = daemon.process.wait();
            }
        }
    }
}

fn send(process: &Child, signal: i32) {
    // SAFETY: kill takes any numbers; the process is our child and not yet waited for, so the number is still its.
    unsafe { libc::kill(process.id() as libc::pid_t, signal) };
}

/// Lets a program hear the signals that stop it, also where whoever runs the tests ignores them, as nohup(1) does.
pub fn hear_signals() -> std::io::Result<()> {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the default is no function of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}

/// Takes a mount out of the tree, if there is one.
pub fn detach(mount_point: &Path) {
    let path = std::ffi::CString::new(mount_point.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: the path is NUL-terminated and outlives the call. Failure means that nothing is mounted there.
    unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
}

/// An extended attribute of a file.
pub fn xattr(path: &Path, name: &str) -> io::Result<String> {
    let (path, name) = (CString::new(path.as_os_str().as_bytes())?, CString::new(name)?);
    let mut value = [0u8; 200];
    // SAFETY: path, name and value outlive the call, and the length is the value's.
    let len = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    Ok(String::from_utf8_lossy(&value[..len]).into_owned())
}

pub fn coral() -> &'static str {
    env!("CARGO_BIN_EXE_coral")
}

fn needs_fuse() -> Result<(), Missing> {
    let device = fs::OpenOptions::new().read(true).write(true).open("/dev/fuse");
    device.map(|_| ()).map_err(|error| Missing(format!("/dev/fuse cannot be opened: {error}")))
}

pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

pub fn needs_root() -> Result<(), Missing> {
    match is_root() {
        true => Ok(()),
        false => Err(Missing("this needs root".to_owned())),
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ran {
    output: Output,
}

impl Ran {
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert!(self.output.status.success(), "{self}");
        self
    }

    /// It ended with an error that has all of these words.
    #[track_caller]
    pub fn fails(self, words: &[&str]) -> Self {
        assert!(!self.output.status.success(), "it succeeded: {self}");
        let said = self.to_string();
        for word in words {
            assert!(said.contains(word), "no `{word}` in {said}");
        }
        self
    }

    pub fn is_success(&self) -> bool {
        self.output.status.success()
    }

    /// What it ended with, if it was not by a signal.
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stderr = String::from_utf8_lossy(&self.output.stderr);
        write!(f, "{}: {}{stderr}", self.output.status, self.text())
    }
}

/// Numbers that look like weights, the same for the same seed.
pub fn weights(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..bytes / 4).flat_map(|_| ((uniform() + uniform() + uniform()) * 0.05).to_le_bytes()).collect()
}
