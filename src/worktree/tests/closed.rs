//! Processes that die between the word that a file was closed and the word that nobody has it open any more.

use super::lent::lend;
use super::*;

const OLD: &[u8] = b"as committed";
const NEW: &[u8] = b"as saved since";

/// A committed file that is written anew and not let go.
fn written_anew() -> (SimulatedDisk, Tenant, NodeId) {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "a", OLD, 1);
    worktree.commit(&request("first", 2), &Task::default()).expect("commit");
    worktree.open_file(node, true).expect("open");
    worktree.set_len(node, 0, at(3)).expect("empty");
    worktree.write_at(node, 0, NEW, at(3)).expect("write");
    (disk, worktree, node)
}

/// What a commit has of the file when everybody who had the repository open is gone.
fn committed_after(disk: &SimulatedDisk) -> Vec<u8> {
    let repo = open(disk);
    let worktree = tenant(&repo);
    let again = CommitRequest { allow_empty: true, ..request("after", 9) };
    worktree.commit(&again, &Task::default()).expect("commit");
    let found = committed(&repo, "main", "a").expect("committed");
    assert!(found == OLD || found == NEW, "{found:?}");
    found
}

#[test]
fn what_a_writer_closed_is_complete_when_nobody_lives_to_hear_that_he_was_the_last() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    drop(worktree);
    assert_eq!(committed_after(&disk), NEW);
}

#[test]
fn its_time_is_that_of_the_writer() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    drop(worktree);
    let worktree = tenant(&open(&disk));
    let node = worktree.names().resolve(&path("a")).expect("resolve").expect("there");
    assert_eq!(worktree.names().attributes(node).expect("there").modified, at(3));
}

#[test]
fn what_was_written_after_a_close_was_not_closed() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    worktree.write_at(node, 0, b"AS", at(4)).expect("write");
    drop(worktree);
    assert_eq!(committed_after(&disk), OLD);
}

#[test]
fn what_nobody_closed_is_not_complete_nor_is_what_was_only_emptied() {
    let (disk, worktree, _) = written_anew();
    drop(worktree);
    assert_eq!(committed_after(&disk), OLD);

    let (disk, worktree, node) = written_anew();
    worktree.set_len(node, 0, at(4)).expect("empty");
    assert!(!worktree.closes().note(node).expect("room"));
    drop(worktree);
    assert_eq!(committed_after(&disk), OLD);
}

#[test]
fn a_killed_writer_takes_back_what_one_before_him_said() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    worktree.release(node, true, Release::Interrupted).expect("release");
    drop(worktree);
    assert_eq!(committed_after(&disk), OLD);
}

#[test]
fn what_goes_on_being_open_was_not_closed() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    worktree.closes().void(node).expect("room");
    drop(worktree);
    assert_eq!(committed_after(&disk), OLD);

    // Nor what a second one may be in the middle of.
    let (disk, worktree, node) = written_anew();
    worktree.open_file(node, true).expect("open");
    assert!(!worktree.closes().note(node).expect("room"));
    drop(worktree);
    assert_eq!(committed_after(&disk), OLD);
}

#[test]
fn whoever_recovers_it_says_that_it_was_the_writer_s_word() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    drop(worktree);
    let (_, told) = Tenant::adopt(open(&disk).worktree(&main()).expect("worktree")).expect("adopt");
    assert_eq!(told, [Interrupted { path: path("a"), now: Fallback::Closed }]);
    let (_, told) = Tenant::adopt(open(&disk).worktree(&main()).expect("worktree")).expect("adopt");
    assert_eq!(told, []);
}

#[test]
fn a_power_cut_leaves_nothing_of_it_that_is_not_durable() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    synced(&worktree, "other", b"somebody else's");
    (0..24).for_each(|seed| drop(committed_after(&disk.crash_image(seed))));
}

#[test]
fn a_lent_file_is_complete_only_when_nobody_writes_to_it_unheard() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(NEW, 0);
    let writer = file.writer();
    assert!(worktree.closes().note(node).expect("room"));
    drop(worktree);
    let has = |repo: &Repo| {
        let worktree = tenant(repo);
        let again = CommitRequest { allow_empty: true, ..request("after", 9) };
        worktree.commit(&again, &Task::default()).expect("commit");
        committed(repo, "main", "a")
    };
    let repo = open(&disk);
    assert_eq!(has(&repo), None);
    drop(writer);
    assert_eq!(has(&repo), Some(NEW.to_vec()));
}

#[test]
fn the_word_outlives_the_journal_that_it_was_said_in() {
    let (disk, worktree, node) = written_anew();
    assert!(worktree.closes().note(node).expect("room"));
    let other = save(&worktree, "other", b"one", 3);
    let before = worktree.state().journal.position().0;
    for round in 0.. {
        for at_second in 0..500 {
            worktree.names().set_attributes(other, None, Some(at(at_second))).expect("room");
        }
        worktree.commit(&request("more", 4 + round), &Task::default()).expect("commit");
        if worktree.state().journal.position().0 > before {
            break;
        }
        save(&worktree, "other", &round.to_le_bytes(), 3);
    }
    drop(worktree);
    assert_eq!(committed_after(&disk), NEW);
}
