//! Files that the kernel writes by itself: those that a program begins anew.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use memmap2::MmapMut;

use crate::places::needs_passthrough;
use crate::stage::{Missing, Stage, detach, weights};

/// Whether the kernel is handed files to write: where it can be, and the disk has room.
fn needs_lending() -> Result<(), Missing> {
    /// More than a mount wants to be left.
    const ROOM: u64 = 6 << 30;
    needs_passthrough()?;
    let folder = CString::new(env!("CARGO_TARGET_TMPDIR")).expect("a path");
    // SAFETY: statvfs is plain integers, for which zero bytes are a value; the path is NUL-terminated and both outlive the call.
    let mut facts: libc::statvfs = unsafe { std::mem::zeroed() };
    let told = unsafe { libc::statvfs(folder.as_ptr(), &mut facts) };
    match told == 0 && facts.f_bavail * facts.f_frsize >= ROOM {
        true => Ok(()),
        false => Err(Missing("less than 6 GiB are free".to_owned())),
    }
}

/// How often a mount was asked for something.
pub fn count(stage: &Stage, operation: &str) -> u64 {
    let stats = fs::read_to_string(stage.mnt(".coral/stats.json")).expect("readable");
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    stats["operations"][operation]["count"].as_u64().unwrap_or(0)
}

fn empty(stage: &Stage, name: &str) -> File {
    let path = stage.worktree(name);
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).expect("openable")
}

pub fn what_a_program_saves_is_written_by_the_kernel() -> Result<(), Missing> {
    needs_lending()?;
    let stage = Stage::new()?;
    for round in 0..2u64 {
        let bytes = weights(round, 3 << 20);
        fs::write(stage.worktree("model"), &bytes).expect("room");
        let id = stage.commit("saved");
        assert!(fs::read(stage.worktree("model")).expect("saved") == bytes);
        assert!(fs::read(stage.mnt(&format!("commits/{id}/model"))).expect("committed") == bytes);
    }
    assert_eq!(count(&stage, "write"), 0, "created, and written over");
    // What is written on goes through the mount's process: what was there is copied first.
    let mut log = OpenOptions::new().append(true).open(stage.worktree("model")).expect("openable");
    log.write_all(b"more").expect("room");
    assert_eq!(count(&stage, "write"), 1);
    Ok(())
}

pub fn length_and_times_of_a_file_that_is_being_saved_are_those_of_a_plain_one() -> Result<(), Missing> {
    needs_lending()?;
    let stage = Stage::new()?;
    let mut file = empty(&stage, "a");
    let born = file.metadata().expect("open");
    stage.wait_until("the clock goes on", || {
        file.write_all_at(b"0123456789", 0).expect("room");
        file.metadata().expect("open").modified().expect("told") > born.modified().expect("told")
    });
    let seen = fs::metadata(stage.worktree("a")).expect("there");
    assert_eq!((seen.len(), seen.mtime_nsec()), (10, file.metadata().expect("open").mtime_nsec()));
    file.set_len(4).expect("cut");
    file.seek(SeekFrom::End(0)).expect("told");
    file.write_all(b"!").expect("room");
    assert_eq!(fs::read(stage.worktree("a")).expect("there"), b"0123!");
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(7, 5)).expect("told");
    drop(file);
    stage.in_repo(&["status", "--short"]).succeeds();
    let seen = fs::metadata(stage.worktree("a")).expect("there");
    assert_eq!((seen.mtime(), seen.mtime_nsec(), seen.len()), (7, 5, 5));
    assert_eq!(count(&stage, "write"), 0);
    Ok(())
}

pub fn who_reads_a_file_that_is_being_saved_sees_what_later_writers_write() -> Result<(), Missing> {
    needs_lending()?;
    let stage = Stage::new()?;
    let saved = |name: &str| fs::read(stage.mnt(&format!("HEAD/{name}"))).expect("committed");
    let mut writer = empty(&stage, "a");
    writer.write_all(b"first").expect("room");
    let reader = File::open(stage.worktree("a")).expect("there");
    drop(writer);
    stage.commit("first");
    assert_eq!(saved("a"), b"first");
    // Opened in each way: the reader sees it, and no commit does before it is closed.
    type How = fn(&mut OpenOptions) -> &mut OpenOptions;
    let ways: [(&str, How, &[u8]); 3] = [
        ("appended", |how| how.append(true), b"first1"),
        ("over it", |how| how.write(true), b"1irst1"),
        ("anew", |how| how.write(true).truncate(true), b"1"),
    ];
    let mut before = b"first".to_vec();
    for (way, how, after) in ways {
        let mut writer = how(&mut OpenOptions::new()).open(stage.worktree("a")).expect("there");
        writer.write_all(b"1").expect("room");
        let mut seen = [0; 100];
        let len = reader.read_at(&mut seen, 0).expect("open");
        assert_eq!(&seen[..len], after, "{way}");
        stage.in_repo(&["commit", "--allow-empty", "-m", "beside"]).succeeds();
        assert_eq!(saved("a"), before, "{way}");
        drop(writer);
        stage.in_repo(&["commit", "-m", way]).succeeds();
        assert_eq!(saved("a"), after, "{way}");
        before = after.to_vec();
    }
    drop(reader);
    stage.in_repo(&["status"]).succeeds();
    assert_eq!(fs::read(stage.worktree("a")).expect("there"), before);
    stage.in_repo(&["drain"]).succeeds();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn what_a_writer_closed_is_whole_whoever_reads_it_and_whoever_is_killed() -> Result<(), Missing> {
    needs_lending()?;
    let mut stage = Stage::new()?;
    let mut writer = empty(&stage, "model");
    writer.write_all(b"first").expect("room");
    let reader = File::open(stage.worktree("model")).expect("there");
    drop(writer);
    let status = |stage: &Stage| stage.in_repo(&["status", "--short"]).succeeds().text();
    assert_eq!(status(&stage), "A model\n");
    stage.commit("first");
    fs::write(stage.worktree("model"), "second").expect("room");
    assert_eq!(status(&stage), "M model\n");
    let mut seen = [0; 100];
    assert_eq!(reader.read_at(&mut seen, 0).expect("open"), 6, "it sees what was written since");
    stage.kill_daemon();
    assert_eq!(reader.read_at(&mut seen, 0).expect("the kernel reads by itself"), 6);
    assert_eq!(status(&stage), "M model\n");
    detach(&stage.mnt(""));
    stage.mount(&["repo", "mnt"]);
    assert_eq!(status(&stage), "M model\n");
    assert_eq!(fs::read(stage.worktree("model")).expect("there"), b"second");
    // Another mount may write to it while one of this mount reads.
    let reading = File::open(stage.worktree("model")).expect("there");
    fs::write(stage.worktree("model"), "third").expect("room");
    assert_eq!(status(&stage), "M model\n");
    fs::create_dir(stage.path("other")).expect("a scratch folder");
    stage.mount(&["repo", "other"]);
    fs::write(stage.path("other/worktree/main/model"), "fourth").expect("nobody writes");
    stage.wait_until("what others write is seen after a second", || {
        fs::read(stage.worktree("model")).expect("there") == b"fourth"
    });
    drop((reader, reading));
    stage.commit("second");
    assert_eq!(fs::read(stage.mnt("HEAD/model")).expect("committed"), b"fourth");
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn a_mapping_that_outlives_its_descriptor_keeps_a_file_from_being_complete() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let bytes = weights(1, 4 << 20);
    let mut file = empty(&stage, "mapped");
    file.write_all(&bytes).expect("room");
    // SAFETY: nobody cuts the file while it is mapped.
    let mut map = unsafe { MmapMut::map_mut(&file).expect("mappable") };
    drop(file);
    stage.in_repo(&["commit", "-m", "nothing is complete"]).fails(&["nothing"]);
    map[1 << 20..][..5].copy_from_slice(b"later");
    drop(map);
    stage.wait_until("it is complete", || {
        stage.in_repo(&["status", "--short"]).succeeds().text() == "A mapped\n"
    });
    let id = stage.commit("mapped");
    let expected = [&bytes[..1 << 20], b"later", &bytes[(1 << 20) + 5..]].concat();
    assert!(fs::read(stage.mnt(&format!("commits/{id}/mapped"))).expect("committed") == expected);
    stage.in_repo(&["drain"]).succeeds();
    stage.unmount();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn a_writer_goes_on_when_the_daemon_is_killed_and_nobody_takes_it_for_done() -> Result<(), Missing> {
    needs_lending()?;
    let mut stage = Stage::new()?;
    let mut writer = empty(&stage, "zombie");
    writer.write_all(b"half").expect("room");
    let mut left = empty(&stage, "left");
    left.write_all(b"what arrived").expect("room");
    stage.kill_daemon();
    drop(left);
    writer.write_all(b" and more").expect("the kernel writes by itself");
    let status = stage.in_repo(&["status", "--short"]).succeeds().text();
    assert_eq!(status, "W zombie\nI left\n");
    stage.in_repo(&["commit", "-m", "nothing is complete"]).fails(&["nothing"]);
    detach(&stage.mnt(""));
    stage.mount(&["repo", "mnt"]);
    for reader in [None, Some(File::open(stage.worktree("zombie")).expect("there"))] {
        let refused = OpenOptions::new().write(true).open(stage.worktree("zombie"));
        assert_eq!(refused.expect_err("somebody writes").raw_os_error(), Some(libc::EBUSY), "{reader:?}");
    }
    writer.write_all(b".").expect("the kernel writes by itself");
    stage.wait_until("what others write is seen after a second", || {
        fs::read(stage.worktree("zombie")).expect("there") == b"half and more."
    });
    drop(writer);
    stage.wait_until("nobody writes any more", || {
        stage.in_repo(&["status", "--short"]).succeeds().text() == "I left\nI zombie\n"
    });
    for (name, bytes) in [("zombie", &b"half and more."[..]), ("left", b"what arrived")] {
        let mut file = OpenOptions::new().append(true).open(stage.worktree(name)).expect("nobody writes");
        file.write_all(b"!").expect("room");
        drop(file);
        let mut read = Vec::new();
        File::open(stage.worktree(name)).expect("there").read_to_end(&mut read).expect("readable");
        assert_eq!(read, [bytes, b"!"].concat());
    }
    stage.commit("all");
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}
