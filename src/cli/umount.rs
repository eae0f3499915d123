use super::context::Context;
use super::error::{CommandError, Result};
use super::output::Output;
use crate::fs::{mounted_above, unmount};
use std::path::PathBuf;

/// Take a mounted repository away
///
/// Refuses while a program uses it. A mount whose daemon died is always taken away.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it is mounted; if it is not said, the mount that the current folder is in
    #[arg(value_name = "MNT")]
    mount_point: Option<PathBuf>,
    /// Take it out of sight now; programs that use it keep it until they are done
    #[arg(short, long)]
    lazy: bool,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let mount_point = match args.mount_point {
        Some(typed) => context.absolute(&typed),
        None => match mounted_above(&context.cwd)? {
            Some(mounted) => mounted.mount_point,
            None => return Err(CommandError::usage("no mount was named").hint("`coral umount MNT`")),
        },
    };
    unmount(&mount_point, args.lazy)?;
    match out.json {
        true => out.value(&serde_json::json!({ "unmounted": mount_point })),
        false => out.line(format_args!("unmounted {}", mount_point.display())),
    }
}
