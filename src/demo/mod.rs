//! A small network that really learns, so that its checkpoints are real: a character model of a text, trained by
//! AdamW. Knows no repository and no mount; it makes the bytes that a training framework would save.

mod adamw;
mod checkpoint;
mod network;
mod training;

pub use checkpoint::Checkpoint;
pub use training::{Size, Training};
