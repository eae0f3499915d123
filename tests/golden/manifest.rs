//! What a repository holds, as text: one line for each file of each commit, and for each that is not committed yet.

use coral::history::{BranchName, DraftNode, Node, Repo, TreePath, TreeWalk, Walk};
use coral::id::TreeId;
use coral::worktree::has_worktree;
use std::collections::BTreeSet;

/// What was put into the golden repository.
pub const MANIFEST: &str = include_str!("manifest.txt");

/// A line of a manifest.
pub fn line(place: &str, path: &str, bytes: &[u8]) -> String {
    format!("{place}: {path} {} {}\n", bytes.len(), blake3::hash(bytes))
}

/// The commits that branches and tags reach.
pub struct Reached {
    pub repo: Repo,
    /// Their messages and trees.
    pub commits: Vec<(String, TreeId)>,
}

impl Reached {
    pub fn by(repo: &Repo) -> Self {
        let refs = repo.refs();
        let mut tips: Vec<_> = refs.branches().expect("branches").into_iter().map(|(_, tip)| tip).collect();
        tips.extend(refs.tags().expect("tags").into_iter().map(|(_, tag)| tag.commit));
        let walk = Walk::new(repo, tips).expect("a walk").map(|step| step.expect("a commit"));
        let commits = walk.map(|(_, commit)| (commit.message.trim().to_owned(), commit.tree)).collect();
        Self { repo: repo.clone(), commits }
    }
}

/// The manifest of a repository, read back from it.
pub fn of(repo: &Repo) -> String {
    let mut lines = BTreeSet::new();
    for (message, tree) in Reached::by(repo).commits {
        for step in TreeWalk::below(repo, tree) {
            let (path, entry) = step.expect("walked");
            lines.extend(file(repo, &message, &path, &entry.node));
        }
    }
    for (name, _) in repo.refs().branches().expect("branches") {
        lines.extend(pending(repo, &name));
    }
    lines.into_iter().collect()
}

fn file(repo: &Repo, place: &str, path: &TreePath, node: &Node) -> Option<String> {
    let Node::File { recipe, len } = *node else { return None };
    let mut bytes = Vec::new();
    let read = repo.read_through(recipe, len, path, |part| {
        bytes.extend_from_slice(part);
        Ok::<_, coral::history::Error>(())
    });
    read.unwrap_or_else(|error| panic!("{place}: {path}: {error}"));
    Some(line(place, &path.to_string(), &bytes))
}

/// The files of a branch's worktree that its tip has not.
fn pending(repo: &Repo, branch: &BranchName) -> Vec<String> {
    if !has_worktree(repo, branch).expect("looked") {
        return Vec::new();
    }
    let tip = repo.refs().branch(branch).expect("a branch").expect("a commit");
    let tree = repo.commit(tip).expect("a commit").tree;
    let snapshot = repo.worktree(branch).and_then(|worktree| worktree.snapshot(false)).expect("a snapshot");
    let mut dirs = vec![(TreePath::ROOT, snapshot.tree.root)];
    let mut lines = Vec::new();
    while let Some((path, dir)) = dirs.pop() {
        for entry in snapshot.tree.entries(dir, repo).expect("entries") {
            let path = path.join(entry.name);
            match &entry.node {
                DraftNode::Dir(below) => dirs.push((path, *below)),
                DraftNode::Known(node) => {
                    let committed = repo.find_in_tree(tree, &path).expect("looked").map(|entry| entry.node);
                    if committed.as_ref() != Some(node) {
                        lines.extend(file(repo, &format!("worktree of {branch}"), &path, node));
                    }
                }
                DraftNode::Staged { .. } => panic!("{path} is not stored"),
            }
        }
    }
    lines
}
