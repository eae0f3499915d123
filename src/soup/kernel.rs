//! What is done to each element once everything that depends on all of them is known: `+ - * /`, comparisons, one rounding.

use super::arc;
use super::facing::Strip;
use super::mask::Mask;
use super::stock;
use super::task_vectors::Task;
use super::weighted::Weighted;
use std::ops::Range;

/// What is done to each element.
#[derive(Debug, Clone, PartialEq)]
pub enum Kernel {
    /// A weighted sum, perhaps divided.
    Weighted(Weighted),
    /// A base and a weighted sum of the differences to it.
    OnBase(Weighted),
    /// A moving average, in which so much of what was there stays.
    Moving(f64),
    /// A base and what is left of the differences to it.
    Task(Task),
    /// Between the base and the mean: how far.
    Stock(f64),
    /// The same with a number for each row of so many elements; whether it is kept between 0 and 1.
    StockByRows(usize, bool),
    /// Along the arc for each row of so many elements: how far, and whether on differences to a base.
    ArcByRows(usize, f64),
}

impl Kernel {
    /// Whether it sees whole rows.
    pub(super) fn needs_rows(&self) -> bool {
        match self {
            Kernel::Task(task) => task.masks.iter().any(Mask::needs_rows),
            Kernel::StockByRows(..) | Kernel::ArcByRows(..) => true,
            Kernel::Weighted(_) | Kernel::OnBase(_) | Kernel::Moving(_) | Kernel::Stock(_) => false,
        }
    }

    /// Makes the elements of a strip.
    pub(super) fn apply(&self, strip: &Strip<'_>, out: &mut Vec<f64>) {
        out.clear();
        match self {
            Kernel::Weighted(weighted) => weighted.apply(strip, out),
            Kernel::OnBase(weighted) => weighted.apply_on_base(strip, out),
            Kernel::Moving(decay) => moving(*decay, strip, out),
            Kernel::Task(task) => task.apply(strip, out),
            Kernel::Stock(t) => stock::towards_mean(*t, strip, 0..strip.len(), out),
            Kernel::StockByRows(row, clamp) => {
                for range in rows(strip.len(), *row) {
                    let t = stock::of_row(strip, range.clone(), *clamp);
                    stock::towards_mean(t, strip, range, out);
                }
            }
            Kernel::ArcByRows(row, t) => arc::by_rows(*t, strip, rows(strip.len(), *row), out),
        }
    }
}

/// The rows of a strip.
fn rows(len: usize, row: usize) -> impl Iterator<Item = Range<usize>> {
    let row = row.max(1);
    (0..len.div_ceil(row)).map(move |number| number * row..((number + 1) * row).min(len))
}

fn moving(decay: f64, strip: &Strip<'_>, out: &mut Vec<f64>) {
    for (number, model) in strip.models.iter().enumerate() {
        match number {
            0 => out.extend(model),
            _ => out.iter_mut().zip(model).for_each(|(mean, value)| *mean += (1.0 - decay) * (value - *mean)),
        }
    }
}
