//! Commits beside writers whose last word is heard late.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// What happens while somebody waits for closes, the first time and each time.
struct Late<F> {
    asked: Arc<AtomicU32>,
    act: F,
}

impl<F: Fn(u32) + Send + Sync> CloseListener for Late<F> {
    fn settle(&self) {
        (self.act)(self.asked.fetch_add(1, Ordering::Relaxed));
    }
}

/// A repository in whose worktree `second` was saved after `first` was closed, though of that the last word is not heard.
fn saved_one_after_the_other() -> (SimulatedDisk, Arc<Tenant>, NodeId) {
    let (disk, repo) = create();
    let worktree = Arc::new(tenant(&repo));
    let first = begin(&worktree, "first");
    save(&worktree, "second", b"later", 2);
    (disk, worktree, first)
}

fn begin(worktree: &Tenant, file: &str) -> NodeId {
    let node = worktree.create(NodeId::ROOT, &name(file), 0o644, at(1)).expect("create");
    worktree.write_at(node, 0, b"earlier", at(1)).expect("write");
    node
}

/// What another process commits, and how often it asks for closes.
fn commit_beside(disk: &SimulatedDisk, act: impl Fn(u32) + Send + Sync + 'static) -> (Repo, Committed, u32) {
    let repo = open(disk);
    let worktree = repo.worktree(&main()).expect("worktree");
    let asked = Arc::new(AtomicU32::new(0));
    hear_closes(&worktree, || Arc::new(Late { asked: Arc::clone(&asked), act }));
    let committed = worktree.commit(&request("beside", 3), &Task::default()).expect("commit");
    drop(worktree);
    (repo, committed, asked.load(Ordering::Relaxed))
}

#[test]
fn what_was_closed_before_something_that_is_committed_is_committed() {
    let (disk, worktree, first) = saved_one_after_the_other();
    let writer = Arc::clone(&worktree);
    let (repo, done, _) = commit_beside(&disk, move |asked| {
        if asked == 0 {
            writer.release(first, true, Release::Complete).expect("release");
        }
    });
    assert_eq!(committed(&repo, "main", "first").expect("committed"), b"earlier");
    assert_eq!(committed(&repo, "main", "second").expect("committed"), b"later");
    assert!(done.still_open.is_empty());
}

#[test]
fn what_was_closed_and_replaced_meanwhile_is_committed_as_it_is_now() {
    let (disk, worktree, first) = saved_one_after_the_other();
    let writer = Arc::clone(&worktree);
    let (repo, ..) = commit_beside(&disk, move |asked| {
        if asked == 0 {
            writer.release(first, true, Release::Complete).expect("release");
            save(&writer, "other", b"newer", 4);
            let names = writer.names();
            names
                .rename(
                    (NodeId::ROOT, &name("other")),
                    (NodeId::ROOT, &name("first")),
                    RenameMode::Replace,
                    at(4),
                )
                .expect("rename");
        }
    });
    assert_eq!(committed(&repo, "main", "first").expect("committed"), b"newer");
}

#[test]
fn what_is_written_on_and_what_stays_open_is_asked_for_once() {
    let (disk, worktree, first) = saved_one_after_the_other();
    let (writer, node) = (Arc::clone(&worktree), first);
    let (_, done, asked) = commit_beside(&disk, move |_| {
        writer.write_at(node, 7, b" and on", at(4)).expect("write");
        writer.release(node, true, Release::Complete).expect("release");
    });
    assert_eq!((done.still_open, asked), (vec![path("first")], 1));

    let (disk, worktree, _) = saved_one_after_the_other();
    let (_, done, asked) = commit_beside(&disk, |_| {});
    assert_eq!((done.still_open, asked), (vec![path("first")], 1));
    drop(worktree);
}

#[test]
fn files_that_are_closed_without_end_keep_no_commit_from_being_made() {
    let (disk, worktree, first) = saved_one_after_the_other();
    let (writer, open) = (Arc::clone(&worktree), std::sync::Mutex::new(first));
    commit_beside(&disk, move |asked| {
        let mut open = open.lock().expect("nobody panics");
        writer.release(*open, true, Release::Complete).expect("release");
        *open = begin(&writer, &format!("next {asked}"));
    });
}
