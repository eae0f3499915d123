use super::context::Context;
use super::error::{CommandError, Result};
use super::json::OnDisk;
use super::output::Output;
use super::progress::task;
use super::quote;
use crate::units::ByteSize;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// Write a revision, a directory or a file of it as plain files
///
/// OUT must not exist, or be an empty directory. Every file's bytes are checked on the way. If it fails, what it wrote is
/// removed again, so that it can be repeated; if it is killed, OUT has a part.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF, or REF:PATH
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// Where to
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Written {
    /// Where it is
    path: OnDisk,
    files: u64,
    bytes: u64,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let found = place.views().locate(args.target.as_encoded_bytes())?;
    let entry = found.entry.stored().filter(|_| found.view.commit().is_some()).ok_or_else(|| {
        CommandError::usage("the worktree is not exported")
            .hint("`coral commit` it first; a mount shows it as files")
    })?;
    if args.out.as_os_str() == "-" {
        return Err(CommandError::usage("a directory cannot be written to the standard output")
            .hint("`coral cat REF:PATH` prints a file; `./-` is a folder of that name"));
    }
    let path = context.absolute(&args.out);
    let exported = place.repo.export(&entry, &path, &task()?)?;
    if out.json {
        return out.value(&Written { path: (&path).into(), files: exported.files, bytes: exported.bytes });
    }
    let (files, size) = (exported.files, ByteSize(exported.bytes));
    out.line(format_args!("{files} files, {size}, every byte checked, in {}", quote::file(&path)))
}
