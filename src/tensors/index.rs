//! The tensors of one model by the names of their files.
//!
//! Made from recipes alone, in time proportional to the number of tensors; finding one by name compares a few names.

use std::cmp::Ordering;

use crate::history::{self, Repo};
use crate::id::RecipeId;
use crate::recipe::Recipe;

use super::lens::Lens;
use super::names::tensor_stems;

/// Which tensor of which file one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Located {
    /// The file.
    pub recipe: RecipeId,
    /// Its number in the file's table.
    pub tensor: usize,
}

/// Names without extension, each distinct and legal as a file name, with the tensors that they stand for; sorted.
#[derive(Debug, Default)]
pub struct Index {
    /// All names, one after the other.
    names: String,
    /// In the order of the names.
    entries: Box<[Entry]>,
    files: Vec<RecipeId>,
}

/// A tensor: there may be millions, so in few bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its name ends; it begins where the one before ends.
    end: usize,
    /// Which of the files has it.
    file: u32,
    tensor: u32,
}

impl Index {
    /// The tensors of some files that are shown, with the first damage if some cannot be read.
    pub(super) fn of(repo: &Repo, files: &[RecipeId], lens: Lens) -> (Self, Option<history::Error>) {
        let (mut recipes, mut damage) = (Vec::with_capacity(files.len()), None);
        for &id in files {
            match repo.recipe(id) {
                Ok(recipe) => recipes.push((id, recipe)),
                Err(error) => drop(damage.get_or_insert(error)),
            }
        }
        let tensors = (0..).zip(&recipes).flat_map(|(file, (_, recipe))| tensors_of(file, recipe, lens));
        let (names, places): (Vec<&str>, Vec<(u32, u32)>) = tensors.unzip();
        let mut named: Vec<(String, (u32, u32))> = tensor_stems(&names).into_iter().zip(places).collect();
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut names = String::with_capacity(named.iter().map(|(name, _)| name.len()).sum());
        let entries = named.into_iter().map(|(name, (file, tensor))| {
            names.push_str(&name);
            Entry { end: names.len(), file, tensor }
        });
        let entries = entries.collect();
        (Self { names, entries, files: recipes.into_iter().map(|(id, _)| id).collect() }, damage)
    }

    /// The name at a position in their order, with its tensor.
    pub fn get(&self, position: usize) -> Option<(&str, Located)> {
        let entry = self.entries.get(position)?;
        let begin = position.checked_sub(1).map_or(0, |before| self.entries[before].end);
        let recipe = self.files[entry.file as usize];
        Some((&self.names[begin..entry.end], Located { recipe, tensor: entry.tensor as usize }))
    }

    /// The tensor with this name.
    pub fn find(&self, name: &str) -> Option<Located> {
        let (mut from, mut to) = (0, self.entries.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let (known, at) = self.get(middle)?;
            match known.cmp(name) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Some(at),
            }
        }
        None
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The tensors of one file that are shown by name, with which file it is and their numbers in it.
fn tensors_of(file: u32, content: &Recipe, lens: Lens) -> impl Iterator<Item = (&str, (u32, u32))> {
    let shown = (0..).zip(content.table()).filter(move |(_, tensor)| lens.shows(&tensor.info));
    shown.map(move |(number, tensor)| (tensor.info.name.as_str(), (file, number)))
}
