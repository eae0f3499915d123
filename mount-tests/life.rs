//! Mounts that people live with: listed, watched, brought up by fstab and systemd, belonging to somebody, taken away with
//! patience.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::crash::on_small_disk;
use crate::described::Described;
use crate::nobody::{as_nobody, needs_unprivileged_fuse};
use crate::stage::{Missing, Stage, coral, detach, needs_root, weights};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What `coral mounts` knows of a mount of this stage.
fn listed(stage: &Stage, mount_point: &str) -> Option<Value> {
    let point = stage.path(mount_point).to_str().expect("our own name").to_owned();
    let value = json(&stage.coral(&["mounts", "--json"]).succeeds().text());
    let mounts = value["mounts"].as_array().expect("a list").clone();
    mounts.into_iter().find(|mount| mount["mount_point"] == point.as_str())
}

pub fn what_is_mounted_is_listed_with_who_serves_it() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    fs::write(stage.worktree("a"), "1").expect("room");
    stage.commit("first");
    fs::create_dir(stage.path("one")).expect("new");
    stage.mount(&["--ref", "main", "repo", "one"]);
    let one = listed(&stage, "one").expect("it is mounted");
    assert_eq!((&one["state"], &one["shows"]), (&"served".into(), &"main".into()));
    assert_eq!(one["process"], stage.daemon_process());
    assert_eq!(listed(&stage, "mnt").expect("it is mounted")["shows"], "everything");
    let said = stage.coral(&["mounts"]).succeeds().text();
    let line = format!("process {}, since 20", stage.daemon_process());
    assert!(said.lines().any(|said| said.contains("/one shows ") && said.contains(&line)), "{said}");
    stage.kill_daemon();
    assert_eq!(listed(&stage, "one").expect("it is mounted still")["state"], "dead");
    stage.coral(&["umount", "one"]).succeeds();
    assert_eq!(listed(&stage, "one"), None);
    Ok(())
}

pub fn what_mounts_print_and_show_as_json_is_as_it_is_described() -> Result<(), Missing> {
    let stage = Stage::unmounted()?;
    let described = Described::read();
    let tells = |name: &str, arguments: &[&str]| {
        let said = json(&stage.coral(&[&["--json"], arguments].concat()).succeeds().text());
        described.check(name, &said);
        said
    };
    let shows = |name: &str, file: &str| {
        let text = fs::read_to_string(stage.mnt(file)).expect("readable");
        described.check(name, &json(&text));
    };
    let mounted = tells("mount", &["mount", "--daemon", "repo", "mnt"]);
    let _unmounts = Detached(stage.mnt(""));
    assert!(mounted["process"].is_u64(), "{mounted}");
    let header = br#"{"w":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]}}"#;
    let model = [&(header.len() as u64).to_le_bytes()[..], header, &[0, 1, 2, 3, 4, 5, 6, 7]].concat();
    fs::write(stage.worktree("m.safetensors"), model).expect("room");
    tells("status", &["-C", "mnt/worktree/main", "status"]);
    tells("commit", &["-C", "repo", "commit", "-m", "first"]);
    shows("mount-stats", ".coral/stats.json");
    shows("mount-tensor", "tensors/main/m.safetensors/w.json");
    tells("prefetch", &["-C", "repo", "prefetch", "HEAD"]);
    tells("mounts", &["mounts"]);
    tells("umount", &["umount", "mnt"]);
    Ok(())
}

/// A mount point at which nothing is mounted when the test is over.
struct Detached(std::path::PathBuf);

impl Drop for Detached {
    fn drop(&mut self) {
        detach(&self.0);
    }
}

/// `coral watch`, and what it says.
struct Watcher {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Watcher {
    /// One that watches already.
    fn start(stage: &Stage, arguments: &[&str]) -> Self {
        let mut command = Command::new(coral());
        command.current_dir(stage.path("repo")).arg("watch").args(arguments);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let noted = BufReader::new(process.stderr.take().expect("piped"));
        let is_ready =
            |line: &std::io::Result<String>| line.as_ref().is_ok_and(|line| line.contains("watching"));
        noted.lines().find(is_ready).expect("it watches").expect("readable");
        let said = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, said }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("readable");
        line
    }

    fn interrupt(mut self) -> std::process::ExitStatus {
        // SAFETY: the process is our child and not yet waited for, so the number is still its.
        unsafe { libc::kill(self.process.id() as libc::pid_t, libc::SIGINT) };
        self.process.wait().expect("it ran")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It has ended already if the test got so far.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn who_watches_a_branch_hears_of_every_move_of_it_and_outlives_the_mount() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let mut watcher = Watcher::start(&stage, &["main", "v1", "--json"]);
    fs::write(stage.worktree("a"), "1").expect("room");
    // Through the mount, by a command, and by a command when no mount is there.
    stage.sh("echo 'commit -m first' > \"$M\"/.coral/ctl").succeeds();
    let first = json(&watcher.line());
    assert_eq!(
        (&first["ref"], &first["kind"], &first["old"]),
        (&"main".into(), &"branch".into(), &Value::Null)
    );
    fs::write(stage.worktree("a"), "2").expect("room");
    let second = stage.commit("second");
    let told = json(&watcher.line());
    assert_eq!((&told["old"], &told["new"]), (&first["new"], &second.as_str().into()));
    assert!(told["message"].as_str().expect("why").contains("second"), "{told}");
    stage.kill_daemon();
    stage.in_repo(&["branch", "other"]).succeeds();
    stage.in_repo(&["tag", "v1"]).succeeds();
    let tag = json(&watcher.line());
    assert_eq!(
        (&tag["ref"], &tag["kind"], &tag["new"]),
        (&"v1".into(), &"tag".into(), &second.as_str().into())
    );
    stage.mount(&["repo", "mnt"]);
    stage.in_repo(&["tag", "-D", "v1"]).succeeds();
    assert_eq!(json(&watcher.line())["new"], Value::Null);
    assert!(watcher.interrupt().success(), "Ctrl-C is how it ends");
    Ok(())
}

pub fn who_watches_everything_hears_of_head_and_runs_a_command() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "1").expect("room");
    let first = stage.commit("first");
    let run = "echo \"$CORAL_KIND $CORAL_REF $CORAL_OLD $CORAL_NEW\" >> ../heard; exit 3";
    let mut watcher = Watcher::start(&stage, &["-n", "2", "--exec", run]);
    stage.in_repo(&["switch", "-c", "dev"]).succeeds();
    let (one, two) = (watcher.line(), watcher.line());
    assert!(one.contains(" HEAD: ") && one.contains("(main) -> ") && one.contains("(dev)"), "{one}");
    assert!(two.contains(" branch dev: nothing -> "), "{two}");
    assert!(watcher.process.wait().expect("it ran").success(), "it ends after so many");
    let heard = fs::read_to_string(stage.path("heard")).expect("written");
    assert_eq!(heard, format!("HEAD HEAD {first} {first}\nbranch dev  {first}\n"));
    Ok(())
}

/// The line of fstab in the documentation, for these places.
fn fstab(repository: &Path, mount_point: &Path) -> String {
    let page = include_str!("../docs/mounting.md");
    let (_, rest) = page.split_once("```fstab\n").expect("a line of fstab");
    let (line, _) = rest.split_once("```").expect("its end");
    let line = line.replace("/mnt/weights", mount_point.to_str().expect("our own name"));
    line.replace("/srv/weights", repository.to_str().expect("our own name"))
}

pub fn a_line_of_fstab_mounts_and_umount_waits_for_the_process() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::unmounted()?;
    stage.mounts_itself("mnt");
    fs::write(stage.path("fstab"), fstab(&stage.path("repo"), &stage.path("mnt"))).expect("room");
    fs::create_dir_all(stage.path("over/up")).expect("new");
    for name in ["mount.fuse.coral", "umount.fuse.coral"] {
        symlink(coral(), stage.path("over/up").join(name)).expect("new");
    }
    // The helpers are in /sbin for this script alone.
    let script = "mkdir over/work; sbin=$(realpath /sbin)
        mount -t tmpfs tmpfs over/work; mkdir over/work/up over/work/work; cp -a over/up/. over/work/up
        mount -t overlay overlay -o lowerdir=$sbin,upperdir=over/work/up,workdir=over/work/work $sbin
        mount -T fstab mnt
        grep ' fuse.coral ' /proc/self/mountinfo | grep -q \"$M\"
        printf saved > mnt/worktree/main/a; chmod 600 mnt/worktree/main/a
        stat -c %a mnt/worktree/main/a mnt/worktree/main
        \"$CORAL\" -C mnt commit -m first > said
        \"$CORAL\" mounts | grep \" $M shows\\|^$M shows\" | sed 's/.*process \\([0-9]*\\),.*/\\1/' > process
        [ -s process ]
        mount -t fuse.coral -o ro,remount mnt 2> /dev/null || true
        umount mnt
        ! grep -q '^State:.[^Z]' /proc/$(cat process)/status
        mount -f -t fuse.coral repo mnt; [ -z \"$(ls mnt)\" ]
        ! mount -t fuse.coral -o dance repo mnt 2> said
        grep -q 'dance' said
        mount -t fuse.coral -o ro,uid=7,gid=8,nosuid repo mnt
        stat -c '%u %g' mnt/HEAD/a
        ! touch mnt/worktree/main/b 2> /dev/null
        umount mnt";
    let unshared = stage.run(stage.program("unshare", &stage.path("")).args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-euc",
        script,
    ]));
    assert_eq!(unshared.succeeds().lines(), ["644", "755", "7 8"]);
    assert!(stage.in_repo(&["log"]).succeeds().text().contains("first"));
    Ok(())
}

pub fn units_of_systemd_hold_what_systemd_wants() -> Result<(), Missing> {
    let there = Command::new("systemd-analyze").arg("--version").output();
    if !there.is_ok_and(|ran| ran.status.success()) {
        return Err(Missing("systemd-analyze is not installed (package systemd)".to_owned()));
    }
    let stage = Stage::unmounted()?;
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd");
    fs::create_dir(stage.path("units")).expect("new");
    let mut units = Vec::new();
    for entry in fs::read_dir(templates).expect("there") {
        let path = entry.expect("readable").path();
        let text = fs::read_to_string(&path).expect("text").replace("/usr/local/bin/coral", coral());
        let name =
            path.file_name().and_then(|name| name.to_str()).expect("our own name").replace('@', "@main");
        fs::write(stage.path("units").join(&name), text).expect("room");
        units.push(format!("./{name}"));
    }
    assert_eq!(units.len(), 4);
    let mut verify = stage.program("systemd-analyze", &stage.path("units"));
    let ran = stage.run(verify.args(["verify", "--man=no"]).args(&units)).succeeds();
    // What it does not know it only complains of. Of the machine's own units this is no test.
    let complaints = ran.to_string();
    let ours = complaints.lines().filter(|line| units.iter().any(|unit| line.contains(&unit[2..])));
    assert_eq!(ours.collect::<Vec<_>>(), [""; 0]);
    Ok(())
}

pub fn an_init_system_is_told_when_the_mount_answers() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    let socket = stage.path("notify");
    let listener = UnixDatagram::bind(&socket).expect("a short path");
    let mut command = Command::new(coral());
    command.current_dir(stage.path("")).env("NOTIFY_SOCKET", &socket).args(["mount", "repo", "mnt"]);
    stage.serve(command, "mnt");
    let mut said = [0; 64];
    let len = listener.recv(&mut said).expect("it says so before anything else");
    assert_eq!(&said[..len], b"READY=1");
    Ok(())
}

pub fn files_belong_to_whom_the_mount_says() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::unmounted()?;
    fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
    stage.mount(&["-o", "allow_other,uid=65534,gid=65534,umask=027", "repo", "mnt"]);
    fs::write(stage.worktree("a"), "1").expect("room");
    fs::set_permissions(stage.worktree("a"), fs::Permissions::from_mode(0o600)).expect("ours");
    let stat = fs::metadata(stage.worktree("a")).expect("there");
    assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (65534, 65534, 0o640));
    // The owner that is shown may write.
    let script = format!("printf 2 > {}", stage.worktree("b").display());
    assert!(as_nobody("sh").args(["-c", &script]).status().expect("it runs").success());
    stage.commit("by two users");
    stage.unmount();
    stage.mount(&["repo", "mnt"]);
    assert_eq!(fs::metadata(stage.mnt("HEAD/a")).expect("there").mode() & 0o7777, 0o600, "it is recorded");
    Ok(())
}

pub fn a_repository_that_cannot_be_written_is_mounted_and_read() -> Result<(), Missing> {
    let (mut stage, small) = on_small_disk(96)?;
    fs::write(stage.worktree("a"), weights(3, 2 << 20)).expect("room");
    stage.sh("cd \"$W\"; \"$CORAL\" commit -m first; printf staged > b").succeeds();
    stage.unmount();
    stage.sh("mount -o remount,ro small").succeeds();
    stage.mount(&["small/repo", "mnt"]);
    assert!(fs::read(stage.mnt("HEAD/a")).expect("committed") == weights(3, 2 << 20));
    assert_eq!(fs::read_to_string(stage.worktree("b")).expect("saved"), "staged");
    for script in [
        "printf x > \"$W\"/a",
        "printf x >> \"$W\"/b",
        "touch \"$W\"/new",
        "rm \"$W\"/a",
        "mv \"$W\"/a \"$W\"/c",
        "mkdir \"$W\"/d",
        "mkdir \"$M\"/worktree/dev",
        "truncate -s 3 \"$W\"/a",
        "chmod 600 \"$W\"/a",
        "ln -s a \"$W\"/l",
    ] {
        stage.sh(script).fails(&["Read-only file system"]);
    }
    stage.sh("cd \"$W\"; \"$CORAL\" commit -m x").fails(&["cannot be written here"]);
    stage.sh("cd \"$W\"; \"$CORAL\" log; \"$CORAL\" status; ls -lR \"$M\" > /dev/null").succeeds();
    assert_eq!(listed(&stage, "mnt").expect("it is mounted")["state"], "served");
    stage.unmount();
    drop(small);
    Ok(())
}

pub fn who_saved_nothing_where_nobody_can_is_told_so() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    fs::create_dir(stage.path("shut")).expect("new");
    stage.mount(&["--read-only", "repo", "shut"]);
    let ways = ["/shut is read-only", "`coral umount ", "mounts it writable", "`coral add FILE`"];
    for folder in ["shut/worktree/main", "repo"] {
        let told = stage.coral(&["-C", folder, "commit", "-m", "x"]).fails(&ways).to_string();
        assert!(!told.contains("save files into the mount"), "{told}");
    }
    // Where another one is writable, there is where to save.
    stage.mount(&["repo", "mnt"]);
    stage.in_repo(&["commit", "-m", "x"]).fails(&["save files into the mount's worktree/"]);
    stage.coral(&["-C", "shut/worktree/main", "commit", "-m", "x"]).fails(&ways);
    Ok(())
}

pub fn umount_makes_small_what_it_is_asked_to_and_says_what_it_leaves() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    fs::write(stage.worktree("a"), weights(1, 24 << 20)).expect("room");
    stage.in_repo(&["commit", "-m", "first"]).succeeds();
    let process = stage.daemon_process();
    stage.coral(&["umount", "--drain", "mnt"]).succeeds();
    assert_eq!(json(&stage.in_repo(&["stats", "--json"]).succeeds().text())["waiting_bytes"], 0);
    stage.wait_for_the_last();
    // What is left as it was saved is told. A mount that shows one tree has no worktree, but what others left.
    stage.in_repo(&["branch", "dev"]).succeeds();
    fs::write(stage.path("repo/a"), weights(2, 24 << 20)).expect("room");
    stage.in_repo(&["add", "a"]).succeeds();
    stage.in_repo(&["commit", "--no-pack", "-m", "second"]).succeeds();
    stage.mount(&["--ref", "main", "repo", "mnt"]);
    assert_ne!(process, stage.daemon_process());
    let said = json(&stage.coral(&["--json", "umount", "mnt"]).succeeds().text());
    stage.wait_for_the_last();
    let left = json(&stage.in_repo(&["stats", "--json"]).succeeds().text())["waiting_bytes"].clone();
    assert_eq!(said["waiting_bytes"], left, "it told when nobody was at work any more");
    stage.in_repo(&["drain"]).succeeds();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn a_user_without_fuse3_is_told_what_to_install() -> Result<(), Missing> {
    needs_unprivileged_fuse()?;
    let stage = Stage::unmounted()?;
    // In a world where the setuid program was never installed.
    let script =
        "chmod 755 .; mkdir hidden; mount -t tmpfs tmpfs hidden; mkdir hidden/up hidden/work hidden/mnt
        chown 65534 hidden/mnt; cp \"$CORAL\" hidden/coral; chown -R 65534 repo
        bin=$(realpath /usr/bin); mknod hidden/up/fusermount3 c 0 0; mknod hidden/up/fusermount c 0 0
        mount -t overlay overlay -o lowerdir=$bin,upperdir=hidden/up,workdir=hidden/work $bin
        ! setpriv --reuid=65534 --regid=65534 --clear-groups hidden/coral mount repo hidden/mnt 2> said
        cat said";
    let mut unshare = stage.program("unshare", &stage.path(""));
    let ran = stage.run(unshare.args(["--mount", "--propagation", "private", "sh", "-euc", script]));
    let said = ran.succeeds().text();
    assert!(said.contains("install the package `fuse3`"), "{said}");
    Ok(())
}
