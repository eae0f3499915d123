//! Weighted sums of models, or of their differences to a base.

use super::strip::Strip;

/// A weighted sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    /// Of each model.
    pub weights: Vec<f64>,
    /// What the sum is divided by.
    pub divisor: Option<f64>,
}

impl Weighted {
    pub(super) fn apply(&self, strip: &Strip<'_>, out: &mut Vec<f64>) {
        for (number, (weight, model)) in self.weights.iter().zip(strip.models).enumerate() {
            match number {
                // What begins with 0 loses the sign of a negative zero.
                0 => out.extend(model.iter().map(|value| weight * value)),
                _ => out.iter_mut().zip(model).for_each(|(sum, value)| *sum += weight * value),
            }
        }
        self.divide(out);
    }

    pub(super) fn apply_on_base(&self, strip: &Strip<'_>, out: &mut Vec<f64>) {
        for (number, (weight, model)) in self.weights.iter().zip(strip.models).enumerate() {
            let differences = model.iter().zip(strip.base).map(|(value, base)| value - base);
            match number {
                0 => out.extend(differences.map(|difference| weight * difference)),
                _ => {
                    out.iter_mut().zip(differences).for_each(|(sum, difference)| *sum += weight * difference)
                }
            }
        }
        self.divide(out);
        out.iter_mut().zip(strip.base).for_each(|(sum, base)| *sum += base);
    }

    fn divide(&self, out: &mut [f64]) {
        if let Some(divisor) = self.divisor {
            out.iter_mut().for_each(|sum| *sum /= divisor);
        }
    }
}

/// Sums of weights nearer to zero than this are none.
pub const SUM_MIN: f64 = 1e-8;

/// The sum from the first to the last.
pub fn plain_sum(values: &[f64]) -> f64 {
    values.iter().copied().reduce(|sum, value| sum + value).unwrap_or_default()
}
