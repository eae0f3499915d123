//! Making the nodes of a worktree equal a tree of the history, so that nodes which stay the same keep their number.

use super::super::error::Result;
use super::apply::Applying;
use super::{Body, Content, Dir, NodeId};
use crate::history::{Name, Node, Tree};
use crate::id::TreeId;
use std::collections::BTreeMap;

impl Applying<'_> {
    /// Makes a directory equal a tree. Directories that nobody looked into become the id of theirs.
    pub(super) fn reconcile(&mut self, dir: NodeId, tree: TreeId) -> Result<()> {
        let mut waiting = vec![(dir, tree)];
        while let Some((dir, tree)) = waiting.pop() {
            let Dir { origin, children } = self.nodes.dir_mut(dir)?;
            if *origin == Some(tree) {
                continue;
            }
            if children.is_some() {
                let wanted = self.trees.tree(tree)?;
                let old = self.nodes.dir_mut(dir)?.children.take().unwrap_or_default();
                waiting.extend(self.reconcile_one(dir, &wanted, old)?);
            }
            self.nodes.dir_mut(dir)?.origin = Some(tree);
        }
        Ok(())
    }

    /// Gives a directory the names of a tree. Returns the directories in it that are to be made equal next.
    fn reconcile_one(
        &mut self,
        dir: NodeId,
        tree: &Tree,
        mut old: BTreeMap<Name, NodeId>,
    ) -> Result<Vec<(NodeId, TreeId)>> {
        let (mut children, mut gone, mut below) = (BTreeMap::new(), Vec::new(), Vec::new());
        for entry in tree.entries() {
            let id = match old.remove(&entry.name) {
                Some(id) if self.is_same_kind(id, &entry.node) => {
                    self.nodes.get_mut(id)?.attributes = entry.attributes;
                    if let Node::Dir(tree) = entry.node {
                        below.push((id, tree));
                    }
                    id
                }
                replaced => {
                    gone.extend(replaced.map(|id| (entry.name.clone(), id)));
                    self.invalidate(dir, &entry.name);
                    self.nodes.insert_entry(dir, entry)
                }
            };
            children.insert(entry.name.clone(), id);
        }
        gone.extend(old);
        for (name, id) in gone {
            self.invalidate(dir, &name);
            self.detach(id);
        }
        self.nodes.dir_mut(dir)?.children = Some(children);
        Ok(below)
    }

    /// Whether a node can stand for an entry as it is: a directory for any directory, a file or link for the same.
    fn is_same_kind(&self, id: NodeId, node: &Node) -> bool {
        match (&self.nodes.nodes[&id].body, node) {
            (Body::Dir(_), Node::Dir(_)) => true,
            (Body::File(file), Node::File { recipe, len }) => {
                let stored = Content::Stored { recipe: *recipe, len: *len };
                file.current == stored && file.is_complete()
            }
            (Body::Symlink(have), Node::Symlink(want)) => have == want,
            (Body::File(_) | Body::Dir(_) | Body::Symlink(_), _) => false,
        }
    }
}
