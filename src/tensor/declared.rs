//! What a container says of a tensor whose payload is not simply its elements in C order.
//!
//! A payload is always told of as what it is in memory: little-endian elements, or bytes, slowest axis first. That is
//! true of every one and is what codecs and arithmetic go by. Where the container means something else by these
//! bytes, it is said here, for those who show tensors.

use super::{Block, Dtype};

/// An element as a container means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// A number of the payload's own byte order.
    Number(Dtype),
    /// A number whose first byte is the highest.
    BigEndian(Dtype),
    /// One of those that a block holds.
    Block(Block),
}

impl Element {
    /// What it is called: `F32`, `F32 (big-endian)`, `Q8_0`.
    pub fn name(self) -> String {
        match self {
            Element::Number(dtype) => dtype.name().to_owned(),
            Element::BigEndian(dtype) => format!("{} (big-endian)", dtype.name()),
            Element::Block(block) => {
                block.name().map_or_else(|| format!("GGML_TYPE_{}", block.0), str::to_owned)
            }
        }
    }
}

/// What a tensor is to its container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Declared {
    /// Its elements.
    pub element: Element,
    /// Elements along each axis, as the container orders them.
    pub shape: Vec<u64>,
    /// From one element along each axis to the next, in elements; `None` for C order.
    pub strides: Option<Vec<u64>>,
    /// Its values are the complex conjugates of what is stored.
    pub conjugate: bool,
    /// Its values are the negatives of what is stored.
    pub negative: bool,
}

impl Declared {
    /// Elements of this shape in C order.
    pub fn plain(element: Element, shape: Vec<u64>) -> Self {
        Self { element, shape, strides: None, conjugate: false, negative: false }
    }

    /// Whether the first axis is the fastest one, as in Fortran and in a transposed matrix.
    pub fn is_fortran(&self) -> bool {
        let Some(strides) = &self.strides else { return false };
        let mut expected = Some(1u64);
        strides.len() == self.shape.len()
            && strides.iter().zip(&self.shape).all(|(&stride, &extent)| {
                let is_it = extent == 1 || expected == Some(stride);
                expected = expected.and_then(|expected| expected.checked_mul(extent));
                is_it
            })
    }
}

/// The strides of a tensor of this shape in C order; `None` if it has more elements than can be counted.
pub fn c_strides(shape: &[u64]) -> Option<Vec<u64>> {
    let mut strides = vec![1u64; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].checked_mul(shape[axis].max(1))?;
    }
    Some(strides)
}

/// The axes of a tensor from the slowest to the fastest, if its elements lie without gap or repetition.
pub fn memory_order(shape: &[u64], strides: &[u64]) -> Option<Vec<usize>> {
    if shape.len() != strides.len() {
        return None;
    }
    let mut axes: Vec<usize> = (0..shape.len()).collect();
    axes.sort_by_key(|&axis| (std::cmp::Reverse(strides[axis]), axis));
    let mut expected = Some(1u64);
    for &axis in axes.iter().rev().filter(|&&axis| shape[axis] != 1) {
        if expected != Some(strides[axis]) {
            return None;
        }
        expected = strides[axis].checked_mul(shape[axis]);
    }
    Some(axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_axes_are_told_from_gaps_and_repetitions() {
        assert_eq!(c_strides(&[2, 3, 4]), Some(vec![12, 4, 1]));
        assert_eq!(memory_order(&[2, 3, 4], &[12, 4, 1]), Some(vec![0, 1, 2]));
        assert_eq!(memory_order(&[3, 2], &[1, 3]), Some(vec![1, 0]));
        assert_eq!(memory_order(&[3, 1, 2], &[1, 7, 3]), Some(vec![1, 2, 0]));
        assert_eq!(memory_order(&[3, 2], &[1, 4]), None);
        assert_eq!(memory_order(&[3, 2], &[0, 1]), None);
        assert_eq!(memory_order(&[3, 2], &[1]), None);
        assert_eq!(memory_order(&[], &[]), Some(vec![]));
        assert_eq!(memory_order(&[u64::MAX, 2], &[1, u64::MAX]), Some(vec![1, 0]));
        assert_eq!(c_strides(&[2, u64::MAX, 2]), None);
    }

    #[test]
    fn fortran_order_is_known() {
        let with = |strides: &[u64]| Declared {
            strides: Some(strides.to_vec()),
            ..Declared::plain(Element::Number(Dtype::F32), vec![2, 3])
        };
        assert!(with(&[1, 2]).is_fortran());
        assert!(!with(&[3, 1]).is_fortran() && !with(&[1]).is_fortran());
        assert!(!Declared::plain(Element::Number(Dtype::F32), vec![2, 3]).is_fortran());
        assert_eq!(Element::Block(Block(8)).name(), "Q8_0");
        assert_eq!(Element::BigEndian(Dtype::F32).name(), "F32 (big-endian)");
    }
}
