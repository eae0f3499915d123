//! Coral: git for neural network weights, whose working copy is a filesystem.
//!
//! The layers, lowest first; each imports only from those above it in this list (`tests/layers` holds it):
//! leaves ([`id`], [`units`], [`quote`], [`random`], [`config`], [`threads`], [`task`], [`daemons`]), bytes with a meaning ([`tensor`], [`mod@format`]), pure transforms and the
//! durable disk ([`codec`], [`similarity`], [`recipe`], [`formula`], [`disk`]), objects ([`store`]), history ([`history`]), the arithmetic of models ([`soup`]), models in other containers ([`convert`]), when what programs save is a checkpoint (`checkpoint`), merging trees ([`merge`]), the writable trees of branches ([`worktree`]), tensors by name ([`tensors`]), what differs between files ([`compare`]) and pictures (`report`), and the
//! peers that show it ([`workspace`], [`fs`], [`demo`], [`cli`]). `docs/architecture.md` has the whole map.

#[cfg(feature = "mount")]
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
pub mod codec;
pub mod compare;
pub mod config;
pub mod convert;
pub mod daemons;
#[cfg(all(feature = "cli", feature = "mount"))]
pub mod demo;
pub mod disk;
pub mod format;
pub mod formula;
#[cfg(feature = "mount")]
pub mod fs;
pub mod history;
pub mod id;
pub mod merge;
pub mod plain;
pub mod quote;
pub mod random;
pub mod recipe;
#[cfg(feature = "cli")]
pub mod report;
pub mod similarity;
pub mod soup;
pub mod store;
pub mod task;
pub mod tensor;
pub mod tensors;
pub mod threads;
pub mod units;
pub mod wire;
pub mod workspace;
pub mod worktree;
