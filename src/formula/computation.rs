//! What a record of how content comes of other content says, of either sort.

use super::formula::Formula;
use super::mosaic::Mosaic;
use crate::id::ObjectKey;
use crate::wire::WireError;

/// How content comes of other content.
#[derive(Debug, Clone, PartialEq)]
pub enum Computation {
    /// Element by element.
    Formula(Formula),
    /// Of pieces that lie anywhere.
    Mosaic(Mosaic),
}

impl Computation {
    /// What a record says.
    ///
    /// # Errors
    /// If it is none, or what it says does not fit together.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        match Mosaic::is_record(bytes) {
            true => Mosaic::decode(bytes).map(Self::Mosaic),
            false => Formula::decode(bytes).map(Self::Formula),
        }
    }

    /// The objects that it is about, with repetitions.
    pub fn keys(&self) -> Vec<ObjectKey> {
        match self {
            Self::Formula(formula) => formula.operands().iter().map(|operand| operand.key).collect(),
            Self::Mosaic(mosaic) => mosaic.pieces().iter().map(|piece| piece.key).collect(),
        }
    }
}
