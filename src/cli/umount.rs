use super::context::{Context, disk};
use super::error::{CommandError, Result};
use super::json::OnDisk;
use super::mounts::served;
use super::output::{Output, note};
use super::progress::task;
use super::quote;
use crate::daemons::{Daemons, Mounted, Process, Request, Served, mounted, mounted_above};
use crate::fs::{MountError, unmount};
use crate::history;
use crate::task::Task;
use crate::units::ByteSize;
use crate::workspace::{open_repo, root_of};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What takes less long is not worth a word.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Take a mounted repository away
///
/// Refuses while a program uses it, such as a shell that stands in it. A mount whose daemon died is always taken away.
/// Returns when the process that served it has finished what it had begun, and ended.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it is mounted; if it is not said, the mount that the current folder is in
    #[arg(value_name = "MNT")]
    mount_point: Option<PathBuf>,
    /// Take it out of sight now; programs that use it keep it until they are done
    #[arg(short, long)]
    lazy: bool,
    /// Before that, let it make small what was saved and committed
    #[arg(long, conflicts_with = "lazy")]
    drain: bool,
}

/// A mount that was taken away.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unmounted {
    unmounted: OnDisk,
    /// Bytes that are still as they were saved, and not yet made small
    waiting_bytes: u64,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let mount_point = match args.mount_point {
        Some(typed) => context.absolute(&typed),
        None => match mounted_above(&context.cwd)? {
            Some(mounted) => mounted.mount_point,
            None => return Err(CommandError::usage("no mount was named").hint("`coral umount MNT`")),
        },
    };
    let stands_inside = context.cwd.starts_with(&mount_point);
    // Not to be one of those who use it.
    std::env::set_current_dir("/")?;
    let daemon = Behind::of(&mount_point);
    let task = task()?;
    if let Some(daemon) = daemon.as_ref().filter(|_| args.drain) {
        daemon.drain(&task)?;
    }
    unmount(&mount_point, args.lazy).map_err(|error| explained(error, stands_inside))?;
    if let Some(daemon) = daemon.as_ref().filter(|_| !args.lazy) {
        daemon.wait(&mount_point, &task)?;
    }
    let waiting = daemon.as_ref().and_then(|daemon| daemon.waiting(context)).unwrap_or_default();
    if out.json {
        return out.value(&Unmounted { unmounted: (&mount_point).into(), waiting_bytes: waiting });
    }
    out.line(format_args!("unmounted {}", mount_point.display()))?;
    if waiting > 0 {
        note(format!(
            "{} are as they were saved: `coral drain` makes them small, or the next mount does",
            ByteSize(waiting)
        ));
    }
    Ok(())
}

fn explained(error: MountError, stands_inside: bool) -> CommandError {
    match error {
        MountError::Busy(path) if stands_inside => {
            let path = quote::file(&path);
            CommandError::new(format!(
                "`{path}` is in use: this shell stands in it, or another program uses it"
            ))
            .hint(format!("leave it first: `cd / && coral umount {path}`"))
            .hint("`coral umount --lazy` takes it out of sight at once, and away when the last one has left")
        }
        other => other.into(),
    }
}

/// The process behind a mount that answers.
struct Behind {
    daemons: Daemons,
    mounted: Mounted,
    served: Served,
    process: Option<Process>,
}

impl Behind {
    fn of(mount_point: &Path) -> Option<Self> {
        let daemons = Daemons::new();
        let here = |mounted: &Mounted| mounted.mount_point == mount_point && mounted.root == Path::new("/");
        let mounted = mounted().ok()?.into_iter().rfind(here)?;
        let served = served(&daemons, &mounted)?;
        let process = Process::find(served.process).ok();
        Some(Self { daemons, mounted, served, process })
    }

    /// Lets it code what waits.
    fn drain(&self, task: &Task) -> Result<()> {
        let root = root_of(&self.mounted.repository)?;
        let answers = self.daemons.ask_all(&root.join("run"), Request::Drain, task)?;
        if let Err(stopped) = task.check() {
            let stopped = CommandError::from(history::Error::Stopped(stopped));
            return Err(stopped.hint("it is still mounted, and its process goes on making small what waits"));
        }
        answers.into_iter().filter_map(std::result::Result::err).for_each(|trouble| {
            note(format!("a mount of this repository says: {trouble}"));
        });
        Ok(())
    }

    /// Waits until it has ended.
    fn wait(&self, mount_point: &Path, task: &Task) -> Result<()> {
        let Some(process) = &self.process else { return Ok(()) };
        let number = self.served.process;
        if process.ends_within(AT_ONCE) {
            return Ok(());
        }
        note(format!("process {number} finishes what it had begun to store; Ctrl-C leaves it to that"));
        process.wait(task).map_err(|stopped| {
            CommandError::from(history::Error::Stopped(stopped))
                .hint(format!(
                    "{} is unmounted; process {number} ends by itself, and nothing is lost",
                    quote::file(mount_point)
                ))
                .hint("what it does not finish the next mount does, or `coral drain`")
        })
    }

    /// Bytes that wait to be coded.
    fn waiting(&self, context: &Context) -> Option<u64> {
        let root = root_of(&self.mounted.repository).ok()?;
        let repo = open_repo(disk(), &root, &context.config(Some(&root)).ok()?).ok()?;
        Some(repo.store().attached_len())
    }
}
