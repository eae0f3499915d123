//! Commands written to `.coral/ctl`, one a line: `commit -m "message"`, `drain`, `refresh`, `status`.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::codec::Level;
use crate::history::{BranchName, TreePath};
use crate::task::Task;
use crate::worktree::CommitRequest;

use super::errno::Result;
use super::report::{Report, shown};
use super::settings::View;
use super::superblock::Superblock;
use super::texts::Texts;
use super::upkeep::Upkeep;

/// A parsed line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    Commit(CommitCommand),
    Drain,
    Refresh,
    Status,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct CommitCommand {
    message: String,
    /// The current branch if none was named.
    branch: Option<String>,
    allow_empty: bool,
    allow_empty_message: bool,
    include_open: bool,
    level: Option<Level>,
}

/// What carries commands out in one mount.
pub(super) struct Commands<'a>(&'a Superblock);

impl<'a> Commands<'a> {
    /// Those of this mount.
    pub fn of(shared: &'a Superblock) -> Self {
        Self(shared)
    }

    /// Carries out the commands in a text, up to the first that fails. `Err` is what it said.
    pub fn carry_out(&self, text: &[u8]) -> std::result::Result<String, String> {
        let text = std::str::from_utf8(text).map_err(|_| "the command is not UTF-8\n".to_owned())?;
        let mut said = String::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let command = parse(line).map_err(|why| failed(&said, why.trim_end()))?;
            let answer = self.run(&command).map_err(|error| failed(&said, error))?;
            said.push_str(&answer);
        }
        Ok(said)
    }

    fn run(&self, command: &Command) -> Result<String> {
        match command {
            Command::Commit(commit) => self.commit(commit),
            Command::Status => Ok(Texts::of(self.0).status_text()),
            Command::Drain => Upkeep::of(self.0).drain().map(|()| "stored\n".to_owned()),
            Command::Refresh => Upkeep::of(self.0).refresh().map(|()| "refreshed\n".to_owned()),
        }
    }

    fn commit(&self, command: &CommitCommand) -> Result<String> {
        let branch = match (&command.branch, &self.0.view) {
            (Some(name), _) => BranchName::new(name.clone())?,
            (None, View::Worktree(branch)) => branch.clone(),
            (None, View::All | View::Snapshot { .. }) => self.0.repo.refs().current_branch()?,
        };
        // Two ingests of one file would both be right, but the second would be for nothing. What the background could
        // not store is tried again now, and says itself what is wrong.
        self.0.settle();
        self.0.ingest.drain();
        let who = self.0.signature();
        let request = CommitRequest {
            author: who.clone(),
            committer: who,
            message: command.message.clone(),
            metadata: BTreeMap::new(),
            include_open: command.include_open,
            allow_empty: command.allow_empty,
            level: command.level,
            tag: None,
        };
        let committed = self.0.worktrees.open(&branch)?.commit(&request, &Task::default())?;
        self.0.announce();
        let mut report = Report::default();
        report.line(format_args!("[{branch} {}] {} changed", committed.id, committed.changed));
        let tree = self.0.repo.commit(committed.id)?.tree;
        let stands = |path: &TreePath| match self.0.repo.find_in_tree(tree, path) {
            Ok(None) => "is not in the commit",
            Ok(Some(_)) | Err(_) => "stands in it as it was before",
        };
        let told =
            |what: &'static str| move |path: &TreePath| format!("{what}, {}: {}", stands(path), shown(path));
        report.list(&committed.still_open, told("still being written"));
        report.list(&committed.interrupted, told("not finished by who wrote it"));
        committed.warnings.iter().for_each(|warning| report.line(format_args!("note: {warning}")));
        Ok(report.into_text())
    }
}

/// What was said before something failed, and why it did.
fn failed(said: &str, why: impl Display) -> String {
    let mut report = Report::default();
    report.line(why);
    format!("{said}{}", report.into_text())
}

fn parse(line: &str) -> std::result::Result<Command, String> {
    let words = words(line).ok_or("a quote is not closed\n")?;
    let (verb, arguments) = words.split_first().ok_or("no command\n")?;
    match (verb.as_str(), arguments) {
        ("commit", arguments) => parse_commit(arguments).map(Command::Commit),
        ("drain", []) => Ok(Command::Drain),
        ("refresh", []) => Ok(Command::Refresh),
        ("status", []) => Ok(Command::Status),
        (other, _) => {
            Err(format!("`{other}` is none of commit, drain, refresh, status, or has unknown arguments\n"))
        }
    }
}

fn parse_commit(arguments: &[String]) -> std::result::Result<CommitCommand, String> {
    let mut command = CommitCommand::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().cloned().ok_or(format!("`{argument}` needs a value\n"));
        match argument.as_str() {
            "-m" | "--message" => command.message = value()?,
            "-b" | "--branch" => command.branch = Some(value()?),
            "--allow-empty-message" => command.allow_empty_message = true,
            "--allow-empty" => command.allow_empty = true,
            "--include-open" => command.include_open = true,
            "--level" => {
                command.level = Some(Level::from_name(&value()?).map_err(|error| format!("{error}\n"))?)
            }
            other => return Err(format!("commit does not know `{other}`\n")),
        }
    }
    match command.message.trim().is_empty() && !command.allow_empty_message {
        true => Err("commit needs a message: commit -m \"...\"\n".to_owned()),
        false => Ok(command),
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
            message: "step 3".into(),
            branch: Some("run/a".into()),
            allow_empty_message: false,
            allow_empty: true,
            include_open: false,
            level: Some(Level::Max),
        };
        assert_eq!(
            parse("commit -b run/a -m 'step 3' --allow-empty --level max"),
            Ok(Command::Commit(expected))
        );
        assert_eq!(parse("drain"), Ok(Command::Drain));
    }

    #[test]
    fn nonsense_says_what_is_wrong() {
        for (line, said) in [
            ("commit", "commit needs a message: commit -m \"...\"\n"),
            ("commit -m", "`-m` needs a value\n"),
            ("commit -m x -z", "commit does not know `-z`\n"),
            ("commit -m 'x", "a quote is not closed\n"),
            ("push", "`push` is none of commit, drain, refresh, status, or has unknown arguments\n"),
        ] {
            assert_eq!(parse(line), Err(said.to_owned()));
        }
    }
}
