//! A tensor as its container means it: its elements in C order, little-endian, whatever lies in the file.

use super::error::Result;
use super::gather::{Window, gather};
use super::refusal::Why;
use crate::recipe::TensorInfo;
use crate::store::{Slice, Source};
use crate::tensor::{Dtype, Element, c_strides};
use std::ops::Range;

/// Elements that are read at once: whole blocks of any kind, and whole frames of the store.
const PIECE: u64 = 1 << 18;
/// Bytes of a view that are read at once: each piece goes over all that the view spans.
const PIECE_OF_VIEW: u64 = 8 << 20;

/// A tensor that can be read.
pub(super) struct View<'a> {
    bytes: Slice<'a>,
    /// Numbers of either byte order, or blocks.
    pub element: Element,
    /// Elements along each axis, slowest first.
    pub shape: Vec<u64>,
    /// From one element along each axis to the next; `None` in C order.
    strides: Option<Vec<u64>>,
    conjugate: bool,
    negative: bool,
    elements: u64,
}

impl<'a> View<'a> {
    /// What a file says of the payload `bytes`.
    ///
    /// # Errors
    /// Why its elements cannot be told.
    pub fn of(info: &TensorInfo, bytes: Slice<'a>) -> std::result::Result<Self, Why> {
        let mut view = Self {
            bytes,
            element: Element::Number(info.dtype),
            shape: info.shape.clone(),
            strides: None,
            conjugate: false,
            negative: false,
            elements: 0,
        };
        if let Some(declared) = info.declared.as_deref() {
            view.element = declared.element;
            view.shape.clone_from(&declared.shape);
            view.strides.clone_from(&declared.strides);
            (view.conjugate, view.negative) = (declared.conjugate, declared.negative);
        }
        let product = view.shape.iter().try_fold(1u64, |product, extent| product.checked_mul(*extent));
        view.elements = product.ok_or(Why::Damaged)?;
        // What is in C order all the same is read as it lies.
        if view.strides.as_deref().is_some_and(|strides| lies_in_order(&view.shape, strides)) {
            view.strides = None;
        }
        view.check()?;
        Ok(view)
    }

    fn check(&self) -> std::result::Result<(), Why> {
        let len = match (self.element, &self.strides) {
            (_, _) if self.elements == 0 => Some(0),
            (Element::Block(block), None) => block
                .byte_shape(&self.shape)
                .ok_or(Why::UnknownBlock)?
                .iter()
                .try_fold(1u64, |product, extent| product.checked_mul(*extent)),
            (Element::Block(_), Some(_)) => return Err(Why::Damaged),
            (Element::Number(dtype) | Element::BigEndian(dtype), None) => dtype.byte_len(&self.shape),
            (Element::Number(dtype) | Element::BigEndian(dtype), Some(strides)) => {
                (dtype.bits().is_multiple_of(8) && strides.len() == self.shape.len())
                    .then_some(())
                    .ok_or(Why::Damaged)?;
                let reach =
                    self.shape.iter().zip(strides).map(|(extent, stride)| (extent - 1).checked_mul(*stride));
                let span = { reach }.try_fold(1u64, |sum, far| sum.checked_add(far?));
                span.and_then(|span| span.checked_mul(dtype.bits() / 8))
            }
        };
        if len.is_none_or(|len| len > self.bytes.len()) {
            return Err(Why::Damaged);
        }
        match (self.conjugate, self.negative, self.dtype()) {
            (false, false, _) => Ok(()),
            (true, _, Some(dtype)) if is_complex(dtype) => Ok(()),
            (false, true, Some(dtype)) if is_complex(dtype) || has_sign(dtype) => Ok(()),
            _ => Err(Why::Sign),
        }
    }

    /// The type of its numbers; `None` of blocks.
    pub fn dtype(&self) -> Option<Dtype> {
        match self.element {
            Element::Number(dtype) | Element::BigEndian(dtype) => Some(dtype),
            Element::Block(_) => None,
        }
    }

    /// How many elements it has.
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// Bytes of its payload.
    pub fn payload(&self) -> u64 {
        self.bytes.len()
    }

    /// Whether its payload is its elements as files have them that know no views.
    pub fn is_as_it_lies(&self) -> bool {
        let is_turned = matches!(self.element, Element::BigEndian(dtype) if dtype.bits() > 8);
        self.strides.is_none() && !is_turned && !self.conjugate && !self.negative
    }

    /// Elements that are best read at once.
    pub fn piece(&self) -> u64 {
        let width = self.dtype().map_or(1, |dtype| (dtype.bits() / 8).max(1));
        if self.strides.is_some() { PIECE_OF_VIEW / width } else { PIECE }
    }

    /// Bytes of the payload as they lie.
    pub fn read_payload(&self, range: Range<u64>, into: &mut Vec<u8>) -> Result<()> {
        into.resize((range.end - range.start) as usize, 0);
        Ok(self.bytes.read_exact_at(into, range.start)?)
    }

    /// Elements in C order, little-endian; of blocks whole ones of them.
    pub fn read(&self, range: Range<u64>, window: &mut Window, into: &mut Vec<u8>) -> Result<()> {
        let dtype = match self.element {
            Element::Block(block) => {
                let (elements, bytes) = block.size().unwrap_or((1, 0));
                return self.read_payload(range.start / elements * bytes..range.end / elements * bytes, into);
            }
            Element::Number(dtype) | Element::BigEndian(dtype) => dtype,
        };
        let width = dtype.bits() / 8;
        match &self.strides {
            None => self.read_payload(range.start * width..range.end * width, into)?,
            Some(strides) => {
                into.resize(((range.end - range.start) * width) as usize, 0);
                gather(&self.bytes, (&self.shape, strides), width as usize, range, window, into)?;
            }
        }
        self.put_right(dtype, into);
        Ok(())
    }

    /// Makes of stored elements what they mean.
    fn put_right(&self, dtype: Dtype, elements: &mut [u8]) {
        let width = (dtype.bits() / 8) as usize;
        let number = if is_complex(dtype) { width / 2 } else { width };
        if matches!(self.element, Element::BigEndian(_)) && number > 1 {
            elements.chunks_exact_mut(number).for_each(<[u8]>::reverse);
        }
        // The sign of a float is the highest bit of its last byte.
        if self.negative {
            elements.chunks_exact_mut(number).for_each(flip);
        }
        if self.conjugate {
            elements.chunks_exact_mut(width).for_each(flip);
        }
    }
}

fn flip(number: &mut [u8]) {
    if let Some(last) = number.last_mut() {
        *last ^= 0x80;
    }
}

const fn is_complex(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::C64 | Dtype::C128)
}

/// Whether the highest bit of a number is its sign and nothing else.
const fn has_sign(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::F64 | Dtype::F8E4M3 | Dtype::F8E5M2)
}

/// Whether strides are those of C order where they matter.
fn lies_in_order(shape: &[u64], strides: &[u64]) -> bool {
    let Some(usual) = c_strides(shape) else { return false };
    shape.len() == strides.len()
        && usual
            .iter()
            .zip(strides)
            .zip(shape)
            .all(|((usual, stride), extent)| *extent == 1 || usual == stride)
}
