//! The mount: branches, tags, commits and tensors as plain directories and files, worktrees as writable ones.
//!
//! [`FileSystem`] is the whole behaviour without FUSE; `fuse.rs` translates requests to it and `mount.rs` brings it
//! before the kernel. Knows no pack and no index: content comes from the repository. docs/semantics.md says what each
//! system call does on each kind of node.

mod attr;
mod attributes;
mod change;
mod command;
mod completion;
mod control;
mod core;
mod daemon;
mod errno;
mod fuse;
mod handle;
mod history;
mod index;
mod ingest_batch;
mod ingest_queue;
mod inode;
mod io;
mod lanes;
mod limits;
mod lookup;
mod meter;
#[cfg(test)]
mod model;
mod mount;
mod mount_point;
mod moving;
mod namespace;
mod place;
mod reply;
mod report;
mod signals;
mod tensors;
#[cfg(test)]
mod tests;
mod texts;
mod unresponsive;
mod workers;
mod worktrees;
mod write_back;

pub use attr::{Attr, Kind, Lifetime};
pub use attributes::{Changes, SetTime};
pub use completion::Closer;
pub use core::{Author, Clock, FileSystem, Settings, View};
pub use daemon::{LaunchError, Launched, ReadySignal, launch};
pub use errno::{Error, Result};
pub use inode::ROOT;
pub use io::{Cache, OpenMode, Opened, Seek};
pub use limits::raise_descriptor_limit;
pub use lookup::Lookup;
pub use mount::{Mount, MountOptions, Stopper, mount};
pub use mount_point::{MountError, unmount};
pub use signals::{block_stop_signals, wait_for_stop_signal};
