//! The weighted sum, or the weighted mean: a "model soup" (Wortsman et al., ICML 2022) if the weights are equal.

use super::asked::Asked;
use crate::formula::{Elementwise, Weighted, plain_sum};

pub(super) fn prepare(asked: Asked<'_>) -> Elementwise {
    let weights = asked.settings.weights.clone();
    let divisor = asked.settings.normalize.then(|| plain_sum(&weights));
    Elementwise::Weighted(Weighted { weights, divisor })
}
