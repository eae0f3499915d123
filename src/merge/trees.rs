//! Merging trees three ways, path by path.

use super::conflict::{Conflict, ConflictKind};
use super::favor::{Favor, Way};
use super::lines::merge_lines;
use super::tensors::{FileMerge, merge_files, three_way};
use crate::history::{
    Attributes, Change, ChangeKind, DraftEntry, Entry, Node, Repo, Result, Tree, TreePath, TreeWalk,
};
use crate::id::{RecipeId, TreeId};
use crate::store::Ingest;
use crate::task::Task;
use std::collections::{BTreeMap, BTreeSet};

/// Three trees.
#[derive(Debug, Clone, Copy)]
pub struct Sides {
    /// What both sides come from.
    pub base: TreeId,
    /// The first side, whose changes are kept.
    pub ours: TreeId,
    /// The other one, whose changes come.
    pub theirs: TreeId,
}

/// What the first side needs to have the changes of both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeMerge {
    /// What is to stand at a path from now on; `None` for nothing. What goes comes first.
    pub edits: Vec<(TreePath, Option<Entry>)>,
    /// What has to be decided. The edits leave something at each of them.
    pub conflicts: Vec<Conflict>,
}

/// Merges three trees, each path in its way. Files that are put together of both are recorded by the ingest.
///
/// # Errors
/// If a tree or a file cannot be read; [`Stopped`](crate::task::Stopped).
pub fn merge_trees(
    repo: &Repo,
    ingest: &Ingest,
    sides: Sides,
    way: impl Fn(&TreePath) -> Result<Way>,
    task: &Task,
) -> Result<TreeMerge> {
    let by_path = |changes: Vec<Change>| -> BTreeMap<TreePath, Change> {
        changes.into_iter().map(|change| (change.path.clone(), change)).collect()
    };
    let ours = by_path(repo.diff_trees(sides.base, sides.ours)?);
    let theirs = repo.diff_trees(sides.base, sides.theirs)?;
    let mut merge = Merge {
        repo,
        ingest,
        sides,
        way: &way,
        task,
        ours,
        found: TreeMerge::default(),
        whole: BTreeMap::new(),
    };
    for change in theirs {
        task.check()?;
        merge.take(change)?;
    }
    merge.drop_empty_folders()?;
    merge.leave_whole();
    // Names are free before they are taken.
    merge.found.edits.sort_by_key(|(path, entry)| (entry.is_some(), path.clone()));
    Ok(merge.found)
}

struct Merge<'a> {
    repo: &'a Repo,
    ingest: &'a Ingest,
    sides: Sides,
    /// What is done at a path where both sides changed the same thing.
    way: &'a dyn Fn(&TreePath) -> Result<Way>,
    task: &'a Task,
    ours: BTreeMap<TreePath, Change>,
    found: TreeMerge,
    /// Where the sides have things of different kinds: what of the other side takes the place, if the first side's does not
    /// stay.
    whole: BTreeMap<TreePath, Option<Entry>>,
}

fn stored(entry: Option<&DraftEntry>) -> Option<Entry> {
    entry.and_then(DraftEntry::stored)
}

fn is_dir(entry: &Entry) -> bool {
    matches!(entry.node, Node::Dir(_))
}

impl Merge<'_> {
    fn take(&mut self, change: Change) -> Result<()> {
        let theirs = stored(change.new.as_ref());
        if self.is_of_a_folder(&change)? {
            return Ok(());
        }
        if let Some(in_the_way) = self.in_the_way(&change.path, theirs.as_ref())? {
            return self.blocked(in_the_way);
        }
        let Some(mine) = self.ours.get(&change.path) else {
            self.edit(change.path, theirs);
            return Ok(());
        };
        let (base, ours) =
            (stored(mine.old.as_ref()).or(stored(change.old.as_ref())), stored(mine.new.as_ref()));
        match (ours, theirs) {
            (None, None) => Ok(()),
            (Some(ours), Some(theirs)) => self.both(change.path, base, ours, theirs),
            (None, theirs @ Some(_)) => {
                self.disagree(change.path, ConflictKind::RemovedHere, [base, None, theirs], Vec::new())
            }
            (ours @ Some(_), None) => {
                self.disagree(change.path, ConflictKind::RemovedThere, [base, ours, None], Vec::new())
            }
        }
    }

    /// Whether there is nothing to do: modes of directories stay the first side's, and so do those that are empty on the
    /// other side only.
    fn is_of_a_folder(&self, change: &Change) -> Result<bool> {
        let is_folder =
            |entry: &Option<DraftEntry>| stored(entry.as_ref()).is_some_and(|entry| is_dir(&entry));
        match (is_folder(&change.old), is_folder(&change.new)) {
            (true, true) => Ok(true),
            (true, false) if change.new.is_none() => {
                let here = self.repo.find_in_tree(self.sides.ours, &change.path)?;
                Ok(!here.is_some_and(|entry| entry.node == Node::Dir(Tree::empty_id())))
            }
            _ => Ok(false),
        }
    }

    /// Something of the first side that stands where a path of the other one leads through, or a directory of it that
    /// stands where the other one has a file.
    fn in_the_way(&self, path: &TreePath, theirs: Option<&Entry>) -> Result<Option<(TreePath, Entry)>> {
        let Some(theirs) = theirs else { return Ok(None) };
        let names = path.names();
        for len in 1..names.len() {
            let above: TreePath = names[..len].iter().cloned().collect();
            match self.repo.find_in_tree(self.sides.ours, &above)? {
                None => break,
                Some(entry) if is_dir(&entry) => {}
                // It may be what the other side turned into a directory.
                Some(_) if !self.ours.contains_key(&above) => break,
                Some(entry) => return Ok(Some((above, entry))),
            }
        }
        let here = self.repo.find_in_tree(self.sides.ours, path)?;
        match here {
            Some(entry) if is_dir(&entry) && !is_dir(theirs) && self.has_new_below(path) => {
                Ok(Some((path.clone(), entry)))
            }
            _ => Ok(None),
        }
    }

    /// Whether the first side changed or made something below a path.
    fn has_new_below(&self, path: &TreePath) -> bool {
        // What lies below a path comes right behind it.
        let mut below = self.ours.range(path.clone()..).take_while(|(below, _)| below.starts_with(path));
        below.any(|(below, change)| below != path && change.kind != ChangeKind::Deleted)
    }

    /// Where the first side has a file and the other one a directory, or the other way round, one of the two stands there
    /// whole: the favored one's, or the first side's until somebody decides.
    fn blocked(&mut self, (at, entry): (TreePath, Entry)) -> Result<()> {
        if self.whole.contains_key(&at) {
            return Ok(());
        }
        let theirs = self.repo.find_in_tree(self.sides.theirs, &at)?;
        let favor = (self.way)(&at)?.favor;
        if favor == Favor::None {
            self.found.conflicts.push(Conflict {
                path: at.clone(),
                kind: ConflictKind::InTheWay,
                base: None,
                ours: Some(entry.clone()),
                theirs: theirs.clone(),
                left: Some(entry),
                tensors: Vec::new(),
            });
        }
        self.whole.insert(at, theirs.filter(|_| favor == Favor::Theirs));
        Ok(())
    }

    /// The side that counts where files have other names but equal bytes: programs have cut them otherwise.
    fn by_bytes<'e>(
        &self,
        base: Option<&Entry>,
        ours: &'e Entry,
        theirs: &'e Entry,
    ) -> Result<Option<&'e Entry>> {
        let same_as_base = |side: &Entry| base.map_or(Ok(false), |base| self.has_same_bytes(base, side));
        Ok(if self.has_same_bytes(ours, theirs)? || same_as_base(theirs)? {
            Some(ours)
        } else {
            same_as_base(ours)?.then_some(theirs)
        })
    }

    fn has_same_bytes(&self, one: &Entry, other: &Entry) -> Result<bool> {
        let (Node::File { recipe, len }, Node::File { recipe: other, len: other_len }) =
            (&one.node, &other.node)
        else {
            return Ok(false);
        };
        Ok(len == other_len && self.repo.recipe(*recipe)?.blake3() == self.repo.recipe(*other)?.blake3())
    }

    /// What stands somewhere whole is all that is done there and below.
    fn leave_whole(&mut self) {
        let whole = std::mem::take(&mut self.whole);
        let is_within =
            |path: &TreePath| whole.contains_key(path) || path.above().any(|at| whole.contains_key(&at));
        self.found.edits.retain(|(path, _)| !is_within(path));
        self.found
            .conflicts
            .retain(|conflict| whole.contains_key(&conflict.path) || !is_within(&conflict.path));
        for (at, theirs) in whole {
            if theirs.is_some() {
                self.found.edits.push((at.clone(), None));
                self.found.edits.push((at, theirs));
            }
        }
    }

    fn both(&mut self, path: TreePath, base: Option<Entry>, ours: Entry, theirs: Entry) -> Result<()> {
        let node = |entry: &Entry| entry.node.clone();
        let mode = |entry: &Entry| entry.attributes.mode;
        let merged_mode =
            three_way(base.as_ref().map(mode), mode(&ours), mode(&theirs)).unwrap_or(mode(&ours));
        let with = |node: Node| {
            let newer = if node == theirs.node { theirs.attributes } else { ours.attributes };
            Entry { attributes: Attributes { mode: merged_mode, ..newer }, node, ..ours.clone() }
        };
        let merged_node = match three_way(base.as_ref().map(node), node(&ours), node(&theirs)) {
            None => self.by_bytes(base.as_ref(), &ours, &theirs)?.map(node),
            merged => merged,
        };
        if let Some(node) = merged_node {
            let merged = with(node);
            if merged != ours {
                self.edit(path, Some(merged));
            }
            return Ok(());
        }
        let kind = if base.is_some() { ConflictKind::BothChanged } else { ConflictKind::BothAdded };
        let (Node::File { recipe: here, .. }, Node::File { recipe: there, .. }) = (&ours.node, &theirs.node)
        else {
            return self.disagree(path, kind, [base, Some(ours), Some(theirs)], Vec::new());
        };
        let before = base.as_ref().and_then(|entry| match entry.node {
            Node::File { recipe, .. } => Some(recipe),
            Node::Dir(_) | Node::Symlink(_) => None,
        });
        let way = (self.way)(&path)?;
        let merged = self.files(way, before, (*here, *there))?;
        let (recipe, len, conflicts) = match merged {
            FileMerge::Merged { recipe, len, conflicts } => (recipe, len, conflicts),
            FileMerge::Whole(unlike) => {
                return self.disagree(path, kind, [base, Some(ours), Some(theirs)], unlike);
            }
        };
        let merged = with(Node::File { recipe, len });
        if merged.node != ours.node || merged.attributes.mode != ours.attributes.mode {
            self.edit(path.clone(), Some(merged.clone()));
        }
        if !conflicts.is_empty() {
            let (ours, theirs, left) = (Some(ours), Some(theirs), Some(merged));
            self.found.conflicts.push(Conflict { path, kind, base, ours, theirs, left, tensors: conflicts });
        }
        Ok(())
    }

    /// Merges two files inside, if that is wanted and can be done.
    fn files(&self, way: Way, base: Option<RecipeId>, sides: (RecipeId, RecipeId)) -> Result<FileMerge> {
        if way.whole {
            return Ok(FileMerge::Whole(Vec::new()));
        }
        match merge_files(self.repo, self.ingest, base, sides, way, self.task)? {
            FileMerge::Whole(unlike) if way.lines => {
                let merged = merge_lines(self.repo, self.ingest, base, sides, self.task)?;
                Ok(merged.map_or(FileMerge::Whole(unlike), |(recipe, len)| FileMerge::Merged {
                    recipe,
                    len,
                    conflicts: Vec::new(),
                }))
            }
            merged => Ok(merged),
        }
    }

    /// Where both sides want something else, the favored one gets it, or the first side's stays until somebody decides. `tensors`
    /// are those that do not fit each other.
    fn disagree(
        &mut self,
        path: TreePath,
        kind: ConflictKind,
        sides: [Option<Entry>; 3],
        tensors: Vec<String>,
    ) -> Result<()> {
        let [base, ours, theirs] = sides;
        let (is_conflict, left) = match (self.way)(&path)?.favor {
            Favor::Ours => (false, &ours),
            Favor::Theirs => (false, &theirs),
            Favor::Base => (false, &base),
            // What one side still has is left for those who decide.
            Favor::None => (true, if ours.is_some() { &ours } else { &theirs }),
        };
        let left = left.clone();
        if left != ours {
            self.edit(path.clone(), left.clone());
        }
        if is_conflict {
            self.found.conflicts.push(Conflict { path, kind, base, ours, theirs, left, tensors });
        }
        Ok(())
    }

    fn edit(&mut self, path: TreePath, entry: Option<Entry>) {
        self.found.edits.push((path, entry));
    }

    /// Directories that the other side removed go as well, unless the first side has something new in them.
    fn drop_empty_folders(&mut self) -> Result<()> {
        let gone: BTreeSet<TreePath> = self
            .found
            .edits
            .iter()
            .filter(|(_, entry)| entry.is_none())
            .map(|(path, _)| path.clone())
            .collect();
        // Each folder is looked at once, however much goes in it.
        let mut goes: BTreeMap<TreePath, bool> = BTreeMap::new();
        for path in &gone {
            for folder in path.above() {
                let does_go = match goes.get(&folder) {
                    Some(known) => *known,
                    None => {
                        let there = self.repo.find_in_tree(self.sides.theirs, &folder)?;
                        let does_go =
                            !there.is_some_and(|entry| is_dir(&entry)) && self.is_all_gone(&folder, &gone)?;
                        goes.insert(folder, does_go);
                        does_go
                    }
                };
                if does_go {
                    break;
                }
            }
        }
        goes.retain(|_, does_go| *does_go);
        self.found.edits.retain(|(path, entry)| {
            entry.is_some() || !path.above().any(|folder| goes.contains_key(&folder))
        });
        self.found.edits.extend(goes.into_keys().map(|folder| (folder, None)));
        Ok(())
    }

    /// Whether nothing that the first side has in a directory stays.
    fn is_all_gone(&self, folder: &TreePath, gone: &BTreeSet<TreePath>) -> Result<bool> {
        let Some(Entry { node: Node::Dir(tree), .. }) = self.repo.find_in_tree(self.sides.ours, folder)?
        else {
            return Ok(false);
        };
        for step in TreeWalk::below(self.repo, tree) {
            let (below, entry) = step?;
            let is_folder = matches!(entry.node, Node::Dir(tree) if tree != Tree::empty_id());
            if !is_folder && !gone.contains(&folder.concat(&below)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, SimulatedDisk};
    use crate::history::{BranchName, Name, Options, assemble};
    use crate::recipe::Extent;
    use crate::store::Kind;
    use crate::units::Timestamp;
    use std::path::Path;
    use std::sync::Arc;

    fn repo() -> Repo {
        let disk = SimulatedDisk::new();
        disk.create_dir_all(Path::new("/r")).expect("created");
        let (branch, root) = (BranchName::new("main").expect("a name"), Path::new("/r/.coral"));
        Repo::create(Arc::new(disk.clone()), root, &branch).expect("created");
        Repo::open(Arc::new(disk), root, Options::default()).expect("opened")
    }

    /// A tree with a file of these bytes, cut there.
    fn tree(repo: &Repo, ingest: &Ingest, bytes: &[u8], cut: usize) -> TreeId {
        let extents = [&bytes[..cut], &bytes[cut..]].map(|bytes| Extent::Inline(bytes.to_vec()));
        let (recipe, len) = assemble(repo, ingest, extents.to_vec(), &[]).expect("recorded");
        let attributes = Attributes { mode: 0o644, modified: Timestamp::EPOCH };
        let entry =
            Entry { name: Name::new("f").expect("a name"), attributes, node: Node::File { recipe, len } };
        let encoding = Tree::new(vec![entry]).expect("a tree").encode();
        let id = Tree::id_of(&encoding);
        ingest.put_meta(Kind::Tree, id.as_bytes(), &encoding).expect("put");
        id
    }

    #[test]
    fn files_of_equal_bytes_that_were_cut_otherwise_are_not_changed() {
        let repo = repo();
        let ingest = repo.store().begin().expect("begin");
        let of = |bytes: &[u8], cut| tree(&repo, &ingest, bytes, cut);
        let (old, old_again, old_cut) = (of(b"old bytes", 3), of(b"old bytes", 4), of(b"old bytes", 5));
        let (new, new_cut) = (of(b"new bytes", 3), of(b"new bytes", 4));
        let odd = of(b"odd bytes", 3);
        ingest.seal().expect("sealed");
        let ingest = repo.store().begin().expect("begin");
        let merge = |base, ours, theirs| {
            let sides = Sides { base, ours, theirs };
            let merge =
                merge_trees(&repo, &ingest, sides, |_| Ok(Way::default()), &Task::default()).expect("merged");
            assert_eq!(merge.conflicts, []);
            merge.edits.len()
        };
        assert_eq!(merge(old, new, new_cut), 0);
        assert_eq!(merge(old, new, old_cut), 0);
        assert_eq!(merge(old, old_cut, new), 1);
        assert_eq!(merge(old, old_cut, old_again), 0);
        let sides = Sides { base: old, ours: new, theirs: odd };
        let merge =
            merge_trees(&repo, &ingest, sides, |_| Ok(Way::default()), &Task::default()).expect("merged");
        assert_eq!(merge.conflicts.len(), 1);
    }
}
