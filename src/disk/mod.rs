//! All durable file I/O, behind one small trait.
//!
//! [`Disk`] has two implementations: the operating system's, and, in tests, a simulated one that keeps apart what
//! was written from what was made durable, fails the operation it is told to, and yields the image that a power cut
//! would leave. Everything above does its file I/O through this trait, so that every crash can be rehearsed.

#[cfg(test)]
mod contract;
mod error;
#[cfg(test)]
mod hooked;
#[cfg(test)]
mod image;
mod interface;
mod may_write;
mod mount_id;
mod real;
mod reflink;
#[cfg(test)]
mod simulated;
mod stoppable;

pub use error::{DiskError, Result};
#[cfg(test)]
pub(crate) use hooked::Hooked;
pub use interface::{
    BootId, Disk, DiskFile, FileId, FileType, LockFile, Mapped, MountId, Patience, Run, Space, Stat,
    TEMPORARY_SUFFIX,
};
pub use may_write::may_write;
pub use real::RealDisk;
pub use reflink::reflink;
#[cfg(test)]
pub use simulated::{Fault, SimulatedDisk};
pub use stoppable::StoppableDisk;
