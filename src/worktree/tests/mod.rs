//! The repository on a simulated disk: from worktree to history and back.

mod actors;
mod between;
mod borders;
mod checked;
mod closed;
mod costs;
mod crash;
mod cut;
mod deletions;
mod descriptors;
mod edits;
mod free;
mod full;
mod gone;
mod keepsakes;
mod later;
mod lent;
mod lost;
mod merging;
mod moved_over;
mod readers;
mod stopped;
mod take;
mod unchanged;

use super::*;
use super::{Error, Result, Warning};
use crate::disk::{Disk, Patience, SimulatedDisk};
use crate::history;
use crate::history::*;
use crate::task::Task;
use crate::units::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = "/repo/.coral";

pub(super) fn main() -> BranchName {
    BranchName::new("main").expect("valid")
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 0 }
}

pub(super) fn path(text: &str) -> TreePath {
    TreePath::parse(text).expect("valid")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("valid")
}

pub(super) fn open(disk: &SimulatedDisk) -> Repo {
    Repo::open(Arc::new(disk.clone()), Path::new(ROOT), Options::default()).expect("open")
}

pub(super) fn create() -> (SimulatedDisk, Repo) {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new("/repo")).expect("create");
    disk.sync_dir(Path::new("/")).expect("sync");
    Repo::create(Arc::new(disk.clone()), Path::new(ROOT), &main()).expect("create");
    let repo = open(&disk);
    (disk, repo)
}

/// The worktree of main, to write into.
pub(super) fn tenant(repo: &Repo) -> Tenant {
    Tenant::adopt(repo.worktree(&main()).expect("worktree")).expect("adopt").0
}

pub(super) fn request(message: &str, seconds: i64) -> CommitRequest {
    let who = Signature {
        name: "Ada".into(),
        email: "ada@example.org".into(),
        time: at(seconds),
        offset_minutes: 0,
    };
    CommitRequest {
        author: who.clone(),
        committer: who,
        message: message.into(),
        metadata: BTreeMap::new(),
        include_open: false,
        allow_empty: false,
        level: None,
        tag: None,
        amend: None,
        coding: Coding::Now,
        only: Vec::new(),
    }
}

/// Writes a whole file as a program does: create or truncate, write, close.
pub(super) fn save(worktree: &Tenant, file: &str, bytes: &[u8], now: i64) -> NodeId {
    let file = path(file);
    let (dir, last) = file.split_last().expect("not the root");
    let dir = worktree.names().resolve(&dir).expect("resolve").expect("the directory exists");
    let node = match worktree.names().lookup(dir, last).expect("lookup") {
        Some((node, _)) => {
            worktree.open_file(node, true).expect("open");
            worktree.set_len(node, 0, at(now)).expect("truncate");
            node
        }
        None => worktree.create(dir, last, 0o644, at(now)).expect("create"),
    };
    worktree.write_at(node, 0, bytes, at(now)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    node
}

/// Writes a whole file and syncs it.
fn synced(worktree: &Tenant, file: &str, bytes: &[u8]) {
    let node = save(worktree, file, bytes, 1);
    worktree.sync(node).expect("sync");
}

/// A new file `sized` that got its size, then its bytes, 30,000 of 9, and no sync; what was synced is another one.
fn sized_and_written() -> (SimulatedDisk, Tenant) {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = worktree.create(NodeId::ROOT, &name("sized"), 0o644, at(1)).expect("create");
    worktree.set_len(node, 30_000, at(1)).expect("size");
    worktree.write_at(node, 0, &[9; 30_000], at(1)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    synced(&worktree, "other", b"somebody else's");
    (disk, worktree)
}

/// A file `sized` that was committed with 100 bytes of 7; then it was opened, and 30,000 that nobody wrote were synced.
fn committed_and_sized() -> (SimulatedDisk, Tenant, NodeId) {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "sized", &[7; 100], 1);
    worktree.commit(&request("first", 2), &Task::default()).expect("commit");
    let node = worktree.names().resolve(&path("sized")).expect("resolve").expect("there");
    worktree.open_file(node, true).expect("open");
    worktree.set_len(node, 0, at(1)).expect("size");
    worktree.set_len(node, 30_000, at(1)).expect("size");
    worktree.sync(node).expect("sync");
    (disk, worktree, node)
}

/// The bytes of a file in a worktree; `None` if there is none.
pub(super) fn load(worktree: &Worktree, file: &str) -> Option<Vec<u8>> {
    let node = worktree.names().resolve(&path(file)).expect("resolve")?;
    let mut bytes = vec![0; worktree.names().attributes(node).expect("attributes").len as usize];
    assert_eq!(worktree.staging().read_at(node, 0, &mut bytes).expect("read"), bytes.len());
    Some(bytes)
}

/// The bytes of a file in a commit; `None` if there is none.
pub(super) fn committed(repo: &Repo, revision: &str, file: &str) -> Option<Vec<u8>> {
    let commit = repo.resolve(revision, at(0)).expect("resolve");
    let tree = repo.commit(commit).expect("commit").tree;
    let entry = repo.find_in_tree(tree, &path(file)).expect("find")?;
    let Node::File { recipe, len } = entry.node else { panic!("not a file") };
    let mut bytes = vec![0; len as usize];
    let recipe = repo.recipe(recipe).expect("recipe");
    assert_eq!(repo.reader(&recipe).read_at(0, &mut bytes).expect("read"), bytes.len());
    Some(bytes)
}

fn changes(worktree: &Worktree) -> Vec<(String, ChangeKind)> {
    let base = worktree.base().expect("base");
    let tree = base.map_or(Tree::empty_id(), |base| worktree.repo().commit(base).expect("commit").tree);
    let snapshot = worktree.snapshot(false).expect("snapshot");
    let changes = snapshot.diff_from(tree, worktree).expect("diff");
    changes.into_iter().map(|change| (change.path.to_string(), change.kind)).collect()
}

#[test]
fn what_is_saved_and_committed_comes_back_after_reopening() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    worktree.names().make_dir(NodeId::ROOT, &name("run"), 0o755, at(1)).expect("mkdir");
    save(&worktree, "run/a.bin", b"first", 1);
    assert_eq!(changes(&worktree), [("run/a.bin".into(), ChangeKind::Added)]);
    let first = worktree.commit(&request("first", 2), &Task::default()).expect("commit");
    assert!(first.is_root);
    assert_eq!(changes(&worktree), []);
    save(&worktree, "run/a.bin", b"second", 3);
    save(&worktree, "b.bin", &vec![7; 300_000], 3);
    assert_eq!(
        changes(&worktree),
        [("b.bin".into(), ChangeKind::Added), ("run/a.bin".into(), ChangeKind::Modified)]
    );
    worktree.commit(&request("second", 4), &Task::default()).expect("commit");

    let repo = open(&disk);
    assert_eq!(committed(&repo, "main~1", "run/a.bin"), Some(b"first".to_vec()));
    assert_eq!(committed(&repo, "main", "run/a.bin"), Some(b"second".to_vec()));
    assert_eq!(committed(&repo, "main", "b.bin"), Some(vec![7; 300_000]));
    assert_eq!(committed(&repo, "main~1", "b.bin"), None);
    let worktree = tenant(&repo);
    assert_eq!(load(&worktree, "run/a.bin"), Some(b"second".to_vec()));
    assert_eq!(changes(&worktree), []);
    assert!(fsck(&repo, true, &Task::default()).expect("fsck").findings.is_empty());
}

#[test]
fn a_commit_takes_files_as_they_were_when_last_complete() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "log", b"complete", 1);
    worktree.open_file(node, true).expect("open");
    worktree.write_at(node, 8, b" and more", at(2)).expect("write");
    let new = worktree.create(NodeId::ROOT, &name("new"), 0o600, at(2)).expect("create");
    worktree.write_at(new, 0, b"half", at(2)).expect("write");

    let committed_id = worktree.commit(&request("while writing", 3), &Task::default()).expect("commit");
    assert_eq!(committed_id.still_open, [path("log"), path("new")]);
    assert_eq!(committed(&repo, "main", "log"), Some(b"complete".to_vec()));
    assert_eq!(committed(&repo, "main", "new"), None);
    assert_eq!(load(&worktree, "log"), Some(b"complete and more".to_vec()));

    worktree.write_at(new, 4, b" and whole", at(4)).expect("write");
    for node in [node, new] {
        worktree.release(node, true, Release::Complete).expect("release");
    }
    assert_eq!(changes(&worktree), [("log".into(), ChangeKind::Modified), ("new".into(), ChangeKind::Added)]);
    worktree.commit(&request("closed", 5), &Task::default()).expect("commit");
    assert_eq!(committed(&repo, "main", "log"), Some(b"complete and more".to_vec()));
    assert_eq!(committed(&repo, "main", "new"), Some(b"half and whole".to_vec()));
}

#[test]
fn a_file_is_complete_when_the_last_writer_lets_go_of_it() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let node = worktree.create(NodeId::ROOT, &name("a"), 0o600, at(1)).expect("create");
    worktree.write_at(node, 0, b"one", at(1)).expect("write");
    worktree.open_file(node, true).expect("open");
    worktree.release(node, true, Release::Complete).expect("release");
    assert!(matches!(
        worktree.commit(&request("half", 2), &Task::default()),
        Err(Error::NothingToCommit { .. })
    ));
    worktree.write_at(node, 3, b" two", at(3)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    worktree.commit(&request("two", 4), &Task::default()).expect("commit");
    assert_eq!(committed(&repo, "main", "a"), Some(b"one two".to_vec()));
}

#[test]
fn only_the_commit_that_was_looked_at_is_amended() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", b"one", 1);
    let first = worktree.commit(&request("first", 2), &Task::default()).expect("commit").id;
    save(&worktree, "b", b"two", 3);
    let second = worktree.commit(&request("second", 4), &Task::default()).expect("commit").id;
    save(&worktree, "c", b"three", 5);
    let amend = |id| CommitRequest { amend: Some(id), ..request("amended", 6) };
    // Somebody committed while the message was written.
    let refused = worktree.commit(&amend(first), &Task::default());
    assert!(matches!(refused, Err(Error::NotTheLast { commit, .. }) if commit == first), "{refused:?}");
    assert_eq!(repo.refs().branch(&main()).expect("readable"), Some(second));
    let amended = worktree.commit(&amend(second), &Task::default()).expect("amended").id;
    assert_eq!(repo.commit(amended).expect("commit").parents, [first]);
    assert_eq!(committed(&repo, "main", "c"), Some(b"three".to_vec()));
}

#[test]
fn nothing_to_commit_is_an_error_and_times_alone_are_nothing() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    assert!(matches!(
        worktree.commit(&request("x", 1), &Task::default()),
        Err(Error::NothingToCommit { .. })
    ));
    save(&worktree, "a", b"same", 1);
    worktree.commit(&request("x", 2), &Task::default()).expect("commit");
    save(&worktree, "a", b"same", 3);
    assert_eq!(changes(&worktree), []);
    assert!(matches!(
        worktree.commit(&request("y", 4), &Task::default()),
        Err(Error::NothingToCommit { .. })
    ));
}

#[test]
fn a_second_process_sees_and_commits_what_the_first_saved() {
    let (disk, repo) = create();
    let first = tenant(&repo);
    save(&first, "a", b"from the first", 1);
    let other = open(&disk);
    let second = other.worktree(&main()).expect("worktree");
    assert_eq!(load(&second, "a"), Some(b"from the first".to_vec()));
    second.commit(&request("by the second", 2), &Task::default()).expect("commit");
    let put = Edit::Put {
        path: path("b"),
        attributes: Attributes { mode: 0o644, modified: at(3) },
        node: Node::Symlink(b"a".to_vec()),
        replaces_dirs: false,
    };
    second.edits().make(vec![put], at(3)).expect("put");
    let node = first.names().resolve(&path("b")).expect("resolve").expect("there");
    assert_eq!(first.names().read_link(node).expect("link"), b"a");
    assert_eq!(first.base().expect("base"), Some(repo.resolve("main", at(0)).expect("resolve")));
    assert_eq!(load(&first, "a"), Some(b"from the first".to_vec()));
    assert_eq!(changes(&first), [("b".into(), ChangeKind::Added)]);
    assert!(!first.names().take_invalidations().expect("take").is_empty());
}

#[test]
fn files_that_a_dead_process_was_writing_are_named_and_complete_nothing() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "log", b"whole", 1);
    let node = worktree.create(NodeId::ROOT, &name("half"), 0o600, at(1)).expect("create");
    worktree.write_at(node, 0, b"ha", at(1)).expect("write");
    let log = worktree.names().resolve(&path("log")).expect("resolve").expect("there");
    worktree.open_file(log, true).expect("open");
    worktree.write_at(log, 5, b" and ha", at(1)).expect("write");
    assert_eq!(worktree.snapshot(false).expect("snapshot").still_open, [path("half"), path("log")]);
    drop(worktree);
    let survivor = tenant(&open(&disk));
    let snapshot = survivor.snapshot(false).expect("snapshot");
    assert_eq!((snapshot.interrupted, snapshot.still_open), (vec![path("half"), path("log")], vec![]));
    assert_eq!(load(&survivor, "half"), Some(b"ha".to_vec()));
    let done = survivor.commit(&request("after", 2), &Task::default()).expect("commit");
    assert_eq!(done.interrupted, [path("half"), path("log")]);
    assert_eq!(committed(&open(&disk), "main", "half"), None);
    assert_eq!(committed(&open(&disk), "main", "log"), Some(b"whole".to_vec()));
    // Who wants what arrived says so, or goes on writing.
    let log = survivor.names().resolve(&path("log")).expect("resolve").expect("there");
    survivor.open_file(log, true).expect("open");
    survivor.write_at(log, 12, b"lf", at(3)).expect("write");
    survivor.release(log, true, Release::Complete).expect("release");
    let all = CommitRequest { include_open: true, ..request("all", 3) };
    assert_eq!(survivor.commit(&all, &Task::default()).expect("commit").interrupted, []);
    assert_eq!(committed(&open(&disk), "main", "half"), Some(b"ha".to_vec()));
    assert_eq!(committed(&open(&disk), "main", "log"), Some(b"whole and half".to_vec()));
}

#[test]
fn renames_keep_the_node_and_the_bytes() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let dir = worktree.names().make_dir(NodeId::ROOT, &name("d"), 0o755, at(1)).expect("mkdir");
    let node = save(&worktree, "t.tmp", b"new", 1);
    save(&worktree, "d/t", b"old", 1);
    let rename =
        |mode| worktree.names().rename((NodeId::ROOT, &name("t.tmp")), (dir, &name("t")), mode, at(2));
    assert!(matches!(rename(RenameMode::NoReplace), Err(Error::Exists(_))));
    rename(RenameMode::Replace).expect("rename");
    assert_eq!(worktree.names().resolve(&path("d/t")).expect("resolve"), Some(node));
    assert_eq!(load(&worktree, "d/t"), Some(b"new".to_vec()));
    assert_eq!(load(&worktree, "t.tmp"), None);
    let into_itself =
        worktree.names().rename((NodeId::ROOT, &name("d")), (dir, &name("e")), RenameMode::Replace, at(3));
    assert!(matches!(into_itself, Err(Error::IntoItself(_))));
    assert!(matches!(worktree.names().remove_dir(NodeId::ROOT, &name("d"), at(3)), Err(Error::NotEmpty(_))));
    worktree.names().unlink(dir, &name("t"), at(4)).expect("unlink");
    worktree.names().remove_dir(NodeId::ROOT, &name("d"), at(4)).expect("rmdir");
    assert_eq!(changes(&worktree), []);
}

#[test]
fn an_open_file_outlives_its_name() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "a", b"bytes", 1);
    worktree.open_file(node, false).expect("open");
    worktree.names().unlink(NodeId::ROOT, &name("a"), at(2)).expect("unlink");
    worktree.sync(NodeId::ROOT).expect("sync");
    let mut bytes = [0; 5];
    assert_eq!(worktree.staging().read_at(node, 0, &mut bytes).expect("read"), 5);
    assert_eq!(&bytes, b"bytes");
    worktree.release(node, false, Release::Complete).expect("release");
    assert!(matches!(worktree.names().attributes(node), Err(Error::Stale)));
}

#[test]
fn a_clean_worktree_follows_its_branch_and_a_changed_one_says_that_it_cannot() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", b"1", 1);
    let first = worktree.commit(&request("1", 1), &Task::default()).expect("commit").id;
    save(&worktree, "a", b"2", 2);
    let second = worktree.commit(&request("2", 2), &Task::default()).expect("commit").id;
    let who = request("", 3).author;
    let back = LogEntry { who, message: "reset".into() };
    let durable = |id| repo.store().durable(id).expect("durable");
    repo.refs().update_branch(&main(), Some(second), durable(first), &back).expect("move");
    worktree.follow_branch().expect("follow");
    assert_eq!(load(&worktree, "a"), Some(b"1".to_vec()));
    save(&worktree, "b", b"mine", 4);
    repo.refs().update_branch(&main(), Some(first), durable(second), &back).expect("move");
    assert!(matches!(worktree.commit(&request("3", 5), &Task::default()), Err(Error::Diverged { .. })));
    assert_eq!(load(&open(&disk).worktree(&main()).expect("worktree"), "b"), Some(b"mine".to_vec()));
}

#[test]
fn revisions_are_what_git_users_type() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let mut ids = Vec::new();
    for n in 1..=4 {
        save(&worktree, "a", &[n], n.into());
        ids.push(worktree.commit(&request("c", i64::from(n) * 86_400), &Task::default()).expect("commit").id);
    }
    let tag = Tag { commit: ids[1], description: "best = good\n".into(), metrics: BTreeMap::new() };
    let v1 = TagName::new("v1").expect("valid");
    let entry = LogEntry { who: request("", 1).author, message: "tag".into() };
    let target = repo.store().durable(ids[1]).expect("durable");
    repo.refs().set_tag(&v1, &tag, target, false, &entry).expect("tag");
    assert_eq!(repo.refs().tag(&v1).expect("read"), Some(tag));
    let now = at(5 * 86_400);
    let prefix = &ids[2].to_string()[..8];
    for (text, n) in [
        ("HEAD", 3),
        ("@~1", 2),
        ("main^^", 1),
        ("main~3", 0),
        ("v1", 1),
        ("tags/v1^0", 1),
        (prefix, 2),
        ("main@{0}", 3),
        ("main@{2}", 1),
        ("@{yesterday}", 3),
        ("main@{2.days.ago}^", 1),
    ] {
        assert_eq!(repo.resolve(text, now).expect(text), ids[n], "{text}");
    }
    for text in ["main~4", "main^2", "main@{9}"] {
        assert!(matches!(repo.resolve(text, now), Err(history::Error::TooFar { .. })), "{text}");
    }
    assert!(matches!(repo.resolve("ffff", now), Err(history::Error::UnknownRevision { .. })));
    assert!(matches!(repo.resolve("main@{gibberish}", now), Err(history::Error::UnknownTime(_))));
    match repo.resolve("mian~1", now) {
        Err(history::Error::UnknownRevision { nearest, .. }) => assert_eq!(nearest.as_deref(), Some("main")),
        other => panic!("{other:?}"),
    }
    match repo.entry_at(ids[3], "main", &path("b")) {
        Err(history::Error::UnknownPath { nearest, .. }) => assert_eq!(nearest, Some(path("a"))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repository_of_a_newer_format_is_refused_by_name() {
    let (disk, _repo) = create();
    let reopen = |text: &[u8]| {
        disk.replace(&Path::new(ROOT).join("format"), text).expect("write");
        Repo::open(Arc::new(disk.clone()), Path::new(ROOT), Options::default()).map(drop)
    };
    assert!(matches!(
        reopen(format!("coral {}\n", history::FORMAT + 1).as_bytes()),
        Err(history::Error::NewerFormat { .. })
    ));
    assert!(matches!(reopen(b"\xff"), Err(history::Error::DamagedFile { .. })));
    disk.remove_file(&Path::new(ROOT).join("format")).expect("remove");
    let missing = Repo::open(Arc::new(disk.clone()), Path::new(ROOT), Options::default());
    assert!(matches!(missing, Err(history::Error::NotARepository(_))));
}

#[test]
fn branches_that_would_be_folders_of_each_other_are_refused() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", b"1", 1);
    let id = worktree.commit(&request("1", 1), &Task::default()).expect("commit").id;
    let durable = repo.store().durable(id).expect("durable");
    let entry = LogEntry { who: request("", 1).author, message: "branch".into() };
    let branch = |text| BranchName::new(text).expect("valid");
    let make = |text| repo.refs().update_branch(&branch(text), None, durable, &entry);
    make("feature/x").expect("create");
    assert!(matches!(make("feature"), Err(history::Error::RefConflict { .. })));
    assert!(matches!(make("feature/x/y"), Err(history::Error::RefConflict { .. })));
    repo.refs().delete_branch(&branch("feature/x"), id, &entry, || Ok(())).expect("delete");
    make("feature").expect("create");
    assert!(matches!(
        repo.refs().delete_branch(&main(), id, &entry, || Ok(())),
        Err(history::Error::CurrentBranch(_))
    ));
}
