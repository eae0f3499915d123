//! A neural probabilistic language model: embeddings of the last characters, one hidden layer, the next character
//! (Bengio, Ducharme, Vincent, Jauvin, JMLR 3, 2003).

use crate::random::Random;
use ndarray::{Array2, Axis};

/// Characters that are looked back at.
pub(super) const CONTEXT: usize = 16;
/// Numbers that stand for one character.
pub(super) const EMBEDDING: usize = 32;

/// The parameters, or their gradients.
#[derive(Debug, Clone)]
pub(super) struct Network {
    /// Vocabulary x [`EMBEDDING`].
    pub embedding: Array2<f32>,
    /// [`CONTEXT`] * [`EMBEDDING`] x hidden.
    pub hidden: Array2<f32>,
    /// 1 x hidden.
    pub hidden_bias: Array2<f32>,
    /// Hidden x vocabulary.
    pub output: Array2<f32>,
    /// 1 x vocabulary.
    pub output_bias: Array2<f32>,
}

/// Contexts with the character that follows each.
pub(super) struct Batch {
    /// One row of [`CONTEXT`] characters each.
    pub contexts: Vec<[usize; CONTEXT]>,
    pub next: Vec<usize>,
}

impl Network {
    /// Random parameters, uniform within 1/sqrt(inputs).
    pub(super) fn new(vocabulary: usize, hidden: usize, random: &mut Random) -> Self {
        let mut uniform = |rows: usize, columns: usize, inputs: usize| {
            let bound = 1.0 / (inputs as f32).sqrt();
            Array2::from_shape_simple_fn((rows, columns), || random.symmetric() * bound)
        };
        let inputs = CONTEXT * EMBEDDING;
        Self {
            embedding: uniform(vocabulary, EMBEDDING, 1),
            hidden: uniform(inputs, hidden, inputs),
            hidden_bias: uniform(1, hidden, inputs),
            output: uniform(hidden, vocabulary, hidden),
            output_bias: uniform(1, vocabulary, hidden),
        }
    }

    /// The parameters with the names that they have in a checkpoint.
    pub(super) fn parameters(&self) -> [(&'static str, &Array2<f32>); 5] {
        [
            ("embedding.weight", &self.embedding),
            ("hidden.weight", &self.hidden),
            ("hidden.bias", &self.hidden_bias),
            ("output.weight", &self.output),
            ("output.bias", &self.output_bias),
        ]
    }

    /// The same, to change.
    pub(super) fn parameters_mut(&mut self) -> [&mut Array2<f32>; 5] {
        [
            &mut self.embedding,
            &mut self.hidden,
            &mut self.hidden_bias,
            &mut self.output,
            &mut self.output_bias,
        ]
    }

    /// The mean cross-entropy of a batch in nats, and its gradient.
    pub(super) fn loss(&self, batch: &Batch) -> (f32, Network) {
        let rows = batch.next.len();
        let inputs = self.embed(&batch.contexts);
        let hidden = (inputs.dot(&self.hidden) + &self.hidden_bias).mapv_into(f32::tanh);
        let mut odds = hidden.dot(&self.output) + &self.output_bias;
        let mut loss = 0.0;
        for (mut row, &next) in odds.rows_mut().into_iter().zip(&batch.next) {
            let peak = row.fold(f32::NEG_INFINITY, |peak, &logit| peak.max(logit));
            row.mapv_inplace(|logit| (logit - peak).exp());
            let sum = row.sum();
            loss -= (row[next] / sum).max(f32::MIN_POSITIVE).ln();
            row.mapv_inplace(|odds| odds / sum / rows as f32);
            row[next] -= 1.0 / rows as f32;
        }
        let at_hidden = odds.dot(&self.output.t()) * hidden.mapv(|activation| 1.0 - activation * activation);
        let at_inputs = at_hidden.dot(&self.hidden.t());
        let gradient = Network {
            embedding: self.scatter(&batch.contexts, &at_inputs),
            hidden: inputs.t().dot(&at_hidden),
            hidden_bias: at_hidden.sum_axis(Axis(0)).insert_axis(Axis(0)),
            output: hidden.t().dot(&odds),
            output_bias: odds.sum_axis(Axis(0)).insert_axis(Axis(0)),
        };
        (loss / rows as f32, gradient)
    }

    /// The embeddings of each context, side by side.
    fn embed(&self, contexts: &[[usize; CONTEXT]]) -> Array2<f32> {
        Array2::from_shape_fn((contexts.len(), CONTEXT * EMBEDDING), |(row, column)| {
            self.embedding[[contexts[row][column / EMBEDDING], column % EMBEDDING]]
        })
    }

    /// Adds what flows back to each embedding.
    fn scatter(&self, contexts: &[[usize; CONTEXT]], at_inputs: &Array2<f32>) -> Array2<f32> {
        let mut gradient = Array2::zeros(self.embedding.raw_dim());
        for (context, flow) in contexts.iter().zip(at_inputs.rows()) {
            for (position, &character) in context.iter().enumerate() {
                let part = flow.slice(ndarray::s![position * EMBEDDING..(position + 1) * EMBEDDING]);
                let mut row = gradient.row_mut(character);
                row += &part;
            }
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let mut random = Random::new(1);
        let network = Network::new(5, 7, &mut random);
        let batch = Batch { contexts: vec![[1; CONTEXT], [3; CONTEXT]], next: vec![2, 4] };
        let (_, gradient) = network.loss(&batch);
        for (index, (name, slopes)) in gradient.parameters().into_iter().enumerate() {
            let step = 1e-2;
            let at = (0, slopes.ncols() - 1);
            let moved = |by: f32| {
                let mut moved = network.clone();
                moved.parameters_mut()[index][at] += by;
                moved.loss(&batch).0
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((slope - slopes[at]).abs() < 2e-3, "{name}: {slope} is not {}", slopes[at]);
        }
    }
}
