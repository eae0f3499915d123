//! One process's copy of a worktree in memory, with what this process has open in it.
//!
//! Owns that every change is in the journal before it is in the copy. Knows nothing of locks: whoever has it holds it.

use super::error::Result;
use super::journal::{Journal, News};
use super::nodes::{Applying, NodeId, Nodes};
use super::open_files::OpenFiles;
use super::readers::Readers;
use super::record::Record;
use crate::disk::DiskFile;
use crate::history::Repo;
use crate::id::StagingId;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The copy of the tree with what this process has open in it.
#[derive(Debug)]
pub(super) struct State {
    pub journal: Journal,
    pub nodes: Nodes,
    pub open: OpenFiles,
    pub readers: Readers,
    /// Descriptors that wrote bytes which are complete and not known to be durable: the disk tells them, and only them
    /// for sure, if it lost some.
    pub unsynced: HashMap<StagingId, Arc<dyn DiskFile>>,
    /// Staging files of which the disk lost bytes, and no record can say so yet: only this process knows.
    pub untold: BTreeSet<StagingId>,
    /// Staging files that no record needs any more, durably: what is left is to remove them.
    pub freed: Vec<StagingId>,
    /// Nodes that somebody outside refers to by number.
    pub pins: HashSet<NodeId>,
}

impl State {
    /// Nothing of a journal is read yet.
    pub(super) fn of(journal: Journal) -> Self {
        Self {
            journal,
            nodes: Nodes::new(),
            open: OpenFiles::new(),
            readers: Readers::default(),
            unsynced: HashMap::new(),
            untold: BTreeSet::new(),
            freed: Vec::new(),
            pins: HashSet::new(),
        }
    }

    /// Whether nobody here has anything open or refers to a node by number.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.pins.is_empty() && self.unsynced.is_empty() && self.untold.is_empty()
    }

    /// Appends a record that a kernel asked for, and applies it: the kernel knows which names it changed.
    pub(super) fn append(&mut self, repo: &Repo, record: Record) -> Result<()> {
        let known = self.nodes.invalidations.len();
        self.append_announced(repo, record)?;
        self.nodes.invalidations.truncate(known);
        Ok(())
    }

    /// The same with a record that makes room although others of its kind do not: it is written on a full disk too.
    pub(super) fn append_making_room(&mut self, repo: &Repo, record: Record) -> Result<()> {
        let known = self.nodes.invalidations.len();
        self.journal.append_making_room(&record)?;
        self.apply(repo, &record)?;
        self.nodes.invalidations.truncate(known);
        Ok(())
    }

    /// Appends records that change no name, by one write, and applies them.
    pub(super) fn append_all(&mut self, repo: &Repo, records: &[Record]) -> Result<()> {
        let known = self.nodes.invalidations.len();
        self.journal.append_all(records)?;
        records.iter().try_for_each(|record| self.apply(repo, record))?;
        self.nodes.invalidations.truncate(known);
        Ok(())
    }

    /// Appends a record and applies it; a kernel that caches is to hear of it.
    pub(super) fn append_announced(&mut self, repo: &Repo, record: Record) -> Result<()> {
        self.journal.append(&record)?;
        self.apply(repo, &record)
    }

    /// Applies a record that is in the journal. If that fails, for want of a descriptor perhaps, everything is read again
    /// before anybody looks: a copy that lacks a record would stay wrong.
    pub(super) fn apply(&mut self, repo: &Repo, record: &Record) -> Result<()> {
        let (open, pins) = (&self.open, &self.pins);
        let in_use = |node| open.contains_key(&node) || pins.contains(&node);
        let lent = |node| open.get(&node).filter(|open| open.is_lent())?.writing().map(|(lent, _)| *lent);
        let mut applying = Applying { nodes: &mut self.nodes, trees: repo, in_use: &in_use, lent: &lent };
        applying.apply(record).inspect_err(|_| self.journal.start_over())
    }

    /// Reads and applies what others appended.
    pub(super) fn catch_up(&mut self, repo: &Repo) -> Result<()> {
        loop {
            let (records, superseded) = match self.journal.read_on()? {
                News::Records(records) => (records, false),
                News::Superseded(records) => (records, true),
            };
            // What somebody else threw away, they remove.
            let own = std::mem::take(&mut self.nodes.garbage);
            let applied = records.iter().try_for_each(|record| self.apply(repo, record));
            self.nodes.garbage = own;
            applied?;
            if !superseded {
                return self.untold.iter().try_for_each(|staging| self.nodes.note_lost(*staging));
            }
            self.follow()?;
        }
    }

    /// Goes over to the next generation, whose tree is the same but for its base.
    pub(super) fn follow(&mut self) -> Result<()> {
        if self.journal.follow()? {
            let head = self.journal.generation.head().inspect_err(|_| self.journal.start_over())?;
            for record in head {
                if let Record::Reset { base, .. } = record {
                    self.nodes.base = base;
                    self.nodes.announced.clear();
                }
            }
        }
        Ok(())
    }

    /// Forgets a removed node that nobody has open or refers to.
    pub(super) fn let_go(&mut self, node: NodeId) {
        if !self.open.contains_key(&node) && !self.pins.contains(&node) {
            self.nodes.forget(node);
        }
    }
}
