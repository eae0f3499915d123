//! What git users type from memory and the grammar does not have: told what there is. What can be meant the same is translated
//! before (`translated.rs`).
//!
//! Owns the words of other programs; promises nothing that Coral does not do.

use super::error::CommandError;
use super::git_options;
use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Verbs of git that Coral does not have, and the way to what people want of them, where there is one.
const VERBS: &[(&str, Option<&str>)] = &[
    ("worktree", Some("each branch has one: `MNT/worktree/BRANCH` of a mount, `-B BRANCH` of commands")),
    ("clone", Some("a repository is a folder: copy it with `cp -a` while nobody writes to it")),
    ("push", Some("there are no remote repositories; `coral export REF DIR` writes plain files")),
    ("pull", Some("there are no remote repositories; `coral add` takes files")),
    ("fetch", Some("there are no remote repositories; `coral add` takes files")),
    ("remote", Some("there are no remote repositories")),
    ("gc", Some("`coral repack` writes everything anew as one pack")),
    (
        "rebase",
        Some("`coral cherry-pick A..B` makes commits again on this branch, `coral merge REF` brings them in"),
    ),
    ("checkout-index", Some("`coral export REF DIR` writes plain files")),
    ("archive", Some("`coral export REF DIR` writes plain files")),
    ("ls-files", Some("`coral ls -r`")),
    ("ls-tree", Some("`coral ls REF:DIR`")),
    ("cat-file", Some("`coral cat REF:PATH`, `coral show REF`")),
    ("rev-parse", Some("`coral --json show REF`")),
    ("describe", Some("`coral log --oneline` shows the tags of commits")),
    (
        "grep",
        Some(
            "`coral log -S TEXT` finds commits by what came and went, `coral log --grep TEXT` by their messages",
        ),
    ),
    ("shortlog", Some("`coral log --format '%an: %s' -n 0` lists commits with their authors")),
    ("rev-list", Some("`coral log --format %H -n 0 REF`")),
    (
        "merge-base",
        Some("`coral diff A...B` is from where they parted to B, `coral log A...B` what came since"),
    ),
    ("for-each-ref", Some("`coral --json branch`, `coral --json tag`")),
    ("show-ref", Some("`coral --json branch`, `coral --json tag`")),
    (
        "symbolic-ref",
        Some("`coral branch --show-current` tells where HEAD is, `coral switch BRANCH` moves it"),
    ),
    ("whatchanged", Some("`coral log --name-status`")),
    ("annotate", Some("`coral blame PATH`")),
    ("version", Some("`coral --version`")),
    ("prune", Some("history keeps every byte; `coral repack` writes everything anew as one pack")),
    ("count-objects", Some("`coral stats`")),
    (
        "mergetool",
        Some("`coral checkout --ours PATH` or `--theirs PATH` takes a side, `coral add PATH` what is there"),
    ),
    (
        "sync",
        Some(
            "there are no remote repositories; a repository is a folder: copy it with `cp -a` while nobody writes to it",
        ),
    ),
    ("sync-status", Some("there are no remote repositories; `coral status` tells of this one")),
    ("publish", Some("`coral export REF DIR` writes plain files, `coral convert` other formats and types")),
    (
        "experiment",
        Some(
            "`coral commit -d KEY=VALUE` says facts of a commit, `coral best -m METRIC` finds the best, `coral log -m METRIC` lists them",
        ),
    ),
];

/// What people call verbs for short.
const SHORT: &[(&str, &str)] = &[
    ("br", "branch"),
    ("ci", "commit"),
    ("co", "checkout"),
    ("cp", "cherry-pick"),
    ("list", "ls"),
    ("mkdir", "switch -c"),
    ("remove", "rm"),
    ("save", "commit"),
    ("sb", "status -s"),
    ("st", "status"),
    ("sw", "switch"),
];

/// What to say of a command line that means nothing here: of what only git has, of typing errors, of options that are not
/// there. `None` leaves it to the grammar.
pub fn explained(
    error: &clap::Error,
    arguments: &[OsString],
    grammar: &Command,
    aliases: &[(String, String)],
) -> Option<CommandError> {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = text_of(error, ContextKind::InvalidSubcommand)?;
            Some(unknown_verb(&typed, arguments, grammar, aliases))
        }
        ErrorKind::UnknownArgument => {
            let argument = text_of(error, ContextKind::InvalidArg)?;
            Some(unknown_argument(&argument, arguments, grammar))
        }
        ErrorKind::MissingRequiredArgument => missing(arguments, grammar),
        ErrorKind::InvalidValue => no_value(error, arguments, grammar),
        _ => None,
    }
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        _ => None,
    }
}

fn unknown_verb(
    typed: &str,
    arguments: &[OsString],
    grammar: &Command,
    aliases: &[(String, String)],
) -> CommandError {
    // What comes behind it may be called like a verb.
    let before = arguments.iter().position(|word| word == typed).unwrap_or(arguments.len());
    let (within, named) = verb_of(&arguments[..before], grammar);
    let is_top = named == "coral";
    if let Some((_, way)) = VERBS.iter().find(|(verb, _)| is_top && *verb == typed) {
        let plain = CommandError::usage(format!("coral has no `{typed}`"));
        return plain.hint(way.unwrap_or("`coral help` lists what there is"));
    }
    let (shown, help) = match is_top {
        true => (named, "`coral help` lists what there is".to_owned()),
        false => (format!("`{named}`"), format!("`{named} --help` lists what there is")),
    };
    let plain = CommandError::usage(format!("{shown} has no command `{typed}`"));
    let aliases = if is_top { aliases } else { &[] };
    let near = near_verbs(typed, within, is_top, aliases);
    match near.is_empty() {
        true => plain.hint(help),
        false => plain.hint(format!("did you mean {}?", near.join(" or "))),
    }
}

/// The verbs that are probably meant, quoted: those nearest by letters, of which two may stand in the other order.
fn near_verbs(typed: &str, grammar: &Command, is_top: bool, aliases: &[(String, String)]) -> Vec<String> {
    if let Some((_, verb)) = SHORT.iter().find(|(short, _)| is_top && *short == typed) {
        return vec![format!("`{verb}`")];
    }
    let names = grammar.get_subcommands().filter(|verb| !verb.is_hide_set()).flat_map(|verb| {
        [verb.get_name()].into_iter().chain(verb.get_visible_aliases()).map(str::to_owned).collect::<Vec<_>>()
    });
    let names = names.chain(aliases.iter().map(|(name, _)| name.clone()));
    nearest_of(typed, names.map(|name| (name.clone(), format!("`{name}`"))))
}

/// Of names with how they are shown, those that are nearest by letters, if they are near.
fn nearest_of(typed: &str, names: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let distance = |name: &str| strsim::damerau_levenshtein(typed, name);
    let mut near: Vec<(usize, String, String)> =
        names.map(|(name, shown)| (distance(&name), name, shown)).collect();
    near.sort();
    near.dedup();
    let least = near.first().map_or(0, |(distance, ..)| *distance);
    let is_near = |(distance, name, _): &&(usize, String, String)| {
        *distance == least && distance * 3 <= name.chars().count().max(typed.chars().count())
    };
    near.iter().filter(is_near).take(3).map(|(.., shown)| shown.clone()).collect()
}

/// The verb of a command line, and the words that name it: `coral config set`.
fn verb_of<'g>(arguments: &[OsString], grammar: &'g Command) -> (&'g Command, String) {
    let (mut at, mut named) = (grammar, String::from("coral"));
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        let Some(below) = at.find_subcommand(word) else { continue };
        at = below;
        named += &format!(" {}", below.get_name());
    }
    (at, named)
}

fn unknown_argument(argument: &str, arguments: &[OsString], grammar: &Command) -> CommandError {
    let (below, verb) = verb_of(arguments, grammar);
    let plain = match argument.starts_with('-') {
        true => CommandError::usage(format!("`{verb}` has no option `{argument}`")),
        false => CommandError::usage(format!("`{verb}` takes no `{argument}` there")),
    };
    let help = format!("`{verb} --help` lists what it takes");
    if let Some(way) = git_options::way(&verb, argument) {
        return plain.hint(way).hint(help);
    }
    let near = argument.strip_prefix("--").map(|name| near_options(name, below, grammar)).unwrap_or_default();
    let plain = match near.is_empty() {
        true => plain,
        false => plain.hint(format!("did you mean {}?", near.join(" or "))),
    };
    plain.hint(help)
}

/// The long options of a verb that are probably meant, quoted.
fn near_options(typed: &str, verb: &Command, grammar: &Command) -> Vec<String> {
    let everywhere = grammar.get_arguments().filter(|option| option.is_global_set());
    let options = verb.get_arguments().chain(everywhere).filter(|option| !option.is_hide_set());
    let names = options.flat_map(|option| option.get_long_and_visible_aliases().unwrap_or_default());
    nearest_of(typed, names.map(|name| (name.to_owned(), format!("`--{name}`"))))
}

/// An option whose value looks like another one, and how to give it all the same.
fn no_value(error: &clap::Error, arguments: &[OsString], grammar: &Command) -> Option<CommandError> {
    let is_missing = text_of(error, ContextKind::InvalidValue).is_none_or(|value| value.is_empty());
    let option = text_of(error, ContextKind::InvalidArg).filter(|_| is_missing)?;
    let name = option.split(' ').next().unwrap_or_default();
    let (verb, _) = verb_of(arguments, grammar);
    let same = verb.get_arguments().find(|same| same.get_long() == name.strip_prefix("--"));
    let short = same.and_then(|same| same.get_short_and_visible_aliases()).unwrap_or_default();
    let long = same.and_then(|same| same.get_long_and_visible_aliases()).unwrap_or_default();
    let short = short.into_iter().map(|short| format!("-{short}"));
    let names: Vec<String> = short.chain(long.into_iter().map(|long| format!("--{long}"))).collect();
    let is_it = |word: &str| word == name || names.iter().any(|name| name == word);
    let words = || arguments.iter().filter_map(|word| word.to_str());
    let value = words().zip(words().skip(1)).find(|(word, value)| is_it(word) && value.starts_with('-'))?.1;
    let plain = CommandError::usage(format!("`{option}` takes a value, and `{value}` is an option"));
    Some(plain.hint(format!("`{name}={value}` is taken for one")))
}

/// What is missing where somebody means what the option is in git.
fn missing(arguments: &[OsString], grammar: &Command) -> Option<CommandError> {
    let (_, verb) = verb_of(arguments, grammar);
    match verb.as_str() {
        "coral restore" => Some(
            CommandError::usage("it is not said what is to be restored")
                .hint("`coral restore PATH` brings back files, `coral restore --all` the whole worktree"),
        ),
        "coral merge" => Some(CommandError::usage("it is not said what is to be merged").hint(
            "`coral merge REF` brings the changes of a branch here; there are no remote repositories to take from",
        )),
        "coral switch" if arguments.iter().any(|word| word == "-C") => Some(
            CommandError::usage("`-C DIR` is the folder to run in, and no branch was named")
                .hint("`coral switch -B NAME` makes or moves a branch that is called like a folder"),
        ),
        _ => None,
    }
}
