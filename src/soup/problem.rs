//! Why models cannot be made one: each tensor by its name, all of them at once.

use crate::tensor::Dtype;
use std::fmt;

/// What is in the way of one tensor. Models are numbered from 0; none of them is the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A model has no tensor of the name.
    Missing {
        /// The tensor.
        tensor: String,
        /// The model.
        model: Option<usize>,
    },
    /// Only this model has it.
    Extra {
        /// The tensor.
        tensor: String,
        /// The model.
        model: usize,
    },
    /// Models have it in different shapes.
    Shape {
        /// The tensor.
        tensor: String,
        /// That of the first model.
        shape: Vec<u64>,
        /// That of another one.
        other: Vec<u64>,
        /// Which.
        model: Option<usize>,
    },
    /// It lies in memory otherwise than in the first model: transposed, in Fortran's order, as conjugates or as negatives.
    Order {
        /// The tensor.
        tensor: String,
        /// The model.
        model: Option<usize>,
    },
    /// It differs, and has no numbers that could be mixed.
    NoFloats {
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: Dtype,
    },
    /// Another tensor says what its bytes mean.
    Scaled {
        /// The tensor.
        tensor: String,
    },
    /// A model has no such layer.
    NoLayer {
        /// The model.
        model: usize,
        /// The layer.
        layer: u64,
    },
}

/// Everything that is in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Trouble(pub Vec<Problem>);

/// Tensors that are named one by one.
const NAMED: usize = 8;

fn who(model: Option<usize>) -> String {
    model.map_or("the base".into(), |model| format!("model {}", model + 1))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing { tensor, model } => write!(f, "{} has no `{tensor}`", who(*model)),
            Problem::Extra { tensor, model } => {
                write!(f, "{} has `{tensor}`, and model 1 has not", who(Some(*model)))
            }
            Problem::Shape { tensor, shape, other, model } => {
                write!(f, "`{tensor}` is {shape:?} in model 1 and {other:?} in {}", who(*model))
            }
            Problem::Order { tensor, model } => {
                write!(
                    f,
                    "the elements of `{tensor}` lie in another order in {} than in model 1",
                    who(*model)
                )
            }
            Problem::NoFloats { tensor, dtype } => {
                write!(f, "`{tensor}` differs, and {} is no type whose numbers are mixed", dtype.name())
            }
            Problem::Scaled { tensor } => write!(f, "`{tensor}` is quantised: its scales are another tensor"),
            Problem::NoLayer { model, layer } => write!(f, "{} has no layer {layer}", who(Some(*model))),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self.0.iter().take(NAMED).map(Problem::to_string).collect();
        write!(f, "{}", named.join("; "))?;
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl Trouble {
    pub(super) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// This, or what there is if nothing is in the way.
    pub(super) fn or<T>(self, what: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(what) } else { Err(self) }
    }
}
