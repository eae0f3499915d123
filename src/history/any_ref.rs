//! Any one ref, of whatever kind: where its file and its log lie.

use super::ref_name::{BranchName, TagName};
use std::path::{Path, PathBuf};

/// HEAD, a branch or a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnyRef {
    Head,
    Branch(BranchName),
    Tag(TagName),
}

impl AnyRef {
    /// The folder below `refs/` and `logs/` that holds those of its kind; HEAD lies in none.
    pub(super) fn folder(&self) -> Option<&'static str> {
        match self {
            AnyRef::Head => None,
            AnyRef::Branch(_) => Some(BranchName::FOLDER),
            AnyRef::Tag(_) => Some(TagName::FOLDER),
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        match self {
            AnyRef::Head => "HEAD",
            AnyRef::Branch(name) => name.as_str(),
            AnyRef::Tag(name) => name.as_str(),
        }
    }

    /// The folder that the files of all refs of its kind lie in.
    pub(super) fn top(&self, root: &Path) -> PathBuf {
        self.folder().map_or_else(|| root.to_owned(), |folder| root.join("refs").join(folder))
    }

    /// Its file.
    pub(super) fn path(&self, root: &Path) -> PathBuf {
        self.top(root).join(self.name())
    }
    /// Its log.
    pub(super) fn log(&self, root: &Path) -> PathBuf {
        match self {
            AnyRef::Head => root.join("logs/HEAD"),
            AnyRef::Branch(name) => root.join("logs").join(BranchName::FOLDER).join(name.escaped()),
            AnyRef::Tag(name) => root.join("logs").join(TagName::FOLDER).join(name.escaped()),
        }
    }
}
