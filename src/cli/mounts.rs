use super::context::Context;
use super::error::Result;
use super::json::{OnDisk, Time};
use super::output::{Output, note};
use super::{quote, when};
use crate::daemons::{Daemons, Mounted, Request, Served, mounted};
use crate::fs::{Daemon, daemon_of};
use crate::task::Task;
use crate::units::{ByteSize, Timestamp};
use crate::workspace::root_of;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// List the mounts of all repositories on this machine
///
/// With what each shows, the process that serves it and since when. One whose process died is taken away by `coral umount`,
/// or by mounting there again.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What is known of one mount.
struct Known {
    mounted: Mounted,
    /// What its process says of itself; it says nothing where the repository is on a disk that cannot be written.
    served: Option<Served>,
    daemon: Daemon,
}

/// All mounts of this machine.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Mounts {
    mounts: Vec<MountRow>,
}

/// A mount.
#[derive(Debug, Serialize, JsonSchema)]
struct MountRow {
    mount_point: OnDisk,
    /// The repository's folder
    repository: OnDisk,
    /// Of a dead one the process is gone, a silent one does not answer
    #[schemars(extend("enum" = ["served", "dead", "silent"]))]
    state: &'static str,
    /// The number of the process; null, as what follows, where it says nothing of itself
    process: Option<u32>,
    /// When it began
    since: Option<Time>,
    /// What it shows, in words
    shows: Option<String>,
    /// Bytes that are still as they were saved, and not yet made small
    waiting_bytes: Option<u64>,
}

pub fn run(context: &Context, out: &Output, _: Args) -> Result<()> {
    let daemons = Daemons::new();
    // What was bound elsewhere is a part of a mount, not another one.
    let whole = mounted()?.into_iter().filter(|mount| mount.root == Path::new("/"));
    let known: Vec<Known> = whole.map(|mounted| look_at(&daemons, mounted)).collect();
    if out.json {
        return out.value(&Mounts { mounts: known.iter().map(row).collect() });
    }
    if known.is_empty() {
        note("nothing is mounted");
    }
    known.iter().try_for_each(|known| out.line(line(context, known)))
}

fn look_at(daemons: &Daemons, mounted: Mounted) -> Known {
    let served = served(daemons, &mounted);
    let daemon = match &served {
        Some(_) => Daemon::Alive,
        None => daemon_of(&mounted).unwrap_or(Daemon::Silent),
    };
    Known { mounted, served, daemon }
}

/// What the process behind a mount says of itself. Only its socket is asked: a mount that hangs would not answer.
pub fn served(daemons: &Daemons, mounted: &Mounted) -> Option<Served> {
    let root = root_of(&mounted.repository).ok()?;
    let answers = daemons.ask_all(&root.join("run"), Request::About, &Task::default()).ok()?;
    let mut all = answers.iter().filter_map(|answer| Served::parse(answer.as_ref().ok()?));
    all.find(|served| served.mount_point == mounted.mount_point)
}

fn line(context: &Context, Known { mounted, served, daemon }: &Known) -> String {
    let place = format!("{} shows {}", quote::file(&mounted.mount_point), quote::file(&mounted.repository));
    match (served, daemon) {
        (Some(served), _) => {
            let since =
                when::date(Timestamp { seconds: served.since, nanoseconds: 0 }, context.offset_minutes);
            let waiting = match served.waiting {
                0 => String::new(),
                waiting => format!(", {} to be coded", ByteSize(waiting)),
            };
            format!("{place}: {}, process {}, since {}{waiting}", served.shows, served.process, &since[..16])
        }
        (None, Daemon::Alive) => {
            format!("{place}: served; a repository that cannot be written has no place for asking by whom")
        }
        (None, Daemon::Dead) => format!("{place}: its process died; `coral umount` takes it away"),
        (None, Daemon::Silent) => format!("{place}: its process does not answer"),
    }
}

fn row(Known { mounted, served, daemon }: &Known) -> MountRow {
    let state = match daemon {
        Daemon::Alive => "served",
        Daemon::Dead => "dead",
        Daemon::Silent => "silent",
    };
    let served = served.as_ref();
    MountRow {
        mount_point: (&mounted.mount_point).into(),
        repository: (&mounted.repository).into(),
        state,
        process: served.map(|served| served.process),
        since: served.map(|served| Timestamp { seconds: served.since, nanoseconds: 0 }.into()),
        shows: served.map(|served| served.shows.clone()),
        waiting_bytes: served.map(|served| served.waiting),
    }
}
