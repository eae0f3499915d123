//! One model as it is, or scaled: what stacking layers does.

use super::asked::Asked;
use crate::formula::{Elementwise, Weighted};

pub(super) fn prepare(asked: Asked<'_>) -> Elementwise {
    Elementwise::Weighted(Weighted { weights: vec![asked.settings.scale], divisor: None })
}
