//! `tensors/`: the tensors of each ref. Where a tag and a branch have one name, the branch is meant.

use crate::history::{BranchName, Head, TagName};
use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::{RefChild, Top};
use super::super::place::{Place, SnapshotDir, TensorDir, TensorRefFolder};
use super::super::snapshots::{branch_dir, commit_dir, revision, tag_dir};
use super::super::superblock::Superblock;
use super::found::Found;
use super::interface::{Node, folder_attr};
use super::ref_folder::{branch_texts, ref_child, ref_list, tag_texts};

impl Node for TensorRefFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let place = match ref_child(&ref_texts(shared)?, &self.0, name) {
            Some(RefChild::Group(prefix)) => Some(group(prefix)),
            Some(RefChild::Leaf(name)) => named_place(shared, &name)?,
            None if self.0.is_empty() => {
                let commit = revision(&shared.repo, name, shared.now())?;
                commit.map(|id| commit_dir(&shared.repo, id)).transpose()?.map(of_dir)
            }
            None => None,
        };
        Ok(place.map(Found::from))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        ref_list(&ref_texts(shared)?, &self.0, group, |name| named_place(shared, name))
    }
}

fn group(prefix: String) -> Place {
    Place::Tensors(TensorRefFolder(prefix))
}

fn of_dir(dir: SnapshotDir) -> Place {
    Place::TensorDir(TensorDir(dir))
}

fn ref_texts(shared: &Superblock) -> Result<Vec<String>> {
    let mut names = branch_texts(shared)?;
    names.extend(tag_texts(shared)?);
    names.push(Top::Head.name().to_owned());
    Ok(names)
}

fn named_place(shared: &Superblock, name: &str) -> Result<Option<Place>> {
    let branch = |name| branch_dir(&shared.repo, shared.started, name);
    let dir = match name == Top::Head.name() {
        true => match shared.repo.refs().head()? {
            Head::Branch(name) => branch(&name)?,
            Head::Detached(commit) => Some(commit_dir(&shared.repo, commit)?),
        },
        false => match branch(&BranchName::new(name)?)? {
            Some(dir) => Some(dir),
            None => tag_dir(&shared.repo, &TagName::new(name)?)?,
        },
    };
    Ok(dir.map(of_dir))
}
