//! How the golden repository was made: the bytes, and the commands in their order.
//!
//! A model of f32 that learns for five commits (a chain of differences), its rounding to bf16 (a cast), a constant
//! tensor, noise that nothing makes smaller, an array of NumPy, text; a tag, a second branch, and a worktree with files
//! that nobody committed.

use super::manifest::line;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The folder that holds the repository, and the repository's own folder, below the one they were made in.
pub const REPOSITORY: &str = "repo";
pub const ROOT: &str = "repo/.coral";

/// Elements of the largest tensor: more than one frame.
const ELEMENTS: usize = 90_000;

/// Runs in the repository below `folder`.
pub fn coral(folder: &Path, arguments: &[&str]) {
    let program = std::env::var("CORAL_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_coral").to_owned());
    let mut command = Command::new(program);
    command.current_dir(folder.join(REPOSITORY)).args(arguments).env_clear();
    command.env("HOME", folder).env("CORAL_USER_NAME", "Ada").env("CORAL_USER_EMAIL", "ada@example.org");
    let output = command.output().expect("coral runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes the repository below `folder` and tells what it holds, from the bytes that were put in.
pub fn make(folder: &Path) -> String {
    let mut making = Making { folder, files: BTreeMap::new(), lines: Vec::new() };
    fs::create_dir_all(folder.join(REPOSITORY)).expect("created");
    coral(folder, &["init"]);
    making.put("text/readme.txt", sentence(400).into_bytes());
    making.put("grid.npy", npy());
    making.put("noise.bin", Numbers(99).take(3000).map(|number| number as u8).collect());
    for step in 0..5 {
        making.put("model.safetensors", model(step));
        if step == 2 {
            making.put("half.safetensors", half(step));
        }
        making.commit(&format!("step {step}"));
    }
    coral(folder, &["tag", "v1"]);
    coral(folder, &["branch", "tuned"]);
    making.put("model.safetensors", model(7));
    making.commit("after the fork");
    let main = making.files.clone();
    coral(folder, &["switch", "tuned"]);
    making.files.remove("noise.bin");
    coral(folder, &["rm", "noise.bin"]);
    making.put("model.safetensors", model(4));
    making.put("text/tuned.txt", sentence(3).into_bytes());
    making.commit("tuned");
    coral(folder, &["switch", "main"]);
    making.files = main;
    for (name, bytes) in [("text/pending.txt", sentence(9).into_bytes()), ("model.safetensors", model(9))] {
        making.lines.push(line("worktree of main", name, &bytes));
        making.put(name, bytes);
    }
    // What lies beside `.coral` was only there to be added.
    for folder in ["", "text"].map(|name| folder.join(REPOSITORY).join(name)) {
        let files = fs::read_dir(folder).expect("listed").map(|entry| entry.expect("listed").path());
        files.filter(|path| path.is_file()).for_each(|path| fs::remove_file(path).expect("removed"));
    }
    making.lines.sort();
    making.lines.concat()
}

struct Making<'a> {
    folder: &'a Path,
    /// What the current branch's worktree holds.
    files: BTreeMap<String, Vec<u8>>,
    lines: Vec<String>,
}

impl Making<'_> {
    fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let path = self.folder.join(REPOSITORY).join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, &bytes).expect("written");
        coral(self.folder, &["add", name]);
        self.files.insert(name.to_owned(), bytes);
    }

    fn commit(&mut self, message: &str) {
        coral(self.folder, &["commit", "-m", message]);
        self.lines.extend(self.files.iter().map(|(name, bytes)| line(message, name, bytes)));
    }
}

/// Numbers that are the same on every machine.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 33) as u32)
    }
}

/// The bits of weights after some steps: few distinct values, so that the repository stays small, of which each step
/// moves some in their last places.
fn weights(step: u32) -> Vec<u32> {
    let mut bits: Vec<u32> =
        Numbers(1).take(ELEMENTS).map(|number| 0x3c00_0000 + ((number % 23) << 16)).collect();
    for step in 1..=step {
        for (bits, number) in bits.iter_mut().zip(Numbers(u64::from(step))) {
            *bits += u32::from(number.is_multiple_of(17)) * (number >> 8 & 3);
        }
    }
    bits
}

fn model(step: u32) -> Vec<u8> {
    let weights = weights(step).into_iter().flat_map(u32::to_le_bytes).collect();
    let bias = Numbers(u64::from(step)).take(64).flat_map(|number| (number % 1000).to_le_bytes()).collect();
    let ones = [1f32; 5000].into_iter().flat_map(f32::to_le_bytes).collect();
    safetensors(&[("weight", "F32", 4, weights), ("bias", "I32", 4, bias), ("ones", "F32", 4, ones)])
}

/// The model's weights rounded down to bf16, and nothing else.
fn half(step: u32) -> Vec<u8> {
    let weights = weights(step).into_iter().flat_map(|bits| ((bits >> 16) as u16).to_le_bytes()).collect();
    safetensors(&[("weight", "BF16", 2, weights)])
}

/// A safetensors file of these tensors: name, type, bytes of an element, payload.
fn safetensors(tensors: &[(&str, &str, usize, Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, dtype, width, payload) in tensors {
        let start = end;
        end += payload.len();
        let offsets = [start, end];
        let entry =
            serde_json::json!({ "dtype": dtype, "shape": [payload.len() / width], "data_offsets": offsets });
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    tensors.iter().for_each(|(.., payload)| bytes.extend(payload));
    bytes
}

/// 40 by 50 doubles.
fn npy() -> Vec<u8> {
    let header = format!("{:<117}\n", "{'descr': '<f8', 'fortran_order': False, 'shape': (40, 50), }");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.into_bytes());
    bytes.extend((0..2000u32).flat_map(|at| f64::from(at * at).to_le_bytes()));
    bytes
}

fn sentence(lines: u32) -> String {
    (0..lines).map(|line| format!("line {line} of a text that somebody keeps beside the weights\n")).collect()
}
