//! How the golden repository of formulas was made: a base, two models of it, and what every method that has a formula
//! makes of them.
//!
//! What these make is defined to the last bit, and checked against other implementations elsewhere: so the manifest, which
//! was written once, is of bytes that may never become others.

use super::made::{REPOSITORY, coral};
use super::written::{Tensors, payload};
use std::fs;
use std::path::Path;

pub const ARCHIVE: &[u8] = include_bytes!("formulas.tar");

/// What it holds.
pub const MANIFEST: &str = include_str!("formulas.txt");

/// The methods, as they are asked for.
pub const METHODS: [&[&str]; 9] = [
    &["linear", "--weights", "3,1"],
    &["linear", "--out-dtype", "bfloat16"],
    &["slerp", "-t", "0.25"],
    &["nuslerp", "--weights", "1,2"],
    &["ema", "--decay", "0.75"],
    &["task-arithmetic", "--base", "base", "--lambda", "0.5"],
    &["ties", "--base", "base", "--density", "0.3"],
    &["dare-linear", "--base", "base", "--density", "0.5", "--seed", "7"],
    &["model-stock", "--base", "base"],
];

/// Makes the repository below `folder`.
pub fn make(folder: &Path) {
    fs::create_dir_all(folder.join(REPOSITORY)).expect("created");
    coral(folder, &["init"]);
    for (number, name) in ["base", "math", "code"].into_iter().enumerate() {
        let (weight, bias) = (weights(number as u32, 2200), weights(number as u32 + 7, 16));
        let file = safetensors(&[("weight", &weight), ("bias", &bias)]);
        fs::write(folder.join(REPOSITORY).join("model.safetensors"), file).expect("written");
        coral(folder, &["add", "model.safetensors"]);
        coral(folder, &["commit", "-m", name]);
        coral(folder, &["tag", name]);
    }
    fs::remove_file(folder.join(REPOSITORY).join("model.safetensors")).expect("removed");
    for (number, method) in METHODS.iter().enumerate() {
        let message = format!("method {number}");
        coral(folder, &[&["soup", "math", "code", "-m", &message, "--method"], *method].concat());
    }
}

/// Few distinct numbers, so that the repository stays small, some of which move in their last places.
fn weights(step: u32, count: u32) -> Vec<f32> {
    (0..count)
        .map(|at| {
            let moved = (at * 31 + step * 17) % 29 * u32::from(step > 0);
            f32::from_bits(0x3c00_0000 + ((at * 7 % 23) << 16) + moved * 4001)
        })
        .collect()
}

/// A safetensors file.
fn safetensors(tensors: &Tensors<'_>) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, numbers) in tensors {
        let start = data.len();
        data.extend(payload(numbers));
        let (count, end) = (numbers.len(), data.len());
        entries.push(format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{count}],\"data_offsets\":[{start},{end}]}}"
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}
