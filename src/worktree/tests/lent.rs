//! Staging files that somebody else writes without a word: a kernel.

use super::*;
use crate::disk::DiskFile;

/// A kernel that a file is lent to: it opens anew what it is given, for each who writes.
pub(super) struct Kernel(Arc<dyn DiskFile>);

impl Kernel {
    pub(super) fn write(&self, bytes: &[u8], offset: u64) {
        self.writer().write_all_at(bytes, offset).expect("write");
    }

    /// One who writes, or has it mapped, until this is dropped.
    pub(super) fn writer(&self) -> Box<dyn DiskFile> {
        self.0.to_write().expect("open")
    }

    fn modified(&self) -> Timestamp {
        self.0.modified().expect("modified").into()
    }
}

/// Creates a file and lends it, as a mount does for a program that saves.
pub(super) fn lend(worktree: &Tenant, file: &str) -> (NodeId, Kernel) {
    let node = worktree.create(NodeId::ROOT, &name(file), 0o644, at(1)).expect("create");
    (node, lent(worktree, node))
}

fn lent(worktree: &Tenant, node: NodeId) -> Kernel {
    try_lend(worktree, node).expect("lend").expect("it is being written")
}

fn try_lend(worktree: &Tenant, node: NodeId) -> Result<Option<Kernel>> {
    let Some(given) = worktree.lending().lendable(node) else { return Ok(None) };
    worktree.lending().lend(node, &given)?;
    Ok(Some(Kernel(given)))
}

fn close(worktree: &Tenant, node: NodeId, write: bool) {
    worktree.release(node, write, Release::Complete).expect("release");
}

fn commit(worktree: &Tenant) -> Committed {
    let request = CommitRequest { allow_empty: true, ..request("commit", 5) };
    worktree.commit(&request, &Task::default()).expect("commit")
}

fn staged(worktree: &Tenant) -> usize {
    worktree.sync_records().expect("sync");
    worktree.repo().disk().list(&worktree.staging().dir()).expect("list").len()
}

#[test]
fn what_was_written_unheard_is_seen_at_once_and_complete_when_it_is_closed() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"some bytes", 0);
    let seen = worktree.names().attributes(node).expect("attributes");
    assert_eq!((seen.len, seen.modified), (10, file.modified()));
    assert_eq!(worktree.lending().changed(node), Some(seen.modified));
    assert_eq!(load(&worktree, "a"), Some(b"some bytes".to_vec()));
    worktree.set_len(node, 4, at(2)).expect("cut");
    file.write(b"more", 4);
    close(&worktree, node, true);
    assert!(!worktree.lending().is_lent(node) && worktree.lending().lendable(node).is_none());
    let modified = worktree.names().attributes(node).expect("attributes").modified;
    assert_eq!(modified, file.modified());
    commit(&worktree);
    assert_eq!(committed(&repo, "main", "a"), Some(b"somemore".to_vec()));
}

#[test]
fn a_time_that_was_said_stands_until_bytes_change() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"bytes", 0);
    worktree.names().set_attributes(node, None, Some(at(77))).expect("say");
    assert_eq!(worktree.names().attributes(node).expect("attributes").modified, at(77));
    worktree.names().set_attributes(node, Some(0o600), None).expect("say");
    assert_eq!(worktree.names().attributes(node).expect("attributes").modified, at(77));
    file.write(b"bytes", 0);
    assert_ne!(worktree.names().attributes(node).expect("attributes").modified, at(77));
    worktree.names().set_attributes(node, None, Some(at(78))).expect("say");
    close(&worktree, node, true);
    assert_eq!(worktree.names().attributes(node).expect("attributes").modified, at(78));
}

#[test]
fn what_is_lent_to_readers_does_not_change_what_a_commit_takes() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"first", 0);
    worktree.open_file(node, false).expect("open");
    close(&worktree, node, true);
    // A reader has it: the next writer writes what that one sees.
    for (version, bytes) in [b"again", b"third"].into_iter().enumerate() {
        commit(&worktree);
        worktree.open_file(node, true).expect("open");
        let same = lent(&worktree, node);
        assert_eq!(same.0.id().expect("id"), file.0.id().expect("id"));
        let before = committed(&repo, "main", "a");
        file.write(bytes, 0);
        commit(&worktree);
        assert_eq!(committed(&repo, "main", "a"), before, "{version}: nobody has closed it");
        close(&worktree, node, true);
        commit(&worktree);
        assert_eq!(committed(&repo, "main", "a").as_deref(), Some(&bytes[..]));
        assert_eq!(load(&worktree, "a").as_deref(), Some(&bytes[..]));
    }
    close(&worktree, node, false);
    commit(&worktree);
    assert_eq!(load(&worktree, "a"), Some(b"third".to_vec()));
    assert_eq!(committed(&repo, "main", "a"), Some(b"third".to_vec()));
    assert_eq!(staged(&worktree), 0);
    assert!(fsck(&repo, true, &Task::default()).expect("fsck").findings.is_empty());
}

#[test]
fn what_a_writer_closed_is_whole_though_somebody_reads_it_until_the_process_dies() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"synced", 0);
    worktree.sync(node).expect("sync");
    file.write(b"whole, and more", 0);
    worktree.open_file(node, false).expect("open");
    close(&worktree, node, true);
    let others = repo.worktree(&main()).expect("another process's");
    for worktree in [&others, &*worktree] {
        assert!(worktree.snapshot(false).expect("snapshot").is_at_rest());
    }
    // A commit of another process, which throws away what it finds to be of no use.
    others.commit(&request("beside", 5), &Task::default()).expect("commit");
    assert_eq!(committed(&repo, "main", "a").as_deref(), Some(&b"whole, and more"[..]));
    worktree.open_file(node, true).expect("open");
    assert_eq!(others.snapshot(false).expect("snapshot").still_open, [path("a")]);
    file.write(b"WHOLE", 0);
    close(&worktree, node, true);
    assert!(others.snapshot(false).expect("snapshot").is_at_rest());
    // It dies without a word; its reader reads on.
    drop((worktree, others, repo));
    let repo = open(&disk);
    let next = tenant(&repo);
    assert_eq!(load(&next, "a").as_deref(), Some(&b"WHOLE, and more"[..]));
    assert!(next.snapshot(false).expect("snapshot").is_at_rest());
    commit(&next);
    assert_eq!(committed(&repo, "main", "a").as_deref(), Some(&b"WHOLE, and more"[..]));
    assert_eq!(staged(&next), 0);
}

#[test]
fn who_reads_what_another_process_writes_over_goes_on_with_what_he_has() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"first", 0);
    worktree.open_file(node, false).expect("open");
    close(&worktree, node, true);
    let other = tenant(&open(&disk));
    let there = other.names().resolve(&path("a")).expect("resolve").expect("there");
    other.open_file(there, true).expect("nobody writes");
    other.write_at(there, 0, b"other", at(3)).expect("write");
    // Whoever opens it here from now on finds that one.
    let found = worktree.names().resolve(&path("a")).expect("resolve").expect("there");
    assert_ne!(found, node);
    assert!(matches!(worktree.open_file(found, true), Err(Error::BeingWritten(_))));
    close(&other, there, true);
    // Whoever looked the name up before, and opens it to write, is told to look again; who reads may go on.
    assert!(matches!(worktree.open_file(node, true), Err(Error::Stale)));
    worktree.open_file(node, false).expect("open");
    close(&worktree, node, false);
    assert_eq!(load(&worktree, "a"), Some(b"other".to_vec()));
    let mut seen = [0; 9];
    assert_eq!(worktree.staging().read_at(node, 0, &mut seen).expect("read"), 5);
    assert_eq!(
        (&seen[..5], worktree.names().attributes(node).expect("attributes").linked),
        (&b"first"[..], false)
    );
    close(&worktree, node, false);
    commit(&worktree);
    assert_eq!(committed(&repo, "main", "a"), Some(b"other".to_vec()));
    other.sync_records().expect("sync");
    assert_eq!(staged(&worktree), 0);
}

#[test]
fn a_file_that_is_removed_after_its_writer_goes_on_for_its_readers() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"first", 0);
    worktree.open_file(node, false).expect("open");
    close(&worktree, node, true);
    worktree.names().unlink(NodeId::ROOT, &name("a"), at(2)).expect("unlink");
    worktree.open_file(node, true).expect("open");
    worktree.set_len(node, 2, at(3)).expect("cut");
    assert_eq!(file.0.len().expect("len"), 2, "its readers see it");
    close(&worktree, node, true);
    close(&worktree, node, false);
    commit(&worktree);
    assert_eq!(staged(&worktree), 0);
}

#[test]
fn the_bytes_that_a_killed_writer_left_are_not_complete_whoever_reads_them() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"whole", 0);
    close(&worktree, node, true);
    commit(&worktree);
    worktree.open_file(node, true).expect("open");
    worktree.set_len(node, 0, at(2)).expect("truncate");
    let file = lent(&worktree, node);
    file.write(b"ha", 0);
    worktree.open_file(node, false).expect("open");
    worktree.release(node, true, Release::Interrupted).expect("release");
    assert_eq!(load(&worktree, "a"), Some(b"ha".to_vec()));
    close(&worktree, node, false);
    drop(file);
    assert_eq!(load(&worktree, "a"), Some(b"ha".to_vec()));
    assert!(worktree.commit(&request("nothing", 6), &Task::default()).is_err());
    assert_eq!(committed(&repo, "main", "a"), Some(b"whole".to_vec()));
    // Whoever writes on completes it.
    worktree.open_file(node, true).expect("open");
    worktree.write_at(node, 2, b"lf", at(3)).expect("write");
    close(&worktree, node, true);
    commit(&worktree);
    assert_eq!(committed(&repo, "main", "a"), Some(b"half".to_vec()));
}

#[test]
fn a_removed_file_goes_on_for_those_who_have_it() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    worktree.open_file(node, false).expect("open");
    worktree.names().unlink(NodeId::ROOT, &name("a"), at(2)).expect("unlink");
    file.write(b"nameless", 0);
    close(&worktree, node, true);
    worktree.open_file(node, true).expect("open");
    worktree.set_len(node, 4, at(3)).expect("cut");
    assert_eq!(file.0.len().expect("len"), 4, "its readers see it");
    assert_eq!(worktree.names().attributes(node).expect("attributes").len, 4);
    close(&worktree, node, true);
    close(&worktree, node, false);
    assert_eq!(staged(&worktree), 0);
}

#[test]
fn who_syncs_a_file_and_closes_it_has_it_whole_after_a_power_cut() {
    for later in [None, Some(&b"WRITTEN"[..])] {
        let (disk, repo) = create();
        let worktree = tenant(&repo);
        let (node, file) = lend(&worktree, "a");
        file.write(b"written", 0);
        worktree.sync(node).expect("sync");
        // As long as before, so that only the disk knows.
        later.into_iter().for_each(|bytes| file.write(bytes, 0));
        close(&worktree, node, true);
        worktree.sync(NodeId::ROOT).expect("sync");
        for seed in 0..8 {
            let after = open(&disk.crash_image(seed));
            let worktree = tenant(&after);
            assert_eq!(load(&worktree, "a").as_deref(), Some(later.unwrap_or(b"written")));
            commit(&worktree);
            assert_eq!(committed(&after, "main", "a").as_deref(), Some(later.unwrap_or(b"written")));
        }
    }
}

#[test]
fn a_dead_process_s_file_is_nobody_s_as_long_as_somebody_writes_to_it() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let (_, kernel) = lend(&worktree, "a");
    kernel.write(b"half", 0);
    let writer = kernel.writer();
    // It dies without a word; what it lent lives on.
    drop((worktree, repo, kernel));
    let repo = open(&disk);
    let next = tenant(&repo);
    let node = next.names().resolve(&path("a")).expect("resolve").expect("its name is there");
    assert!(matches!(next.open_file(node, true), Err(Error::BeingWritten(_))));
    assert!(next.commit(&request("nothing", 2), &Task::default()).is_err());
    // Reading it does not make it ours.
    next.open_file(node, false).expect("open");
    assert!(matches!(next.open_file(node, true), Err(Error::BeingWritten(_))));
    writer.write_all_at(b"whole", 0).expect("write");
    assert_eq!(load(&next, "a"), Some(b"whole".to_vec()));
    drop(writer);
    next.open_file(node, true).expect("nobody writes any more");
    next.write_at(node, 5, b"!", at(3)).expect("write");
    close(&next, node, true);
    commit(&next);
    assert_eq!(committed(&repo, "main", "a"), Some(b"whole!".to_vec()));
}

#[test]
fn a_mapping_that_outlives_the_last_close_keeps_a_file_from_being_complete() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"bytes", 0);
    let mapping = file.writer();
    close(&worktree, node, true);
    assert_eq!(worktree.lending().settle_mapped().expect("look"), []);
    commit(&worktree);
    assert_eq!(committed(&repo, "main", "a"), None);
    // Who opens it meanwhile goes on in it, also one who only reads.
    worktree.open_file(node, true).expect("open");
    worktree.write_at(node, 5, b"!", at(2)).expect("write");
    worktree.open_file(node, false).expect("open");
    close(&worktree, node, true);
    mapping.write_all_at(b"BYTES", 0).expect("write");
    commit(&worktree);
    assert_eq!(committed(&repo, "main", "a"), None);
    close(&worktree, node, false);
    assert_eq!(load(&worktree, "a"), Some(b"BYTES!".to_vec()));
    drop(mapping);
    assert_eq!(worktree.lending().settle_mapped().expect("look"), [node]);
    commit(&worktree);
    assert_eq!(committed(&repo, "main", "a"), Some(b"BYTES!".to_vec()));
    assert_eq!(staged(&worktree), 0);
}

#[test]
fn what_is_synced_and_closed_is_whole_after_a_power_cut_though_somebody_reads_it() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"written", 0);
    worktree.open_file(node, false).expect("open");
    worktree.sync(node).expect("sync");
    close(&worktree, node, true);
    worktree.sync(NodeId::ROOT).expect("sync");
    for seed in 0..8 {
        let after = open(&disk.crash_image(seed));
        let worktree = tenant(&after);
        commit(&worktree);
        assert_eq!(committed(&after, "main", "a"), Some(b"written".to_vec()));
    }
    // And what is settled afterwards is made durable as everything else.
    close(&worktree, node, false);
    synced(&worktree, "other", b"somebody else's");
    worktree.staging().sync().expect("sync");
    worktree.sync_records().expect("sync");
    let after = open(&disk.crash_image(1));
    assert_eq!(load(&tenant(&after), "a"), Some(b"written".to_vec()));
    assert!(tenant(&after).snapshot(false).expect("snapshot").is_at_rest());
}

#[test]
fn what_the_disk_lost_after_a_sync_is_told_though_only_the_close_hears_of_it() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    let (node, file) = lend(&worktree, "a");
    file.write(b"synced", 0);
    worktree.sync(node).expect("sync");
    file.write(b"lost", 6);
    disk.fail_write_back(&worktree.staging().dir());
    assert!(matches!(worktree.release(node, true, Release::Complete), Err(Error::LostBytes(_))));
    assert!(matches!(worktree.commit(&request("lost", 2), &Task::default()), Err(Error::LostBytes(_))));
}

/// A session that lends and ends at the first error: what was committed, and what was synced and closed.
fn session(disk: &SimulatedDisk, done: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let repo = Repo::open(Arc::new(disk.clone()), Path::new(ROOT), Options::default())?;
    let (worktree, _) = Tenant::adopt(repo.worktree(&main())?)?;
    for round in 0..3u8 {
        let node = match worktree.names().lookup(NodeId::ROOT, &name("a"))? {
            Some((node, _)) => {
                worktree.open_file(node, true)?;
                worktree.set_len(node, 0, at(1))?;
                node
            }
            None => worktree.create(NodeId::ROOT, &name("a"), 0o644, at(1))?,
        };
        let file = try_lend(&worktree, node)?.ok_or(Error::Stale)?;
        file.writer().write_all_at(&[round; 9000], 0)?;
        worktree.open_file(node, false)?;
        worktree.release(node, true, Release::Complete)?;
        let committed = worktree.commit(&request("round", round.into()), &Task::default())?;
        if committed.warnings.is_empty() {
            done.push((committed.id.to_string(), vec![round; 9000]));
        }
        worktree.open_file(node, true)?;
        file.writer().write_all_at(&[round + 100; 10], 0)?;
        worktree.release(node, true, Release::Complete)?;
        worktree.release(node, false, Release::Complete)?;
        worktree.commit(&request("round", round.into()), &Task::default())?;
    }
    Ok(())
}

#[test]
fn nothing_that_was_committed_is_lost_wherever_the_power_is_cut() {
    let operations = {
        let (disk, _) = create();
        let before = disk.operations();
        session(&disk, &mut Vec::new()).expect("nothing fails");
        disk.operations() - before
    };
    for n in 1..=operations {
        let (disk, _) = create();
        disk.stop_at_nth(n);
        let mut done = Vec::new();
        let _ = session(&disk, &mut done);
        for seed in 0..2 {
            let after = open(&disk.crash_image(seed));
            let worktree = tenant(&after);
            let report = fsck(&after, true, &Task::default()).expect("fsck");
            assert!(report.findings.is_empty(), "{:?}", report.findings);
            for (id, bytes) in &done {
                assert_eq!(committed(&after, id, "a").as_ref(), Some(bytes));
            }
            save(&worktree, "afterwards", b"x", 9);
            worktree.commit(&request("afterwards", 9), &Task::default()).expect("commit");
        }
    }
}
