//! The programs that everybody uses, in the mount and beside it: what they make must be the same.

use std::fs;

use crate::stage::{Missing, Stage, weights};

/// What a person does to files in an afternoon. Runs in an empty folder.
const AFTERNOON: &str = r#"
    mkdir -p run/checkpoint-1 run/empty
    printf 'hello\n' > config.json
    cp "$DATA" run/checkpoint-1/model.bin
    cp -p "$DATA" run/pinned.bin
    mv run/checkpoint-1/model.bin run/checkpoint-1/renamed.bin
    mv run/checkpoint-1 run/checkpoint-2
    ln -s checkpoint-2/renamed.bin run/latest
    ln -s nowhere dangling
    dd if="$DATA" of=patched.bin bs=64k count=4 2>/dev/null
    dd if=/dev/zero of=patched.bin bs=1k seek=10 count=3 conv=notrunc 2>/dev/null
    truncate -s 100000 patched.bin
    truncate -s 150000 patched.bin
    cat "$DATA" "$DATA" > twice.bin
    printf 'more\n' >> config.json
    cp twice.bin thrice.bin
    cat "$DATA" >> thrice.bin
    : > nothing
    chmod 600 config.json
    chmod 755 nothing
    mkdir gone
    touch gone/a gone/b
    rm -r gone
    rm twice.bin
    cp -r run run-copy
    tar cf all.tar run
    mkdir unpacked
    tar xf all.tar -C unpacked
    rm all.tar
    sed -i 's/hello/goodbye/' config.json
    touch -d '2020-02-03 04:05:06.789' nothing
"#;

/// Every path with type, mode, length and target, then the hash of every file. The top is left out: its mode differs.
const LOOK: &str = r#"
    find . -mindepth 1 \( -type d -printf '%P d %m\n' -o -printf '%P %y %m %s %l\n' \) | sort
    find . -type f -exec sha256sum {} + | sort
    cat run/latest | sha256sum
    find . -newermt 2020-02-03T04:05:06.788 ! -newermt 2020-02-03T04:05:06.790 -type f
"#;

fn afternoon(stage: &Stage) -> Vec<String> {
    let data = stage.path("data");
    fs::write(&data, weights(1, 3_000_000)).expect("room");
    let plain = stage.path("plain");
    fs::create_dir(&plain).expect("new");
    for folder in [plain.clone(), stage.worktree("")] {
        stage.run(stage.program("sh", &folder).args(["-euc", AFTERNOON]).env("DATA", &data)).succeeds();
    }
    let expected = stage.sh_in(&plain, LOOK).succeeds().lines();
    assert!(expected.len() > 30, "{expected:?}");
    expected
}

pub fn a_tree_made_by_coreutils_is_the_tree_that_they_make_elsewhere() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let expected = afternoon(&stage);
    assert_eq!(stage.sh_in(&stage.worktree(""), LOOK).succeeds().lines(), expected);
    stage.sh("diff -r --no-dereference plain \"$W\"; ls -lR \"$W\" > /dev/null").succeeds();
    Ok(())
}

pub fn a_copy_of_a_snapshot_is_the_tree_that_was_committed() -> Result<(), Missing> {
    let mut stage = Stage::new()?;
    let expected = afternoon(&stage);
    let id = stage.commit("an afternoon");
    // What comes later changes no snapshot.
    stage.sh("rm -r \"$W\"/run; printf x > \"$W\"/config.json").succeeds();
    for top in ["branches/main".to_owned(), "HEAD".to_owned(), format!("commits/{id}")] {
        assert_eq!(stage.sh_in(&stage.mnt(&top), LOOK).succeeds().lines(), expected, "{top}");
    }
    stage.unmount();
    stage.mount(&["repo", "mnt"]);
    assert_eq!(stage.sh_in(&stage.mnt("HEAD"), LOOK).succeeds().lines(), expected, "after a new mount");
    stage.sh("cp -a \"$M\"/branches/main/. copied").succeeds();
    assert_eq!(stage.sh_in(&stage.path("copied"), LOOK).succeeds().lines(), expected, "copied out");
    Ok(())
}

pub fn a_hundred_thousand_files_lie_in_one_directory() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage
        .sh("mkdir repo/many; cd repo/many; seq -f '%06.0f' 100000 | split -l 1 -a 6 --numeric-suffixes=1 - f
             cd ..; \"$CORAL\" -q add many; \"$CORAL\" -q commit -m many")
        .succeeds();
    let look = "[ $(ls -f | grep -c ^f) = 100000 ]; cat f000001 f050000 f100000; [ ! -e f100001 ]
        [ $(find . -type f -name 'f0999*' | wc -l) = 100 ]";
    for place in ["worktree/main/many", "HEAD/many"] {
        let seen = stage.sh_in(&stage.mnt(place), look).succeeds();
        assert_eq!(seen.lines(), ["000001", "050000", "100000"], "{place}");
    }
    stage
        .sh("cd \"$W\"/many; rm f0000??; mv f050000 g; printf new > f050000; mkdir -p ../deep; mv ../many ../deep
             cd ../deep/many; [ $(ls -f | grep -c '^[fg]') = 99902 ]; \"$CORAL\" -q commit -m changed
             ls -f | sort > \"$HOME\".here; ls -f \"$M\"/HEAD/deep/many | sort | cmp - \"$HOME\".here
             cmp f100000 \"$M\"/HEAD/deep/many/f100000; [ ! -e \"$M\"/HEAD/many ]")
        .succeeds();
    Ok(())
}

pub fn disk_usage_is_what_is_stored() -> Result<(), Missing> {
    let stage = Stage::new()?;
    fs::write(stage.worktree("zeros"), vec![0; 8 << 20]).expect("room");
    stage.commit("zeros");
    stage.in_repo(&["drain"]).succeeds();
    let used = |path: &str| {
        let said = stage.sh(&format!("du -sB1 \"$M\"/{path}")).succeeds().text();
        said.split_whitespace().next().expect("a number").parse::<u64>().expect("a number")
    };
    assert!(used("branches/main/zeros") < 1 << 20);
    assert_eq!(fs::metadata(stage.mnt("branches/main/zeros")).expect("there").len(), 8 << 20);
    // What is looked at before it is made small is asked again.
    fs::write(stage.worktree("ones"), vec![1; 8 << 20]).expect("room");
    let id = stage.commit("ones");
    for tree in ["branches/main".to_owned(), format!("commits/{id}"), "worktree/main".to_owned()] {
        used(&format!("{tree}/ones"));
    }
    stage.in_repo(&["drain"]).succeeds();
    for tree in ["branches/main".to_owned(), format!("commits/{id}"), "worktree/main".to_owned()] {
        stage.wait_until("it is small", || used(&format!("{tree}/ones")) < 1 << 20);
    }
    // What waits takes what it takes on the disk.
    let sparse = fs::File::create(stage.worktree("sparse")).expect("room");
    sparse.set_len(1 << 40).expect("no room is needed");
    drop(sparse);
    assert!(used("worktree/main/sparse") < 1 << 20);
    fs::write(stage.worktree("sparse"), vec![1; 1 << 20]).expect("room");
    assert!((1 << 20..2 << 20).contains(&used("worktree/main/sparse")));
    fs::remove_file(stage.worktree("sparse")).expect("there");
    Ok(())
}
