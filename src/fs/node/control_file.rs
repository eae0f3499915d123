//! A file in `.coral/`: its text is made when it is opened, and no two openings need have the same.

use std::sync::Mutex;

use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind, Lifetime};
use super::super::errno::Result;
use super::super::handle::Handle;
use super::super::namespace::ControlFile;
use super::super::opening::{Cache, OpenMode};
use super::super::superblock::Superblock;
use super::super::texts::Texts;
use super::super::workers::Lane;
use super::interface::Node;

impl Node for ControlFile {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::File)
    }

    fn takes_writing(&self) -> bool {
        *self == ControlFile::Ctl
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        let mode = match self.takes_writing() {
            true => 0o600,
            false => 0o444,
        };
        Ok(Attr::of(ino, Kind::File, shared.made_up(mode), Lifetime::Moving))
    }

    fn open(&self, _: u64, shared: &Superblock, _: OpenMode) -> Result<(Handle, Cache)> {
        let handle = match self {
            // What a command said is read back on the handle that it was written to.
            ControlFile::Ctl => Handle::Control(Mutex::default()),
            file => Handle::Generated(Texts::of(shared).text(*file)?.into()),
        };
        Ok((handle, Cache::Bypass))
    }

    fn open_lane(&self) -> Lane {
        match self {
            ControlFile::Status | ControlFile::Log | ControlFile::Stats => Lane::Long,
            ControlFile::Ctl
            | ControlFile::Errors
            | ControlFile::Version
            | ControlFile::Repository
            | ControlFile::Worktree => Lane::Look,
        }
    }
}
