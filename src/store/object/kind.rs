//! The kinds of objects.

/// What an object is. The discriminant is its code on disk: codes are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes of files: tensors, chunks.
    Content = 1,
    /// How one file is put together.
    Recipe = 2,
    /// One directory.
    Tree = 3,
    /// One snapshot.
    Commit = 4,
    /// How content comes of other content.
    Formula = 5,
}

/// Bytes that a recipe, a tree or a commit has at most: recipes of ten million extents, directories of a million names.
/// They are read as a whole, so this bounds the memory that anybody's bytes can ask for.
pub const METADATA_MAX: u64 = 256 << 20;

impl Kind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Kind; 5] = [Kind::Content, Kind::Recipe, Kind::Tree, Kind::Commit, Kind::Formula];

    /// The code on disk.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this code; `None` for a code that this version does not know.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}
