use super::context::Context;
use super::error::{CommandError, Result};
use super::output::Output;
use crate::history::{Node, split_target};
use std::ffi::OsString;

/// Print the bytes of a file of a revision
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF:PATH
    #[arg(value_name = "REF:PATH", required = true)]
    targets: Vec<OsString>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    for text in &args.targets {
        let bytes = text.as_encoded_bytes();
        let text = text.display();
        if !bytes.contains(&b':') {
            return Err(CommandError::usage(format!("`{text}` names no file"))
                .hint(format!("a file of a revision is `REF:PATH`, such as `HEAD:{text}`")));
        }
        let target = split_target(bytes)?;
        let commit = place.repo.resolve(&target.revision, place.now())?;
        let entry = place.repo.entry_at(commit, &target.revision, &target.path)?;
        match entry.node {
            Node::Dir(_) => {
                return Err(CommandError::new(format!("`{text}` is a directory")).hint("`coral ls` lists it"));
            }
            Node::Symlink(target) => out.bytes(&target)?,
            Node::File { recipe, len } => {
                place.repo.read_through(recipe, len, &text, |bytes| out.bytes(bytes))?
            }
        }
    }
    Ok(())
}
