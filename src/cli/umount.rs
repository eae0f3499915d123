use super::context::Context;
use super::error::{CommandError, Result};
use super::output::Output;
use super::quote;
use crate::daemons::mounted_above;
use crate::fs::{MountError, unmount};
use std::path::PathBuf;

/// Take a mounted repository away
///
/// Refuses while a program uses it, such as a shell that stands in it. A mount whose daemon died is always taken away.
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
    let stands_inside = context.cwd.starts_with(&mount_point);
    // Not to be one of those who use it.
    std::env::set_current_dir("/")?;
    unmount(&mount_point, args.lazy).map_err(|error| match error {
        MountError::Busy(path) if stands_inside => {
            let path = quote::file(&path);
            CommandError::new(format!(
                "`{path}` is in use: this shell stands in it, or another program uses it"
            ))
            .hint(format!("leave it first: `cd / && coral umount {path}`"))
            .hint("`coral umount --lazy` takes it out of sight at once, and away when the last one has left")
        }
        other => other.into(),
    })?;
    match out.json {
        true => out.value(&serde_json::json!({ "unmounted": mount_point })),
        false => out.line(format_args!("unmounted {}", mount_point.display())),
    }
}
