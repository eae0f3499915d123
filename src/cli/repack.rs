use super::context::Context;
use super::error::Result;
use super::output::Output;
use super::progress::task;
use crate::codec::Level;
use crate::history::repack;
use crate::units::ByteSize;
use crate::worktree::treatments;
use schemars::JsonSchema;
use serde::Serialize;

/// Write the store anew: one pack, and quick reading of what branches and tags show
///
/// History keeps every byte, readers go on reading and writers on writing. Needs as much room on the disk as the
/// repository takes, until it is done.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Differences that are undone, at most, to read what branches and tags show
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=64))]
    depth: u8,
    /// Code everything anew: fast, default or max. What .coralattributes says of a path is stronger, and its `base=` comes first
    #[arg(long, value_name = "LEVEL", value_parser = Level::from_name)]
    level: Option<Level>,
}

/// What was written anew.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Repacked {
    /// Objects in the new pack; 0 if there was nothing to do
    objects: usize,
    /// Of these, those that were coded anew
    recoded: usize,
    packs_removed: usize,
    /// Bytes of all packs and sidecars before
    bytes_before: u64,
    /// The same afterwards
    bytes: u64,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    place.drain(&task);
    place.code_attached(&task)?;
    // Objects that only older commits have are coded anew with a level alone.
    let said = treatments(&place.repo, args.level.is_some(), &task)?;
    let done = repack(&place.repo, args.depth, args.level, said, &task)?;
    place.announce();
    if out.json {
        return out.value(&Repacked {
            objects: done.objects,
            recoded: done.recoded,
            packs_removed: done.removed,
            bytes_before: done.disk_len_before,
            bytes: done.disk_len,
        });
    }
    match done.objects {
        0 => out.line("there is nothing to gain"),
        objects if done.removed == 0 && done.disk_len > done.disk_len_before => out.line(format_args!(
            "{objects} objects in one pack; the old ones stay, since something was stored meanwhile that needs them: \
             repack again"
        )),
        objects => out.line(format_args!(
            "{objects} objects in one pack, {} of them coded anew; {} before, {} now",
            done.recoded,
            ByteSize(done.disk_len_before),
            ByteSize(done.disk_len),
        )),
    }
}
