//! What is in the way of a tensor, by its name: all of them at once.

use std::fmt;

/// A tensor that cannot be what it is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its name in the source.
    pub tensor: String,
    /// Why.
    pub why: Why,
}

/// Why a tensor cannot be what it is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Another one has the same name.
    Twice,
    /// Its name would have a NUL, is empty, or says something else to the container.
    Name,
    /// Its name is too long.
    LongName {
        /// Bytes that a name may have.
        most: usize,
    },
    /// It has too many axes.
    Axes {
        /// How many there may be.
        most: usize,
    },
    /// The container has no such type, and the numbers can be of another one.
    Number,
    /// The container has no such type.
    Type,
    /// The container has no blocks, and these can be computed.
    Block,
    /// This version cannot compute the numbers of such blocks.
    UnknownBlock,
    /// The values are the negatives or conjugates of what is stored, of a type where that is not known.
    Sign,
    /// What its file says of it does not fit its bytes.
    Damaged,
    /// Its file tells of it, but it is not whole, of a type that is not known, or no plain numbers in that file.
    PassedOver,
}

/// Everything that is in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// The kind of file that was wanted.
    pub container: &'static str,
    /// What is in the way, in the order of the source.
    pub refusals: Vec<Refusal>,
    /// The types of those tensors, in the same order.
    pub types: Vec<String>,
}

/// Tensors that are named one by one.
const NAMED: usize = 8;

impl Refused {
    fn one(&self, number: usize) -> String {
        let Refusal { tensor, why } = &self.refusals[number];
        // Names come from files, and are shown as they are written in a text.
        let tensor = tensor.escape_debug();
        let (container, dtype) = (self.container, &self.types[number]);
        match why {
            Why::Twice => format!("two tensors are called `{tensor}`"),
            Why::Name => format!("`{tensor}` is no name for a tensor in {container}"),
            Why::LongName { most } => {
                format!("the name of `{tensor}` is longer than the {most} bytes that {container} has for one")
            }
            Why::Axes { most } => format!("`{tensor}` has more than the {most} axes of {container}"),
            Why::Number | Why::Type => format!("`{tensor}` is {dtype}, which {container} does not have"),
            Why::Block => format!("`{tensor}` is blocks of {dtype}, which {container} does not have"),
            Why::UnknownBlock => {
                format!("`{tensor}` is blocks of {dtype}, whose numbers this version cannot compute")
            }
            Why::Sign => format!("`{tensor}` is negatives or conjugates of {dtype}, which are not known"),
            Why::Damaged => format!("what is said of `{tensor}` does not fit its bytes"),
            Why::PassedOver => format!(
                "`{tensor}` would be lost: it is not whole, of a type that is not known, or not stored as plain numbers"
            ),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = (0..self.refusals.len().min(NAMED)).map(|number| self.one(number)).collect();
        f.write_str(&named.join("; "))?;
        match self.refusals.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
