//! The record of a formula. One formula has one encoding; reading is total. `docs/format.md` draws every byte.

use super::elementwise::Elementwise;
use super::formula::{Formula, OPERANDS_MAX, Operand, What};
use super::mask::Mask;
use super::task::{Consensus, Scaling, TaskVectors};
use super::top::Top;
use super::weighted::Weighted;
use crate::id::ObjectKey;
use crate::random::Philox;
use crate::tensor::{Block, Dtype};
use crate::wire::{Reader, WireError, Writer};

const MAGIC: &[u8; 4] = b"CFRM";
const VERSION: u16 = 1;

type Read<T> = Result<T, WireError>;

impl Formula {
    /// The record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::record(MAGIC, VERSION);
        out.u8(self.dtype.code());
        out.u64(self.elements);
        out.u8(self.operands.len() as u8);
        for operand in &self.operands {
            out.u8(operand.dtype.code());
            out.raw(operand.key.as_bytes());
        }
        match &self.what {
            What::Each(Elementwise::Weighted(weighted)) => put_weighted(&mut out, 0, weighted),
            What::Each(Elementwise::OnBase(weighted)) => put_weighted(&mut out, 1, weighted),
            What::Each(Elementwise::Moving(decay)) => put_number(&mut out, 2, *decay),
            What::Each(Elementwise::Stock(t)) => put_number(&mut out, 3, *t),
            What::Each(Elementwise::Task(task)) => put_task(&mut out, task),
            What::Quantised(Block(code)) => {
                out.u8(5);
                out.u32(*code);
            }
        }
        out.finish()
    }

    /// The formula of a record.
    ///
    /// # Errors
    /// If it is none, or what it says does not fit together.
    pub fn decode(bytes: &[u8]) -> Read<Self> {
        let mut from = Reader::record(bytes, MAGIC, VERSION, "formula")?;
        let dtype = dtype(&mut from)?;
        let elements = from.u64("elements")?;
        let count = usize::from(from.u8("count of operands")?);
        if count > OPERANDS_MAX {
            return Err(WireError::Invalid("count of operands"));
        }
        let mut operands = Vec::with_capacity(count);
        for _ in 0..count {
            let dtype = self::dtype(&mut from)?;
            let key = from.raw(ObjectKey::LEN, "operand")?;
            let key = key.try_into().map_err(|_| WireError::Truncated("operand"))?;
            operands.push(Operand { dtype, key: ObjectKey::from_bytes(key) });
        }
        let kind = from.u8("kind of formula")?;
        let has_base = matches!(kind, 1 | 3 | 4);
        let models = count.saturating_sub(usize::from(has_base));
        let what = match kind {
            0 => What::Each(Elementwise::Weighted(weighted(&mut from, models)?)),
            1 => What::Each(Elementwise::OnBase(weighted(&mut from, models)?)),
            2 => What::Each(Elementwise::Moving(number(&mut from)?)),
            3 => What::Each(Elementwise::Stock(number(&mut from)?)),
            4 => What::Each(Elementwise::Task(task(&mut from, models)?)),
            5 => What::Quantised(Block(from.u32("kind of blocks")?)),
            _ => return Err(WireError::Invalid("kind of formula")),
        };
        from.finish()?;
        let formula = Self { what, has_base, operands, dtype, elements };
        formula.sound().ok_or(WireError::Invalid("formula"))
    }
}

fn put_number(out: &mut Writer, kind: u8, number: f64) {
    out.u8(kind);
    out.u64(number.to_bits());
}

fn put_weighted(out: &mut Writer, kind: u8, weighted: &Weighted) {
    out.u8(kind);
    weighted.weights.iter().for_each(|weight| out.u64(weight.to_bits()));
    match weighted.divisor {
        None => out.u8(0),
        Some(divisor) => put_number(out, 1, divisor),
    }
}

fn put_task(out: &mut Writer, task: &TaskVectors) {
    out.u8(4);
    for ((weight, mask), scaling) in task.weights.iter().zip(&task.masks).zip(&task.scaling) {
        out.u64(weight.to_bits());
        match mask {
            Mask::Top(Top { size, until }) => {
                out.u8(1);
                out.u32(*size);
                out.u64(*until);
            }
            Mask::Random { stream, probability } => {
                out.u8(2);
                stream.key.iter().for_each(|word| out.u64(*word));
                out.u64(probability.to_bits());
            }
            Mask::All => out.u8(0),
            // `Elementwise::takes` refuses formulas with them.
            Mask::Ranked { .. } => unreachable!("no formula has ranks"),
            #[cfg(test)]
            Mask::Given(_) => unreachable!("no formula has one"),
        }
        match scaling {
            Scaling::None => out.u8(0),
            Scaling::Times(factor) => put_number(out, 1, *factor),
            Scaling::Over(part) => put_number(out, 2, *part),
        }
    }
    out.u8(match task.signs {
        None => 0,
        Some(Consensus::Sum) => 1,
        Some(Consensus::Count) => 2,
    });
    out.u8(u8::from(task.normalize));
    out.u64(task.lambda.to_bits());
}

fn number(from: &mut Reader<'_>) -> Read<f64> {
    Ok(f64::from_bits(from.u64("number of a formula")?))
}

fn flag(from: &mut Reader<'_>, what: &'static str) -> Read<bool> {
    match from.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::Invalid(what)),
    }
}

fn dtype(from: &mut Reader<'_>) -> Read<Dtype> {
    Dtype::from_code(from.u8("element type")?).map_err(|_| WireError::Invalid("element type"))
}

fn weighted(from: &mut Reader<'_>, models: usize) -> Read<Weighted> {
    let weights = (0..models).map(|_| number(from)).collect::<Read<Vec<f64>>>()?;
    let divisor = flag(from, "divisor")?.then(|| number(from)).transpose()?;
    Ok(Weighted { weights, divisor })
}

fn task(from: &mut Reader<'_>, models: usize) -> Read<TaskVectors> {
    let (mut weights, mut masks, mut scaling) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..models {
        weights.push(number(from)?);
        masks.push(match from.u8("mask")? {
            0 => Mask::All,
            1 => Mask::Top(Top { size: from.u32("mask")?, until: from.u64("mask")? }),
            2 => {
                let key = [from.u64("mask")?, from.u64("mask")?];
                Mask::Random { stream: Philox { key }, probability: number(from)? }
            }
            _ => return Err(WireError::Invalid("mask")),
        });
        scaling.push(match from.u8("scaling")? {
            0 => Scaling::None,
            1 => Scaling::Times(number(from)?),
            2 => Scaling::Over(number(from)?),
            _ => return Err(WireError::Invalid("scaling")),
        });
    }
    let signs = match from.u8("signs")? {
        0 => None,
        1 => Some(Consensus::Sum),
        2 => Some(Consensus::Count),
        _ => return Err(WireError::Invalid("signs")),
    };
    let normalize = flag(from, "normalize")?;
    Ok(TaskVectors { weights, masks, scaling, signs, normalize, lambda: number(from)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn operand(byte: u8, dtype: Dtype) -> Operand {
        Operand { dtype, key: ObjectKey::from_bytes([byte; 16]) }
    }

    fn formulas() -> Vec<Formula> {
        let weighted = |divisor| Weighted { weights: vec![0.25, -0.0], divisor };
        let mask = [
            Mask::Top(Top { size: 77, until: u64::MAX }),
            Mask::Random { stream: Philox { key: [1, u64::MAX] }, probability: 0.5 },
        ];
        let task = |signs, masks: Vec<Mask>| TaskVectors {
            weights: vec![1.0, 2.0],
            masks,
            scaling: vec![Scaling::Over(0.5), Scaling::Times(3.0)],
            signs,
            normalize: true,
            lambda: 0.75,
        };
        let eachs = [
            (Elementwise::Weighted(weighted(None)), false),
            (Elementwise::OnBase(weighted(Some(3.0))), true),
            (Elementwise::Moving(0.9), false),
            (Elementwise::Stock(0.3), true),
            (Elementwise::Task(task(Some(Consensus::Count), mask.to_vec())), true),
            (Elementwise::Task(task(None, vec![Mask::All; 2])), true),
        ];
        let models = [operand(1, Dtype::F32), operand(2, Dtype::Bf16)];
        let base = operand(3, Dtype::F16);
        let of = |(each, has_base): (Elementwise, bool)| {
            Formula::new(each, has_base.then_some(base), &models, Dtype::Bf16, 3000).expect("sound")
        };
        let quantised = Formula::quantised(Block(8), base, 320).expect("sound");
        eachs.into_iter().map(of).chain([quantised]).collect()
    }

    #[test]
    fn formulas_come_back_and_no_other_bytes_are_one() {
        for formula in formulas() {
            let bytes = formula.encode();
            assert_eq!(Formula::decode(&bytes).expect("a formula"), formula);
            for len in 0..bytes.len() {
                assert!(Formula::decode(&bytes[..len]).is_err());
            }
            assert!(Formula::decode(&[&bytes[..], &[0]].concat()).is_err());
            // Whatever bytes say, what is read is what is written of it.
            let mut random = Random::new(9);
            for _ in 0..20_000 {
                let mut other = bytes.clone();
                let at = random.below(other.len());
                other[at] = random.bits() as u8;
                if let Ok(formula) = Formula::decode(&other) {
                    assert_eq!(formula.encode(), other);
                }
            }
        }
    }

    #[test]
    fn what_needs_rows_or_does_not_fit_is_no_formula() {
        let models = [operand(1, Dtype::F32), operand(2, Dtype::F32)];
        let one = Weighted { weights: vec![1.0], divisor: None };
        assert!(Formula::new(Elementwise::Weighted(one.clone()), None, &models, Dtype::F32, 1).is_none());
        assert!(Formula::new(Elementwise::OnBase(one.clone()), None, &models[..1], Dtype::F32, 1).is_none());
        assert!(Formula::new(Elementwise::Weighted(one), None, &models[..1], Dtype::I32, 1).is_none());
        let ranked = Mask::Ranked { stream: Philox { key: [0, 0] }, density: 0.5, epsilon: 0.1, row: 8 };
        let task = TaskVectors {
            weights: vec![1.0],
            masks: vec![ranked],
            scaling: vec![Scaling::None],
            signs: None,
            normalize: false,
            lambda: 1.0,
        };
        let made = Formula::new(Elementwise::Task(task), Some(models[1]), &models[..1], Dtype::F32, 1);
        assert!(made.is_none());
    }
}
