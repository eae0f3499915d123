//! Whose change wins where both sides changed the same thing. Ways to make a third of both come in here.

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
