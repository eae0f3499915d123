//! Daemons that die and disks that are full.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::stage::{Missing, Stage, detach, needs_root, weights};

pub fn a_killed_daemon_costs_nothing_that_was_closed() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let bytes = weights(5, 5 << 20);
    fs::write(stage.worktree("committed"), "old").expect("room");
    stage.commit("first");
    fs::write(stage.worktree("closed"), &bytes).expect("room");
    fs::write(stage.worktree("committed"), "new").expect("room");
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).open(stage.worktree("open")).expect("new");
    open.write_all(b"what arrived").expect("room");
    // The kernel tells of the last close a moment after close(2) returned; this waits for that moment.
    stage.in_repo(&["status", "--short"]).succeeds();
    stage.kill_daemon();
    fs::metadata(stage.mnt("HEAD")).expect_err("the daemon is dead");
    drop(open);
    // The next command works, and names what was being written: it is there, and no commit takes half of it.
    let status = stage.in_repo(&["status", "--short"]).succeeds().text();
    assert_eq!(status, "A closed\nM committed\nI open\n");
    stage.in_repo(&["commit", "-m", "after the crash"]).succeeds();
    // The dead mount is in nobody's way.
    stage.mount(&["repo", "mnt"]);
    assert!(fs::read(stage.mnt("HEAD/closed")).expect("saved") == bytes);
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/committed")).expect("saved"), "new");
    assert!(fs::metadata(stage.mnt("HEAD/open")).is_err());
    assert_eq!(fs::read_to_string(stage.worktree("open")).expect("saved"), "what arrived");
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

/// Nobody waits for the kernel to tell that a file was closed for the last time.
pub fn a_daemon_that_is_killed_at_once_loses_nothing_of_what_was_closed() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    for round in 0..10u64 {
        stage.mount(&["repo", "mnt"]);
        let bytes = weights(round, 300_000);
        for name in ["one", "two", "three"] {
            fs::write(stage.worktree(name), &bytes).expect("room");
        }
        stage.kill_daemon();
        let status = stage.in_repo(&["status", "--short"]).succeeds().text();
        let letter = if round == 0 { "A" } else { "M" };
        assert_eq!(status, format!("{letter} one\n{letter} three\n{letter} two\n"), "round {round}");
        stage.mount(&["repo", "mnt"]);
        for name in ["one", "two", "three"] {
            assert!(fs::read(stage.worktree(name)).expect("there") == bytes, "{name} in round {round}");
        }
        stage.in_repo(&["commit", "-m", "as it is"]).succeeds();
        stage.unmount();
    }
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

/// Programs that write several arrays into one file close a copy of its descriptor after each.
pub fn a_descriptor_that_stays_open_is_not_closed_by_a_copy_of_it() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let mut file = File::create(stage.worktree("arrays")).expect("new");
    let mut copy = file.try_clone().expect("a copy");
    copy.write_all(b"the first array").expect("room");
    drop(copy);
    // Longer than the kernel's word takes.
    std::thread::sleep(std::time::Duration::from_secs(4));
    stage.kill_daemon();
    let _ = file.write_all(b"the second array");
    drop(file);
    let status = stage.in_repo(&["status", "--short"]).succeeds().text();
    assert_eq!(status, "I arrays\n");
    Ok(())
}

/// How many bytes of commits are still as they were saved.
fn waiting(stage: &Stage) -> u64 {
    let stats = stage.in_repo(&["stats", "--json"]).succeeds().text();
    let value: serde_json::Value = serde_json::from_str(&stats).expect("one value");
    value["waiting_bytes"].as_u64().expect("a number")
}

pub fn what_a_commit_left_as_it_was_saved_becomes_small_and_survives_the_daemon() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    for round in 0..6u64 {
        let bytes = weights(5 + round, 6 << 20);
        fs::write(stage.worktree("model"), &bytes).expect("room");
        fs::write(stage.worktree("config"), round.to_string()).expect("room");
        let id = stage.commit(&format!("round {round}"));
        // The coding of what was committed is under way, or not begun, or done.
        std::thread::sleep(std::time::Duration::from_millis(150 * round));
        if round % 2 == 1 {
            stage.kill_daemon();
            stage.in_repo(&["fsck", "--full"]).succeeds();
            stage.mount(&["repo", "mnt"]);
        }
        assert!(fs::read(stage.mnt(&format!("commits/{id}/model"))).expect("committed") == bytes);
        assert!(fs::read(stage.mnt("HEAD/model")).expect("committed") == bytes);
    }
    stage.wait_until("a mount makes small what it finds", || waiting(&stage) == 0);
    stage.unmount();
    fs::remove_dir_all(stage.path("repo/.coral/plain")).expect("copies of what is stored");
    stage.in_repo(&["drain"]).succeeds();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    stage.in_repo(&["export", "HEAD~3", "../third"]).succeeds();
    assert!(fs::read(stage.path("third/model")).expect("exported") == weights(7, 6 << 20));
    Ok(())
}

/// A disk of so many bytes in memory; unmounted when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn new(stage: &Stage, path: &Path, mib: u32) -> Result<Self, Missing> {
        needs_root()?;
        fs::create_dir(path).expect("new");
        let size = format!("size={mib}m");
        let path_text = path.to_str().expect("our own name");
        stage
            .run(
                stage
                    .program("mount", &stage.path(""))
                    .args(["-t", "tmpfs", "-o", &size, "tmpfs", path_text]),
            )
            .succeeds();
        Ok(Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        detach(&self.0);
    }
}

/// A repository on a disk of so many bytes in memory, `small`, mounted.
pub fn on_small_disk(mib: u32) -> Result<(Stage, SmallDisk), Missing> {
    let mut stage = Stage::unmounted()?;
    let small = SmallDisk::new(&stage, &stage.path("small"), mib)?;
    stage.coral(&["init", "small/repo"]).succeeds();
    stage.mount(&["small/repo", "mnt"]);
    Ok((stage, small))
}

pub fn a_full_disk_is_told_to_the_writer_and_changes_nothing() -> Result<(), Missing> {
    let (mut stage, small) = on_small_disk(96)?;
    fs::write(stage.worktree("kept"), weights(6, 4 << 20)).expect("room");
    stage.sh("cd \"$W\"; \"$CORAL\" commit -m first").succeeds();
    stage
        .sh("dd if=/dev/urandom of=\"$W\"/big bs=1M count=200 status=none")
        .fails(&["No space left on device"]);
    stage.sh("cmp \"$W\"/kept \"$M\"/HEAD/kept; cd \"$M\"; \"$CORAL\" fsck --full").succeeds();
    stage.sh("rm \"$W\"/big; printf later > \"$W\"/small; cd \"$W\"; \"$CORAL\" commit -m second").succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/small")).expect("committed"), "later");
    // A file that was saved is committed where it is: that needs no room. What has to be written anew does not fit, and
    // leaves the branch as it was.
    stage.sh("dd if=/dev/urandom of=\"$W\"/half bs=1M count=60 status=none").succeeds();
    stage.sh("cd \"$W\"; \"$CORAL\" commit -m third; cmp half \"$M\"/HEAD/half").succeeds();
    stage.sh("cd \"$W\"; dd if=half of=open bs=1M count=20 status=none; exec 5>>open; \"$CORAL\" commit --include-open -m fourth")
        .fails(&[]);
    let log = stage.sh("cd \"$W\"; \"$CORAL\" log").succeeds().text();
    assert!(log.contains("third") && !log.contains("fourth"), "{log}");
    stage
        .sh("rm \"$W\"/half; cmp \"$W\"/kept \"$M\"/HEAD/kept; cd \"$M\"; \"$CORAL\" fsck --full")
        .succeeds();
    stage.unmount();
    drop(small);
    Ok(())
}

pub fn what_a_disk_keeps_of_its_own_goes_before_a_writer_is_told_that_it_is_full() -> Result<(), Missing> {
    let (mut stage, small) = on_small_disk(160)?;
    let mib = |script: &str| -> u64 { stage.sh(script).succeeds().text().trim().parse().expect("a number") };
    let taken = || mib("du -sm small/repo/.coral/plain | cut -f1");
    // Copies of what is coded, and room for little more than them.
    for step in 0..4 {
        fs::write(stage.worktree("model"), weights(step, 12 << 20)).expect("room");
        stage.sh("cd \"$W\"; \"$CORAL\" commit -m step; \"$CORAL\" drain").succeeds();
        assert!(fs::read(stage.mnt("HEAD/model")).expect("committed") == weights(step, 12 << 20));
    }
    let (copies, free) = (taken(), mib("df -m --output=avail small | tail -1"));
    assert!(copies >= 24, "{copies}");
    let size = free + copies / 2;
    stage
        .sh(&format!("dd if=/dev/urandom of=\"$W\"/fits bs=1M count={size} status=none; sync \"$W\"/fits"))
        .succeeds();
    assert!(taken() < copies);
    // What is committed waits to be coded; that this needs more room than there is leaves it where it is.
    stage.sh("cd \"$W\"; \"$CORAL\" commit -m fits; cp fits fits.too || true; rm -f fits.too").succeeds();
    stage
        .sh("dd if=/dev/urandom of=\"$W\"/more bs=1M count=160 status=none")
        .fails(&["No space left on device"]);
    stage
        .sh("cd \"$W\"; \"$CORAL\" drain || true; cmp fits \"$M\"/HEAD/fits; \"$CORAL\" fsck --full")
        .succeeds();
    for step in 0..4 {
        let read = fs::read(stage.mnt(&format!("commits/main~{}/model", 4 - step))).expect("committed");
        assert!(read == weights(step, 12 << 20), "{step}");
    }
    // With room again everything goes on.
    stage
        .sh("cd \"$W\"; rm more; printf later > small; \"$CORAL\" commit -m later; cat \"$M\"/HEAD/small")
        .succeeds();
    stage.unmount();
    drop(small);
    Ok(())
}

pub fn a_stop_signal_unmounts() -> Result<(), Missing> {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let mut stage = Stage::new()?;
        fs::write(stage.worktree("a"), "saved").expect("room");
        assert!(stage.signal_daemon(signal), "it ends well");
        assert!(fs::read_dir(stage.path("mnt")).expect("the empty directory").next().is_none());
        let status = stage.in_repo(&["status"]).succeeds().text();
        assert!(status.contains('a'), "{status}");
    }
    Ok(())
}

/// On a disk that cannot be written, history and worktrees are there, and every command that would change something says
/// why it does not.
pub fn a_disk_that_cannot_be_written_is_told_of_and_read() -> Result<(), Missing> {
    let stage = Stage::unmounted()?;
    let small = SmallDisk::new(&stage, &stage.path("small"), 96)?;
    let coral = |arguments: &str| stage.sh_in(&stage.path("small/repo"), &format!("\"$CORAL\" {arguments}"));
    stage.coral(&["init", "small/repo"]).succeeds();
    for step in ["one", "two"] {
        fs::write(stage.path("small/repo/a"), step).expect("room");
        coral("add a").succeeds();
        coral("commit -m step").succeeds();
    }
    fs::write(stage.path("small/repo/a"), "three").expect("room");
    coral("add a").succeeds();
    stage.sh(&format!("mount -o remount,ro '{}'", stage.path("small").display())).succeeds();
    for reads in
        ["log", "status", "ls", "cat HEAD:a", "show HEAD~1", "fsck --full", "stats", "branch", "config list"]
    {
        coral(reads).succeeds();
    }
    let changes = [
        "add a",
        "commit -m x",
        "branch x",
        "switch -c y",
        "switch HEAD~1",
        "tag t",
        "rm a",
        "restore a",
        "restore --all",
        "config set user.name X",
        "repack",
    ];
    for change in changes {
        coral(change).fails(&["Read-only file system", "cannot be written here"]);
    }
    drop(small);
    Ok(())
}
