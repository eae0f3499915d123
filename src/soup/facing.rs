//! The tensors of one name that face each other, and reading some of their elements at once.

use crate::formula::{Elementwise, Formula, Operand, Strip};
use crate::history::Result;
use crate::id::ObjectKey;
use crate::store::{Slice, Source, StoreError};
use crate::tensor::{Dtype, widen};
use std::ops::Range;

/// The numbers of a tensor.
#[derive(Clone, Copy)]
pub struct Numbers<'a> {
    /// Their type: one that [`is_real`](crate::tensor::is_real).
    pub dtype: Dtype,
    /// Their bytes, little-endian.
    pub bytes: Slice<'a>,
    /// The object that these are, if that is known.
    pub object: Option<ObjectKey>,
}

/// The tensors of one name, of the same shape.
#[derive(Clone)]
pub struct Facing<'a> {
    /// What random numbers and errors call it.
    pub name: String,
    /// Elements along each axis.
    pub shape: Vec<u64>,
    /// What differences are counted from.
    pub base: Option<Numbers<'a>>,
    /// Those of the models, in their order.
    pub models: Vec<Numbers<'a>>,
}

impl Numbers<'_> {
    fn width(&self) -> u64 {
        self.dtype.bits() / 8
    }

    fn read(&self, elements: &Range<u64>, into: &mut Vec<u8>) -> Result<()> {
        into.resize(((elements.end - elements.start) * self.width()) as usize, 0);
        Ok(self.bytes.read_exact_at(into, elements.start * self.width()).map_err(StoreError::from)?)
    }
}

impl Facing<'_> {
    /// What a formula says of it if `each` is done to its elements and they become those of a type; `None` if it is no formula,
    /// or not known of which objects.
    pub(super) fn formula(&self, each: &Elementwise, dtype: Dtype) -> Option<Formula> {
        let operand = |numbers: &Numbers<'_>| Some(Operand { dtype: numbers.dtype, key: numbers.object? });
        let base = self.base.as_ref().map(|base| operand(base).ok_or(())).transpose().ok()?;
        let models = self.models.iter().map(operand).collect::<Option<Vec<_>>>()?;
        Formula::new(each.clone(), base, &models, dtype, self.elements())
    }

    /// How many elements each has.
    pub fn elements(&self) -> u64 {
        self.models.first().map_or(0, |numbers| numbers.bytes.len() / numbers.width())
    }

    /// Elements of a row: all axes but the first together. What has one axis or none is one row.
    pub fn row(&self) -> u64 {
        match self.shape.len() {
            0 | 1 => self.elements(),
            // Of no elements the other axes may be of any length.
            _ => self.shape[1..].iter().fold(1, |product, extent| product.saturating_mul(*extent)),
        }
    }
}

/// Some elements of all tensors that face each other: as bytes, and a strip of them as numbers. Kept from one reading to the
/// next, so that nothing is allocated anew.
#[derive(Default)]
pub(super) struct Reading {
    base: Vec<u8>,
    models: Vec<Vec<u8>>,
    from: u64,
    numbers: Vec<Vec<f64>>,
    base_numbers: Vec<f64>,
}

impl Reading {
    /// Reads elements of all tensors.
    pub(super) fn read(&mut self, facing: &Facing<'_>, elements: &Range<u64>) -> Result<()> {
        self.from = elements.start;
        self.models.resize(facing.models.len(), Vec::new());
        self.numbers.resize(facing.models.len(), Vec::new());
        if let Some(base) = &facing.base {
            base.read(elements, &mut self.base)?;
        }
        facing.models.iter().zip(&mut self.models).try_for_each(|(model, into)| model.read(elements, into))
    }

    /// Some of the elements that were read, as numbers.
    pub(super) fn strip(&mut self, facing: &Facing<'_>, elements: &Range<u64>) -> Strip<'_> {
        let (from, len) = ((elements.start - self.from) as usize, (elements.end - elements.start) as usize);
        let widened = |numbers: &Numbers<'_>, bytes: &[u8], into: &mut Vec<f64>| {
            let width = numbers.width() as usize;
            into.resize(len, 0.0);
            let is_read = widen(numbers.dtype, &bytes[from * width..(from + len) * width], into);
            debug_assert!(is_read, "only floats face each other");
        };
        if let Some(base) = &facing.base {
            widened(base, &self.base, &mut self.base_numbers);
        }
        for (number, model) in facing.models.iter().enumerate() {
            widened(model, &self.models[number], &mut self.numbers[number]);
        }
        let base = if facing.base.is_some() { &self.base_numbers[..] } else { &[] };
        Strip { at: elements.start, base, models: &self.numbers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_without_elements_has_rows_of_any_length() {
        let shape = vec![0, 1 << 40, 1 << 40];
        let facing = Facing { name: "w".into(), shape, base: None, models: Vec::new() };
        assert_eq!((facing.elements(), facing.row()), (0, u64::MAX));
    }
}
