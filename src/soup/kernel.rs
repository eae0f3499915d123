//! What is done to the elements of a tensor: to each by itself, or to rows of them.

use super::{arc, stock};
use crate::formula::{Elementwise, Strip, towards_mean};
use std::ops::Range;

/// What is done to elements.
#[derive(Debug, Clone, PartialEq)]
pub enum Kernel {
    /// Everything that depends on all of them is known.
    Each(Elementwise),
    /// Between the base and the mean with a number for each row of so many elements; whether it is kept between 0 and 1.
    StockByRows(usize, bool),
    /// Along the arc for each row of so many elements: how far, and whether on differences to a base.
    ArcByRows(usize, f64),
}

impl Kernel {
    /// Whether it sees whole rows.
    pub(super) fn needs_rows(&self) -> bool {
        match self {
            Kernel::Each(kernel) => kernel.needs_rows(),
            Kernel::StockByRows(..) | Kernel::ArcByRows(..) => true,
        }
    }

    /// Makes the elements of a strip.
    pub(super) fn apply(&self, strip: &Strip<'_>, out: &mut Vec<f64>) {
        match self {
            Kernel::Each(kernel) => kernel.apply(strip, out),
            Kernel::StockByRows(row, clamp) => {
                out.clear();
                for range in rows(strip.len(), *row) {
                    let t = stock::of_row(strip, range.clone(), *clamp);
                    towards_mean(t, strip, range, out);
                }
            }
            Kernel::ArcByRows(row, t) => {
                out.clear();
                arc::by_rows(*t, strip, rows(strip.len(), *row), out);
            }
        }
    }
}

impl From<Elementwise> for Kernel {
    fn from(kernel: Elementwise) -> Self {
        Self::Each(kernel)
    }
}

/// The rows of a strip.
fn rows(len: usize, row: usize) -> impl Iterator<Item = Range<usize>> {
    let row = row.max(1);
    (0..len.div_ceil(row)).map(move |number| number * row..((number + 1) * row).min(len))
}
