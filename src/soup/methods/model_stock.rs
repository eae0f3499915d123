//! Between a base and the mean of models, by how their differences to the base stand to each other (Jang, Yun, Han, "Model
//! Stock: all we need is just a few fine-tuned models", ECCV 2024). Without a floor under the lengths, which would undo small
//! changes: a vector of length zero has the cosine 0 to every other.

use super::asked::{Asked, Prepared, Remark};
use crate::formula::Elementwise;
use crate::soup::error::{Error, Result};
use crate::soup::facing::Facing;
use crate::soup::kernel::Kernel;
use crate::soup::passes::Passes;
use crate::soup::stock::{clamped, of_products, products};

pub(super) fn prepare(asked: Asked<'_>, facing: &Facing<'_>, passes: &Passes<'_>) -> Result<Prepared> {
    let count = facing.models.len();
    if asked.settings.by_rows && facing.shape.len() > 1 {
        let row = usize::try_from(facing.row()).unwrap_or(usize::MAX);
        return Ok(Kernel::StockByRows(row, asked.clamp).into());
    }
    let pairs: Vec<(usize, usize)> = products(count).collect();
    let sums = passes.sums(facing, pairs.len(), |strip, sums| {
        let differences: Vec<Vec<f64>> =
            strip.models.iter().map(|model| differences(model, strip.base)).collect();
        for (sum, (one, other)) in sums.iter_mut().zip(&pairs) {
            *sum = differences[*one].iter().zip(&differences[*other]).fold(0.0, |sum, (a, b)| sum + a * b);
        }
    })?;
    let t = of_products(count, &sums);
    if !t.is_finite() && !asked.clamp {
        let why = "its models lie on opposite sides of the base".to_owned();
        return Err(Error::Undefined { method: "model-stock", tensor: facing.name.clone(), why });
    }
    let kept = clamped(t, asked.clamp);
    let is_beyond = !(0.0..=1.0).contains(&t);
    Ok(Prepared { kernel: Elementwise::Stock(kept).into(), remark: is_beyond.then_some(Remark::Beyond(t)) })
}

fn differences(model: &[f64], base: &[f64]) -> Vec<f64> {
    model.iter().zip(base).map(|(value, base)| value - base).collect()
}
