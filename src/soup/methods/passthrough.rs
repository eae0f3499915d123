//! One model as it is, or scaled: what stacking layers does.

use super::asked::Asked;
use crate::soup::kernel::Kernel;
use crate::soup::weighted::Weighted;

pub(super) fn prepare(asked: Asked<'_>) -> Kernel {
    Kernel::Weighted(Weighted { weights: vec![asked.settings.scale], divisor: None })
}
