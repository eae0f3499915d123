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

/// All of so many bytes.
fn all(len: usize) -> Piece {
    Piece { offset: 0, len: len as u64 }
}

fn take(worktree: &Tenant, node: NodeId, recipe: RecipeId) -> bool {
    let given = Given::Stored { recipe, len: BYTES.len() as u64 };
    worktree.take(node, &given, all(BYTES.len()), at(4)).expect("take")
}

/// What a file gives.
fn given(worktree: &Tenant, file: &str) -> Given {
    let node = worktree.names().resolve(&path(file)).expect("resolve").expect("there");
    worktree.giving().given(node).expect("look").expect("it is complete")
}

/// The first bytes of a file that is given in pieces of seven.
fn take_pieces(worktree: &Tenant, node: NodeId, given: &Given, end: u64) -> Vec<bool> {
    let pieces = (0..end).step_by(7).map(|offset| Piece { offset, len: 7.min(end - offset) });
    pieces.map(|piece| worktree.take(node, given, piece, at(4)).expect("take")).collect()
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
        worktree.take(node, &given, all(BYTES.len()), at(4))?;
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
    assert!(worktree.take(node, &given, all(BYTES.len()), at(4)).expect("take"));
    let Given::Staged { file, .. } = &given else { panic!("it is not stored") };
    assert_eq!(file.names().expect("told"), 2);
    assert_eq!(load(&worktree, "to").as_deref(), Some(BYTES));
    worktree.write_at(node, 0, b"B", at(5)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    assert_eq!(load(&worktree, "from").as_deref(), Some(BYTES));
    let third = new(&worktree, "third");
    assert!(worktree.take(third, &given, all(BYTES.len()), at(4)).expect("take"));
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
    assert!(!worktree.take(late, &given, all(BYTES.len()), at(8)).expect("take"));
    assert_eq!(load(&worktree, "late").as_deref(), Some(&b""[..]));
}

#[test]
fn a_file_that_comes_in_pieces_is_whole_with_the_last_and_what_it_is_so_far_before() {
    let (_disk, repo, worktree, _) = stored();
    save(&worktree, "staged", BYTES, 1);
    for from in ["from", "staged"] {
        let given = given(&worktree, from);
        let node = new(&worktree, &format!("all of {from}"));
        assert_eq!(take_pieces(&worktree, node, &given, BYTES.len() as u64), [true; 3]);
        worktree.release(node, true, Release::Complete).expect("release");
        assert_eq!(load(&worktree, &format!("all of {from}")).as_deref(), Some(BYTES));

        // Looked at, written on, cut, emptied, synced, and left there.
        type Then = fn(&Tenant, NodeId) -> Result<()>;
        let thens: [(Then, &[u8]); 6] = [
            (|_, _| Ok(()), b"bytes that are"),
            (|worktree, node| worktree.write_at(node, 6, b"THAT", at(5)), b"bytes THAT are"),
            (|worktree, node| worktree.set_len(node, 5, at(5)), b"bytes"),
            (|worktree, node| worktree.set_len(node, 0, at(5)), b""),
            (|worktree, node| worktree.sync(node), b"bytes that are"),
            (|worktree, node| worktree.write_at(node, 14, b" mine", at(5)), b"bytes that are mine"),
        ];
        for (number, (then, bytes)) in thens.into_iter().enumerate() {
            let file = format!("{from} {number}");
            let node = new(&worktree, &file);
            assert_eq!(take_pieces(&worktree, node, &given, 14), [true; 2]);
            assert_eq!(worktree.names().attributes(node).expect("attributes").len, 14);
            then(&worktree, node).expect("done");
            if number > 0 {
                let rest = Piece { offset: 14, len: 7 };
                assert!(
                    !worktree.take(node, &given, rest, at(6)).expect("take"),
                    "it is not what it was given"
                );
            }
            worktree.release(node, true, Release::Complete).expect("release");
            assert_eq!(load(&worktree, &file).as_deref(), Some(bytes), "{file}");
        }
        // Of what is read before the end there is a copy, and another file does not go on with it.
        let node = new(&worktree, &format!("read of {from}"));
        take_pieces(&worktree, node, &given, 7);
        let other = Given::Stored { recipe: RecipeId::from_bytes([1; 32]), len: 21 };
        assert!(!worktree.take(node, &other, Piece { offset: 7, len: 14 }, at(5)).expect("take"));
        assert_eq!(load(&worktree, &format!("read of {from}")).as_deref(), Some(&b"bytes t"[..]));
        let request = CommitRequest { include_open: true, ..request("open", 6) };
        worktree.commit(&request, &Task::default()).expect("commit");
        assert_eq!(committed(&repo, "main", &format!("read of {from}")).as_deref(), Some(&b"bytes t"[..]));
        worktree.release(node, true, Release::Complete).expect("release");
    }
}

#[test]
fn who_dies_between_two_pieces_leaves_a_file_that_is_not_complete() {
    let (disk, repo, worktree, _) = stored();
    let node = new(&worktree, "to");
    take_pieces(&worktree, node, &given(&worktree, "from"), 14);
    drop((worktree, repo));
    let repo = open(&disk);
    let worktree = tenant(&repo);
    assert_eq!(worktree.snapshot(false).expect("snapshot").interrupted, [path("to")]);
    assert_eq!(load(&worktree, "to").as_deref(), Some(&b""[..]));
    assert_eq!(load(&worktree, "from").as_deref(), Some(BYTES));
    // As it is for a copier that is killed.
    let node = new(&worktree, "killed");
    take_pieces(&worktree, node, &given(&worktree, "from"), 14);
    worktree.release(node, true, Release::Interrupted).expect("release");
    assert_eq!(worktree.snapshot(false).expect("snapshot").interrupted, [path("killed"), path("to")]);
}

#[test]
fn what_was_given_before_it_was_stored_survives_a_power_cut_anywhere_and_is_never_written_in_place() {
    let session = |worktree: &Tenant, given: &Given| -> Result<()> {
        let node = worktree.create(NodeId::ROOT, &name("to"), 0o644, at(3))?;
        worktree.take(node, given, all(BYTES.len()), at(4))?;
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
