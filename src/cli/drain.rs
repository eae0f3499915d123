use super::context::Context;
use super::error::Result;
use super::output::Output;
use super::progress::task;
use crate::units::ByteSize;
use serde_json::json;

/// Make small what was saved or committed and is still as it was saved
///
/// A commit through a mount waits only for the disk; the mount codes its large files afterwards, when nobody waits. This
/// waits until that is done, or does it where no mount is at work. Stopped or killed, it loses nothing.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(context: &Context, out: &Output, _: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    place.drain(&task);
    let done = place.code_attached(&task)?;
    if done.packs > 0 {
        place.announce();
    }
    if out.json {
        return out.value(&json!({
            "objects": done.objects, "bytes_before": done.len, "bytes": done.pack_len,
        }));
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
