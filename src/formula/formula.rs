//! A formula: what is done to each element, of which objects, and of what type the result is.

use super::elementwise::Elementwise;
use super::strip::Strip;
use crate::id::ObjectKey;
use crate::tensor::{Dtype, is_real, narrow, widen};

/// An object that a formula is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// The type of its elements: one that [`is_real`].
    pub dtype: Dtype,
    /// Which object.
    pub key: ObjectKey,
}

/// How an object comes of others that have as many elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    /// What is done to each element.
    pub(super) each: Elementwise,
    /// Whether the first operand is what differences are counted from.
    pub(super) has_base: bool,
    pub(super) operands: Vec<Operand>,
    pub(super) dtype: Dtype,
    pub(super) elements: u64,
}

/// Operands that a formula has at most: each is read with the result.
pub const OPERANDS_MAX: usize = 16;

/// Numbers between bytes and bytes, kept from one use to the next.
#[derive(Debug, Default)]
pub struct Numbers {
    base: Vec<f64>,
    models: Vec<Vec<f64>>,
    out: Vec<f64>,
}

/// Elements that are computed at once: what stays in the nearest cache.
const STRIP: usize = 1024;

impl Formula {
    /// The formula of so many elements of a type, if it is one that can be kept: every element is made by itself, of no more
    /// than [`OPERANDS_MAX`] operands, and all of them are floats.
    pub fn new(
        each: Elementwise,
        base: Option<Operand>,
        models: &[Operand],
        dtype: Dtype,
        elements: u64,
    ) -> Option<Self> {
        let operands = base.iter().chain(models).copied().collect();
        Self { each, has_base: base.is_some(), operands, dtype, elements }.sound()
    }

    /// The formula, if all that it says fits together.
    pub(super) fn sound(self) -> Option<Self> {
        let models = self.operands.len().checked_sub(usize::from(self.has_base))?;
        let fits = (1..=OPERANDS_MAX).contains(&self.operands.len())
            && self.each.takes(models, self.has_base)
            && is_real(self.dtype)
            && self.operands.iter().all(|operand| is_real(operand.dtype))
            // What is beside an element of 8 bytes can be told in bytes.
            && self.elements <= u64::MAX / 8;
        fits.then_some(self)
    }

    /// What it is about, the base first if there is one.
    pub fn operands(&self) -> &[Operand] {
        &self.operands
    }

    /// The type of the result.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// How many elements the result has, and each operand.
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// Bytes of so many elements of a type that formulas are about.
    pub fn bytes_of(dtype: Dtype, elements: u64) -> u64 {
        elements * (dtype.bits() / 8)
    }

    /// Bytes of the result.
    pub fn len(&self) -> u64 {
        Self::bytes_of(self.dtype, self.elements)
    }

    /// Whether the result has no elements.
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// Makes the elements of the result from number `at` on: `out` is filled from `operands`, which have the bytes of the
    /// elements that face them, one after the other, each as many.
    ///
    /// # Panics
    /// If the lengths do not fit together.
    pub fn fill(&self, at: u64, operands: &[u8], numbers: &mut Numbers, out: &mut [u8]) {
        let width = (self.dtype.bits() / 8) as usize;
        let elements = out.len() / width;
        let Numbers { base, models, out: made } = numbers;
        models.resize(self.operands.len() - usize::from(self.has_base), Vec::new());
        for (number, out) in out.chunks_mut(STRIP * width).enumerate() {
            let (from, len) = (number * STRIP, out.len() / width);
            let mut start = 0;
            for (place, operand) in self.operands.iter().enumerate() {
                let into = match place.checked_sub(usize::from(self.has_base)) {
                    Some(model) => &mut models[model],
                    None => &mut *base,
                };
                let width = (operand.dtype.bits() / 8) as usize;
                into.resize(len, 0.0);
                let is_read = widen(operand.dtype, &operands[start + from * width..][..len * width], into);
                debug_assert!(is_read, "operands are floats");
                start += elements * width;
            }
            let base = if self.has_base { &base[..] } else { &[] };
            self.each.apply(&Strip { at: at + from as u64, base, models }, made);
            let is_written = narrow(self.dtype, made, out);
            debug_assert!(is_written, "the result is floats");
        }
    }
}
