//! What a parser says of a file.

use crate::tensor::Dtype;

/// Plain bytes up to this many become a literal; more are worth an object that other files can share.
pub const LITERAL_MAX: u64 = 1024;

/// What a parser found at one place; what lies between findings is plain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub start: u64,
    pub len: u64,
    /// `None` for plain bytes that deserve chunks of their own, as an archive's member does.
    pub tensor: Option<Tensor>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<u64>,
    pub name: String,
}
