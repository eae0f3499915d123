use super::context::Context;
use super::error::Result;
use super::output::Output;
use super::progress::task;
use crate::units::ByteSize;
use schemars::JsonSchema;
use serde::Serialize;

/// Make small what was saved or committed and is still as it was saved
///
/// A commit through a mount waits only for the disk; the mount codes its large files afterwards, when nobody waits. This
/// waits until that is done, or does it where no mount is at work. Stopped or killed, it loses nothing.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What was made small.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Drained {
    /// 0 if nothing waited, or a mount did it
    objects: usize,
    /// What they took as they were saved
    bytes_before: u64,
    /// What they take now
    bytes: u64,
}

pub fn run(context: &Context, out: &Output, _: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    place.drain(&task);
    let done = place.code_attached(&task)?;
    if done.packs > 0 {
        place.announce();
    }
    if out.json {
        let (bytes_before, bytes) = (done.len, done.pack_len);
        return out.value(&Drained { objects: done.objects, bytes_before, bytes });
    }
    match done.objects {
        0 => out.line("nothing waits"),
        objects => out.line(format_args!(
            "{objects} objects: {} as they were saved, {} now",
            ByteSize(done.len),
            ByteSize(done.pack_len)
        )),
    }
}
