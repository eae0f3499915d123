//! Names and paths inside a tree: the border where text from users, kernels and disks becomes valid or is refused.
//!
//! A name has at most 255 bytes, and is none that some file system takes for a repository's own folder. A path that
//! comes from outside has at most 1,000 names and 65,535 bytes. Trees that were made elsewhere may be deeper: who walks
//! them needs no more than memory, but nothing new is made there.

use std::fmt;
use std::sync::Arc;

/// Longest name in bytes, the limit of Linux file systems.
pub const NAME_MAX: usize = 255;

/// Most names in a path. Deeper than what any program was seen to make, and within what `rm -r` and `tar` can handle.
pub const DEPTH_MAX: usize = 1_000;

/// Longest path in bytes: 16 times what one system call takes, and short enough that the records that name one stay
/// small.
pub const PATH_MAX: usize = 65_535;

/// The folder of a repository inside the folder that it is for. No tree has it: a commit that had it would be a
/// repository of its own to whoever runs a command inside a view of it.
const RESERVED: &str = ".coral";

/// What file systems that shorten names to eight characters call it, before the digit.
const RESERVED_SHORT: &str = "coral~";

/// Why bytes are not a name or a path inside a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is empty, `.` or `..`.
    #[error("`{0}` has an empty, `.` or `..` component")]
    Relative(String),
    /// A component is longer than [`NAME_MAX`].
    #[error("`{0}` has a component longer than 255 bytes")]
    TooLong(String),
    /// A component has a `/` or a NUL byte.
    #[error("`{0}` has a NUL byte or a slash in a name")]
    Byte(String),
    /// A component is `.coral`, or is to some file system.
    #[error("`{0}` is the name of a repository's own folder")]
    Reserved(String),
    /// More names than [`DEPTH_MAX`].
    #[error("a path of {0} names is too deep: the limit is 1000")]
    TooDeep(usize),
    /// More bytes than [`PATH_MAX`].
    #[error("a path of {0} bytes is too long: the limit is 65535")]
    PathTooLong(usize),
}

/// One component of a path: 1 to 255 bytes without `/` and NUL, neither `.` nor `..`, and not the name of a repository's
/// own folder in any spelling. Not necessarily UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// The name with these bytes.
    ///
    /// # Errors
    /// [`PathError`] if no file can have it.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        let shown = || String::from_utf8_lossy(bytes).into_owned();
        match bytes {
            b"" | b"." | b".." => Err(PathError::Relative(shown())),
            _ if bytes.len() > NAME_MAX => Err(PathError::TooLong(shown())),
            _ if bytes.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(PathError::Byte(shown())),
            _ if is_reserved(bytes) => Err(PathError::Reserved(shown())),
            _ => Ok(Self(bytes.into())),
        }
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether some file system takes a name for [`RESERVED`]: HFS+ and APFS ignore case and some characters, NTFS ignores
/// case, dots and spaces at the end and what follows a colon, splits at backslashes, and has short names. The same rules as
/// git's for `.git` (`is_hfs_dotgit`, `is_ntfs_dotgit`).
fn is_reserved(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'\\').any(|part| {
        // Nearly every name ends here.
        let starts_like_it = !matches!(part.first(), None | Some(b'a'..=b'b' | b'd'..=b'z' | b'0'..=b'9'));
        starts_like_it && std::str::from_utf8(part).is_ok_and(is_reserved_text)
    })
}

fn is_reserved_text(name: &str) -> bool {
    let visible: String = name.chars().filter(|c| !is_ignored(*c)).collect();
    let whole = visible.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    let whole = whole.to_ascii_lowercase();
    let is_short = |digit: &str| matches!(digit.as_bytes(), [b'1'..=b'9']);
    whole == RESERVED || whole.strip_prefix(RESERVED_SHORT).is_some_and(is_short)
}

/// The characters that HFS+ ignores in names (Apple's TN1150, as git lists them), and others that take no place where they are
/// shown.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// A path from the root of a tree: names joined by `/`; the root itself is the empty path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(Vec<Name>);

impl TreePath {
    /// The root of a tree.
    pub const ROOT: TreePath = TreePath(Vec::new());

    /// The path that a text means. Leading and trailing slashes and `./` are dropped.
    ///
    /// # Errors
    /// [`PathError`] for `..` (which could lead out), for names that no file can have, and beyond the limits.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let text = text.as_ref();
        let names = text.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        let path = names.map(Name::new).collect::<Result<_, _>>().map(Self).map_err(|error| match error {
            PathError::Relative(_) => PathError::Relative(String::from_utf8_lossy(text).into_owned()),
            other => other,
        })?;
        path.check()?;
        Ok(path)
    }

    /// Whether something may be made at this path.
    ///
    /// # Errors
    /// [`PathError::TooDeep`] or [`PathError::PathTooLong`].
    pub fn check(&self) -> Result<(), PathError> {
        let len = self.0.iter().map(|name| name.0.len() + 1).sum::<usize>().saturating_sub(1);
        Self::check_size(self.0.len(), len)
    }

    /// Whether something may be made at a path of so many names and bytes.
    ///
    /// # Errors
    /// As [`TreePath::check`].
    pub(crate) fn check_size(names: usize, bytes: usize) -> Result<(), PathError> {
        match names {
            _ if names > DEPTH_MAX => Err(PathError::TooDeep(names)),
            _ if bytes > PATH_MAX => Err(PathError::PathTooLong(bytes)),
            _ => Ok(()),
        }
    }

    /// The names from the root down.
    pub fn names(&self) -> &[Name] {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of something new one level below.
    ///
    /// # Errors
    /// As [`TreePath::check`].
    pub fn child(&self, name: Name) -> Result<Self, PathError> {
        let path = self.join(name);
        path.check()?;
        Ok(path)
    }

    /// Goes one level down.
    pub fn push(&mut self, name: Name) {
        self.0.push(name);
    }

    /// Goes one level up; nothing happens at the root.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// The path of something that exists one level below: it may be deeper than anything new.
    pub fn join(&self, name: Name) -> Self {
        let mut names = self.0.clone();
        names.push(name);
        Self(names)
    }

    /// This path followed by another.
    pub fn concat(&self, rest: &TreePath) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The directory and the last name; `None` for the root.
    pub fn split_last(&self) -> Option<(TreePath, &Name)> {
        let (last, parents) = self.0.split_last()?;
        Some((Self(parents.to_vec()), last))
    }

    /// The directories above it, from the top on, but for the top itself.
    pub fn above(&self) -> impl DoubleEndedIterator<Item = TreePath> + use<'_> {
        (1..self.0.len()).map(|len| Self(self.0[..len].to_vec()))
    }

    /// Whether it is `other` or lies below it.
    pub fn starts_with(&self, other: &TreePath) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The path as bytes, names joined by `/`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().map(Name::as_bytes).collect::<Vec<_>>().join(&b'/')
    }
}

impl FromIterator<Name> for TreePath {
    fn from_iter<I: IntoIterator<Item = Name>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_names_between_slashes() {
        let path = TreePath::parse("/run-1//./model.safetensors/").expect("valid");
        assert_eq!(path.to_string(), "run-1/model.safetensors");
        assert_eq!(
            path.split_last().map(|(dir, name)| (dir.to_string(), name.to_string())).unwrap().0,
            "run-1"
        );
        assert!(TreePath::parse("").expect("root").is_root());
    }

    #[test]
    fn paths_that_lead_out_or_cannot_exist_are_refused() {
        assert!(matches!(TreePath::parse("a/../b"), Err(PathError::Relative(_))));
        assert!(matches!(TreePath::parse("a\0b"), Err(PathError::Byte(_))));
        assert!(matches!(TreePath::parse("x".repeat(256)), Err(PathError::TooLong(_))));
    }

    #[test]
    fn paths_end_at_a_depth_and_a_length() {
        let deep = |names| vec!["x"; names].join("/");
        let deepest = TreePath::parse(deep(DEPTH_MAX)).expect("within the limit");
        assert_eq!(TreePath::parse(deep(DEPTH_MAX + 1)), Err(PathError::TooDeep(DEPTH_MAX + 1)));
        let name = Name::new("x").expect("valid");
        assert_eq!(deepest.child(name.clone()), Err(PathError::TooDeep(DEPTH_MAX + 1)));
        assert_eq!(deepest.join(name).names().len(), DEPTH_MAX + 1);
        // 256 names of 255 bytes and the slashes between them are 65,535 bytes.
        let long = |last: usize| [vec!["y".repeat(255); 255], vec!["z".repeat(last)]].concat().join("/");
        assert_eq!(TreePath::parse(long(255)).map(|path| path.to_bytes().len()), Ok(PATH_MAX));
        let longer = format!("{}/a", long(255));
        assert_eq!(TreePath::parse(longer), Err(PathError::PathTooLong(PATH_MAX + 2)));
    }

    #[test]
    fn a_repository_s_own_folder_is_no_name_in_any_spelling() {
        let reserved = [
            ".coral",
            ".CORAL",
            ".Coral",
            ".coral.",
            ".coral ",
            ".coral. . .",
            ".coral:stream",
            ".coral::$INDEX_ALLOCATION",
            ".coral . :x",
            "CORAL~1",
            "coral~1",
            "Coral~9",
            "coral~1 .",
            ".co\u{200c}ral",
            ".co\u{200b}ral",
            ".coral\u{2060}",
            ".c\u{ad}oral",
            "\u{feff}.coral",
            ".coral\u{206f}",
            ".\u{202e}C\u{200d}ORAL. ",
            "x\\.coral",
            ".coral\\HEAD",
            "a\\coral~1\\b",
        ];
        for name in reserved {
            assert_eq!(Name::new(name), Err(PathError::Reserved(name.to_owned())), "{name:?}");
            for path in [name.to_owned(), format!("a/{name}/b"), format!("a/b/{name}")] {
                assert!(matches!(TreePath::parse(&path), Err(PathError::Reserved(_))), "{path:?}");
            }
        }
        let free = [
            "coral",
            ".corals",
            ".coral1",
            "..coral",
            " .coral",
            "a.coral",
            ".cora",
            ".coralignore",
            ".coral~1",
            "coral~",
            "coral~0",
            "coral~10",
            "coral~x",
            "CORAL~1.txt",
            ".co\u{301}ral",
            ".coral\u{301}",
            "c",
            "-",
            "ſcoral",
        ];
        for name in free {
            assert!(Name::new(name).is_ok(), "{name:?}");
        }
        assert!(Name::new(b".cor\xffal").is_ok());
        assert!(Name::new(b".coral\xff").is_ok());
    }
}
