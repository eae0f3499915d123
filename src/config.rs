//! Settings: which keys there are, what they may be, and which of several sources wins.
//!
//! Every key here changes something; a key that is not here is an error that names the nearest one, but for the names of
//! aliases, which people make up. The order, last
//! wins: default, the user's file, the repository's file, environment (`CORAL_<SECTION>_<KEY>`), explicit. Reads no
//! file and no environment itself.

mod alias;
mod former;

pub use alias::{Alias, SECTION as ALIASES, alias};
pub use former::{FORMER, Former};

use former::{former, level_of_number};
use std::collections::BTreeMap;
use std::fmt;
use toml_edit::{DocumentMut, Item, TableLike, value};

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Domain {
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number in this range.
    Integer(u64, u64),
    /// A number of bytes in this range, with an optional unit: `64MiB`.
    Bytes(u64, u64),
}

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// What it may be.
    pub domain: Domain,
    /// What it is if nobody says.
    pub default: &'static str,
    /// What it changes, in one line.
    pub about: &'static str,
}

/// Every setting, sorted by name.
pub const KEYS: &[Key] = &[
    Key {
        name: "auto_commit.message",
        domain: Domain::Text,
        default: "{checkpoint}: {facts}",
        about: "what those commits say; {step}, {loss} and the like are facts of the checkpoint",
    },
    Key {
        name: "auto_commit.paths",
        domain: Domain::Text,
        default: "",
        about: "where checkpoints are looked for: paths with `*`, with blanks between them; empty: everywhere",
    },
    Key {
        name: "auto_commit.quiet",
        domain: Domain::Integer(1, 86400),
        default: "30",
        about: "seconds without a change after which `quiet` commits",
    },
    Key {
        name: "auto_commit.tag_best",
        domain: Domain::Text,
        default: "",
        about: "the tag that follows the checkpoint that its trainer calls the best",
    },
    Key {
        name: "auto_commit.tag_last",
        domain: Domain::Text,
        default: "",
        about: "the tag that follows the last checkpoint",
    },
    Key {
        name: "auto_commit.when",
        domain: Domain::Choice(&["off", "sentinel", "quiet", "close"]),
        default: "off",
        about: "when a mount commits by itself: when a checkpoint is complete, nothing changed for a while, or a file is closed",
    },
    Key {
        name: "core.anchor_size",
        domain: Domain::Bytes(0, 1 << 40),
        default: "64MiB",
        about: "memory for finding known tensors in files of any format; 0 to look for none",
    },
    Key {
        name: "core.cache_size",
        domain: Domain::Bytes(0, 1 << 40),
        default: "64MiB",
        about: "memory for decoded frames",
    },
    Key {
        name: "core.compression_level",
        domain: Domain::Choice(&["fast", "default", "max"]),
        default: "default",
        about: "time spent on a smaller store",
    },
    Key {
        name: "core.delta_encoding",
        domain: Domain::Bool,
        default: "true",
        about: "store similar tensors as lossless differences",
    },
    Key {
        name: "core.delta_type",
        domain: Domain::Choice(&[
            "compressed",
            "exponent_mantissa",
            "float32_raw",
            "xor_bfloat16",
            "xor_float32",
        ]),
        default: "compressed",
        about: "how differences are coded; `compressed` is the smallest, all are lossless",
    },
    Key {
        name: "core.hook_timeout",
        domain: Domain::Integer(0, 86_400),
        default: "60",
        about: "seconds that a hook has; 0: as long as it takes",
    },
    Key {
        name: "core.hooks",
        domain: Domain::Bool,
        default: "false",
        about: "run the programs in .coral/hooks; only the repository's own file turns them on",
    },
    Key {
        name: "core.keep_days",
        domain: Domain::Integer(0, 36_500),
        default: "30",
        about: "days for which `coral undo` can bring back files that were dropped and that no commit has; 0 keeps none",
    },
    Key {
        name: "core.max_delta_depth",
        domain: Domain::Integer(1, 64),
        default: "8",
        about: "most differences that are undone to read one tensor",
    },
    Key {
        name: "core.plain_size",
        domain: Domain::Bytes(0, 1 << 50),
        default: "8GiB",
        about: "disk for plain copies of files that are read as a whole; 0 for none",
    },
    Key {
        name: "core.reserve",
        domain: Domain::Bytes(0, 1 << 40),
        default: "16MiB",
        about: "room on the disk that is never filled",
    },
    Key {
        name: "core.threads",
        domain: Domain::Integer(0, 1024),
        default: "0",
        about: "threads that code and decode; 0: one for each core",
    },
    Key { name: "user.email", domain: Domain::Text, default: "", about: "who commits: the address" },
    Key { name: "user.name", domain: Domain::Text, default: "Anonymous", about: "who commits: the name" },
];

/// Where a value came from, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said.
    Default,
    /// The user's file.
    User,
    /// The repository's file.
    Repository,
    /// The environment.
    Environment,
}

impl Key {
    /// The variable of the environment that says it.
    pub fn variable(&self) -> String {
        format!("CORAL_{}", self.name.replace('.', "_").to_uppercase())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Default => "default",
            Origin::User => "user",
            Origin::Repository => "repository",
            Origin::Environment => "environment",
        })
    }
}

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No setting has the name.
    #[error("no setting is called `{name}`")]
    UnknownKey {
        /// What was given.
        name: String,
        /// The nearest name that exists.
        nearest: &'static str,
    },
    /// The original had it, and nothing listens to it here.
    #[error("`{name}` is of the original Coral, and nothing listens to it: {instead}")]
    Former {
        /// What was given.
        name: String,
        /// What there is instead.
        instead: &'static str,
    },
    /// The value is outside of what the setting may be.
    #[error("`{key}` cannot be `{value}`: it is {domain}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it may be, in words.
        domain: String,
    },
    /// An alias has no name that can be typed, or stands for nothing.
    #[error("`alias.{name}` is no alias: {what}")]
    Alias {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nobody made up an alias of this name.
    #[error("no alias is called `{0}`")]
    UnknownAlias(String),
    /// The file is not TOML.
    #[error("not a TOML file: line {line}: {what}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
}

impl ConfigError {
    /// The text that bytes of a file are.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] names the line that is no UTF-8.
    pub fn text_of(bytes: Vec<u8>) -> Result<String, Self> {
        String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Self::Syntax { line, what: "what stands there is not UTF-8".into() }
        })
    }
}

/// Something in a source of settings that does not hold, and is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub error: ConfigError,
    /// Where.
    pub origin: Origin,
}

impl Trouble {
    /// Whether no command depends on it: a name that no setting has, which a newer program may know, or an alias.
    pub fn is_stranger(&self) -> bool {
        matches!(
            self.error,
            ConfigError::UnknownKey { .. } | ConfigError::Former { .. } | ConfigError::Alias { .. }
        )
    }
}

/// The settings in force.
#[derive(Debug, Clone, Default)]
pub struct Config {
    values: BTreeMap<&'static str, (String, Origin)>,
    aliases: BTreeMap<String, (String, Origin)>,
    troubles: Vec<Trouble>,
}

impl Config {
    /// Lays the values of a TOML file over what is there. What does not hold is passed over, and kept to be told of: a file that
    /// one program cannot read must not keep people from their history.
    pub fn overlay_file(&mut self, toml: &str, origin: Origin) {
        match parse(toml) {
            Ok(document) => {
                let mut values = Vec::new();
                collect(document.as_table(), "", &mut values);
                self.overlay(values, origin);
            }
            Err(error) => self.troubles.push(Trouble { error, origin }),
        }
    }

    /// Notes why nothing was laid over from a source.
    pub fn trouble(&mut self, error: ConfigError, origin: Origin) {
        self.troubles.push(Trouble { error, origin });
    }

    /// Lays the variables `CORAL_<SECTION>_<KEY>` over what is there; other variables are passed over.
    pub fn overlay_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let known = variables.into_iter().filter_map(|(name, value)| {
            let key = KEYS.iter().find(|key| key.variable() == name)?;
            Some((key.name.to_owned(), value))
        });
        self.overlay(known.collect(), Origin::Environment);
    }

    fn overlay(&mut self, values: Vec<(String, String)>, origin: Origin) {
        for (name, value) in values {
            match Setting::of(&name, &value) {
                Ok(Setting::Known(key)) => drop(self.values.insert(key.name, (value, origin))),
                Ok(Setting::Alias(alias)) => drop(self.aliases.insert(alias.to_owned(), (value, origin))),
                Err(error) => self.troubles.push(Trouble { error, origin }),
            }
        }
    }

    /// What does not hold in the sources, in the order in which they were laid over.
    pub fn troubles(&self) -> &[Trouble] {
        &self.troubles
    }

    /// The value of a setting and where it came from.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`], [`ConfigError::UnknownAlias`].
    pub fn get(&self, name: &str) -> Result<(&str, Origin), ConfigError> {
        if let Some(alias) = name.strip_prefix(ALIASES) {
            let found = self.aliases.get(alias).map(|(value, origin)| (value.as_str(), *origin));
            return found.ok_or_else(|| ConfigError::UnknownAlias(alias.to_owned()));
        }
        let key = find(name)?;
        let found = self.values.get(key.name).map(|(value, origin)| (value.as_str(), *origin));
        Ok(found.unwrap_or((key.default, Origin::Default)))
    }

    /// Every alias with its text and where that came from, sorted by name.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str, Origin)> {
        self.aliases.iter().map(|(name, (text, origin))| (name.as_str(), text.as_str(), *origin))
    }

    /// The text of a setting of this module.
    fn known(&self, name: &'static str) -> &str {
        self.get(name).expect("a name from KEYS").0
    }

    /// The value of a text or choice.
    pub fn text(&self, name: &'static str) -> &str {
        self.known(name)
    }

    /// The value of a [`Domain::Bool`].
    pub fn bool(&self, name: &'static str) -> bool {
        self.known(name) == "true"
    }

    /// The value of a [`Domain::Integer`] or [`Domain::Bytes`].
    pub fn number(&self, name: &'static str) -> u64 {
        parse_bytes(self.known(name)).expect("checked when it was laid over")
    }
}

/// The file with one setting changed; comments and order stay.
///
/// # Errors
/// [`ConfigError`] if the file, the name or the value does not hold.
pub fn edit(toml: &str, name: &str, text: &str) -> Result<String, ConfigError> {
    let setting = Setting::of(name, text)?;
    let mut document = parse(toml)?;
    let (section, entry) = name.split_once('.').expect("every name has a section");
    let table = document.entry(section).or_insert_with(toml_edit::table);
    let typed = match setting.domain() {
        Domain::Bool => value(text == "true"),
        Domain::Integer(..) => value(text.parse::<i64>().unwrap_or_default()),
        Domain::Text | Domain::Choice(_) | Domain::Bytes(..) => value(text),
    };
    match table.as_table_like_mut() {
        Some(table) => table.insert(entry, typed),
        None => return Err(ConfigError::Syntax { line: 1, what: format!("`{section}` is not a section") }),
    };
    Ok(document.to_string())
}

/// The file without a setting, or without a name that no setting has; whether there was one.
///
/// # Errors
/// [`ConfigError::Syntax`].
pub fn remove(toml: &str, name: &str) -> Result<(String, bool), ConfigError> {
    let mut document = parse(toml)?;
    let removed = match name.rsplit_once('.') {
        Some((section, entry)) => {
            let top: &mut dyn TableLike = document.as_table_mut();
            let table =
                section.split('.').try_fold(top, |table, name| table.get_mut(name)?.as_table_like_mut());
            table.is_some_and(|table| table.remove(entry).is_some())
        }
        None => document.remove(name).is_some(),
    };
    Ok((document.to_string(), removed))
}

fn parse(toml: &str) -> Result<DocumentMut, ConfigError> {
    toml.parse().map_err(|error: toml_edit::TomlError| {
        let at = error.span().map_or(0, |span| span.start);
        let before = toml.as_bytes().get(..at).unwrap_or(toml.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::Syntax { line, what: error.message().replace('\n', ", ") }
    })
}

/// What became of a line of a file of the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Migrated {
    /// It says the same in the words of this program.
    Changed {
        /// The setting.
        name: String,
        /// What it said.
        was: String,
        /// What it says.
        is: String,
    },
    /// It was taken out.
    TakenOut {
        /// The setting.
        name: String,
        /// What there is instead.
        instead: &'static str,
    },
}

/// A file of the original in the words of this program: former settings go, numbers for levels become names. Everything else
/// stays.
///
/// # Errors
/// [`ConfigError::Syntax`].
pub fn migrate(toml: &str) -> Result<(String, Vec<Migrated>), ConfigError> {
    let mut values = Vec::new();
    collect(parse(toml)?.as_table(), "", &mut values);
    let (mut toml, mut done) = (toml.to_owned(), Vec::new());
    for (name, was) in values {
        if let Some(former) = former(&name) {
            toml = remove(&toml, &name)?.0;
            done.push(Migrated::TakenOut { name, instead: former.instead });
        } else if let (Err(ConfigError::Value { .. }), "core.compression_level") =
            (check(&name, &was), name.as_str())
            && let Some(level) = level_of_number(&was)
        {
            toml = edit(&toml, &name, level)?;
            done.push(Migrated::Changed { name, was, is: level.to_owned() });
        }
    }
    Ok((toml, done))
}

/// Every `section.key` with its value as text.
fn collect(table: &dyn TableLike, prefix: &str, out: &mut Vec<(String, String)>) {
    for (name, item) in table.iter() {
        let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match item {
            Item::Value(toml_edit::Value::InlineTable(inner)) => collect(inner, &name, out),
            Item::Value(toml_edit::Value::String(text)) => out.push((name, text.value().clone())),
            Item::Value(other) => out.push((name, other.to_string().trim().to_owned())),
            Item::Table(inner) => collect(inner, &name, out),
            Item::None | Item::ArrayOfTables(_) => out.push((name, "a list of tables".to_owned())),
        }
    }
}

fn find(name: &str) -> Result<&'static Key, ConfigError> {
    if let Some(former) = former(name) {
        return Err(ConfigError::Former { name: name.to_owned(), instead: former.instead });
    }
    let nearest = || KEYS.iter().map(|key| key.name).min_by_key(|key| strsim::damerau_levenshtein(name, key));
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| ConfigError::UnknownKey {
        name: name.to_owned(),
        nearest: nearest().expect("there are settings"),
    })
}

/// What a name and a value in a source of settings are together.
enum Setting<'a> {
    /// One of [`KEYS`].
    Known(&'static Key),
    /// An alias of this name.
    Alias(&'a str),
}

impl<'a> Setting<'a> {
    /// The setting, if it may have the value.
    fn of(name: &'a str, text: &str) -> Result<Self, ConfigError> {
        match alias::name_of(name)? {
            Some(name) => alias(name, text).map(|_| Self::Alias(name)),
            None => check(name, text).map(Self::Known),
        }
    }

    fn domain(&self) -> Domain {
        match self {
            Self::Known(key) => key.domain,
            Self::Alias(_) => Domain::Text,
        }
    }
}

/// The setting of [`KEYS`], if it may have the value.
fn check(name: &str, text: &str) -> Result<&'static Key, ConfigError> {
    let key = find(name)?;
    let holds = match key.domain {
        Domain::Text => !text.contains(['\n', '<', '>']),
        Domain::Bool => matches!(text, "true" | "false"),
        Domain::Choice(words) => words.contains(&text),
        Domain::Integer(min, max) => text.parse().is_ok_and(|number: u64| (min..=max).contains(&number)),
        Domain::Bytes(min, max) => parse_bytes(text).is_some_and(|number| (min..=max).contains(&number)),
    };
    match holds {
        true => Ok(key),
        false => {
            Err(ConfigError::Value { key: key.name, value: text.to_owned(), domain: key.domain.to_string() })
        }
    }
}

/// `4096`, `64KiB`, `64 MiB`, `2G`: units are powers of 1024.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Text => f.write_str("a line of text without < and >"),
            Domain::Bool => f.write_str("true or false"),
            Domain::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Domain::Integer(min, max) => write!(f, "a whole number from {min} to {max}"),
            Domain::Bytes(min, max) => write!(f, "a number of bytes from {min} to {max}, such as 64MiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_names_are_sorted() {
        for key in KEYS {
            assert_eq!(check(key.name, key.default), Ok(key));
        }
        assert!(KEYS.is_sorted_by_key(|key| key.name));
    }

    #[test]
    fn later_layers_win() {
        let mut config = Config::default();
        assert_eq!(config.get("user.name"), Ok(("Anonymous", Origin::Default)));
        config.overlay_file("[user]\nname = \"Ada\"\nemail = \"a@b\"", Origin::User);
        config.overlay_file("[user]\nname = \"Grace\"", Origin::Repository);
        let variables = [("CORAL_CORE_CACHE_SIZE", "1GiB"), ("CORAL_NO_SUCH", "x"), ("HOME", "/")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        config.overlay_environment(variables);
        assert_eq!(config.get("user.name"), Ok(("Grace", Origin::Repository)));
        assert_eq!(config.get("user.email"), Ok(("a@b", Origin::User)));
        assert_eq!(config.number("core.cache_size"), 1 << 30);
    }

    #[test]
    fn unknown_keys_and_wrong_values_say_what_would_be_right() {
        let mut config = Config::default();
        config.overlay_file("[core]\ncompresion_level = \"max\"\nthreads = 2", Origin::User);
        let name = "core.compresion_level".into();
        let unknown = ConfigError::UnknownKey { name, nearest: "core.compression_level" };
        assert_eq!(config.troubles(), [Trouble { error: unknown, origin: Origin::User }]);
        assert_eq!(config.number("core.threads"), 2);
        config.overlay_file("[core]\n\nthreads = [", Origin::Repository);
        let syntax = &config.troubles()[1].error;
        assert!(matches!(syntax, ConfigError::Syntax { line: 3, .. }), "{syntax:?}");
        for (key, value) in [
            ("core.compression_level", "9"),
            ("core.delta_encoding", "yes"),
            ("core.max_delta_depth", "0"),
            ("core.cache_size", "1 parsec"),
            ("core.cache_size", "99999999999GiB"),
        ] {
            assert!(matches!(check(key, value), Err(ConfigError::Value { .. })), "{key}={value}");
        }
    }

    #[test]
    fn editing_keeps_comments_and_reads_back() {
        let file = "# mine\n[user]\nname = \"Ada\" # me\n";
        let file = edit(file, "core.max_delta_depth", "4").expect("valid");
        let file = edit(&file, "user.name", "Grace").expect("valid");
        assert!(file.contains("# mine"));
        let mut config = Config::default();
        config.overlay_file(&file, Origin::User);
        assert_eq!(config.troubles(), []);
        assert_eq!(config.number("core.max_delta_depth"), 4);
        assert_eq!(config.text("user.name"), "Grace");
        let (file, was_there) = remove(&file, "user.name").expect("valid");
        assert!(was_there && file.contains("max_delta_depth") && !file.contains("Grace"), "{file}");
        assert_eq!(remove(&file, "user.nope"), Ok((file, false)));
    }

    #[test]
    fn a_file_of_the_original_becomes_one_of_this_program() {
        let file = "[user]\nname = \"Ada\"\n[core]\ncompression_level = 9\nenable_lsh = true\n[delta]\nx = 1\n\
                    [remotes.origin]\nurl = \"s3://b\"\n";
        let mut config = Config::default();
        config.overlay_file(file, Origin::User);
        assert_eq!(config.troubles().iter().filter(|trouble| trouble.is_stranger()).count(), 3);
        let (file, done) = migrate(file).expect("valid");
        let taken_out = |done: &&Migrated| matches!(done, Migrated::TakenOut { .. });
        assert_eq!((done.len(), done.iter().filter(taken_out).count()), (4, 3), "{done:?}");
        let mut config = Config::default();
        config.overlay_file(&file, Origin::User);
        assert_eq!((config.troubles(), config.text("core.compression_level")), (&[][..], "max"), "{file}");
        assert_eq!(migrate(&file), Ok((file, Vec::new())));
    }
}
