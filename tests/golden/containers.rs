//! How the golden repository of containers was made: the same small model in each that is understood, two steps of it.

use super::made::{REPOSITORY, coral};
use super::manifest::line;
use super::written::{Tensors, archive, checkpoint, gguf};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub const ARCHIVE: &[u8] = include_bytes!("containers.tar");

/// What was put in.
pub const MANIFEST: &str = include_str!("containers.txt");

/// Makes the repository below `folder` and tells what it holds, from the bytes that were put in.
pub fn make(folder: &Path) -> String {
    fs::create_dir_all(folder.join(REPOSITORY)).expect("created");
    coral(folder, &["init"]);
    let (mut files, mut lines) = (BTreeMap::new(), Vec::new());
    for step in 0..2 {
        let (weight, bias) = (weights(step, 1200), weights(step + 7, 16));
        let tensors: &Tensors<'_> = &[("weight", &weight), ("bias", &bias)];
        files.insert("model.pt", checkpoint(tensors));
        files.insert("model.gguf", gguf(tensors));
        files.insert("quantised.gguf", quantised(step));
        files.insert("views.pt", views(&weight));
        files.insert("fortran.npy", npy("<f4", true, &weight));
        files.insert("big-endian.npy", npy(">f4", false, &weight));
        files.insert("several.npy", [npy("<f4", false, &weight), npy("<V2", false, &weight)].concat());
        files.insert(
            "arrays.npz",
            archive(&[
                ("a.npy".into(), npy("<f4", false, &bias)),
                ("b.npy".into(), npy("<f4", true, &weight)),
            ]),
        );
        let message = format!("step {step}");
        for (name, bytes) in &files {
            fs::write(folder.join(REPOSITORY).join(name), bytes).expect("written");
            coral(folder, &["add", name]);
            lines.push(line(&message, name, bytes));
        }
        coral(folder, &["commit", "-m", &message]);
    }
    // What lies beside `.coral` was only there to be added.
    files.keys().for_each(|name| fs::remove_file(folder.join(REPOSITORY).join(name)).expect("removed"));
    lines.sort();
    lines.concat()
}

/// Few distinct numbers, so that the repository stays small, some of which move in their last places.
fn weights(step: u32, count: u32) -> Vec<f32> {
    (0..count)
        .map(|at| f32::from_bits(0x3c00_0000 + ((at * 7 % 23) << 16) + step * u32::from(at % 17 == 0)))
        .collect()
}

/// Rows of blocks of the type Q8_0.
fn quantised(step: u32) -> Vec<u8> {
    let mut file = gguf(&[("q", &weights(step, 34 * 8))]);
    let at = file.windows(8).position(|bytes| bytes == (34 * 8u64).to_le_bytes()).expect("the count");
    file[at..at + 8].copy_from_slice(&(32 * 32u64).to_le_bytes());
    file[at + 8] = 8;
    file
}

/// A checkpoint in which the second tensor is a part of the first: of its storage, from the 200th element on.
fn views(weight: &[f32]) -> Vec<u8> {
    let half = &weight[weight.len() / 2..];
    let mut file = checkpoint(&[("whole", weight), ("half", half)]);
    let mut replace = |from: &[u8], to: &[u8]| {
        let at = file.windows(from.len()).rposition(|bytes| bytes == from).expect("it is there");
        file[at..at + to.len()].copy_from_slice(to);
    };
    replace(b"FloatStorage\nX\x01\0\0\x001", b"FloatStorage\nX\x01\0\0\x000");
    let count = (half.len() as u32).to_le_bytes();
    replace(&[b"tQK\x00J", &count[..]].concat(), b"tQK\xc8");
    file
}

/// An array of `numpy.save`, of two columns if it is in Fortran order.
fn npy(descr: &str, is_fortran: bool, numbers: &[f32]) -> Vec<u8> {
    let (order, shape) = match is_fortran {
        true => ("True", format!("({}, 2)", numbers.len() / 2)),
        false => ("False", format!("({},)", numbers.len())),
    };
    let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    let header = format!("{text:<117}\n");
    let mut file =
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    for number in numbers {
        match descr {
            ">f4" => file.extend(number.to_be_bytes()),
            "<V2" => file.extend(&number.to_le_bytes()[2..]),
            _ => file.extend(number.to_le_bytes()),
        }
    }
    file
}
