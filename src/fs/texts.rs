//! What the files in `.coral/` say.

use std::fmt::Write;

use serde::Serialize;

use crate::repo::{ChangeKind, Error as RepoError, Tree, Walk, Worktree};

use super::core::{FileSystem, View};
use super::errno::Result;
use super::namespace::{ControlFile, date_names};

/// How many commits `.coral/log` tells of.
const LOG_MAX: usize = 1000;

/// What `.coral/stats.json` tells.
#[derive(Serialize)]
struct Stats {
    packs: usize,
    objects: usize,
    deltas: usize,
    /// Bytes of all objects, each counted once.
    object_bytes: u64,
    /// What they take encoded.
    stored_bytes: u64,
    /// Bytes of all pack files and sidecars.
    disk_bytes: u64,
    /// Inodes that the kernel knows, and what is open.
    inodes: usize,
    open: usize,
}

impl FileSystem {
    /// The text of a control file as of now.
    pub(super) fn control_text(&self, file: ControlFile) -> Result<Vec<u8>> {
        let text = match file {
            // What a command said is read back on the handle that it was written to.
            ControlFile::Ctl => String::new(),
            ControlFile::Status => self.status_text()?,
            ControlFile::Log => self.log_text()?,
            ControlFile::Stats => self.stats_text()?,
            ControlFile::Version => format!("coral {}\n", env!("CARGO_PKG_VERSION")),
            ControlFile::Repository => format!("{}\n", self.repository_folder().display()),
            ControlFile::Worktree => match &self.view {
                View::Worktree(branch) => format!("{branch}\n"),
                View::All | View::Snapshot { .. } => String::new(),
            },
        };
        Ok(text.into_bytes())
    }

    /// The folder that holds the repository's own.
    pub fn repository_folder(&self) -> &std::path::Path {
        let root = self.repo.root();
        match (root.file_name(), root.parent()) {
            (Some(name), Some(parent)) if name == ".coral" => parent,
            _ => root,
        }
    }

    /// The changes of every worktree that somebody looked into.
    pub(super) fn status_text(&self) -> Result<String> {
        self.settle();
        let mut text = String::new();
        if let Err(error) = self.repo.check_held() {
            writeln!(text, "nothing can be saved here: {error}").expect("a string takes any text");
        }
        let mut worktrees = self.open_worktrees();
        worktrees.sort_by(|a, b| a.branch().cmp(b.branch()));
        for worktree in worktrees {
            if let Err(error) = self.describe(&worktree, &mut text) {
                writeln!(text, "worktree {}\n  cannot be read: {error}", worktree.branch())
                    .expect("a string takes any text");
            }
        }
        if let Some(trouble) = self.index_trouble() {
            writeln!(text, "no index, packs are searched one by one: {trouble}")
                .expect("a string takes any text");
        }
        if let Some(trouble) = self.ingest_trouble() {
            writeln!(text, "background ingest failed: {trouble}").expect("a string takes any text");
        }
        Ok(text)
    }

    fn describe(&self, worktree: &Worktree, text: &mut String) -> Result<()> {
        let snapshot = worktree.snapshot(false)?;
        let base = match snapshot.base {
            Some(commit) => self.repo.commit(commit)?.tree,
            None => Tree::empty_id(),
        };
        let changes = worktree.diff_from(base, &snapshot)?;
        let waiting = worktree.staged_files()?;
        let line = |text: &mut String, line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        line(text, format!("worktree {}", worktree.branch()));
        for change in &changes {
            line(text, format!("  {} {}", letter(change.kind), change.path));
        }
        let unfinished = [
            (&snapshot.still_open, "being written"),
            (&snapshot.interrupted, "interrupted"),
            (&snapshot.lost, "lost bytes"),
        ];
        for (paths, what) in unfinished {
            for path in paths {
                line(text, format!("  ~ {path} ({what})"));
            }
        }
        let bytes: u64 = waiting.iter().map(|file| file.len).sum();
        line(
            text,
            format!(
                "  {} changed, {} files ({bytes} bytes) not yet in the store",
                changes.len(),
                waiting.len()
            ),
        );
        Ok(())
    }

    fn log_text(&self) -> Result<String> {
        let tip = match self.repo.resolve("HEAD", self.now()) {
            Err(RepoError::Unborn(_)) => return Ok(String::new()),
            tip => tip?,
        };
        let mut text = String::new();
        for step in Walk::new(&self.repo, [tip])?.take(LOG_MAX) {
            let (id, commit) = step?;
            let (day, time) = date_names(commit.author.time).unwrap_or_default();
            let who = &commit.author;
            write!(
                text,
                "commit {id}\nAuthor: {} <{}>\nDate:   {day} {} UTC\n\n",
                who.name,
                who.email,
                time.replace('-', ":")
            )
            .expect("a string takes any text");
            for line in commit.message.lines() {
                writeln!(text, "    {line}").expect("a string takes any text");
            }
            text.push('\n');
        }
        Ok(text)
    }

    fn stats_text(&self) -> Result<String> {
        let store = self.repo.store().stats()?;
        let stats = Stats {
            packs: store.packs,
            objects: store.objects,
            deltas: store.deltas,
            object_bytes: store.len,
            stored_bytes: store.stored_len,
            disk_bytes: store.disk_len,
            inodes: self.inodes.len(),
            open: self.handles.len(),
        };
        Ok(serde_json::to_string_pretty(&stats).expect("numbers only") + "\n")
    }
}

const fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => 'A',
        ChangeKind::Deleted => 'D',
        ChangeKind::Modified => 'M',
        ChangeKind::TypeChanged => 'T',
    }
}
