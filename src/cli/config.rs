use super::context::{Context, disk};
use super::error::{CommandError, Result};
use super::output::Output;
use super::quote;
use crate::config::KEYS;
use crate::workspace::Scope;
use serde_json::json;

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
    List {
        /// Accepted for git's sake: where each value came from is shown in any case
        #[arg(long, visible_alias = "show-origin")]
        origin: bool,
    },
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
    /// Go back to the default, or take out a name that no setting has
    Unset {
        /// Of all repositories of this user instead
        #[arg(long)]
        global: bool,
        /// SECTION.KEY
        key: String,
    },
    /// Check the files
    Validate,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let root = context.find().ok().map(|found| found.root);
    match args.action {
        Action::Unset { global, key } => {
            let scope = if global { Scope::User } else { Scope::Repository };
            match context.unset(&*disk(), scope, &key)? {
                Some(path) if out.json => out.value(&json!({ "key": key, "file": path })),
                Some(path) => out.line(format_args!("{key} is gone from {}", quote::file(&path))),
                None => Err(CommandError::new(format!("`{key}` is not set there"))
                    .hint("`coral config list` tells where each value came from")),
            }
        }
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
            let config = context.config(root.as_deref())?;
            match config.strangers().first() {
                Some((error, origin)) => {
                    Err(CommandError::from(error.clone()).hint(format!("it is in {origin}")))
                }
                None => out.line("all settings hold"),
            }
        }
        Action::List { .. } => {
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
            if out.json { out.value(&json!({ "settings": rows })) } else { Ok(()) }
        }
    }
}

fn set(context: &Context, out: &Output, global: bool, key: &str, value: &str) -> Result<()> {
    let scope = if global { Scope::User } else { Scope::Repository };
    let path = context.set(&*disk(), scope, key, value)?;
    match out.json {
        true => out.value(&json!({ "key": key, "value": value, "file": path })),
        false => out.line(format_args!("{key} = {value} in {}", quote::file(&path))),
    }
}
