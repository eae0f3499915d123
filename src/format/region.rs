//! What a parser says of a file.

use crate::tensor::{Declared, Dtype};

/// Plain bytes up to this many become a literal; more are worth an object that other files can share.
pub const LITERAL_MAX: u64 = 1024;

/// Tensors of one container that are told of. Archives of containers are not looked into further once they have so many.
pub(super) const TENSORS_MAX: usize = 1 << 20;

/// Bytes of all their names. One name can stand for many tensors, so that these are no bytes of the file.
pub(super) const NAMES_MAX: usize = 64 << 20;

/// What a parser found: which bytes belong together, and which tensors lie in them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Findings {
    /// In any order. Of those that overlap, the first in the file counts; what lies between them is plain.
    pub regions: Vec<Region>,
    /// In any order; any number may share bytes.
    tensors: Vec<Found>,
    /// The names of tensors that the container tells of and that are none of these: they are not whole, of a type that nobody here
    /// knows, or no plain numbers in this file.
    passed_over: Vec<String>,
    /// Bytes of all names.
    names: usize,
}

/// Bytes that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub start: u64,
    pub len: u64,
    /// The elements of what is one payload; `None` for plain bytes that deserve chunks of their own, as an archive's member
    /// does.
    pub dtype: Option<Dtype>,
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where in the file its payload begins, in bytes.
    pub start: u64,
    /// How many bytes it has.
    pub len: u64,
    /// Its name in the container; any text at all.
    pub name: String,
    /// The elements that its payload consists of, little-endian.
    pub dtype: Dtype,
    /// Their shape, outermost first, in C order: `dtype.byte_len(&shape)` is its length.
    pub shape: Vec<u64>,
    /// What it is to the container, if that is something else.
    pub declared: Option<Box<Declared>>,
}

impl Findings {
    /// Whether there are as many tensors as one file is believed to have, or names as long as these may have.
    pub fn is_full(&self) -> bool {
        self.tensors.len() + self.passed_over.len() >= TENSORS_MAX || self.names >= NAMES_MAX
    }

    /// The tensors so far.
    pub fn tensors(&self) -> &[Found] {
        &self.tensors
    }

    /// Bytes of all names.
    pub fn names(&self) -> usize {
        self.names
    }

    /// Adds a tensor whose payload is bytes of its own.
    pub fn add(&mut self, found: Found) {
        self.regions.push(Region { start: found.start, len: found.len, dtype: Some(found.dtype) });
        self.add_tensor(found);
    }

    /// Adds a tensor of bytes that others tell of.
    pub fn add_tensor(&mut self, found: Found) {
        self.names += found.name.len();
        self.tensors.push(found);
    }

    /// Adds the name of a tensor that is there and not understood.
    pub fn pass_over(&mut self, name: String) {
        self.names += name.len();
        self.passed_over.push(name);
    }

    /// Renames all tensors.
    pub fn rename(&mut self, name: impl Fn(&str) -> String) {
        let tensors = self.tensors.iter_mut().map(|tensor| &mut tensor.name);
        self.names = 0;
        for old in tensors.chain(&mut self.passed_over) {
            *old = name(old);
            self.names += old.len();
        }
    }

    /// The regions, the tensors, and the names of those that were passed over.
    pub fn into_parts(self) -> (Vec<Region>, Vec<Found>, Vec<String>) {
        (self.regions, self.tensors, self.passed_over)
    }

    /// Adds what was found in a part of the file that begins at `start`.
    pub fn add_inner(&mut self, inner: Findings, start: u64) {
        let shift = |at: u64| at.saturating_add(start);
        let regions = inner.regions.into_iter();
        self.regions.extend(regions.map(|region| Region { start: shift(region.start), ..region }));
        let tensors = inner.tensors.into_iter();
        self.tensors.extend(tensors.map(|tensor| Found { start: shift(tensor.start), ..tensor }));
        self.passed_over.extend(inner.passed_over);
        self.names += inner.names;
    }
}
