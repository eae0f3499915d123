use super::context::Context;
use super::error::Result;
use super::json::OnDisk;
use super::output::Output;
use super::quote;
use crate::workspace::Ignored;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Tell which paths `add` leaves out of folders
///
/// What .coralignore files say is left out, as .gitignore files do in git, and other programs' own folders. Ends with 1 if none
/// of the paths is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Paths on the disk
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Say which pattern of which file leaves each out
    #[arg(short, long)]
    verbose: bool,
}

/// Which of the paths are left out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LeftOut {
    ignored: Vec<LeftOutRow>,
}

/// A path that is left out.
#[derive(Debug, Serialize, JsonSchema)]
struct LeftOutRow {
    /// As it was given
    path: OnDisk,
    pattern: String,
    /// The file that has the pattern; null for what is left out everywhere
    file: Option<OnDisk>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let ignored = Ignored::below(&place.folder);
    let mut rows = Vec::new();
    for path in &args.paths {
        let absolute = context.absolute(path);
        let Some(reason) = ignored.reason(&absolute, absolute.is_dir()) else { continue };
        let by = reason.file.as_ref().map_or("everywhere".to_owned(), |file| quote::file(file));
        if !out.json {
            let shown = quote::file(path);
            match args.verbose {
                true => out.line(format_args!("{by}:{}\t{shown}", reason.pattern))?,
                false => out.line(shown)?,
            }
        }
        let file = reason.file.as_ref().map(OnDisk::from);
        rows.push(LeftOutRow { path: path.into(), pattern: reason.pattern, file });
    }
    let code = if rows.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS };
    if out.json {
        out.value(&LeftOut { ignored: rows })?;
    }
    Ok(code)
}
