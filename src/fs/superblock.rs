//! What all nodes, open files and requests of one mount share. Decides nothing.
//!
//! Every part is safe to use from any number of threads; none holds a lock while it decodes, reads a disk or waits.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::disk::Space;
use crate::history::{Attributes, Repo, Signature};
use crate::task::StopHandle;
use crate::tensors::Tensors;
use crate::units::Timestamp;
use crate::worktree::{self, NodeId};

use super::auto_events::AutoEvents;
use super::auto_status::AutoStatus;
use super::completion::Closings;
use super::errno::{Error, Result};
use super::fills::Fills;
use super::handle::{Ending, Handles, OpenNode};
use super::history::History;
use super::index::Index;
use super::ingest_queue::IngestQueue;
use super::inode::Inodes;
use super::lending::Lending;
use super::log::Log;
use super::meter::Meter;
use super::moving::MovingNames;
use super::open_worktrees::{OpenWorktrees, Settle};
use super::opening::{CachedContent, OpenMode};
use super::place::Place;
use super::settings::{Author, Clock, Settings, View};
use super::settling::Settling;
use super::sizes::StoredSizes;
use super::snapshots::root_place;
use super::worktrees::OpenWorktree;

/// Tells the kernel at once which names it must forget.
pub type Teller = Box<dyn Fn() + Send + Sync>;

/// The parts of a mount.
pub(super) struct Superblock {
    pub repo: Repo,
    pub view: View,
    pub author: Author,
    clock: Clock,
    /// When the mount began: the time of the directories that we made up.
    pub started: Timestamp,
    pub inodes: Inodes,
    pub handles: Handles,
    pub worktrees: OpenWorktrees,
    /// Files that were closed and may be released any moment.
    pub closings: Arc<Closings>,
    settling: Arc<Settling>,
    pub ingest: Arc<IngestQueue>,
    pub auto_events: AutoEvents,
    pub auto_status: AutoStatus,
    pub fills: Fills,
    pub history: History,
    pub tensors: Tensors,
    pub sizes: StoredSizes,
    pub cached_content: CachedContent,
    pub lending: Lending,
    pub moving_names: MovingNames,
    /// Asks for the kernel to be told; set by whoever can.
    teller: OnceLock<Teller>,
    pub index: Index,
    pub meter: Meter,
    /// Asked once the mount is over: what somebody asked for is given up, who would hear of it is gone.
    pub ending: StopHandle,
    pub log: Arc<Log>,
}

impl Superblock {
    /// Those of a mount that begins now.
    ///
    /// # Errors
    /// If the view names a revision or folder that does not exist.
    pub fn new(repo: Repo, settings: Settings) -> Result<Self> {
        let Settings { view, author, clock, log, background_ingest, auto_commit: _ } = settings;
        let started = clock();
        let root = root_place(&repo, &view, started)?;
        let failed = |error: io::Error| Error::Background(error.to_string());
        let log = match log {
            Some(path) => Log::to(&path).map_err(failed)?,
            None => Log::none(),
        };
        let log = Arc::new(log);
        let (told, now) = (Arc::clone(&log), Arc::clone(&clock));
        let tell = move |why: &str| told.line(now(), format_args!("background ingest failed: {why}"));
        let (ingest, fills) = match background_ingest {
            true => (IngestQueue::start(tell).map_err(failed)?, Fills::start().map_err(failed)?),
            false => (IngestQueue::idle(), Fills::idle()),
        };
        let (closings, ingest) = (Arc::<Closings>::default(), Arc::new(ingest));
        let settling = Arc::new(Settling::of(&repo, &closings, &ingest));
        let hearer = Arc::clone(&settling);
        let settle: Settle = Arc::new(move |worktree| hearer.everywhere(std::slice::from_ref(worktree)));
        Ok(Self {
            inodes: Inodes::new(root),
            handles: Handles::default(),
            worktrees: OpenWorktrees::of(&repo, Arc::clone(&log), Arc::clone(&clock), settle),
            closings,
            settling,
            ingest,
            auto_events: AutoEvents::default(),
            auto_status: AutoStatus::default(),
            fills,
            history: History::default(),
            tensors: Tensors::of(&repo),
            sizes: StoredSizes::default(),
            cached_content: CachedContent::default(),
            lending: Lending::default(),
            moving_names: MovingNames::default(),
            teller: OnceLock::new(),
            index: Index::default(),
            meter: Meter::default(),
            ending: StopHandle::default(),
            log,
            view,
            author,
            clock,
            started,
            repo,
        })
    }

    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What an inode number stands for.
    pub fn place(&self, ino: u64) -> Result<Arc<Place>> {
        self.inodes.find(ino).ok_or(Error::Worktree(worktree::Error::Stale))
    }

    /// The attributes of something that we made up.
    pub fn made_up(&self, mode: u32) -> Attributes {
        Attributes { mode, modified: self.started }
    }

    /// Who changes the repository through this mount, now.
    pub fn signature(&self) -> Signature {
        Signature {
            name: self.author.name.clone(),
            email: self.author.email.clone(),
            time: self.now(),
            offset_minutes: self.author.offset_minutes,
        }
    }

    /// Notes that nodes of a worktree change now.
    pub fn note_changes<const N: usize>(&self, worktree: &OpenWorktree, nodes: [NodeId; N]) {
        let now = self.now();
        nodes.into_iter().for_each(|node| worktree.note_change(node, now));
    }

    /// A file of a worktree that is open there; dropping it closes it.
    pub fn opened(
        &self,
        worktree: &Arc<OpenWorktree>,
        node: NodeId,
        mode: OpenMode,
        begun: bool,
    ) -> OpenNode {
        let worktree = Arc::clone(worktree);
        match mode.write || mode.truncate {
            true => {
                self.auto_events.opened(&worktree, node);
                let end = Ending {
                    closings: Arc::clone(&self.closings),
                    queue: Arc::clone(&self.ingest),
                    events: self.auto_events.clone(),
                };
                OpenNode::writer(worktree, node, (mode, begun), end)
            }
            false => OpenNode::reader(worktree, node),
        }
    }

    /// Waits until files that were closed just now through this mount are complete, or somebody else still has them open.
    pub fn settle(&self) {
        self.settling.here(&self.worktrees.all());
    }

    /// The same through any mount of the repository.
    pub fn settle_everywhere(&self) {
        self.settling.everywhere(&self.worktrees.all());
    }

    /// Completes files that were closed and that nobody writes to any more through a mapping.
    pub fn settle_mapped(&self) {
        self.settling.mapped(&self.worktrees.all());
    }

    /// Says who can tell the kernel that names moved.
    pub fn set_teller(&self, teller: Teller) {
        // There is one mount for a file system, and it says so once.
        let _ = self.teller.set(teller);
    }

    /// Lets the kernel forget names that were moved, and waits until it has.
    pub fn announce(&self) {
        if let Some(teller) = self.teller.get() {
            teller();
        }
    }

    /// Room on the repository's disk.
    pub fn space(&self) -> Result<Space> {
        Ok(self.repo.disk().space(self.repo.root())?)
    }

    /// The folder that holds the repository's own.
    pub fn repository_folder(&self) -> &Path {
        let root = self.repo.root();
        match (root.file_name(), root.parent()) {
            (Some(name), Some(parent)) if name == ".coral" => parent,
            _ => root,
        }
    }
}
