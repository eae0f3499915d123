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
