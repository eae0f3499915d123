//! The exponential moving average: of checkpoints, the oldest first, not of the steps between them.

use super::asked::Asked;
use crate::formula::Elementwise;

pub(super) fn prepare(asked: Asked<'_>) -> Elementwise {
    Elementwise::Moving(asked.settings.decay)
}
