//! Files with the same bytes are different files: programs that tell files apart by their inode numbers find as many as
//! there are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::lent::count;
use crate::stage::{Missing, Stage, needs_root, xattr};

/// Equal files in two directories and in one, equal links, and one other file.
const TWINS: &str = "cd \"$W\"
    mkdir one two
    printf same > one/config.json
    cp -p one/config.json two/config.json
    cp -p one/config.json one/again.json
    ln -s config.json one/link
    ln -s config.json two/link
    touch -h -r one/config.json one/link two/link one two
    head -c 3000000 /dev/zero > one/weights
    cp -p one/weights two/weights
    printf other > three";

fn twins() -> Result<(Stage, String), Missing> {
    let stage = Stage::new()?;
    stage.sh(TWINS).succeeds();
    let id = stage.commit("twins");
    Ok((stage, id))
}

fn needs(program: &str) -> Result<(), Missing> {
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Missing(format!("{program} is not installed"))),
    }
}

pub fn a_file_of_a_commit_has_one_number_whichever_ref_leads_to_it() -> Result<(), Missing> {
    let (stage, id) = twins()?;
    stage.in_repo(&["tag", "v1"]).succeeds();
    let number = |path: String| fs::symlink_metadata(stage.mnt(&path)).expect("there").ino();
    let mut all = Vec::new();
    for file in
        ["one/config.json", "one/again.json", "two/config.json", "one/link", "two/link", "one/weights"]
    {
        let tops = ["branches/main".to_owned(), "HEAD".into(), "tags/v1".into(), format!("commits/{id}")];
        let mut numbers = tops.map(|top| number(format!("{top}/{file}"))).to_vec();
        numbers.dedup();
        assert_eq!(numbers.len(), 1, "{file}");
        all.extend(numbers);
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 6, "no two files share a number");
    stage.sh("printf more > \"$W\"/more").succeeds();
    stage.commit("more");
    assert_ne!(number("branches/main/three".into()), number("tags/v1/three".into()), "another commit's");
    Ok(())
}

pub fn a_copy_of_a_stored_file_takes_neither_time_nor_room() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("head -c 3000000 /dev/urandom > \"$W\"/weights; printf x > \"$W\"/short").succeeds();
    stage.commit("stored");
    let id = |path: &str| xattr(&stage.mnt(path), "user.coral.id").expect("there");
    stage
        .sh("cd \"$W\" && cp \"$M\"/branches/main/weights one && cp weights two && printf old > three &&
            cp weights three && dd if=weights of=part bs=1000 count=1 status=none && cp short four")
        .succeeds();
    let stored = id("branches/main/weights");
    // Nothing was committed or drained: they are what they were copied from.
    for copy in ["one", "two", "three"] {
        assert_eq!(id(&format!("worktree/main/{copy}")), stored, "{copy}");
    }
    stage
        .sh("cd \"$W\" && cmp weights one && cmp weights two && cmp weights three && cmp short four &&
            cmp -n 1000 weights part && test $(stat -c %s part) = 1000 &&
            printf y >> one && cmp -n 3000000 one two && test $(stat -c %s one) = 3000001 && cmp weights two")
        .succeeds();
    Ok(())
}

pub fn a_copy_of_what_waits_to_be_stored_takes_none_either() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("head -c 900000 /dev/urandom > \"$W\"/small").succeeds();
    // A close that the kernel has told of is complete.
    stage.in_repo(&["status", "--short"]).succeeds();
    // The counts are read as well, in some pieces.
    let moved = || (count(&stage, "read") / 1000, count(&stage, "write"));
    let before = moved();
    stage.sh("cd \"$W\" && cp small one && cp small two && rm small").succeeds();
    assert_eq!(moved(), before, "nothing was read and nothing was written");
    stage.sh("cd \"$W\" && cmp one two && printf y >> two && ! cmp -s one two").succeeds();
    // Who stops copying half-way has half of it.
    stage
        .sh("cd \"$W\" && head -c 400000 one > part && test $(stat -c %s part) = 400000 && cmp -n 400000 part one")
        .succeeds();
    stage.commit("the small ones");
    assert_eq!(fs::read(stage.mnt("HEAD/one")).expect("committed").len(), 900_000);
    Ok(())
}

pub fn copies_of_equal_files_are_as_many_files() -> Result<(), Missing> {
    let (stage, _) = twins()?;
    stage.sh(&format!("mkdir plain; W=plain; {TWINS}")).succeeds();
    for copy in [
        "cp -aL $from/. copy",
        "cp -a $from/. copy",
        "mkdir copy; tar -C $from -cf - . | tar -C copy -xf -",
        "mkdir copy; tar -C $from -chf - . | tar -C copy -xf -",
    ] {
        // A link that is followed is its target once more, and only that.
        let linked = |from: &str| {
            let names = "find copy -type f -links +1 -printf '%p %n\\n' | sort";
            stage.sh(&format!("rm -rf copy; from={from}; {copy}; {names}")).succeeds().text()
        };
        let plain = linked("plain");
        assert_eq!(linked("\"$M\"/HEAD"), plain, "{copy}");
        stage.sh("printf changed > copy/one/config.json").succeeds();
        assert_eq!(fs::read_to_string(stage.path("copy/two/config.json")).expect("there"), "same", "{copy}");
    }
    Ok(())
}

pub fn rsync_links_no_equal_files() -> Result<(), Missing> {
    needs("rsync")?;
    let (stage, _) = twins()?;
    stage.sh("rsync -aH \"$M\"/HEAD/ copy; rsync -aLH \"$M\"/HEAD/ followed").succeeds();
    assert_eq!(stage.sh("find copy followed -type f -links +1").succeeds().text(), "");
    stage.sh("diff -r \"$M\"/HEAD copy").succeeds();
    Ok(())
}

pub fn find_and_du_take_equal_files_for_different_ones() -> Result<(), Missing> {
    let (stage, _) = twins()?;
    let found = stage.sh("cd \"$M\"/HEAD; find -L . -samefile one/config.json").succeeds().lines();
    let mut found = found;
    found.sort();
    assert_eq!(found, ["./one/config.json", "./one/link"], "itself, and a link to it");
    let sizes = stage.sh("cd \"$M\"/HEAD; du --apparent-size -B1 one/weights two/weights").succeeds().lines();
    assert_eq!(sizes, ["3000000\tone/weights", "3000000\ttwo/weights"]);
    Ok(())
}

/// What containers do with a directory of models: a writable layer above one that cannot be written.
pub fn an_overlay_above_a_snapshot_changes_one_of_two_equal_files() -> Result<(), Missing> {
    needs_root()?;
    let (mut stage, _) = twins()?;
    let overlays = fs::read_to_string("/proc/filesystems").expect("Linux tells").contains("\toverlay");
    if !overlays && !stage.sh("modprobe overlay").is_success() {
        return Err(Missing("this kernel has no overlayfs".to_owned()));
    }
    stage.sh("mkdir overlaid upper work").succeeds();
    stage.mounts_itself("overlaid");
    let layers = "lowerdir=\"$M\"/branches/main,upperdir=upper,workdir=work";
    stage.sh(&format!("mount -t overlay overlay -o {layers} overlaid")).succeeds();
    stage
        .sh("cd overlaid
             cat one/* two/* > /dev/null
             printf changed > one/config.json
             [ \"$(cat two/config.json)\" = same ]
             [ \"$(cat one/again.json)\" = same ]
             printf x >> two/weights
             [ \"$(stat -c %s one/weights)\" = 3000000 ]
             cmp -n 3000000 one/weights two/weights
             rm one/again.json
             mv two moved
             [ \"$(cat moved/config.json)\" = same ]
             rm -r moved
             [ \"$(ls)\" = \"$(printf 'one\\nthree')\" ]")
        .succeeds();
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/one/config.json")).expect("there"), "same");
    Ok(())
}
