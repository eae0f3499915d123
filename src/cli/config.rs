use super::context::Context;
use super::error::{CommandError, Result};
use super::output::Output;
use super::quote;
use crate::config::{KEYS, edit};
use crate::disk::{Disk, Patience, RealDisk};
use crate::workspace::user_file;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::path::PathBuf;

/// Look at settings, or change them
///
/// What wins, strongest first: the environment (CORAL_SECTION_KEY), the repository's coral.toml, the user's
/// ~/.config/coral/config.toml, the default.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Every setting with its value, where that came from, and what it changes
    #[command(visible_alias = "show")]
    List,
    /// The value of a setting
    Get {
        /// SECTION.KEY
        key: String,
    },
    /// Change a setting of the repository
    Set {
        /// Change it for all repositories of this user instead
        #[arg(long)]
        global: bool,
        /// SECTION.KEY
        key: String,
        /// What it is from now on
        value: String,
    },
    /// Check the files
    Validate,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let root = context.find().ok().map(|found| found.root);
    match args.action {
        Action::Set { global, key, value } => set(context, out, global, &key, &value),
        Action::Get { key } => {
            let config = context.config(root.as_deref())?;
            let (value, origin) = config.get(&key)?;
            match out.json {
                true => out.value(&json!({ "key": key, "value": value, "origin": origin.to_string() })),
                false => out.line(value),
            }
        }
        Action::Validate => {
            context.config(root.as_deref())?;
            out.line("all settings hold")
        }
        Action::List => {
            let config = context.config(root.as_deref())?;
            let mut rows = Vec::new();
            for key in KEYS {
                let (value, origin) = config.get(key.name)?;
                match out.json {
                    true => rows.push(json!({
                        "key": key.name, "value": value, "origin": origin.to_string(), "about": key.about,
                    })),
                    false => {
                        out.line(format_args!("{:<24} {value:<12} ({origin}) {}", key.name, key.about))?
                    }
                }
            }
            if out.json { out.value(&Value::Array(rows)) } else { Ok(()) }
        }
    }
}

fn set(context: &Context, out: &Output, global: bool, key: &str, value: &str) -> Result<()> {
    let path: PathBuf = match global {
        false => context.find()?.root.join("coral.toml"),
        true => user_file(&context.variables).ok_or_else(|| {
            CommandError::new("there is no place for the user's settings")
                .hint("set HOME or XDG_CONFIG_HOME to an absolute path")
        })?,
    };
    let disk = RealDisk;
    if let Some(folder) = path.parent() {
        disk.create_dir_all(folder)?;
    }
    // From reading to writing nobody else changes it.
    let _lock = disk.lock(&path.with_extension("toml.lock"), true, Patience::BRIEF)?;
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(CommandError::new(format!("cannot read `{}`: {error}", path.display()))),
    };
    let new = edit(&old, key, value)?;
    disk.replace(&path, new.as_bytes())?;
    match out.json {
        true => out.value(&json!({ "key": key, "value": value, "file": path })),
        false => out.line(format_args!("{key} = {value} in {}", quote::file(&path))),
    }
}
