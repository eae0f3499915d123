//! What a method is asked for a tensor, and what it says.

use crate::formula::Consensus;
use crate::soup::kernel::Kernel;
use crate::soup::method::Method;
use crate::soup::parameters::{Rescale, Settings};

/// What a method is asked for one tensor.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: Method,
    /// Its parameters.
    pub settings: &'a Settings,
    /// What its random numbers come from.
    pub seed: u64,
    /// How what is left of differences is scaled up.
    pub rescale: Rescale,
    /// How signs are elected.
    pub consensus: Consensus,
    /// Whether a number that is to lie between 0 and 1 is kept there.
    pub clamp: bool,
}

/// What is done to each element of a tensor, and what is to be told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// What is done.
    pub kernel: Kernel,
    /// What is remarkable about it.
    pub remark: Option<Remark>,
}

/// What is remarkable about how a tensor is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Remark {
    /// Both models point the same way, or exactly the other: the arc between them is a line.
    Line,
    /// Models are so far apart that the result lies beyond the base or the mean.
    Beyond(f64),
}

impl<K: Into<Kernel>> From<K> for Prepared {
    fn from(kernel: K) -> Self {
        Self { kernel: kernel.into(), remark: None }
    }
}
