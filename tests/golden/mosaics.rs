//! How the golden repository of mosaics was made: a model, and files of no format whose bytes are its tensors, cut and put together
//! otherwise.

use super::made::{REPOSITORY, coral};
use super::manifest::line;
use super::written::{gguf, payload};
use std::fs;
use std::path::Path;

pub const ARCHIVE: &[u8] = include_bytes!("mosaics.tar");

/// What was put in.
pub const MANIFEST: &str = include_str!("mosaics.txt");

/// Makes the repository below `folder` and tells what it holds, from the bytes that were put in.
pub fn make(folder: &Path) -> String {
    fs::create_dir_all(folder.join(REPOSITORY)).expect("created");
    coral(folder, &["init"]);
    let (query, key) = (weights(1, 5000), weights(2, 3000));
    let flat = [&b"a head that nobody knows"[..], &payload(&query), b"between", &payload(&key)].concat();
    let files = [
        ("model.gguf", gguf(&[("query", &query), ("key", &key)])),
        ("fused.gguf", gguf(&[("both", &[&key[..], &query].concat())])),
        ("flat.bin", flat.clone()),
        ("shard.bin", flat[7001..25_002].to_vec()),
    ];
    let mut lines = Vec::new();
    for (number, (name, bytes)) in files.iter().enumerate() {
        fs::write(folder.join(REPOSITORY).join(name), bytes).expect("written");
        coral(folder, &["add", name]);
        let message = format!("file {number}");
        coral(folder, &["commit", "-m", &message]);
        lines.extend(files[..=number].iter().map(|(name, bytes)| line(&message, name, bytes)));
        // What lies beside `.coral` was only there to be added.
        fs::remove_file(folder.join(REPOSITORY).join(name)).expect("removed");
    }
    lines.sort();
    lines.concat()
}

/// Numbers with few bits that are not zero, so that the repository stays small.
fn weights(seed: u32, count: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(0x3c00_0000 + (state >> 16 << 12))
    };
    (0..count).map(|_| next()).collect()
}
