//! The rooms of the mount: what is where, what may be changed, and when it moves.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;

use crate::stage::{Missing, Stage, needs_root, weights};

pub fn the_top_shows_every_room() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let top = stage.sh("ls -A \"$M\"; ls -A \"$M\"/.coral; ls \"$M\"/worktree").succeeds().lines();
    let expected = [
        ".coral",
        "HEAD",
        "branches",
        "by-date",
        "commits",
        "tags",
        "tensors",
        "views",
        "worktree",
        "ctl",
        "errors",
        "log",
        "repository",
        "stats.json",
        "status",
        "version",
        "worktree",
        "main",
    ];
    let mut sorted = top.clone();
    sorted.sort();
    let mut wanted = expected.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(sorted, wanted);
    let repository = fs::read_to_string(stage.mnt(".coral/repository")).expect("readable");
    assert_eq!(repository.trim_end(), stage.path("repo").to_str().expect("our own name"));
    assert!(fs::read_to_string(stage.mnt(".coral/version")).expect("readable").starts_with("coral "));
    assert!(fs::read_to_string(stage.mnt(".coral/stats.json")).expect("readable").contains("stored_bytes"));
    let table = fs::read_to_string("/proc/self/mountinfo").expect("readable");
    let line = table.lines().find(|line| line.contains(stage.path("mnt").to_str().expect("our own name")));
    assert!(line.is_some_and(|line| line.contains(" - fuse.coral ")), "{line:?}");
    Ok(())
}

pub fn a_command_in_ctl_is_carried_out_and_answers() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "one").expect("room");
    let ctl = OpenOptions::new().read(true).write(true).open(stage.mnt(".coral/ctl")).expect("there");
    (&ctl).write_all(b"commit -m 'from ctl'\n").expect("carried out");
    let mut said = [0; 200];
    let len = ctl.read_at(&mut said, 0).expect("readable");
    assert!(String::from_utf8_lossy(&said[..len]).starts_with("[main "), "{said:?}");
    assert_eq!(fs::read_to_string(stage.mnt("branches/main/a")).expect("committed"), "one");
    stage.sh("printf two > \"$W\"/a; echo 'commit -m \"from a shell\"' > \"$M\"/.coral/ctl").succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/a")).expect("committed"), "two");
    let log = fs::read_to_string(stage.mnt(".coral/log")).expect("readable");
    assert!(log.contains("from a shell") && log.contains("from ctl"), "{log}");
    stage
        .sh("printf three > \"$W\"/a
             echo 'commit -am \"step 3\" -d step=3 -t best --author Ada' > \"$M\"/.coral/ctl
             echo 'tag first HEAD~2 -m \"how it began\"' > \"$M\"/.coral/ctl")
        .succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("tags/best/a")).expect("tagged"), "three");
    assert_eq!(fs::read_to_string(stage.mnt("tags/first/a")).expect("tagged"), "one");
    let shown = stage.in_repo(&["show", "best"]).succeeds().text();
    assert!(shown.contains("Ada") && shown.contains("step"), "{shown}");
    Ok(())
}

pub fn a_commit_in_ctl_takes_what_the_command_takes() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let commands = |line: &str| {
        let ctl = OpenOptions::new().read(true).write(true).open(stage.mnt(".coral/ctl")).expect("there");
        let done = (&ctl).write_all(line.as_bytes());
        let mut said = [0; 400];
        let len = ctl.read_at(&mut said, 0).expect("readable");
        let said = String::from_utf8_lossy(&said[..len]).into_owned();
        done.map(|()| said.clone()).map_err(|_| said)
    };
    fs::write(stage.worktree("a"), "one").expect("room");
    fs::write(stage.worktree("b"), "one").expect("room");
    assert_eq!(commands("commit --dry-run"), Ok("would commit 2 on main\nA a\nA b\n".into()));
    assert_eq!(commands("commit --dry-run b"), Ok("would commit 1 on main\nA b\n".into()));
    commands("commit -m 'only a' --date '2024-02-29 12:00' --author 'Ada <a@b>' a").expect("a change");
    assert!(
        fs::exists(stage.mnt("HEAD/a")).expect("looked") && !fs::exists(stage.mnt("HEAD/b")).expect("looked")
    );
    let shown = stage.in_repo(&["show", "HEAD"]).succeeds().text();
    assert!(shown.contains("Ada <a@b>") && shown.contains("2024-02-29"), "{shown}");
    commands("commit --amend -s -d loss=2").expect("an amended commit");
    let shown = stage.in_repo(&["show", "HEAD"]).succeeds().text();
    let kept = ["only a", "Ada <a@b>", "2024-02-29", "Signed-off-by: ", "loss"];
    assert!(kept.iter().all(|kept| shown.contains(kept)), "{shown}");
    assert!(fs::exists(stage.mnt("HEAD/b")).expect("looked"));
    assert_eq!(stage.in_repo(&["log", "--oneline"]).succeeds().lines().len(), 1);
    fs::write(stage.worktree("b"), "two").expect("room");
    commands("commit -m subject -m body --no-pack -q").expect("a change");
    let shown = stage.in_repo(&["show", "HEAD"]).succeeds().text();
    assert!(shown.contains("subject") && shown.contains("body"), "{shown}");
    for (line, why) in [
        ("commit -m x ../a", "component"),
        ("commit -m x --date never", "never"),
        ("commit -F notes", "reads no files"),
        ("commit --amend a", "no paths"),
    ] {
        let said = commands(line).expect_err(line);
        assert!(said.contains(why), "{line}: {said}");
    }
    Ok(())
}

pub fn what_is_asked_is_counted_and_damage_is_told_to_people_too() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    fs::write(stage.worktree("a"), weights(7, 3 << 20)).expect("room");
    stage.commit("whole");
    stage.in_repo(&["drain"]).succeeds();
    // Its copy as it was saved would be read instead.
    fs::remove_dir_all(stage.path("repo/.coral/plain")).expect("it has one");
    let errors = |stage: &Stage| fs::read_to_string(stage.mnt(".coral/errors")).expect("readable");
    assert_eq!(errors(&stage), "");
    let packs = fs::read_dir(stage.path("repo/.coral/packs")).expect("listed");
    let packs = packs.map(|pack| pack.expect("listed").path()).filter(|path| path.extension().is_some());
    for pack in packs.filter(|path| path.extension() == Some("cpk".as_ref())) {
        let file = OpenOptions::new().write(true).open(&pack).expect("there");
        let middle = file.metadata().expect("there").len() / 2;
        file.write_all_at(&[0x55; 4096], middle).expect("room");
    }
    // Who coded it has its bytes in memory still.
    stage.unmount();
    stage.mount(&["repo", "mnt"]);
    fs::write(stage.worktree("b"), "b").expect("room");
    let damaged = fs::read(stage.mnt("branches/main/a")).map(drop).expect_err("wrong bytes are never read");
    assert_eq!(damaged.raw_os_error(), Some(libc::EIO));
    fs::metadata(stage.mnt("branches/main/none")).expect_err("it is not there");
    let told = errors(&stage);
    assert!(told.contains(" UTC read branches/main/a: ") && told.contains("Input/output error"), "{told}");
    assert!(!told.contains("lookup"), "{told}");
    let stats = fs::read_to_string(stage.mnt(".coral/stats.json")).expect("readable");
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    let count =
        |operation: &str, what: &str| stats["operations"][operation][what].as_u64().unwrap_or_default();
    assert!(count("create", "count") > 0 && count("lookup", "count") > 0, "{stats}");
    assert!(count("read", "failed") > 0 && count("read", "p50_us") <= count("read", "max_us"), "{stats}");
    assert!(stage.signal_daemon(libc::SIGTERM), "it ends well");
    let log = fs::read_to_string(stage.path("repo/.coral/run/mount.log")).expect("it is kept");
    assert!(log.contains(" mounted at ") && log.ends_with(" unmounted\n"), "{log}");
    assert!(log.contains(" read branches/main/a: ") && !log.contains("lookup"), "{log}");
    fs::remove_file(stage.path("repo/.coral/run/mount.log")).expect("it is there");
    for (log, is_kept) in [("none", false), ("elsewhere.log", true)] {
        stage.mount(&["--log", log, "repo", "mnt"]);
        assert!(stage.signal_daemon(libc::SIGTERM), "it ends well");
        assert!(!stage.path("repo/.coral/run/mount.log").exists(), "{log}");
        assert_eq!(stage.path(log).exists(), is_kept, "{log}");
    }
    Ok(())
}

/// Whether the kernel reads files by itself that a mount hands to it: since Linux 6.9, for root.
pub fn needs_passthrough() -> Result<(), Missing> {
    needs_root()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux tells");
    let mut numbers = release.split(['.', '-']).map(|number| number.trim().parse().unwrap_or(0));
    match (numbers.next(), numbers.next()) >= (Some(6), Some(9)) {
        true => Ok(()),
        false => Err(Missing(format!("Linux {} does not read files for FUSE by itself", release.trim()))),
    }
}

/// How many reads a mount was asked for.
fn reads(stage: &Stage) -> u64 {
    let stats = fs::read_to_string(stage.mnt(".coral/stats.json")).expect("readable");
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    stats["operations"]["read"]["count"].as_u64().unwrap_or(0)
}

pub fn what_is_prefetched_is_there_before_it_is_read() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let (a, b) = (weights(5, 9 << 20), weights(6, 9 << 20));
    fs::create_dir(stage.worktree("d")).expect("new");
    for (name, bytes) in [("a", &a[..]), ("d/b", &b[..]), ("d/short", b"x")] {
        fs::write(stage.worktree(name), bytes).expect("room");
    }
    stage.commit("two models");
    stage.in_repo(&["drain"]).succeeds();
    let folder = stage.path("repo/.coral/plain");
    let has_copy = |bytes: &[u8]| folder.join(blake3::hash(bytes).to_hex().as_str()).exists();
    let forget = || drop(fs::remove_dir_all(&folder));
    let told = |ran: crate::stage::Ran| -> serde_json::Value {
        serde_json::from_str(&ran.succeeds().text()).expect("one value")
    };
    forget();
    // By a path of the mount, and by a name of the history.
    let said = told(stage.sh("cd \"$M\"; \"$CORAL\" --json prefetch branches/main/d"));
    assert_eq!((&said["made_files"], &said["short_files"]), (&1.into(), &1.into()), "{said}");
    assert!(has_copy(&b) && !has_copy(&a));
    let said = told(stage.in_repo(&["--json", "prefetch", "HEAD", "main:d"]));
    assert_eq!((&said["made_files"], &said["known_files"]), (&1.into(), &1.into()), "{said}");
    assert!(has_copy(&a));
    assert!(fs::read(stage.mnt("branches/main/a")).expect("readable") == a);
    // What is wanted first is made; it does not push out itself.
    stage.in_repo(&["config", "set", "core.plain_size", "10MiB"]).succeeds();
    forget();
    let said = told(stage.in_repo(&["--json", "prefetch", "main:d/b", "main"]));
    assert_eq!((&said["made_files"], &said["left_files"]), (&1.into(), &1.into()), "{said}");
    assert!(has_copy(&b) && !has_copy(&a));
    stage.in_repo(&["prefetch", "main:none"]).fails(&["none"]);
    stage.unmount();
    Ok(())
}

pub fn a_file_that_was_read_as_a_whole_is_read_by_the_kernel_from_then_on() -> Result<(), Missing> {
    needs_passthrough()?;
    let mut stage = Stage::new()?;
    let bytes = weights(5, 9 << 20);
    fs::write(stage.worktree("model"), &bytes).expect("room");
    stage.commit("whole");
    assert!(fs::read(stage.mnt("branches/main/model")).expect("readable") == bytes);
    let folder = stage.path("repo/.coral/plain");
    let copy = folder.join(blake3::hash(&bytes).to_hex().as_str());
    stage.wait_until("the plain copy is complete", || copy.exists());
    stage.unmount();
    stage.mount(&["repo", "mnt"]);
    // Looking at the numbers is counted as well.
    let looking = reads(&stage).abs_diff(reads(&stage));
    let before = reads(&stage);
    assert!(fs::read(stage.mnt("branches/main/model")).expect("readable") == bytes);
    let mut first = File::open(stage.mnt("branches/main/model")).expect("readable");
    let second = File::open(stage.mnt("HEAD/model")).expect("the same file, open twice");
    stage.sh("\"$CORAL\" -C repo config set core.plain_size 0; rm -r repo/.coral/plain").succeeds();
    let mut again = Vec::new();
    first.read_to_end(&mut again).expect("what is open stays");
    assert!(again == bytes);
    let mut part = [0; 1000];
    second.read_exact_at(&mut part, 5 << 20).expect("what is open stays");
    assert!(part == bytes[5 << 20..][..1000]);
    // The kernel asks for a megabyte at most.
    assert!(reads(&stage) < before + looking + 9, "the kernel asked for bytes");
    drop((first, second));
    assert!(fs::read(stage.mnt("branches/main/model")).expect("the packs have it") == bytes);
    Ok(())
}

pub fn a_command_that_fails_fails_the_write() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("env echo 'commit -m nothing' > \"$M\"/.coral/ctl").fails(&["Invalid argument"]);
    stage.sh("env echo 'dance' > \"$M\"/.coral/ctl").fails(&["Invalid argument"]);
    let ctl = OpenOptions::new().read(true).write(true).open(stage.mnt(".coral/ctl")).expect("there");
    (&ctl).write_all(b"commit -m nothing").expect_err("nothing to commit");
    let mut said = [0; 200];
    let len = ctl.read_at(&mut said, 0).expect("readable");
    assert!(String::from_utf8_lossy(&said[..len]).contains("nothing to commit"));

    for (path, change) in [("a", "one"), ("b", "two")] {
        fs::write(stage.worktree(path), change).expect("room");
    }
    let refused = |text: &str, why: &str| {
        let ctl = OpenOptions::new().read(true).write(true).open(stage.mnt(".coral/ctl")).expect("there");
        (&ctl).write_all(text.as_bytes()).expect_err("refused");
        let mut said = [0; 200];
        let len = ctl.read_at(&mut said, 0).expect("readable");
        let said = String::from_utf8_lossy(&said[..len]).into_owned();
        assert!(said.contains(why), "{said}");
    };
    refused("commit -m x nosuch\n", "nosuch");
    // The kernel hands over the beginning of it, which names `a` alone.
    refused(&format!("commit -m cut {}b\n", "a ".repeat(700_000)), "end of a line");
    // A shell's buffer is as long.
    refused(&format!("commit -m cut a{}", " a".repeat(2_048)), "one write");
    assert!(stage.in_repo(&["log"]).text().lines().all(|line| !line.contains("cut")));
    let many = format!("commit -m 'all of it' {}b\n", "a ".repeat(100_000));
    (&ctl).write_all(many.as_bytes()).expect("carried out");
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/b")).expect("committed"), "two");
    Ok(())
}

pub fn a_directory_made_beside_worktrees_is_a_branch() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("mkdir \"$M\"/worktree/early").fails(&[]);
    fs::write(stage.worktree("a"), "one").expect("room");
    stage.commit("first");
    stage
        .sh("mkdir \"$M\"/worktree/try; cat \"$M\"/worktree/try/a; printf two > \"$M\"/worktree/try/a")
        .succeeds();
    assert_eq!(fs::read_to_string(stage.worktree("a")).expect("there"), "one");
    stage.sh("echo 'commit -b try -m second' > \"$M\"/.coral/ctl").succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("branches/try/a")).expect("committed"), "two");
    assert_eq!(fs::read_to_string(stage.mnt("branches/main/a")).expect("as it was"), "one");
    stage.sh("mkdir \"$M\"/worktree/try").fails(&["File exists"]);
    stage.sh("mkdir \"$M\"/worktree/x.lock").fails(&["Invalid argument"]);
    stage.sh("rmdir \"$M\"/worktree/try").fails(&["not permitted"]);
    Ok(())
}

pub fn snapshots_refuse_every_change() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("mkdir \"$W\"/d; printf one > \"$W\"/d/a").succeeds();
    stage.commit("first");
    for change in [
        "printf x > d/a",
        "printf x >> d/a",
        "rm d/a",
        "touch d/b",
        "mkdir d/e",
        "mv d/a d/b",
        "ln -s a d/l",
        "chmod 600 d/a",
        "truncate -s 1 d/a",
        "rmdir d",
    ] {
        let ran = stage.sh_in(&stage.mnt("branches/main"), change);
        ran.fails(&[if change == "rmdir d" { "" } else { "Read-only file system" }]);
    }
    stage.sh("mv \"$M\"/branches/main/d/a \"$W\"/moved").fails(&["Read-only file system"]);
    assert_eq!(fs::read_to_string(stage.mnt("branches/main/d/a")).expect("as it was"), "one");
    Ok(())
}

pub fn head_and_branches_move_at_once() -> Result<(), Missing> {
    let stage = Stage::new()?;
    for round in 0..5 {
        fs::write(stage.worktree("a"), format!("round {round}")).expect("room");
        stage.commit("again");
        for path in ["branches/main/a", "HEAD/a"] {
            assert_eq!(
                fs::read_to_string(stage.mnt(path)).expect("there"),
                format!("round {round}"),
                "{path}"
            );
        }
    }
    let held = fs::File::open(stage.mnt("branches/main/a")).expect("there");
    stage.in_repo(&["branch", "other"]).succeeds();
    stage.in_repo(&["switch", "other"]).succeeds();
    assert_eq!(fs::read_link(stage.mnt("HEAD")).expect("a link").to_str(), Some("branches/other"));
    fs::write(stage.worktree("a"), "last").expect("room");
    stage.sh("echo 'commit -b main -m last' > \"$M\"/.coral/ctl").succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("branches/main/a")).expect("there"), "last");
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/a")).expect("there"), "round 4");
    let mut bytes = [0; 7];
    held.read_exact_at(&mut bytes, 0).expect("open files stay as they were");
    assert_eq!(&bytes, b"round 4");
    Ok(())
}

pub fn commits_are_found_by_id_prefix_expression_and_date() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let mut ids = Vec::new();
    for round in 0..3 {
        fs::write(stage.worktree("a"), format!("round {round}")).expect("room");
        ids.push(stage.commit("again"));
    }
    stage.in_repo(&["tag", "v1", "--commit", "HEAD~1"]).succeeds();
    for (path, round) in [
        (format!("commits/{}", ids[0]), 0),
        (format!("commits/{}", &ids[0][..12]), 0),
        ("commits/HEAD~2".to_owned(), 0),
        ("commits/main~1".to_owned(), 1),
        ("commits/main@{1}".to_owned(), 1),
        ("tags/v1".to_owned(), 1),
        ("commits/HEAD".to_owned(), 2),
    ] {
        let read = fs::read_to_string(stage.mnt(&path).join("a"));
        assert_eq!(read.ok(), Some(format!("round {round}")), "{path}");
    }
    for nothing in ["commits/0123456789", "commits/HEAD~9", "commits/nobody", "branches/nobody", "tags/v2"] {
        let found = fs::metadata(stage.mnt(nothing)).expect_err(nothing);
        assert_eq!(found.kind(), ErrorKind::NotFound, "{nothing}");
    }
    let mut listed = stage.sh("ls \"$M\"/commits").succeeds().lines();
    listed.sort();
    ids.sort();
    assert_eq!(listed, ids);
    let mut dated = stage.sh("grep -h round \"$M\"/by-date/*/*/a").succeeds().lines();
    // Within one second they are sorted by id.
    dated.sort();
    assert_eq!(dated, ["round 0", "round 1", "round 2"]);
    Ok(())
}

pub fn what_other_commands_change_is_seen_in_the_mount() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.path("repo/added"), "by command").expect("room");
    assert!(!stage.worktree("added").exists());
    stage.in_repo(&["add", "added"]).succeeds();
    assert_eq!(fs::read_to_string(stage.worktree("added")).expect("there"), "by command");
    stage.commit("added");
    fs::write(stage.worktree("added"), "changed").expect("room");
    let status = stage.in_repo(&["status"]).succeeds().text();
    assert!(status.contains("added"), "{status}");
    stage.in_repo(&["restore", "added"]).succeeds();
    assert_eq!(fs::read_to_string(stage.worktree("added")).expect("there"), "by command");
    // Inside the mount, a command finds the repository by itself.
    fs::write(stage.worktree("second"), "2").expect("room");
    stage.sh("cd \"$W\"; \"$CORAL\" commit -m 'from inside'").succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/second")).expect("there"), "2");
    Ok(())
}

pub fn one_tree_can_be_mounted_alone() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    stage.sh("mkdir \"$W\"/d; printf one > \"$W\"/d/a").succeeds();
    stage.commit("first");
    for name in ["alone", "below", "writable"] {
        fs::create_dir(stage.path(name)).expect("new");
    }
    stage.mount(&["--ref", "main", "repo", "alone"]);
    assert_eq!(fs::read_to_string(stage.path("alone/d/a")).expect("there"), "one");
    stage.mount(&["--ref", "HEAD:d", "repo", "below"]);
    assert_eq!(fs::read_to_string(stage.path("below/a")).expect("there"), "one");
    stage.sh("printf x > below/a").fails(&["Read-only"]);
    stage.mount(&["--worktree", "main", "repo", "writable"]);
    fs::write(stage.path("writable/b"), "two").expect("room");
    stage.sh("cd writable; \"$CORAL\" commit -m second").succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("branches/main/b")).expect("there"), "two");
    Ok(())
}

pub fn mount_points_that_cannot_be_used_are_named() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.coral(&["mount", "repo", "mnt"]).fails(&["already mounted"]);
    stage.coral(&["mount", "repo", "none"]).fails(&["does not exist"]);
    stage.sh("mkdir full; touch full/a file").succeeds();
    stage.coral(&["mount", "repo", "full"]).fails(&["not empty"]);
    stage.coral(&["mount", "repo", "file"]).fails(&["not a directory"]);
    stage.coral(&["umount", "full"]).fails(&["no Coral file system"]);
    let held = fs::File::open(stage.mnt(".coral/version")).expect("there");
    stage.coral(&["umount", "mnt"]).fails(&["in use"]);
    drop(held);
    Ok(())
}

/// No name in a worktree is a repository's own folder, and no look into a tree finds one.
pub fn a_worktree_has_no_folder_of_a_repository() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("a"), "one").expect("room");
    for name in [".coral", ".CORAL", ".coral.", "coral~1"] {
        let denied =
            |made: std::io::Result<()>| assert_eq!(made.unwrap_err().raw_os_error(), Some(libc::EPERM));
        let at = stage.worktree(name);
        denied(fs::write(&at, "x"));
        denied(fs::create_dir(&at));
        denied(std::os::unix::fs::symlink("a", &at));
        denied(fs::rename(stage.worktree("a"), &at));
        assert_eq!(fs::symlink_metadata(&at).unwrap_err().kind(), ErrorKind::NotFound);
    }
    Ok(())
}

/// What the repository is itself is no content of it; one file of its history is.
pub fn a_mount_is_not_added_to_its_own_repository() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::create_dir(stage.worktree("d")).expect("room");
    fs::write(stage.worktree("d/a"), "one").expect("room");
    stage.commit("first");
    let mount = stage.path("mnt").display().to_string();
    for inside in
        ["", "/branches", "/branches/main", "/branches/main/d", "/worktree/main/d/a", "/worktree/main"]
    {
        stage
            .in_repo(&["add", "--to", "x", &format!("{mount}{inside}")])
            .fails(&["is in a mount of this repository"]);
    }
    let around = stage.path("").display().to_string();
    stage.in_repo(&["add", "--to", "x", &around]).fails(&["is in a mount of this repository"]);
    stage.in_repo(&["add", "--to", "x", &format!("{mount}/branches/main/d/a")]).succeeds();
    assert_eq!(stage.in_repo(&["status", "-s"]).succeeds().lines(), ["A x/a"]);
    Ok(())
}

pub fn what_was_bound_elsewhere_is_not_added_either() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::new()?;
    fs::write(stage.worktree("a"), "one").expect("room");
    stage.commit("first");
    for (name, bound) in [("dir", "worktree/main"), ("file", "worktree/main/a"), ("old", "branches/main")] {
        stage.mounts_itself(name);
        let target = stage.path(name);
        if name == "file" { fs::write(&target, "") } else { fs::create_dir(&target) }.expect("room");
        stage.sh(&format!("mount --bind \"$M\"/{bound} {name}")).succeeds();
    }
    for inside in ["dir", "dir/a", "file", "old"] {
        let path = stage.path(inside).display().to_string();
        stage.in_repo(&["add", "--to", "x", &path]).fails(&["is in a mount of this repository"]);
    }
    // A single file of the history is one wherever it is seen.
    stage.in_repo(&["add", "--to", "x", &stage.path("old/a").display().to_string()]).succeeds();
    assert_eq!(stage.in_repo(&["status", "-s"]).succeeds().lines(), ["A x/a"]);
    Ok(())
}

pub fn no_repository_is_made_inside_a_mount() -> Result<(), Missing> {
    let stage = Stage::new()?;
    for inside in ["", "worktree/main", "worktree/main/new/deep", "branches"] {
        let path = stage.mnt(inside).display().to_string();
        stage.coral(&["init", &path]).fails(&["is in a mount of the repository", "outside of its mount"]);
    }
    assert_eq!(fs::read_dir(stage.worktree("")).expect("there").count(), 0);
    Ok(())
}
