//! The message of a commit: from the command line, a file, or an editor.

use super::context::Place;
use super::editor;
use super::error::{CommandError, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where a message comes from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct MessageArgs {
    /// Why; several are paragraphs
    #[arg(short, long = "message", value_name = "TEXT")]
    pub messages: Vec<String>,
    /// Take the message from a file, `-` for the standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "messages")]
    pub file: Option<PathBuf>,
}

/// What an editor shows below the message.
const HELP: &str = "\n# Why is this commit made? The first line is its subject.\n# Lines that begin with # are left out, \
                    and an empty message makes no commit.\n";

impl MessageArgs {
    /// The message that was given; `None` if none was.
    pub fn given(&self) -> Result<Option<String>> {
        let cannot = |error| CommandError::new(format!("cannot read the message: {error}"));
        match &self.file {
            Some(file) if file.as_os_str() == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map_err(cannot)?;
                Ok(Some(text.trim_end().to_owned()))
            }
            Some(file) => Ok(Some(std::fs::read_to_string(file).map_err(cannot)?.trim_end().to_owned())),
            None if self.messages.is_empty() => Ok(None),
            None => Ok(Some(self.messages.join("\n\n"))),
        }
    }

    /// The message that was given, or what somebody writes into an editor that begins with `begin`.
    pub fn asked(&self, place: &Place, begin: &str) -> Result<String> {
        match self.given()? {
            Some(message) => Ok(message),
            None => edit(place, begin, None),
        }
    }
}

/// What stands above what is only to be looked at. It and all below it are left out.
const SCISSORS: &str = "# ------------------------ >8 ------------------------";

/// Lets somebody write a message that begins with `begin`, above what may be looked at meanwhile.
pub fn edit(place: &Place, begin: &str, looked_at: Option<&str>) -> Result<String> {
    let path = place.repo.root().join("COMMIT_EDITMSG");
    let cannot = |error| CommandError::new(format!("cannot use `{}`: {error}", path.display()));
    let below =
        looked_at.map(|text| format!("{SCISSORS}\n# This line and all below it are left out.\n{text}"));
    std::fs::write(&path, format!("{begin}\n{HELP}{}", below.unwrap_or_default())).map_err(cannot)?;
    editor::edit(&place.surroundings, &path, || {
        CommandError::usage("there is no message")
            .hint("`-m TEXT` or `-F FILE` gives one; on a terminal the editor of CORAL_EDITOR, VISUAL or EDITOR asks for it")
    })?;
    written(&path).map_err(cannot)
}

/// What is left of a message without the help.
fn written(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let written = text.lines().take_while(|line| *line != SCISSORS);
    let lines: Vec<&str> = written.filter(|line| !line.starts_with('#')).collect();
    Ok(lines.join("\n").trim().to_owned())
}
