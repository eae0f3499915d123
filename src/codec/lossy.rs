//! Lossy differences: smaller than any exact one, and honest about what they lose.
//!
//! Nothing here is ever chosen for a caller: a lossy difference has a type of its own, [`Lossy`], which no function of
//! the exact codec takes. Arithmetic is binary64 and rounds once to the element type.
//!
//! Layout of a stored difference: kind, u8; number of elements, u64; then by kind
//! - 0, int8_quantized: step, f64; an i8 per element;
//! - 1, int16_quantized: step, f64; an i16 per element;
//! - 2, sparse: number of kept elements, u64; their positions, u64 each, rising; their bytes;
//! - 3, per_axis_scaled: elements per row, u64; an f32 per row; a sign bit per element, lowest bit first, 1 negative.

use crate::tensor::Lane;
use half::{bf16, f16};

/// How to lose what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LossyType {
    /// Differences in 255 even steps between the largest in size and its opposite.
    Int8Quantized,
    /// Differences in 65,535 even steps.
    Int16Quantized,
    /// Exactly the elements that moved by more than `threshold`; the others stay at the base.
    Sparse {
        /// In value space; not negative.
        threshold: f64,
    },
    /// One bit per element, its direction, and one size per row, the mean of the row's. (The original's rows are
    /// scaled in binary16, which cannot hold steps under 6e-8; here they are binary32.)
    PerAxisScaled {
        /// Elements per row: the product of all axes but the first.
        row: usize,
    },
}

impl LossyType {
    /// The name that users of the original know.
    pub const fn name(self) -> &'static str {
        match self {
            LossyType::Int8Quantized => "int8_quantized",
            LossyType::Int16Quantized => "int16_quantized",
            LossyType::Sparse { .. } => "sparse",
            LossyType::PerAxisScaled { .. } => "per_axis_scaled",
        }
    }
}

/// Something that stands for an original that it is not equal to.
#[derive(Debug, Clone, PartialEq)]
pub struct Lossy<T> {
    /// What is left of the original.
    pub kept: T,
    /// The largest distance of an element to the original's, in value space.
    pub max_error: f64,
    /// The root of the mean squared distance.
    pub rms_error: f64,
}

/// Why there is no lossy difference, or it cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LossyError {
    /// Only binary16, bfloat16, binary32 and binary64 can be approximated.
    #[error("only float tensors can be stored with loss")]
    NotFloat,
    /// The base has another number of elements, or there is a part of one.
    #[error("the base does not have the tensor's elements")]
    Length,
    /// An infinite or undefined number has no nearby ones. Only `sparse` keeps them.
    #[error("element {0} moved by no finite distance")]
    NotFinite(usize),
    /// The threshold is negative or no number, or rows are empty.
    #[error("a lossy type with senseless numbers")]
    Parameters,
    /// The stored bytes contradict themselves.
    #[error("malformed lossy difference: {0}")]
    Malformed(&'static str),
}

/// Approximates `raw` by a difference to `base`. The bytes of the result are for [`apply_lossy`].
///
/// # Errors
/// [`LossyError`]; no part of a tensor is silently left out.
pub fn encode_lossy(
    kind: LossyType,
    raw: &[u8],
    base: &[u8],
    lane: Lane,
) -> Result<Lossy<Vec<u8>>, LossyError> {
    let float = Float::of(lane)?;
    check_lengths(float, raw, base)?;
    let mut kept = Vec::new();
    let count = (raw.len() / float.width()) as u64;
    match kind {
        LossyType::Int8Quantized => {
            let (step, steps) = quantize(differences(float, raw, base)?, 127.0);
            head(0, count, &mut kept);
            kept.extend(step.to_le_bytes());
            kept.extend(steps.map(|step| step as i8 as u8));
        }
        LossyType::Int16Quantized => {
            let (step, steps) = quantize(differences(float, raw, base)?, 32_767.0);
            head(1, count, &mut kept);
            kept.extend(step.to_le_bytes());
            kept.extend(steps.flat_map(|step| (step as i16).to_le_bytes()));
        }
        LossyType::Sparse { threshold } => {
            head(2, count, &mut kept);
            encode_sparse(float, raw, base, threshold, &mut kept)?;
        }
        LossyType::PerAxisScaled { row } => {
            head(3, count, &mut kept);
            encode_signs(&differences(float, raw, base)?, row, &mut kept)?;
        }
    }
    let mut back = vec![0; raw.len()];
    apply_lossy(&kept, base, lane, &mut back)?;
    let (max_error, rms_error) = errors(float, raw, &back);
    Ok(Lossy { kept, max_error, rms_error })
}

/// Fills `out` with the base moved by a stored lossy difference. Deterministic, and total on any bytes.
///
/// # Errors
/// [`LossyError`]; `out` then holds unspecified bytes.
pub fn apply_lossy(stored: &[u8], base: &[u8], lane: Lane, out: &mut [u8]) -> Result<(), LossyError> {
    let float = Float::of(lane)?;
    check_lengths(float, out, base)?;
    let count = out.len() / float.width();
    let mut rest = stored;
    let kind = take(&mut rest, 1)?[0];
    if take_u64(&mut rest)? != count as u64 {
        return Err(LossyError::Malformed("the number of elements"));
    }
    match kind {
        0 => {
            let step = take_f64(&mut rest)?;
            let steps = take(&mut rest, count)?;
            move_by(float, base, out, steps.iter().map(|&by| f64::from(by as i8) * step));
        }
        1 => {
            let step = take_f64(&mut rest)?;
            let steps = take(&mut rest, 2 * count)?.chunks_exact(2);
            let steps = steps.map(|by| f64::from(i16::from_le_bytes([by[0], by[1]])) * step);
            move_by(float, base, out, steps);
        }
        2 => apply_sparse(float, &mut rest, base, out)?,
        3 => apply_signs(float, &mut rest, base, out)?,
        _ => return Err(LossyError::Malformed("an unknown kind")),
    }
    rest.is_empty().then_some(()).ok_or(LossyError::Malformed("bytes after the end"))
}

fn head(kind: u8, count: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(count.to_le_bytes());
}

fn check_lengths(float: Float, raw: &[u8], base: &[u8]) -> Result<(), LossyError> {
    let fits = raw.len() == base.len() && raw.len().is_multiple_of(float.width());
    fits.then_some(()).ok_or(LossyError::Length)
}

/// An element type that can be computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl Float {
    fn of(lane: Lane) -> Result<Self, LossyError> {
        match lane {
            Lane::F16 => Ok(Float::F16),
            Lane::BF16 => Ok(Float::Bf16),
            Lane::F32 => Ok(Float::F32),
            Lane::F64 => Ok(Float::F64),
            Lane::Bytes | Lane::Unsigned { .. } | Lane::Signed { .. } | Lane::Float { .. } => {
                Err(LossyError::NotFloat)
            }
        }
    }

    fn width(self) -> usize {
        match self {
            Float::F16 | Float::Bf16 => 2,
            Float::F32 => 4,
            Float::F64 => 8,
        }
    }

    /// The elements of whole words.
    fn numbers(self, bytes: &[u8]) -> impl Iterator<Item = f64> + '_ {
        bytes.chunks_exact(self.width()).map(move |word| {
            let mut wide = [0; 8];
            wide[..word.len()].copy_from_slice(word);
            let bits = u64::from_le_bytes(wide);
            match self {
                Float::F16 => f16::from_bits(bits as u16).to_f64(),
                Float::Bf16 => bf16::from_bits(bits as u16).to_f64(),
                Float::F32 => f64::from(f32::from_bits(bits as u32)),
                Float::F64 => f64::from_bits(bits),
            }
        })
    }

    /// Writes the nearest element; beyond the largest, the largest: an approximation never becomes infinite.
    fn write(self, number: f64, word: &mut [u8]) {
        let largest = match self {
            Float::F16 => f16::MAX.to_f64(),
            Float::Bf16 => bf16::MAX.to_f64(),
            Float::F32 => f64::from(f32::MAX),
            Float::F64 => f64::MAX,
        };
        let number = number.clamp(-largest, largest);
        match self {
            Float::F16 => word.copy_from_slice(&f16::from_f64(number).to_le_bytes()),
            Float::Bf16 => word.copy_from_slice(&bf16::from_f64(number).to_le_bytes()),
            Float::F32 => word.copy_from_slice(&(number as f32).to_le_bytes()),
            Float::F64 => word.copy_from_slice(&number.to_le_bytes()),
        }
    }
}

fn differences(float: Float, raw: &[u8], base: &[u8]) -> Result<Vec<f64>, LossyError> {
    let both = float.numbers(raw).zip(float.numbers(base)).enumerate();
    both.map(|(i, (raw, base))| {
        let by = raw - base;
        by.is_finite().then_some(by).ok_or(LossyError::NotFinite(i))
    })
    .collect()
}

/// The step, and how many of it each difference is: at most `most` either way, so nothing is clipped.
fn quantize(differences: Vec<f64>, most: f64) -> (f64, impl Iterator<Item = f64>) {
    let largest = differences.iter().fold(0.0f64, |largest, by| largest.max(by.abs()));
    let step = largest / most;
    // A step that underflows to zero moves nothing.
    let count = move |by: f64| if step == 0.0 { 0.0 } else { (by / step).round().clamp(-most, most) };
    (step, differences.into_iter().map(count))
}

fn move_by(float: Float, base: &[u8], out: &mut [u8], steps: impl Iterator<Item = f64>) {
    let places = out.chunks_exact_mut(float.width()).zip(float.numbers(base));
    for ((word, base), by) in places.zip(steps) {
        float.write(base + by, word);
    }
}

fn encode_sparse(
    float: Float,
    raw: &[u8],
    base: &[u8],
    threshold: f64,
    kept: &mut Vec<u8>,
) -> Result<(), LossyError> {
    if threshold.is_nan() || threshold < 0.0 {
        return Err(LossyError::Parameters);
    }
    // Differences that are no number are over every threshold; equal infinities stay.
    let stays = |raw: f64, base: f64| raw == base || (raw - base).abs() <= threshold;
    let both = float.numbers(raw).zip(float.numbers(base)).enumerate();
    let moved: Vec<usize> = both.filter(|&(_, (raw, base))| !stays(raw, base)).map(|(i, _)| i).collect();
    kept.extend((moved.len() as u64).to_le_bytes());
    kept.extend(moved.iter().flat_map(|&i| (i as u64).to_le_bytes()));
    for i in moved {
        kept.extend_from_slice(&raw[i * float.width()..][..float.width()]);
    }
    Ok(())
}

fn apply_sparse(float: Float, rest: &mut &[u8], base: &[u8], out: &mut [u8]) -> Result<(), LossyError> {
    const BEYOND: LossyError = LossyError::Malformed("more elements than there are");
    let count = usize::try_from(take_u64(rest)?).map_err(|_| BEYOND)?;
    let positions = take(rest, count.checked_mul(8).ok_or(BEYOND)?)?.as_chunks::<8>().0;
    let words = take(rest, count.checked_mul(float.width()).ok_or(BEYOND)?)?;
    out.copy_from_slice(base);
    for (&position, word) in positions.iter().zip(words.chunks_exact(float.width())) {
        let at =
            usize::try_from(u64::from_le_bytes(position)).ok().and_then(|at| at.checked_mul(float.width()));
        let place = at.and_then(|at| out.get_mut(at..)?.get_mut(..float.width())).ok_or(BEYOND)?;
        place.copy_from_slice(word);
    }
    Ok(())
}

fn encode_signs(differences: &[f64], row: usize, kept: &mut Vec<u8>) -> Result<(), LossyError> {
    if row == 0 {
        return Err(LossyError::Parameters);
    }
    kept.extend((row as u64).to_le_bytes());
    for row in differences.chunks(row) {
        // Each part divided first: a sum of huge ones would not be finite.
        let mean: f64 = row.iter().map(|by| by.abs() / row.len() as f64).sum();
        kept.extend((mean.min(f64::from(f32::MAX)) as f32).to_le_bytes());
    }
    let negative = differences.chunks(8).map(|part| {
        part.iter().enumerate().fold(0, |bits, (i, by)| bits | u8::from(by.is_sign_negative()) << i)
    });
    kept.extend(negative);
    Ok(())
}

fn apply_signs(float: Float, rest: &mut &[u8], base: &[u8], out: &mut [u8]) -> Result<(), LossyError> {
    let count = out.len() / float.width();
    let row = usize::try_from(take_u64(rest)?).unwrap_or(usize::MAX);
    if row == 0 {
        return Err(LossyError::Malformed("rows without elements"));
    }
    let scales = take(rest, 4 * count.div_ceil(row))?.as_chunks::<4>().0;
    let signs = take(rest, count.div_ceil(8))?;
    let steps = (0..count).map(|i| {
        let scale = f64::from(f32::from_le_bytes(scales[i / row]));
        if signs[i / 8] >> (i % 8) & 1 == 1 { -scale } else { scale }
    });
    move_by(float, base, out, steps);
    Ok(())
}

/// The largest and the root mean square distance of elements that are finite on both sides.
fn errors(float: Float, raw: &[u8], back: &[u8]) -> (f64, f64) {
    let both = float.numbers(raw).zip(float.numbers(back));
    let (mut largest, mut squares, mut count) = (0.0f64, 0.0, 0u64);
    for distance in both.map(|(raw, back)| (raw - back).abs()).filter(|distance| distance.is_finite()) {
        largest = largest.max(distance);
        squares += distance * distance;
        count += 1;
    }
    (largest, (squares / count.max(1) as f64).sqrt())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], LossyError> {
    super::plane::take(rest, length).map_err(LossyError::Malformed)
}

fn take_u64(rest: &mut &[u8]) -> Result<u64, LossyError> {
    let bytes = take(rest, 8)?.try_into().expect("as many bytes as were taken");
    Ok(u64::from_le_bytes(bytes))
}

fn take_f64(rest: &mut &[u8]) -> Result<f64, LossyError> {
    take_u64(rest).map(f64::from_bits)
}

#[cfg(test)]
mod tests;
