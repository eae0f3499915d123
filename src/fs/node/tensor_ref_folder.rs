//! `tensors/` and the views of it: the tensors of each ref. Where a tag and a branch have one name, the branch is meant.

use crate::history::{BranchName, Head, TagName};
use crate::tensors::Lens;
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
        let lens = self.lens;
        let place = match ref_child(&ref_texts(shared)?, &self.prefix, name) {
            Some(RefChild::Group(prefix)) => Some(group(prefix, lens)),
            Some(RefChild::Leaf(name)) => named_place(shared, &name, lens)?,
            None if self.prefix.is_empty() => {
                let commit = revision(&shared.repo, name, shared.now())?;
                let dir = commit.map(|id| commit_dir(&shared.repo, id)).transpose()?;
                dir.map(|dir| of_dir(dir, lens))
            }
            None => None,
        };
        Ok(place.map(Found::from))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let lens = self.lens;
        let leaf = |name: &str| named_place(shared, name, lens);
        ref_list(&ref_texts(shared)?, &self.prefix, |prefix| group(prefix, lens), leaf)
    }
}

fn group(prefix: String, lens: Lens) -> Place {
    Place::Tensors(TensorRefFolder { prefix, lens })
}

fn of_dir(dir: SnapshotDir, lens: Lens) -> Place {
    Place::TensorDir(TensorDir { dir, lens })
}

fn ref_texts(shared: &Superblock) -> Result<Vec<String>> {
    let mut names = branch_texts(shared)?;
    names.extend(tag_texts(shared)?);
    names.push(Top::Head.name().to_owned());
    Ok(names)
}

fn named_place(shared: &Superblock, name: &str, lens: Lens) -> Result<Option<Place>> {
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
    Ok(dir.map(|dir| of_dir(dir, lens)))
}
