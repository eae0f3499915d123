//! An editor that somebody writes into: which one, and how it is run.

use super::context::Context;
use super::error::{CommandError, Result};
use crate::workspace::Surroundings;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

/// The editor that is named, with its options, if there is somebody to use it.
fn named(surroundings: &Surroundings) -> Option<String> {
    let variables = ["CORAL_EDITOR", "GIT_EDITOR", "VISUAL", "EDITOR"];
    let editor = variables.into_iter().find_map(|name| surroundings.variable(name))?;
    let is_asked = std::io::stdin().is_terminal() || surroundings.variable("CORAL_EDITOR").is_some();
    is_asked.then(|| editor.to_string_lossy().into_owned())
}

/// Whether there is an editor, and somebody to use it.
pub fn is_there(surroundings: &Surroundings) -> bool {
    named(surroundings).is_some()
}

/// Lets somebody write into a file. `otherwise` is said where there is no editor, with what to do instead.
pub fn edit(
    surroundings: &Surroundings,
    path: &Path,
    otherwise: impl FnOnce() -> CommandError,
) -> Result<()> {
    let editor = named(surroundings).ok_or_else(otherwise)?;
    // Editors are named with their options, as git has it.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path);
    let status = command.status();
    let ended = status.map_err(|error| CommandError::new(format!("cannot run the editor: {error}")))?;
    if ended.success() { Ok(()) } else { Err(CommandError::new("the editor failed, and nothing was done")) }
}

/// Lets somebody write into a file of settings.
pub fn edit_settings(context: &Context, path: &Path) -> Result<()> {
    edit(context, path, || {
        CommandError::usage("there is no editor")
            .hint("CORAL_EDITOR, VISUAL or EDITOR names one that is used on a terminal")
            .hint(format!("the file is `{}`", path.display()))
    })
}
