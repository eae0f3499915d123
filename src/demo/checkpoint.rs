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

/// A file in the safetensors format: the length of a JSON header, the header padded to 8 bytes, the numbers.
pub(super) fn safetensors(tensors: &[(String, &Array2<f32>)]) -> Vec<u8> {
    let mut header = Map::new();
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += 4 * tensor.len();
        let shape = tensor.shape();
        header.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    for (_, tensor) in tensors {
        bytes.extend(tensor.iter().flat_map(|number| number.to_le_bytes()));
    }
    bytes
}
