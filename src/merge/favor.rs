//! Whose change wins where both sides changed the same thing, or how a third is made of both.

use super::share::Mix;

/// What is done where both sides changed the same thing, each in its own way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Favor {
    /// It is a conflict.
    #[default]
    None,
    /// The first side's is taken.
    Ours,
    /// The other side's is taken.
    Theirs,
    /// What was before both is taken.
    Base,
}

impl Favor {
    /// All of them, by their numbers in an encoding.
    pub const ALL: [Self; 4] = [Self::None, Self::Ours, Self::Theirs, Self::Base];
}

/// What is done where both sides changed the same thing: tensors of numbers may be mixed; of what is not, one is favored.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Way {
    /// Whose change wins.
    pub favor: Favor,
    /// How tensors are mixed, before anybody is favored.
    pub mix: Option<Mix>,
    /// Whether texts get the lines of both, before anybody is favored.
    pub lines: bool,
    /// Whether a file is one thing, of which no parts are merged.
    pub whole: bool,
}

impl From<Favor> for Way {
    fn from(favor: Favor) -> Self {
        Self { favor, ..Self::default() }
    }
}
