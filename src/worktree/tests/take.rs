//! Files that take the bytes of stored ones.

use super::*;
use crate::id::RecipeId;

const BYTES: &[u8] = b"bytes that are stored";

/// A worktree with a committed file `from`, and what that is in the store.
fn stored() -> (SimulatedDisk, Repo, Tenant, RecipeId) {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "from", BYTES, 1);
    worktree.commit(&request("first", 2), &Task::default()).expect("commit");
    let node = worktree.names().resolve(&path("from")).expect("resolve").expect("there");
    let recipe = worktree.names().attributes(node).expect("attributes").recipe.expect("stored");
    (disk, repo, worktree, recipe)
}

fn new(worktree: &Tenant, file: &str) -> NodeId {
    worktree.create(NodeId::ROOT, &name(file), 0o644, at(3)).expect("create")
}

fn take(worktree: &Tenant, node: NodeId, recipe: RecipeId) -> bool {
    let given = Given::Stored { recipe, len: BYTES.len() as u64 };
    worktree.take(node, &given, at(4)).expect("take")
}

/// What a file gives.
fn given(worktree: &Tenant, file: &str) -> Given {
    let node = worktree.names().resolve(&path(file)).expect("resolve").expect("there");
    worktree.giving().given(node).expect("look").expect("it is complete")
}

#[test]
fn a_file_that_took_bytes_has_them_at_once_for_everybody_and_in_commits() {
    let (_disk, repo, worktree, recipe) = stored();
    let node = new(&worktree, "to");
    let staging = worktree.state().open[&node].writing().expect("is written").0;
    assert!(take(&worktree, node, recipe));
    assert_eq!(load(&worktree, "to").as_deref(), Some(BYTES));
    let other = repo.worktree(&main()).expect("another process's");
    assert_eq!(load(&other, "to").as_deref(), Some(BYTES));
    worktree.release(node, true, Release::Complete).expect("release");
    worktree.commit(&request("second", 5), &Task::default()).expect("commit");
    assert_eq!(committed(&repo, "main", "to").as_deref(), Some(BYTES));
    // No staging file is left of it.
    worktree.sync_records().expect("sync");
    let path = worktree.staging().path(staging);
    assert!(repo.disk().stat(&path).expect("stat").is_none());
}

#[test]
fn whoever_writes_on_changes_the_copy_alone() {
    let (_disk, _repo, worktree, recipe) = stored();
    let node = new(&worktree, "to");
    assert!(take(&worktree, node, recipe));
    worktree.write_at(node, BYTES.len() as u64, b", and more", at(5)).expect("write");
    worktree.write_at(node, 0, b"B", at(5)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    let expected: &[u8] = b"Bytes that are stored, and more";
    assert_eq!(load(&worktree, "to").as_deref(), Some(expected));
    assert_eq!(load(&worktree, "from").as_deref(), Some(BYTES));
    // Emptied and taken again, as one who copies over it does.
    worktree.open_file(node, true).expect("open");
    worktree.set_len(node, 0, at(6)).expect("empty");
    assert!(take(&worktree, node, recipe));
    worktree.set_len(node, 5, at(7)).expect("cut");
    worktree.release(node, true, Release::Complete).expect("release");
    assert_eq!(load(&worktree, "to").as_deref(), Some(&BYTES[..5]));
}

#[test]
fn what_has_bytes_or_no_name_or_no_writer_takes_none() {
    let (_disk, _repo, worktree, recipe) = stored();
    let written = new(&worktree, "written");
    worktree.write_at(written, 0, b"x", at(3)).expect("write");
    assert!(!take(&worktree, written, recipe));
    assert_eq!(load(&worktree, "written").as_deref(), Some(&b"x"[..]));
    let gone = new(&worktree, "gone");
    worktree.names().unlink(NodeId::ROOT, &name("gone"), at(4)).expect("remove");
    assert!(!take(&worktree, gone, recipe));
    let closed = new(&worktree, "closed");
    worktree.release(closed, true, Release::Complete).expect("release");
    assert!(!take(&worktree, closed, recipe));
    assert_eq!(load(&worktree, "closed").as_deref(), Some(&b""[..]));
}

#[test]
fn bytes_that_were_taken_and_synced_survive_a_power_cut_anywhere() {
    let session = |worktree: &Tenant, recipe: RecipeId| -> Result<()> {
        let node = worktree.create(NodeId::ROOT, &name("to"), 0o644, at(3))?;
        let given = Given::Stored { recipe, len: BYTES.len() as u64 };
        worktree.take(node, &given, at(4))?;
        worktree.sync(node)?;
        worktree.release(node, true, Release::Complete)
    };
    let (disk, _repo, worktree, recipe) = stored();
    let before = disk.operations();
    session(&worktree, recipe).expect("nothing fails");
    for n in 1..=disk.operations() - before + 1 {
        let (disk, repo, worktree, recipe) = stored();
        disk.stop_at_nth(n);
        let done = session(&worktree, recipe).is_ok();
        drop((worktree, repo));
        for seed in 0..4 {
            let image = disk.crash_image(seed);
            let repo = open(&image);
            let found = load(&tenant(&repo), "to");
            let whole = found.as_deref() == Some(BYTES);
            // Until then it may not be there, or be as empty as it was when it was created.
            assert!(whole || !done && found.is_none_or(|bytes| bytes.is_empty()), "{n}, {seed}");
            assert_eq!(load(&tenant(&repo), "from").as_deref(), Some(BYTES), "{n}, {seed}");
        }
    }
}

#[test]
fn what_waits_to_be_stored_is_given_without_a_copy_and_each_is_a_file_of_its_own() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "from", BYTES, 1);
    let node = new(&worktree, "to");
    let given = given(&worktree, "from");
    assert!(worktree.take(node, &given, at(4)).expect("take"));
    let Given::Staged { file, .. } = &given else { panic!("it is not stored") };
    assert_eq!(file.names().expect("told"), 2);
    assert_eq!(load(&worktree, "to").as_deref(), Some(BYTES));
    worktree.write_at(node, 0, b"B", at(5)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    assert_eq!(load(&worktree, "from").as_deref(), Some(BYTES));
    let third = new(&worktree, "third");
    assert!(worktree.take(third, &given, at(4)).expect("take"));
    worktree.release(third, true, Release::Complete).expect("release");
    // The one that gave goes, and what it gave is there.
    worktree.names().unlink(NodeId::ROOT, &name("from"), at(6)).expect("remove");
    worktree.sync_records().expect("sync");
    worktree.commit(&request("both", 7), &Task::default()).expect("commit");
    assert_eq!(committed(&repo, "main", "to").as_deref(), Some(&b"Bytes that are stored"[..]));
    assert_eq!(committed(&repo, "main", "third").as_deref(), Some(BYTES));
    worktree.sync_records().expect("sync");
    assert!(repo.disk().list(&worktree.staging().dir()).expect("list").is_empty());
    // Now its staging file is gone, and nobody can be given it.
    let late = new(&worktree, "late");
    assert!(!worktree.take(late, &given, at(8)).expect("take"));
    assert_eq!(load(&worktree, "late").as_deref(), Some(&b""[..]));
}

#[test]
fn who_has_a_file_open_that_was_given_bytes_reads_on_when_both_names_are_gone() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "from", BYTES, 1);
    let node = new(&worktree, "to");
    assert!(worktree.take(node, &given(&worktree, "from"), at(4)).expect("take"));
    for file in ["from", "to"] {
        worktree.names().unlink(NodeId::ROOT, &name(file), at(5)).expect("remove");
    }
    worktree.sync_records().expect("sync");
    let mut seen = [0; 64];
    assert_eq!(worktree.staging().read_at(node, 0, &mut seen).expect("read"), BYTES.len());
    assert_eq!(&seen[..BYTES.len()], BYTES);
    worktree.release(node, true, Release::Complete).expect("release");
    worktree.sync_records().expect("sync");
    assert!(worktree.repo().disk().list(&worktree.staging().dir()).expect("list").is_empty());
}

#[test]
fn what_was_given_before_it_was_stored_survives_a_power_cut_anywhere_and_is_never_written_in_place() {
    let session = |worktree: &Tenant, given: &Given| -> Result<()> {
        let node = worktree.create(NodeId::ROOT, &name("to"), 0o644, at(3))?;
        worktree.take(node, given, at(4))?;
        worktree.sync(node)?;
        worktree.release(node, true, Release::Complete)
    };
    let staged = || {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        synced(&worktree, "from", BYTES);
        let given = given(&worktree, "from");
        (disk, repo, worktree, given)
    };
    let (disk, _repo, worktree, given) = staged();
    let before = disk.operations();
    session(&worktree, &given).expect("nothing fails");
    for n in 1..=disk.operations() - before + 1 {
        let (disk, repo, worktree, given) = staged();
        disk.stop_at_nth(n);
        let done = session(&worktree, &given).is_ok();
        drop((worktree, repo, given));
        for seed in 0..4 {
            let repo = open(&disk.crash_image(seed));
            let worktree = tenant(&repo);
            let found = load(&worktree, "to");
            let whole = found.as_deref() == Some(BYTES);
            assert!(whole || !done && found.as_ref().is_none_or(Vec::is_empty), "{n}, {seed}");
            assert_eq!(load(&worktree, "from").as_deref(), Some(BYTES), "{n}, {seed}");
            // Whoever goes on with what was left changes that alone.
            if let Some(node) = worktree.names().resolve(&path("to")).expect("resolve") {
                worktree.open_file(node, true).expect("open");
                worktree.write_at(node, 0, b"XX", at(5)).expect("write");
                worktree.release(node, true, Release::Complete).expect("release");
                assert_eq!(load(&worktree, "to").expect("there")[..2], *b"XX");
            }
            assert_eq!(load(&worktree, "from").as_deref(), Some(BYTES), "{n}, {seed}");
        }
    }
}
