//! The one place where a place becomes the kind of node that it is.

use super::super::place::Place;
use super::commit_folder::CommitFolder;
use super::control_folder::ControlFolder;
use super::date_folder::DateFolder;
use super::interface::Node;
use super::root::Root;
use super::view_folder::ViewFolder;

/// The node that is meant.
pub fn node(place: &Place) -> &dyn Node {
    match place {
        Place::Root => &Root,
        Place::Branches(folder) => folder,
        Place::Tags(folder) => folder,
        Place::Commits => &CommitFolder,
        Place::Dates => &DateFolder,
        Place::Day(day) => day,
        Place::Worktrees(folder) => folder,
        Place::Tensors(folder) => folder,
        Place::Views => &ViewFolder,
        Place::ControlDir => &ControlFolder,
        Place::Control(file) => file,
        Place::Link(link) => link,
        Place::Dir(dir) => dir,
        Place::File(file) => file,
        Place::Symlink(link) => link,
        Place::Worktree(node) => node,
        Place::TensorDir(dir) => dir,
        Place::TensorFile(file) => file,
        Place::Array(file) => file,
        Place::ArrayFacts(file) => file,
    }
}
