//! The kinds of nodes in the mount, each in a file of its own: what `stat` tells of it, what is in it, how it is opened.
//!
//! A [`Place`](super::place::Place) says which node is meant; [`node`] is the one place where it becomes a [`Node`] that
//! answers. Nodes hold nothing: what they answer from is the superblock's. Knows no inode numbers and no FUSE.

mod array_file;
mod branch_folder;
mod commit_folder;
mod control_file;
mod control_folder;
mod date_folder;
mod day;
mod facts_file;
mod found;
mod interface;
mod kinds;
mod link;
mod ref_folder;
mod root;
mod snapshot_dir;
mod snapshot_file;
mod snapshot_link;
mod tag_folder;
mod tensor_dir;
mod tensor_file;
mod tensor_ref_folder;
mod view_folder;
mod worktree_folder;
mod worktree_node;

pub(super) use found::Found;
pub(super) use interface::{Node, XATTRS};
pub(super) use kinds::node;
