//! Files that are closed, and what becomes of them when the mount ends.

use super::*;

#[test]
fn a_command_does_not_keep_a_mount_that_ends() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    core.shared.ending.stop();
    for command in ["commit -m late", "drain"] {
        let control = core.open(ino(&core, ".coral/ctl"), WRITE).unwrap();
        let written = core.opened(control.handle).unwrap().write(0, command.as_bytes());
        assert_eq!(errno(written), Some(libc::EINVAL));
        let mut said = vec![0; 4096];
        let len = core.opened(control.handle).unwrap().read(0, &mut said).unwrap();
        core.release(control.handle);
        assert!(String::from_utf8_lossy(&said[..len]).contains("stopped before it was done"));
    }
    assert!(core.repo().refs().branch(&branch("main")).unwrap().is_none());
    // What is committed by the mount itself is what was saved before.
    let id = Commands::of(&core.shared).commit_checkpoint(&branch("main"), "last".into(), BTreeMap::new());
    assert_eq!(core.repo().refs().branch(&branch("main")).unwrap(), Some(id.unwrap()));
}

#[test]
fn what_is_recorded_of_a_close_is_taken_back_only_when_it_was_long_ago() {
    let core = file_system();
    let dir = ino(&core, "worktree/main");
    let (_, opened) = core.create(dir, b"a", 0o644, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"half").unwrap();
    core.opened(opened.handle).unwrap().flush(|_| Closer::Opener);
    let handle = core.shared.handles.get(opened.handle).unwrap();
    core.shared.handles.void_overdue();
    assert!(handle.worktree().unwrap().is_recorded());
    // It is waited for in vain: somebody has it open still.
    core.shared.closings.wait();
    core.shared.handles.void_overdue();
    assert!(!handle.worktree().unwrap().is_recorded());
    drop(handle);
    core.release(opened.handle);
}

#[test]
fn closing_one_of_several_descriptors_completes_nothing() {
    let core = file_system();
    let (_, opened) = core.create(ino(&core, "worktree/main"), b"a", 0o644, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"half").unwrap();
    // A child that was forked closes its copy.
    core.opened(opened.handle).unwrap().flush(|_| Closer::Opener);
    core.opened(opened.handle).unwrap().write(4, b", and").unwrap();
    assert_eq!(errno(ctl(&core, "commit -m early")), Some(libc::EINVAL));
    assert!(text(&core, ".coral/status").contains("~ a (being written)"));
    core.opened(opened.handle).unwrap().write(9, b" whole").unwrap();
    close(&core, opened);
    ctl(&core, "commit -m whole").unwrap();
    assert_eq!(text(&core, "branches/main/a"), "half, and whole");
}

#[test]
fn a_cut_by_path_does_not_complete_what_another_writes() {
    let core = file_system();
    let (attr, opened) = core.create(ino(&core, "worktree/main"), b"a", 0o644, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"half").unwrap();
    core.setattr(attr.ino, Changes { len: Some(2), ..Changes::default() }, None).unwrap();
    assert_eq!(errno(ctl(&core, "commit -m early")), Some(libc::EINVAL));
    close(&core, opened);
    core.setattr(attr.ino, Changes { len: Some(1), ..Changes::default() }, None).unwrap();
    ctl(&core, "commit -m whole").unwrap();
    assert_eq!(text(&core, "branches/main/a"), "h");
}

#[test]
fn what_waits_to_be_stored_goes_with_the_mount() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    assert!(text(&core, ".coral/status").contains("  A a\n"));
    let queue = Arc::downgrade(&core.shared.ingest);
    let worktree = core.shared.worktrees.find(&branch("main")).unwrap();
    drop(core);
    assert!(
        queue.upgrade().is_none(),
        "whoever has a worktree still, as the thread of the queue may, does not hold it"
    );
    drop(worktree);
}

#[test]
fn a_file_that_cannot_be_stored_costs_no_other_and_waits_for_the_commit() {
    let core = file_system();
    for name in ["a", "bad\n", "c", "long", "sour"] {
        save(&core, "worktree/main", name, name.as_bytes());
    }
    let worktree = core.shared.worktrees.find(&branch("main")).unwrap();
    let tries = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&tries);
    let mut storer =
        Storer::taking(move |worktree, ingest, file, parent, task| match file.path.to_string().as_str() {
            "bad\n" => {
                counted.fetch_add(1, Ordering::Relaxed);
                panic!("one bad file");
            }
            "sour" => Err(crate::worktree::Error::LostBytes(file.path.clone())),
            "long" => {
                let key = ObjectKey::from_bytes([1; 16]);
                Err(crate::history::Error::from(StoreError::TooLong { key, len: u64::MAX }).into())
            }
            _ => worktree.staging().ingest(ingest, file, parent, Coding::Now, &Intake::begin(task, file.len)),
        });
    let waiting = || -> Vec<String> {
        worktree.staging().complete().unwrap().iter().map(|file| file.path.to_string()).collect()
    };
    let why = storer.store(&worktree, 0, &Task::default()).unwrap_err();
    assert!(why.contains("lost bytes of `sour`"), "{why}");
    assert_eq!(waiting(), ["bad\n", "long", "sour"]);
    core.unlink(ino(&core, "worktree/main"), b"long").unwrap();
    core.unlink(ino(&core, "worktree/main"), b"sour").unwrap();
    assert_eq!(storer.store(&worktree, 0, &Task::default()).unwrap_err(), r#"`"bad\n"` waits for a commit"#);
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    ctl(&core, "commit -m all").unwrap();
    assert_eq!(text(&core, "branches/main/bad\n"), "bad\n");
    assert_eq!(storer.store(&worktree, 0, &Task::default()), Ok(()));
}
