//! The exponential moving average: of checkpoints, the oldest first, not of the steps between them.

use super::asked::Asked;
use crate::soup::kernel::Kernel;

pub(super) fn prepare(asked: Asked<'_>) -> Kernel {
    Kernel::Moving(asked.settings.decay)
}
