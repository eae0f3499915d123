//! A file that is written beside another one and moved over it, as programs save: what a power cut leaves under the
//! name, whenever the kernel tells that the writer is gone.

use super::*;

const SEEDS: u64 = 12;

/// When the kernel tells that the last descriptor of the new file is gone. close(2) waits for none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Told {
    BeforeRename,
    BeforeSync,
    AfterSync,
    Never,
}

const TOLD: [Told; 4] = [Told::BeforeRename, Told::BeforeSync, Told::AfterSync, Told::Never];

/// What is done to the new file after it was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Over,
    On,
}

struct Saved {
    disk: SimulatedDisk,
    old: Vec<u8>,
    /// What was synced.
    synced: Vec<u8>,
    /// What was written in the end.
    new: Vec<u8>,
    _worktree: Tenant,
}

/// Writes beside `name`, syncs that, moves it over `name`; then syncs the folder, or only something else.
fn save_beside(told: Told, written: Written, is_committed: bool, syncs_folder: bool) -> Saved {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let (old, bytes) = (vec![3; 20_000], vec![5; 30_000]);
    synced(&worktree, "name", &old);
    if is_committed {
        worktree.commit(&request("old", 1), &Task::default()).expect("commit");
    }
    let node = worktree.create(NodeId::ROOT, &name("name.tmp"), 0o644, at(2)).expect("create");
    worktree.write_at(node, 0, &bytes, at(2)).expect("write");
    worktree.sync(node).expect("sync");
    let release = || worktree.release(node, true, Release::Complete).expect("release");
    let mut new = bytes.clone();
    match written {
        Written::Nothing => {}
        Written::Over => new[..4_000].fill(6),
        Written::On => new.extend([7; 9_000]),
    }
    if written != Written::Nothing {
        worktree.write_at(node, 0, &new[..4_000], at(3)).expect("write");
        worktree.write_at(node, 30_000, &new[30_000..], at(3)).expect("write");
    }
    if told == Told::BeforeRename {
        release();
    }
    let (from, to) = (name("name.tmp"), name("name"));
    let root = NodeId::ROOT;
    worktree.names().rename((root, &from), (root, &to), RenameMode::Replace, at(4)).expect("rename");
    if told == Told::BeforeSync {
        release();
    }
    match syncs_folder {
        true => worktree.sync(root).expect("sync"),
        false => synced(&worktree, "other", b"somebody else's"),
    }
    if told == Told::AfterSync {
        release();
    }
    Saved { disk, old, synced: bytes, new, _worktree: worktree }
}

/// What is seen under the name, and what a commit takes, after a power cut.
fn after_power_cut(disk: &SimulatedDisk, seed: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let repo = open(&disk.crash_image(seed));
    let worktree = tenant(&repo);
    let seen = load(&worktree, "name").expect("the name is durable");
    let request = CommitRequest { allow_empty: true, ..request("afterwards", 9) };
    worktree.commit(&request, &Task::default()).expect("commit");
    (seen, committed(&repo, "main", "name"))
}

#[test]
fn what_was_synced_is_under_the_name_once_its_folder_is_synced() {
    for (told, is_committed) in TOLD.into_iter().flat_map(|told| [(told, false), (told, true)]) {
        let saved = save_beside(told, Written::Nothing, is_committed, true);
        for seed in 0..SEEDS {
            let (seen, taken) = after_power_cut(&saved.disk, seed);
            assert!(seen == saved.new, "{told:?}, seed {seed}: {} bytes", seen.len());
            // A version counts as whole when its writer was known to be gone before the sync.
            let is_whole = taken.as_ref() == Some(&saved.new);
            let is_as_before = taken.as_ref() == is_committed.then_some(&saved.old);
            assert!(is_whole || (told > Told::BeforeSync && is_as_before), "{told:?}, seed {seed}");
        }
    }
}

#[test]
fn what_is_written_after_a_sync_makes_nothing_go_back_behind_it() {
    for (told, written) in TOLD.into_iter().flat_map(|told| [(told, Written::Over), (told, Written::On)]) {
        let Saved { disk, old, synced, new, _worktree } = save_beside(told, written, true, true);
        for seed in 0..SEEDS {
            let (seen, taken) = after_power_cut(&disk, seed);
            assert!(seen.len() >= synced.len(), "{told:?}, {written:?}, seed {seed}: {} bytes", seen.len());
            assert_eq!(seen[4_000..synced.len()], synced[4_000..], "{told:?}, {written:?}, seed {seed}");
            let taken = taken.expect("it was committed before");
            assert!(
                taken == new || taken == old,
                "{told:?}, {written:?}, seed {seed}: part of it is committed"
            );
        }
    }
}

#[test]
fn the_name_has_the_old_bytes_or_the_new_ones_while_its_folder_is_not_synced() {
    for told in [Told::BeforeRename, Told::BeforeSync] {
        for written in [Written::Nothing, Written::Over, Written::On] {
            let Saved { disk, old, new, _worktree, .. } = save_beside(told, written, false, false);
            for seed in 0..SEEDS {
                let (seen, taken) = after_power_cut(&disk, seed);
                assert!(seen == old || seen == new, "{told:?}, {written:?}, seed {seed}: {}", seen.len());
                assert_eq!(taken, Some(seen), "{told:?}, {written:?}, seed {seed}");
            }
        }
    }
}

/// A version that was closed and not synced, and the next one, which was written and synced and is open. The daemon makes
/// the first one durable in the background.
fn synced_in_the_background(writes_on: bool) -> (SimulatedDisk, Tenant, NodeId) {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "name", &[3; 20_000], 1);
    worktree.open_file(node, true).expect("open");
    worktree.write_at(node, 0, &[5; 30_000], at(2)).expect("write");
    worktree.sync(node).expect("sync");
    if writes_on {
        worktree.write_at(node, 0, &[6; 30_000], at(3)).expect("write");
    }
    worktree.staging().sync().expect("sync");
    worktree.sync_records().expect("sync");
    (disk, worktree, node)
}

#[test]
fn a_sync_of_an_earlier_version_takes_nothing_back_of_a_later_one() {
    let (disk, _worktree, _) = synced_in_the_background(false);
    for seed in 0..SEEDS {
        assert_eq!(after_power_cut(&disk, seed), (vec![5; 30_000], Some(vec![3; 20_000])));
    }
}

#[test]
fn a_sync_of_an_earlier_version_makes_nothing_durable_of_a_later_one() {
    let (disk, worktree, node) = synced_in_the_background(true);
    worktree.release(node, true, Release::Complete).expect("release");
    worktree.sync_records().expect("sync");
    for seed in 0..SEEDS {
        let (_, taken) = after_power_cut(&disk, seed);
        assert!(taken.is_none_or(|bytes| bytes == [6; 30_000]), "seed {seed}: part of it is committed");
    }
}
