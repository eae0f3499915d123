//! The methods against what was computed from their definitions by other means, and what has to hold whatever the numbers.

mod digests;
mod golden;

use super::*;
use crate::formula::{Elementwise, Mask, Scaling, TaskVectors};
use crate::random::Random;
use crate::store::Slice;
use crate::tensor::{Dtype, narrow};
use crate::threads::Threads;

/// The bytes of numbers.
fn bytes(dtype: Dtype, numbers: &[f64]) -> Vec<u8> {
    let mut bytes = vec![0; numbers.len() * (dtype.bits() / 8) as usize];
    assert!(narrow(dtype, numbers, &mut bytes));
    bytes
}

/// Tensors as bytes, the base first.
struct Tensors {
    dtype: Dtype,
    shape: Vec<u64>,
    bytes: Vec<Vec<u8>>,
}

impl Tensors {
    fn of(dtype: Dtype, shape: &[u64], base: &[f64], models: &[Vec<f64>]) -> Self {
        let all = std::iter::once(base).chain(models.iter().map(Vec::as_slice));
        Self { dtype, shape: shape.to_vec(), bytes: all.map(|numbers| bytes(dtype, numbers)).collect() }
    }

    fn facing(&self, name: &str, has_base: bool, models: usize) -> Facing<'_> {
        let all: Vec<Numbers<'_>> = self
            .bytes
            .iter()
            .map(|bytes| {
                let (dtype, source, len) =
                    (self.dtype, bytes as &dyn crate::store::Source, bytes.len() as u64);
                Numbers { dtype, bytes: Slice { source, offset: 0, len }, object: None }
            })
            .collect();
        Facing {
            name: name.into(),
            shape: self.shape.clone(),
            base: has_base.then(|| all[0]),
            models: all[1..=models].to_vec(),
        }
    }
}

/// What is asked of a method.
#[derive(Clone)]
struct Wanted {
    method: Method,
    parameters: Parameters,
    rescale: Rescale,
    consensus: Consensus,
    clamp: bool,
    seed: u64,
    threads: usize,
}

impl Wanted {
    fn of(method: Method, all: &[(Parameter, f64)], weights: &[f64]) -> Self {
        let all = all.iter().map(|(parameter, value)| (*parameter, Values::number(*value))).collect();
        let each = weights.iter().map(|weight| Scope::from([(Parameter::Weight, Values::number(*weight))]));
        let parameters = Parameters { all, each: each.collect() };
        Self {
            method,
            parameters,
            rescale: Rescale::L1,
            consensus: Consensus::Sum,
            clamp: false,
            seed: 7,
            threads: 2,
        }
    }

    fn prepared(&self, facing: &Facing<'_>) -> Result<Prepared> {
        let settings = self.parameters.settings(self.method, facing.models.len(), &facing.name, 0.0)?;
        let (method, seed, rescale, clamp) = (self.method, self.seed, self.rescale, self.clamp);
        let consensus = self.consensus;
        let asked = Asked { method, settings: &settings, seed, rescale, consensus, clamp };
        let (threads, task) = (Threads::new(self.threads), crate::task::Task::default());
        prepare(asked, facing, &Passes { threads: &threads, task: &task, allow_nonfinite: false })
    }

    fn run(&self, facing: Facing<'_>, dtype: Dtype) -> Result<Vec<u8>> {
        let kernel = self.prepared(&facing)?.kernel;
        made(&Blend::by(facing, dtype, kernel))
    }
}

fn made(blend: &Blend<'_>) -> Result<Vec<u8>> {
    let mut all = vec![0; blend.len() as usize];
    let mut making = Making::default();
    // Backwards: no piece depends on another.
    for index in (0..blend.pieces()).rev() {
        let (offset, piece) = blend.piece(index, &mut making)?;
        all[offset as usize..][..piece.len()].copy_from_slice(piece);
    }
    blend.check(false)?;
    Ok(all)
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}

const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.4];

#[test]
fn twelve_numbers_come_out_as_they_were_computed_elsewhere() {
    use Parameter::{Decay, Density, FilterWise, Flatten, Lambda, Normalize, T};
    let models: Vec<Vec<f64>> = golden::MODELS.iter().map(|model| model.to_vec()).collect();
    let tensors = Tensors::of(Dtype::F64, &[3, 4], &golden::BASE, &models);
    let of = |method, all: &[_]| Wanted::of(method, all, &WEIGHTS);
    // With how many models, with a base, and whether every bit is that of the definition: a sum of all elements is added in
    // another order there.
    let cases = [
        ("linear", of(Method::Linear, &[]), 3, false, true),
        ("linear_unnormalized", of(Method::Linear, &[(Normalize, 0.0)]), 3, false, true),
        ("slerp_t0.3", of(Method::Slerp, &[(T, 0.3)]), 0, false, false),
        ("nuslerp_flat", of(Method::Nuslerp, &[]), 2, false, false),
        ("nuslerp_last", of(Method::Nuslerp, &[(Flatten, 0.0)]), 2, false, false),
        ("model_stock", of(Method::ModelStock, &[]), 3, true, false),
        ("model_stock_rows", of(Method::ModelStock, &[(FilterWise, 1.0)]), 3, true, false),
        ("task_arithmetic_lambda0.7", of(Method::TaskArithmetic, &[(Lambda, 0.7)]), 3, true, true),
        ("ties_density0.5", of(Method::Ties, &[(Density, 0.5)]), 3, true, true),
        ("ema_decay0.9", of(Method::Ema, &[(Decay, 0.9)]), 3, false, true),
    ];
    for (name, wanted, models, has_base, is_exact) in cases {
        let facing = match models {
            // From the base to the first model.
            0 => {
                let mut facing = tensors.facing("w", true, 1);
                facing.models.insert(0, facing.base.take().expect("a base"));
                facing
            }
            _ => tensors.facing("w", has_base, models),
        };
        let got = numbers(&wanted.run(facing, Dtype::F64).expect(name));
        check(name, &got, is_exact);
    }
}

/// Compares with the known results: every bit, or what differs in the last ones, and all of them as `f32`.
fn check(name: &str, got: &[f64], is_exact: bool) {
    let (_, known) = golden::RESULTS.iter().find(|(known, _)| *known == name).expect("a result");
    for (got, known) in got.iter().zip(known) {
        assert!((got - known).abs() <= 1e-12, "{name}: {got} {known}");
        assert!(!is_exact || got.to_bits() == known.to_bits(), "{name}: {got} {known}");
        assert_eq!(*got as f32, *known as f32, "{name}");
    }
}

#[test]
fn given_masks_make_what_was_computed_elsewhere() {
    let models: Vec<Vec<f64>> = golden::MODELS.iter().map(|model| model.to_vec()).collect();
    let tensors = Tensors::of(Dtype::F64, &[3, 4], &golden::BASE, &models);
    let lengths = |model: usize| {
        let differences =
            golden::MODELS[model].iter().zip(&golden::BASE).map(|(value, base)| (value - base).abs());
        let kept = differences
            .clone()
            .zip(&golden::MASKS[model])
            .map(|(value, kept)| if *kept { value } else { 0.0 });
        sums::sum(differences) / sums::sum(kept)
    };
    let by_length: Vec<Scaling> = (0..3).map(|model| Scaling::Times(lengths(model))).collect();
    for (name, scaling, signs, is_exact) in [
        ("dare_linear_masks_l1", by_length.clone(), false, false),
        ("dare_linear_masks_inverse0.5", vec![Scaling::Over(0.5); 3], false, true),
        ("dare_ties_masks_l1", by_length, true, false),
    ] {
        let masks = golden::MASKS.iter().map(|mask| Mask::Given(mask.to_vec())).collect();
        let weights = WEIGHTS.to_vec();
        let signs = signs.then_some(Consensus::Sum);
        let task = TaskVectors { weights, masks, scaling, signs, normalize: false, lambda: 1.0 };
        let blend = Blend::by(tensors.facing("w", true, 3), Dtype::F64, Elementwise::Task(task).into());
        check(name, &numbers(&made(&blend).expect(name)), is_exact);
    }
}

/// The models that `reference.py` generates.
fn generated(dtype: Dtype) -> Tensors {
    const ELEMENTS: usize = 6 * 50_001;
    let random = |seed: u64, scale: f32| {
        let mut random = Random::new(seed);
        (0..ELEMENTS).map(move |_| random.symmetric() * scale)
    };
    let base: Vec<f32> = random(1, 0.1).collect();
    let model = |seed| base.iter().zip(random(seed, 0.02)).map(|(base, more)| base + more).collect();
    let all: Vec<Vec<f32>> = vec![base.clone(), model(2), model(3), model(4)];
    let bytes = |numbers: &Vec<f32>| match dtype {
        // Cut off, not rounded: as there.
        Dtype::Bf16 => numbers.iter().flat_map(|number| number.to_le_bytes()[2..].to_vec()).collect(),
        _ => bytes(dtype, &numbers.iter().map(|number| f64::from(*number)).collect::<Vec<_>>()),
    };
    Tensors { dtype, shape: vec![6, 50_001], bytes: all.iter().map(bytes).collect() }
}

/// What is wanted by the name that `reference.py` gives it, of how many models, with or without a base.
fn wanted(name: &str) -> (Wanted, usize, bool) {
    use Parameter::{Decay, Density, Epsilon, FilterWise, Flatten, Lambda, Normalize, T};
    let of = |method, all: &[_]| Wanted::of(method, all, &WEIGHTS);
    let della = [(Density, 0.5), (Epsilon, 0.2)];
    match name {
        "linear" => (of(Method::Linear, &[]), 3, false),
        "sum" => (of(Method::Linear, &[(Normalize, 0.0)]), 3, false),
        "slerp" => (of(Method::Slerp, &[(T, 0.3)]), 2, false),
        "nuslerp" => (of(Method::Nuslerp, &[]), 2, false),
        "nuslerp on base" => (of(Method::Nuslerp, &[]), 2, true),
        "nuslerp by rows" => (of(Method::Nuslerp, &[(Flatten, 0.0)]), 2, false),
        "model-stock" => (of(Method::ModelStock, &[]), 3, true),
        "model-stock by rows" => (of(Method::ModelStock, &[(FilterWise, 1.0)]), 3, true),
        "ema" => (of(Method::Ema, &[(Decay, 0.9)]), 3, false),
        "task-arithmetic" => (of(Method::TaskArithmetic, &[(Lambda, 0.7)]), 3, true),
        "ties" => (of(Method::Ties, &[(Density, 0.3)]), 3, true),
        "dare-linear" => (of(Method::DareLinear, &[(Density, 0.4)]), 3, true),
        "dare-linear inverse" => {
            let wanted = of(Method::DareLinear, &[(Density, 0.4)]);
            (Wanted { rescale: Rescale::Inverse, ..wanted }, 3, true)
        }
        "dare-ties" => (of(Method::DareTies, &[(Density, 0.4)]), 3, true),
        "della" => (of(Method::Della, &della), 3, true),
        "della-linear" => (of(Method::DellaLinear, &della), 3, true),
        other => panic!("no method is called {other}"),
    }
}

#[test]
fn large_tensors_come_out_to_the_last_bit_whatever_threads_make_them() {
    let mut tensors = generated(Dtype::F32);
    for (dtype, name, digest) in digests::DIGESTS {
        if tensors.dtype != *dtype {
            tensors = generated(*dtype);
        }
        let (wanted, models, has_base) = wanted(name);
        for threads in [1, 3] {
            let facing = tensors.facing("model.layers.1.mlp.weight", has_base, models);
            let got = Wanted { threads, ..wanted.clone() }.run(facing, *dtype).expect(name);
            let got = blake3::hash(&got).to_hex();
            assert_eq!(&got[..16], *digest, "{name} of {dtype:?} by {threads} threads");
        }
    }
}

mod faults;

#[test]
fn signs_are_elected_by_the_sum_or_by_how_many_have_them() {
    // Two are a little below the base and one far above it; then one of each, and all where the base is.
    let models = [vec![-1.0, 1.0, 0.0], vec![-2.0, -2.0, 0.0], vec![9.0, 0.0, 0.0]];
    let tensors = Tensors::of(Dtype::F64, &[3], &[0.0; 3], &models);
    let wanted = Wanted::of(Method::Ties, &[(Parameter::Normalize, 0.0)], &[1.0; 3]);
    let run = |wanted: &Wanted| numbers(&wanted.run(tensors.facing("w", true, 3), Dtype::F64).expect("made"));
    assert_eq!(run(&wanted), [9.0, -2.0, 0.0]);
    assert_eq!(run(&Wanted { consensus: Consensus::Count, ..wanted }), [-3.0, 1.0, 0.0]);
}
