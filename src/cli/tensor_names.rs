//! Tensors that are named on the command line.

use super::error::CommandError;
use super::quote;
use crate::history::TreePath;

/// That no tensor of a file is meant.
pub fn no_tensor(pattern: &str, file: &TreePath) -> CommandError {
    CommandError::new(format!("`{}` has no tensor `{}`", quote::path(file), quote::text(pattern)))
        .hint("`coral show REF:PATH` lists its tensors")
}
