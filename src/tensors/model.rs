//! Which files of a directory have tensors, and which of them are the shards of one model.

use std::collections::BTreeMap;
use std::str;
use std::sync::Arc;

use crate::history::{Attributes, Entry, Name, Node, Repo, Tree};
use crate::id::RecipeId;

use super::names::merged_shard_name;

/// Files whose tensors are shown together: one, or all shards of a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Model {
    /// In the order of their names.
    pub files: Arc<[RecipeId]>,
    /// Mode and modification time of the first.
    pub attributes: Attributes,
}

/// The models of a directory by name. Reads the recipes of all its files.
pub(super) fn models(repo: &Repo, tree: &Tree) -> BTreeMap<Vec<u8>, Model> {
    let mut files: BTreeMap<Vec<u8>, (Vec<RecipeId>, Attributes)> = BTreeMap::new();
    for (entry, recipe) in tree.entries().iter().filter_map(file) {
        if has_tensors(repo, recipe) {
            let name = shown_as(&entry.name, tree);
            files.entry(name).or_insert_with(|| (Vec::new(), entry.attributes)).0.push(recipe);
        }
    }
    files.into_iter().map(|(name, (files, attributes))| (name, model(files, attributes))).collect()
}

/// The model of a directory with this name. Reads the recipes of its own files only.
pub(super) fn find_model(repo: &Repo, tree: &Tree, name: &Name) -> Option<Model> {
    let mut files = Vec::new();
    let mut attributes = None;
    for (entry, recipe) in candidates(tree, name).iter().filter_map(file) {
        if shown_as(&entry.name, tree) == name.as_bytes() && has_tensors(repo, recipe) {
            files.push(recipe);
            attributes.get_or_insert(entry.attributes);
        }
    }
    attributes.map(|attributes| model(files, attributes))
}

fn model(files: Vec<RecipeId>, attributes: Attributes) -> Model {
    Model { files: files.into(), attributes }
}

/// The entries that may be files of a model: that of its name, and otherwise those whose names begin as its shards' do.
fn candidates<'a>(tree: &'a Tree, name: &Name) -> &'a [Entry] {
    let entries = tree.entries();
    let named = entries.partition_point(|entry| entry.name < *name);
    if entries.get(named).is_some_and(|entry| entry.name == *name) {
        return &entries[named..=named];
    }
    let stem = match name.as_bytes().iter().rposition(|byte| *byte == b'.') {
        Some(dot) => &name.as_bytes()[..dot],
        None => name.as_bytes(),
    };
    let prefix = [stem, b"-"].concat();
    let from = entries.partition_point(|entry| entry.name.as_bytes() < &*prefix);
    let len = entries[from..].partition_point(|entry| entry.name.as_bytes().starts_with(&prefix));
    &entries[from..from + len]
}

fn file(entry: &Entry) -> Option<(&Entry, RecipeId)> {
    match entry.node {
        Node::File { recipe, .. } => Some((entry, recipe)),
        // What a link leads to is shown where it is.
        Node::Dir(_) | Node::Symlink(_) => None,
    }
}

/// What is damaged counts: who looks into it hears of it, and nobody else.
fn has_tensors(repo: &Repo, recipe: RecipeId) -> bool {
    repo.recipe(recipe).map_or(true, |recipe| !recipe.table().is_empty())
}

/// The name that a file's tensors are shown under: the model's for a shard, unless something has that name.
fn shown_as(name: &Name, tree: &Tree) -> Vec<u8> {
    let merged = str::from_utf8(name.as_bytes()).ok().and_then(merged_shard_name);
    match merged.and_then(|merged| Name::new(merged).ok()).filter(|merged| tree.find(merged).is_none()) {
        Some(merged) => merged.as_bytes().to_vec(),
        None => name.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::repository;
    use super::*;
    use crate::id::TreeId;
    use crate::units::Timestamp;
    use proptest::prelude::*;

    /// A directory with these names: files whose recipes cannot be read, so that they count as having tensors.
    fn tree(names: &[String]) -> Tree {
        let entries = names.iter().enumerate().map(|(number, name)| {
            let modified = Timestamp { seconds: number as i64, nanoseconds: 0 };
            let node = match name.ends_with('d') {
                true => Node::Dir(TreeId::from_bytes([number as u8; 32])),
                false => Node::File { recipe: RecipeId::from_bytes([number as u8; 32]), len: 0 },
            };
            Entry { name: Name::new(name).unwrap(), attributes: Attributes { mode: 0o644, modified }, node }
        });
        Tree::new(entries.collect()).unwrap()
    }

    #[test]
    fn shards_are_found_under_the_name_of_their_model() {
        let names = ["m-00001-of-00002.x", "m-00002-of-00002.x", "m-new.x", "n-00001-of-00001.x", "n.x"];
        let tree = tree(&names.map(str::to_owned));
        let find = |name: &str| find_model(&repository(), &tree, &Name::new(name).unwrap());
        let files = |name| find(name).map(|model| model.files.len());
        assert_eq!(
            ["m.x", "m-new.x", "n.x", "n-00001-of-00001.x"].map(files),
            [Some(2), Some(1), Some(1), Some(1)]
        );
        assert_eq!(["m-00001-of-00002.x", "m", "n", "o.x"].map(files), [None; 4]);
        assert_eq!(find("m.x").unwrap().attributes.modified.seconds, 0);
    }

    proptest! {
        #[test]
        fn a_name_leads_to_what_the_listing_has_under_it(
            names in proptest::collection::btree_set("[ab](-0000[12]-of-00002)?(\\.[xd])?", 0..8),
        ) {
            let (repo, tree) = (repository(), tree(&Vec::from_iter(names.clone())));
            let listed = models(&repo, &tree);
            let shorter = ["a", "b", "a.x", "b.x", "a.d"].map(str::to_owned);
            for name in names.iter().chain(&shorter) {
                let found = find_model(&repo, &tree, &Name::new(name).unwrap());
                prop_assert_eq!(found.as_ref(), listed.get(name.as_bytes()));
            }
        }
    }
}
