//! Which tensor of one file faces which of another: the one of the same name, or else one of the same bytes, which was
//! renamed.

use crate::history::{FileContent, TensorAt};
use crate::id::ObjectKey;
use std::collections::{HashMap, HashSet, VecDeque};

/// Tensors that face each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pair<'a> {
    Both(TensorAt<'a>, TensorAt<'a>),
    Gone(TensorAt<'a>),
    New(TensorAt<'a>),
}

impl<'a> Pair<'a> {
    /// The name that it is sorted by.
    pub(super) fn name(&self) -> &'a str {
        match self {
            Pair::Both(_, tensor) | Pair::Gone(tensor) | Pair::New(tensor) => &tensor.info.name,
        }
    }
}

/// The pairs of two files, in the order of the new one, those that are gone behind.
pub(super) fn pairs<'a>(old: Option<&'a FileContent>, new: Option<&'a FileContent>) -> Vec<Pair<'a>> {
    let old: Vec<TensorAt<'a>> = old.into_iter().flat_map(FileContent::tensors).collect();
    let new: Vec<TensorAt<'a>> = new.into_iter().flat_map(FileContent::tensors).collect();
    let new_names: HashSet<&str> = new.iter().map(|tensor| tensor.info.name.as_str()).collect();
    let by_name: HashMap<&str, TensorAt<'a>> =
        old.iter().map(|tensor| (tensor.info.name.as_str(), *tensor)).collect();
    // What has lost its name may have another one now.
    let mut nameless: HashMap<ObjectKey, VecDeque<TensorAt<'a>>> = HashMap::new();
    for tensor in old.iter().filter(|tensor| !new_names.contains(tensor.info.name.as_str())) {
        nameless.entry(tensor.key).or_default().push_back(*tensor);
    }
    let mut taken = HashSet::new();
    let mut found: Vec<Pair<'a>> = Vec::with_capacity(new.len());
    for tensor in new {
        let before = by_name.get(tensor.info.name.as_str()).copied().or_else(|| {
            let renamed = nameless.get_mut(&tensor.key)?.pop_front()?;
            taken.insert(renamed.info.name.as_str());
            Some(renamed)
        });
        found.push(before.map_or(Pair::New(tensor), |before| Pair::Both(before, tensor)));
    }
    let is_gone = |tensor: &TensorAt<'a>| {
        let name = tensor.info.name.as_str();
        !new_names.contains(name) && !taken.contains(name)
    };
    found.extend(old.into_iter().filter(is_gone).map(Pair::Gone));
    found
}
