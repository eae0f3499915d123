//! What a save and a commit cost: so many operations of the disk, and no more.

use super::*;

/// How many syncs and how many operations of the disk something takes.
fn cost(disk: &SimulatedDisk, act: impl FnOnce()) -> (u64, u64) {
    let (syncs, operations) = (disk.syncs(), disk.operations());
    act();
    (disk.syncs() - syncs, disk.operations() - operations)
}

#[test]
fn a_commit_of_what_is_stored_waits_for_the_disk_six_times() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let mut now = 0;
    let mut commit_one = || {
        now += 10;
        save(&worktree, "config.json", format!("{{ {now} }}").as_bytes(), now);
        let ingest = repo.store().begin().expect("begin");
        let stored: Vec<_> = worktree
            .staging()
            .complete()
            .expect("list")
            .iter()
            .map(|file| {
                let task = Task::default();
                let intake = Intake::begin(&task, file.len);
                let (recipe, len) = worktree
                    .staging()
                    .ingest(&ingest, file, Tree::empty_id(), Coding::Now, &intake)
                    .expect("ingest");
                (file.staging, recipe, len)
            })
            .collect();
        ingest.seal().expect("seal");
        worktree.staging().mark_stored(&stored).expect("mark");
        let request = request("another", now);
        cost(&disk, || drop(worktree.commit(&request, &Task::default()).expect("commit"))).0
    };
    // The first commit makes the branch and its log.
    commit_one();
    // The pack and its name, the journal, the log, the ref and its name.
    assert_eq!([commit_one(), commit_one(), commit_one()], [6; 3]);
}

#[test]
fn a_commit_of_what_is_staged_waits_for_nothing_more() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let commit_one = |now: i64| {
        save(&worktree, "config.json", format!("{{ {now} }}").as_bytes(), now);
        let request = request("another", now);
        cost(&disk, || drop(worktree.commit(&request, &Task::default()).expect("commit"))).0
    };
    commit_one(10);
    assert_eq!([commit_one(20), commit_one(30)], [6; 2]);
}

#[test]
fn a_save_asks_the_disk_for_six_things_once_the_folder_was_at_rest_for_a_while() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    // The disk's clock goes on with each operation.
    for _ in 0..3000 {
        disk.stat(Path::new("/")).expect("stat");
    }
    for n in 0..3 {
        save(&worktree, &format!("before-{n}"), b"bytes", 1);
    }
    let save_one = |file: &str| {
        cost(&disk, || {
            save(&worktree, file, &[7; 4096], 1);
        })
    };
    // The staging file and its bytes; twice a look at the folder and a record.
    assert_eq!([save_one("a"), save_one("b")], [(0, 6); 2]);
    // A commit changes nothing in the folder.
    worktree.commit(&request("first", 2), &Task::default()).expect("commit");
    assert_eq!(save_one("c"), (0, 6));
    // Whoever makes the lock file anew is noticed, and everything is looked at again.
    let lock = Path::new(ROOT).join("worktrees/main/lock");
    disk.remove_file(&lock).expect("remove");
    assert!(save_one("d").1 > 6);
    assert!(disk.stat(&lock).expect("stat").is_some());
}
