//! From bytes to a sealed pack: what is stored, as a difference to what, and how it is made durable.

mod base_candidates;
mod choose_base;
mod collision;
mod find_pieces;
mod frame_pipeline;
mod in_place;
mod incoming;
mod ingest;
mod limits;
mod seal;
mod transaction;
mod writer;

pub use base_candidates::Candidates;
pub use in_place::AttachedFile;
pub use incoming::Incoming;
pub use ingest::{Ingest, Outcome, Put};
pub use seal::Sealed;
pub use writer::Writer;
