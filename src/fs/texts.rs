//! What the files in `.coral/` say.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::{Error as RepoError, Tree, Walk};
use crate::quote;
use crate::worktree::Worktree;

use super::errno::Result;
use super::meter::Measured;
use super::namespace::{ControlFile, date_names};
use super::open_worktrees::taken_back;
use super::report::{Report, shown};
use super::settings::View;
use super::superblock::Superblock;

/// How many commits `.coral/log` tells of.
const LOG_MAX: usize = 1000;

/// What `.coral/stats.json` tells.
#[derive(Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct MountStats {
    packs: usize,
    /// Objects in packs, copies in several packs counted each.
    objects: usize,
    /// Of these, differences to others.
    deltas: usize,
    /// Bytes of all objects, each counted once.
    object_bytes: u64,
    /// What they take encoded.
    stored_bytes: u64,
    /// Bytes of all pack files and sidecars.
    disk_bytes: u64,
    /// Inodes that the kernel knows.
    inodes: usize,
    /// Files and directories that are open.
    open: usize,
    /// What the kernel asked since the mount began, by operation.
    operations: BTreeMap<&'static str, Measured>,
}

/// The texts of one mount.
pub(super) struct Texts<'a>(&'a Superblock);

impl<'a> Texts<'a> {
    /// Those of this mount.
    pub fn of(shared: &'a Superblock) -> Self {
        Self(shared)
    }

    /// The text of a control file as of now.
    pub fn text(&self, file: ControlFile) -> Result<Vec<u8>> {
        let text = match file {
            // What a command said is read back on the handle that it was written to.
            ControlFile::Ctl => String::new(),
            ControlFile::Status => self.status_text(),
            ControlFile::Log => self.log_text()?,
            ControlFile::Stats => self.stats_text()?,
            ControlFile::Errors => self.errors_text(),
            ControlFile::Version => format!("coral {}\n", env!("CARGO_PKG_VERSION")),
            ControlFile::Repository => format!("{}\n", self.0.repository_folder().display()),
            ControlFile::Worktree => match &self.0.view {
                View::Worktree(branch) => format!("{branch}\n"),
                View::All | View::Snapshot { .. } => String::new(),
            },
        };
        Ok(text.into_bytes())
    }

    /// The changes of every worktree that somebody looked into.
    pub fn status_text(&self) -> String {
        self.0.settle();
        let mut report = Report::default();
        if let Err(error) = self.0.repo.check_held() {
            report.line(format_args!("nothing can be saved here: {error}"));
        }
        let mut worktrees = self.0.worktrees.all();
        worktrees.sort_by(|a, b| a.branch().cmp(b.branch()));
        for worktree in worktrees {
            report.line(format_args!("worktree {}", worktree.branch()));
            report.list(worktree.taken_back(), |file| format!("  ! {}", taken_back(worktree.branch(), file)));
            if let Err(error) = self.describe(&worktree, &mut report) {
                report.line(format_args!("  cannot be read: {error}"));
            }
        }
        match self.0.repo.store().attached_len() {
            0 => {}
            bytes => report.line(format_args!("{bytes} bytes of commits are still to be made small")),
        }
        if let Ok(copies) = self.0.repo.plain().usage() {
            let (files, bytes, most) = (copies.files, copies.bytes, self.0.repo.plain().budget());
            report.line(format_args!("{files} plain copies take {bytes} bytes, of at most {most}"));
        }
        self.0.auto_status.tell(&mut report);
        if let Some(trouble) = self.0.index.trouble() {
            report.line(format_args!("no index, packs are searched one by one: {trouble}"));
        }
        if let Some(trouble) = self.0.ingest.trouble() {
            report.line(format_args!("background ingest failed: {trouble}"));
        }
        report.into_text()
    }

    fn describe(&self, worktree: &Worktree, report: &mut Report) -> Result<()> {
        let snapshot = worktree.snapshot(false)?;
        let base = match snapshot.base {
            Some(commit) => self.0.repo.commit(commit)?.tree,
            None => Tree::empty_id(),
        };
        let changes = snapshot.diff_from(base, worktree)?;
        let waiting = worktree.staging().complete()?;
        report.list(&changes, |change| format!("  {} {}", change.kind.letter(), shown(&change.path)));
        let unfinished = [
            (&snapshot.still_open, "being written"),
            (&snapshot.interrupted, "interrupted"),
            (&snapshot.lost, "lost bytes"),
        ];
        for (paths, what) in unfinished {
            report.list(paths, |path| format!("  ~ {} ({what})", shown(path)));
        }
        let bytes: u64 = waiting.iter().map(|file| file.len).sum();
        let (changed, files) = (changes.len(), waiting.len());
        report.line(format_args!("  {changed} changed, {files} files ({bytes} bytes) not yet in the store"));
        Ok(())
    }

    fn log_text(&self) -> Result<String> {
        let tip = match self.0.repo.resolve("HEAD", self.0.now()) {
            Err(RepoError::Unborn(_)) => return Ok(String::new()),
            tip => tip?,
        };
        let mut report = Report::default();
        for step in Walk::new(&self.0.repo, [tip])?.take(LOG_MAX) {
            let (id, commit) = step?;
            if report.is_full() {
                report.line(format_args!("older ones: `coral log {id}`"));
                break;
            }
            let (day, time) = date_names(commit.author.time).unwrap_or_default();
            let who = &commit.author;
            report.line(format_args!("commit {id}"));
            report.line(format_args!("Author: {} <{}>", who.name, who.email));
            report.line(format_args!("Date:   {day} {} UTC", time.replace('-', ":")));
            report.line("");
            let lines: Vec<&str> = commit.message.lines().collect();
            report.list(&lines, |line| format!("    {line}"));
            report.line("");
        }
        Ok(report.into_text())
    }

    /// What went wrong in the last requests that it went wrong in, the oldest first.
    fn errors_text(&self) -> String {
        let mut report = Report::default();
        for worktree in self.0.worktrees.all() {
            report.list(worktree.taken_back(), |file| taken_back(worktree.branch(), file));
        }
        for seen in self.0.meter.errors() {
            let (day, time) = date_names(seen.at).unwrap_or_default();
            report.line(format_args!("{day} {} UTC {seen}", time.replace('-', ":")));
        }
        if let (Some(path), false) = (self.0.log.path(), report.is_empty()) {
            report.line(format_args!("older ones: {}", quote::file(path)));
        }
        report.into_text()
    }

    fn stats_text(&self) -> Result<String> {
        let store = self.0.repo.store().stats()?;
        let stats = MountStats {
            packs: store.packs,
            objects: store.objects,
            deltas: store.deltas,
            object_bytes: store.len,
            stored_bytes: store.stored_len,
            disk_bytes: store.disk_len,
            inodes: self.0.inodes.len(),
            open: self.0.handles.len(),
            operations: self.0.meter.measured(),
        };
        Ok(serde_json::to_string_pretty(&stats).expect("numbers only") + "\n")
    }
}
