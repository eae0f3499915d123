//! How much each side has in what is made of both.

use crate::formula::Weighted;

/// How much of the first side is in a tensor that both changed: the rest is the other one's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// The mean of both.
    Average,
    /// So much of the first side.
    Weighted(f64),
}

impl From<Mix> for Weighted {
    fn from(mix: Mix) -> Self {
        match mix {
            Mix::Average => Self { weights: vec![1.0, 1.0], divisor: Some(2.0) },
            Mix::Weighted(alpha) => Self { weights: vec![alpha, 1.0 - alpha], divisor: None },
        }
    }
}
