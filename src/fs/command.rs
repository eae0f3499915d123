//! Commands written to `.coral/ctl`, one a line: `commit -m "message"`, `tag NAME`, `drain`, `refresh`, `status`.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::codec::Level;
use crate::history::{BranchName, LogEntry, Signature, Tag, TagName, TreePath, metadata_pair};
use crate::id::CommitId;
use crate::quote;
use crate::task::Task;
use crate::units::Timestamp;
use crate::worktree::{Coding, CommitRequest, Committed};

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
    Tag(TagCommand),
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
    author: Option<String>,
    email: Option<String>,
    tag: Option<String>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TagCommand {
    name: String,
    revision: String,
    replace: bool,
    description: String,
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
            Command::Tag(tag) => self.tag(tag),
            Command::Status => Ok(Texts::of(self.0).status_text()),
            Command::Drain => Upkeep::of(self.0).drain().map(|()| "stored\n".to_owned()),
            Command::Refresh => Upkeep::of(self.0).refresh().map(|()| "refreshed\n".to_owned()),
        }
    }

    /// Commits a checkpoint of a branch.
    pub fn commit_checkpoint(
        &self,
        branch: &BranchName,
        message: String,
        metadata: BTreeMap<String, String>,
    ) -> Result<CommitId> {
        let branch = Some(branch.as_str().to_owned());
        let (_, committed) =
            self.make_commit(&CommitCommand { message, branch, metadata, ..CommitCommand::default() })?;
        Ok(committed.id)
    }

    /// Lets a tag name a commit, whatever it named before.
    pub fn move_tag(&self, name: &TagName, commit: CommitId) -> Result<()> {
        let (name, revision) = (name.as_str().to_owned(), commit.to_string());
        self.tag(&TagCommand { name, revision, replace: true, description: String::new() }).map(drop)
    }

    fn make_commit(&self, command: &CommitCommand) -> Result<(BranchName, Committed)> {
        let branch = match (&command.branch, &self.0.view) {
            (Some(name), _) => BranchName::new(name.clone())?,
            (None, View::Worktree(branch)) => branch.clone(),
            (None, View::All | View::Snapshot { .. }) => self.0.repo.refs().current_branch()?,
        };
        self.0.settle();
        let coding = match self.0.ingest.is_at_work() && !command.include_open {
            true => {
                self.0.ingest.give_way();
                Coding::Later
            }
            false => {
                // Two ingests of one file would both be right, but the second would be for nothing. What the background
                // could not store is tried again now, and says itself what is wrong.
                self.0.ingest.drain();
                Coding::Now
            }
        };
        let committer = self.0.signature();
        let request = CommitRequest {
            author: Signature {
                name: command.author.clone().unwrap_or_else(|| committer.name.clone()),
                email: command.email.clone().unwrap_or_else(|| committer.email.clone()),
                ..committer.clone()
            },
            committer,
            message: command.message.clone(),
            metadata: command.metadata.clone(),
            include_open: command.include_open,
            allow_empty: command.allow_empty,
            level: command.level,
            tag: command.tag.clone().map(TagName::new).transpose()?,
            amend: false,
            coding,
            only: Vec::new(),
        };
        let committed = self.0.worktrees.open(&branch)?.commit(&request, &Task::default())?;
        self.0.ingest.attached(self.0.repo.store());
        self.0.announce();
        Ok((branch, committed))
    }

    fn commit(&self, command: &CommitCommand) -> Result<String> {
        let (branch, committed) = self.make_commit(command)?;
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

impl Commands<'_> {
    fn tag(&self, command: &TagCommand) -> Result<String> {
        let repo = &self.0.repo;
        let name = TagName::new(&*command.name)?;
        let commit = repo.resolve(&command.revision, self.0.now())?;
        let tag = Tag { commit, description: command.description.clone(), metrics: BTreeMap::new() };
        let entry = LogEntry { who: self.0.signature(), message: format!("tag: {}", command.revision) };
        let moved =
            repo.refs().set_tag(&name, &tag, repo.store().durable(commit)?, command.replace, &entry)?;
        self.0.announce();
        let mut report = Report::default();
        report.line(format_args!("{name} is {commit}"));
        moved.warnings.iter().for_each(|warning| report.line(format_args!("note: {warning}")));
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
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().cloned().ok_or(format!("`{argument}` needs a value\n"));
        match argument.as_str() {
            "-m" | "--message" => command.message = value()?,
            "-b" | "-B" | "--branch" => command.branch = Some(value()?),
            // Every change of the worktree is committed anyway.
            "-a" | "--all" => {}
            "-am" => command.message = value()?,
            "-t" | "--tag" => command.tag = Some(value()?),
            "--author" => command.author = Some(person(value()?)?),
            "--email" => command.email = Some(person(value()?)?),
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
            other => return Err(format!("commit does not know `{other}`\n")),
        }
    }
    match command.message.trim().is_empty() && !command.allow_empty_message {
        true => Err("commit needs a message: commit -m \"...\"\n".to_owned()),
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
            message: "step 3".into(),
            branch: Some("run/a".into()),
            allow_empty_message: false,
            allow_empty: true,
            include_open: false,
            level: Some(Level::Max),
            author: Some("Ada Lovelace".into()),
            email: Some("ada@example.org".into()),
            tag: Some("best".into()),
            metadata: BTreeMap::from([("loss".into(), "2.31".into()), ("step".into(), "3=4".into())]),
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
    fn nonsense_says_what_is_wrong() {
        for (line, said) in [
            ("commit", "commit needs a message: commit -m \"...\"\n"),
            ("commit -m", "`-m` needs a value\n"),
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
