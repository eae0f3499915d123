//! What is computed of other objects: it takes no bytes where it comes out as it is stored, whatever else happens to these.

use crate::codec::cast;
use crate::formula::{Elementwise, Formula, Mask, NumberBuffers, Operand, Scaling, TaskVectors, Weighted};
use crate::random::Philox;
use crate::tensor::Block;

use super::super::{Encoding, ObjectInfo, Repack};
use super::*;

const COUNT: usize = 140_001;

fn operand(key: ObjectKey, dtype: Dtype) -> Operand {
    Operand { dtype, key }
}

fn mean() -> Elementwise {
    Elementwise::Weighted(Weighted { weights: vec![0.5, 0.5], divisor: None })
}

/// What a formula makes of these bytes.
fn made(formula: &Formula, operands: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![0; formula.len() as usize];
    formula.fill(0, &operands.concat(), &mut NumberBuffers::default(), &mut out);
    out
}

/// A formula of two stored tensors and what it makes.
fn of_two(store: &Store, seed: u64) -> (Formula, Vec<u8>, [Vec<u8>; 2]) {
    let tensors = [weights(COUNT, seed, 0), weights(COUNT, seed, 3)];
    let operands = [0, 1].map(|number: usize| operand(put_one(store, &tensors[number], &[]).key, Dtype::F32));
    let formula = Formula::new(mean(), None, &operands, Dtype::F32, COUNT as u64).unwrap();
    let bytes = made(&formula, &[&tensors[0], &tensors[1]]);
    (formula, bytes, tensors)
}

fn put(store: &Store, formula: &Formula, bytes: &[u8]) -> (ObjectKey, ObjectInfo) {
    let ingest = store.begin().unwrap();
    let base = ingest.put_formula(formula).unwrap();
    let key = ingest.put(formula.dtype(), &bytes, &[base]).unwrap().key;
    ingest.seal().unwrap();
    (key, store.info(key).unwrap().unwrap())
}

fn assert_reads(disk: &SimulatedDisk, key: ObjectKey, bytes: &[u8]) {
    let store = open(disk);
    assert!(store.read(key).unwrap() == bytes);
    let fresh = open(disk);
    for (from, to) in [(0, 1), (bytes.len() / 3, bytes.len() / 2), (bytes.len() - 7, bytes.len())] {
        let mut part = vec![0; to - from];
        fresh.reader(key).and_then(|reader| reader.read_at(from as u64, &mut part)).unwrap();
        assert_eq!(part, bytes[from..to], "{from}..{to}");
    }
    assert!(store.verify(&|_, _| true, &Task::default()).unwrap().problems.is_empty());
}

#[test]
fn what_a_formula_makes_takes_no_bytes() {
    let disk = new_disk();
    let store = open(&disk);
    let (base, one, two) = (weights(COUNT, 1, 0), weights(COUNT, 1, 2), weights(COUNT, 1, 5));
    let keys = [&base, &one, &two].map(|bytes| put_one(&store, bytes, &[]).key);
    let operands = keys.map(|key| operand(key, Dtype::F32));
    let drawn = Mask::Random { stream: Philox { key: [7, 8] }, probability: 0.5 };
    let eachs = [
        Elementwise::OnBase(Weighted { weights: vec![0.3, 0.4], divisor: Some(0.7) }),
        Elementwise::Stock(0.25),
        Elementwise::Task(TaskVectors {
            weights: vec![1.0, 0.5],
            masks: vec![drawn, Mask::All],
            scaling: vec![Scaling::Over(0.5), Scaling::None],
            signs: None,
            normalize: false,
            lambda: 1.0,
        }),
    ];
    for each in eachs {
        for dtype in [Dtype::F32, Dtype::Bf16] {
            let formula =
                Formula::new(each.clone(), Some(operands[0]), &operands[1..], dtype, COUNT as u64).unwrap();
            let bytes = made(&formula, &[&base, &one, &two]);
            let (key, info) = put(&store, &formula, &bytes);
            assert_eq!((info.encoding, info.stored_len, info.depth > 0), (Encoding::Computed, 0, true));
            assert_reads(&disk, key, &bytes);
        }
    }
}

#[test]
fn blocks_that_lie_across_frames_take_no_bytes() {
    let numbers = weights(640_000, 7, 0);
    let mut halves = vec![0; numbers.len() / 2];
    cast(Dtype::F32, Dtype::Bf16, &numbers, &mut halves);
    for (dtype, bytes) in [(Dtype::F32, &numbers), (Dtype::Bf16, &halves)] {
        let disk = new_disk();
        let store = open(&disk);
        let ingest = store.begin().unwrap();
        let source = ingest.put(dtype, bytes, &[]).unwrap().key;
        ingest.seal().unwrap();
        for kind in [2, 3, 6, 7, 8, 39] {
            let formula = Formula::quantised(Block(kind), operand(source, dtype), 640_000).unwrap();
            let blocks = made(&formula, &[bytes]);
            let (key, info) = put(&store, &formula, &blocks);
            assert_eq!((info.encoding, info.stored_len), (Encoding::Computed, 0), "{kind}");
            assert_reads(&disk, key, &blocks);
        }
    }
}

#[test]
fn what_nearly_comes_out_is_a_difference_to_what_does() {
    let disk = new_disk();
    let store = open(&disk);
    let (formula, mut bytes, _) = of_two(&store, 2);
    for at in (0..bytes.len()).step_by(9_999) {
        bytes[at] ^= 1;
    }
    let (key, info) = put(&store, &formula, &bytes);
    assert_eq!(info.encoding, Encoding::Delta);
    assert!(info.stored_len < bytes.len() as u64 / 100, "{}", info.stored_len);
    assert_reads(&disk, key, &bytes);
}

#[test]
fn a_store_that_is_written_anew_keeps_what_is_computed() {
    let disk = new_disk();
    let store = open(&disk);
    let (formula, bytes, tensors) = of_two(&store, 3);
    let (key, _) = put(&store, &formula, &bytes);
    let request = |served: &[ObjectKey], served_depth| Repack {
        served: served.iter().copied().collect(),
        served_depth,
        level: None,
        treatments: std::collections::HashMap::new(),
    };
    assert!(store.repack(&request(&[], 9), &Task::default()).unwrap().removed > 0);
    assert_eq!(store.info(key).unwrap().unwrap().encoding, Encoding::Computed);
    assert_reads(&disk, key, &bytes);
    // What is read often is not to be computed each time.
    store.repack(&request(&[key], 0), &Task::default()).unwrap();
    assert_eq!(store.info(key).unwrap().unwrap().depth, 0);
    assert_reads(&disk, key, &bytes);
    for (operand, bytes) in formula.operands().iter().zip(&tensors) {
        assert_reads(&disk, operand.key, bytes);
    }
}

#[test]
fn what_is_computed_of_what_is_computed_comes_back() {
    let disk = new_disk();
    let store = open(&disk);
    let (formula, mut before, _) = of_two(&store, 4);
    let (mut key, _) = put(&store, &formula, &before);
    for seed in 5..12 {
        let other = weights(COUNT, 4, seed);
        let next = operand(put_one(&store, &other, &[]).key, Dtype::F32);
        let each = Elementwise::Moving(0.5);
        let models = [operand(key, Dtype::F32), next];
        let formula = Formula::new(each, None, &models, Dtype::F32, COUNT as u64).unwrap();
        let bytes = made(&formula, &[&before, &other]);
        key = put(&store, &formula, &bytes).0;
        assert_reads(&disk, key, &bytes);
        before = bytes;
    }
}

#[test]
fn a_formula_of_what_is_missing_or_of_another_length_is_passed_over() {
    let disk = new_disk();
    let store = open(&disk);
    let (_, bytes, tensors) = of_two(&store, 6);
    let short = put_one(&store, &tensors[0][..4 * 1000], &[]).key;
    let missing = ObjectKey::from_bytes([9; 16]);
    for key in [short, missing] {
        let models = [operand(key, Dtype::F32), operand(key, Dtype::F32)];
        let formula = Formula::new(mean(), None, &models, Dtype::F32, COUNT as u64).unwrap();
        let (key, info) = put(&store, &formula, &bytes);
        assert_ne!(info.encoding, Encoding::Computed);
        assert_reads(&disk, key, &bytes);
    }
}
