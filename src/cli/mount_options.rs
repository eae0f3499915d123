//! The options of mount(8) and fstab(5), as `coral mount -o` takes them, and what mount(8) and umount(8) say to their
//! helpers `mount.fuse.coral` and `umount.fuse.coral`, as the arguments of `coral`.
//!
//! Pure: words in, words out.

use super::error::{CommandError, Result};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The names under which mount(8) and umount(8) call this program: links to it in `/sbin`.
const MOUNT_HELPER: &str = "mount.fuse.coral";
const UMOUNT_HELPER: &str = "umount.fuse.coral";

/// Options that say nothing to a file system: mount(8) and init systems act on them, or every mount of Coral is so.
const OTHERS: [&str; 23] = [
    "_netdev",
    "async",
    "atime",
    "auto",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "group",
    "noatime",
    "noauto",
    "nodiratime",
    "nofail",
    "norelatime",
    "nostrictatime",
    "nouser",
    "owner",
    "relatime",
    "rw",
    "strictatime",
    "suid",
    "user",
    "users",
];

/// One option that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountOption {
    /// Nobody writes.
    ReadOnly,
    /// Other users see it.
    AllowOther,
    /// Nothing in it runs.
    NoExec,
    /// Nothing in it runs as somebody else.
    NoSuid,
    /// No device in it is one.
    NoDev,
    /// Show one read-only tree.
    Revision(String),
    /// Show one writable tree.
    Worktree(String),
    /// Where the log goes.
    Log(String),
    /// Whom files belong to.
    Uid(u32),
    /// And to which group.
    Gid(u32),
    /// Which permissions files do not have.
    Umask(u32),
    /// When to commit by itself.
    AutoCommit(String),
    /// Everything is read and written through the mount's process.
    NoPassthrough,
}

/// The options in a list with commas.
///
/// # Errors
/// If one means nothing here, or its value does not hold.
pub fn parse(text: &str) -> Result<Vec<MountOption>> {
    let mut options = Vec::new();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        options.push(match name {
            "ro" => MountOption::ReadOnly,
            "allow_other" => MountOption::AllowOther,
            "noexec" => MountOption::NoExec,
            "nosuid" => MountOption::NoSuid,
            "nodev" => MountOption::NoDev,
            "no_passthrough" => MountOption::NoPassthrough,
            "ref" => MountOption::Revision(value.to_owned()),
            "worktree" => MountOption::Worktree(value.to_owned()),
            "log" => MountOption::Log(value.to_owned()),
            "uid" => MountOption::Uid(number(option, value)?),
            "gid" => MountOption::Gid(number(option, value)?),
            "umask" => MountOption::Umask(permissions(value).map_err(CommandError::usage)?),
            "auto_commit" => match value {
                "" => MountOption::AutoCommit("sentinel".to_owned()),
                "off" | "sentinel" | "quiet" | "close" => MountOption::AutoCommit(value.to_owned()),
                _ => {
                    return Err(CommandError::usage(format!("`{option}` says nothing"))
                        .hint("it is off, sentinel, quiet or close"));
                }
            },
            _ if name.starts_with("x-") || name == "comment" || OTHERS.contains(&name) => continue,
            _ => {
                return Err(CommandError::usage(format!("`{option}` is no option of a mount")).hint(
                    "there are ro, allow_other, ref=, worktree=, log=, uid=, gid=, umask=, auto_commit, no_passthrough, noexec, nosuid and nodev",
                ));
            }
        });
    }
    Ok(options)
}

fn number(option: &str, value: &str) -> Result<u32> {
    value.parse().map_err(|_| CommandError::usage(format!("`{option}` is not a number")))
}

/// Permission bits, written in octal digits.
///
/// # Errors
/// What is wrong with them.
pub fn permissions(text: &str) -> std::result::Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(bits @ 0..=0o777) => Ok(bits),
        Ok(_) | Err(_) => Err(format!("`{text}` is no mask: it is three octal digits, such as 022")),
    }
}

/// The arguments as `coral` takes them, if mount(8) or umount(8) called it as its helper (`mount.fuse.coral REPO MNT
/// [-sfnv] [-o OPTIONS] [-t TYPE] [-N NAMESPACE]`, `umount.fuse.coral MNT [-flnrv] [-t TYPE] [-N NAMESPACE]`); else as
/// they are.
pub fn translated(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let called = arguments.first().and_then(|program| Path::new(program).file_name()).and_then(OsStr::to_str);
    let (verb, flag, meant): (&[&str], _, _) = match called {
        Some(MOUNT_HELPER) => (&["coral", "mount", "--quiet", "--daemon"], 'f', "--fake"),
        Some(UMOUNT_HELPER) => (&["coral", "umount", "--quiet"], 'l', "--lazy"),
        _ => return arguments,
    };
    let mut words: Vec<OsString> = verb.iter().map(OsString::from).collect();
    let mut places = Vec::new();
    let mut rest = arguments.into_iter().skip(1);
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("-o") => words.extend([argument, rest.next().unwrap_or_default()]),
            Some("-t" | "-N") => drop(rest.next()),
            // The others are to be sloppy, to write no table, to say more: nothing of it changes anything.
            Some(flags) if flags.starts_with('-') => {
                words.extend(flags.contains(flag).then(|| OsString::from(meant)));
            }
            _ => places.push(argument),
        }
    }
    words.push("--".into());
    words.extend(places);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_mount_says_to_its_helper_becomes_what_coral_takes() {
        let said = "/sbin/mount.fuse.coral /r /m -sn -o rw,_netdev,allow_other -t fuse.coral";
        let meant = "coral mount --quiet --daemon -o rw,_netdev,allow_other -- /r /m";
        assert_eq!(translated(words(said)), words(meant));
        assert_eq!(
            translated(words("mount.fuse.coral /r /m -fv")),
            words("coral mount --quiet --daemon --fake -- /r /m")
        );
        assert_eq!(translated(words("umount.fuse.coral /m -lv")), words("coral umount --quiet --lazy -- /m"));
        assert_eq!(translated(words("coral log -n 3")), words("coral log -n 3"));
    }

    #[test]
    fn options_of_fstab_are_understood_or_passed_over_or_refused() {
        let told =
            parse("defaults,nofail,x-systemd.automount,ro,allow_other,ref=v1:a=b,uid=7,umask=022,nosuid");
        let meant = [
            MountOption::ReadOnly,
            MountOption::AllowOther,
            MountOption::Revision("v1:a=b".into()),
            MountOption::Uid(7),
            MountOption::Umask(0o22),
            MountOption::NoSuid,
        ];
        assert_eq!(told.expect("valid"), meant);
        for wrong in ["dance", "auto_commit=often", "uid=ada", "umask=9", "umask=7777", "gid="] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(OTHERS.is_sorted());
    }
}
