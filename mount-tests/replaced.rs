//! A branch or a repository that is taken away under its mount: what is acknowledged is kept, or nothing is acknowledged.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::stage::{Missing, Stage};

fn save_durably(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&[7; 100_000])?;
    file.sync_all()
}

pub fn a_branch_that_was_deleted_and_made_again_keeps_what_is_saved() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    stage.sh("echo 1 > \"$W\"/f; \"$CORAL\" -C repo commit -m one").succeeds();
    let ways = [
        ("x", "\"$CORAL\" -C repo branch x; \"$CORAL\" -C repo status -B x"),
        ("y", "mkdir \"$M\"/worktree/y; \"$CORAL\" -C repo status -B y"),
    ];
    for (branch, remake) in ways {
        stage
            .sh(&format!(
                "mkdir \"$M\"/worktree/{branch}; echo v1 > \"$M\"/worktree/{branch}/one
                 \"$CORAL\" -C repo branch -D {branch}; {remake}"
            ))
            .succeeds();
        save_durably(&stage.mnt(&format!("worktree/{branch}/precious")))
            .expect("it is a branch like any other");
        let status = stage.in_repo(&["status", "-B", branch]).succeeds().text();
        assert!(status.contains("precious") && !status.contains("one"), "{status}");
    }
    stage.unmount();
    stage.mount(&["repo", "mnt"]);
    for (branch, _) in ways {
        let kept = fs::read(stage.mnt(&format!("worktree/{branch}/precious"))).expect("it was durable");
        assert!(kept == [7; 100_000]);
    }
    Ok(())
}

pub fn a_repository_that_was_replaced_takes_nothing_and_the_mount_says_why() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("echo 1 > \"$W\"/f; \"$CORAL\" -C repo commit -m one; cp -a repo backup").succeeds();
    stage.sh("mv repo repo.bad; cp -a backup repo").succeeds();
    let refused = save_durably(&stage.worktree("precious")).expect_err("it would be lost");
    assert_eq!(refused.raw_os_error(), Some(libc::ESTALE));
    let status = fs::read_to_string(stage.mnt(".coral/status")).expect("readable");
    assert!(status.contains("nothing can be saved here"), "{status}");
    // What is history is the same in both.
    assert_eq!(fs::read_to_string(stage.mnt("branches/main/f")).expect("readable"), "1\n");
    Ok(())
}

pub fn a_shell_in_a_deleted_branch_does_nothing_to_another() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("echo 1 > \"$W\"/f; \"$CORAL\" -C repo commit -m one; echo 2 > \"$W\"/f").succeeds();
    stage.in_repo(&["branch", "x/y"]).succeeds();
    // The folder of branches is none of a branch: what is asked for there is about the current one.
    stage.sh_in(&stage.mnt("worktree/x"), "\"$CORAL\" status").succeeds();
    let verbs = ["commit -m astray", "status", "restore --all", "rm f", "log"];
    for (number, (verb, below)) in verbs.iter().flat_map(|verb| [(verb, ""), (verb, "/sub")]).enumerate() {
        let ran = stage.sh(&format!(
            "mkdir \"$M\"/worktree/try{number} \"$M\"/worktree/try{number}/sub
             cd \"$M\"/worktree/try{number}{below}
             (cd \"$OLDPWD\"; \"$CORAL\" -C repo branch -D try{number} 2> said)
             \"$CORAL\" {verb}"
        ));
        ran.fails(&["gone", "`cd` to"]);
    }
    let log = stage.in_repo(&["log", "--oneline"]).succeeds().lines();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(fs::read_to_string(stage.worktree("f")).expect("it is there"), "2\n");
    Ok(())
}

pub fn what_was_taken_away_is_stale() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("echo 1 > \"$W\"/f; \"$CORAL\" -C repo commit -m one; mkdir \"$M\"/worktree/x").succeeds();
    let stale = |result: std::io::Result<()>, what: &str| {
        assert_eq!(result.expect_err(what).raw_os_error(), Some(libc::ESTALE), "{what}");
    };
    let mut written = File::create(stage.mnt("worktree/x/new")).expect("a branch like any other");
    written.write_all(b"some bytes").expect("room");
    let mut begun = fs::OpenOptions::new().append(true).open(stage.mnt("worktree/x/f")).expect("there");
    stage.in_repo(&["branch", "-D", "x"]).succeeds();
    stale(written.sync_all(), "fsync of a file of a deleted branch");
    stale(begun.write_all(b"more").and_then(|()| begun.sync_all()), "the first write to one");
    drop((written, begun));

    let mut written = File::create(stage.worktree("kept")).expect("room");
    written.write_all(b"some bytes").expect("room");
    stage.sh("mv repo away").succeeds();
    stale(written.sync_all(), "fsync while the repository is away");
    stale(save_durably(&stage.worktree("new")), "saving while the repository is away");
    stale(fs::create_dir(stage.worktree("dir")), "mkdir while the repository is away");
    stale(fs::remove_file(stage.worktree("f")), "unlink while the repository is away");
    // It is the same one that comes back.
    stage.sh("mv away repo").succeeds();
    written.write_all(b", and more").expect("it is there again");
    written.sync_all().expect("it is there again");
    save_durably(&stage.worktree("new")).expect("it is there again");
    Ok(())
}
