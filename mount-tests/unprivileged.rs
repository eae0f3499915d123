//! The mount of a user without privileges, through the setuid program of the package fuse3.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use crate::nobody::{NOBODY, as_nobody, needs_unprivileged_fuse};
use crate::stage::{Missing, Stage, coral, needs_root};

pub fn a_user_without_privileges_mounts() -> Result<(), Missing> {
    needs_unprivileged_fuse()?;
    let mut stage = Stage::unmounted()?;
    let theirs = stage.path("theirs");
    fs::create_dir_all(theirs.join("mnt")).expect("new");
    for path in [theirs.join("mnt"), theirs.clone()] {
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    // The scratch folder is root's alone; the others only need to get through it.
    fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
    let program = theirs.join("coral");
    fs::copy(coral(), &program).expect("room");
    let program = program.to_str().expect("our own name");
    let run = |stage: &Stage, script: &str| {
        let mut command = as_nobody("sh");
        command.args(["-euc", script]).current_dir(&theirs).env("HOME", &theirs).env("CORAL", program);
        stage.run(&mut command)
    };
    run(&stage, "\"$CORAL\" init repo").succeeds();
    let mut daemon = as_nobody(program);
    daemon.args(["mount", "repo", "mnt"]).current_dir(&theirs).env("HOME", &theirs);
    stage.serve(daemon, "theirs/mnt");
    run(&stage, "printf hello > mnt/worktree/main/a; cd mnt/worktree/main; \"$CORAL\" commit -m first")
        .succeeds();
    let read = run(&stage, "cat mnt/HEAD/a; stat -c %u mnt/HEAD/a").succeeds().text();
    assert_eq!(read, format!("hello{NOBODY}\n"));
    run(&stage, "\"$CORAL\" umount mnt").succeeds();
    assert!(fs::read_dir(theirs.join("mnt")).expect("empty again").next().is_none());
    Ok(())
}

pub fn whoever_writes_to_a_strangers_program_takes_its_rights_from_it() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::unmounted()?;
    fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
    stage.mount(&["--allow-other", "repo", "mnt"]);
    let program = stage.worktree("program");
    let mode_after = |act: &str, mut shell: Command, before: u32| {
        fs::write(&program, "#!/bin/sh\n").expect("room");
        fs::set_permissions(&program, fs::Permissions::from_mode(before)).expect("ours");
        shell.args(["-euc", act]).env("P", &program);
        stage.run(&mut shell).succeeds();
        fs::metadata(&program).expect("there").mode() & 0o7777
    };
    for act in [
        "echo more >> \"$P\"",
        "echo other > \"$P\"",
        "truncate -s 3 \"$P\"",
        "dd of=\"$P\" bs=1 count=1 conv=notrunc if=/dev/zero",
    ] {
        assert_eq!(mode_after(act, as_nobody("sh"), 0o6777), 0o777, "{act}");
        assert_eq!(mode_after(act, as_nobody("sh"), 0o2767), 0o2767, "{act}: locked, not lent");
        assert_eq!(mode_after(act, Command::new("sh"), 0o6777), 0o6777, "{act} by root");
    }
    // Giving a file away takes them whoever does it, as on any disk.
    assert_eq!(mode_after("chown 0:0 \"$P\"", Command::new("sh"), 0o6755), 0o755);
    Ok(())
}

pub fn the_kernel_does_not_ask_before_each_write_what_a_file_may() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    stage.mount(&["--no-passthrough", "repo", "mnt"]);
    stage.sh("dd if=/dev/zero of=\"$W\"/a bs=4k count=500").succeeds();
    let stats = fs::read_to_string(stage.mnt(".coral/stats.json")).expect("readable");
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    let count = |operation: &str| stats["operations"][operation]["count"].as_u64().unwrap_or(0);
    assert!(count("write") >= 500 && count("getxattr") < 50, "{stats}");
    Ok(())
}
