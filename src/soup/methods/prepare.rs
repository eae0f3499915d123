//! From a method's name to what it does with a tensor.

use super::asked::{Asked, Prepared};
use super::{ema, linear, model_stock, nuslerp, passthrough, slerp, task};
use crate::soup::error::{Error, Result};
use crate::soup::facing::Facing;
use crate::soup::method::Method;
use crate::soup::passes::Passes;

/// Learns what a method has to know of all elements of a tensor.
///
/// # Errors
/// Those of the method, and of reading.
pub fn prepare(asked: Asked<'_>, facing: &Facing<'_>, passes: &Passes<'_>) -> Result<Prepared> {
    let (least, most, takes) = asked.method.takes();
    let given = facing.models.len();
    if !(least..=most).contains(&given) {
        return Err(Error::Operands { method: asked.method.name(), takes, given });
    }
    let prepared = match asked.method {
        Method::Linear => linear::prepare(asked).into(),
        Method::Slerp => slerp::prepare(asked, facing, passes)?,
        Method::Nuslerp => nuslerp::prepare(asked, facing, passes)?,
        Method::ModelStock => model_stock::prepare(asked, facing, passes)?,
        Method::Ema => ema::prepare(asked).into(),
        Method::Passthrough => passthrough::prepare(asked).into(),
        Method::TaskArithmetic
        | Method::Ties
        | Method::DareLinear
        | Method::DareTies
        | Method::Della
        | Method::DellaLinear => task::prepare(asked, facing, passes)?.into(),
    };
    if prepared.kernel.needs_rows() {
        check_rows(asked, facing)?;
    }
    Ok(prepared)
}

/// Elements of rows of all models that are in memory at once, for each thread.
const ROWS_MAX: u64 = 4 << 20;

fn check_rows(asked: Asked<'_>, facing: &Facing<'_>) -> Result<()> {
    let most = ROWS_MAX / (facing.models.len() as u64 + 1);
    let (method, tensor, elements) = (asked.method.name(), facing.name.clone(), facing.row());
    match elements <= most {
        true => Ok(()),
        false => Err(Error::LongRow { method, tensor, elements, most }),
    }
}
