//! A tensor as it is to be written: its elements in the type that is wanted, piece by piece, in any order and by any number of
//! threads.
//!
//! Numbers are widened exactly and rounded once, to the nearest, ties to even, as PyTorch does. Blocks are made of binary32 numbers,
//! and are those that ggml's reference makes.

use super::error::Result;
use super::numbers::Reading;
use super::view::View;
use crate::tensor::{Block, Dtype, Element, QUANTISED_ELEMENTS, narrow, widen};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a payload that are copied at once.
const COPIED: u64 = 1 << 20;

/// A tensor as it is to be written.
pub(super) struct Cast<'a> {
    view: View<'a>,
    /// A number, little-endian, or a block.
    to: Element,
    how: How,
    /// Numbers that are finite in only one of their types.
    too_large: AtomicU64,
}

/// What is done to the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The payload is what is wanted.
    Copy,
    /// The elements are.
    Arrange,
    /// The numbers are, in another type.
    Number(Dtype),
    /// Blocks are made of the numbers.
    Block(Block),
}

/// What making pieces needs, kept from one to the next.
#[derive(Default)]
pub(super) struct Hands {
    reading: Reading,
    made: Vec<u8>,
}

impl<'a> Cast<'a> {
    /// The elements of a view as others, which was planned so.
    pub fn new(view: View<'a>, to: Element) -> Self {
        let is_same = match (view.element, to) {
            (Element::Block(one), Element::Block(other)) => one == other,
            (_, to) => view.dtype().is_some_and(|dtype| to == Element::Number(dtype)),
        };
        let how = match (is_same, to) {
            (true, _) if view.is_as_it_lies() => How::Copy,
            (true, _) => How::Arrange,
            (false, Element::Number(dtype) | Element::BigEndian(dtype)) => How::Number(dtype),
            (false, Element::Block(block)) => How::Block(block),
        };
        Self { view, to, how, too_large: AtomicU64::new(0) }
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[u64] {
        &self.view.shape
    }

    /// The type of its elements.
    pub fn element(&self) -> Element {
        self.to
    }

    /// Bytes of it.
    pub fn len(&self) -> u64 {
        let elements = self.view.elements();
        match self.to {
            _ if elements == 0 => 0,
            _ if self.how == How::Copy => self.view.payload(),
            Element::Number(dtype) | Element::BigEndian(dtype) => elements * (dtype.bits() / 8),
            Element::Block(block) => {
                let (of, bytes) = block.size().unwrap_or((1, 0));
                elements / of * bytes
            }
        }
    }

    /// The pieces that it is made in.
    pub fn pieces(&self) -> u64 {
        match self.how {
            How::Copy => self.len().div_ceil(COPIED),
            _ => self.view.elements().div_ceil(self.view.piece()),
        }
    }

    /// Finite numbers that are none any more, or that were none before, of the pieces that were made.
    pub fn too_large(&self) -> u64 {
        self.too_large.load(Ordering::Relaxed)
    }

    /// Makes a piece: its bytes, and where among those of the tensor they begin.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn piece<'h>(&self, index: u64, hands: &'h mut Hands) -> Result<(u64, &'h [u8])> {
        let piece = |len: u64, of: u64| index * len..((index + 1) * len).min(of);
        let Hands { reading, made } = hands;
        if self.how == How::Copy {
            let range = piece(COPIED, self.len());
            self.view.read_payload(range.clone(), &mut reading.raw)?;
            return Ok((range.start, &reading.raw));
        }
        let range = piece(self.view.piece(), self.view.elements());
        let at = self.len_of(range.start);
        match self.how {
            How::Copy | How::Arrange => {
                self.view.read(range, &mut reading.window, &mut reading.raw)?;
                return Ok((at, &reading.raw));
            }
            How::Number(dtype) => {
                reading.numbers(&self.view, range)?;
                made.resize(reading.numbers.len() * (dtype.bits() / 8) as usize, 0);
                let is_made = narrow(dtype, &reading.numbers, made);
                debug_assert!(is_made, "only floats are cast");
                self.count_large(dtype, &reading.numbers, made);
            }
            How::Block(block) => {
                reading.floats(&self.view, range)?;
                let len = block.quantised_len().unwrap_or(0);
                made.resize(reading.floats.len() / QUANTISED_ELEMENTS * len, 0);
                let is_made = block.quantise(&reading.floats, made);
                debug_assert!(is_made, "only kinds with a rule are made, of whole rows");
                // Of blocks only the floats were read.
                let were_numbers = !matches!(self.view.element, Element::Block(_));
                self.count_changed(block, reading, were_numbers, made);
            }
        }
        Ok((at, made))
    }

    /// Bytes that so many elements are written in.
    fn len_of(&self, elements: u64) -> u64 {
        match self.to {
            Element::Number(dtype) | Element::BigEndian(dtype) => elements * (dtype.bits() / 8),
            Element::Block(block) => {
                let (of, bytes) = block.size().unwrap_or((1, 0));
                elements / of * bytes
            }
        }
    }

    /// Counts what a block did not take: with one number that is too large or no number, all others of its block change too.
    fn count_changed(&self, block: Block, reading: &Reading, were_numbers: bool, made: &[u8]) {
        let Reading { numbers, floats, .. } = reading;
        if floats.iter().all(|float| float.abs() <= LARGEST_IN_BLOCKS) {
            return;
        }
        let mut written = vec![0.0; floats.len()];
        block.dequantise(made, &mut written);
        let was_finite =
            |at: usize| if were_numbers { numbers[at].is_finite() } else { floats[at].is_finite() };
        let count =
            (0..).zip(&written).filter(|(at, written)| written.is_finite() != was_finite(*at)).count();
        self.too_large.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn count_large(&self, dtype: Dtype, numbers: &[f64], made: &[u8]) {
        let largest = numbers.iter().fold(0.0f64, |most, number| most.max(number.abs()));
        // Nearly always everything fits: one look at the largest tells.
        if largest <= largest_of(dtype) {
            return;
        }
        let mut written = vec![0.0; numbers.len()];
        widen(dtype, made, &mut written);
        let is_lost = |(number, written): &(&f64, &f64)| number.is_finite() && !written.is_finite();
        let count = numbers.iter().zip(&written).filter(is_lost).count();
        self.too_large.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// The largest number that is surely one in blocks of any kind: their scales and offsets are binary16.
const LARGEST_IN_BLOCKS: f32 = 65504.0;

/// The largest number that is surely one in this type.
const fn largest_of(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F64 => f64::MAX,
        Dtype::F32 | Dtype::Bf16 => 3e38,
        Dtype::F16 => 65504.0,
        _ => 448.0,
    }
}
