//! How often something is in a file: tensors of a name, or a text.
//!
//! Of a file with tensors only its table is looked at, and nothing of them is read.

use super::error::Result;
use crate::history::{DraftEntry, DraftNode, FileContent, Node, Repo, TreePath};
use crate::id::{RecipeId, TreeId};
use crate::store::{Source, StoreError};
use std::collections::HashMap;

/// Bytes that are read at once.
const WINDOW: usize = 1 << 20;

/// Files of more bytes that have no tensors are not looked through.
const LEN_MAX: u64 = 64 << 20;

/// Counts something in files, each version of a file once.
#[derive(Debug, Default)]
pub(super) struct Pickaxe {
    text: String,
    counted: HashMap<RecipeId, usize>,
}

impl Pickaxe {
    /// Looks for a text.
    pub(super) fn of(text: String) -> Self {
        Self { text, counted: HashMap::new() }
    }

    /// Whether there is more or less of it in one tree than in another, in a file that is meant.
    ///
    /// # Errors
    /// If a directory or a file cannot be read.
    pub(super) fn differs(
        &mut self,
        repo: &Repo,
        (old, new): (TreeId, TreeId),
        means: impl Fn(&TreePath) -> bool,
    ) -> Result<bool> {
        for change in repo.diff_trees(old, new)?.into_iter().filter(|change| means(&change.path)) {
            if self.count(repo, change.old.as_ref())? != self.count(repo, change.new.as_ref())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn count(&mut self, repo: &Repo, entry: Option<&DraftEntry>) -> Result<usize> {
        let Some(DraftNode::Known(Node::File { recipe, .. })) = entry.map(|entry| &entry.node) else {
            return Ok(0);
        };
        if let Some(count) = self.counted.get(recipe) {
            return Ok(*count);
        }
        let content = FileContent::of(repo, *recipe)?;
        let mut tensors = content.tensors().peekable();
        let count = match tensors.peek() {
            Some(_) => tensors.filter(|tensor| tensor.info.name == self.text).count(),
            None if content.recipe().len() > LEN_MAX => 0,
            None => occurrences(content.bytes(), self.text.as_bytes())?,
        };
        self.counted.insert(*recipe, count);
        Ok(count)
    }
}

/// How often a text is in bytes, where no two overlap.
fn occurrences(bytes: &dyn Source, text: &[u8]) -> Result<usize> {
    let (mut at, mut count) = (0, 0);
    let mut window = vec![0; WINDOW.max(2 * text.len())];
    if text.is_empty() {
        return Ok(0);
    }
    while at + text.len() as u64 <= bytes.len() {
        let len = (bytes.len() - at).min(window.len() as u64) as usize;
        bytes.read_exact_at(&mut window[..len], at).map_err(StoreError::from)?;
        let mut inside = 0;
        while let Some(found) = find(&window[inside..len], text) {
            count += 1;
            inside += found + text.len();
        }
        // The next window begins where one may begin that this one has not whole.
        at += inside.max(len - (text.len() - 1)) as u64;
    }
    Ok(count)
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_also_where_windows_meet() {
        let mut bytes = vec![b'.'; 3 * WINDOW];
        for at in [0, WINDOW - 3, WINDOW + 100, 2 * WINDOW - 1, 3 * WINDOW - 6] {
            bytes[at..at + 6].copy_from_slice(b"needle");
        }
        assert_eq!(occurrences(&bytes, b"needle").expect("memory"), 5);
        assert_eq!(occurrences(&b"aaaaa".to_vec(), b"aa").expect("memory"), 2);
        assert_eq!(occurrences(&b"a".to_vec(), b"aa").expect("memory"), 0);
        assert_eq!(occurrences(&b"a".to_vec(), b"").expect("memory"), 0);
    }
}
