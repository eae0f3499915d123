//! The daemon as a process: what it holds, what it does when it is stopped, and how it begins and ends.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::stage::{Missing, Stage, coral, hear_signals, needs_root};

fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count()
}

pub fn branches_that_come_and_go_leave_no_descriptors() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("echo 1 > \"$W\"/f; \"$CORAL\" -C repo commit -m one").succeeds();
    let come_and_go = |from: u32, to: u32| {
        stage
            .sh(&format!(
                "for n in $(seq {from} {to}); do
                   mkdir \"$M\"/worktree/e$n; echo $n > \"$M\"/worktree/e$n/g; ls \"$M\"/worktree/e$n > seen
                   \"$CORAL\" -C repo branch -D e$n > said
                 done"
            ))
            .succeeds();
        // What was closed just now is held until it is looked at.
        stage.sh("echo drain > \"$M\"/.coral/ctl").succeeds();
        descriptors(stage.daemon_process())
    };
    let before = come_and_go(1, 20);
    let after = come_and_go(21, 220);
    assert!(after <= before + 10, "{before} descriptors after 20 branches, {after} after 220");
    Ok(())
}

pub fn two_thousand_files_are_open_at_once() -> Result<(), Missing> {
    const FILES: usize = 2000;
    let stage = Stage::new()?;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    if limit.rlim_max < 2 * FILES as u64 {
        return Err(Missing(format!("this process may have {} descriptors only", limit.rlim_max)));
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is initialised.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let name = |number: usize| stage.worktree(&format!("f{number}"));
    let open = |number| OpenOptions::new().read(true).write(true).create_new(true).open(name(number));
    let mut files: Vec<File> = (0..FILES).map(|number| open(number).expect("a descriptor")).collect();
    for (number, file) in files.iter_mut().enumerate() {
        write!(file, "{number}").expect("room");
    }
    assert_eq!(fs::read_dir(stage.worktree("")).expect("a listing").count(), FILES);
    drop(files);
    stage.commit("all of them");
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/f1999")).expect("committed"), "1999");
    Ok(())
}

pub fn a_stopped_daemon_hinders_no_unmount() -> Result<(), Missing> {
    /// Far more than it takes, far less than for ever.
    const PATIENCE: Duration = Duration::from_secs(30);
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "saved").expect("room");
    stage.commit("saved");
    // Somebody who is in it. An open descriptor of our own would keep every child of ours from its program: closing it
    // there asks the daemon.
    let mut user = Command::new("cat").current_dir(stage.worktree("")).stdin(Stdio::piped()).spawn();
    let user = user.as_mut().expect("it runs");
    stage.signal(libc::SIGSTOP);
    let begin = Instant::now();
    // In use: whether the daemon or the user is to blame cannot be told, and both are named.
    stage.coral(&["umount", "mnt"]).fails(&["does not answer", "--lazy"]);
    // A command waits for it once, and does its work.
    stage.in_repo(&["branch", "other"]).succeeds();
    stage.in_repo(&["status"]).succeeds();
    stage.coral(&["umount", "--lazy", "mnt"]).succeeds();
    assert!(begin.elapsed() < PATIENCE);
    stage.signal(libc::SIGCONT);
    drop(user.stdin.take());
    user.wait().expect("it ends with its input");
    assert!(fs::read_dir(stage.path("mnt")).expect("the empty directory").next().is_none());
    Ok(())
}

pub fn a_stopped_daemon_that_nobody_uses_is_unmounted() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.signal(libc::SIGSTOP);
    stage.coral(&["umount", "mnt"]).succeeds();
    assert!(fs::read_dir(stage.path("mnt")).expect("the empty directory").next().is_none());
    stage.signal(libc::SIGCONT);
    Ok(())
}

pub fn a_signal_that_was_ignored_stays_ignored() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    let mut command = Command::new(coral());
    command.current_dir(stage.path("")).args(["mount", "repo", "mnt"]);
    // SAFETY: between fork and exec only signal(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    stage.serve(command, "mnt");
    stage.signal(libc::SIGHUP);
    // It would be handled before what comes later is answered.
    fs::write(stage.worktree("a"), "saved").expect("room");
    stage.commit("after the signal");
    assert!(stage.signal_daemon(libc::SIGTERM), "another signal ends it");
    Ok(())
}

/// With too little address space it says so and leaves nothing mounted; with enough it works.
pub fn too_little_memory_is_told_before_anything_is_mounted() -> Result<(), Missing> {
    let stage = Stage::unmounted()?;
    let mount_point = stage.path("mnt").to_str().expect("our own name").to_owned();
    for kibibytes in [300_000, 500_000, 800_000, 1_200_000, 1_600_000] {
        let script = format!("ulimit -v {kibibytes}; exec \"$CORAL\" mount repo mnt");
        let mut daemon = stage.program("sh", &stage.path(""));
        daemon
            .args(["-euc", &script])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut daemon = daemon.spawn().expect("it starts");
        let mut said = [0; 7];
        let is_mounted = daemon.stdout.take().expect("piped").read_exact(&mut said).is_ok();
        if is_mounted {
            stage.sh("ls \"$W\"; echo x > \"$W\"/f; rm \"$W\"/f; \"$CORAL\" umount mnt").succeeds();
        }
        let ended = daemon.wait_with_output().expect("it ran");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(is_mounted == ended.status.success(), "{kibibytes}: {said}");
        let table = fs::read_to_string("/proc/self/mountinfo").expect("readable");
        assert!(!table.contains(&mount_point), "{kibibytes} KiB leave a dead mount point: {said}");
    }
    Ok(())
}

pub fn a_mount_that_is_stopped_is_freed() -> Result<(), Missing> {
    use coral::fs::{Author, MountOptions, Settings, View, mount};
    use coral::history::{Options, Repo};
    use std::sync::Arc;
    let stage = Stage::unmounted()?;
    let root = stage.path("repo/.coral");
    let repo = Repo::open(Arc::new(coral::disk::RealDisk), &root, Options::default()).expect("a repository");
    let settings = Settings {
        view: View::All,
        author: Author::default(),
        clock: Arc::new(|| coral::units::Timestamp::from(std::time::SystemTime::now())),
        log: None,
        auto_commit: None,
        background_ingest: true,
    };
    let options = MountOptions::new(settings);
    let mounted = mount(repo, &stage.path("mnt"), options).expect("it mounts");
    fs::write(stage.worktree("a"), "saved").expect("room");
    stage.in_repo(&["status"]).succeeds();
    let core = Arc::downgrade(mounted.file_system());
    mounted.stop().expect("it stops");
    // Whoever answered the last request is just about to let go of it.
    while core.strong_count() > 0 {
        std::thread::yield_now();
    }
    Ok(())
}

pub fn a_mount_right_after_an_unmount_gets_the_index_in_time() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    stage.mount(&["repo", "mnt"]);
    fs::create_dir(stage.path("second")).expect("new");
    stage.mount(&["repo", "second"]);
    let status = || fs::read_to_string(stage.path("second/.coral/status")).expect("readable");
    assert!(status().contains("no index"), "{}", status());
    stage.coral(&["umount", "mnt"]).succeeds();
    // The end of the first daemon gives it free; the second one looks for it now and then.
    while status().contains("no index") {
        std::thread::yield_now();
    }
    Ok(())
}

/// One that was taken out of sight while a file of it was open ends when that is closed, and others may be mounted there by
/// then.
pub fn a_daemon_that_ends_takes_no_mount_but_its_own() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let mut held = File::create(stage.worktree("held")).expect("a file");
    let mount_point = stage.path("mnt");
    stage.coral(&["umount", "--lazy", mount_point.to_str().expect("our own name")]).succeeds();
    stage.mount(&["repo", "mnt"]);
    held.write_all(b"still served").expect("its mount lives as long as it is used");
    drop(held);
    stage.wait_for_the_one_before();
    fs::write(stage.worktree("after"), "saved").expect("the other mount is there");
    let status = stage.in_repo(&["status", "--short"]).succeeds().text();
    assert_eq!(status, "A after\nA held\n");
    Ok(())
}

pub fn what_is_mounted_when_a_daemon_ends_stays() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::new()?;
    stage.unmount();
    stage.mounts_itself("mnt");
    // One that was there before: unmounting it at last would fail if the daemon had.
    stage.sh("mount -t tmpfs below mnt").succeeds();
    stage.mount(&["repo", "mnt"]);
    assert!(stage.mnt("worktree").exists());
    stage.unmount();
    stage.sh("umount mnt").succeeds();
    // And one that comes while the daemon of the last is about to end.
    for round in 0..12 {
        stage.mount(&["repo", "mnt"]);
        stage.sh("umount -l mnt").succeeds();
        stage.mount(&["repo", "mnt"]);
        stage.wait_for_the_one_before();
        assert!(stage.mnt("worktree").exists(), "round {round}");
        stage.unmount();
    }
    Ok(())
}

pub fn what_the_daemon_says_last_reaches_who_started_it() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    stage.mounts_itself("other");
    let again = stage.coral(&["mount", "--daemon", "repo", "mnt"]).fails(&["already mounted"]).to_string();
    assert!(again.contains("\nhint: `coral umount "), "{again}");
    assert!(!again.contains("\\n"), "{again}");
    // A daemon that may write no file serves all the same.
    stage
        .sh("mkdir other; (ulimit -f 0; \"$CORAL\" mount --daemon repo other); ls other/branches; \"$CORAL\" umount other")
        .succeeds();
    let ran = stage.sh("ulimit -v 200000; \"$CORAL\" mount --daemon repo other");
    ran.fails(&["ulimit -v"]);
    Ok(())
}

pub fn who_stands_in_a_mount_is_told_to_leave_it() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let inside = stage.sh_in(&stage.mnt("worktree/main"), "\"$CORAL\" umount");
    inside.fails(&["this shell stands in it", "cd / && coral umount", "--lazy"]);
    assert!(stage.mnt("worktree").exists());
    // Only the command itself is told to be there.
    stage.coral(&["-C", "mnt/worktree/main", "umount"]).succeeds();
    assert!(!stage.mnt("worktree").exists());
    Ok(())
}

/// Somebody who waits for a commit that takes an hour.
fn commits_for_long(stage: &Stage) -> Child {
    // No room is needed for it, but all of it is hashed.
    File::create(stage.worktree("sparse")).expect("new").set_len(1 << 40).expect("a hole");
    let mut asker = Command::new("sh");
    asker.args(["-c", "exec env printf 'commit -m long' > \"$1\"", "sh"]).arg(stage.mnt(".coral/ctl"));
    // SAFETY: signal(2) is one that may be called between fork and exec.
    let asker = unsafe { asker.pre_exec(hear_signals) }.stderr(Stdio::null()).spawn().expect("a shell");
    std::thread::sleep(Duration::from_millis(500));
    asker
}

fn ends(stage: &Stage, asker: &mut Child, by: i32) {
    let asker = RefCell::new(asker);
    stage.wait_until(&format!("who asked is let go after signal {by}"), || {
        asker.borrow_mut().try_wait().expect("a child").is_some()
    });
}

pub fn whoever_is_to_end_while_a_command_is_carried_out_is_let_go() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT] {
        let mut asker = commits_for_long(&stage);
        assert!(asker.try_wait().expect("a child").is_none(), "a commit of a terabyte takes long");
        // SAFETY: kill(2) takes numbers.
        assert_eq!(unsafe { libc::kill(asker.id() as i32, signal) }, 0);
        ends(&stage, &mut asker, signal);
        stage.in_repo(&["log"]).fails(&["no commit"]);
    }
    // The worktree is as it was, and whoever comes next commits.
    fs::remove_file(stage.worktree("sparse")).expect("there");
    fs::write(stage.worktree("a"), "one").expect("room");
    stage.commit("after that");
    stage.unmount();
    Ok(())
}

pub fn a_daemon_ends_though_a_command_is_carried_out() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let mut asker = commits_for_long(&stage);
    assert!(stage.signal_daemon(libc::SIGTERM));
    ends(&stage, &mut asker, libc::SIGTERM);
    stage.in_repo(&["log"]).fails(&["no commit"]);
    stage.mount(&["repo", "mnt"]);
    assert_eq!(fs::metadata(stage.worktree("sparse")).expect("saved").len(), 1 << 40);
    fs::remove_file(stage.worktree("sparse")).expect("there");
    stage.unmount();
    Ok(())
}
