//! AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019).

use ndarray::{Array2, Zip};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The optimizer's memory of one parameter.
#[derive(Debug, Clone)]
pub(super) struct AdamW {
    /// Running mean of gradients.
    pub exp_avg: Array2<f32>,
    /// Running mean of squared gradients.
    pub exp_avg_sq: Array2<f32>,
    steps: i32,
}

impl AdamW {
    /// No memory yet, for a parameter of this shape.
    pub(super) fn new(shape: (usize, usize)) -> Self {
        Self { exp_avg: Array2::zeros(shape), exp_avg_sq: Array2::zeros(shape), steps: 0 }
    }

    /// Moves a parameter against its gradient.
    pub(super) fn step(
        &mut self,
        parameter: &mut Array2<f32>,
        gradient: &Array2<f32>,
        rate: f32,
        decay: f32,
    ) {
        self.steps += 1;
        let correction1 = 1.0 - BETA1.powi(self.steps);
        let correction2 = (1.0 - BETA2.powi(self.steps)).sqrt();
        Zip::from(parameter).and(gradient).and(&mut self.exp_avg).and(&mut self.exp_avg_sq).for_each(
            |weight, &gradient, mean, square| {
                *mean = BETA1 * *mean + (1.0 - BETA1) * gradient;
                *square = BETA2 * *square + (1.0 - BETA2) * gradient * gradient;
                *weight -= rate * decay * *weight;
                *weight -= rate * (*mean / correction1) / (square.sqrt() / correction2 + EPSILON);
            },
        );
    }
}
