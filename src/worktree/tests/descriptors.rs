//! More readers than a process may have descriptors.

use super::*;
use crate::worktree::readers::HELD_MAX;

/// More than may be held at any moment.
const FILES: usize = 2 * HELD_MAX;

/// Files that wait for a commit, each opened to read by the one whose worktree is returned.
fn all_open() -> (SimulatedDisk, Tenant, Vec<NodeId>) {
    let (disk, repo) = create();
    let writer = tenant(&repo);
    for n in 0..FILES {
        save(&writer, &n.to_string(), n.to_string().as_bytes(), 1);
    }
    writer.staging().sync().expect("sync");
    drop(writer);
    let reader = tenant(&open(&disk));
    let nodes: Vec<NodeId> = (0..FILES)
        .map(|n| reader.names().resolve(&path(&n.to_string())).expect("resolve").expect("there"))
        .collect();
    nodes.iter().for_each(|&node| reader.open_file(node, false).expect("open"));
    (disk, reader, nodes)
}

fn held(reader: &Tenant) -> usize {
    reader.state().open.values().filter(|open| open.held().is_some()).count()
}

fn check(reader: &Tenant, nodes: &[NodeId]) {
    for (n, &node) in nodes.iter().enumerate() {
        let mut bytes = [0; 8];
        let len = reader.staging().read_at(node, 0, &mut bytes).expect("readable");
        assert_eq!(bytes[..len], *n.to_string().as_bytes());
        assert!(held(reader) <= HELD_MAX * 5 / 4 + 1);
    }
}

#[test]
fn no_more_descriptors_are_held_than_there_may_be_however_many_files_are_open() {
    let (_disk, reader, nodes) = all_open();
    assert!((HELD_MAX / 2..=HELD_MAX * 5 / 4 + 1).contains(&held(&reader)));
    check(&reader, &nodes);
    check(&reader, &nodes);
    // The last ones stay open.
    let before = held(&reader);
    check(&reader, &nodes);
    assert!(before > HELD_MAX / 2 && reader.state().open[&nodes[FILES - 1]].held().is_some());
}

#[test]
fn who_has_a_file_open_beyond_the_bound_reads_on_when_another_process_removes_it() {
    let (disk, reader, nodes) = all_open();
    let other = open(&disk).worktree(&main()).expect("worktree");
    let names: Vec<TreePath> = (0..FILES).map(|n| path(&n.to_string())).collect();
    other.edits().remove(&names, false, at(2)).expect("removed");
    other.sync_records().expect("sync");
    check(&reader, &nodes);
    nodes.iter().for_each(|&node| reader.release(node, false, Release::Complete).expect("release"));
    // Nobody needs them any more.
    other.sync_records().expect("sync");
    assert_eq!(disk.list(&reader.staging().dir()).expect("list"), Vec::<String>::new());
}

#[test]
fn what_was_removed_before_there_were_too_many_readers_stays_open() {
    let (disk, repo) = create();
    let reader = tenant(&repo);
    let first = save(&reader, "first", b"first", 1);
    reader.staging().sync().expect("sync");
    reader.open_file(first, false).expect("open");
    let other = open(&disk).worktree(&main()).expect("worktree");
    other.edits().remove(&[path("first")], false, at(2)).expect("removed");
    for n in 0..FILES {
        let node = save(&reader, &n.to_string(), b"later", 3);
        reader.open_file(node, false).expect("open");
    }
    let mut bytes = [0; 5];
    assert_eq!(reader.staging().read_at(first, 0, &mut bytes).expect("readable"), 5);
    assert_eq!(&bytes, b"first");
}

#[test]
fn what_another_process_stored_and_removed_takes_no_room_here() {
    let (disk, repo) = create();
    let writer = tenant(&repo);
    save(&writer, "a", b"saved", 1);
    assert_eq!(writer.state().unsynced.len(), 1, "it is not durable yet");
    let other = open(&disk).worktree(&main()).expect("worktree");
    other.commit(&request("stored", 2), &Task::default()).expect("commit");
    writer.sync_records().expect("sync");
    assert_eq!(writer.state().unsynced.len(), 0);
    assert_eq!(committed(&repo, "main", "a").expect("committed"), b"saved");
}
