//! Command lines as git users type them, in the words of the grammar.
//!
//! Pure but for one look at the disk: whether what stands behind `-C` is a folder. What means nothing else is left as it is.

use std::ffi::OsString;
use std::path::Path;

/// The command line as the grammar has it: `log -3` is `log -n 3`, and `help` says all it says as JSON.
pub fn translated(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut translated: Vec<OsString> = Vec::new();
    let mut is_log = false;
    let mut is_over = false;
    let mut is_help = false;
    for argument in arguments {
        // `help` takes names of verbs alone.
        if is_help && argument == "--json" {
            continue;
        }
        if is_help && argument == "workflows" {
            translated.retain(|word| word != "help");
        }
        is_help = is_help || (argument == "help" && translated.iter().skip(1).all(|word| word == "--json"));
        let count = argument.to_str().and_then(|text| text.strip_prefix('-'));
        let count =
            count.filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match count {
            Some(count) if is_log && !is_over && translated.last().is_some_and(|last| last != "-n") => {
                translated.extend(["-n".into(), count.into()]);
            }
            _ => {
                is_log = is_log || argument == "log";
                is_over = is_over || argument == "--";
                translated.push(argument);
            }
        }
    }
    with_free_value(of_git(without_not(with_colours(translated))))
}

/// Options of `log` that take a value of their own.
const WITH_VALUE: [&str; 18] = [
    "-C",
    "-B",
    "--date",
    "--pretty",
    "-n",
    "--max-count",
    "--skip",
    "-m",
    "--metric",
    "-S",
    "--since",
    "--after",
    "--until",
    "--before",
    "--grep",
    "--author",
    "--format",
    "--diff-filter",
];

/// `log A --not B C` is `log A ^B ^C`: what stands behind the word means the opposite, until it is said again.
fn without_not(arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(verb) = verb_at(&arguments).filter(|&verb| arguments[verb] == "log") else { return arguments };
    let (before, words) = arguments.split_at(verb + 1);
    let mut said = before.to_vec();
    let (mut is_not, mut is_over, mut is_value) = (false, false, false);
    for word in words {
        let text = word.to_str().unwrap_or_default();
        is_over = is_over || text == "--";
        match text {
            "--not" if !is_over && !is_value => is_not = !is_not,
            _ if is_over || is_value || !is_not || text.starts_with('-') => said.push(word.clone()),
            _ => said.push(match text.strip_prefix('^') {
                Some(wanted) => wanted.into(),
                None => format!("^{}", word.to_string_lossy()).into(),
            }),
        }
        is_value = !is_value && WITH_VALUE.contains(&text);
    }
    said
}

/// `--color` alone is `--color=always`, and `--no-color` is `--color=never`.
fn with_colours(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    for at in 1..end {
        let is_said = arguments.get(at + 1).is_some_and(|next| WHEN.iter().any(|when| next == when));
        if arguments[at] == "--no-color" {
            arguments[at] = "--color=never".into();
        } else if arguments[at] == "--color" && !is_said {
            arguments[at] = "--color=always".into();
        }
    }
    arguments
}

/// When there are colours.
const WHEN: [&str; 3] = ["auto", "always", "never"];

/// What means the same in other words of the grammar: `checkout` may be about files, `-C` behind some verbs is no folder, and
/// settings are looked at and changed without a verb.
fn of_git(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let Some(verb) = verb_at(&arguments) else { return arguments };
    let name = arguments[verb].to_string_lossy().into_owned();
    let other = match name.as_str() {
        "commit" => "--reuse-message",
        "branch" => "-c",
        "switch" | "checkout" => "--force-create",
        "config" => return settings(arguments, verb),
        _ => return arguments,
    };
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let folder = |at: usize| arguments.get(at + 1).is_none_or(|word| Path::new(word).is_dir());
    if let Some(at) = (verb + 1..end).find(|&at| arguments[at] == "-C" && !folder(at)) {
        arguments[at] = other.into();
    }
    if name == "checkout" {
        arguments.insert(verb + 1, "--checkout".into());
    }
    arguments
}

/// Where the verb of a command line stands.
fn verb_at(arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        match arguments.get(at)?.to_str() {
            Some("-C" | "--color") => at += 2,
            Some(flag) if flag.starts_with('-') => at += 1,
            _ => return Some(at),
        }
    }
}

/// `config user.name Ada`, `config --global user.name`, `config --list` and the like, as git had them before its settings
/// had verbs.
fn settings(arguments: Vec<OsString>, verb: usize) -> Vec<OsString> {
    let (before, words) = arguments.split_at(verb + 1);
    let (mut action, mut scope, mut kept, mut plain) = (None, None, Vec::new(), Vec::new());
    for word in words {
        match word.to_str().unwrap_or_default() {
            "--global" => scope = Some("--global"),
            "--local" => scope = Some("--local"),
            "--list" | "-l" => action = Some("list"),
            "--get" | "--get-all" => action = Some("get"),
            "--add" | "--replace-all" => action = Some("set"),
            "--unset" | "--unset-all" => action = Some("unset"),
            "--edit" | "-e" => action = Some("edit"),
            "--bool" | "--int" | "--path" | "--no-type" => {}
            typed if typed.starts_with("--type=") => {}
            "--show-origin" => kept.push(OsString::from("--origin")),
            flag if flag.starts_with('-') && plain.is_empty() => kept.push(word.clone()),
            _ => plain.push(word.clone()),
        }
    }
    let is_key = plain.first().is_some_and(|word| word.to_string_lossy().contains('.'));
    // What begins with a verb is in the grammar's own words.
    if !plain.is_empty() && !is_key {
        return arguments;
    }
    let action = match (action, plain.len()) {
        (Some(action), _) => action,
        (None, 0) => return arguments,
        (None, 1) => "get",
        (None, _) => "set",
    };
    let scope = match (action, scope) {
        ("list", _) => None,
        ("get", scope) => scope,
        (_, scope) => scope.filter(|scope| *scope == "--global"),
    };
    let scope = scope.into_iter().map(OsString::from);
    before.iter().cloned().chain([action.into()]).chain(scope).chain(kept).chain(plain).collect()
}

/// Words that the grammar hears wherever they stand.
const HEARD_ANYWHERE: [&str; 4] = ["--help", "-h", "--version", "-V"];

/// `config set KEY --version`: what stands behind the key is its value, whatever it is.
fn with_free_value(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let mut words = arguments.iter().enumerate().skip(1);
    let mut plain = |takes: &[&str]| loop {
        let (at, word) = words.next()?;
        match word.to_str() {
            Some("--") => return None,
            Some(flag) if takes.contains(&flag) => drop(words.next()),
            Some(flag) if flag.starts_with('-') => {}
            _ => return Some((at, word)),
        }
    };
    let mut next = || plain(&["-C", "--color"]);
    let is_set =
        matches!((next(), next()), (Some((_, verb)), Some((_, set))) if verb == "config" && set == "set");
    let key = if is_set { next().map(|(at, _)| at) } else { None };
    let behind =
        |key: usize| key + 1 + usize::from(arguments.get(key + 1).is_some_and(|word| word == "--global"));
    let value = key.map(behind).filter(|at| arguments.get(*at).is_some_and(is_heard_anywhere));
    if let Some(at) = value.filter(|_| !arguments.iter().any(|word| word == "--")) {
        let value = arguments.remove(at);
        arguments.extend(["--".into(), value]);
    }
    arguments
}

fn is_heard_anywhere(word: &OsString) -> bool {
    HEARD_ANYWHERE.iter().any(|heard| word == heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_the_key_of_a_setting_is_its_value() {
        let translate = |line: &str| -> String {
            let words = translated(line.split(' ').map(OsString::from));
            words.into_iter().map(|word| word.into_string().expect("text")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(translate("coral config set user.name -V"), "coral config set user.name -- -V");
        assert_eq!(
            translate("coral -C x --json config --color never set --global user.name --help -q"),
            "coral -C x --json config --color never set --global user.name -q -- --help"
        );
        for same in [
            "coral config set --help",
            "coral config set user.name -- -V",
            "coral config set user.name x -V",
            "coral config get user.name -V",
            "coral add config set user.name -V",
        ] {
            assert_eq!(translate(same), same);
        }
    }

    #[test]
    fn what_git_has_in_other_words_is_said_in_those_of_the_grammar() {
        let translate = |line: &str| -> String {
            let words = translated(line.split(' ').map(OsString::from));
            words.into_iter().map(|word| word.into_string().expect("text")).collect::<Vec<_>>().join(" ")
        };
        for (typed, meant) in [
            ("coral config user.name Ada", "coral config set user.name Ada"),
            ("coral config user.name -V", "coral config set user.name -- -V"),
            ("coral config --global user.name Ada", "coral config set --global user.name Ada"),
            ("coral -q config user.name", "coral -q config get user.name"),
            ("coral config --local --get user.name", "coral config get --local user.name"),
            ("coral config --unset user.name", "coral config unset user.name"),
            ("coral config -l --show-origin", "coral config list --origin"),
            ("coral config --global -e", "coral config edit --global"),
            ("coral checkout a.bin", "coral checkout --checkout a.bin"),
            ("coral commit -a -C HEAD~1", "coral commit -a --reuse-message HEAD~1"),
            ("coral branch -C main copy", "coral branch -c main copy"),
            ("coral switch -C nowhere-else HEAD~1", "coral switch --force-create nowhere-else HEAD~1"),
            ("coral log a --not b ^c -n 3 -- d", "coral log a ^b c -n 3 -- d"),
            ("coral log --not a --not b", "coral log ^a b"),
            ("coral log --color -p", "coral log --color=always -p"),
            ("coral log --color never --no-color", "coral log --color never --color=never"),
        ] {
            assert_eq!(translate(typed), meant);
        }
        for same in [
            "coral config",
            "coral config list",
            "coral config set --global user.name Ada",
            "coral commit -C / -m x",
            "coral commit -m x -- -C nowhere",
            "coral -C nowhere commit",
            "coral tag checkout",
            "coral log --grep --not a",
            "coral diff --not a",
        ] {
            assert_eq!(translate(same), same);
        }
    }

    #[test]
    fn a_number_is_a_count_where_git_takes_it_for_one() {
        let translate = |line: &str| -> Vec<String> {
            let words = translated(line.split(' ').map(OsString::from));
            words.into_iter().map(|word| word.into_string().expect("text")).collect()
        };
        assert_eq!(translate("coral log -3").join(" "), "coral log -n 3");
        assert_eq!(
            translate("coral -C x log --oneline -12 dev").join(" "),
            "coral -C x log --oneline -n 12 dev"
        );
        assert_eq!(translate("coral help log --json"), ["coral", "help", "log"]);
        for same in
            ["coral log -n -3", "coral log -- -3", "coral cat -3", "coral log -3x", "coral commit -m -3"]
        {
            assert_eq!(translate(same).join(" "), same);
        }
    }
}
