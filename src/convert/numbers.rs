//! The numbers that a tensor means, whatever they are stored as.

use super::error::Result;
use super::gather::Window;
use super::view::View;
use crate::recipe::TensorInfo;
use crate::store::Slice;
use crate::tensor::{Element, QUANTISED_ELEMENTS, is_real, widen};
use std::ops::Range;

/// What reading numbers needs, kept from one reading to the next.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub window: Window,
    /// Elements as they are stored.
    pub raw: Vec<u8>,
    /// The same as numbers, exactly.
    pub numbers: Vec<f64>,
    /// The same as binary32 numbers, rounded if they had more bits.
    pub floats: Vec<f32>,
}

impl Reading {
    /// Reads elements in C order, of blocks whole ones, as numbers. They are of a type that has some: [`are_numbers`].
    pub fn numbers(&mut self, view: &View<'_>, range: Range<u64>) -> Result<()> {
        match view.element {
            Element::Number(dtype) | Element::BigEndian(dtype) => {
                self.numbers.resize((range.end - range.start) as usize, 0.0);
                view.read(range, &mut self.window, &mut self.raw)?;
                let is_read = widen(dtype, &self.raw, &mut self.numbers);
                debug_assert!(is_read, "only floats are numbers");
            }
            Element::Block(_) => {
                self.floats(view, range)?;
                self.numbers.clear();
                self.numbers.extend(self.floats.iter().map(|float| f64::from(*float)));
            }
        }
        Ok(())
    }

    /// The same as binary32 numbers.
    pub fn floats(&mut self, view: &View<'_>, range: Range<u64>) -> Result<()> {
        match view.element {
            Element::Number(_) | Element::BigEndian(_) => {
                self.numbers(view, range)?;
                self.floats.clear();
                self.floats.extend(self.numbers.iter().map(|number| *number as f32));
            }
            Element::Block(block) => {
                self.floats.resize((range.end - range.start) as usize, 0.0);
                view.read(range, &mut self.window, &mut self.raw)?;
                let is_read = block.dequantise(&self.raw, &mut self.floats);
                debug_assert!(is_read, "only kinds with a rule are numbers");
            }
        }
        Ok(())
    }
}

/// Whether elements are numbers that can be cast: floats, and blocks of them with a rule.
pub fn are_numbers(element: Element) -> bool {
    match element {
        Element::Number(dtype) | Element::BigEndian(dtype) => is_real(dtype),
        Element::Block(block) => block.quantised_len().is_some(),
    }
}

/// A tensor as binary32 numbers in C order, little-endian, that can be read at any place.
pub struct Floats<'a>(View<'a>);

impl<'a> Floats<'a> {
    /// Those of a payload; `None` if it is of no type that has some.
    pub fn of(info: &TensorInfo, bytes: Slice<'a>) -> Option<Self> {
        View::of(info, bytes).ok().filter(|view| are_numbers(view.element)).map(Self)
    }

    /// Bytes of it.
    pub fn len(&self) -> u64 {
        self.0.elements() * 4
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes from `offset`; fewer at the end. Returns how many. Reads what they are computed from and
    /// nothing else.
    ///
    /// # Errors
    /// If the payload cannot be read.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let end = offset.saturating_add(buf.len() as u64).min(self.len());
        if offset >= end {
            return Ok(0);
        }
        // Whole blocks.
        let block = QUANTISED_ELEMENTS as u64;
        let elements =
            (offset / 4 / block * block)..end.div_ceil(4).next_multiple_of(block).min(self.0.elements());
        let (mut reading, start) = (Reading::default(), elements.start * 4);
        reading.floats(&self.0, elements)?;
        let bytes = reading.floats.iter().flat_map(|float| float.to_le_bytes());
        let wanted = (end - offset) as usize;
        buf.iter_mut()
            .zip(bytes.skip((offset - start) as usize))
            .take(wanted)
            .for_each(|(to, from)| *to = from);
        Ok(wanted)
    }
}
