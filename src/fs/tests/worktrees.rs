//! Worktrees that are opened, looked into and let go.

use super::*;

#[test]
fn history_is_read_where_no_worktree_is_waited_for() {
    let core = file_system();
    let file = save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    let (snapshot, staged) = (ino(&core, "branches/main/a"), file);
    let (snapshot, staged) = (core.open(snapshot, READ).unwrap(), core.open(staged, READ).unwrap());
    assert_eq!(Lanes::of(&core.shared).read(snapshot.handle), Lane::Read);
    assert_eq!(Lanes::of(&core.shared).sync(snapshot.handle), Lane::Look);
    assert_eq!(Lanes::of(&core.shared).close(snapshot.handle), Lane::Look);
    assert_eq!(Lanes::of(&core.shared).close(staged.handle), Lane::Look);
    assert_eq!(Lanes::of(&core.shared).read(staged.handle), Lane::Change);
    let ctl = core.open(ino(&core, ".coral/ctl"), WRITE).unwrap();
    assert_eq!(Lanes::of(&core.shared).write(ctl.handle), Lane::Long);
}

#[test]
fn a_worktree_that_must_be_opened_first_is_looked_into_in_a_lane_of_its_own() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    let entry = LogEntry { who: core.shared.signature(), message: "made".into() };
    let head = core.repo().resolve("HEAD", Timestamp::EPOCH).unwrap();
    let durable = core.repo().store().durable(head).unwrap();
    core.repo().refs().update_branch(&branch("x"), None, durable, &entry).unwrap();
    let root = ino(&core, "worktree/x");
    assert_eq!(
        (Lanes::of(&core.shared).names(root), Lanes::of(&core.shared).naming(root)),
        (Lane::Open, Lane::Open)
    );
    assert!(find(&core, "worktree/x/a").is_some());
    assert_eq!(
        (Lanes::of(&core.shared).names(root), Lanes::of(&core.shared).naming(root)),
        (Lane::Look, Lane::Change)
    );
    assert_eq!(Lanes::of(&core.shared).naming(ino(&core, "worktree")), Lane::Long);
}

#[test]
fn opening_one_worktree_keeps_nobody_from_another() {
    let core = file_system();
    let worktrees = Worktrees::default();
    let (go, gate) = channel::<()>();
    let (at_it, begun) = channel();
    thread::scope(|scope| {
        let (core, worktrees) = (&core, &worktrees);
        let slow = scope.spawn(move || {
            worktrees.find_or_open(&branch("slow"), || {
                at_it.send(()).unwrap();
                gate.recv().unwrap();
                Ok(Tenant::adopt(core.repo().worktree(&branch("main"))?)?)
            })
        });
        begun.recv().unwrap();
        assert!(worktrees.find(&branch("slow")).is_none());
        worktrees
            .find_or_open(&branch("main"), || Ok(Tenant::adopt(core.repo().worktree(&branch("main"))?)?))
            .unwrap();
        assert!(worktrees.find(&branch("main")).is_some());
        worktrees.drop_idle(|_| false);
        go.send(()).unwrap();
        slow.join().unwrap().unwrap();
    });
    assert_eq!(worktrees.all().len(), 2);
}

#[test]
fn idle_worktrees_are_let_go_and_those_in_use_are_not() {
    let core = file_system();
    let used = save(&core, "worktree/main", "a", b"saved");
    let is_open = || core.shared.worktrees.find(&branch("main")).is_some();
    let look_often = || (0..100).for_each(|_| Upkeep::of(&core.shared).tidy());
    look_often();
    assert!(is_open(), "the kernel knows a file in it");
    let opened = core.open(used, READ).unwrap();
    core.forget(used, 1);
    look_often();
    assert!(is_open(), "a file is open in it");
    close(&core, opened);
    look_often();
    assert!(is_open(), "what was saved is not durable yet");
    Upkeep::of(&core.shared).sync().unwrap();
    Upkeep::of(&core.shared).tidy();
    assert!(is_open(), "it was used just now");
    look_often();
    assert!(!is_open());
    assert_eq!(text(&core, "worktree/main/a"), "saved");
}

#[test]
fn a_listing_keeps_the_numbers_of_what_it_lists() {
    let core = file_system();
    let file = save(&core, "worktree/main", "a", b"saved");
    core.forget(file, 1);
    let root = ino(&core, "worktree/main");
    let (handle, _) = core.open_dir(root).unwrap();
    let listing = core.listing(handle, 0).unwrap();
    (0..100).for_each(|_| Upkeep::of(&core.shared).tidy());
    let (attr, _) = core.lookup_listed(root, &listing.names.at(0).unwrap()).unwrap().unwrap();
    assert_eq!(attr.len, 5);
}

#[test]
fn a_branch_that_was_deleted_and_made_again_has_another_worktree() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"saved");
    ctl(&core, "commit -m first").unwrap();
    let rooms = ino(&core, "worktree");
    let root = core.mkdir(rooms, b"x", 0o755).unwrap().ino;
    let old = save(&core, "worktree/x", "old", b"of the first");
    let open = core.open(old, WRITE).unwrap();
    delete(&core, "x");
    Upkeep::of(&core.shared).tidy();
    assert!(core.shared.worktrees.find(&branch("x")).is_none());
    assert_eq!(errno(core.lookup(root, b"old")), Some(libc::ENOENT), "looking makes no worktree");
    core.mkdir(rooms, b"x", 0o755).unwrap();
    let new = save(&core, "worktree/x", "new", b"of the second");
    assert!(find(&core, "worktree/x/old").is_none());
    assert_eq!(text(&core, "worktree/x/new"), "of the second");
    // The number that the kernel has of the old file is not one of the new worktree's.
    assert_ne!(old, new);
    assert_eq!(errno(core.getattr(old)), Some(libc::ESTALE));
    assert_eq!(
        errno(core.rename((old, b"a"), (root, b"b"), crate::worktree::RenameMode::Replace)),
        Some(libc::ESTALE)
    );
    core.release(open.handle);
    assert_eq!(text(&core, "worktree/x/new"), "of the second");
}

#[test]
fn reading_a_directory_from_its_beginning_lists_it_anew() {
    let core = file_system();
    save(&core, "worktree/main", "a", b"");
    let (handle, _) = core.open_dir(ino(&core, "worktree/main")).unwrap();
    assert_eq!(names(&core, handle, 0), ["a"]);
    save(&core, "worktree/main", "b", b"");
    assert_eq!(names(&core, handle, 1), [""; 0], "what is being read does not change");
    assert_eq!(names(&core, handle, 0), ["a", "b"]);
    core.release(handle);
    assert_eq!(errno(core.open_dir(ino(&core, "worktree/main/a"))), Some(libc::ENOTDIR));
}
