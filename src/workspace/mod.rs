//! A repository as a person stands in it: found from a folder, opened with the settings in force, with the mounts that are
//! told of what changes, and what verbs decide before they drop something.
//!
//! Every rim is built on it: a command line, a Python package. Reads no environment, no clock and no terminal: they are
//! in [`Surroundings`], and what there is to tell comes back as a value.

mod add;
mod around;
mod bisect;
mod blame;
mod change_setting;
mod decide;
mod diff;
mod discover;
mod drop;
mod error;
mod figures;
mod ignored;
mod keep;
mod kept_files;
mod kinds;
mod log;
mod merge;
mod mounts;
mod naming;
mod notes;
mod own_mounts;
mod paths;
mod pathspec;
mod pickaxe;
mod replay;
mod reset;
mod row_blocks;
mod settings;
mod shut;
mod soup_models;
mod soups;
mod stale;
mod stash;
mod surroundings;
#[cfg(test)]
mod tests;
mod undo;
mod unsaved;
mod view;
mod watch;
#[expect(clippy::module_inception, reason = "a file is called what its type is")]
mod workspace;

pub use add::{AddRequest, Adding};
pub use around::Around;
pub use bisect::{Bisection, Next, Search, Verdict};
pub use blame::Blamed;
pub use change_setting::Scope;
pub use diff::FileDiff;
pub use discover::{FOLDER, Found, root_of};
pub use drop::{DeletedBranch, Drops, Removed, Restore, Restored};
pub use error::{Error, Result};
pub use figures::{Figures, Lie, Moved, Points, Taken};
pub use ignored::{IGNORE_FILE, Ignored};
pub use kinds::ChangeKinds;
pub use log::{Log, LogRequest};
pub use merge::{Forward, MergeRequest, Merged, Outcome, Strategy};
pub use mounts::{Heard, Mounts};
pub use naming::{DeletedTag, MadeBranch, MovedHead, Switch, TagRequest, Tagged};
pub use notes::Notes;
pub use paths::Paths;
pub use pathspec::Pathspec;
pub use replay::ReplayRequest;
pub use reset::ResetBranch;
pub use row_blocks::Rows;
pub use settings::open_repo;
pub use shut::Shut;
pub use soups::{Best, GREEDY, SoupRequest, Souped, Soups};
pub use stash::{Stash, Stashes, is_of_its_own};
pub use surroundings::Surroundings;
pub use undo::{Files, Undone};
pub use unsaved::{Loss, Unsaved};
pub use view::{Located, View};
pub use watch::{RefMove, RefPlace, RefWatch, WatchedRef};
pub use workspace::{OpenedWorktree, Workspace};
