//! The eighteen models: what the original's benchmark makes, made again without torch.
//!
//! Two architectures, a small convolutional network and a perceptron. Each has one base as torch initialises it
//! (weights and biases uniform in +-1/sqrt(fan-in), from 24 random bits each), five variants (the base plus normal noise
//! of a fixed deviation, whatever the scale of the weights) and three exact copies under other names.

use coral::random::Random;
use serde_json::json;

/// A tensor of binary32 numbers.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Tensor {
    pub fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// A model as it is saved into one file.
pub struct Model {
    pub name: String,
    pub tensors: Vec<Tensor>,
}

/// A layer: the shape of its weights, whose first axis is the output's, and the inputs that each output sums.
struct Layer {
    name: &'static str,
    shape: &'static [usize],
}

const NETWORKS: [(&str, &[Layer]); 2] = [
    (
        "SmallCNN",
        &[
            Layer { name: "conv1", shape: &[16, 3, 3, 3] },
            Layer { name: "conv2", shape: &[32, 16, 3, 3] },
            Layer { name: "fc", shape: &[10, 2048] },
        ],
    ),
    (
        "MediumMLP",
        &[
            Layer { name: "layers.0", shape: &[512, 784] },
            Layer { name: "layers.2", shape: &[256, 512] },
            Layer { name: "layers.4", shape: &[128, 256] },
            Layer { name: "layers.6", shape: &[10, 128] },
        ],
    ),
];

/// Deviations of the noise of the variants of one base.
const NOISE: [f32; 5] = [0.001, 0.01, 0.05, 0.05, 0.05];
/// Exact copies of each base.
const COPIES: usize = 3;

/// All models, in the order in which they are saved: the bases first, then what derives from each.
pub fn models(seed: u64) -> Vec<Model> {
    let mut random = Random::new(seed);
    let bases: Vec<Model> = NETWORKS.iter().map(|(name, layers)| base(name, layers, &mut random)).collect();
    let mut derived = Vec::new();
    for base in &bases {
        for (at, &deviation) in NOISE.iter().enumerate() {
            let name = format!("{}_var{}", base.name, at + 1);
            derived.push(Model { name, tensors: noisy(&base.tensors, deviation, &mut random) });
        }
        for at in 0..COPIES {
            let name = format!("{}_checkpoint{}", base.name, at + 1);
            derived.push(Model { name, tensors: base.tensors.clone() });
        }
    }
    bases.into_iter().chain(derived).collect()
}

fn base(name: &str, layers: &[Layer], random: &mut Random) -> Model {
    let mut tensors = Vec::new();
    for layer in layers {
        let fan_in: usize = layer.shape[1..].iter().product();
        let bound = 1.0 / (fan_in as f32).sqrt();
        for (part, shape) in [("weight", layer.shape), ("bias", &layer.shape[..1])] {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|_| uniform(random, bound)).collect();
            tensors.push(Tensor { name: format!("{}.{part}", layer.name), shape: shape.to_vec(), values });
        }
    }
    Model { name: name.to_owned(), tensors }
}

fn noisy(base: &[Tensor], deviation: f32, random: &mut Random) -> Vec<Tensor> {
    let moved = |tensor: &Tensor| {
        let values = tensor.values.iter().map(|value| value + normal(random) * deviation).collect();
        Tensor { values, ..tensor.clone() }
    };
    base.iter().map(moved).collect()
}

impl Model {
    /// The bytes of the model's .safetensors file.
    pub fn file(&self) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        let mut end = 0;
        for tensor in &self.tensors {
            let start = end;
            end += 4 * tensor.values.len();
            let entry = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]});
            header.insert(tensor.name.clone(), entry);
        }
        let mut header = serde_json::Value::Object(header).to_string();
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        self.tensors.iter().for_each(|tensor| file.extend(tensor.bytes()));
        file
    }
}

/// Uniform from -bound on, below bound, in steps of a 2^24th of that.
fn uniform(random: &mut Random, bound: f32) -> f32 {
    (random.bits() >> 40) as f32 / (1 << 24) as f32 * (2.0 * bound) - bound
}

/// Normal with deviation 1 (Box and Muller, 1958).
fn normal(random: &mut Random) -> f32 {
    let unit = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let (radius, turn) = (unit(random.bits()), unit(random.bits()));
    ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()) as f32
}
