//! Several edits as one do what they do one after the other, or nothing.

use super::*;
use proptest::prelude::*;

fn attributes() -> Attributes {
    Attributes { mode: 0o644, modified: at(3) }
}

fn edit() -> impl Strategy<Value = Edit> {
    // So few paths that edits meet, in each other and in the same place.
    let path = || "[ab](/[ab]){0,2}".prop_map(|text| path(&text));
    let node = prop_oneof![
        "[xy]".prop_map(|target| Node::Symlink(target.into_bytes())),
        Just(Node::Dir(Tree::empty_id())),
    ];
    let put = (path(), node).prop_map(|(path, node)| Edit::Put {
        path,
        attributes: attributes(),
        node,
        replaces_dirs: false,
    });
    prop_oneof![2 => put, 1 => path().prop_map(|path| Edit::Remove { path })]
}

/// Everything in a worktree.
fn listing(worktree: &Worktree) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![(TreePath::ROOT, NodeId::ROOT)];
    while let Some((dir, node)) = dirs.pop() {
        for (name, node, attributes) in worktree.names().entries(node).expect("list") {
            let path = dir.join(name);
            let target = match attributes.kind {
                Kind::Symlink => worktree.names().read_link(node).expect("link"),
                Kind::Dir => b"/".to_vec(),
                Kind::File => b"file".to_vec(),
            };
            found.push(format!("{path} {target:?}"));
            if attributes.kind == Kind::Dir {
                dirs.push((path, node));
            }
        }
    }
    found.sort();
    found
}

fn one(worktree: &Worktree, edit: &Edit) -> Result<()> {
    worktree.edits().make(vec![edit.clone()], at(3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn edits_as_one_are_edits_one_by_one_or_nothing(
        before in prop::collection::vec(edit(), 0..6),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let [(disk, alone), (_, together)] = [create(), create()];
        let alone = alone.worktree(&main()).expect("worktree");
        let together = together.worktree(&main()).expect("worktree");
        for edit in &before {
            let expected = one(&alone, edit).is_ok();
            prop_assert_eq!(together.edits().make(vec![edit.clone()], at(3)).is_ok(), expected, "{:?}", edit);
        }
        let started = listing(&together);
        prop_assert_eq!(&started, &listing(&alone));
        let fine = edits.iter().try_for_each(|edit| one(&alone, edit)).is_ok();
        let done = together.edits().make(edits, at(3));
        prop_assert_eq!(done.is_ok(), fine, "{:?}", done);
        prop_assert_eq!(listing(&together), if fine { listing(&alone) } else { started });
        drop(disk);
    }
}

#[test]
fn a_directory_comes_back_whole_over_whatever_took_its_place() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    worktree.names().make_dir(NodeId::ROOT, &name("d"), 0o711, at(1)).expect("mkdir");
    save(&worktree, "d/a", b"one", 1);
    save(&worktree, "m", b"two", 1);
    let id = worktree.commit(&request("first", 1), &Task::default()).expect("commit").id;
    worktree.edits().remove(&[path("d"), path("m"), path("d/a"), path("m")], true, at(2)).expect("remove");
    assert_eq!(listing(&worktree), Vec::<String>::new());
    worktree.edits().restore(&[path("d/a")], id, "main", at(3)).expect("restore");
    let d = worktree.names().resolve(&path("d")).expect("resolve").expect("there");
    assert_eq!(worktree.names().attributes(d).expect("attributes").mode, 0o711);
    save(&worktree, "d/new", b"not of the commit", 3);
    worktree.names().make_dir(NodeId::ROOT, &name("m"), 0o755, at(3)).expect("mkdir");
    save(&worktree, "m/in the way", b"x", 3);
    worktree.edits().restore(&[path("d"), path("m"), path("d")], id, "main", at(4)).expect("restore");
    assert_eq!(changes(&worktree), []);
    save(&worktree, "e", b"x", 5);
    let nothing = worktree.edits().restore(&[path("e"), path("nowhere")], id, "main", at(5));
    assert!(matches!(nothing, Err(Error::History(history::Error::UnknownPath { .. }))), "{nothing:?}");
    assert_eq!(changes(&worktree), [("e".into(), ChangeKind::Added)]);
    for (paths, recursive) in [(&["e", "nowhere"][..], true), (&["e", "d"], false), (&["e", ""], true)] {
        let paths: Vec<TreePath> = paths.iter().map(|text| path(text)).collect();
        assert!(worktree.edits().remove(&paths, recursive, at(6)).is_err(), "{paths:?}");
        assert_eq!(changes(&worktree), [("e".into(), ChangeKind::Added)]);
    }
}

#[test]
fn a_directory_that_is_brought_back_is_the_one_that_somebody_stands_in() {
    let (_, repo) = create();
    let worktree = tenant(&repo);
    let put = |target: &str, text: &str| Edit::Put {
        path: path(target),
        attributes: attributes(),
        node: Node::Symlink(text.into()),
        replaces_dirs: false,
    };
    worktree.edits().make(vec![put("d/a", "1"), put("d/e/b", "1")], at(1)).expect("made");
    let commit = worktree.commit(&request("one", 1), &Task::default()).expect("committed").id;
    let find = |target: &str| worktree.names().resolve(&path(target)).expect("readable");
    let (dir, below) = (find("d"), find("d/e"));
    worktree.edits().make(vec![put("d/a", "2"), put("d/c", "2"), put("d/e/b", "2")], at(2)).expect("made");
    worktree.edits().restore(&[path("d")], commit, "main", at(3)).expect("restored");
    assert_eq!((find("d"), find("d/e")), (dir, below));
    assert_eq!(find("d/c"), None);
    let link = |target: &str| worktree.names().read_link(find(target).expect("there")).expect("a link");
    assert_eq!((link("d/a"), link("d/e/b")), (b"1".to_vec(), b"1".to_vec()));
    let snapshot = worktree.snapshot(false).expect("a snapshot");
    let tree = repo.commit(commit).expect("there").tree;
    assert_eq!(snapshot.diff_from(tree, &worktree).expect("readable"), Vec::new());
}
