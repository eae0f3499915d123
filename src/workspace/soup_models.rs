//! The models of commits that face each other: those of one name in one directory.

use super::error::{Error, Result};
use crate::history::{self, DraftEntry, Entry, FileContent, Name, Node, Repo, TreePath, TreeWalk};
use crate::id::{RecipeId, TreeId};
use crate::soup::Model;
use crate::tensors::Tensors;
use std::sync::Arc;

/// Where a model is that others have as well.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The directory.
    pub dir: TreePath,
    /// What the model is called there: its file, or what its shards have in common.
    pub name: Name,
    /// Its files in the first commit, in their order.
    pub files: Vec<(TreePath, Entry, RecipeId)>,
}

/// What belongs to a run and not to the weights.
const OF_A_RUN: [&[u8]; 6] =
    [b"optimizer", b"scheduler", b"rng_state", b"scaler", b"training_args", b"trainer_state"];

/// Whether a file belongs to a run and not to the weights, by its name.
pub(super) fn is_of_a_run(path: &TreePath) -> bool {
    path.names().last().is_some_and(|name| OF_A_RUN.iter().any(|prefix| name.as_bytes().starts_with(prefix)))
}

/// The models of a tree.
pub(super) fn places(repo: &Repo, tree: TreeId) -> Result<Vec<Place>> {
    let tensors = Tensors::of(repo);
    let mut dirs = vec![(TreePath::ROOT, tree)];
    for step in TreeWalk::below(repo, tree) {
        let (path, entry) = step?;
        if let Node::Dir(dir) = entry.node {
            dirs.push((path, dir));
        }
    }
    let mut found = Vec::new();
    for (dir, id) in dirs {
        let entries = repo.tree(id)?;
        for (name, model) in tensors.models(id).map_err(through)? {
            let is_file = |entry: &&Entry| matches!(entry.node, Node::File { recipe, .. } if model.files.contains(&recipe));
            let mut files = Vec::new();
            for entry in entries.entries().iter().filter(is_file) {
                let path = dir.join(entry.name.clone());
                if let Node::File { recipe, .. } = entry.node
                    && belongs(&entry.name, &name)
                    && !is_of_a_run(&path)
                {
                    files.push((path, entry.clone(), recipe));
                }
            }
            if !files.is_empty() {
                found.push(Place { dir: dir.clone(), name: Name::new(&name)?, files });
            }
        }
    }
    Ok(found)
}

/// Whether a file of this name is shown under that one: it is it, or a shard of it.
fn belongs(file: &Name, model: &[u8]) -> bool {
    let (stem, extension) = match model.iter().rposition(|byte| *byte == b'.') {
        Some(dot) => model.split_at(dot),
        None => (model, &[][..]),
    };
    let file = file.as_bytes();
    file == model
        || (file.starts_with(stem) && file[stem.len()..].starts_with(b"-") && file.ends_with(extension))
}

/// The files of the model of a name in a directory of a tree; if it has none of that name but only one, that one.
pub(super) fn find(repo: &Repo, tree: TreeId, place: &Place) -> Result<Option<Arc<[RecipeId]>>> {
    let Some(Entry { node: Node::Dir(dir), .. }) = repo.find_in_tree(tree, &place.dir)? else {
        return Ok(None);
    };
    let tensors = Tensors::of(repo);
    if let Some(model) = tensors.find_model(dir, &place.name).map_err(through)? {
        return Ok(Some(model.files));
    }
    let mut models = tensors.models(dir).map_err(through)?;
    models.retain(|name, _| !OF_A_RUN.iter().any(|prefix| name.starts_with(prefix)));
    Ok(match models.len() {
        1 => models.pop_first().map(|(_, model)| model.files),
        _ => None,
    })
}

/// Opens the files of a model.
pub(super) fn open(repo: &Repo, files: &[RecipeId], place: &Place) -> Result<Model> {
    let files = files.iter().map(|file| FileContent::of(repo, *file)).collect::<history::Result<Vec<_>>>()?;
    let at = || place.dir.join(place.name.clone());
    Model::of(files).map_err(|tensor| Error::Soup {
        path: at(),
        why: format!("two of its tensors are called `{tensor}`"),
    })
}

fn through(error: crate::tensors::Error) -> Error {
    match error {
        crate::tensors::Error::History(error) => error.into(),
        crate::tensors::Error::NotAnArray => Error::SoupRefused(error.to_string()),
    }
}

/// Whether what stands at a path is what an entry says.
pub(super) fn is_there(now: Option<&Entry>, entry: &Entry) -> bool {
    let of = |entry: &Entry| (DraftEntry::from(entry).node, entry.attributes.mode);
    now.is_some_and(|now| of(now) == of(entry))
}
