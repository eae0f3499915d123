//! Carrying out what is written to `.coral/ctl`: `commit -m "message"`, `tag NAME`, `drain`, `refresh`, `status`.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::history::{
    self, BranchName, Change, Commit, LogEntry, Signature, Tag, TagName, TreePath, parse_time,
};
use crate::id::CommitId;
use crate::task::Task;
use crate::worktree::{Coding, CommitRequest, Committed};

use super::command_line::{Command, CommitCommand, TagCommand, parse};
use super::errno::Result;
use super::report::{Report, shown};
use super::settings::View;
use super::superblock::Superblock;
use super::texts::Texts;
use super::upkeep::Upkeep;

/// Texts of so many bytes may have been cut: by the kernel, which hands over a mebibyte at once, or by a library that writes what
/// its buffer holds, of which those of C are the smallest.
const CUT: usize = 4 << 10;

/// What carries commands out in one mount.
pub(super) struct Commands<'a>(&'a Superblock);

impl<'a> Commands<'a> {
    /// Those of this mount.
    pub fn of(shared: &'a Superblock) -> Self {
        Self(shared)
    }

    /// Carries out the commands in a text, up to the first that fails, or until the task is stopped. `Err` is what it said.
    pub fn carry_out(&self, text: &[u8], task: &Task) -> std::result::Result<String, String> {
        // A part of a line means something else.
        if text.len() >= CUT && !text.ends_with(b"\n") {
            return Err(format!(
                "nothing was done: a text of {CUT} bytes or more has to end with the end of a line, and come in one write(2)\n"
            ));
        }
        let text = std::str::from_utf8(text).map_err(|_| "the command is not UTF-8\n".to_owned())?;
        let mut said = String::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let command = parse(line).map_err(|why| failed(&said, why.trim_end()))?;
            let answer = self.run(&command, task).map_err(|error| failed(&said, error))?;
            said.push_str(&answer);
        }
        Ok(said)
    }

    fn run(&self, command: &Command, task: &Task) -> Result<String> {
        task.check().map_err(history::Error::from)?;
        match command {
            Command::Commit(commit) if commit.dry_run => self.foretell(commit),
            Command::Commit(commit) => self.commit(commit, task),
            Command::Tag(tag) => self.tag(tag),
            Command::Status => Ok(Texts::of(self.0).status_text()),
            Command::Drain => Upkeep::of(self.0).drain(task).map(|()| "stored\n".to_owned()),
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
        let command = CommitCommand { message: Some(message), branch, metadata, ..CommitCommand::default() };
        // Also when the mount ends: it is what was saved before.
        let (_, committed) = self.make_commit(&command, &Task::default())?;
        Ok(committed.id)
    }

    /// Lets a tag name a commit, whatever it named before.
    pub fn move_tag(&self, name: &TagName, commit: CommitId) -> Result<()> {
        let (name, revision) = (name.as_str().to_owned(), commit.to_string());
        self.tag(&TagCommand { name, revision, replace: true, description: String::new() }).map(drop)
    }

    fn branch_of(&self, command: &CommitCommand) -> Result<BranchName> {
        match (&command.branch, &self.0.view) {
            (Some(name), _) => Ok(BranchName::new(name.clone())?),
            (None, View::Worktree(branch)) => Ok(branch.clone()),
            (None, View::All | View::Snapshot { .. }) => Ok(self.0.repo.refs().current_branch()?),
        }
    }

    fn make_commit(&self, command: &CommitCommand, task: &Task) -> Result<(BranchName, Committed)> {
        let branch = self.branch_of(command)?;
        self.0.settle_everywhere();
        let is_later = (self.0.ingest.is_at_work() || command.no_pack) && !command.include_open;
        let coding = match is_later {
            true => {
                self.0.ingest.give_way();
                Coding::Later
            }
            false => {
                // Two ingests of one file would both be right, but the second would be for nothing. What the background
                // could not store is tried again now, and says itself what is wrong.
                self.0.ingest.drain(task).map_err(history::Error::from)?;
                Coding::Now
            }
        };
        let request = self.request(command, &branch, coding)?;
        let committed = self.0.worktrees.open(&branch)?.commit(&request, task)?;
        self.0.ingest.attached(self.0.repo.store());
        self.0.announce();
        Ok((branch, committed))
    }

    /// What is asked of the worktree; what is not said stays as it was in a commit whose place is taken.
    fn request(&self, command: &CommitCommand, branch: &BranchName, coding: Coding) -> Result<CommitRequest> {
        let committer = self.0.signature();
        let amend = command.amend.then(|| self.0.repo.refs().existing_branch(branch)).transpose()?;
        let before = amend.map(|tip| self.0.repo.commit(tip)).transpose()?;
        let before = before.as_deref();
        let message = command.message.clone().or(before.map(|before| before.message.clone()));
        let message = message.unwrap_or_default();
        let mut metadata = before.map(|before| before.metadata.clone()).unwrap_or_default();
        metadata.extend(command.metadata.clone());
        Ok(CommitRequest {
            author: self.author(command, &committer, before)?,
            message: if command.signoff { committer.signed_off(&message) } else { message },
            committer,
            metadata,
            include_open: command.include_open,
            allow_empty: command.allow_empty,
            level: command.level,
            tag: command.tag.clone().map(TagName::new).transpose()?,
            amend,
            coding,
            only: paths(command)?,
        })
    }

    fn author(
        &self,
        command: &CommitCommand,
        committer: &Signature,
        before: Option<&Commit>,
    ) -> Result<Signature> {
        let known = before.map_or(committer, |before| &before.author).clone();
        let (time, offset_minutes) = match &command.date {
            Some(said) => {
                let time = parse_time(said, self.0.now());
                let time = time.ok_or_else(|| history::Error::UnknownTime(said.clone()))?;
                (time, committer.offset_minutes)
            }
            None => (known.time, known.offset_minutes),
        };
        Ok(Signature {
            name: command.author.clone().unwrap_or(known.name),
            email: command.email.clone().unwrap_or(known.email),
            time,
            offset_minutes,
        })
    }

    /// What a commit would take.
    fn foretell(&self, command: &CommitCommand) -> Result<String> {
        let branch = self.branch_of(command)?;
        self.0.settle_everywhere();
        let worktree = self.0.worktrees.open(&branch)?;
        let snapshot = worktree.snapshot(command.include_open)?;
        let only = paths(command)?;
        snapshot.check_known(&worktree, &only)?;
        let mut changes = snapshot.diff_from(self.0.repo.tree_of(snapshot.base)?, &worktree)?;
        changes.retain(|change| only.is_empty() || only.iter().any(|path| change.path.starts_with(path)));
        let mut report = Report::default();
        report.line(format_args!("would commit {} on {branch}", changes.len()));
        report.list(&changes, |change: &Change| format!("{} {}", change.kind.letter(), shown(&change.path)));
        Ok(report.into_text())
    }

    fn commit(&self, command: &CommitCommand, task: &Task) -> Result<String> {
        let (branch, committed) = self.make_commit(command, task)?;
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

/// The paths that a commit takes alone, from the top of the worktree.
fn paths(command: &CommitCommand) -> Result<Vec<TreePath>> {
    Ok(command
        .paths
        .iter()
        .map(|path| TreePath::parse(path.as_bytes()))
        .collect::<std::result::Result<_, _>>()?)
}

/// What was said before something failed, and why it did.
fn failed(said: &str, why: impl Display) -> String {
    let mut report = Report::default();
    report.line(why);
    format!("{said}{}", report.into_text())
}
