//! What is made of the differences of models to a base, once it is known which elements are kept and how they are scaled.

use super::mask::Mask;
use super::strip::Strip;
use super::weighted::{SUM_MIN, plain_sum};

/// What is made of differences to a base.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskVectors {
    /// Of each model.
    pub weights: Vec<f64>,
    /// Which of the elements of each are kept.
    pub masks: Vec<Mask>,
    /// How what is kept of each is scaled.
    pub scaling: Vec<Scaling>,
    /// How the sign is elected that those have which count; `None` if all count.
    pub signs: Option<Consensus>,
    /// Whether the sum is divided by the weights of those that count.
    pub normalize: bool,
    /// What the sum is multiplied by before it is added to the base.
    pub lambda: f64,
}

/// How the sign of an element is elected where models disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consensus {
    /// The sign of the sum.
    #[default]
    Sum,
    /// The sign that more of them have.
    Count,
}

/// How a difference is scaled up of which not all is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    /// It is not.
    None,
    /// By a factor.
    Times(f64),
    /// By what it is divided by.
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

impl TaskVectors {
    /// Whether it is about so many models, and makes each element by itself.
    pub(super) fn takes(&self, models: usize) -> bool {
        let is_each = |mask: &Mask| matches!(mask, Mask::All | Mask::Top(_) | Mask::Random { .. });
        [self.weights.len(), self.masks.len(), self.scaling.len()] == [models; 3]
            && self.masks.iter().all(is_each)
    }

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
