//! The grammar of the mount's paths: which names exist at the top, how ref names become folders, how instants
//! become `by-date/` names.
//!
//! Pure: names in, names out. Knows no repository and no inode.

use crate::units::Timestamp;

/// What stands at the top of a mount that shows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Top {
    /// `HEAD`, a link to the current branch or commit.
    Head,
    /// `branches/`.
    Branches,
    /// `tags/`.
    Tags,
    /// `commits/`.
    Commits,
    /// `by-date/`.
    Dates,
    /// `worktree/`.
    Worktrees,
    /// `tensors/`.
    Tensors,
    /// `views/`.
    Views,
    /// `.coral/`.
    Control,
}

impl Top {
    /// All of them, in the order of their names.
    pub const ALL: [Top; 9] = [
        Top::Control,
        Top::Head,
        Top::Branches,
        Top::Dates,
        Top::Commits,
        Top::Tags,
        Top::Tensors,
        Top::Views,
        Top::Worktrees,
    ];

    /// The name in the root folder.
    pub const fn name(self) -> &'static str {
        match self {
            Top::Head => "HEAD",
            Top::Branches => "branches",
            Top::Tags => "tags",
            Top::Commits => "commits",
            Top::Dates => "by-date",
            Top::Worktrees => "worktree",
            Top::Tensors => "tensors",
            Top::Views => "views",
            Top::Control => ".coral",
        }
    }

    /// What has this name in the root folder.
    pub fn find(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|top| top.name().as_bytes() == name)
    }
}

/// The files in `.coral/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ControlFile {
    /// Commands are written here and their results read back.
    Ctl,
    /// The state of every worktree, for people.
    Status,
    /// The history of the current branch, for people.
    Log,
    /// The last errors that programs were told and did not cause, for people.
    Errors,
    /// Counts and sizes, for programs.
    Stats,
    /// The program's version.
    Version,
    /// The absolute path of the repository.
    Repository,
    /// The branch whose worktree the whole mount is; empty in other mounts.
    Worktree,
}

impl ControlFile {
    /// All of them, in the order of their names.
    pub const ALL: [ControlFile; 8] = [
        ControlFile::Ctl,
        ControlFile::Errors,
        ControlFile::Log,
        ControlFile::Repository,
        ControlFile::Stats,
        ControlFile::Status,
        ControlFile::Version,
        ControlFile::Worktree,
    ];

    /// The name in `.coral/`.
    pub const fn name(self) -> &'static str {
        match self {
            ControlFile::Ctl => "ctl",
            ControlFile::Errors => "errors",
            ControlFile::Status => "status",
            ControlFile::Log => "log",
            ControlFile::Stats => "stats.json",
            ControlFile::Version => "version",
            ControlFile::Repository => "repository",
            ControlFile::Worktree => "worktree",
        }
    }

    /// What has this name in `.coral/`.
    pub fn find(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name().as_bytes() == name)
    }
}

/// What a folder of refs has under one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RefChild {
    /// The ref with this whole name.
    Leaf(String),
    /// The folder of all refs whose names begin with this, which ends with `/`.
    Group(String),
}

/// The whole name of `component` in the folder of refs that begin with `prefix` (empty, or ending with `/`).
pub(super) fn ref_name(prefix: &str, component: &str) -> String {
    format!("{prefix}{component}")
}

/// The names in the folder of refs that begin with `prefix`, each with what it is, sorted.
///
/// No ref is a folder of another, so no name is both.
pub(super) fn ref_children<'a>(
    names: impl IntoIterator<Item = &'a str>,
    prefix: &str,
) -> Vec<(String, RefChild)> {
    let inside =
        names.into_iter().filter_map(|name| name.strip_prefix(prefix)).filter(|rest| !rest.is_empty());
    let mut children: Vec<_> = inside
        .map(|rest| match rest.split_once('/') {
            Some((group, _)) => (group.to_owned(), RefChild::Group(format!("{prefix}{group}/"))),
            None => (rest.to_owned(), RefChild::Leaf(format!("{prefix}{rest}"))),
        })
        .collect();
    children.sort();
    children.dedup();
    children
}

/// The folder in `by-date/` and the name in it for an instant, in UTC: `2026-11-23` and `07-31-04`.
pub(super) fn date_names(time: Timestamp) -> Option<(String, String)> {
    let instant = jiff::Timestamp::new(time.seconds, 0).ok()?;
    let at = instant.to_zoned(jiff::tz::TimeZone::UTC);
    Some((at.strftime("%Y-%m-%d").to_string(), at.strftime("%H-%M-%S").to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tops_and_control_files_are_found_by_their_sorted_names() {
        let tops: Vec<_> = Top::ALL.iter().map(|top| top.name()).collect();
        let files: Vec<_> = ControlFile::ALL.iter().map(|file| file.name()).collect();
        assert!(tops.is_sorted(), "{tops:?}");
        assert!(files.is_sorted(), "{files:?}");
        assert!(Top::ALL.into_iter().all(|top| Top::find(top.name().as_bytes()) == Some(top)));
        assert!(
            ControlFile::ALL.into_iter().all(|file| ControlFile::find(file.name().as_bytes()) == Some(file))
        );
        assert_eq!((Top::find(b"head"), ControlFile::find(b"")), (None, None));
    }

    #[test]
    fn ref_names_with_slashes_become_folders() {
        let names = ["main", "feature/x", "feature/deep/y", "features"];
        let leaf = |name: &str, whole: &str| (name.to_owned(), RefChild::Leaf(whole.to_owned()));
        let group = |name: &str, prefix: &str| (name.to_owned(), RefChild::Group(prefix.to_owned()));
        assert_eq!(
            ref_children(names, ""),
            [group("feature", "feature/"), leaf("features", "features"), leaf("main", "main")]
        );
        assert_eq!(ref_children(names, "feature/"), [group("deep", "feature/deep/"), leaf("x", "feature/x")]);
        assert_eq!(ref_children(names, "nothing/"), []);
    }

    #[test]
    fn instants_become_sortable_names() {
        let at = Timestamp { seconds: 1_795_419_064, nanoseconds: 5 };
        assert_eq!(date_names(at), Some(("2026-11-23".into(), "07-31-04".into())));
        assert_eq!(date_names(Timestamp { seconds: i64::MAX, nanoseconds: 0 }), None);
    }
}
