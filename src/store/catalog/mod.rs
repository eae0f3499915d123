//! Which packs there are, and where in them each object lies.
//!
//! Decodes nothing, and writes nothing but what can be made again from packs.

#[expect(clippy::module_inception, reason = "a file is called what its type is")]
mod catalog;
mod covered;
mod current;
mod damage;
mod index;
mod listing;
mod lookup;
mod packs;
mod remove_all;
mod resident;
mod stats;

pub use catalog::Catalog;
pub use damage::{Damage, DamageCause};
pub use index::IndexState;
pub use lookup::Lookup;
pub use packs::Packs;
pub use remove_all::remove_all;
pub use resident::{bucket_of, cast_buckets, sign};
pub use stats::Stats;
