//! Which random numbers a model's differences get.

use super::method::Method;
use crate::random::Philox;

/// The random numbers of a model's differences: others for each method, tensor and model, the same on every machine.
pub(super) fn stream(seed: u64, method: Method, tensor: &str, model: usize) -> Philox {
    let mut hasher = blake3::Hasher::new();
    hasher.update(method.name().as_bytes()).update(&[0]).update(tensor.as_bytes()).update(&[0]);
    hasher.update(&(model as u64).to_le_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    Philox { key: [seed, u64::from_le_bytes(first)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_name_model_and_method_change_the_mask() {
        let keys = [
            stream(0, Method::DareTies, "w", 0),
            stream(1, Method::DareTies, "w", 0),
            stream(0, Method::DareTies, "v", 0),
            stream(0, Method::DareTies, "w", 1),
            stream(0, Method::DareLinear, "w", 0),
        ];
        for (number, key) in keys.iter().enumerate() {
            assert!(keys[..number].iter().all(|other| other != key), "{number}");
        }
        // Never to be changed: what was made with it has to be made again.
        assert_eq!(keys[0].key, [0, STREAM_OF_W]);
    }

    const STREAM_OF_W: u64 = 15_871_958_620_205_214_296;
}
