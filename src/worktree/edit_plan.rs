//! What changes of whole paths come to: records, each as if the changes before it had been made.
//!
//! Writes nothing: whoever has the records appends all of them, or none.

use super::error::{Error, Result};
use super::names::unknown;
use super::nodes::Body;
use super::record::Record;
use super::state::State;
use super::worktree::Worktree;
use crate::history::{Attributes, Entry, Name, Node, Tree, TreePath};
use crate::id::TreeId;
use crate::units::Timestamp;
use std::collections::BTreeMap;

/// One of the changes.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Something whole stands at a path; missing directories are made. An empty directory is made only if there is none.
    Put {
        /// Where.
        path: TreePath,
        /// Its mode and time.
        attributes: Attributes,
        /// What.
        node: Node,
        /// Whether it may take the place of a directory that has entries.
        replaces_dirs: bool,
    },
    /// A path goes, with everything below it.
    Remove {
        /// Where.
        path: TreePath,
    },
    /// A directory that is there gets another mode and time.
    Attributes {
        /// Where.
        path: TreePath,
        /// Which.
        attributes: Attributes,
    },
    /// A directory goes if nothing is left in it.
    Prune {
        /// Where.
        path: TreePath,
    },
}

impl Edit {
    /// What leaves an entry of a tree at a path, or nothing.
    pub fn leaving(path: TreePath, entry: Option<Entry>) -> Self {
        match entry {
            Some(Entry { attributes, node, .. }) => {
                Self::Put { path, attributes, node, replaces_dirs: false }
            }
            None => Self::Remove { path },
        }
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Nothing,
    Leaf,
    Dir,
}

/// What earlier changes of the same batch make of a path and what is below.
#[derive(Debug, Clone, Copy)]
enum Planned {
    Gone,
    Leaf,
    Dir(TreeId),
}

/// Turns changes into records, each as if those before it had been made.
pub(super) struct Plan<'a> {
    worktree: &'a Worktree,
    state: &'a mut State,
    now: Timestamp,
    planned: BTreeMap<TreePath, Planned>,
    records: Vec<Record>,
}

impl<'a> Plan<'a> {
    /// Nothing is planned yet.
    pub(super) fn of(worktree: &'a Worktree, state: &'a mut State, now: Timestamp) -> Self {
        Self { worktree, state, now, planned: BTreeMap::new(), records: Vec::new() }
    }

    /// The records of all changes, in their order.
    pub(super) fn run(mut self, edits: Vec<Edit>) -> Result<Vec<Record>> {
        for edit in edits {
            match edit {
                Edit::Put { path, attributes, node, replaces_dirs } => {
                    self.put(path, attributes, node, replaces_dirs)?;
                }
                Edit::Remove { path } => self.remove(path)?,
                Edit::Attributes { path, attributes } => {
                    if self.standing(&path)? == Standing::Dir {
                        self.records.push(Record::Attributes { path, attributes });
                    }
                }
                Edit::Prune { path } => {
                    if self.standing(&path)? == Standing::Dir && self.is_empty(&path)? {
                        self.remove(path)?;
                    }
                }
            }
        }
        Ok(self.records)
    }

    fn put(&mut self, path: TreePath, attributes: Attributes, node: Node, replaces_dirs: bool) -> Result<()> {
        path.check()?;
        let Some((parents, _)) = path.split_last() else { return Err(Error::IsADirectory(path)) };
        self.make_parents(&parents)?;
        if !replaces_dirs && self.standing(&path)? == Standing::Dir {
            match &node {
                Node::Dir(tree) if *tree == Tree::empty_id() => return Ok(()),
                Node::Dir(_) => {}
                Node::File { .. } | Node::Symlink(_) if self.is_empty(&path)? => {}
                Node::File { .. } | Node::Symlink(_) => return Err(Error::IsADirectory(path)),
            }
        }
        let planned = match node {
            Node::Dir(tree) => Planned::Dir(tree),
            Node::File { .. } | Node::Symlink(_) => Planned::Leaf,
        };
        self.note(path.clone(), planned);
        self.records.push(Record::Put { path, attributes, node, at: self.now });
        Ok(())
    }

    fn make_parents(&mut self, dir: &TreePath) -> Result<()> {
        let mut path = TreePath::ROOT;
        for name in dir.names() {
            path.push(name.clone());
            match self.standing(&path)? {
                Standing::Dir => {}
                Standing::Leaf => return Err(Error::NotADirectory(path)),
                Standing::Nothing => {
                    let attributes = Attributes { mode: 0o755, modified: self.now };
                    let node = Node::Dir(Tree::empty_id());
                    self.note(path.clone(), Planned::Dir(Tree::empty_id()));
                    self.records.push(Record::Put { path: path.clone(), attributes, node, at: self.now });
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: TreePath) -> Result<()> {
        if path.is_root() {
            return Err(Error::IsADirectory(path));
        }
        if self.standing(&path)? == Standing::Nothing {
            return Err(unknown(self.worktree, path));
        }
        self.note(path.clone(), Planned::Gone);
        self.records.push(Record::Remove { path, at: self.now });
        Ok(())
    }

    /// Remembers what a path is about to be; what was planned below it is gone.
    fn note(&mut self, path: TreePath, planned: Planned) {
        let below: Vec<TreePath> = self.planned_below(&path).cloned().collect();
        for below in &below {
            self.planned.remove(below);
        }
        self.planned.insert(path, planned);
    }

    /// The planned paths from this one on down.
    fn planned_below<'b>(&'b self, path: &'b TreePath) -> impl Iterator<Item = &'b TreePath> + use<'a, 'b> {
        self.planned.range(path..).map(|(below, _)| below).take_while(move |below| below.starts_with(path))
    }

    /// The nearest path at or above this one of which something is planned, and what is below it.
    fn planned_above(&self, path: &TreePath) -> Option<(Planned, TreePath)> {
        let names = path.names();
        (1..=names.len()).rev().find_map(|len| {
            let above: TreePath = names[..len].iter().cloned().collect();
            let planned = *self.planned.get(&above)?;
            Some((planned, names[len..].iter().cloned().collect()))
        })
    }

    /// What stands at a path once everything planned so far is done.
    fn standing(&mut self, path: &TreePath) -> Result<Standing> {
        match self.planned_above(path) {
            Some((Planned::Gone, _)) => Ok(Standing::Nothing),
            Some((Planned::Leaf, below)) if below.is_root() => Ok(Standing::Leaf),
            Some((Planned::Leaf, _)) => Ok(Standing::Nothing),
            Some((Planned::Dir(tree), below)) => {
                let found = self.worktree.repo().find_in_tree(tree, &below)?;
                Ok(found.map_or(Standing::Nothing, |entry| match entry.node {
                    Node::Dir(_) => Standing::Dir,
                    Node::File { .. } | Node::Symlink(_) => Standing::Leaf,
                }))
            }
            None => self.standing_now(path),
        }
    }

    fn standing_now(&mut self, path: &TreePath) -> Result<Standing> {
        let Some(id) = self.state.nodes.resolve(path, self.worktree.repo())? else {
            return Ok(Standing::Nothing);
        };
        Ok(match self.state.nodes.get(id)?.body {
            Body::Dir(_) => Standing::Dir,
            Body::File(_) | Body::Symlink(_) => Standing::Leaf,
        })
    }

    /// Whether the directory at a path has no entries once everything planned so far is done.
    fn is_empty(&mut self, path: &TreePath) -> Result<bool> {
        let stands = |below: &TreePath| !matches!(self.planned.get(below), Some(Planned::Gone));
        if self.planned_below(path).any(|below| below != path && stands(below)) {
            return Ok(false);
        }
        let names: Vec<Name> = match self.planned_above(path) {
            Some((Planned::Dir(tree), below)) => match self.worktree.repo().find_in_tree(tree, &below)? {
                Some(Entry { node: Node::Dir(tree), .. }) => self
                    .worktree
                    .repo()
                    .tree(tree)?
                    .entries()
                    .iter()
                    .map(|entry| entry.name.clone())
                    .collect(),
                _ => Vec::new(),
            },
            Some((Planned::Gone | Planned::Leaf, _)) => Vec::new(),
            None => match self.state.nodes.resolve(path, self.worktree.repo())? {
                Some(id) => self.state.nodes.children(id, self.worktree.repo())?.keys().cloned().collect(),
                None => Vec::new(),
            },
        };
        let is_gone = |name: &Name| matches!(self.planned.get(&path.join(name.clone())), Some(Planned::Gone));
        Ok(names.iter().all(is_gone))
    }
}
