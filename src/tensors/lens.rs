//! How tensors are shown: as they are stored, or as the numbers that they mean.

use crate::convert::are_numbers;
use crate::recipe::TensorInfo;
use crate::tensor::Element;

/// How tensors are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lens {
    /// Their payloads, with as much of what they mean as NumPy can say of them.
    Stored,
    /// Their values as binary32 numbers in C order, computed when they are read: of floats of any width, of views, and of
    /// blocks with a rule. What has no such values is not shown.
    F32,
}

impl Lens {
    /// Whether a tensor is shown.
    pub fn shows(self, info: &TensorInfo) -> bool {
        let element = info.declared.as_ref().map_or(Element::Number(info.dtype), |declared| declared.element);
        match self {
            Lens::Stored => true,
            Lens::F32 => are_numbers(element),
        }
    }
}
