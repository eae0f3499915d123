//! What a branch or a tag may be called: git's rules, so that a name works in both and on every file system.

use std::fmt;

/// Longest ref name in bytes, as one file name: `/` and `%` count three. Logs and worktrees are called by it, and file
/// systems end names at 255 bytes; the rest is for what Coral appends where a name was used before.
pub const REF_NAME_MAX: usize = 220;

/// Why a text cannot be a ref name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot name a branch or tag: {rule}", name.escape_debug())]
pub struct RefNameError {
    /// What was given.
    pub name: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

/// The first rule that a name breaks.
fn broken_rule(name: &str) -> Option<&'static str> {
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let component_rule = |part: &str| match part {
        "" => Some("it has an empty part (a slash at an end, or two in a row)"),
        _ if part.starts_with('.') => Some("a part starts with a dot"),
        _ if part.ends_with(".lock") => Some("a part ends with `.lock`"),
        _ => None,
    };
    match name {
        "" => Some("it is empty"),
        "HEAD" | "@" => Some("it has a meaning of its own"),
        _ if escape(name).len() > REF_NAME_MAX => {
            Some("it is longer than 220 bytes (`/` and `%` count three)")
        }
        _ if name.starts_with('-') => Some("it starts with a dash"),
        _ if name.contains(forbidden) => Some("it has a space, a control character or one of ~^:?*[\\"),
        _ if name.contains("..") => Some("it contains `..`"),
        _ if name.contains("@{") => Some("it contains `@{`"),
        _ if name.ends_with('.') => Some("it ends with a dot"),
        _ => name.split('/').find_map(component_rule),
    }
}

macro_rules! ref_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $folder:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// `branch` or `tag`, for messages.
            pub const KIND: &'static str = $kind;
            /// The folder below `refs/` that holds them.
            pub(super) const FOLDER: &'static str = $folder;

            /// The name with this text.
            ///
            /// # Errors
            /// [`RefNameError`] names the rule that it breaks.
            pub fn new(name: impl Into<String>) -> Result<Self, RefNameError> {
                let name = name.into();
                match broken_rule(&name) {
                    None => Ok(Self(name)),
                    Some(rule) => Err(RefNameError { name, rule }),
                }
            }

            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as one file name: `%` and `/` escaped.
            pub(crate) fn escaped(&self) -> String {
                escape(&self.0)
            }

            /// The name that is written as this file name; `None` if none is.
            pub(crate) fn unescape(file_name: &str) -> Option<Self> {
                let name = Self::new(file_name.replace("%2F", "/").replace("%25", "%")).ok()?;
                (name.escaped() == file_name).then_some(name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

ref_name!(
    /// The name of a branch.
    BranchName, "branch", "heads"
);
ref_name!(
    /// The name of a tag.
    TagName, "tag", "tags"
);

fn escape(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_refuses_are_refused() {
        let bad = [
            "",
            "@",
            "HEAD",
            "../x",
            "x.lock",
            "a/b.lock/c",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a\x07",
            "a\n",
            "-d",
            "a.",
            "a@{1}",
        ];
        for name in bad {
            assert!(BranchName::new(name).is_err(), "{name:?} was accepted");
        }
        assert!(TagName::new("x".repeat(REF_NAME_MAX + 1)).is_err());
    }

    #[test]
    fn names_that_people_use_are_accepted() {
        for name in ["main", "feature/x", "run=3,lr=1e-4", "v1.0", "größe", "a@b", "x%2Fy"] {
            assert_eq!(BranchName::new(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn escaped_names_are_distinct_file_names() {
        let escaped = |name| BranchName::new(name).expect("valid").escaped();
        assert_eq!(escaped("x/y"), "x%2Fy");
        assert_eq!(escaped("x%2Fy"), "x%252Fy");
        for name in ["x/y", "x%2Fy", "%", "%25", "a/b%/c"] {
            assert_eq!(BranchName::unescape(&escaped(name)).map(|name| name.to_string()), Some(name.into()));
        }
        for stranger in ["x/y", "%2f", "100%", ".hidden", "x.lock", "%41"] {
            assert_eq!(BranchName::unescape(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn the_longest_name_is_that_of_a_file() {
        let fits =
            |name: String| BranchName::new(name).is_ok_and(|name| name.escaped().len() <= REF_NAME_MAX);
        assert!(fits("x".repeat(REF_NAME_MAX)));
        assert!(fits(format!("{}/{}", "x".repeat(100), "y".repeat(REF_NAME_MAX - 103))));
        assert!(!fits(format!("{}/{}", "x".repeat(100), "y".repeat(REF_NAME_MAX - 102))));
        assert!(fits("%".repeat(REF_NAME_MAX / 3)));
        assert!(!fits("%".repeat(REF_NAME_MAX / 3 + 1)));
    }
}
