//! One commit, down to the last byte of every file.
//!
//! The id of a commit vouches for its tree, trees for what is in them, and the recipe of a file for the BLAKE3 of its bytes: who
//! trusts the id needs to trust nothing else. Everything is read from the packs; what several files share is read once.

use super::error::{Error, Result};
use super::fsck::Finding;
use super::repository::Repo;
use super::tree::Node;
use super::tree_walk::TreeWalk;
use crate::id::{CommitId, RecipeId};
use crate::task::{Task, Unit};
use std::collections::HashMap;

/// What was read of a commit, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Files, each place of equal ones counted.
    pub files: u64,
    /// Directories below the top.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of the files, each place of equal ones counted.
    pub bytes: u64,
    /// What is not what the commit says. Nothing of it is told below a directory that cannot be read.
    pub findings: Vec<Finding>,
}

/// Reads all that a commit names, and compares every byte with what vouches for it.
///
/// # Errors
/// If the task is stopped; what is damaged or missing is reported, not an error.
pub fn verify_commit(repo: &Repo, id: CommitId, task: &Task) -> Result<Verified> {
    let mut verified = Verified::default();
    let found = |place: String, what: &Error| Finding { place, what: what.to_string() };
    let commit = match repo.commit(id) {
        Ok(commit) => commit,
        Err(error) => {
            verified.findings.push(found(format!("commit {id}"), &error));
            return Ok(verified);
        }
    };
    // Of each content every place, the first one first.
    let mut contents: HashMap<(RecipeId, u64), Vec<String>> = HashMap::new();
    for entry in TreeWalk::below(repo, commit.tree) {
        task.check()?;
        match entry {
            Ok((path, entry)) => match entry.node {
                Node::File { recipe, len } => {
                    verified.files += 1;
                    verified.bytes += len;
                    contents.entry((recipe, len)).or_default().push(path.to_string());
                }
                Node::Dir(_) => verified.directories += 1,
                Node::Symlink(_) => verified.links += 1,
            },
            Err(error) => verified.findings.push(found("a directory".to_owned(), &error)),
        }
    }
    let distinct = contents.keys().map(|(_, len)| len).sum();
    let read = task.begin("verifying", Unit::Bytes, Some(distinct));
    let results = repo.store().threads().map(contents.into_iter(), |((recipe, len), places)| {
        let result = repo.read_through(recipe, len, &places[0], |bytes| {
            task.check()?;
            read.advance(bytes.len() as u64);
            Ok::<_, Error>(())
        });
        (result, places)
    });
    task.check()?;
    for (result, places) in results {
        if let Err(error) = result {
            verified.findings.extend(places.into_iter().map(|place| found(place, &error)));
        }
    }
    verified.findings.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(verified)
}
