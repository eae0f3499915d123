//! Disks that let files share their blocks: what copies cost there.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::stage::{Missing, Stage, needs_root, weights};

/// A stage with a disk of its own at `disk`, which lets files share their blocks, and a repository on it at `disk/repo`
/// that is mounted at `disk/mnt`.
fn on_such_a_disk() -> Result<Stage, Missing> {
    needs_root()?;
    if Command::new("mkfs.xfs").arg("-V").output().is_err() {
        return Err(Missing("mkfs.xfs is not installed (package xfsprogs)".to_owned()));
    }
    let mut stage = Stage::unmounted()?;
    stage.mounts_itself("disk");
    // Nothing is written of it that is not used.
    let mounted = stage
        .sh("mkdir disk; truncate -s 6G image; mkfs.xfs -q -m reflink=1 image; mount -o loop image disk");
    if !mounted.is_success() {
        return Err(Missing(format!("no image of a disk can be mounted: {mounted}")));
    }
    stage.coral(&["init", "disk/repo"]).succeeds();
    fs::create_dir(stage.path("disk/mnt")).expect("room");
    Ok(stage)
}

/// How much of the disk is used, in KiB.
fn used(stage: &Stage) -> u64 {
    let said = stage.sh("sync -f disk; df -k --output=used disk | tail -n 1").succeeds().text();
    said.trim().parse().expect("a number")
}

fn same(one: &Path, other: &Path) -> bool {
    fs::read(one).expect("readable") == fs::read(other).expect("readable")
}

pub fn what_is_exported_shares_the_blocks_of_plain_copies() -> Result<(), Missing> {
    let mut stage = on_such_a_disk()?;
    let bytes = weights(3, 64 << 20);
    fs::write(stage.path("disk/model"), &bytes).expect("room");
    stage.sh("cd disk; \"$CORAL\" -C repo add ../model; \"$CORAL\" -C repo commit -m model").succeeds();
    let exports = |out: &str| {
        let before = used(&stage);
        stage.sh(&format!("cd disk; \"$CORAL\" -C repo export HEAD ../{out}")).succeeds();
        assert!(same(&stage.path("disk/model"), &stage.path(&format!("disk/{out}/model"))), "{out}");
        used(&stage).saturating_sub(before)
    };
    assert!(exports("from-packs") >= 60 << 10, "there is no plain copy");
    stage.sh("cd disk; \"$CORAL\" -C repo prefetch HEAD").succeeds();
    assert!(exports("shared") < 30 << 10);
    // Who writes to it writes to his own blocks.
    File::options()
        .write(true)
        .open(stage.path("disk/shared/model"))
        .expect("ours")
        .write_all(b"!")
        .expect("room");
    assert!(exports("once-more") < 30 << 10);
    // A copy that the disk changed is not believed.
    let copies = fs::read_dir(stage.path("disk/repo/.coral/plain")).expect("there");
    for copy in copies {
        let copy = File::options().write(true).open(copy.expect("there").path()).expect("ours");
        copy.write_all_at(b"!", 1 << 20).expect("room");
    }
    exports("checked");
    stage.mount(&["disk/repo", "disk/mnt"]);
    stage.unmount();
    Ok(())
}

pub fn writing_on_a_large_file_shares_what_it_had() -> Result<(), Missing> {
    let mut stage = on_such_a_disk()?;
    stage.mount(&["disk/repo", "disk/mnt"]);
    // They take no room in the store.
    let (file, mut bytes) = (stage.path("disk/mnt/worktree/main/model"), vec![7; 64 << 20]);
    fs::write(&file, &bytes).expect("room");
    stage.sh("\"$CORAL\" -C disk/repo status").succeeds();
    let before = used(&stage);
    // What was complete stays: the bytes that are written on are another version of it.
    let writer = File::options().write(true).open(&file).expect("there");
    writer.write_all_at(b"more", 1 << 20).expect("room");
    let taken = used(&stage).saturating_sub(before);
    drop(writer);
    bytes[1 << 20..][..4].copy_from_slice(b"more");
    assert!(fs::read(&file).expect("there") == bytes);
    assert!(taken < 30 << 10, "{taken} KiB");
    stage.unmount();
    Ok(())
}
