//! A disk on which nothing more fits: what gives room back works, whatever filled the disk and when.

use super::*;

fn weights(len: u32) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Something that gives back the room of one or all of the files, and what it is called.
type Removal = (&'static str, fn(&Tenant) -> Result<()>);

fn node(worktree: &Tenant, file: &str) -> Result<NodeId> {
    Ok(worktree.names().resolve(&path(file))?.expect("it is there"))
}

const REMOVALS: [Removal; 7] = [
    ("unlink", |worktree| worktree.names().unlink(node(worktree, "d")?, &name("a"), at(9))),
    ("truncate", |worktree| worktree.set_len(node(worktree, "d/a")?, 0, at(9))),
    ("open and truncate", |worktree| {
        let node = node(worktree, "d/a")?;
        worktree.open_file(node, true)?;
        let emptied = worktree.set_len(node, 0, at(9));
        emptied.and(worktree.release(node, true, Release::Complete))
    }),
    ("rename over", |worktree| {
        let dir = node(worktree, "d")?;
        worktree.names().rename((dir, &name("a")), (dir, &name("b")), RenameMode::Replace, at(9))
    }),
    ("remove a directory", |worktree| worktree.names().remove_dir(NodeId::ROOT, &name("empty"), at(9))),
    ("rm", |worktree| worktree.edits().remove(&[path("d/a"), path("d/b")], false, at(9))),
    ("rm -r", |worktree| worktree.edits().remove(&[path("d")], true, at(9))),
];

/// How a disk gets full.
#[derive(Debug, Clone, Copy)]
enum Filled {
    /// By somebody else, at once.
    AtOnce,
    /// By what is made in the worktree, to the last byte.
    ByNames,
    /// By what is written to a file.
    ByBytes,
}

fn fill(disk: &SimulatedDisk, worktree: &Tenant, how: Filled) {
    let room = match how {
        Filled::AtOnce => 0,
        Filled::ByNames | Filled::ByBytes => 100_000,
    };
    disk.set_capacity(Some(disk.used() + room));
    match how {
        Filled::AtOnce => {}
        Filled::ByNames => {
            let made =
                |n: u32| worktree.names().make_dir(NodeId::ROOT, &name(&format!("dir-{n}")), 0o755, at(2));
            assert!((0..10_000).any(|n| made(n).is_err()), "it is full at last");
        }
        Filled::ByBytes => {
            let node = worktree.create(NodeId::ROOT, &name("big"), 0o644, at(2)).expect("create");
            assert!((0..1_000).any(|n| worktree.write_at(node, n * 512, &[1; 512], at(2)).is_err()));
        }
    }
}

#[test]
fn whatever_gives_room_back_works_on_a_full_disk() {
    for how in [Filled::AtOnce, Filled::ByNames, Filled::ByBytes] {
        for (is_stored, is_reopened) in [(false, false), (false, true), (true, false), (true, true)] {
            for (what, remove) in REMOVALS {
                let (disk, repo) = create();
                let mut worktree = tenant(&repo);
                worktree.names().make_dir(NodeId::ROOT, &name("d"), 0o755, at(1)).expect("mkdir");
                worktree.names().make_dir(NodeId::ROOT, &name("empty"), 0o755, at(1)).expect("mkdir");
                save(&worktree, "d/a", &weights(50_000), 1);
                save(&worktree, "d/b", &weights(50_000), 1);
                if is_stored {
                    worktree.commit(&request("first", 1), &Task::default()).expect("commit");
                }
                fill(&disk, &worktree, how);
                if is_reopened {
                    drop(worktree);
                    worktree = tenant(&open(&disk));
                }
                let case = format!("{what}, full {how:?}, stored {is_stored}, reopened {is_reopened}");
                remove(&worktree).unwrap_or_else(|error| panic!("{case}: {error}"));
                worktree.staging().sync().unwrap_or_else(|error| panic!("{case}: {error}"));
                worktree.sync_records().unwrap_or_else(|error| panic!("{case}: {error}"));
                let other = open(&disk).worktree(&main()).expect("worktree");
                assert_eq!(changes(&other), changes(&worktree), "{case}");
            }
        }
    }
}

#[test]
fn the_room_of_what_was_emptied_comes_back() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    save(&worktree, "a", &weights(50_000), 1);
    disk.set_capacity(Some(disk.used()));
    worktree.set_len(node(&worktree, "a").expect("resolve"), 0, at(2)).expect("truncate");
    worktree.staging().sync().and_then(|()| worktree.sync_records()).expect("sync");
    save(&worktree, "b", &weights(10_000), 3);
    assert_eq!(load(&worktree, "b"), Some(weights(10_000)));
}

#[test]
fn thousands_of_names_are_removed_from_a_full_disk() {
    const FILES: u32 = 3_000;
    let file = |n: u32| format!("{n}-{}", "x".repeat(40));
    for is_stored in [false, true] {
        let (disk, repo) = create();
        let mut worktree = tenant(&repo);
        for n in 0..FILES {
            save(&worktree, &file(n), &[n as u8; 256], 1);
        }
        if is_stored {
            worktree.commit(&request("first", 1), &Task::default()).expect("commit");
            worktree = tenant(&repo);
        }
        disk.set_capacity(Some(disk.used()));
        // What is stored takes no room of its own: removing its names gives none back.
        let count = if is_stored { 600 } else { FILES };
        for n in 0..count {
            let removed = worktree.names().unlink(NodeId::ROOT, &name(&file(n)), at(2));
            removed.unwrap_or_else(|error| panic!("{n}, stored {is_stored}: {error}"));
        }
    }
}
