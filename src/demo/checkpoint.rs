//! A checkpoint as training frameworks save it: safetensors files and a JSON file that says where training is.

use ndarray::Array2;
use serde_json::{Map, Value, json};

/// The files of one checkpoint: names with bytes, in the order in which they are saved.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// How many steps were trained.
    pub step: u32,
    /// The loss of the last step, in nats for a character.
    pub loss: f32,
    /// Names and bytes.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Checkpoint {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// A file in the safetensors format, of 32-bit numbers.
pub(super) fn safetensors(tensors: &[(String, &Array2<f32>)]) -> Vec<u8> {
    file("F32", tensors, |number| number.to_le_bytes())
}

/// The same with the numbers rounded to bfloat16.
pub(super) fn safetensors_bf16(tensors: &[(String, &Array2<f32>)]) -> Vec<u8> {
    file("BF16", tensors, |number| half::bf16::from_f32(number).to_le_bytes())
}

/// The length of a JSON header, the header padded to 8 bytes, the numbers.
fn file<const N: usize>(
    dtype: &str,
    tensors: &[(String, &Array2<f32>)],
    bytes_of: impl Fn(f32) -> [u8; N],
) -> Vec<u8> {
    let mut header = Map::new();
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += N * tensor.len();
        let shape = tensor.shape();
        header.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    for (_, tensor) in tensors {
        bytes.extend(tensor.iter().flat_map(|number| bytes_of(*number)));
    }
    bytes
}
