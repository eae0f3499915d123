//! What POSIX wants refused: each wrong call is made in a worktree and in a plain folder, and both answer with the same
//! error, or both with success.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::nobody::{NOBODY, become_nobody};
use crate::stage::{Missing, Stage, needs_root};

/// A path below the folder that a case is about.
struct At<'a>(&'a Path);

impl At<'_> {
    fn path(&self, name: &str) -> CString {
        match name {
            "" => CString::default(),
            name => {
                CString::new([self.0.as_os_str().as_bytes(), b"/", name.as_bytes()].concat()).expect("no NUL")
            }
        }
    }

    fn open(&self, name: &str, flags: i32) -> i32 {
        // SAFETY: the path outlives the call.
        said(unsafe { libc::open(self.path(name).as_ptr(), flags | libc::O_CLOEXEC, 0o644) }, true)
    }

    fn one(&self, name: &str, call: impl FnOnce(*const libc::c_char) -> i32) -> i32 {
        said(call(self.path(name).as_ptr()), false)
    }

    fn two(
        &self,
        from: &str,
        to: &str,
        call: impl FnOnce(*const libc::c_char, *const libc::c_char) -> i32,
    ) -> i32 {
        said(call(self.path(from).as_ptr(), self.path(to).as_ptr()), false)
    }

    /// Makes a call on an open file.
    fn opened(&self, name: &str, flags: i32, call: impl FnOnce(i32) -> i64) -> i32 {
        // SAFETY: the path outlives the call, and the descriptor is closed by nobody else.
        unsafe {
            let file = libc::open(self.path(name).as_ptr(), flags | libc::O_CLOEXEC, 0o644);
            if file < 0 {
                return said(-1, false);
            }
            let code = said(if call(file) < 0 { -1 } else { 0 }, false);
            libc::close(file);
            code
        }
    }
}

/// The error of a call, or 0.
fn said(code: i32, is_descriptor: bool) -> i32 {
    match code {
        -1 => io::Error::last_os_error().raw_os_error().unwrap_or(-1),
        descriptor if is_descriptor => {
            // SAFETY: it was opened for this.
            unsafe { libc::close(descriptor) };
            0
        }
        _ => 0,
    }
}

/// What the cases are about: files, directories, links that lead somewhere, nowhere and in a circle.
fn furnish(folder: &Path) {
    fs::create_dir(folder).expect("new");
    fs::create_dir_all(folder.join("full/inner")).expect("new");
    fs::create_dir(folder.join("empty")).expect("new");
    fs::create_dir(folder.join("other")).expect("new");
    fs::write(folder.join("file"), "bytes").expect("room");
    fs::write(folder.join("full/file"), "bytes").expect("room");
    for (link, target) in [("link", "file"), ("nowhere", "missing"), ("round", "round"), ("dirlink", "full")]
    {
        symlink(target, folder.join(link)).expect("new");
    }
}

const LONG: usize = 256;

/// The cases, each by a name: the calls in an order that the later ones rely on.
fn cases(at: &At<'_>) -> Vec<(&'static str, i32)> {
    let long = "x".repeat(LONG);
    let longest = "y".repeat(LONG - 1);
    let deep = format!("{}file", "empty/../".repeat(600));
    let mut told = Vec::new();
    let mut case = |name, code| told.push((name, code));
    use libc::{
        O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
    };
    // SAFETY: every call takes any path and any number; paths and buffers outlive their calls.
    unsafe {
        case("open missing", at.open("missing", O_RDONLY));
        case("open below a file", at.open("file/x", O_RDONLY));
        case("open below nothing", at.open("missing/x", O_CREAT | O_RDWR));
        case("open a directory for writing", at.open("full", O_WRONLY));
        case("open a directory for both", at.open("full", O_RDWR));
        case("open a directory with O_CREAT", at.open("full", O_CREAT | O_RDONLY));
        case("open a directory to cut it", at.open("full", O_RDONLY | O_TRUNC));
        case("open exclusively what is there", at.open("file", O_CREAT | O_EXCL | O_RDWR));
        case("open exclusively a link", at.open("nowhere", O_CREAT | O_EXCL | O_RDWR));
        case("open exclusively a directory", at.open("full", O_CREAT | O_EXCL | O_RDWR));
        case("open a file as a directory", at.open("file", O_DIRECTORY));
        case("open a file with a slash", at.open("file/", O_RDONLY));
        case("create a file with a slash", at.open("new/", O_CREAT | O_RDWR));
        case("open a link itself", at.open("link", O_NOFOLLOW));
        case("open a link as a place", at.open("link", O_NOFOLLOW | O_PATH));
        case("open a circle", at.open("round", O_RDONLY));
        case("open a link to nowhere", at.open("nowhere", O_RDONLY));
        case("create through a link to nowhere", at.open("nowhere", O_CREAT | O_RDWR));
        case("remove what was made so", at.one("missing", |path| libc::unlink(path)));
        case("open a name too long", at.open(&long, O_RDONLY));
        case("create a name too long", at.open(&long, O_CREAT | O_RDWR));
        case("create the longest name", at.open(&longest, O_CREAT | O_RDWR));
        case("open a path too long", at.open(&deep, O_RDONLY));
        case("open an empty path", at.open("", O_RDONLY));
        case("mkdir what is there", at.one("full", |path| libc::mkdir(path, 0o755)));
        case("mkdir over a file", at.one("file", |path| libc::mkdir(path, 0o755)));
        case("mkdir over a link", at.one("nowhere", |path| libc::mkdir(path, 0o755)));
        case("mkdir below a file", at.one("file/x", |path| libc::mkdir(path, 0o755)));
        case("mkdir below nothing", at.one("missing/x", |path| libc::mkdir(path, 0o755)));
        case("mkdir too long", at.one(&long, |path| libc::mkdir(path, 0o755)));
        case("mkdir dot", at.one(".", |path| libc::mkdir(path, 0o755)));
        case("rmdir what is full", at.one("full", |path| libc::rmdir(path)));
        case("rmdir a file", at.one("file", |path| libc::rmdir(path)));
        case("rmdir a link to a directory", at.one("dirlink", |path| libc::rmdir(path)));
        case("rmdir missing", at.one("missing", |path| libc::rmdir(path)));
        case("rmdir dot", at.one("empty/.", |path| libc::rmdir(path)));
        case("rmdir dot dot", at.one("full/inner/..", |path| libc::rmdir(path)));
        case("unlink missing", at.one("missing", |path| libc::unlink(path)));
        case("unlink a directory", at.one("empty", |path| libc::unlink(path)));
        case("unlink below a file", at.one("file/x", |path| libc::unlink(path)));
        case("unlink a file with a slash", at.one("file/", |path| libc::unlink(path)));
        case("unlink too long", at.one(&long, |path| libc::unlink(path)));
        case("rename missing", at.two("missing", "x", |from, to| libc::rename(from, to)));
        case("rename to itself", at.two("file", "file", |from, to| libc::rename(from, to)));
        case("rename into itself", at.two("full", "full/inner/x", |from, to| libc::rename(from, to)));
        case("rename a directory to itself", at.two("full", "full", |from, to| libc::rename(from, to)));
        case("rename a directory over a file", at.two("empty", "file", |from, to| libc::rename(from, to)));
        case("rename a file over a directory", at.two("file", "empty", |from, to| libc::rename(from, to)));
        case("rename over what is full", at.two("empty", "full", |from, to| libc::rename(from, to)));
        case("rename over a parent", at.two("full/inner", "full", |from, to| libc::rename(from, to)));
        case("rename below a file", at.two("file", "link/x", |from, to| libc::rename(from, to)));
        case("rename dot", at.two("empty/.", "x", |from, to| libc::rename(from, to)));
        case("rename to a name too long", at.two("file", &long, |from, to| libc::rename(from, to)));
        case("rename a file to a slash", at.two("file", "x/", |from, to| libc::rename(from, to)));
        case("rename over an empty directory", at.two("other", "empty", |from, to| libc::rename(from, to)));
        let flagged = |from, to, flags| {
            at.two(from, to, |from, to| libc::renameat2(libc::AT_FDCWD, from, libc::AT_FDCWD, to, flags))
        };
        case("rename without replacing", flagged("file", "link", libc::RENAME_NOREPLACE));
        case("exchange with nothing", flagged("file", "missing", libc::RENAME_EXCHANGE));
        case("exchange a file and a directory", flagged("file", "empty", libc::RENAME_EXCHANGE));
        case("exchange them back", flagged("file", "empty", libc::RENAME_EXCHANGE));
        case("exchange with what is inside", flagged("full", "full/inner", libc::RENAME_EXCHANGE));
        case("both flags", flagged("file", "x", libc::RENAME_EXCHANGE | libc::RENAME_NOREPLACE));
        case("a flag that nobody knows", flagged("file", "x", 1 << 20));
        let target = CString::new("t".repeat(4096)).expect("no NUL");
        case("symlink over what is there", at.one("file", |path| libc::symlink(c"x".as_ptr(), path)));
        case("symlink to an empty path", at.one("l", |path| libc::symlink(c"".as_ptr(), path)));
        case("symlink to a path too long", at.one("l", |path| libc::symlink(target.as_ptr(), path)));
        case("symlink below a file", at.one("file/l", |path| libc::symlink(c"x".as_ptr(), path)));
        let mut buffer = [0 as libc::c_char; 64];
        case(
            "readlink of a file",
            at.one("file", |path| libc::readlink(path, buffer.as_mut_ptr(), 64) as i32),
        );
        case(
            "readlink missing",
            at.one("missing", |path| libc::readlink(path, buffer.as_mut_ptr(), 64) as i32),
        );
        case("link a directory", at.two("full", "hard", |from, to| libc::link(from, to)));
        case("link over what is there", at.two("file", "link", |from, to| libc::link(from, to)));
        case("link missing", at.two("missing", "hard", |from, to| libc::link(from, to)));
        case("truncate a directory", at.one("full", |path| libc::truncate(path, 0)));
        case("truncate missing", at.one("missing", |path| libc::truncate(path, 0)));
        case("truncate to less than nothing", at.one("file", |path| libc::truncate(path, -1)));
        case("truncate below a file", at.one("file/x", |path| libc::truncate(path, 0)));
        case("truncate to more than there can be", at.one("file", |path| libc::truncate(path, i64::MAX)));
        case(
            "ftruncate what is open for reading",
            at.opened("file", O_RDONLY, |file| libc::ftruncate(file, 0).into()),
        );
        case("chmod missing", at.one("missing", |path| libc::chmod(path, 0o644)));
        case("chmod a circle", at.one("round", |path| libc::chmod(path, 0o644)));
        case("chmod below a file", at.one("file/x", |path| libc::chmod(path, 0o644)));
        case("chown missing", at.one("missing", |path| libc::chown(path, 0, 0)));
        let bad = [libc::timespec { tv_sec: 0, tv_nsec: 1_000_000_000 }; 2];
        case(
            "a time that is none",
            at.one("file", |path| libc::utimensat(libc::AT_FDCWD, path, bad.as_ptr(), 0)),
        );
        case(
            "times of nothing",
            at.one("missing", |path| libc::utimensat(libc::AT_FDCWD, path, std::ptr::null(), 0)),
        );
        case("access missing", at.one("missing", |path| libc::access(path, libc::F_OK)));
        case("access a file to run it", at.one("file", |path| libc::access(path, libc::X_OK)));
        let mut byte = [0u8; 1];
        let bytes = byte.as_mut_ptr().cast::<libc::c_void>();
        case(
            "read what is open for writing",
            at.opened("file", O_WRONLY, |file| libc::read(file, bytes, 1) as i64),
        );
        case(
            "write what is open for reading",
            at.opened("file", O_RDONLY, |file| libc::write(file, bytes, 1) as i64),
        );
        case(
            "read a directory as a file",
            at.opened("full", O_RDONLY, |file| libc::read(file, bytes, 1) as i64),
        );
        case(
            "pread before the beginning",
            at.opened("file", O_RDONLY, |file| libc::pread(file, bytes, 1, -1) as i64),
        );
        case(
            "pwrite before the beginning",
            at.opened("file", O_RDWR, |file| libc::pwrite(file, bytes, 1, -1) as i64),
        );
        case(
            "seek before the beginning",
            at.opened("file", O_RDONLY, |file| libc::lseek(file, -1, libc::SEEK_SET)),
        );
        case(
            "seek for data behind the end",
            at.opened("file", O_RDONLY, |file| libc::lseek(file, 1 << 30, libc::SEEK_DATA)),
        );
        case("fallocate nothing", at.opened("file", O_RDWR, |file| libc::fallocate(file, 0, 0, 0).into()));
        case(
            "fallocate before the beginning",
            at.opened("file", O_RDWR, |file| libc::fallocate(file, 0, -1, 5).into()),
        );
        case(
            "fallocate what is open for reading",
            at.opened("file", O_RDONLY, |file| libc::fallocate(file, 0, 0, 5).into()),
        );
        case("append", at.opened("file", O_WRONLY | O_APPEND, |file| libc::write(file, bytes, 1) as i64));
        let mut stat: libc::stat = std::mem::zeroed();
        case("stat a circle", at.one("round", |path| libc::stat(path, &mut stat)));
        case("lstat a circle", at.one("round", |path| libc::lstat(path, &mut stat)));
        case("stat a file with a slash", at.one("file/", |path| libc::stat(path, &mut stat)));
        case("link a file", at.two("file", "hard", |from, to| libc::link(from, to)));
        case("make a pipe", at.one("pipe", |path| libc::mkfifo(path, 0o644)));
        case("chdir to a file", at.one("file", |path| libc::chdir(path)));
    }
    told
}

/// Cases that a worktree answers otherwise than a disk, with what it says.
const OTHERWISE: &[(&str, i32)] = &[("link a file", libc::EPERM), ("make a pipe", libc::EPERM)];

fn compare(mount: Vec<(&'static str, i32)>, plain: Vec<(&'static str, i32)>) {
    let mut wrong = Vec::new();
    for ((name, mount), (_, plain)) in mount.into_iter().zip(plain) {
        let expected = OTHERWISE.iter().find(|(known, _)| *known == name).map_or(plain, |(_, code)| *code);
        if mount != expected {
            let text = |code| {
                if code == 0 { "success".to_owned() } else { io::Error::from_raw_os_error(code).to_string() }
            };
            wrong.push(format!("{name}: {}, not {}", text(mount), text(expected)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub fn a_worktree_refuses_what_a_disk_refuses_by_the_same_errors() -> Result<(), Missing> {
    let stage = Stage::new()?;
    let [mount, plain] = [stage.worktree("case"), stage.path("case")].map(|folder| {
        furnish(&folder);
        cases(&At(&folder))
    });
    compare(mount, plain);
    Ok(())
}

/// What permission bits keep a stranger from.
fn strange(at: &At<'_>) -> Vec<(&'static str, i32)> {
    let mut told = Vec::new();
    let mut case = |name, code| told.push((name, code));
    // SAFETY: as above.
    unsafe {
        case("read what is private", at.open("private", libc::O_RDONLY));
        case("write what may be read", at.open("file", libc::O_WRONLY));
        case("read what may be read", at.open("file", libc::O_RDONLY));
        case("cut what may be read", at.one("file", |path| libc::truncate(path, 0)));
        case("create in a directory", at.open("new", libc::O_CREAT | libc::O_RDWR));
        case("remove from a directory", at.one("file", |path| libc::unlink(path)));
        case("mkdir", at.one("new", |path| libc::mkdir(path, 0o755)));
        case("rename", at.two("file", "new", |from, to| libc::rename(from, to)));
        case("symlink", at.one("new", |path| libc::symlink(c"x".as_ptr(), path)));
        case("chmod", at.one("file", |path| libc::chmod(path, 0o777)));
        case("chown", at.one("file", |path| libc::chown(path, NOBODY, NOBODY)));
        case(
            "set a time",
            at.one("file", |path| {
                let times = [libc::timespec { tv_sec: 1, tv_nsec: 0 }; 2];
                libc::utimensat(libc::AT_FDCWD, path, times.as_ptr(), 0)
            }),
        );
        case("touch", at.one("file", |path| libc::utimensat(libc::AT_FDCWD, path, std::ptr::null(), 0)));
        case("look through a closed directory", at.open("closed/file", libc::O_RDONLY));
        case("list a closed directory", at.open("closed", libc::O_RDONLY));
        case("create in an open directory", at.open("open/new", libc::O_CREAT | libc::O_RDWR));
        case("remove another's file there", at.one("open/file", |path| libc::unlink(path)));
        case("remove another's file where one may not", at.one("sticky/file", |path| libc::unlink(path)));
        case("write what all may write", at.open("shared", libc::O_WRONLY));
        case("access", at.one("file", |path| libc::access(path, libc::W_OK)));
    }
    told
}

fn furnish_for_strangers(folder: &Path) {
    let mode = |name: &str, mode| {
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).expect("ours");
    };
    fs::create_dir(folder).expect("new");
    mode("", 0o755);
    for (dir, bits) in [("closed", 0o700), ("open", 0o777), ("sticky", 0o1777)] {
        fs::create_dir(folder.join(dir)).expect("new");
        fs::write(folder.join(dir).join("file"), "bytes").expect("room");
        mode(dir, bits);
    }
    for (file, bits) in [("file", 0o644), ("private", 0o600), ("shared", 0o666)] {
        fs::write(folder.join(file), "bytes").expect("room");
        mode(file, bits);
    }
}

pub fn a_worktree_refuses_a_stranger_what_a_disk_refuses_him() -> Result<(), Missing> {
    needs_root()?;
    let mut stage = Stage::unmounted()?;
    fs::set_permissions(stage.path(""), Permissions::from_mode(0o755)).expect("ours");
    stage.mount(&["--allow-other", "repo", "mnt"]);
    let [mount, plain] = [stage.worktree("case"), stage.path("case")].map(|folder| {
        furnish_for_strangers(&folder);
        std::thread::scope(|scope| {
            let told = scope.spawn(|| {
                become_nobody();
                strange(&At(&folder))
            });
            told.join().expect("it ends")
        })
    });
    compare(mount, plain);
    Ok(())
}
