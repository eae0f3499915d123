//! From a name in a directory to a node, and from a directory to its names.

use std::str;
use std::sync::Arc;

use crate::history::{BranchName, Entry, Name, Node, PathError, TagName};
use crate::id::CommitId;
use crate::worktree::NodeAttributes;

use super::attr::{Attr, Lifetime};
use super::core::{FileSystem, View, names_lifetime};
use super::errno::{Error, Result};
use super::handle::Listed;
use super::inode::ROOT;
use super::namespace::{ControlFile, RefChild, Top, date_names, ref_children};
use super::place::{Place, SnapshotDir};
use super::worktrees::{OpenWorktree, WorktreeNode};

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// A node, and for how long its name leads to it.
    Found(Attr, Lifetime),
    /// Nothing, for this long.
    Missing(Lifetime),
}

/// A node under a name, before it has a number.
pub(super) struct Found {
    pub place: Place,
    pub entry: Lifetime,
    /// What is known already of a node of a worktree.
    pub known: Option<NodeAttributes>,
    /// Keeps the worktree that the node is in until the node has a number.
    pub worktree: Option<Arc<OpenWorktree>>,
}

impl Found {
    fn new(place: Place, entry: Lifetime) -> Self {
        Self { place, entry, known: None, worktree: None }
    }
}

impl FileSystem {
    /// The node that a name in a directory leads to, counted as known to the kernel.
    pub fn lookup(&self, parent: u64, name: &[u8]) -> Result<Lookup> {
        let directory = self.place(parent)?;
        let found = match self.hidden(parent, name) {
            Some(hidden) => Some(Found::new(hidden, Lifetime::Immutable)),
            None => self.explain(self.child(&directory, name))?,
        };
        match found {
            Some(found) => {
                // Only which immutable tree a name leads to moves. A directory that stays must not be taken from those
                // who work in it: the kernel would no longer know its path.
                let moves = found.entry == Lifetime::Followed && found.place.is_immutable();
                let entry = found.entry;
                let attr = self.remember(parent, name, Arc::new(found.place), found.known)?;
                // The kernel knows the node now, and that keeps the worktree.
                drop(found.worktree);
                if moves {
                    self.moving_names.note(parent, name, self.now());
                }
                Ok(Lookup::Found(attr, entry))
            }
            None if directory.is_immutable() => Ok(Lookup::Missing(Lifetime::Immutable)),
            None => Ok(Lookup::Missing(Lifetime::Moving)),
        }
    }

    /// A mount of a single tree has `.coral/` too, so that commands find the repository from inside, but does not list
    /// it.
    fn hidden(&self, parent: u64, name: &[u8]) -> Option<Place> {
        let single = matches!(self.view, View::Snapshot { .. } | View::Worktree(_));
        (single && parent == ROOT && name == Top::Control.name().as_bytes()).then_some(Place::ControlDir)
    }

    /// Gives a node the number that the kernel will know it by.
    pub(super) fn remember(
        &self,
        parent: u64,
        name: &[u8],
        place: Arc<Place>,
        known: Option<NodeAttributes>,
    ) -> Result<Attr> {
        let ino = self.inodes.remember(Arc::clone(&place).found_as(parent, name));
        let attr = self.keep(&place).and_then(|()| self.attr_of(ino, &place, known));
        if attr.is_err() {
            self.forget(ino, 1);
        }
        attr
    }

    /// Keeps a node of a worktree while the kernel knows it, even when its name is gone.
    fn keep(&self, place: &Place) -> Result<()> {
        match place {
            Place::Worktree(at) if !at.is_root() => Ok(self.worktree_of(at)?.pin(at.node())?),
            _ => Ok(()),
        }
    }

    /// Takes back look-ups of a number that the kernel forgot.
    pub fn forget(&self, ino: u64, lookups: u64) {
        let Some(identity) = self.inodes.forget(ino, lookups) else { return };
        self.cached_content.forget(ino);
        if let Place::Worktree(at) = &**identity.place()
            && !at.is_root()
            && let Ok(worktree) = self.worktree_of(at)
        {
            // A failure keeps a removed file for the life of the daemon, no more.
            let _ = worktree.unpin(at.node());
            worktree.forget_lost_change(at.node());
            // A look-up in between may have given the node a new number.
            if self.inodes.number(&identity).is_some() {
                let _ = worktree.pin(at.node());
            }
        }
    }

    /// What a name in a directory stands for.
    pub(super) fn child(&self, directory: &Place, name: &[u8]) -> Result<Option<Found>> {
        let lifetime = names_lifetime(directory);
        let in_tree = matches!(directory, Place::Dir(_) | Place::TensorDir(_) | Place::Worktree(_));
        if in_tree && matches!(Name::new(name), Err(PathError::Reserved(_))) {
            // No tree has it: it is missing, not forbidden, to whoever looks for a repository here.
            return Ok(None);
        }
        let found = match directory {
            Place::Root => Top::find(name).map(|top| self.top(top)).transpose()?.flatten(),
            Place::Branches(prefix) => self.branch_child(prefix, name)?,
            Place::Tags(prefix) => self.tag_child(prefix, name)?,
            Place::Commits => self.commit_child(name)?,
            Place::Dates => self.day_child(name)?,
            Place::Day(_) => return self.listed_child(directory, name),
            Place::Worktrees(prefix) => self.worktree_child(prefix, name)?,
            Place::Tensors(prefix) => self.tensors_child(prefix, name)?,
            Place::ControlDir => ControlFile::find(name).map(Place::Control),
            Place::Dir(dir) => match Name::new(name) {
                Ok(name) => self.repo.tree(dir.tree)?.find(&name).map(|entry| snapshot_place(dir, entry)),
                Err(error) => return Err(error.into()),
            },
            Place::TensorDir(dir) => self.tensor_dir_child(dir, name)?,
            Place::TensorFile(file) => self.tensor_file_child(file, name)?,
            Place::Worktree(at) => return self.node_child(at, name),
            Place::Control(_)
            | Place::File { .. }
            | Place::Array(_)
            | Place::ArrayFacts(_)
            | Place::Link(_)
            | Place::Symlink { .. } => return Err(Error::NotADirectory),
        };
        Ok(found.map(|place| Found::new(place, lifetime)))
    }

    /// What is in a directory, sorted by name where that costs nothing.
    pub(super) fn children(&self, directory: &Place) -> Result<Vec<Listed>> {
        match directory {
            Place::Root => {
                let tops = Top::ALL.into_iter().map(|top| Ok((top.name(), self.top(top)?)));
                let tops = tops.collect::<Result<Vec<_>>>()?;
                Ok(tops.into_iter().filter_map(|(name, place)| Some(listed(name, place?))).collect())
            }
            Place::Branches(prefix) => {
                self.ref_list(&self.branch_texts()?, prefix, Place::Branches, |name| {
                    Ok(self.branch_dir(&BranchName::new(name)?)?.map(Place::Dir))
                })
            }
            Place::Tags(prefix) => self.ref_list(&self.tag_texts()?, prefix, Place::Tags, |name| {
                Ok(self.tag_dir(&TagName::new(name)?)?.map(Place::Dir))
            }),
            Place::Worktrees(prefix) => {
                self.ref_list(&self.branch_texts()?, prefix, Place::Worktrees, |name| {
                    Ok(Some(Place::Worktree(WorktreeNode::root(BranchName::new(name)?))))
                })
            }
            Place::Tensors(prefix) => {
                let names = self.tensor_ref_texts()?;
                self.ref_list(&names, prefix, Place::Tensors, |name| {
                    Ok(self.named_dir(name)?.map(Place::TensorDir))
                })
            }
            Place::Commits => self.commit_list(),
            Place::Dates => self.day_list(),
            Place::Day(day) => self.time_list(day),
            Place::ControlDir => {
                Ok(ControlFile::ALL.map(|file| listed(file.name(), Place::Control(file))).into())
            }
            Place::Dir(dir) => {
                let tree = self.repo.tree(dir.tree)?;
                let entry = |entry: &Entry| listed(entry.name.as_bytes(), snapshot_place(dir, entry));
                Ok(tree.entries().iter().map(entry).collect())
            }
            Place::TensorDir(dir) => self.tensor_dir_list(dir),
            Place::TensorFile(file) => self.tensor_file_list(file),
            Place::Worktree(at) => self.node_list(at).map(|(list, _)| list),
            Place::Control(_)
            | Place::File { .. }
            | Place::Array(_)
            | Place::ArrayFacts(_)
            | Place::Link(_)
            | Place::Symlink { .. } => Err(Error::NotADirectory),
        }
    }

    fn listed_child(&self, directory: &Place, name: &[u8]) -> Result<Option<Found>> {
        let child = self.children(directory)?.into_iter().find(|listed| listed.name == name);
        Ok(child.map(|listed| Found::new((*listed.place).clone(), names_lifetime(directory))))
    }

    fn top(&self, top: Top) -> Result<Option<Place>> {
        Ok(Some(match top {
            Top::Head => Place::Link(self.head_target()?),
            Top::Branches => Place::Branches(String::new()),
            Top::Tags => Place::Tags(String::new()),
            Top::Commits => Place::Commits,
            Top::Dates => Place::Dates,
            Top::Worktrees => Place::Worktrees(String::new()),
            Top::Tensors => Place::Tensors(String::new()),
            Top::Control => Place::ControlDir,
        }))
    }

    fn head_target(&self) -> Result<String> {
        Ok(match self.repo.refs().head()? {
            crate::history::Head::Branch(name) => format!("{}/{name}", Top::Branches.name()),
            crate::history::Head::Detached(commit) => format!("{}/{commit}", Top::Commits.name()),
        })
    }

    fn branch_texts(&self) -> Result<Vec<String>> {
        Ok(self.branch_names()?.into_iter().map(|name| name.to_string()).collect())
    }

    fn tag_texts(&self) -> Result<Vec<String>> {
        Ok(self.repo.refs().tags()?.into_iter().map(|(name, _)| name.to_string()).collect())
    }

    /// The refs that `tensors/` lists: where a tag and a branch have one name, the branch is meant.
    fn tensor_ref_texts(&self) -> Result<Vec<String>> {
        let mut names = self.branch_texts()?;
        names.extend(self.tag_texts()?);
        names.push(Top::Head.name().to_owned());
        Ok(names)
    }

    fn ref_list(
        &self,
        names: &[String],
        prefix: &str,
        group: fn(String) -> Place,
        leaf: impl Fn(&str) -> Result<Option<Place>>,
    ) -> Result<Vec<Listed>> {
        let mut list = Vec::new();
        for (name, child) in ref_children(names.iter().map(String::as_str), prefix) {
            let place = match child {
                RefChild::Group(prefix) => Some(group(prefix)),
                RefChild::Leaf(name) => leaf(&name)?,
            };
            list.extend(place.map(|place| listed(&name, place)));
        }
        Ok(list)
    }

    /// What a component means in a folder of refs, without listing what the leaves are.
    fn ref_child(names: &[String], prefix: &str, name: &[u8]) -> Option<RefChild> {
        let name = str::from_utf8(name).ok()?;
        let children = ref_children(names.iter().map(String::as_str), prefix);
        children.into_iter().find(|(component, _)| component == name).map(|(_, child)| child)
    }

    fn branch_child(&self, prefix: &str, name: &[u8]) -> Result<Option<Place>> {
        // Most names are whole; only folders of branches need the list.
        if let Some(branch) = whole_name(prefix, name).and_then(|name| BranchName::new(name).ok())
            && let Some(dir) = self.branch_dir(&branch)?
        {
            return Ok(Some(Place::Dir(dir)));
        }
        match Self::ref_child(&self.branch_texts()?, prefix, name) {
            Some(RefChild::Group(prefix)) => Ok(Some(Place::Branches(prefix))),
            Some(RefChild::Leaf(name)) => Ok(self.branch_dir(&BranchName::new(name)?)?.map(Place::Dir)),
            None => Ok(None),
        }
    }

    fn tag_child(&self, prefix: &str, name: &[u8]) -> Result<Option<Place>> {
        match Self::ref_child(&self.tag_texts()?, prefix, name) {
            Some(RefChild::Group(prefix)) => Ok(Some(Place::Tags(prefix))),
            Some(RefChild::Leaf(name)) => Ok(self.tag_dir(&TagName::new(name)?)?.map(Place::Dir)),
            None => Ok(None),
        }
    }

    fn worktree_child(&self, prefix: &str, name: &[u8]) -> Result<Option<Place>> {
        match Self::ref_child(&self.branch_texts()?, prefix, name) {
            Some(RefChild::Group(prefix)) => Ok(Some(Place::Worktrees(prefix))),
            Some(RefChild::Leaf(name)) => {
                Ok(Some(Place::Worktree(WorktreeNode::root(BranchName::new(name)?))))
            }
            None => Ok(None),
        }
    }

    fn tensors_child(&self, prefix: &str, name: &[u8]) -> Result<Option<Place>> {
        match Self::ref_child(&self.tensor_ref_texts()?, prefix, name) {
            Some(RefChild::Group(prefix)) => Ok(Some(Place::Tensors(prefix))),
            Some(RefChild::Leaf(name)) => Ok(self.named_dir(&name)?.map(Place::TensorDir)),
            None if prefix.is_empty() => {
                Ok(self.revision(name)?.map(|id| self.commit_dir(id)).transpose()?.map(Place::TensorDir))
            }
            None => Ok(None),
        }
    }

    /// The top directory behind a name that `tensors/` lists.
    fn named_dir(&self, name: &str) -> Result<Option<SnapshotDir>> {
        if name == Top::Head.name() {
            return match self.repo.refs().head()? {
                crate::history::Head::Branch(name) => self.branch_dir(&name),
                crate::history::Head::Detached(commit) => self.commit_dir(commit).map(Some),
            };
        }
        match self.branch_dir(&BranchName::new(name)?)? {
            Some(dir) => Ok(Some(dir)),
            None => self.tag_dir(&TagName::new(name)?),
        }
    }

    /// A whole id is a directory; everything else that names a commit is a link to it.
    fn commit_child(&self, name: &[u8]) -> Result<Option<Place>> {
        let Some(id) = self.revision(name)? else { return Ok(None) };
        match id.to_string().as_bytes() == name {
            true => self.commit_dir(id).map(|dir| Some(Place::Dir(dir))),
            false => Ok(Some(Place::Link(id.to_string()))),
        }
    }

    /// The commit that a text means; `None` if it means none.
    fn revision(&self, text: &[u8]) -> Result<Option<CommitId>> {
        use crate::history::Error as E;
        let Ok(text) = str::from_utf8(text) else { return Ok(None) };
        match self.repo.resolve(text, self.now()) {
            Ok(id) => Ok(Some(id)),
            Err(E::UnknownRevision { .. } | E::AmbiguousPrefix { .. } | E::Unborn(_) | E::RefName(_)) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn commit_list(&self) -> Result<Vec<Listed>> {
        let newest = self.history.newest(&self.repo)?;
        let list = newest
            .iter()
            .map(|shown| Ok(listed(shown.id.to_string(), Place::Dir(self.commit_dir(shown.id)?))));
        list.collect()
    }

    fn day_list(&self) -> Result<Vec<Listed>> {
        let newest = self.history.newest(&self.repo)?;
        let mut days: Vec<String> =
            newest.iter().filter_map(|shown| Some(date_names(shown.time)?.0)).collect();
        days.sort();
        days.dedup();
        Ok(days.into_iter().map(|day| listed(day.clone(), Place::Day(day))).collect())
    }

    fn day_child(&self, name: &[u8]) -> Result<Option<Place>> {
        let day = self.day_list()?.into_iter().find(|listed| listed.name == name);
        Ok(day.map(|listed| (*listed.place).clone()))
    }

    fn time_list(&self, day: &str) -> Result<Vec<Listed>> {
        let newest = self.history.newest(&self.repo)?;
        let of_day = newest.iter().rev().filter_map(|shown| {
            let (date, time) = date_names(shown.time).filter(|(date, _)| date == day)?;
            let id = shown.id.to_string();
            let up = "../".repeat(2);
            debug_assert_eq!(date, day);
            Some(listed(
                format!("{time}.{}", &id[..12]),
                Place::Link(format!("{up}{}/{id}", Top::Commits.name())),
            ))
        });
        Ok(of_day.collect())
    }

    fn node_child(&self, dir: &WorktreeNode, name: &[u8]) -> Result<Option<Found>> {
        let name = Name::new(name)?;
        self.within(dir, |worktree| {
            let found = worktree.lookup(dir.node(), &name)?;
            Ok(found.map(|(node, known)| Found {
                place: Place::Worktree(WorktreeNode::new(worktree, node)),
                entry: Lifetime::Shared,
                known: Some(known),
                worktree: Some(Arc::clone(worktree)),
            }))
        })
    }

    /// What is in a directory, with the worktree that gives the nodes their numbers.
    pub(super) fn node_list(&self, dir: &WorktreeNode) -> Result<(Vec<Listed>, Arc<OpenWorktree>)> {
        self.within(dir, |worktree| {
            let entries = worktree.entries(dir.node())?;
            let list = entries.into_iter().map(|(name, node, known)| Listed {
                name: name.as_bytes().to_vec(),
                place: Arc::new(Place::Worktree(WorktreeNode::new(worktree, node))),
                known: Some(known),
            });
            Ok((list.collect(), Arc::clone(worktree)))
        })
    }
}

/// The ref that a component would name if it were the last one.
fn whole_name(prefix: &str, name: &[u8]) -> Option<String> {
    Some(format!("{prefix}{}", str::from_utf8(name).ok()?))
}

/// What an entry of a snapshot's directory stands for.
fn snapshot_place(dir: &SnapshotDir, entry: &Entry) -> Place {
    let attributes = entry.attributes;
    match &entry.node {
        Node::File { recipe, len } => Place::File { recipe: *recipe, len: *len, attributes },
        Node::Dir(tree) => Place::Dir(SnapshotDir { tree: *tree, attributes, commit: dir.commit }),
        Node::Symlink(target) => Place::Symlink { target: target.clone(), attributes },
    }
}

pub(super) fn listed(name: impl AsRef<[u8]>, place: Place) -> Listed {
    Listed { name: name.as_ref().to_vec(), place: Arc::new(place), known: None }
}
