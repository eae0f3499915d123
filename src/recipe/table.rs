//! The tensors of a file, told of apart from the bytes: several may share some, as tied ones and views do.

use crate::tensor::{Declared, Dtype};

/// What a file says of a tensor in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in the file.
    pub name: String,
    /// The type of the elements that its payload consists of.
    pub dtype: Dtype,
    /// Elements along each axis as they lie in the payload, slowest first: `dtype.byte_len(&shape)` is its length.
    pub shape: Vec<u64>,
    /// What the container means by it, where that is something else.
    pub declared: Option<Box<Declared>>,
}

impl TensorInfo {
    /// A tensor that is to its container what its payload is.
    pub fn plain(name: impl Into<String>, dtype: Dtype, shape: Vec<u64>) -> Self {
        Self { name: name.into(), dtype, shape, declared: None }
    }

    /// Whether the elements of another one mean the same places: of the same shape, in the same order in memory, and told of in
    /// the same way. Where they do not, element by element they have nothing to do with each other.
    pub fn lies_like(&self, other: &Self) -> bool {
        fn view(info: &TensorInfo) -> (Option<&[u64]>, bool, bool) {
            let declared = info.declared.as_deref();
            let is = |flag: fn(&Declared) -> bool| declared.is_some_and(flag);
            let strides = declared.and_then(|declared| declared.strides.as_deref());
            (strides, is(|declared| declared.conjugate), is(|declared| declared.negative))
        }
        self.shape == other.shape && self.shown_shape() == other.shown_shape() && view(self) == view(other)
    }

    /// The shape that the container gives it.
    pub fn shown_shape(&self) -> &[u64] {
        self.declared.as_ref().map_or(&self.shape, |declared| &declared.shape)
    }

    /// The name of the element type that the container gives it.
    pub fn shown_dtype(&self) -> String {
        self.declared
            .as_ref()
            .map_or_else(|| self.dtype.name().to_owned(), |declared| declared.element.name())
    }
}

/// Where the payload of a tensor lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the extent of this number, a whole object.
    Extent(usize),
    /// It is these bytes of the file, which may be some of one extent, or of several.
    Range {
        /// Where in the file it begins.
        start: u64,
        /// How many bytes it has.
        len: u64,
    },
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// What it is.
    pub info: TensorInfo,
    /// Where it lies.
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Element;

    #[test]
    fn a_matrix_lies_unlike_the_memory_of_its_transpose() {
        let plain = TensorInfo::plain("w", Dtype::F32, vec![2, 2]);
        let with = |change: fn(&mut Declared)| {
            let mut declared = Declared::plain(Element::Number(Dtype::F32), vec![2, 2]);
            change(&mut declared);
            TensorInfo { declared: Some(Box::new(declared)), ..plain.clone() }
        };
        let transposed = with(|declared| declared.strides = Some(vec![1, 2]));
        assert!(plain.lies_like(&TensorInfo::plain("v", Dtype::F16, vec![2, 2])));
        assert!(transposed.lies_like(&transposed));
        assert!(!plain.lies_like(&transposed));
        assert!(!plain.lies_like(&with(|declared| declared.negative = true)));
        assert!(!plain.lies_like(&with(|declared| declared.conjugate = true)));
        assert!(!plain.lies_like(&with(|declared| declared.shape = vec![4])));
    }
}
