//! Names and paths inside a tree: the border where text from users, kernels and disks becomes valid or is refused.

use std::fmt;

/// Longest name in bytes, the limit of Linux file systems.
pub const NAME_MAX: usize = 255;

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
}

/// One component of a path: 1 to 255 bytes without `/` and NUL, neither `.` nor `..`. Not necessarily UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

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
            _ => Ok(Self(bytes.into())),
        }
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
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
    /// [`PathError`] for `..` (which could lead out) and for names that no file can have.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let text = text.as_ref();
        let names = text.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        names.map(Name::new).collect::<Result<_, _>>().map(Self).map_err(|error| match error {
            PathError::Relative(_) => PathError::Relative(String::from_utf8_lossy(text).into_owned()),
            other => other,
        })
    }

    /// The names from the root down.
    pub fn names(&self) -> &[Name] {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path one level below.
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
}
