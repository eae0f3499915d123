//! What is written to `.coral/ctl`, understood: commands with their options, one a line, quoted as for a shell.
//!
//! Text in, values out. Carries nothing out.

use std::collections::BTreeMap;

use crate::codec::Level;
use crate::history::{Signature, metadata_pair};
use crate::quote;
use crate::units::Timestamp;

/// A parsed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Commit(CommitCommand),
    Tag(TagCommand),
    Drain,
    Refresh,
    Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CommitCommand {
    /// Why; `None` if nothing was said of it.
    pub message: Option<String>,
    /// The current branch if none was named.
    pub branch: Option<String>,
    /// What is taken; everything if nothing is said.
    pub paths: Vec<String>,
    pub amend: bool,
    pub signoff: bool,
    pub dry_run: bool,
    pub no_pack: bool,
    pub allow_empty: bool,
    pub allow_empty_message: bool,
    pub include_open: bool,
    pub level: Option<Level>,
    pub author: Option<String>,
    pub email: Option<String>,
    /// When the change was made, as somebody says it.
    pub date: Option<String>,
    pub tag: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TagCommand {
    pub name: String,
    pub revision: String,
    pub replace: bool,
    pub description: String,
}

/// What a line asks for; `Err` says what is wrong with it.
pub(super) fn parse(line: &str) -> std::result::Result<Command, String> {
    let words = words(line).ok_or("a quote is not closed\n")?;
    let (verb, arguments) = words.split_first().ok_or("no command\n")?;
    match (verb.as_str(), arguments) {
        ("commit", arguments) => parse_commit(arguments).map(Command::Commit),
        ("tag", arguments) => parse_tag(arguments).map(Command::Tag),
        ("drain", []) => Ok(Command::Drain),
        ("refresh", []) => Ok(Command::Refresh),
        ("status", []) => Ok(Command::Status),
        (other, _) => Err(format!(
            "`{other}` is none of commit, tag, drain, refresh, status, or has unknown arguments\n"
        )),
    }
}

fn parse_commit(arguments: &[String]) -> std::result::Result<CommitCommand, String> {
    let mut command = CommitCommand::default();
    let mut arguments = arguments.iter();
    let mut are_paths = false;
    while let Some(argument) = arguments.next() {
        if are_paths || !argument.starts_with('-') {
            command.paths.push(argument.clone());
            continue;
        }
        let mut value = || arguments.next().cloned().ok_or(format!("`{argument}` needs a value\n"));
        match argument.as_str() {
            "--" => are_paths = true,
            "-m" | "--message" | "-am" => {
                let more = value()?;
                // Each is a paragraph, as in git.
                command.message = Some(match command.message.take() {
                    Some(before) => format!("{before}\n\n{more}"),
                    None => more,
                });
            }
            "-b" | "-B" | "--branch" => command.branch = Some(value()?),
            // Every change of the worktree is committed anyway, hooks are run by nobody, and what is said is short.
            "-a" | "--all" | "--no-verify" | "-n" | "-q" | "--quiet" | "--no-edit" => {}
            "-t" | "--tag" => command.tag = Some(value()?),
            "--amend" => command.amend = true,
            "-s" | "--signoff" => command.signoff = true,
            "--dry-run" => command.dry_run = true,
            "--no-pack" => command.no_pack = true,
            "--author" => {
                let said = value()?;
                match said.strip_suffix('>').and_then(|said| said.split_once(" <")) {
                    Some((name, email)) => {
                        command.author = Some(person(name.to_owned())?);
                        command.email = Some(person(email.to_owned())?);
                    }
                    None => command.author = Some(person(said)?),
                }
            }
            "--email" => command.email = Some(person(value()?)?),
            "--date" => command.date = Some(value()?),
            "-d" | "--metadata" => {
                let said = value()?;
                let pair =
                    metadata_pair(&said).ok_or(format!("`{}` is not KEY=VALUE\n", quote::text(&said)))?;
                command.metadata.extend([pair]);
            }
            "--allow-empty-message" => command.allow_empty_message = true,
            "--allow-empty" => command.allow_empty = true,
            "--include-open" => command.include_open = true,
            "--level" => {
                command.level = Some(Level::from_name(&value()?).map_err(|error| format!("{error}\n"))?)
            }
            "-F" | "--file" => {
                return Err(format!(
                    "a mount reads no files for others: `-m TEXT` instead of `{argument}`\n"
                ));
            }
            other => return Err(format!("commit does not know `{other}`\n")),
        }
    }
    let says_nothing = command.message.as_deref().is_none_or(|message| message.trim().is_empty());
    let needs_one = !command.allow_empty_message && !command.dry_run;
    match says_nothing && needs_one && !(command.amend && command.message.is_none()) {
        true => Err("commit needs a message: commit -m \"...\"\n".to_owned()),
        false if command.amend && !command.paths.is_empty() => {
            Err("--amend takes everything, no paths\n".to_owned())
        }
        false => Ok(command),
    }
}

fn parse_tag(arguments: &[String]) -> std::result::Result<TagCommand, String> {
    let (mut names, mut replace, mut description) = (Vec::new(), false, String::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-f" | "--force" => replace = true,
            "-m" | "--message" => {
                description = arguments.next().cloned().ok_or(format!("`{argument}` needs a value\n"))?;
            }
            other if other.starts_with('-') => return Err(format!("tag does not know `{other}`\n")),
            name => names.push(name.to_owned()),
        }
    }
    let mut names = names.into_iter();
    match (names.next(), names.next(), names.next()) {
        (Some(name), revision, None) => Ok(TagCommand {
            name,
            revision: revision.unwrap_or_else(|| "HEAD".to_owned()),
            replace,
            description,
        }),
        _ => {
            Err("tag needs a name, and a revision if it is not to be HEAD: tag NAME [REVISION]\n".to_owned())
        }
    }
}

/// A name or an address that looks like one in a log.
fn person(text: String) -> std::result::Result<String, String> {
    let who = Signature { name: text, email: String::new(), time: Timestamp::EPOCH, offset_minutes: 0 };
    match who.misleading() {
        Some(text) => Err(format!("`{}` is no name or address\n", quote::text(text))),
        None => Ok(who.name),
    }
}

/// Splits a line as a shell would: blanks separate, quotes of either kind keep together, a backslash takes the next
/// character as it is (except between single quotes). `None` if a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().push(chars.next()?),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_does() {
        let split = |line| words(line).map(|words| words.join("|"));
        assert_eq!(split(r#"commit -m "two words""#).as_deref(), Some("commit|-m|two words"));
        assert_eq!(split(r#" a'b c'd  "" \" e\ f "#).as_deref(), Some("ab cd||\"|e f"));
        assert_eq!(split(r#"commit -m "open"#), None);
        assert_eq!(split(r"back\"), None);
    }

    #[test]
    fn commits_are_understood_with_their_options() {
        let expected = CommitCommand {
            message: Some("step 3".into()),
            branch: Some("run/a".into()),
            allow_empty: true,
            level: Some(Level::Max),
            author: Some("Ada Lovelace".into()),
            email: Some("ada@example.org".into()),
            tag: Some("best".into()),
            ..CommitCommand::default()
        };
        let expected = CommitCommand {
            metadata: BTreeMap::from([("loss".into(), "2.31".into()), ("step".into(), "3=4".into())]),
            ..expected
        };
        let line = "commit -b run/a -am 'step 3' --allow-empty --level max -d step=3=4 -d loss=2.31 -t best \
                    --author 'Ada Lovelace' --email ada@example.org";
        assert_eq!(parse(line), Ok(Command::Commit(expected)));
        let tag = TagCommand {
            name: "v1".into(),
            revision: "HEAD".into(),
            replace: false,
            description: String::new(),
        };
        assert_eq!(parse("tag v1"), Ok(Command::Tag(tag.clone())));
        let moved =
            TagCommand { revision: "main~2".into(), replace: true, description: "the one".into(), ..tag };
        assert_eq!(parse("tag -f v1 main~2 -m 'the one'"), Ok(Command::Tag(moved)));
        assert_eq!(parse("drain"), Ok(Command::Drain));
    }

    #[test]
    fn a_commit_is_said_as_on_the_command_line() {
        let line = "commit -a -q --amend -s --no-pack --date yesterday --author 'Ada <a@b>' -m one -m two";
        let expected = CommitCommand {
            message: Some("one\n\ntwo".into()),
            amend: true,
            signoff: true,
            no_pack: true,
            date: Some("yesterday".into()),
            author: Some("Ada".into()),
            email: Some("a@b".into()),
            ..CommitCommand::default()
        };
        assert_eq!(parse(line), Ok(Command::Commit(expected)));
        let some = CommitCommand {
            message: Some("some".into()),
            paths: vec!["a dir/b".into(), "-c".into()],
            ..CommitCommand::default()
        };
        assert_eq!(parse("commit 'a dir/b' -m some -- -c"), Ok(Command::Commit(some)));
        let foretold = CommitCommand { dry_run: true, ..CommitCommand::default() };
        assert_eq!(parse("commit --dry-run"), Ok(Command::Commit(foretold)));
    }

    #[test]
    fn nonsense_says_what_is_wrong() {
        for (line, said) in [
            ("commit", "commit needs a message: commit -m \"...\"\n"),
            ("commit -m", "`-m` needs a value\n"),
            ("commit --amend -m ''", "commit needs a message: commit -m \"...\"\n"),
            ("commit --amend a.bin", "--amend takes everything, no paths\n"),
            ("commit -F notes", "a mount reads no files for others: `-m TEXT` instead of `-F`\n"),
            ("commit -m x -z", "commit does not know `-z`\n"),
            ("commit -m 'x", "a quote is not closed\n"),
            ("commit -m x -d step", "`step` is not KEY=VALUE\n"),
            ("commit -m x --author '<a>'", "`<a>` is no name or address\n"),
            ("tag", "tag needs a name, and a revision if it is not to be HEAD: tag NAME [REVISION]\n"),
            ("tag a b c", "tag needs a name, and a revision if it is not to be HEAD: tag NAME [REVISION]\n"),
            ("tag -x", "tag does not know `-x`\n"),
            ("push", "`push` is none of commit, tag, drain, refresh, status, or has unknown arguments\n"),
        ] {
            assert_eq!(parse(line), Err(said.to_owned()));
        }
    }
}
