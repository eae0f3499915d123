//! What people do all day in a worktree, and what they are told when it cannot be done.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::stage::{Missing, Stage};

pub fn commands_follow_each_other_from_inside_a_worktree() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage
        .sh("cd \"$W\"; mkdir d; cd d
            for n in 1 2 3; do
              echo $n > f; \"$CORAL\" commit -m \"number $n\"; [ \"$(cat \"$M\"/branches/main/d/f)\" = $n ]
              [ \"$(/bin/pwd)\" = \"$W\"d ]
            done
            cd \"$W\"; echo 4 > g; \"$CORAL\" commit -m four; \"$CORAL\" status; echo 5 > g
            \"$CORAL\" commit -m five; [ \"$(cat \"$M\"/HEAD/g)\" = 5 ]; [ \"$(cat \"$M\"/commits/HEAD~1/g)\" = 4 ]")
        .succeeds();
    Ok(())
}

pub fn head_is_the_branch_whose_worktree_one_stands_in() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage
        .sh("echo 1 > \"$W\"/f; \"$CORAL\" -C \"$W\" commit -m 'on main'; E=\"$M\"/worktree/exp; mkdir \"$E\"
            mkdir \"$E\"/d; echo 2 > \"$E\"/d/g; \"$CORAL\" -C \"$E\" commit -m 'on exp'
            [ \"$(\"$CORAL\" -C repo log -n 1 --format %s)\" = 'on main' ]
            coral() { \"$CORAL\" -C \"$E\" -C d \"$@\"; }
            coral tag here; [ \"$(\"$CORAL\" -C repo log -n 1 --format %s here)\" = 'on exp' ]
            coral ls -r | grep -q d/g; coral ls HEAD:./ | grep -q g; [ \"$(coral cat HEAD:./g)\" = 2 ]
            [ \"$(coral log --format %s main..)\" = 'on exp' ]; [ \"$(coral branch --show-current)\" = exp ]
            coral branch | grep -q '^[*] exp '; coral reflog | grep -q 'on exp'; coral diff --name-only main HEAD | grep -q d/g
            coral branch copy; [ \"$(coral log -n 1 --format %s copy)\" = 'on exp' ]
            coral notes add -m noted; \"$CORAL\" -C repo notes show exp | grep -q noted
            coral switch main 2> said; grep -q 'exp' said
            echo 3 > \"$E\"/d/g; coral commit -m again; coral reset --hard HEAD~1; [ \"$(cat \"$E\"/d/g)\" = 2 ]
            cd \"$E\"/d; \"$CORAL\" log -n 1 --format %s | grep -q 'on exp'; \"$CORAL\" status | grep -q exp")
        .succeeds();
    Ok(())
}

pub fn paths_of_a_mount_mean_the_worktree_that_they_are_in() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage
        .sh("mkdir \"$W\"/d; echo 1 > \"$W\"/d/f; \"$CORAL\" -C repo commit -m one; mkdir \"$M\"/worktree/exp
            echo 2 > \"$W\"/d/f; \"$CORAL\" -C repo commit -m two
            cd \"$M\"; coral() { \"$CORAL\" \"$@\"; }
            [ \"$(coral log --format %s worktree/main/d/f | wc -l)\" = 2 ]
            echo 3 > worktree/main/d/f; coral diff worktree/main/d | grep -q '^[+]3'
            coral -C / -C \"$M\"/../repo diff --name-only \"$M\"/worktree/main/d/f | grep -q d/f
            coral diff HEAD~1:d/f worktree/main/d/f | grep -q '^[+]3'
            coral restore worktree/main/d/f; [ \"$(cat worktree/main/d/f)\" = 2 ]
            if coral restore worktree/exp/d/f 2> \"$M\"/../said; then exit 1; fi
            grep -q 'in the worktree of .exp.' \"$M\"/../said
            cd worktree/main/d; echo 4 > f; \"$CORAL\" restore .; [ \"$(cat f)\" = 2 ]; [ \"$(ls)\" = f ]; echo 5 > g; ls | grep -q g
            coral log --format %s \"$M\"/worktree/main/d/f | grep -q one")
        .succeeds();
    Ok(())
}

pub fn a_commit_leaves_out_a_file_that_is_open_and_names_it() -> Result<(), Missing> {
    let stage = Stage::new()?;
    // A process that forks closes its files once more in the child, so the writer is one that does not.
    stage
        .sh("echo whole > \"$W\"/done; mkfifo pipe
            dd if=pipe of=\"$W\"/half bs=7 status=none & exec 4> pipe; printf 'not yet' >&4
            until [ -s \"$W\"/half ]; do :; done
            \"$CORAL\" -C repo commit -m without 2> said; grep -q half said
            [ \"$(ls \"$M\"/branches/main)\" = 'done' ]
            printf ', now' >&4; exec 4>&-; wait
            \"$CORAL\" -C repo commit -m with; [ \"$(cat \"$M\"/branches/main/half)\" = 'not yet, now' ]")
        .succeeds();
    Ok(())
}

pub fn files_are_cut_and_written_over_as_plain_ones_are() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage
        .sh("both() { \"$1\" plain; \"$1\" \"$W\"/a; cmp plain \"$W\"/a; }
            head -c 1000001 /dev/urandom > source
            copy() { cp source \"$1\"; }; both copy
            \"$CORAL\" -C repo commit -m 'a stored file'
            for size in 999999 70000 70001 2000000 0 5; do
              cut() { truncate -s $size \"$1\"; }; both cut
            done
            both copy; \"$CORAL\" -C repo commit --allow-empty -m 'stored again'
            blocks() { dd if=source of=\"$1\" bs=64k seek=3 conv=notrunc status=none; }; both blocks
            one() { printf x | dd of=\"$1\" bs=1 seek=700000 conv=notrunc status=none; }; both one
            hole() { printf y | dd of=\"$1\" bs=1 seek=5000000 conv=notrunc status=none; }; both hole
            append() { cat source >> \"$1\"; }; both append
            cmp source \"$M\"/branches/main/a")
        .succeeds();
    Ok(())
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

/// What a system call that answers 0 or -1 said.
fn said(answer: i32) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub fn what_a_worktree_lacks_is_refused_by_its_errno() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let file = stage.worktree("f");
    fs::write(&file, "x").expect("room");
    fs::create_dir_all(stage.worktree("d/e")).expect("room");
    let (path, pipe) = (c_path(&file), c_path(&stage.worktree("pipe")));
    // SAFETY: the path ends with NUL.
    let fifo = said(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) });
    // SAFETY: path and name end with NUL, and the value has the one byte that is announced.
    let xattr =
        said(unsafe { libc::setxattr(path.as_ptr(), c"user.x".as_ptr(), c"y".as_ptr().cast(), 1, 0) });
    let unnamed = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(stage.worktree(""));
    let into_itself = fs::rename(stage.worktree("d"), stage.worktree("d/e/x"));
    assert_eq!(errno(fs::hard_link(&file, stage.worktree("g"))), Some(libc::EPERM));
    assert_eq!(errno(fifo), Some(libc::EPERM));
    assert_eq!(errno(xattr), Some(libc::EOPNOTSUPP));
    assert_eq!(errno(unnamed), Some(libc::EOPNOTSUPP));
    assert_eq!(errno(into_itself), Some(libc::EINVAL));
    assert_eq!(errno(fs::rename(&file, stage.worktree("d"))), Some(libc::EISDIR));
    assert_eq!(errno(fs::remove_dir(stage.worktree("d"))), Some(libc::ENOTEMPTY));
    assert_eq!(errno(fs::remove_file(stage.worktree("none"))), Some(libc::ENOENT));
    assert_eq!(errno(fs::write(stage.worktree(&"n".repeat(256)), "x")), Some(libc::ENAMETOOLONG));
    assert_eq!(errno(fs::read_dir(&file)), Some(libc::ENOTDIR));
    assert_eq!(errno(fs::remove_dir(stage.worktree(""))), Some(libc::EPERM));
    Ok(())
}

pub fn moving_between_worktrees_copies() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage.sh("echo 1 > \"$W\"/f; \"$CORAL\" -C repo commit -m one; mkdir \"$M\"/worktree/other").succeeds();
    let other = stage.mnt("worktree/other/g");
    assert_eq!(errno(fs::rename(stage.worktree("f"), &other)), Some(libc::EXDEV));
    stage
        .sh("mv \"$W\"/f \"$M\"/worktree/other/g; [ ! -e \"$W\"/f ]; [ \"$(cat \"$M\"/worktree/other/g)\" = 1 ]
            cp \"$M\"/branches/main/f \"$W\"/again; [ \"$(cat \"$W\"/again)\" = 1 ]")
        .succeeds();
    Ok(())
}

pub fn repacking_under_a_mount_disturbs_no_reader() -> Result<(), Missing> {
    let stage = Stage::new()?;
    stage
        .sh("head -c 3000000 /dev/urandom > source; \"$CORAL\" -C repo commit --allow-empty -m start
            for n in 1 2 3; do
              printf $n | dd of=source bs=1 seek=700000 conv=notrunc status=none; cp source plain$n
              cp source \"$W\"/a; \"$CORAL\" -C repo commit -m \"number $n\"
            done
            exec 5< \"$M\"/branches/main/a
            \"$CORAL\" -C repo repack --level max; [ $(ls repo/.coral/packs/*.cpk | wc -l) = 1 ]
            cmp plain3 /dev/fd/5; exec 5<&-
            for n in 1 2 3; do cmp plain$n \"$M\"/commits/HEAD~$((3 - n))/a; done
            echo more > \"$W\"/b; \"$CORAL\" -C repo commit -m more; [ \"$(cat \"$M\"/branches/main/b)\" = more ]
            \"$CORAL\" -C repo fsck --full")
        .succeeds();
    Ok(())
}
