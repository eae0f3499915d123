//! Pairs of checkpoints: read from safetensors files, or generated.

use half::{bf16, f16};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coral::tensor::Lane;

/// A tensor's elements in both checkpoints.
pub struct Tensor {
    pub new: Vec<f32>,
    pub base: Vec<f32>,
}

/// Two checkpoints of one model.
pub struct Pair {
    pub name: String,
    pub tensors: Vec<Tensor>,
}

/// The types that the binary32 weights are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    F32,
    F16,
    Bf16,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::F32, Kind::F16, Kind::Bf16];

    pub fn name(self) -> &'static str {
        match self {
            Kind::F32 => "f32",
            Kind::F16 => "f16",
            Kind::Bf16 => "bf16",
        }
    }

    pub fn lane(self) -> Lane {
        match self {
            Kind::F32 => Lane::F32,
            Kind::F16 => Lane::F16,
            Kind::Bf16 => Lane::BF16,
        }
    }

    pub fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Kind::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Kind::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
            Kind::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        }
    }
}

impl Pair {
    /// The pairs that the arguments or the surroundings name.
    pub fn chosen(arguments: &[String]) -> Vec<Pair> {
        if let [new, base] = arguments {
            return vec![Self::read(Path::new(new), Path::new(base), false)];
        }
        let corpus =
            std::env::var_os("CORAL_CORPUS").map_or_else(|| PathBuf::from("../shared/corpus"), PathBuf::from);
        if !corpus.is_dir() {
            return vec![Self::generated()];
        }
        let file = |name: &str| corpus.join(format!("{name}.f32.safetensors"));
        let pairs = [
            ("minilm-ft30", "minilm-base", false),
            ("minilm-ft60", "minilm-base", false),
            ("minilm-ft60", "minilm-ft30", false),
            ("gpt-s0201-weights", "gpt-s0200", false),
            ("gpt-s0240", "gpt-s0200", false),
            ("gpt-s0240", "gpt-s0200", true),
        ];
        pairs.iter().map(|(new, base, state)| Self::read(&file(new), &file(base), *state)).collect()
    }

    /// `state` selects Adam's second moments instead of the weights.
    fn read(new: &Path, base: &Path, state: bool) -> Pair {
        let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().replace(".f32", "");
        let mut others = tensors(base);
        let tensors = tensors(new)
            .into_iter()
            .filter(|(name, _)| name.starts_with("exp_avg_sq") == state)
            .filter_map(|(name, new)| others.remove(&name).map(|base| Tensor { new, base }))
            .filter(|tensor| tensor.new.len() == tensor.base.len())
            .collect();
        let part = if state { " exp_avg_sq" } else { "" };
        Pair { name: format!("{} against {}{part}", stem(new), stem(base)), tensors }
    }

    /// A fine-tune in miniature: normal weights, steps of constant size in value space, some rows only decayed.
    fn generated() -> Pair {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut tensor = |rows: usize, columns: usize| {
            let base: Vec<f32> =
                (0..rows * columns).map(|_| (uniform() + uniform() + uniform() + uniform()) * 0.08).collect();
            let mut new = base.clone();
            for (i, weight) in new.iter_mut().enumerate() {
                *weight = (0..20).fold(*weight, |weight, _| weight * (1.0 - 5.0 * f32::EPSILON / 2.0));
                if !(i / columns).is_multiple_of(4) {
                    *weight += (uniform() + uniform()) * 2e-4;
                }
            }
            Tensor { new, base }
        };
        let tensors = vec![tensor(512, 768), tensor(768, 768), tensor(768, 3)];
        Pair { name: "generated".into(), tensors }
    }
}

/// The binary32 tensors of a safetensors file.
fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let file = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value =
        serde_json::from_slice(&file[8..8 + length]).expect("a safetensors header");
    let bytes = &file[8 + length..];
    let entries = header.as_object().expect("an object").iter();
    entries
        .filter(|(_, entry)| entry["dtype"] == "F32")
        .map(|(name, entry)| {
            let offset = |k: usize| entry["data_offsets"][k].as_u64().expect("an offset") as usize;
            let words = bytes[offset(0)..offset(1)].chunks_exact(4);
            (
                name.clone(),
                words.map(|word| f32::from_le_bytes(word.try_into().expect("four bytes"))).collect(),
            )
        })
        .collect()
}
