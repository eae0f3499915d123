//! Trees as no Coral writes them.

use super::*;
use crate::id::{CommitId, TreeId};
use crate::store;

/// A tree of these names, each an empty directory, byte by byte.
fn tree_of(names: &[&[u8]]) -> Vec<u8> {
    let entry = |text: String| Entry {
        name: Name::new(text).expect("valid"),
        attributes: Attributes { mode: 0o755, modified: at(1) },
        node: Node::Dir(Tree::empty_id()),
    };
    let stand_in = |at: usize| "~".repeat(names[at].len() - 1) + &at.to_string();
    let tree = Tree::new((0..names.len()).map(|at| entry(stand_in(at))).collect()).expect("names differ");
    let mut bytes = tree.encode();
    for (at, name) in names.iter().enumerate() {
        let stand_in = stand_in(at).into_bytes();
        let found = bytes.windows(name.len()).position(|window| window == stand_in).expect("it is there");
        bytes[found..found + name.len()].copy_from_slice(name);
    }
    bytes
}

/// Commits a tree, whatever is in it.
fn commit_tree(repo: &Repo, encoding: &[u8]) -> (CommitId, TreeId) {
    let tree = Tree::id_of(encoding);
    let who = request("", 1).author;
    let commit = Commit {
        tree,
        parents: Vec::new(),
        author: who.clone(),
        committer: who,
        message: "evil".into(),
        metadata: BTreeMap::new(),
    };
    let bytes = commit.encode();
    let id = Commit::id_of(&bytes);
    let ingest = repo.store().begin().expect("begin");
    ingest.put_meta(store::Kind::Tree, tree.as_bytes(), encoding).expect("put");
    ingest.put_meta(store::Kind::Commit, id.as_bytes(), &bytes).expect("put");
    ingest.seal().expect("seal");
    (id, tree)
}

#[test]
fn a_tree_with_a_repository_in_it_is_damage_that_fsck_names() {
    for name in [&b".coral"[..], b".Coral. ", b"CORAL~1", ".co\u{200d}ral".as_bytes()] {
        let (_disk, repo) = create();
        let (commit, tree) = commit_tree(&repo, &tree_of(&[name]));
        assert!(matches!(repo.tree(tree), Err(Error::Damaged { .. })));
        repo.create_branch_at(
            &BranchName::new("evil").expect("valid"),
            commit,
            "pulled".into(),
            &request("", 2).author,
        )
        .expect("branch");
        let report = repo.fsck(false).expect("fsck");
        let said = format!("{:?}", report.findings);
        assert!(said.contains(&tree.to_string()) && said.contains("own folder"), "{said}");
        let out = tempfile::tempdir().expect("a scratch folder");
        let entry = repo.entry_at(commit, "evil", &TreePath::ROOT).expect("the root");
        assert!(matches!(repo.export(&entry, &out.path().join("out")), Err(Error::Damaged { .. })));
    }
    let (_disk, repo) = create();
    let (_, tree) = commit_tree(&repo, &tree_of(&[b"coral", b".coral2"]));
    assert!(repo.tree(tree).is_err(), "names out of order");
}
