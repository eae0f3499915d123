//! All or none: one failure, one kill and one power cut at every operation of the disk.

use super::super::ref_intent::Intent;
use super::super::reflog::LogLine;
use super::super::repository::Repo;
use super::super::testing::{ROOT, commit, create, open, who};
use super::*;
use crate::disk::{Disk, SimulatedDisk};
use std::collections::BTreeMap;
use std::path::Path;

fn branch(name: &str) -> BranchName {
    BranchName::new(name).expect("valid")
}

fn tag(name: &str) -> TagName {
    TagName::new(name).expect("valid")
}

fn entry() -> LogEntry {
    LogEntry { who: who(7), message: "moved".into() }
}

fn plain_tag(commit: CommitId) -> Tag {
    Tag { commit, description: String::new(), metrics: BTreeMap::new() }
}

/// HEAD on `a`, which is to be renamed; `b`, a tag, and three commits.
fn prepared() -> (SimulatedDisk, [Durable<CommitId>; 3]) {
    let disk = create("a");
    let repo = open(&disk);
    let commits = [1, 2, 3].map(|number| commit(&repo, &[], number));
    let refs = repo.refs();
    refs.update_branch(&branch("a"), None, commits[0], &entry()).expect("branch");
    refs.update_branch(&branch("b"), None, commits[1], &entry()).expect("branch");
    refs.set_tag(&tag("v1"), &plain_tag(commits[0].get()), commits[0], false, &entry()).expect("tag");
    refs.set_tag(&tag("gone/deep"), &plain_tag(commits[0].get()), commits[0], false, &entry()).expect("tag");
    (disk, commits)
}

/// Everything at once: a rename to below its own name with HEAD, a move, tags made, moved and removed.
fn change(repo: &Repo, [one, two, three]: [Durable<CommitId>; 3]) -> Result<Vec<Warning>> {
    let mut transaction = repo.refs().transaction()?;
    transaction.set_head(&Head::Branch(branch("a/deep/er")), &who(7))?;
    transaction.delete_branch(&branch("a"), one.get(), &entry())?;
    transaction.update_branch(&branch("a/deep/er"), None, one, &entry())?;
    transaction.update_branch(&branch("b"), Some(two.get()), three, &entry())?;
    transaction.set_tag(&tag("v1"), &plain_tag(two.get()), two, true, &entry())?;
    transaction.set_tag(&tag("v2"), &plain_tag(three.get()), three, false, &entry())?;
    transaction.delete_tag(&tag("gone/deep"), &entry())?;
    transaction.commit()
}

#[derive(Debug, PartialEq)]
struct Seen {
    head: Head,
    branches: Vec<(BranchName, CommitId, Vec<LogLine>)>,
    tags: Vec<(TagName, Tag, Vec<LogLine>)>,
}

/// What somebody sees who takes no lock.
fn see(disk: &SimulatedDisk) -> Seen {
    let repo = open(disk);
    let refs = repo.refs();
    let branches = refs.branches().expect("branches").into_iter();
    let tags = refs.tags().expect("tags").into_iter();
    Seen {
        head: refs.head().expect("HEAD"),
        branches: branches
            .map(|(name, commit)| (name.clone(), commit, refs.logs().branch(&name).expect("log")))
            .collect(),
        tags: tags.map(|(name, tag)| (name.clone(), tag, refs.logs().tag(&name).expect("log"))).collect(),
    }
}

/// The same when somebody has taken the lock: what was left to do is done, in the files themselves.
fn see_finished(disk: &SimulatedDisk) -> Seen {
    drop(open(disk).refs().transaction().expect("lock"));
    assert!(disk.stat(&Path::new(ROOT).join("refs/intent")).expect("stat").is_none());
    see(disk)
}

/// A disk of that kind, what is seen before and after, and how many operations are between.
fn baseline() -> (SimulatedDisk, [Durable<CommitId>; 3], Seen, Seen, u64) {
    let (template, commits) = prepared();
    let before = see(&template.crash_image(0));
    let disk = template.crash_image(0);
    let repo = open(&disk);
    let started = disk.operations();
    assert!(change(&repo, commits).expect("nothing fails").is_empty());
    let operations = disk.operations() - started;
    let after = see(&disk);
    assert_eq!(after.head, Head::Branch(branch("a/deep/er")));
    assert_ne!(before, after);
    assert_eq!(after, see_finished(&disk));
    (template, commits, before, after, operations)
}

#[test]
fn an_error_means_that_no_ref_has_changed_and_none_that_all_have() {
    let (template, commits, before, after, operations) = baseline();
    let mut warned = 0;
    for n in 0..operations {
        for errno in [libc::EIO, libc::ENOSPC] {
            let disk = template.crash_image(0);
            let repo = open(&disk);
            disk.fail_nth(n, errno);
            let done = change(&repo, commits);
            disk.set_fault(None);
            let expected = if done.is_ok() { &after } else { &before };
            assert_eq!(&see(&disk), expected, "{errno} at {n} of {operations}: {done:?}");
            warned += u64::from(done.is_ok_and(|warnings| !warnings.is_empty()));
            assert_eq!(&see_finished(&disk), expected, "{errno} at {n} of {operations}");
        }
    }
    assert!(warned > 10, "{warned}");
}

#[test]
fn a_power_cut_leaves_all_refs_as_they_were_or_all_moved_also_in_the_middle_of_finishing() {
    let (template, commits, before, after, operations) = baseline();
    let mut unfinished = 0;
    for n in 0..=operations {
        let disk = template.crash_image(0);
        let repo = open(&disk);
        disk.stop_at_nth(n);
        let is_durable = |warnings: &Vec<Warning>| {
            !warnings.iter().any(|warning| matches!(warning, Warning::NotDurable(_)))
        };
        let acknowledged = change(&repo, commits).is_ok_and(|warnings| is_durable(&warnings));
        disk.set_fault(None);
        for seed in 0..4 {
            let image = disk.crash_image(seed);
            let found = see(&image);
            assert!(found == before || found == after, "cut at {n} of {operations}: {found:#?}");
            assert!(!acknowledged || found == after, "acknowledged and lost at {n} of {operations}");
            if image.stat(&Path::new(ROOT).join("refs/intent")).expect("stat").is_some() {
                // Once it was seen after a start, it stays: also if the power is cut while it is brought in line.
                assert_eq!(found, after);
                unfinished += 1;
                cut_again(&image, &found, n);
            }
        }
    }
    assert!(unfinished > 10, "{unfinished}");
}

fn cut_again(template: &SimulatedDisk, expected: &Seen, n: u64) {
    let disk = template.crash_image(0);
    let repo = open(&disk);
    let started = disk.operations();
    drop(repo.refs().transaction().expect("lock"));
    for m in 0..disk.operations() - started {
        let disk = template.crash_image(0);
        let repo = open(&disk);
        disk.stop_at_nth(m);
        let _ = repo.refs().transaction().map(drop);
        disk.set_fault(None);
        for seed in 0..2 {
            let image = disk.crash_image(seed);
            assert_eq!(&see(&image), expected, "cut at {n}, and again at {m}");
            assert_eq!(&see_finished(&image), expected, "cut at {n}, and again at {m}");
        }
    }
}

#[test]
fn a_record_that_comes_back_undoes_no_later_move() {
    let (disk, [one, two, three]) = prepared();
    let repo = open(&disk);
    let from = |id: CommitId| Some(format!("{id}\n").into_bytes());
    let change = |name, from, to| Change { which: AnyRef::Branch(branch(name)), from, to };
    let (one, two_id) = (one.get(), two.get());
    let intent =
        Intent { changes: vec![change("a", from(one), from(two_id)), change("b", from(two_id), from(one))] };
    repo.refs().update_branch(&branch("a"), Some(one), three, &entry()).expect("moved since");
    disk.replace(&Path::new(ROOT).join("refs/intent"), &intent.encode()).expect("write");
    let expected = vec![(branch("a"), three.get()), (branch("b"), one)];
    assert_eq!(repo.refs().branches().expect("branches"), expected);
    drop(repo.refs().transaction().expect("lock"));
    assert_eq!(repo.refs().branches().expect("branches"), expected);
}

#[test]
fn a_record_that_is_damaged_is_named_and_no_ref_is_guessed() {
    let (disk, _) = prepared();
    let repo = open(&disk);
    disk.replace(&Path::new(ROOT).join("refs/intent"), b"CREF").expect("write");
    let named = |error| matches!(error, Error::DamagedFile { path, .. } if path.ends_with("refs/intent"));
    assert!(named(repo.refs().head().expect_err("damaged")));
    assert!(named(repo.refs().branches().expect_err("damaged")));
    assert!(repo.refs().transaction().is_err_and(named));
}

#[test]
fn each_change_of_a_transaction_sees_those_before_it_and_a_refused_one_drops_all() {
    let (disk, [one, two, three]) = prepared();
    let repo = open(&disk);
    let before = see(&disk);
    let mut transaction = repo.refs().transaction().expect("lock");
    transaction.update_branch(&branch("b"), Some(two.get()), three, &entry()).expect("it is there");
    let stale = transaction.update_branch(&branch("b"), Some(two.get()), one, &entry());
    assert!(matches!(stale, Err(Error::RefMoved { found, .. }) if found == Some(three.get())));
    let current = transaction.delete_branch(&branch("a"), one.get(), &entry());
    assert!(matches!(current, Err(Error::CurrentBranch(_))));
    let beside = transaction.update_branch(&branch("a/b"), None, one, &entry());
    assert!(matches!(beside, Err(Error::RefConflict { .. })));
    let taken = transaction.set_tag(&tag("v1"), &plain_tag(two.get()), two, false, &entry());
    assert!(matches!(taken, Err(Error::RefExists { .. })));
    drop(transaction);
    assert_eq!(see(&disk), before);
    // Made and taken away again, moved twice, and nothing at all.
    let mut transaction = repo.refs().transaction().expect("lock");
    transaction.update_branch(&branch("c"), None, one, &entry()).expect("free");
    transaction.delete_branch(&branch("c"), one.get(), &entry()).expect("there");
    transaction.update_branch(&branch("b"), Some(two.get()), three, &entry()).expect("there");
    transaction.update_branch(&branch("b"), Some(three.get()), one, &entry()).expect("there");
    assert!(transaction.commit().expect("free disk").is_empty());
    assert_eq!(repo.refs().branch(&branch("b")).expect("read"), Some(one.get()));
    assert_eq!(repo.refs().branch(&branch("c")).expect("read"), None);
    let log = repo.refs().logs().branch(&branch("b")).expect("log");
    assert_eq!(
        log.iter().map(|line| line.new).collect::<Vec<_>>(),
        [two, three, one].map(|id| Some(id.get()))
    );
    assert!(repo.refs().transaction().expect("lock").commit().expect("nothing").is_empty());
}

/// HEAD goes to `b`, and there is a tag `v2`.
fn go_and_tag(repo: &Repo, commit: Durable<CommitId>) -> Result<Vec<Warning>> {
    let mut transaction = repo.refs().transaction()?;
    transaction.set_head(&Head::Branch(branch("b")), &who(7))?;
    transaction.set_tag(&tag("v2"), &plain_tag(commit.get()), commit, false, &entry())?;
    transaction.commit()
}

#[test]
fn refs_that_moved_back_after_a_transaction_that_was_cut_short_stay_there_after_a_power_cut() {
    let (template, [_, _, three]) = prepared();
    let disk = template.crash_image(0);
    let repo = open(&disk);
    let started = disk.operations();
    assert!(go_and_tag(&repo, three).expect("nothing fails").is_empty());
    let operations = disk.operations() - started;
    let mut moved_back = 0;
    for (n, kill) in (0..operations).flat_map(|n| [(n, true), (n, false)]) {
        let disk = template.crash_image(0);
        let repo = open(&disk);
        if kill {
            disk.stop_at_nth(n);
        } else {
            disk.fail_nth(n, libc::EIO);
        }
        let _ = go_and_tag(&repo, three);
        disk.set_fault(None);
        let repo = open(&disk);
        if repo.refs().tag(&tag("v2")).expect("tag").is_none() {
            continue;
        }
        moved_back += 1;
        let head = repo.refs().set_head(&Head::Branch(branch("a")), &who(7)).expect("HEAD");
        let removed = repo.refs().delete_tag(&tag("v2"), &entry()).expect("tag");
        assert!(head.warnings.is_empty() && removed.warnings.is_empty());
        for seed in 0..64 {
            let repo = open(&disk.crash_image(seed));
            let at = format!("operation {n}, killed: {kill}, power cut {seed}");
            assert_eq!(repo.refs().head().expect("HEAD"), Head::Branch(branch("a")), "{at}");
            assert_eq!(repo.refs().tag(&tag("v2")).expect("tag"), None, "{at}");
        }
    }
    assert!(moved_back > 0, "no transaction was cut short after it had happened");
}
