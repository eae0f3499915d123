//! Training: a text, a network, an optimizer, and checkpoints of them.

use super::adamw::AdamW;
use super::checkpoint::{Checkpoint, safetensors, safetensors_bf16};
use super::network::{Batch, CONTEXT, Network};
use crate::random::Random;
use serde_json::json;

const RATE: f32 = 1e-3;
const DECAY: f32 = 0.01;
const SEED: u64 = 17;
/// The parameters before those of the output layer.
const BACKBONE: usize = 3;

/// How large a network is, and how much it sees in a step.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Units of the hidden layer.
    pub hidden: usize,
    /// Contexts in a batch.
    pub batch: usize,
}

/// A network in training.
#[derive(Debug, Clone)]
pub struct Training {
    text: Vec<usize>,
    network: Network,
    optimizers: Vec<AdamW>,
    random: Random,
    size: Size,
    step: u32,
    loss: f32,
    rate: f32,
    /// Whether only what comes last learns.
    is_frozen: bool,
}

impl Training {
    /// Training on a text of more than 16 characters that has not begun.
    pub fn new(text: &str, size: Size) -> Self {
        let mut vocabulary: Vec<char> = text.chars().collect();
        vocabulary.sort_unstable();
        vocabulary.dedup();
        let number = |c: char| vocabulary.partition_point(|&known| known < c);
        let mut random = Random::new(SEED);
        let network = Network::new(vocabulary.len(), size.hidden, &mut random);
        let optimizers = network.parameters().iter().map(|(_, weight)| AdamW::new(weight.dim())).collect();
        let text = text.chars().map(number).collect();
        Self {
            text,
            network,
            optimizers,
            random,
            size,
            step: 0,
            loss: f32::INFINITY,
            rate: RATE,
            is_frozen: false,
        }
    }

    /// How many numbers are learned.
    pub fn parameters(&self) -> usize {
        self.network.parameters().iter().map(|(_, weight)| weight.len()).sum()
    }

    /// Goes on with what was learned at another rate, with an optimizer that remembers nothing; frozen, only the output layer
    /// learns.
    #[must_use]
    pub fn tuned(mut self, rate: f32, is_frozen: bool) -> Self {
        self.optimizers =
            self.network.parameters().iter().map(|(_, weight)| AdamW::new(weight.dim())).collect();
        Self { rate, is_frozen, ..self }
    }

    /// Trains a number of steps and returns the last loss, in nats for a character.
    pub fn train(&mut self, steps: u32) -> f32 {
        for _ in 0..steps {
            let batch = self.draw();
            let (loss, gradient) = self.network.loss(&batch);
            let gradients = gradient.parameters().map(|(_, gradient)| gradient);
            let (rate, backbone) = (self.rate, if self.is_frozen { BACKBONE } else { 0 });
            for ((weight, gradient), optimizer) in self
                .network
                .parameters_mut()
                .into_iter()
                .zip(gradients)
                .zip(&mut self.optimizers)
                .skip(backbone)
            {
                optimizer.step(weight, gradient, rate, DECAY);
            }
            self.step += 1;
            self.loss = loss;
        }
        self.loss
    }

    fn draw(&mut self) -> Batch {
        let last = self.text.len() - CONTEXT;
        let starts: Vec<usize> = (0..self.size.batch).map(|_| self.random.below(last)).collect();
        let context = |&start: &usize| std::array::from_fn(|offset| self.text[start + offset]);
        Batch {
            contexts: starts.iter().map(context).collect(),
            next: starts.iter().map(|start| self.text[start + CONTEXT]).collect(),
        }
    }

    /// The files of a model in bfloat16 with where training is: what fine-tunes are kept as.
    pub fn model(&self) -> Checkpoint {
        let weights: Vec<_> =
            self.network.parameters().into_iter().map(|(name, weight)| (name.to_owned(), weight)).collect();
        let state = json!({ "global_step": self.step, "loss": self.loss });
        let files = vec![
            ("model.safetensors".into(), safetensors_bf16(&weights)),
            ("trainer_state.json".into(), format!("{state:#}\n").into_bytes()),
        ];
        Checkpoint { step: self.step, loss: self.loss, files }
    }

    /// The files that a training framework would save now: weights, optimizer state, and where training is, last.
    pub fn checkpoint(&self) -> Checkpoint {
        let weights: Vec<_> =
            self.network.parameters().into_iter().map(|(name, weight)| (name.to_owned(), weight)).collect();
        let names = self.network.parameters().map(|(name, _)| name);
        let moments: Vec<_> = names
            .iter()
            .zip(&self.optimizers)
            .flat_map(|(name, moments)| {
                [
                    (format!("{name}.exp_avg"), &moments.exp_avg),
                    (format!("{name}.exp_avg_sq"), &moments.exp_avg_sq),
                ]
            })
            .collect();
        let state = json!({ "global_step": self.step, "loss": self.loss });
        Checkpoint {
            step: self.step,
            loss: self.loss,
            files: vec![
                ("model.safetensors".into(), safetensors(&weights)),
                ("optimizer.safetensors".into(), safetensors(&moments)),
                ("trainer_state.json".into(), format!("{state:#}\n").into_bytes()),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::propose;

    #[test]
    fn the_network_learns_its_text() {
        let mut training = Training::new(&"to be or not to be, ".repeat(20), Size { hidden: 32, batch: 32 });
        let before = training.train(1);
        let after = training.train(60);
        assert!(after < before / 2.0, "{before} became {after}");
    }

    #[test]
    fn a_frozen_backbone_keeps_every_byte_of_it_and_the_rest_learns() {
        let mut base = Training::new(&"to be or not to be, ".repeat(20), Size { hidden: 8, batch: 4 });
        base.train(3);
        let mut tuned = base.clone().tuned(1e-2, true);
        tuned.train(3);
        let pairs = base.network.parameters().into_iter().zip(tuned.network.parameters());
        let same: Vec<bool> = pairs.map(|((_, one), (_, other))| one == other).collect();
        assert_eq!(same, [true, true, true, false, false]);
        let proposal = propose(&tuned.model().files[0].1).expect("readable");
        assert_eq!(proposal.tensors.len(), 5);
    }

    #[test]
    fn checkpoints_are_safetensors_with_every_parameter() {
        let training = Training::new(&"abc ".repeat(20), Size { hidden: 8, batch: 4 });
        let checkpoint = training.checkpoint();
        let proposal = propose(&checkpoint.files[0].1).expect("readable");
        let names: Vec<String> = proposal.tensors.into_iter().map(|tensor| tensor.name).collect();
        assert_eq!(names, training.network.parameters().map(|(name, _)| name.to_owned()));
    }
}
