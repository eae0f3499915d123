//! Which changes of paths are meant, by how each path changed: git's letters.

use crate::compare::FileChange;
use crate::history::ChangeKind;

/// The letters, in the order of the bits that leave them out.
const LETTERS: [char; 5] = ['A', 'D', 'M', 'R', 'T'];

/// Which changes are meant; all, if nothing was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeKinds {
    left_out: u8,
}

impl ChangeKinds {
    /// What letters mean: `AM` what was added or modified, `d` everything but what was deleted. `None` for what is no letter.
    pub fn parse(letters: &str) -> Option<Self> {
        let bit = |letter: char| LETTERS.iter().position(|known| *known == letter).map(|at| 1_u8 << at);
        let (mut wanted, mut left_out) = (0, 0);
        for letter in letters.chars() {
            match letter.is_ascii_lowercase() {
                true => left_out |= bit(letter.to_ascii_uppercase())?,
                false => wanted |= bit(letter)?,
            }
        }
        let others = if wanted == 0 { 0 } else { !wanted };
        Some(Self { left_out: left_out | others })
    }

    /// Whether all are meant.
    pub fn is_all(self) -> bool {
        self.left_out == 0
    }

    /// Whether a change is meant.
    pub fn takes(self, file: &FileChange) -> bool {
        match &file.from {
            Some(_) => self.has('R'),
            None => self.takes_kind(file.change.kind),
        }
    }

    /// Whether changes of a kind are meant, where nobody looks for renamed files.
    pub fn takes_kind(self, kind: ChangeKind) -> bool {
        self.has(kind.letter())
    }

    fn has(self, letter: char) -> bool {
        let at = LETTERS.iter().position(|known| *known == letter);
        at.is_none_or(|at| self.left_out & (1 << at) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_mean_changes_and_small_ones_leave_them_out() {
        let taken = |letters: &str| {
            let kinds = ChangeKinds::parse(letters).expect("letters");
            LETTERS.iter().filter(|letter| kinds.has(**letter)).collect::<String>()
        };
        assert_eq!(
            [taken(""), taken("A"), taken("AM"), taken("d"), taken("AMm")],
            ["ADMRT", "A", "AM", "AMRT", "A"]
        );
        assert_eq!((ChangeKinds::parse("X"), ChangeKinds::parse("é")), (None, None));
    }
}
