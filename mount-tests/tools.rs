//! Programs that put a file system to the test, and those that rely on more of it than others.

use std::process::Command;

use crate::python::run_with;
use crate::stage::{Missing, Ran, Stage, needs_root};

fn needs(program: &str, package: &str) -> Result<(), Missing> {
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Missing(format!("{program} is not installed (package {package})"))),
    }
}

pub fn a_database_is_kept_in_a_worktree() -> Result<(), Missing> {
    keep_a_database(&Stage::new()?)
}

fn keep_a_database(stage: &Stage) -> Result<(), Missing> {
    needs("sqlite3", "sqlite3")?;
    for journal in ["delete", "truncate", "persist", "wal"] {
        let ran = stage.sh(&format!(
            "sqlite3 \"$W\"/{journal}.db 'PRAGMA journal_mode={journal}; CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)
             INSERT INTO t SELECT i, randomblob(200) FROM n; UPDATE t SET b=zeroblob(300) WHERE n%3=0;
             DELETE FROM t WHERE n%5=0; VACUUM; PRAGMA integrity_check; SELECT count(*) FROM t;'"
        ));
        assert_eq!(ran.succeeds().lines(), [journal, "ok", "4000"]);
    }
    // Two programs at once, each in transactions of its own.
    let pair = "add() { i=0; while [ $i -lt 20 ]; do
            sqlite3 -cmd '.timeout 60000' \"$W\"/wal.db 'INSERT INTO t(b) VALUES (randomblob(50));'; i=$((i+1)); done; }
        add & add; wait
        sqlite3 \"$W\"/wal.db 'PRAGMA integrity_check; SELECT count(*) FROM t;'";
    assert_eq!(stage.sh(pair).succeeds().lines(), ["ok", "4040"]);
    stage.commit("databases");
    let read = stage.sh("sqlite3 \"file:$M/HEAD/delete.db?mode=ro\" 'SELECT count(*) FROM t;'");
    assert_eq!(read.succeeds().lines(), ["4000"]);
    Ok(())
}

pub fn a_git_repository_is_kept_in_a_worktree() -> Result<(), Missing> {
    keep_a_git_repository(&Stage::new()?)
}

fn keep_a_git_repository(stage: &Stage) -> Result<(), Missing> {
    needs("git", "git")?;
    stage
        .sh("cd \"$W\"; export GIT_CONFIG_NOSYSTEM=1
             git init -q code; cd code; git config user.name Ada; git config user.email ada@example.org
             for i in 1 2 3 4 5; do seq $i 2000 > f$i; git add .; git commit -qm $i; done
             git checkout -qb side HEAD~2; echo x > side; git add side; git commit -qm side
             git merge -q -m merged -; git gc -q; git fsck --strict; git status --porcelain
             git clone -q . ../clone; diff -r --exclude=.git . ../clone")
        .succeeds();
    stage.commit("a repository in a repository");
    assert_eq!(stage.sh("git -C \"$M\"/HEAD/code log --oneline -- f5 | wc -l").succeeds().text().trim(), "1");
    Ok(())
}

pub fn fio_reads_what_it_wrote() -> Result<(), Missing> {
    run_fio(&Stage::new()?)
}

fn run_fio(stage: &Stage) -> Result<(), Missing> {
    needs("fio", "fio")?;
    for (name, how) in [
        ("pwrite", "--ioengine=psync --rw=randwrite --bs=4k-64k"),
        ("mapped", "--ioengine=mmap --rw=randwrite --bs=4k"),
        ("direct", "--ioengine=psync --direct=1 --rw=randwrite --bs=4k"),
        ("asked-for-later", "--ioengine=libaio --iodepth=16 --rw=randwrite --bs=16k"),
    ] {
        let job = format!(
            "fio --name={name} --directory=\"$W\" --size=16m --numjobs=2 --verify=crc32c --verify_fatal=1 \
             --do_verify=1 --fallocate=none {how}"
        );
        stage.sh(&job).succeeds();
    }
    Ok(())
}

const PJDFSTEST: &str = "[features]
posix_fallocate = {}
rename_ctime = {}
utimensat = {}
[settings]
naptime = 0.01
allow_remount = false
[dummy_auth]
entries = [[\"nobody\", \"nogroup\"], [\"daemon\", \"daemon\"]]
";

/// What its cases are called that make nodes which a worktree does not have.
const SPECIAL: [&str; 4] = ["::fifo", "::char", "::block", "::socket"];
/// Groups of cases about such nodes alone.
const SPECIAL_GROUPS: [&str; 3] = ["mkfifo::", "mknod::", "open::fifo_"];
/// Cases that need what docs/semantics.md says there is not: hard links, owners that are recorded, and directories that
/// count those in them.
const KNOWN: &[&str] = &[
    "unlink::unchanged_ctime_failed::regular",
    "unlink::update_ctime_success::regular",
    "rename::preserve_metadata::regular",
    "rename::updates_link_parent",
    "rename::to_multiply_linked::regular",
    "open::socket_error",
    "open::uid_gid_eq_euid_egid",
    "mkdir::uid_gid_eq_euid_egid",
    "chmod::clear_isgid_bit",
    "link::changed_ctime_success::regular",
    "link::share_metadata::regular",
    "link::remove_link::regular",
];

pub fn what_pjdfstest_finds_is_known() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::unmounted()?;
    stage.sh("chmod 755 .").succeeds();
    stage.mount(&["--allow-other", "repo", "mnt"]);
    run_pjdfstest(&stage, 180)
}

/// At least so many cases must be passed.
fn run_pjdfstest(stage: &Stage, least: usize) -> Result<(), Missing> {
    needs("pjdfstest", "`cargo install pjdfstest`")?;
    // Whoever runs it here may not get to where it is installed.
    let found = Command::new("sh").args(["-c", "command -v pjdfstest"]).output().expect("a shell");
    let program = String::from_utf8(found.stdout).expect("a path");
    std::fs::copy(program.trim_end(), stage.path("pjdfstest")).expect("room");
    std::fs::write(stage.path("pjdfstest.toml"), PJDFSTEST).expect("room");
    let said = stage.sh("RUST_BACKTRACE=0 ./pjdfstest -c pjdfstest.toml -p \"$W\" 2>&1 || true").text();
    let outcomes = |word: &str| -> Vec<&str> {
        let lines = said.lines().filter_map(|line| line.trim_end().strip_suffix(word));
        lines.map(str::trim_end).collect()
    };
    assert!(outcomes(" ok").len() > least, "{said}");
    let is_special = |case: &str| {
        SPECIAL.iter().any(|kind| case.ends_with(kind))
            || SPECIAL_GROUPS.iter().any(|group| case.starts_with(group))
    };
    let mut unknown = outcomes("FAILED");
    unknown.retain(|case| !is_special(case) && !KNOWN.contains(case));
    assert!(unknown.is_empty(), "{unknown:#?}");
    Ok(())
}

/// The daemon reads and writes here, and not the kernel by itself.
pub fn programs_find_the_same_in_the_mount_of_a_user_without_privileges() -> Result<(), Missing> {
    let stage = Stage::of_nobody()?;
    // Of the cases of pjdfstest those that need not be root.
    let pjdfstest = |stage: &Stage| run_pjdfstest(stage, 160);
    type Test = fn(&Stage) -> Result<(), Missing>;
    let tests: [Test; 6] =
        [keep_a_database, keep_a_git_repository, run_fio, stress, read_and_write_directly, pjdfstest];
    for put_to_the_test in tests {
        put_to_the_test(&stage)?;
        stage.sh("rm -rf \"$W\"/*").succeeds();
    }
    Ok(())
}

/// How long each stressor runs, in seconds.
const STRESSED: u32 = 2;

pub fn stressors_of_file_systems_end() -> Result<(), Missing> {
    stress(&Stage::new()?)
}

fn stress(stage: &Stage) -> Result<(), Missing> {
    needs("stress-ng", "stress-ng")?;
    // Those that need hard links, locks of leases, devices or holes are left out: docs/semantics.md says what there is.
    let stressors = "access chdir chmod dentry dir dirmany dirdeep fallocate fcntl filename flock fstat getdent \
        hdd io iomix lockf mmap mmapfork msync open readahead rename seek sendfile symlink sync-file touch \
        utime";
    for stressor in stressors.split_whitespace() {
        let ran: Ran = stage.sh(&format!(
            "stress-ng --temp-path \"$W\" --{stressor} 2 --timeout {STRESSED} --quiet --verify \
             $([ {stressor} = hdd ] && echo --hdd-bytes 16m) $([ {stressor} = iomix ] && echo --iomix-bytes 16m)"
        ));
        // 3 and 4: it was not tried, since the machine has too little of something.
        assert!(ran.is_success() || matches!(ran.code(), Some(3 | 4)), "{stressor}: {ran}");
    }
    stage.sh("ls -laR \"$W\" > /dev/null").succeeds();
    stage.in_repo(&["status"]).succeeds();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn a_worktree_bound_elsewhere_is_the_same_worktree() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::new()?;
    stage.mounts_itself("bound");
    stage
        .sh("mkdir bound; mount --bind \"$W\" bound; printf one > bound/a; mkdir bound/d; mv bound/a bound/d")
        .succeeds();
    stage.commit("through another mount point");
    stage
        .sh("[ \"$(cat \"$M\"/HEAD/d/a)\" = one ]; [ bound/d/a -ef \"$W\"/d/a ]; printf two > \"$W\"/d/a
        [ \"$(cat bound/d/a)\" = two ]; mount -o remount,bind,ro bound; ! touch bound/b")
        .succeeds();
    Ok(())
}

pub fn files_of_hdf5_are_read_while_they_are_written() -> Result<(), Missing> {
    let stage = Stage::new()?;
    run_with(&stage, &["h5py>=3.11,<4"], include_str!("clients/hdf5_swmr.py"))
}

pub fn direct_io_reads_and_writes() -> Result<(), Missing> {
    read_and_write_directly(&Stage::new()?)
}

fn read_and_write_directly(stage: &Stage) -> Result<(), Missing> {
    stage
        .sh("head -c 3145728 /dev/urandom > plain
             dd if=plain of=\"$W\"/a bs=1M oflag=direct status=none
             dd if=\"$W\"/a of=back bs=1M iflag=direct status=none; cmp plain back
             dd if=plain of=\"$W\"/a bs=4096 seek=7 skip=9 count=3 conv=notrunc oflag=direct status=none
             dd if=plain of=plain2 bs=1M status=none; dd if=plain of=plain2 bs=4096 seek=7 skip=9 count=3 conv=notrunc status=none
             cmp plain2 \"$W\"/a")
        .succeeds();
    stage.commit("direct");
    stage.sh("dd if=\"$M\"/HEAD/a of=back bs=1M iflag=direct status=none; cmp plain2 back").succeeds();
    Ok(())
}
