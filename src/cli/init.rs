use super::context::{self, Context};
use super::error::{CommandError, Result};
use super::json::OnDisk;
use super::output::{Output, note};
use super::quote;
use crate::daemons::mounted_above;
use crate::history::{BranchName, Repo};
use crate::workspace::FOLDER;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// Make a repository
///
/// Makes the folder DIR if it is missing and a repository in DIR/.coral. Refuses a folder that has one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that the repository is for
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The first branch
    #[arg(short = 'b', long, value_name = "NAME", default_value = "main")]
    initial_branch: String,
}

/// A repository that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MadeRepository {
    /// Its own folder
    repository: OnDisk,
    /// The first branch
    branch: String,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let branch = BranchName::new(args.initial_branch)?;
    let folder = context.absolute(&args.directory);
    let there = folder.ancestors().find_map(|above| above.canonicalize().ok());
    if let Some(mounted) = there.and_then(|there| mounted_above(&there).ok().flatten()) {
        return Err(CommandError::new(format!(
            "`{}` is in a mount of the repository `{}`, and none is made there",
            folder.display(),
            mounted.repository.display()
        ))
        .hint("use the repository that is mounted, or name a folder outside of its mount"));
    }
    std::fs::create_dir_all(&folder)
        .map_err(|error| CommandError::new(format!("cannot make `{}`: {error}", folder.display())))?;
    let root = folder.join(FOLDER);
    Repo::create(context::disk(), &root, &branch)?;
    match out.json {
        true => out.value(&MadeRepository { repository: (&root).into(), branch: branch.to_string() }),
        false => {
            out.line(format_args!("made an empty repository in {}", root.display()))?;
            let folder = quote::file_argument(&args.directory);
            let add = match args.directory.as_os_str() == "." {
                true => "coral add FILE".to_owned(),
                false => format!("coral -C {folder} add FILE"),
            };
            note(format!(
                "`coral mount {folder} DIR` shows it as folders to save into; `{add}` takes files without a mount"
            ));
            Ok(())
        }
    }
}
