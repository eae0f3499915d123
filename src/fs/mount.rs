//! A mounted file system: from the checks before the mount to the end of the session.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use fuser::{Config, INodeNo, MountOption, Notifier, Session, SessionACL};

use crate::daemons::{Answer, Request, Served, mounted};
use crate::disk::may_write;
use crate::history::Repo;
use crate::quote;
use crate::task::{Silent, StopHandle, Task};
use crate::threads::answer_at_once;

use super::auto_commit;
use super::control::{ControlSocket, Handler};
use super::file_system::FileSystem;
use super::fuse::{Adapter, AtEnd};
use super::limits;
use super::mount_number::{is_bare, mount_number};
use super::mount_point::{MountError, check_fuse, prepare, system, unmount_own};
use super::owner::Owner;
use super::passthrough::Passthrough;
use super::settings::Settings;
use super::superblock::Teller;
use super::texts::Texts;
use super::upkeep::Upkeep;
use super::workers::Workers;

/// Threads that listen to the kernel, and answer what is short if others still listen.
const SESSION_THREADS: usize = 6;
/// Address space that the session may take when it begins: for each thread a buffer of 16 MiB (a constant of the library),
/// a stack, and an arena of the C library's allocator, which takes twice its 64 MiB while it is made. One more for the log.
const SESSION_MEMORY: usize = (SESSION_THREADS + 1) * (18 << 20) + (SESSION_THREADS + 7) * (64 << 20);
/// How often the daemon looks whether others changed a worktree.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// How long a session whose mount is gone may still serve files that are open.
const LINGER: Duration = Duration::from_secs(10);
/// What root raises the kernel's read-ahead to, in KiB: the knee, measured with requests of 1 MiB.
const READ_AHEAD_KIB: &str = "1024";

/// How a file system is mounted.
#[derive(Clone)]
pub struct MountOptions {
    /// What is mounted.
    pub settings: Settings,
    /// Whether other users see the mount.
    pub allow_other: bool,
    /// Whether the whole mount is read-only.
    pub read_only: bool,
    /// Whom everything belongs to.
    pub owner: Owner,
    /// What the kernel is to refuse.
    pub guards: Guards,
    /// Whether the kernel may read and write files of the disk by itself, where it can.
    pub passthrough: bool,
}

impl MountOptions {
    /// For this process's user alone.
    pub fn new(settings: Settings) -> Self {
        let (owner, guards) = (Owner::of_process(), Guards::default());
        Self { settings, allow_other: false, read_only: false, owner, guards, passthrough: true }
    }
}

/// What the kernel refuses in a mount, as mount(8) has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Guards {
    /// Nothing is run.
    pub no_exec: bool,
    /// Nothing is run as somebody else.
    pub no_suid: bool,
    /// No file is a device.
    pub no_dev: bool,
}

/// A file system that is mounted and answers. Dropping it unmounts.
#[derive(Debug)]
pub struct Mount {
    mount_point: PathBuf,
    read_only: bool,
    core: Arc<FileSystem>,
    ended: Arc<Ended>,
    _socket: Option<ControlSocket>,
    _wake: Sender<Sender<()>>,
}

/// Whether the session is over, and how it ended.
#[derive(Debug, Default)]
struct Ended {
    result: Mutex<Option<io::Result<()>>>,
    changed: Condvar,
}

impl Ended {
    fn set(&self, result: io::Result<()>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.changed.notify_all();
    }

    fn is_over(&self) -> bool {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn wait(&self, longest: Option<Duration>) {
        let guard = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        let running = |result: &mut Option<io::Result<()>>| result.is_none();
        match longest {
            None => drop(self.changed.wait_while(guard, running)),
            Some(longest) => drop(self.changed.wait_timeout_while(guard, longest, running)),
        }
    }
}

/// Stops a mount from any thread.
#[derive(Debug, Clone)]
pub struct Stopper {
    mount_point: PathBuf,
    ended: Arc<Ended>,
    /// Ends what somebody asked for.
    ending: StopHandle,
}

impl Stopper {
    /// Unmounts. Programs that still use the mount keep it for a while, out of sight; then they get errors. So does who waits
    /// for a command in `.coral/ctl`.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn stop(&self) -> Result<(), MountError> {
        // Somebody else's mount may be at the mount point by now.
        if self.ended.is_over() {
            return Ok(());
        }
        unmount_own(&self.mount_point)?;
        let (ended, ending) = (Arc::clone(&self.ended), self.ending.clone());
        let give_up = move || {
            ended.wait(Some(LINGER));
            ending.stop();
        };
        // Without it, whoever waits has to be ended.
        let _ = thread::Builder::new().name("ending".into()).spawn(give_up);
        Ok(())
    }
}

/// Mounts a file system of `repo` at `mount_point`. When this returns, the mount answers.
///
/// The stop signals should be blocked before (see [`super::block_stop_signals`]), since this starts threads.
///
/// # Errors
/// [`MountError`] says what stands in the way and what helps.
pub fn mount(repo: Repo, mount_point: &Path, options: MountOptions) -> Result<Mount, MountError> {
    check_fuse()?;
    let mount_point = prepare(mount_point)?;
    let failed = |operation| system(operation, &mount_point);
    let MountOptions { settings, owner, .. } = options.clone();
    let auto_commit = settings.auto_commit.clone();
    let core = FileSystem::new(repo, settings).map_err(MountError::Unservable)?;
    let core = Arc::new(core);
    let upkeep = Upkeep::of(&core.shared);
    upkeep.attach_index();
    upkeep.keep_room();
    upkeep.go_on();
    let workers = Workers::start(SESSION_THREADS).map_err(failed("start threads for"))?;
    let read_only = options.read_only || !may_write(core.repo().root());
    let config = config(&core, &options, read_only);
    let ended = Arc::new(Ended::default());
    let ours = Arc::new(OnceLock::new());
    let passthrough = if options.passthrough { Passthrough::default() } else { Passthrough::off() };
    let at_end = leaving(&mount_point, &ours, &ended);
    let adapter = Adapter::new(Arc::clone(&core), workers, owner, passthrough, at_end);
    let reserved = limits::reserve_memory(SESSION_MEMORY)
        .map_err(|source| MountError::TooLittleMemory { bytes: SESSION_MEMORY, source })?;
    let session = Session::new(adapter, &mount_point, &config).map_err(refused(&mount_point))?;
    let notifier = session.notifier();
    if let Some(identity) = Identity::at(&mount_point) {
        // It was empty until now.
        let _ = ours.set(identity);
    }

    // All that can fail comes before the session, which takes the mount with it; from then on dropping this unmounts.
    let (wake, woken) = bounded(0);
    core.shared.set_teller(teller(wake.clone()));
    let watched = Arc::downgrade(&core);
    let watch = move || look_around(&watched, &notifier, &woken);
    thread::Builder::new().name("look-around".into()).spawn(watch).map_err(failed("watch"))?;
    let ending = core.shared.ending.clone();
    let stopper = Stopper { mount_point: mount_point.clone(), ended: Arc::clone(&ended), ending };
    let socket = listen(&core, stopper);
    if let Some(settings) = auto_commit.filter(|_| !read_only) {
        auto_commit::start(&core, settings).map_err(failed("commit by itself what is saved to"))?;
    }

    let told = Arc::clone(&ended);
    // Its threads start from this one.
    let serve = move || {
        answer_at_once();
        told.set(session.run());
    };
    drop(reserved);
    thread::Builder::new().name("session".into()).spawn(serve).map_err(failed("serve"))?;
    core.shared.log.line(core.shared.now(), format_args!("mounted at {}", quote::file(&mount_point)));
    // The session answers this, or nothing else either.
    raise_read_ahead(&mount_point);
    Ok(Mount { mount_point, read_only, core, ended, _socket: socket, _wake: wake })
}

/// Which mount it is: by a number that is given once, and by that of its device where the kernel has no such numbers.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    number: Option<u64>,
    device: u64,
}

impl Identity {
    /// That of the Coral file system that is on top at a mount point.
    fn at(mount_point: &Path) -> Option<Self> {
        let all = mounted().ok()?;
        let device = all.iter().rfind(|mounted| mounted.mount_point == mount_point)?.device;
        Some(Self { number: mount_number(mount_point), device })
    }
}

/// What happens before the library takes the session down: it unmounts whatever is at the mount point then, once more
/// also if our mount is gone already. That may be somebody else's by now, or one that was there before. In that case the
/// session's thread ends here, and what it holds goes with the process.
fn leaving(mount_point: &Path, ours: &Arc<OnceLock<Identity>>, ended: &Arc<Ended>) -> AtEnd {
    let (mount_point, ours, ended) = (mount_point.to_owned(), Arc::clone(ours), Arc::clone(ended));
    AtEnd(Box::new(move || {
        if is_others(&mount_point, ours.get()) {
            ended.set(Ok(()));
            loop {
                thread::park();
            }
        }
    }))
}

/// Whether what is mounted at a mount point, if anything is, is not `ours`.
fn is_others(mount_point: &Path, ours: Option<&Identity>) -> bool {
    let Some(ours) = ours else { return false };
    match ours.number {
        Some(number) => mount_number(mount_point) != Some(number) && !is_bare(mount_point),
        None => Identity::at(mount_point).is_some_and(|there| there != *ours),
    }
}

impl Mount {
    /// Where it is mounted, as an absolute path.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Whether nobody can write to it, as it was asked for or because the repository cannot be written.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The file system behind it.
    pub fn file_system(&self) -> &Arc<FileSystem> {
        &self.core
    }

    /// Why there is no index, if there is none.
    pub fn index_trouble(&self) -> Option<String> {
        self.core.shared.index.trouble()
    }

    /// What stops the mount from another thread.
    pub fn stopper(&self) -> Stopper {
        let ending = self.core.shared.ending.clone();
        Stopper { mount_point: self.mount_point.clone(), ended: Arc::clone(&self.ended), ending }
    }

    /// Waits until somebody unmounts it, then makes what was done durable.
    ///
    /// # Errors
    /// Why the session ended, if not by unmounting; or why not everything is durable.
    pub fn wait(self) -> Result<(), MountError> {
        self.ended.wait(None);
        self.finish()
    }

    /// Unmounts, waits until the last request is answered, and makes what was done durable.
    ///
    /// # Errors
    /// As [`Mount::wait`].
    pub fn stop(self) -> Result<(), MountError> {
        self.stopper().stop()?;
        self.ended.wait(Some(LINGER));
        self.finish()
    }

    fn finish(&self) -> Result<(), MountError> {
        let shared = &self.core.shared;
        shared.ending.stop();
        shared.handles.close_noted();
        shared.handles.interrupt();
        shared.auto_events.end();
        let synced = Upkeep::of(shared).sync();
        match &synced {
            Ok(()) => shared.log.line(shared.now(), "unmounted"),
            Err(error) => {
                shared.log.line(shared.now(), format_args!("unmounted, not all is durable: {error}"))
            }
        }
        // Threads of the session may hold the log until the process ends.
        shared.log.flush();
        synced.map_err(MountError::Unservable)?;
        match &*self.ended.result.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Err(error)) => Err(system("serve", &self.mount_point)(io::Error::other(error.to_string()))),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whoever wanted to know called `stop` or `wait`.
        let _ = self.stopper().stop();
    }
}

fn config(core: &FileSystem, options: &MountOptions, read_only: bool) -> Config {
    let mut config = Config::default();
    config.n_threads = Some(SESSION_THREADS);
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.mount_options = vec![
        MountOption::FSName(mount_source(core.shared.repository_folder())),
        // The library's own option for this reaches only the setuid helper.
        MountOption::CUSTOM("subtype=coral".to_owned()),
        MountOption::DefaultPermissions,
        // Times of access are not kept.
        MountOption::NoAtime,
        if read_only { MountOption::RO } else { MountOption::RW },
    ];
    let Guards { no_exec, no_suid, no_dev } = options.guards;
    let guards =
        [(no_exec, MountOption::NoExec), (no_suid, MountOption::NoSuid), (no_dev, MountOption::NoDev)];
    config.mount_options.extend(guards.into_iter().filter(|(is_on, _)| *is_on).map(|(_, option)| option));
    config
}

/// The repository's path as the mount's source. The setuid helper takes options as one text with commas in between.
fn mount_source(repository: &Path) -> String {
    String::from_utf8_lossy(repository.as_os_str().as_bytes()).replace('\\', "\\\\").replace(',', "\\,")
}

/// What the library's errors mean to somebody who wants to mount.
fn refused(mount_point: &Path) -> impl FnOnce(io::Error) -> MountError {
    let mount_point = mount_point.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::PermissionDenied if error.to_string().contains("user_allow_other") => {
            MountError::OthersNotAllowed
        }
        _ => system("mount", &mount_point)(error),
    }
}

/// Lets the kernel read ahead in larger steps; only root may, and a mount without it works.
fn raise_read_ahead(mount_point: &Path) {
    use std::os::unix::fs::MetadataExt;
    if let Ok(device) = fs::metadata(mount_point).map(|stat| stat.dev()) {
        let (major, minor) = (libc::major(device), libc::minor(device));
        let _ = fs::write(format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"), READ_AHEAD_KIB);
    }
}

/// Wakes the thread that looks around and waits until it has told the kernel, or for a while if the kernel is busy.
fn teller(wake: Sender<Sender<()>>) -> Teller {
    Box::new(move || {
        let (told, done) = bounded(1);
        if wake.send_timeout(told, LOOK_AROUND).is_ok() {
            // It hangs up when it is done.
            let _ = done.recv_timeout(LOOK_AROUND);
        }
    })
}

/// Tells the kernel which cached names were made stale: now and then for worktrees that others change, at once when
/// somebody asks. Never from a session's thread: telling waits for requests on the directory to be answered.
fn look_around(core: &Weak<FileSystem>, notifier: &Notifier, woken: &Receiver<Sender<()>>) {
    loop {
        let asked = match woken.recv_timeout(LOOK_AROUND) {
            Ok(asker) => Some(asker),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(core) = core.upgrade() else { return };
        let upkeep = Upkeep::of(&core.shared);
        let mut stale = upkeep.take_stale_names();
        if asked.is_some() {
            stale.extend(upkeep.take_moving_names());
        }
        for (parent, name) in stale {
            // ENOENT: the kernel did not know the name.
            let _ = notifier.inval_entry(INodeNo(parent), std::ffi::OsStr::from_bytes(&name));
        }
        if asked.is_none() {
            upkeep.tidy();
            upkeep.keep_room();
            upkeep.want_index();
        }
    }
}

/// Answers other processes, as long as there is something to answer for. A repository on a read-only disk has no place
/// for a socket; the mount works without.
fn listen(core: &Arc<FileSystem>, stopper: Stopper) -> Option<ControlSocket> {
    let run = core.repo().root().join("run");
    fs::create_dir_all(&run).ok()?;
    let handler = Answers { core: Arc::downgrade(core), stopper };
    ControlSocket::listen(&run, std::process::id(), Arc::new(handler)).ok()
}

/// Who answers other processes.
struct Answers {
    core: Weak<FileSystem>,
    stopper: Stopper,
}

impl Handler for Answers {
    fn answer(&self, request: Request) -> Answer {
        match self.core.upgrade() {
            Some(core) => answer(&core, &self.stopper, request),
            None => Err("the mount is gone".to_owned()),
        }
    }

    fn left(&self) -> Option<u64> {
        self.core.upgrade().map(|core| core.repo().store().attached_len())
    }
}

fn answer(core: &FileSystem, stopper: &Stopper, request: Request) -> Answer {
    let done = match request {
        Request::Ping => Ok(format!("{} {}", std::process::id(), stopper.mount_point.display())),
        Request::About => Ok(about(core, stopper).to_text()),
        Request::Refresh => Upkeep::of(&core.shared).refresh().map(|()| String::new()),
        Request::Settle => {
            core.shared.settle();
            Ok(String::new())
        }
        Request::GiveWay => {
            core.shared.settle();
            core.shared.ingest.give_way();
            Ok(String::new())
        }
        Request::Drain => {
            let task = Task::new(Arc::new(core.shared.ending.clone()), Arc::new(Silent));
            Upkeep::of(&core.shared).drain(&task).map(|()| String::new())
        }
        Request::Status => Ok(Texts::of(&core.shared).status_text()),
        Request::Stop => {
            stopper.stop().map_err(|error| error.to_string())?;
            return Ok(String::new());
        }
    };
    done.map_err(|error| error.to_string())
}

fn about(core: &FileSystem, stopper: &Stopper) -> Served {
    Served {
        process: std::process::id(),
        mount_point: stopper.mount_point.clone(),
        since: core.shared.started.seconds,
        shows: core.shared.view.to_string(),
        waiting: core.repo().store().attached_len(),
    }
}
