use super::aliases::is_built_in;
use super::context::{Context, disk};
use super::editor::edit_settings;
use super::error::{CommandError, Result};
use super::json::OnDisk;
use super::known::known;
use super::output::{Output, note};
use super::quote;
use crate::config::{ALIASES, Config, KEYS, Migrated, Origin};
use crate::workspace::Scope;
use clap::Command;
use clap::builder::StringValueParser;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// Look at settings, or change them
///
/// What wins, strongest first: the environment (CORAL_SECTION_KEY), the repository's coral.toml, the user's
/// ~/.config/coral/config.toml, the default. Files that do not hold stop no command that only looks, and none of these but
/// `validate`.
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
        /// The file, or the variable, of each value that is no default
        #[arg(long, visible_alias = "show-origin")]
        origin: bool,
    },
    /// The value of a setting
    Get {
        /// What the file for all repositories of this user says, and nothing else
        #[arg(long)]
        global: bool,
        /// What the repository's file says, and nothing else
        #[arg(long, conflicts_with = "global")]
        local: bool,
        /// SECTION.KEY
        #[arg(hide_possible_values = true, value_parser = known(keys, StringValueParser::new()))]
        key: String,
    },
    /// Change a setting of the repository
    Set {
        /// Change it for all repositories of this user instead
        #[arg(long)]
        global: bool,
        /// SECTION.KEY
        #[arg(hide_possible_values = true, value_parser = known(keys, StringValueParser::new()))]
        key: String,
        /// What it is from now on
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Go back to the default, or take out a name that no setting has
    Unset {
        /// Of all repositories of this user instead
        #[arg(long)]
        global: bool,
        /// SECTION.KEY
        #[arg(hide_possible_values = true, value_parser = known(keys, StringValueParser::new()))]
        key: String,
    },
    /// Write into the file of settings with an editor
    Edit {
        /// The one for all repositories of this user instead
        #[arg(long)]
        global: bool,
    },
    /// Check the files and the environment
    Validate,
    /// Put a file of the original Coral into the words of this one
    ///
    /// Settings that nothing listens to here are taken out, each with what there is instead; numbers of compression levels become
    /// their names. Everything else stays as it is.
    Migrate {
        /// The one for all repositories of this user instead
        #[arg(long)]
        global: bool,
    },
}

fn keys() -> Vec<&'static str> {
    KEYS.iter().map(|key| key.name).collect()
}

/// Every setting, and every alias.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Settings {
    settings: Vec<SettingRow>,
}

/// A setting.
#[derive(Debug, Serialize, JsonSchema)]
struct SettingRow {
    /// SECTION.KEY
    key: String,
    value: String,
    /// Where it comes from, in words
    origin: String,
    /// The file that says it; null of a default, and of what a variable says
    file: Option<OnDisk>,
    /// What it changes
    about: String,
}

/// The value of a setting.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Value {
    key: String,
    value: String,
    /// Where it comes from, in words
    origin: String,
}

/// A setting that was changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SetTo {
    key: String,
    value: String,
    /// The file that says it now
    file: OnDisk,
}

/// A setting that was taken out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unset {
    key: String,
    /// The file that said it
    file: OnDisk,
}

/// A file of settings that holds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Edited {
    file: OnDisk,
}

/// What was put into other words.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Migration {
    file: OnDisk,
    changes: Vec<MigratedRow>,
}

/// A setting of the original.
#[derive(Debug, Serialize, JsonSchema)]
struct MigratedRow {
    key: String,
    /// What it said, if it says something else now
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<String>,
    /// What it says now; null if it was taken out
    is: Option<String>,
    /// What there is instead of what was taken out
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<String>,
}

pub fn run(grammar: &Command, context: &Context, out: &Output, args: Args) -> Result<()> {
    let root = context.find().ok().map(|found| found.root);
    let config = context.config(root.as_deref())?;
    let root = root.as_deref();
    match args.action {
        Action::Unset { global, key } => unset(context, out, scope(global), &key),
        Action::Set { global: true, key, .. } if key == "core.hooks" => {
            Err(CommandError::usage("hooks are turned on by each repository for itself, not for all")
                .hint("`coral config set core.hooks true` in a repository turns on its own"))
        }
        Action::Set { global, key, value } => {
            if let Some(name) = hidden_alias(&key, grammar) {
                let taken = format!("`{name}` is a command, which no alias takes the place of");
                return Err(CommandError::usage(taken).hint("an alias has a name of its own"));
            }
            let path = context.set(&*disk(), scope(global), &key, &value)?;
            match out.json {
                true => out.value(&SetTo { key, value, file: (&path).into() }),
                false => out.line(format_args!("{key} = {value} in {}", quote::file(&path))),
            }
        }
        Action::Edit { global } => edit(context, out, scope(global)),
        Action::Migrate { global } => migrate(context, out, scope(global)),
        Action::Get { global, local, key } => {
            let config = match (global, local) {
                (false, false) => config,
                (is_global, _) => of_file(&context.file_of_scope(scope(is_global))?, scope(is_global))?,
            };
            let (value, origin) = config.get(&key)?;
            if (global || local) && origin == Origin::Default {
                return Err(not_set(&key));
            }
            match out.json {
                true => out.value(&Value { value: value.to_owned(), origin: origin.to_string(), key }),
                false => out.line(value),
            }
        }
        Action::Validate => {
            for (name, _, origin) in config.aliases().filter(|(name, ..)| is_built_in(name, grammar)) {
                note(format!("`{ALIASES}{name}`, in {origin}, is never used: `{name}` is a command"));
            }
            validate(context, out, &config, root)
        }
        Action::List { origin } => list(context, out, &config, root, origin),
    }
}

/// The name of an alias that would be called like a command.
fn hidden_alias<'k>(key: &'k str, grammar: &Command) -> Option<&'k str> {
    key.strip_prefix(ALIASES).filter(|name| is_built_in(name, grammar))
}

fn scope(global: bool) -> Scope {
    if global { Scope::User } else { Scope::Repository }
}

fn unset(context: &Context, out: &Output, scope: Scope, key: &str) -> Result<()> {
    match context.unset(&*disk(), scope, key)? {
        Some(path) if out.json => out.value(&Unset { key: key.to_owned(), file: (&path).into() }),
        Some(path) => out.line(format_args!("{key} is gone from {}", quote::file(&path))),
        None => Err(not_set(key)),
    }
}

fn not_set(key: &str) -> CommandError {
    CommandError::new(format!("`{key}` is not set there"))
        .hint("`coral config list` tells where each value came from")
}

/// What a file of settings says; nothing if it is not there.
fn of_file(path: &Path, scope: Scope) -> Result<Config> {
    let origin = match scope {
        Scope::Repository => Origin::Repository,
        Scope::User => Origin::User,
    };
    let mut config = Config::default();
    match std::fs::read_to_string(path) {
        Ok(text) => config.overlay_file(&text, origin),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(CommandError::new(format!("cannot read `{}`: {error}", path.display()))),
    }
    Ok(config)
}

/// Opens a file in an editor. What is wrong in it afterwards is said, and stays for the next time.
fn edit(context: &Context, out: &Output, scope: Scope) -> Result<()> {
    let path = context.file_of_scope(scope)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    edit_settings(context, &path)?;
    let config = of_file(&path, scope)?;
    match config.troubles().first() {
        Some(trouble) => Err(CommandError::from(trouble.error.clone())
            .hint(format!("`{}` is as it was written; `coral config edit` opens it again", path.display()))),
        None if out.json => out.value(&Edited { file: (&path).into() }),
        None => out.line(format_args!("{} holds", quote::file(&path))),
    }
}

fn migrate(context: &Context, out: &Output, scope: Scope) -> Result<()> {
    let (path, done) = context.migrate(&*disk(), scope)?;
    if out.json {
        let changes = done.iter().map(MigratedRow::from).collect();
        return out.value(&Migration { file: (&path).into(), changes });
    }
    for done in &done {
        match done {
            Migrated::Changed { name, was, is } => out.line(format_args!("{name} = {is} (was {was})"))?,
            Migrated::TakenOut { name, instead } => out.line(format_args!("{name} is gone: {instead}"))?,
        }
    }
    match done.is_empty() {
        true => out.line(format_args!("nothing in {} is of the original", quote::file(&path))),
        false => Ok(()),
    }
}

impl From<&Migrated> for MigratedRow {
    fn from(done: &Migrated) -> Self {
        match done {
            Migrated::Changed { name, was, is } => Self {
                key: name.to_string(),
                was: Some(was.to_string()),
                is: Some(is.to_string()),
                instead: None,
            },
            Migrated::TakenOut { name, instead } => {
                Self { key: name.to_string(), was: None, is: None, instead: Some(instead.to_string()) }
            }
        }
    }
}

/// Everything that does not hold is told, and one of it is the error.
fn validate(context: &Context, out: &Output, config: &Config, root: Option<&Path>) -> Result<()> {
    let said_in = |origin| match context.settings_file(origin, root) {
        Some(file) => format!("it is in `{}`; `coral config edit` opens that", file.display()),
        None => "it is in the environment".to_owned(),
    };
    match config.troubles() {
        [] => out.line("all settings hold"),
        [first, others @ ..] => {
            others.iter().for_each(|other| note(format!("{}: {}", other.error, said_in(other.origin))));
            Err(CommandError::from(first.error.clone()).hint(said_in(first.origin)))
        }
    }
}

fn list(context: &Context, out: &Output, config: &Config, root: Option<&Path>, origins: bool) -> Result<()> {
    for trouble in config.troubles() {
        note(format!("{}, in {}: it is passed over", trouble.error, trouble.origin));
    }
    let mut rows = Vec::new();
    for key in KEYS {
        let (value, origin) = config.get(key.name)?;
        let file = context.settings_file(origin, root);
        let place = match (&file, origin) {
            (Some(file), _) if origins => quote::file(file),
            (None, Origin::Environment) if origins => key.variable(),
            (Some(_) | None, _) => origin.to_string(),
        };
        match out.json {
            true => rows.push(SettingRow {
                key: key.name.to_owned(),
                value: value.to_owned(),
                origin: origin.to_string(),
                file: file.as_ref().map(OnDisk::from),
                about: key.about.to_owned(),
            }),
            false => out.line(format_args!("{:<24} {value:<12} ({place}) {}", key.name, key.about))?,
        }
    }
    for (name, text, origin) in config.aliases() {
        let (file, key) = (context.settings_file(origin, root), format!("{ALIASES}{name}"));
        let place = match &file {
            Some(file) if origins => quote::file(file),
            _ => origin.to_string(),
        };
        match out.json {
            true => rows.push(SettingRow {
                key,
                value: text.to_owned(),
                origin: origin.to_string(),
                file: file.as_ref().map(OnDisk::from),
                about: "an alias".to_owned(),
            }),
            false => out.line(format_args!("{key:<24} {:<12} ({place}) an alias", quote::text(text)))?,
        }
    }
    if out.json { out.value(&Settings { settings: rows }) } else { Ok(()) }
}
