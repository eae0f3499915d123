//! What is done to each element once everything that depends on all of them is known: `+ - * /`, comparisons, one rounding.

use super::mask::Mask;
use super::stock::towards_mean;
use super::strip::Strip;
use super::task::TaskVectors;
use super::weighted::Weighted;

/// What is done to each element.
#[derive(Debug, Clone, PartialEq)]
pub enum Elementwise {
    /// A weighted sum, perhaps divided.
    Weighted(Weighted),
    /// A base and a weighted sum of the differences to it.
    OnBase(Weighted),
    /// A moving average, in which so much of what was there stays.
    Moving(f64),
    /// A base and what is left of the differences to it.
    Task(TaskVectors),
    /// Between the base and the mean: how far.
    Stock(f64),
}

impl Elementwise {
    /// Whether it sees whole rows.
    pub fn needs_rows(&self) -> bool {
        matches!(self, Elementwise::Task(task) if task.masks.iter().any(Mask::needs_rows))
    }

    /// Whether it is about so many models, with or without a base, and makes each element by itself.
    pub(super) fn takes(&self, models: usize, has_base: bool) -> bool {
        let is_each = |weighted: &Weighted| weighted.weights.len() == models;
        models > 0
            && match self {
                Elementwise::Weighted(weighted) => is_each(weighted) && !has_base,
                Elementwise::OnBase(weighted) => is_each(weighted) && has_base,
                Elementwise::Moving(_) => !has_base,
                Elementwise::Stock(_) => has_base,
                Elementwise::Task(task) => has_base && task.takes(models),
            }
    }

    /// Makes the elements of a strip.
    pub fn apply(&self, strip: &Strip<'_>, out: &mut Vec<f64>) {
        out.clear();
        match self {
            Elementwise::Weighted(weighted) => weighted.apply(strip, out),
            Elementwise::OnBase(weighted) => weighted.apply_on_base(strip, out),
            Elementwise::Moving(decay) => moving(*decay, strip, out),
            Elementwise::Task(task) => task.apply(strip, out),
            Elementwise::Stock(t) => towards_mean(*t, strip, 0..strip.len(), out),
        }
    }
}

fn moving(decay: f64, strip: &Strip<'_>, out: &mut Vec<f64>) {
    for (number, model) in strip.models.iter().enumerate() {
        match number {
            0 => out.extend(model),
            _ => out.iter_mut().zip(model).for_each(|(mean, value)| *mean += (1.0 - decay) * (value - *mean)),
        }
    }
}
