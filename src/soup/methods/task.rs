//! A base and what is left of the differences to it: one function for a family of methods, which differ in what is left of
//! each difference, in whether those that disagree about the sign are left out, and in what the sum is divided by.
//!
//! Task arithmetic: Ilharco et al., ICLR 2023. TIES: Yadav et al., NeurIPS 2023. DARE: Yu et al., ICML 2024. DELLA: Deep,
//! Bhardwaj, Poria, 2024.

use super::asked::Asked;
use crate::formula::{Elementwise, Mask, Scaling, Strip, TaskVectors};
use crate::soup::error::Result;
use crate::soup::facing::Facing;
use crate::soup::method::Method;
use crate::soup::parameters::Rescale;
use crate::soup::passes::Passes;
use crate::soup::stream::stream;
use crate::soup::top::{kept, largest};

/// Smaller sums of absolute values are not scaled.
const NO_LENGTH: f64 = 1e-7;

pub(super) fn prepare(asked: Asked<'_>, facing: &Facing<'_>, passes: &Passes<'_>) -> Result<Elementwise> {
    let masks = masks(asked, facing, passes)?;
    let scaling = match (asked.method.is_random(), asked.rescale) {
        (true, Rescale::L1) => by_length(&masks, facing, passes)?,
        (true, Rescale::Inverse) => by_density(asked, &masks),
        (true, Rescale::None) | (false, _) => vec![Scaling::None; masks.len()],
    };
    let signs = asked.method.elects_signs().then_some(asked.consensus);
    let (weights, settings) = (asked.settings.weights.clone(), asked.settings);
    let (normalize, lambda) = (settings.normalize, settings.lambda);
    Ok(Elementwise::Task(TaskVectors { weights, masks, scaling, signs, normalize, lambda }))
}

fn masks(asked: Asked<'_>, facing: &Facing<'_>, passes: &Passes<'_>) -> Result<Vec<Mask>> {
    let densities = &asked.settings.densities;
    if asked.method == Method::Ties {
        if densities.iter().all(|density| *density >= 1.0) {
            return Ok(vec![Mask::All; densities.len()]);
        }
        let counts: Vec<u64> = densities.iter().map(|density| kept(*density, facing.elements())).collect();
        let tops = largest(passes, facing, &counts)?;
        let mask = |(top, density): (_, &f64)| if *density >= 1.0 { Mask::All } else { Mask::Top(top) };
        return Ok(tops.into_iter().zip(densities).map(mask).collect());
    }
    let row = usize::try_from(facing.row()).unwrap_or(usize::MAX);
    let mask = |(model, density): (usize, &f64)| {
        let stream = stream(asked.seed, asked.method, &facing.name, model);
        match asked.method {
            _ if *density >= 1.0 => Mask::All,
            Method::DareLinear | Method::DareTies => Mask::Random { stream, probability: *density },
            Method::Della | Method::DellaLinear => {
                Mask::Ranked { stream, density: *density, epsilon: asked.settings.epsilon, row }
            }
            _ => Mask::All,
        }
    };
    Ok(densities.iter().enumerate().map(mask).collect())
}

fn by_density(asked: Asked<'_>, masks: &[Mask]) -> Vec<Scaling> {
    let scaling = |(mask, density): (&Mask, &f64)| match mask {
        Mask::All => Scaling::None,
        _ if *density > 0.0 => Scaling::Over(*density),
        _ => Scaling::None,
    };
    masks.iter().zip(&asked.settings.densities).map(scaling).collect()
}

/// So that the sum of absolute values is what it was.
fn by_length(masks: &[Mask], facing: &Facing<'_>, passes: &Passes<'_>) -> Result<Vec<Scaling>> {
    if masks.iter().all(|mask| *mask == Mask::All) {
        return Ok(vec![Scaling::None; masks.len()]);
    }
    let count = 2 * masks.len();
    let sums = match masks.iter().any(Mask::needs_rows) {
        true => passes.sums_of_rows(facing, count, |strip| lengths(masks, strip))?,
        false => passes.sums(facing, count, |strip, sums| {
            let all = lengths(masks, strip);
            sums.iter_mut()
                .zip(all)
                .for_each(|(sum, all)| *sum = all.iter().fold(0.0, |sum, value| sum + value));
        })?,
    };
    let scaling = |(mask, pair): (&Mask, &[f64])| match pair {
        [before, after] if *mask != Mask::All && *before >= NO_LENGTH && *after >= NO_LENGTH => {
            Scaling::Times(before / after)
        }
        _ => Scaling::None,
    };
    Ok(masks.iter().zip(sums.chunks(2)).map(scaling).collect())
}

/// The absolute values of each model's differences, all of them and those that are kept.
fn lengths(masks: &[Mask], strip: &Strip<'_>) -> Vec<Vec<f64>> {
    let mut lengths = Vec::with_capacity(2 * masks.len());
    let mut kept = Vec::new();
    for (mask, model) in masks.iter().zip(strip.models) {
        let differences: Vec<f64> = model.iter().zip(strip.base).map(|(value, base)| value - base).collect();
        mask.tell(strip.at, &differences, &mut kept);
        let left = differences.iter().zip(&kept).map(|(value, kept)| if *kept { value.abs() } else { 0.0 });
        let left = left.collect();
        lengths.extend([differences.iter().map(|value| value.abs()).collect(), left]);
    }
    lengths
}
