//! A formula: what is done to elements, of which objects, and of what type the result is.

use super::elementwise::Elementwise;
use super::strip::Strip;
use crate::id::ObjectKey;
use crate::tensor::{Block, Dtype, QUANTISED_ELEMENTS, is_real, narrow, widen};

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
    pub(super) what: What,
    /// Whether the first operand is what differences are counted from.
    pub(super) has_base: bool,
    pub(super) operands: Vec<Operand>,
    /// The type of the result.
    pub(super) dtype: Dtype,
    /// Of each operand.
    pub(super) elements: u64,
}

/// What is done to elements.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// To each by itself.
    Each(Elementwise),
    /// They become blocks of a kind; the result is bytes.
    Quantised(Block),
}

/// Operands that a formula has at most: each is read with the result.
pub const OPERANDS_MAX: usize = 16;

/// What numbers take between bytes and bytes, kept from one use to the next.
#[derive(Debug, Default)]
pub struct NumberBuffers {
    base: Vec<f64>,
    models: Vec<Vec<f64>>,
    out: Vec<f64>,
    singles: Vec<f32>,
    units: Vec<u8>,
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
        Self { what: What::Each(each), has_base: base.is_some(), operands, dtype, elements }.sound()
    }

    /// The formula of the blocks that so many elements of a float tensor become; `None` for kinds of blocks without a rule.
    pub fn quantised(block: Block, of: Operand, elements: u64) -> Option<Self> {
        let (what, operands) = (What::Quantised(block), vec![of]);
        Self { what, has_base: false, operands, dtype: Dtype::U8, elements }.sound()
    }

    /// The formula, if all that it says fits together.
    pub(super) fn sound(self) -> Option<Self> {
        let models = self.operands.len().checked_sub(usize::from(self.has_base))?;
        let fits = (1..=OPERANDS_MAX).contains(&self.operands.len())
            && match &self.what {
                What::Each(each) => each.takes(models, self.has_base) && is_real(self.dtype),
                What::Quantised(block) => {
                    let is_whole = self.elements.is_multiple_of(QUANTISED_ELEMENTS as u64);
                    let is_one = models == 1 && !self.has_base && self.dtype == Dtype::U8;
                    is_one && is_whole && block.quantised_len().is_some()
                }
            }
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

    /// How many elements each operand has.
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// Bytes of so many elements of a type that formulas are about.
    pub fn bytes_of(dtype: Dtype, elements: u64) -> u64 {
        elements * (dtype.bits() / 8)
    }

    /// Elements of each operand that are made into something together, and bytes of that.
    pub fn unit(&self) -> (u64, u64) {
        match &self.what {
            What::Each(_) => (1, Self::bytes_of(self.dtype, 1)),
            // Kinds without a rule are in no formula.
            What::Quantised(block) => (QUANTISED_ELEMENTS as u64, block.quantised_len().unwrap_or(1) as u64),
        }
    }

    /// Bytes of the result.
    pub fn len(&self) -> u64 {
        let (elements, bytes) = self.unit();
        self.elements / elements * bytes
    }

    /// Whether the result has no elements.
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// Makes the bytes of the result from number `offset` on: `out` is filled from `operands`, which have the bytes of the
    /// elements of all units that it touches, one operand's after the other's, each as many.
    ///
    /// # Panics
    /// If the lengths do not fit together.
    pub fn fill(&self, offset: u64, operands: &[u8], numbers: &mut NumberBuffers, out: &mut [u8]) {
        let unit = self.unit().1;
        let (skip, first) = ((offset % unit) as usize, offset / unit);
        if skip == 0 && (out.len() as u64).is_multiple_of(unit) {
            return self.fill_units(first, operands, numbers, out);
        }
        let mut units = std::mem::take(&mut numbers.units);
        units.resize((skip + out.len()).next_multiple_of(unit as usize), 0);
        self.fill_units(first, operands, numbers, &mut units);
        out.copy_from_slice(&units[skip..][..out.len()]);
        numbers.units = units;
    }

    fn fill_units(&self, first: u64, operands: &[u8], numbers: &mut NumberBuffers, out: &mut [u8]) {
        match &self.what {
            What::Each(each) => self.fill_each(each, first, operands, numbers, out),
            What::Quantised(block) => self.fill_blocks(*block, operands, numbers, out),
        }
    }

    fn fill_each(
        &self,
        each: &Elementwise,
        at: u64,
        operands: &[u8],
        numbers: &mut NumberBuffers,
        out: &mut [u8],
    ) {
        let width = (self.dtype.bits() / 8) as usize;
        let elements = out.len() / width;
        let NumberBuffers { base, models, out: made, .. } = numbers;
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
            each.apply(&Strip { at: at + from as u64, base, models }, made);
            let is_written = narrow(self.dtype, made, out);
            debug_assert!(is_written, "the result is floats");
        }
    }

    fn fill_blocks(&self, block: Block, operand: &[u8], numbers: &mut NumberBuffers, out: &mut [u8]) {
        let of = self.operands[0];
        let NumberBuffers { base, singles, .. } = numbers;
        base.resize(operand.len() / (of.dtype.bits() / 8) as usize, 0.0);
        let is_read = widen(of.dtype, operand, base);
        debug_assert!(is_read, "operands are floats");
        singles.clear();
        singles.extend(base.iter().map(|number| *number as f32));
        let is_made = block.quantise(singles, out);
        debug_assert!(is_made, "the kind has a rule");
    }
}
