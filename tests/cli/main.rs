//! The `coral` command as its users run it: one process a command, no mount.

mod aliases;
mod around;
mod attesting;
mod attributes;
mod blames;
mod borders;
mod containers;
mod converting;
mod daily;
#[path = "../described/mod.rs"]
mod described;
mod described_commands;
mod diffs;
mod everyday;
mod expectations;
mod habits;
mod history;
mod hooks;
mod likeness;
mod logs;
mod machines;
mod merges;
mod pictures;
mod printing;
mod resets;
mod revisions;
mod snapshots;
mod soups;
mod stopping;
mod trouble;
mod typed;
mod typed_looks;
mod undos;
mod workbench;
#[path = "../written/mod.rs"]
mod written;
