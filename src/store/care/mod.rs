//! Keeping a store well: checking it, writing it anew, making again what can be made again, removing what is left over.

mod attached;
mod rebuild;
mod recode;
mod repack;
mod stands_without;
mod sweep;
mod verify;

pub use attached::{CodedFiles, code_attached};
pub use rebuild::{Moved, Rebuilt, rebuild};
pub use repack::{Repack, Repacked, repack};
pub use sweep::{Swept, sweep};
pub(super) use verify::Wanted;
pub use verify::{Copies, Problem, Report, verify};
