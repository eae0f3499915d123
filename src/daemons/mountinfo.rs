//! Which Coral file systems are mounted here, as the kernel tells in `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// The file system type that Coral's mounts have.
pub const FILE_SYSTEM_TYPE: &str = "fuse.coral";

/// One mounted Coral file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// What of the file system is there: `/`, or the directory or file in it that was bound there.
    pub root: PathBuf,
    /// The repository that it shows.
    pub repository: PathBuf,
    /// The number of the device that it is: `st_dev` of everything in it.
    pub device: u64,
    /// Whether nobody writes through it.
    pub is_read_only: bool,
}

/// All Coral file systems in this process's mount namespace, in the order of mounting.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn mounted() -> io::Result<Vec<Mounted>> {
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(parse_line).collect())
}

/// The Coral file system that an absolute path lies in.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn mounted_above(path: &Path) -> io::Result<Option<Mounted>> {
    let above = mounted()?.into_iter().filter(|mounted| path.starts_with(&mounted.mount_point));
    Ok(above.max_by_key(|mounted| mounted.mount_point.components().count()))
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// To the top of a Coral file system.
    At(Mounted),
    /// To something in one, which was not looked at.
    Inside(Mounted),
    /// Elsewhere, or nowhere.
    Outside,
}

/// So many links are followed in one path, as by the kernel (path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// Where an absolute path leads, without asking a Coral file system anything: its daemon may hang. Links on the way
/// there are followed.
///
/// # Errors
/// If a link outside cannot be read, or leads in a circle.
pub fn locate(path: &Path, all: &[Mounted]) -> io::Result<Located> {
    let mut at = PathBuf::from("/");
    let mut ahead: Vec<OsString> = components(path);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        // What was mounted last covers the others.
        if let Some(mounted) = all.iter().rev().find(|mounted| mounted.mount_point == next) {
            return Ok(match ahead.is_empty() {
                true => Located::At(mounted.clone()),
                false => Located::Inside(mounted.clone()),
            });
        }
        match fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                ahead.extend(components(&target));
            }
            Err(error) => match error.kind() {
                // Not a link.
                io::ErrorKind::InvalidInput => at = next,
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => return Ok(Located::Outside),
                _ => return Err(error),
            },
        }
    }
    Ok(Located::Outside)
}

/// The names and `..` of a path, the last first.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

/// One line: six fields, any number of optional ones, `-`, then type and source.
fn parse_line(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = parse_device(fields.nth(2)?)?;
    let (root, mount_point, options) = (unescape(fields.next()?), fields.next()?, fields.next()?);
    let mut after = fields.skip_while(|field| *field != b"-").skip(1);
    (after.next()? == FILE_SYSTEM_TYPE.as_bytes()).then(|| {
        let repository = unescape(after.next()?);
        // Of this mount, or of all that shows the same.
        let of_all = after.next().unwrap_or_default();
        let is_read_only = [options, of_all].iter().any(|options| says_read_only(options));
        Some(Mounted { mount_point: unescape(mount_point), root, repository, device, is_read_only })
    })?
}

fn says_read_only(options: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|option| option == b"ro")
}

/// `major:minor`.
fn parse_device(field: &[u8]) -> Option<u64> {
    let (major, minor) = str::from_utf8(field).ok()?.split_once(':')?;
    Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after.first_chunk::<3>().and_then(octal)) {
            (b'\\', Some(code)) => {
                plain.push(code);
                rest = &after[3..];
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(plain))
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_coral_mounts_are_recognised() {
        let line =
            br"93 29 0:52 / /mnt/my\040weights rw,nosuid shared:7 - fuse.coral /home/a\134b rw,user_id=0";
        let expected = Mounted {
            mount_point: "/mnt/my weights".into(),
            root: "/".into(),
            repository: r"/home/a\b".into(),
            device: libc::makedev(0, 52),
            is_read_only: false,
        };
        assert_eq!(parse_line(line), Some(expected.clone()));
        let shut = Some(Mounted { is_read_only: true, ..expected });
        for line in [
            &br"93 29 0:52 / /mnt/my\040weights nosuid,ro - fuse.coral /home/a\134b rw,user_id=0"[..],
            br"93 29 0:52 / /mnt/my\040weights rw,nosuid - fuse.coral /home/a\134b ro,user_id=0",
        ] {
            assert_eq!(parse_line(line), shut);
        }
    }

    #[test]
    fn other_lines_are_passed_over() {
        for line in [
            &b""[..],
            b"93 29 0:52 / /proc rw - proc proc rw",
            b"1 2 3 4 5",
            b"93 29 0:52 / /x rw - fuse.coral",
        ] {
            assert_eq!(parse_line(line), None);
        }
    }

    #[test]
    fn paths_are_located_without_a_look_into_a_mount() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let mounted = Mounted {
            mount_point: top.join("mnt"),
            root: "/".into(),
            repository: "/r".into(),
            device: 7,
            is_read_only: false,
        };
        let all = std::slice::from_ref(&mounted);
        // There is nothing there: whoever looks finds that out.
        let at = |path: &str| locate(&top.join(path), all).unwrap();
        assert_eq!(at("mnt"), Located::At(mounted.clone()));
        assert_eq!(at("mnt/worktree/main"), Located::Inside(mounted.clone()));
        assert_eq!(at("other"), Located::Outside);
        fs::create_dir(top.join("d")).unwrap();
        for (link, target) in [("d/up", "../mnt"), ("d/far", "up"), ("round", "round")] {
            std::os::unix::fs::symlink(target, top.join(link)).unwrap();
        }
        std::os::unix::fs::symlink(top.join("d"), top.join("whole")).unwrap();
        assert_eq!(at("d/../mnt"), Located::At(mounted.clone()));
        assert_eq!(at("whole/far"), Located::At(mounted.clone()));
        assert_eq!(at("d/up/x"), Located::Inside(mounted.clone()));
        assert_eq!(locate(&top.join("round"), all).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
