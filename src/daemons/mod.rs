//! The mounts of repositories as other processes see them: which there are, and how those who serve them are asked.
//!
//! Knows no FUSE and no repository: a mount is a line of the kernel's table, and a daemon a socket.

mod client;
mod content;
mod mountinfo;
mod process;
mod protocol;

pub use client::Daemons;
pub use content::content_of;
pub use mountinfo::{FILE_SYSTEM_TYPE, Located, Mounted, locate, mounted, mounted_above};
pub use process::Process;
pub use protocol::{Answer, LINE_MAX, PATIENCE, Request, Served, escape, on_short_path, socket_of};
