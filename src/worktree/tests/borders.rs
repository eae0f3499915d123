//! Trees as no Coral writes them.

use super::*;
use crate::id::{CommitId, TreeId};
use crate::store;

/// A tree of these names, each an empty directory, byte by byte.
fn tree_of(names: &[&[u8]]) -> Vec<u8> {
    let stand_in = |at: usize| "~".repeat(names[at].len() - 1) + &at.to_string();
    let entries = (0..names.len()).map(|at| dir_entry(&stand_in(at), Tree::empty_id()));
    let tree = Tree::new(entries.collect()).expect("names differ");
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
    let ingest = repo.store().begin().expect("begin");
    ingest.put_meta(store::Kind::Tree, tree.as_bytes(), encoding).expect("put");
    (commit_of(repo, ingest, tree), tree)
}

/// Commits a tree that is in the store, or in what is being stored.
fn commit_of(repo: &Repo, ingest: store::Ingest, tree: TreeId) -> CommitId {
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
    ingest.put_meta(store::Kind::Commit, id.as_bytes(), &bytes).expect("put");
    ingest.seal().expect("seal");
    assert_eq!(repo.commit(id).expect("it is there").tree, tree);
    id
}

fn dir_entry(of: &str, tree: TreeId) -> Entry {
    let attributes = Attributes { mode: 0o755, modified: at(1) };
    Entry { name: name(of), attributes, node: Node::Dir(tree) }
}

#[test]
fn a_tree_with_a_repository_in_it_is_damage_that_fsck_names() {
    for name in [&b".coral"[..], b".Coral. ", b"CORAL~1", ".co\u{200d}ral".as_bytes()] {
        let (_disk, repo) = create();
        let (commit, tree) = commit_tree(&repo, &tree_of(&[name]));
        assert!(matches!(repo.tree(tree), Err(history::Error::Damaged { .. })));
        Branches::of(&repo)
            .create_at(
                &BranchName::new("evil").expect("valid"),
                commit,
                "pulled".into(),
                &request("", 2).author,
            )
            .expect("branch");
        let report = fsck(&repo, false, &Task::default()).expect("fsck");
        let said = format!("{:?}", report.findings);
        assert!(said.contains(&tree.to_string()) && said.contains("own folder"), "{said}");
        let out = tempfile::tempdir().expect("a scratch folder");
        let entry = repo.entry_at(commit, "evil", &TreePath::ROOT).expect("the root");
        assert!(matches!(
            repo.export(&entry, &out.path().join("out"), &Task::default()),
            Err(history::Error::Damaged { .. })
        ));
    }
    let (_disk, repo) = create();
    let (_, tree) = commit_tree(&repo, &tree_of(&[b"coral", b".coral2"]));
    assert!(repo.tree(tree).is_err(), "names out of order");
}

/// Deeper than any stack that has a frame for each directory.
const DEEP: usize = 10_000;

/// A commit of a chain of directories.
fn deep_commit(repo: &Repo) -> CommitId {
    let ingest = repo.store().begin().expect("begin");
    let mut tree = Tree::empty_id();
    for _ in 0..DEEP {
        let encoding = Tree::new(vec![dir_entry("d", tree)]).expect("one name").encode();
        tree = Tree::id_of(&encoding);
        ingest.put_meta(store::Kind::Tree, tree.as_bytes(), &encoding).expect("put");
    }
    commit_of(repo, ingest, tree)
}

/// Does something with little stack.
fn on_a_small_stack<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, act);
        thread.expect("a thread").join().expect("it does not panic")
    })
}

#[test]
fn depth_costs_no_stack_in_whatever_looks_at_a_tree() {
    let (_disk, repo) = create();
    let commit = deep_commit(&repo);
    let author = request("", 2).author;
    Branches::of(&repo)
        .create_at(&BranchName::new("deep").expect("valid"), commit, "made".into(), &author)
        .expect("branch");
    on_a_small_stack(|| {
        let tree = repo.commit(commit).expect("commit").tree;
        let walked: Vec<_> = TreeWalk::below(&repo, tree).collect::<history::Result<_>>().expect("walk");
        assert_eq!(walked.len(), DEEP);
        let deepest = &walked[DEEP - 1].0;
        assert_eq!(deepest.names().len(), DEEP);
        assert!(repo.find_in_tree(tree, deepest).expect("find").is_some());
        let beyond = deepest.join(name("e"));
        let unknown = repo.entry_at(commit, "deep", &beyond);
        assert!(matches!(unknown, Err(history::Error::UnknownPath { .. })), "{unknown:?}");
        let changes = repo.diff_trees(Tree::empty_id(), tree).expect("diff");
        assert_eq!(changes.iter().map(|change| &change.path).collect::<Vec<_>>(), [deepest]);
        assert_eq!(repo.diff_trees(tree, Tree::empty_id()).expect("diff").len(), 1);
        // The empty one at the bottom counts too.
        assert_eq!(fsck(&repo, true, &Task::default()).expect("fsck").trees, DEEP as u64 + 1);
        let out = tempfile::tempdir().expect("a scratch folder");
        let entry = repo.entry_at(commit, "deep", &TreePath::ROOT).expect("the root");
        repo.export(&entry, &out.path().join("out"), &Task::default()).expect("export");
        // The standard library's own removal takes a frame for each directory.
        let removed = std::process::Command::new("rm").arg("-rf").arg(out.path().join("out")).status();
        assert!(removed.expect("rm runs").success());
    });
}

#[test]
fn a_directory_that_is_wrong_about_a_length_is_told_and_never_waited_for() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", &[7; 3_000], 1);
    let id = worktree.commit(&request("first", 1), &Task::default()).expect("commit").id;
    let honest = repo.entry_at(id, "main", &path("a")).expect("a file");
    let Node::File { recipe, len } = honest.node else { panic!("not a file") };
    for said in [len - 1, len + 1, u64::MAX] {
        let liar = Entry { node: Node::File { recipe, len: said }, ..honest.clone() };
        let ingest = repo.store().begin().expect("begin");
        let encoding = Tree::new(vec![liar.clone()]).expect("one name").encode();
        let tree = Tree::id_of(&encoding);
        ingest.put_meta(store::Kind::Tree, tree.as_bytes(), &encoding).expect("put");
        let commit = commit_of(&repo, ingest, tree);
        let read = repo.read_through(recipe, said, &"a", |_| Ok::<_, history::Error>(()));
        assert!(matches!(read, Err(history::Error::WrongLength { .. })), "{said}: {read:?}");
        let out = tempfile::tempdir().expect("a scratch folder");
        let exported = repo.export(&liar, &out.path().join("a"), &Task::default());
        assert!(matches!(exported, Err(history::Error::WrongLength { .. })), "{said}: {exported:?}");
        let branch = BranchName::new(format!("liar-{said}")).expect("valid");
        Branches::of(&repo)
            .create_at(&branch, commit, "made".into(), &request("", 2).author)
            .expect("branch");
        let said = format!("{:?}", fsck(&repo, false, &Task::default()).expect("fsck").findings);
        assert!(said.contains("its directory says"), "{said}");
    }
}

#[test]
fn nothing_is_made_beyond_the_limits_nor_moved_there() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let chain = |top: &str, count: usize| {
        let mut dir = worktree.names().make_dir(NodeId::ROOT, &name(top), 0o755, at(1)).expect("mkdir");
        for _ in 1..count {
            dir = worktree.names().make_dir(dir, &name("d"), 0o755, at(1)).expect("mkdir");
        }
        dir
    };
    let (deepest, other) = (chain("a", DEPTH_MAX), chain("b", 500));
    let parent = worktree.names().parent(deepest).expect("parent");
    let too_deep = |done: Result<()>| {
        assert!(matches!(done, Err(Error::History(history::Error::Path(PathError::TooDeep(_))))), "{done:?}")
    };
    too_deep(worktree.names().make_dir(deepest, &name("x"), 0o755, at(2)).map(drop));
    too_deep(worktree.names().make_symlink(deepest, &name("x"), b"y", at(2)).map(drop));
    too_deep(worktree.create(deepest, &name("x"), 0o644, at(2)).map(drop));
    save(&worktree, "file", b"one", 2);
    let file = (NodeId::ROOT, &name("file"));
    too_deep(worktree.names().rename(file, (deepest, &name("x")), RenameMode::Replace, at(2)));
    worktree
        .names()
        .rename(file, (parent, &name("x")), RenameMode::Replace, at(2))
        .expect("just as deep as can be");
    worktree.commit(&request("deep", 3), &Task::default()).expect("commit");
    // What is in a directory does not go beyond the limit with it, whether somebody looked into it or not.
    let a = (NodeId::ROOT, &name("a"));
    for process in [&worktree, &tenant(&open(&disk))] {
        let other = process.names().resolve(&path("b")).expect("resolve").expect("there");
        let into = (other, &name("a"));
        too_deep(process.names().rename(a, into, RenameMode::Replace, at(4)));
        too_deep(process.names().rename(a, into, RenameMode::NoReplace, at(4)));
        let child = process.names().make_dir(other, &name("x"), 0o755, at(4)).expect("mkdir");
        too_deep(process.names().rename(a, (other, &name("x")), RenameMode::Exchange, at(4)));
        too_deep(process.names().rename((other, &name("x")), a, RenameMode::Exchange, at(4)));
        process.names().remove_dir(other, &name("x"), at(4)).expect("nothing moved");
        assert!(process.names().path_of(child).is_err());
    }
    // Up and sideways it goes.
    let second = worktree.names().resolve(&path("a/d")).expect("resolve").expect("there");
    worktree
        .names()
        .rename((NodeId::ROOT, &name("a")), (NodeId::ROOT, &name("c")), RenameMode::Replace, at(5))
        .expect("rename");
    let c = worktree.names().resolve(&path("c")).expect("resolve").expect("there");
    worktree
        .names()
        .rename((c, &name("d")), (NodeId::ROOT, &name("d")), RenameMode::Replace, at(5))
        .expect("rename");
    worktree
        .names()
        .rename((NodeId::ROOT, &name("d")), (other, &name("d")), RenameMode::Replace, at(5))
        .expect_err("500 deep");
    assert_eq!(worktree.names().path_of(second).expect("path"), path("d"));
    let x = worktree.names().lookup(parent, &name("x")).expect("lookup").expect("moved along").0;
    worktree.set_len(x, 0, at(5)).expect("it can be written");
    worktree.names().unlink(parent, &name("x"), at(5)).expect("it can be removed");
    assert!(fsck(&repo, true, &Task::default()).expect("fsck").findings.is_empty());
}

/// Names of 255 bytes reach the limit of a path's bytes before that of its names.
#[test]
fn a_directory_does_not_get_a_name_with_which_what_is_in_it_has_too_long_a_path() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let long = "n".repeat(255);
    let mut dir = worktree.names().make_dir(NodeId::ROOT, &name("a"), 0o755, at(1)).expect("mkdir");
    for _ in 0..255 {
        dir = worktree.names().make_dir(dir, &name(&long), 0o755, at(1)).expect("mkdir");
    }
    // "a", 255 names of 255 bytes and a last one are 65,535 bytes with their slashes.
    worktree.names().make_dir(dir, &name(&"m".repeat(253)), 0o755, at(1)).expect("just as long as can be");
    worktree.commit(&request("long", 2), &Task::default()).expect("commit");
    for process in [&worktree, &tenant(&open(&disk))] {
        let to = |text: &str| {
            process.names().rename(
                (NodeId::ROOT, &name("a")),
                (NodeId::ROOT, &name(text)),
                RenameMode::Replace,
                at(3),
            )
        };
        assert!(
            matches!(to("bb"), Err(Error::History(history::Error::Path(PathError::PathTooLong(65_536))))),
            "{:?}",
            to("bb")
        );
        to("b").expect("no longer than it was");
        process
            .names()
            .rename((NodeId::ROOT, &name("b")), (NodeId::ROOT, &name("a")), RenameMode::Replace, at(3))
            .expect("back");
    }
}
