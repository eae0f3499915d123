//! The `coral` command: one verb a file, and the one place where errors become advice and exit codes.

mod add;
mod aliases;
mod args;
mod best;
mod bisect;
mod blame;
mod branch;
mod cat;
mod change;
mod changes;
mod check_attr;
mod check_ignore;
mod chosen;
mod clean;
mod closed;
mod commit;
mod commit_text;
mod compare;
mod config;
mod context;
mod convert;
#[cfg(feature = "mount")]
mod demo;
mod diff;
mod diff_text;
mod drain;
mod editor;
mod error;
mod export;
mod fsck;
mod git_options;
mod globs;
mod graph;
mod habits;
mod hooks;
mod init;
mod json;
mod known;
mod lineage;
mod log;
mod log_format;
mod ls;
mod manifest;
mod merge;
mod merged;
mod message;
#[cfg(feature = "mount")]
mod mount;
#[cfg(feature = "mount")]
mod mount_options;
#[cfg(feature = "mount")]
mod mounts;
mod mv;
mod notes;
#[cfg(feature = "mount")]
mod notify;
mod output;
mod plot;
mod prefetch;
mod progress;
mod quote;
mod reference;
mod reflog;
mod repack;
mod replay;
mod reset;
mod restore;
mod rm;
mod schemas;
mod show;
mod show_tensor;
mod signals;
mod similar;
mod soup;
mod stash;
mod stats;
mod status;
mod switch;
mod tag;
mod tensor_names;
mod translated;
#[cfg(feature = "mount")]
mod umount;
mod undo;
mod unsaved;
mod verify;
mod watch;
mod ways_in;
mod when;
mod workflows;

pub use args::run;
