//! What a rim does, without a command line: everything that there is to tell comes back as a value.

use super::*;
use crate::disk::RealDisk;
use crate::history::{self, BranchName, ChangeKind, Repo, TreePath};
use crate::task::Task;
use crate::units::Timestamp;
use crate::worktree::{self, Branches, Coding, CommitRequest, Edit, MergingKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder with a repository, and somebody who stands in a folder of it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("repo/run")).expect("create");
        let main = BranchName::new("main").expect("valid");
        Repo::create(Arc::new(RealDisk), &folder.path().join("repo/.coral"), &main).expect("created");
        Self { folder }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("there").join(below)
    }

    fn surroundings(&self, below: &str) -> Surroundings {
        Surroundings {
            cwd: self.path(below),
            variables: vec![("CORAL_USER_NAME".into(), "Ada".into())],
            now: Timestamp { seconds: 7, nanoseconds: 0 },
            offset_minutes: 60,
        }
    }

    fn open(&self) -> Workspace {
        Workspace::open(&self.surroundings("repo/run")).expect("a repository")
    }

    /// Saves a file beside the repository and adds it.
    fn add(&self, workspace: &Workspace, branch: &BranchName, bytes: &[u8]) {
        fs::write(self.path("repo/run/w.bin"), bytes).expect("write");
        let worktree = workspace.worktree(branch).expect("a worktree").worktree;
        let request = AddRequest { paths: vec!["w.bin".into()], ..AddRequest::default() };
        let (added, heard) = workspace.adding().add(&worktree, &request, &Task::default()).expect("added");
        assert_eq!(added.added[0].path, tree_path());
        assert_eq!(heard, Heard::default());
    }
}

fn tree_path() -> TreePath {
    TreePath::parse("run/w.bin".as_bytes()).expect("valid")
}

fn commit(workspace: &Workspace, branch: &BranchName) {
    let request = CommitRequest {
        author: workspace.signature(),
        committer: workspace.signature(),
        message: "x".into(),
        metadata: Default::default(),
        include_open: false,
        allow_empty: false,
        level: None,
        tag: None,
        amend: None,
        coding: Coding::Now,
        only: Vec::new(),
    };
    let worktree = workspace.worktree(branch).expect("a worktree").worktree;
    worktree.commit(&request, &Task::default()).expect("committed");
}

#[test]
fn a_repository_is_found_from_below_with_the_settings_that_were_handed_in() {
    let scene = Scene::new();
    let workspace = scene.open();
    assert_eq!(workspace.folder, scene.path("repo"));
    let who = workspace.signature();
    assert_eq!((who.name.as_str(), who.time.seconds, who.offset_minutes), ("Ada", 7, 60));
    assert_eq!(workspace.branch(None).expect("HEAD").as_str(), "main");
    assert_eq!(workspace.paths().tree_path(Path::new("./w.bin")).expect("valid"), tree_path());
    assert_eq!(
        scene.surroundings("repo/.coral/packs").find().expect("found").root,
        scene.path("repo/.coral")
    );
    let outside = Workspace::open(&scene.surroundings(""));
    assert!(matches!(outside, Err(Error::Repo(history::Error::NotARepository(_)))), "{outside:?}");
}

#[test]
fn what_is_dropped_is_told_with_what_there_is_of_it() {
    let scene = Scene::new();
    let workspace = scene.open();
    let main = workspace.branch(None).expect("HEAD");
    scene.add(&workspace, &main, b"one");
    commit(&workspace, &main);
    scene.add(&workspace, &main, b"two");
    let worktree = workspace.worktree(&main).expect("a worktree").worktree;
    let what = Restore::Paths { paths: vec![tree_path()], source: None };
    let dropped = workspace.drops().restore(&worktree, &what, None).expect("restored").dropped.expect("told");
    let lost = Unsaved {
        files: [(tree_path(), Loss::Changed(ChangeKind::Modified))].into(),
        has_older: true,
        ..Unsaved::default()
    };
    assert_eq!(dropped, lost);
    // It is as it was: nothing is lost a second time.
    let again =
        workspace.drops().restore(&worktree, &Restore::All, None).expect("restored").dropped.expect("told");
    assert_eq!(again, Unsaved::default());
}

#[test]
fn a_branch_is_deleted_with_what_only_it_has_when_that_is_meant() {
    let scene = Scene::new();
    let workspace = scene.open();
    let main = workspace.branch(None).expect("HEAD");
    scene.add(&workspace, &main, b"one");
    commit(&workspace, &main);
    let side = BranchName::new("side").expect("valid");
    Branches::of(&workspace.repo).create(&side, "HEAD", &workspace.signature()).expect("made");
    scene.add(&workspace, &side, b"two");
    let refused = workspace.drops().delete_branch(&side, false, None);
    assert!(matches!(refused, Err(Error::Worktree(worktree::Error::UncommittedChanges(_)))), "{refused:?}");
    let deleted = workspace.drops().delete_branch(&side, true, None).expect("deleted");
    assert_eq!(deleted.dropped.expect("told").files.len(), 1);
    assert_eq!(deleted.commit, workspace.repo.resolve("main", workspace.now()).expect("a commit"));
}

#[test]
fn a_path_does_not_climb_out_of_a_mounted_worktree() {
    let scene = Scene::new();
    let mut workspace = scene.open();
    let main = workspace.branch(None).expect("HEAD");
    workspace.inside = Some((main.clone(), TreePath::parse("run".as_bytes()).expect("valid")));
    assert_eq!(workspace.paths().tree_path(Path::new("w.bin")).expect("valid"), tree_path());
    assert!(workspace.paths().tree_path(Path::new("..")).expect("valid").is_root());
    let out = workspace.paths().tree_path(Path::new("../.."));
    assert!(matches!(out, Err(Error::OutOfWorktree(_))), "{out:?}");
    let request = AddRequest { paths: vec!["none".into()], ..AddRequest::default() };
    assert!(workspace.adding().is_in_place(&main, &request));
    let worktree = workspace.worktree(&main).expect("a worktree").worktree;
    let missing = workspace.adding().check_saved(&worktree, &request.paths);
    assert!(matches!(missing, Err(Error::NotHere { .. })), "{missing:?}");
}

#[test]
fn names_are_given_moved_and_taken_away_as_values() {
    let scene = Scene::new();
    let workspace = scene.open();
    let main = workspace.branch(None).expect("HEAD");
    scene.add(&workspace, &main, b"one");
    commit(&workspace, &main);
    let tip = workspace.repo.refs().existing_branch(&main).expect("committed");
    let side = BranchName::new("side").expect("valid");
    let made =
        workspace.naming().create_branch(&BranchName::new("other").expect("valid"), "HEAD").expect("made");
    assert_eq!(made.commit, tip);
    let moved = workspace.naming().switch(&Switch::New { branch: side.clone(), start: None }).expect("made");
    assert_eq!(moved.head, history::Head::Branch(side));
    let detached = workspace.naming().switch(&Switch::To("HEAD".into())).expect("there");
    assert_eq!(detached.head, history::Head::Detached(tip));
    let mut request = TagRequest {
        name: history::TagName::new("v1").expect("valid"),
        revision: "main".into(),
        description: "good".into(),
        metrics: [("loss".to_owned(), "0.1".to_owned())].into(),
        replace: false,
    };
    let tagged = workspace.naming().tag(&request).expect("made");
    assert_eq!((tagged.tag.commit, tagged.was), (tip, None));
    assert_eq!(workspace.repo.refs().tag(&request.name).expect("read"), Some(tagged.tag));
    assert!(matches!(workspace.naming().tag(&request), Err(Error::Repo(history::Error::RefExists { .. }))));
    request.replace = true;
    assert_eq!(workspace.naming().tag(&request).expect("moved").was, Some(tip));
    assert_eq!(workspace.naming().delete_tag(&request.name).expect("there").was, Some(tip));
    let gone = workspace.naming().delete_tag(&request.name);
    assert!(matches!(gone, Err(Error::Repo(history::Error::UnknownRef { .. }))), "{gone:?}");
}

#[test]
fn a_soup_that_was_stopped_before_its_commit_goes_on_or_is_given_up() {
    let scene = Scene::new();
    let workspace = scene.open();
    let main = workspace.branch(None).expect("HEAD");
    scene.add(&workspace, &main, b"one");
    commit(&workspace, &main);
    let worktree = workspace.worktree(&main).expect("a worktree").worktree;
    let tip = workspace.repo.refs().existing_branch(&main).expect("committed");
    let stopped = || {
        let mut soup = merge::under_way(MergingKind::Soup, (tip, tip), "a soup".into(), None);
        soup.metadata = [("soup.method".to_owned(), "linear".to_owned())].into();
        let edit = Edit::Remove { path: tree_path() };
        let snapshot = worktree.snapshot(false).expect("a snapshot");
        workspace.merges().put_in(&worktree, &snapshot, &mut soup, vec![edit]).expect("it is in");
    };
    stopped();
    let request = SoupRequest {
        models: vec!["main".into()],
        base: None,
        recipe: crate::soup::Recipe::of(crate::soup::Method::Linear),
        recipe_text: None,
        best: None,
        last: None,
        message: None,
        dry_run: false,
        coding: Coding::Now,
    };
    let refused = workspace.soups().make(&worktree, &request, &Task::default());
    assert!(
        matches!(refused, Err(Error::Worktree(worktree::Error::UnderWay { what: "soup", .. }))),
        "{refused:?}"
    );
    let (_, dropped, _) = workspace.merges().give_up(&worktree).expect("given up");
    assert_eq!(dropped.expect("told"), Unsaved::default());
    assert!(worktree.names().resolve(&tree_path()).expect("readable").is_some());
    stopped();
    workspace.merges().go_on(&worktree, None, &Task::default()).expect("committed");
    let made = workspace
        .repo
        .commit(workspace.repo.resolve("main", workspace.now()).expect("moved"))
        .expect("there");
    assert_eq!((made.message.as_str(), made.parents.as_slice()), ("a soup", &[tip][..]));
    assert_eq!(made.metadata["soup.method"], "linear");
    assert_eq!(worktree.under_way().get().expect("readable"), None);
}

#[test]
fn what_is_taken_back_twice_at_once_is_taken_back_once() {
    let scene = Scene::new();
    let workspace = scene.open();
    let main = workspace.branch(None).expect("HEAD");
    scene.add(&workspace, &main, b"one");
    commit(&workspace, &main);
    scene.add(&workspace, &main, b"only here");
    let worktree = workspace.worktree(&main).expect("a worktree").worktree;
    workspace.drops().restore(&worktree, &Restore::All, Some(&Task::default())).expect("restored");
    let operations = workspace.repo.refs().logs().operations().expect("readable");
    let dropped = operations.last().expect("told");
    let undo = || dropped.put_back(&workspace.repo, true, &workspace.signature());
    undo().expect("taken back");
    let again = undo();
    assert!(matches!(again, Err(history::Error::Overtaken(number)) if number == dropped.number), "{again:?}");
}
