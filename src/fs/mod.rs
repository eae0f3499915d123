//! The mount: branches, tags, commits and tensors as plain directories and files, worktrees as writable ones.
//!
//! [`FileSystem`] is the whole behaviour without FUSE: `node/` has the kinds of nodes, `superblock.rs` what they share, and
//! `upkeep.rs` what is done without being asked. `fuse.rs` translates requests and `mount.rs` brings it before the kernel. Knows no pack and no index: content comes from the repository. docs/semantics.md says what each
//! system call does on each kind of node.

mod asked;
mod asker;
mod attr;
mod auto_commit;
mod auto_events;
mod auto_status;
mod change;
mod changes;
mod command;
mod command_line;
mod completion;
mod control;
mod daemon;
mod errno;
mod file_system;
mod fills;
mod fuse;
mod hand_over;
mod handle;
mod history;
mod index;
mod ingest_batch;
mod ingest_queue;
mod inode;
mod io;
mod lanes;
mod lending;
mod limits;
mod log;
mod meter;
#[cfg(test)]
mod model;
mod mount;
mod mount_number;
mod mount_point;
mod moving;
mod namespace;
mod node;
mod numbers;
mod open_file;
mod open_worktrees;
mod opening;
mod owner;
mod passthrough;
mod path_key;
mod place;
mod reply;
mod report;
mod settings;
mod settling;
mod signals;
mod sizes;
mod snapshots;
mod superblock;
#[cfg(test)]
mod tests;
mod texts;
mod unresponsive;
mod upkeep;
mod workers;
mod worktrees;
mod write_back;

pub use attr::{Attr, Kind, Lifetime};
pub use changes::{Changes, SetTime};
pub use completion::Closer;
pub use daemon::{LaunchError, Launched, ReadySignal, launch};
pub use errno::{Error, Result};
pub use file_system::{FileSystem, Lookup};
pub use inode::ROOT;
pub use limits::raise_descriptor_limit;
pub use mount::{Guards, Mount, MountOptions, Stopper, mount};
pub use mount_point::{Daemon, MountError, daemon_of, unmount};
pub use open_file::OpenFile;
pub use opening::{Cache, OpenMode, Opened, Seek};
pub use owner::Owner;
pub use settings::{Author, AutoCommitSettings, Clock, Settings, View};
pub use signals::{block_stop_signals, wait_for_stop_signal};
pub use texts::MountStats;
