//! What is made of the differences of models to a base, once it is known which elements are kept and how they are scaled.

use super::facing::Strip;
use super::mask::Mask;
use super::parameters::Consensus;
use super::weighted::{SUM_MIN, plain_sum};

/// What is made of differences to a base.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    pub(super) weights: Vec<f64>,
    pub(super) masks: Vec<Mask>,
    pub(super) scaling: Vec<Scaling>,
    /// How the sign is elected that those have which count; `None` if all count.
    pub(super) signs: Option<Consensus>,
    /// Whether the sum is divided by the weights of those that count.
    pub(super) normalize: bool,
    pub(super) lambda: f64,
}

/// How a difference is scaled up of which not all is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scaling {
    None,
    Times(f64),
    Over(f64),
}

impl Scaling {
    fn of(self, value: f64) -> f64 {
        match self {
            Scaling::None => value,
            Scaling::Times(factor) => value * factor,
            Scaling::Over(part) => value / part,
        }
    }
}

impl Task {
    pub(super) fn apply(&self, strip: &Strip<'_>, out: &mut Vec<f64>) {
        let vectors = self.vectors(strip);
        match self.signs {
            Some(consensus) => self.agreeing(consensus, &vectors, out),
            None => self.all(&vectors, out),
        }
        for (sum, base) in out.iter_mut().zip(strip.base) {
            *sum = base + self.lambda * *sum;
        }
    }

    /// What is left of the difference of each model, times its weight.
    fn vectors(&self, strip: &Strip<'_>) -> Vec<Vec<f64>> {
        let mut kept = Vec::new();
        let one = |(model, numbers): (usize, &Vec<f64>)| {
            let mut vector: Vec<f64> =
                numbers.iter().zip(strip.base).map(|(number, base)| number - base).collect();
            if self.masks[model] != Mask::All {
                self.masks[model].tell(strip.at, &vector, &mut kept);
                vector.iter_mut().zip(&kept).for_each(|(value, kept)| *value *= f64::from(u8::from(*kept)));
            }
            let (scaling, weight) = (self.scaling[model], self.weights[model]);
            match scaling {
                Scaling::None => vector.iter_mut().for_each(|value| *value *= weight),
                _ => vector.iter_mut().for_each(|value| *value = scaling.of(*value) * weight),
            }
            vector
        };
        strip.models.iter().enumerate().map(one).collect()
    }

    fn all(&self, vectors: &[Vec<f64>], out: &mut Vec<f64>) {
        sum_up(vectors, out);
        if self.normalize {
            let sum = plain_sum(&self.weights);
            let divisor = if sum.abs() < SUM_MIN { 1.0 } else { sum };
            out.iter_mut().for_each(|sum| *sum /= divisor);
        }
    }

    /// Of those whose sign is that of the sum, or of more of them than the other; where neither is, it is positive.
    fn agreeing(&self, consensus: Consensus, vectors: &[Vec<f64>], out: &mut Vec<f64>) {
        match consensus {
            Consensus::Sum => sum_up(vectors, out),
            Consensus::Count => count_signs(vectors, out),
        }
        for (place, elected) in out.iter_mut().enumerate() {
            let is_positive = *elected >= 0.0;
            let agrees = |value: f64| if is_positive { value > 0.0 } else { value < 0.0 };
            let (mut sum, mut weights) = (0.0, 0.0);
            for (vector, weight) in vectors.iter().zip(&self.weights) {
                if agrees(vector[place]) {
                    sum += vector[place];
                    weights += weight;
                }
            }
            *elected = match self.normalize {
                true if weights != 0.0 => sum / weights,
                _ => sum,
            };
        }
    }
}

/// How many more are above zero than below it.
fn count_signs(vectors: &[Vec<f64>], out: &mut Vec<f64>) {
    let sign = |value: f64| f64::from(i8::from(value > 0.0) - i8::from(value < 0.0));
    out.resize(vectors.first().map_or(0, Vec::len), 0.0);
    for vector in vectors {
        out.iter_mut().zip(vector).for_each(|(count, value)| *count += sign(*value));
    }
}

fn sum_up(vectors: &[Vec<f64>], out: &mut Vec<f64>) {
    for (number, vector) in vectors.iter().enumerate() {
        match number {
            0 => out.extend(vector),
            _ => out.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value),
        }
    }
}
