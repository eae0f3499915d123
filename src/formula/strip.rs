//! Some elements of several tensors of one shape, as numbers.

/// Elements of tensors that face each other, as numbers. Without a base it is empty.
#[derive(Clone, Copy)]
pub struct Strip<'s> {
    /// Which element of the tensor the first one is.
    pub at: u64,
    /// Those of what differences are counted from.
    pub base: &'s [f64],
    /// Those of each model.
    pub models: &'s [Vec<f64>],
}

impl Strip<'_> {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.models.first().map_or(0, Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
