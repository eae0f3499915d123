//! Which layer of a model a tensor belongs to, as its name says: the first part between dots that is a number.

use std::collections::HashMap;

/// A tensor's name, taken apart at its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer<'a> {
    /// What is before the number, with the dot.
    pub stack: &'a str,
    /// The number.
    pub number: u64,
    /// What is behind it, with the dot.
    pub rest: &'a str,
}

impl<'a> Layer<'a> {
    /// The layer that a name says; `None` if it says none.
    pub fn of(name: &'a str) -> Option<Self> {
        let mut start = 0;
        for part in name.split('.') {
            let end = start + part.len();
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if let (true, Ok(number)) = (is_number && end < name.len(), part.parse()) {
                return Some(Self { stack: &name[..start], number, rest: &name[end..] });
            }
            start = end + 1;
        }
        None
    }

    /// The same name with another number.
    pub fn renumbered(&self, number: u64) -> String {
        format!("{}{number}{}", self.stack, self.rest)
    }
}

/// How many layers each stack of a model has.
#[derive(Debug, Clone, Default)]
pub struct Layers(HashMap<String, u64>);

impl Layers {
    /// Counts the layers in the names of all tensors of a model.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for layer in names.into_iter().filter_map(Layer::of) {
            let count = counts.entry(layer.stack.to_owned()).or_default();
            *count = (*count).max(layer.number.saturating_add(1));
        }
        Self(counts)
    }

    /// The layers of the largest stack: of a language model all of them.
    pub fn most(&self) -> u64 {
        self.0.values().copied().max().unwrap_or_default()
    }

    /// How deep a tensor lies: 0 in the first layer and before it, 1 in the last and behind it. What is in no layer comes
    /// before all if it is an embedding.
    pub fn depth(&self, name: &str) -> f64 {
        let Some(layer) = Layer::of(name) else {
            let is_embedding = ["embed", "wte", "wpe"].iter().any(|part| name.contains(part));
            return if is_embedding { 0.0 } else { 1.0 };
        };
        depth_of(layer.number, self.0.get(layer.stack).copied().unwrap_or_default())
    }
}

/// How deep one layer of so many lies; the only one is the last.
pub fn depth_of(number: u64, count: u64) -> f64 {
    if count > 1 { number as f64 / (count - 1) as f64 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_in_a_name_is_the_layer() {
        let layer = Layer::of("model.layers.12.mlp.experts.3.w").expect("a layer");
        assert_eq!((layer.stack, layer.number, layer.rest), ("model.layers.", 12, ".mlp.experts.3.w"));
        assert_eq!(layer.renumbered(7), "model.layers.7.mlp.experts.3.w");
        assert_eq!(Layer::of("0.weight").map(|layer| layer.number), Some(0));
        for name in ["model.norm.weight", "fc1.weight", "w.3", "", "..", "a.99999999999999999999999.b"] {
            assert_eq!(Layer::of(name), None, "{name}");
        }
    }

    #[test]
    fn depth_runs_from_the_first_layer_to_the_last_of_a_stack() {
        let names = ["embed.w", "enc.0.w", "enc.4.w", "dec.0.w", "head.w", "enc.2.w"];
        let layers = Layers::of(names);
        assert_eq!(names.map(|name| layers.depth(name)), [0.0, 0.0, 1.0, 1.0, 1.0, 0.5]);
        assert_eq!(layers.most(), 5);
    }
}
