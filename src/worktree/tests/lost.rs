//! Bytes that the disk accepted and did not keep: who knows of it, for how long, and what makes a file whole again.

use super::*;

fn staged() -> std::path::PathBuf {
    Path::new(ROOT).join("worktrees/main/staged")
}

fn is_lost<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::LostBytes(lost)) if lost == path("ckpt"))
}

/// A file system that loses bytes often lets nothing be written from then on.
#[test]
fn a_loss_is_known_although_the_disk_takes_no_record_of_it() {
    for syncs_in_background in [true, false] {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        let node = save(&worktree, "ckpt", &[1; 50_000], 1);
        disk.fail_write_back(&staged());
        disk.set_read_only(true);
        match syncs_in_background {
            true => assert!(is_lost(worktree.staging().sync())),
            false => assert!(is_lost(worktree.sync(node))),
        }
        for _ in 0..2 {
            assert!(is_lost(worktree.staging().read_at(node, 0, &mut [0; 8])));
            assert!(is_lost(worktree.sync(node)));
            assert_eq!(worktree.snapshot(false).expect("snapshot").lost, [path("ckpt")]);
            assert!(!worktree.is_idle(), "who knows alone does not go");
        }
        disk.set_read_only(false);
        worktree.staging().sync().expect("now it can be told");
        let other = open(&disk);
        let looker = other.worktree(&main()).expect("worktree");
        assert_eq!(looker.snapshot(false).expect("snapshot").lost, [path("ckpt")]);
        assert!(is_lost(worktree.sync(node)), "a sync that succeeds later says nothing");
    }
}

#[test]
fn a_file_that_is_saved_again_is_durable_at_the_first_sync() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let node = save(&worktree, "ckpt", &[1; 50_000], 1);
    disk.fail_write_back(&staged());
    assert!(is_lost(worktree.sync(node)));
    worktree.open_file(node, true).expect("open");
    assert!(is_lost(worktree.write_at(node, 10, b"on", at(2))), "what is lost is no part of anything new");
    worktree.set_len(node, 0, at(2)).expect("truncate");
    worktree.write_at(node, 0, &[2; 40_000], at(2)).expect("write");
    worktree.sync(node).expect("all bytes of the new version are there");
    let image = disk.crash_image(1);
    assert_eq!(load(&tenant(&open(&image)), "ckpt"), Some(vec![2; 40_000]));
    assert_eq!(load(&worktree, "ckpt"), Some(vec![2; 40_000]));
    assert_eq!(
        worktree.snapshot(false).expect("snapshot").lost,
        [path("ckpt")],
        "commits take the last whole one"
    );
    worktree.release(node, true, Release::Complete).expect("release");
    assert_eq!(worktree.snapshot(false).expect("snapshot").lost, []);
    worktree.commit(&request("whole", 3), &Task::default()).expect("commit");
    assert_eq!(committed(&repo, "main", "ckpt"), Some(vec![2; 40_000]));
}

#[test]
fn a_second_loss_does_not_make_the_first_one_forgotten() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    // A length that is durable: only the bytes are lost.
    let node = worktree.create(NodeId::ROOT, &name("ckpt"), 0o644, at(1)).expect("create");
    worktree.set_len(node, 50_000, at(1)).expect("size");
    worktree.sync(node).expect("sync");
    worktree.write_at(node, 0, &[1; 50_000], at(1)).expect("write");
    worktree.release(node, true, Release::Complete).expect("release");
    disk.fail_write_back(&staged());
    assert!(is_lost(worktree.sync(node)));
    worktree.open_file(node, true).expect("open");
    worktree.set_len(node, 0, at(2)).expect("truncate");
    worktree.write_at(node, 0, &[2; 50_000], at(2)).expect("write");
    disk.fail_write_back(&staged());
    assert!(is_lost(worktree.sync(node)));
    let everything = CommitRequest { allow_empty: true, ..request("afterwards", 3) };
    let _ = worktree.commit(&everything, &Task::default());
    let tip = repo.refs().branch(&main()).expect("refs");
    assert!(tip.is_none() || committed(&repo, "main", "ckpt").is_none(), "no commit has lost bytes");
    assert!(is_lost(worktree.staging().read_at(node, 0, &mut [0; 8])));
}
