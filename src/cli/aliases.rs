//! Words that somebody made up for commands: put in their place before the grammar sees the command line.
//!
//! A command of Coral always means itself. An alias may stand for another one, but not for itself, also not through a shell.

use super::context::Context;
use super::error::{CommandError, Result};
use crate::config::{Alias, Config, Origin, alias};
use clap::Command;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process;

/// Tells a command of a shell which aliases stand for it, with blanks between them.
const UNDER_WAY: &str = "CORAL_ALIASES";

/// What a command line is without aliases.
pub enum Meant {
    /// A command line that begins with a command, or with what is none.
    Words(Vec<OsString>),
    /// What an alias stands for is all that was asked.
    Told { name: String, text: String },
}

/// Where the command stands in a command line, and what comes before it.
struct Front {
    at: usize,
    folders: Vec<PathBuf>,
    /// An option that says how to print.
    printing: Option<String>,
}

/// Puts what aliases stand for in their place. One that stands for a command of a shell is run, and nothing comes back.
///
/// # Errors
/// If an alias stands for itself, or its shell does not start.
pub fn expanded(mut arguments: Vec<OsString>, grammar: &Command) -> Result<Meant> {
    let before = std::env::var(UNDER_WAY).unwrap_or_default();
    let mut under_way: Vec<String> = before.split_whitespace().map(str::to_owned).collect();
    loop {
        let Some(front) = front(&arguments) else { return Ok(Meant::Words(arguments)) };
        if arguments[front.at] == "help" {
            let told = arguments.get(front.at + 1).and_then(|word| word.to_str());
            let told = told.filter(|word| !is_built_in(word, grammar));
            let told = told.and_then(|name| Some((name.to_owned(), Found::of(&front, name)?.text)));
            return Ok(told.map_or(Meant::Words(arguments), |(name, text)| Meant::Told { name, text }));
        }
        let typed = arguments[front.at].to_str().filter(|word| !is_built_in(word, grammar));
        let found = typed.and_then(|name| Some((name.to_owned(), Found::of(&front, name)?)));
        let Some((name, found)) = found else { return Ok(Meant::Words(arguments)) };
        if under_way.contains(&name) {
            let chain = under_way.iter().chain([&name]).map(|name| format!("`{name}`")).collect::<Vec<_>>();
            return Err(CommandError::usage(format!("the alias `{name}` stands for itself"))
                .hint(format!("it goes {}", chain.join(" -> ")))
                .hint("`coral config list` shows what each stands for"));
        }
        under_way.push(name.clone());
        match alias(&name, &found.text)? {
            Alias::Words(words) => {
                arguments.splice(front.at..=front.at, words.into_iter().map(OsString::from));
            }
            Alias::Shell(command) => {
                let given = &arguments[front.at + 1..];
                return Err(found.run(&front, &name, &command, given, &under_way.join(" ")));
            }
        }
    }
}

/// Aliases that can be typed here, each with its text; none where settings cannot be read.
pub fn known(arguments: &[OsString], grammar: &Command) -> Vec<(String, String)> {
    let folders = front(arguments).map_or_else(Vec::new, |front| front.folders);
    let Some((_, config)) = settings(folders) else { return Vec::new() };
    let known = config.aliases().filter(|(name, ..)| !is_built_in(name, grammar));
    known.map(|(name, text, _)| (name.to_owned(), text.to_owned())).collect()
}

/// Whether a word is a command of Coral, which no alias takes the place of.
pub fn is_built_in(word: &str, grammar: &Command) -> bool {
    word == "help" || grammar.find_subcommand(word).is_some()
}

/// What `coral help` says at its end.
pub fn listed(aliases: &[(String, String)]) -> String {
    let width = aliases.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines = aliases.iter().map(|(name, text)| format!("  {name:<width$}  {}", one_line(text)));
    format!("Aliases:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// The text of an alias as far as it fits on a line.
fn one_line(text: &str) -> String {
    let text = super::quote::text(text);
    match text.char_indices().nth(72) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The settings that hold there, with the surroundings. What is wrong with them is said by the command that comes of it.
fn settings(folders: Vec<PathBuf>) -> Option<(Context, Config)> {
    let context = Context::new(folders, true).ok()?;
    let root = context.find().ok().map(|found| found.root);
    let config = context.config(root.as_deref()).ok()?;
    Some((context, config))
}

/// What comes before the command, as far as the grammar has it so.
fn front(arguments: &[OsString]) -> Option<Front> {
    let mut found = Front { at: 1, folders: Vec::new(), printing: None };
    loop {
        let word = arguments.get(found.at)?;
        let plain = word.to_string_lossy();
        match &*plain {
            "--json" | "--quiet" | "--no-pager" => found.printing = Some(plain.into_owned()),
            "--color" => {
                found.printing = Some(plain.into_owned());
                found.at += 1;
            }
            other if other.starts_with("--color=") => found.printing = Some(plain.into_owned()),
            other if other.len() > 1 && other.starts_with('-') => found.letters(word, arguments)?,
            _ => return Some(found),
        }
        found.at += 1;
    }
}

impl Front {
    /// Takes in `-q`, `-C DIR`, `-CDIR` and `-qC DIR`; `None` of others, which the grammar knows of.
    fn letters(&mut self, word: &OsStr, arguments: &[OsString]) -> Option<()> {
        let letters = word.as_bytes().strip_prefix(b"-")?;
        let quiet = letters.iter().take_while(|letter| **letter == b'q').count();
        if quiet > 0 {
            self.printing = Some("-q".into());
        }
        match &letters[quiet..] {
            [] => {}
            [b'C'] => {
                self.at += 1;
                self.folders.push(arguments.get(self.at)?.into());
            }
            [b'C', folder @ ..] => {
                let folder = folder.strip_prefix(b"=").unwrap_or(folder);
                self.folders.push(OsStr::from_bytes(folder).into());
            }
            _ => return None,
        }
        Some(())
    }
}

/// An alias of the settings.
struct Found {
    text: String,
    folder: PathBuf,
    /// The file of a repository that it is from.
    file: Option<PathBuf>,
}

impl Found {
    fn of(front: &Front, name: &str) -> Option<Self> {
        let (context, config) = settings(front.folders.clone())?;
        let (_, text, origin) = config.aliases().find(|(known, ..)| *known == name)?;
        let root = context.find().ok().map(|found| found.root);
        let file = context.settings_file(origin, root.as_deref()).filter(|_| origin == Origin::Repository);
        Some(Self { text: text.to_owned(), folder: context.cwd.clone(), file })
    }

    /// Becomes the command of a shell, with the words that were given as its arguments. Comes back only with why it does
    /// not start.
    fn run(
        &self,
        front: &Front,
        name: &str,
        command: &str,
        given: &[OsString],
        under_way: &str,
    ) -> CommandError {
        if let Some(option) = &front.printing {
            return CommandError::usage(format!(
                "the alias `{name}` is a command of the shell, which has no `{option}` before it"
            ));
        }
        if let Some(file) = self.file.as_ref().filter(|file| !is_own(file)) {
            return CommandError::new(format!(
                "the alias `{name}` runs a program, and `{}`, which has it, belongs to somebody else",
                file.display()
            ))
            .hint(format!(
                "nothing was run; `coral config set --global {} {}` makes it yours",
                super::quote::word(&format!("alias.{name}")),
                super::quote::word(&format!("!{command}"))
            ));
        }
        let failed = process::Command::new("sh")
            .arg("-c")
            .arg(if given.is_empty() { command.to_owned() } else { format!("{command} \"$@\"") })
            .arg(command)
            .args(given)
            .current_dir(&self.folder)
            .env(UNDER_WAY, under_way)
            .exec();
        CommandError::new(format!("cannot run the shell for the alias `{name}`: {failed}"))
    }
}

/// Whether a file is of whoever runs this, or of the system: others make nobody run anything.
fn is_own(file: &Path) -> bool {
    let own = std::fs::metadata("/proc/self").map(|own| own.uid());
    match (std::fs::metadata(file), own) {
        (Ok(found), Ok(own)) => found.uid() == own || found.uid() == 0,
        _ => false,
    }
}
