//! What somebody may say of a path once and for all: how it is merged where both sides changed it.

use super::favor::{Favor, Way};
use super::share::Mix;

/// How what both sides changed of a path is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeWord {
    /// As everything is, or as the merge was asked to.
    Usual,
    /// The first side's is kept.
    Ours,
    /// The other side's is taken.
    Theirs,
    /// Texts have the lines of both, the first side's first.
    Union,
    /// Tensors are the mean of both.
    Average,
    /// A file is one thing, of which no parts are merged.
    Binary,
    /// Nothing is merged at all, wherever else.
    Fail,
}

impl MergeWord {
    /// All that are said by a name.
    pub const NAMED: [Self; 6] =
        [Self::Ours, Self::Theirs, Self::Union, Self::Average, Self::Binary, Self::Fail];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::Union => "union",
            Self::Average => "average",
            Self::Binary => "binary",
            Self::Fail => "fail",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|word| word.name() == name)
    }

    /// What becomes of what was asked for a whole merge, at a path of which this is said.
    pub fn upon(self, asked: Way) -> Way {
        match self {
            Self::Usual => asked,
            Self::Ours => Favor::Ours.into(),
            Self::Theirs => Favor::Theirs.into(),
            Self::Union => Way { lines: true, ..asked },
            Self::Average => Way { mix: Some(Mix::Average), ..asked },
            Self::Binary => Way { whole: true, ..asked },
            Self::Fail => Way::default(),
        }
    }
}
