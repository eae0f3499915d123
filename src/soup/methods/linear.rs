//! The weighted sum, or the weighted mean: a "model soup" (Wortsman et al., ICML 2022) if the weights are equal.

use super::asked::Asked;
use crate::formula::{Elementwise, SUM_MIN, Weighted, plain_sum};
use crate::soup::error::{Error, Result};
use crate::soup::facing::Facing;

pub(super) fn prepare(asked: Asked<'_>, facing: &Facing<'_>) -> Result<Elementwise> {
    let weights = asked.settings.weights.clone();
    let sum = plain_sum(&weights);
    if asked.settings.normalize && sum.abs() < SUM_MIN {
        return Err(Error::ZeroSum { tensor: facing.name.clone() });
    }
    Ok(Elementwise::Weighted(Weighted { weights, divisor: asked.settings.normalize.then_some(sum) }))
}
