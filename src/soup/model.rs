//! A model as its files: the tensors of all of them by name.

use super::facing::Numbers;
use crate::history::FileContent;
use crate::id::ObjectKey;
use crate::recipe::TensorInfo;
use crate::store::Slice;
use std::collections::HashMap;

/// A model: one file, or the shards of it.
#[derive(Debug)]
pub struct Model {
    files: Vec<FileContent>,
    tensors: Vec<Tensor>,
    by_name: HashMap<String, usize>,
}

/// A tensor of a model.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// What its file says of it.
    pub info: TensorInfo,
    /// The object that it is.
    pub key: ObjectKey,
    pub(super) file: usize,
    start: u64,
    len: u64,
}

impl Model {
    /// The model of some files; the name of a tensor that two of them have if there is one.
    ///
    /// # Errors
    /// That name.
    pub fn of(files: Vec<FileContent>) -> Result<Self, String> {
        let (mut tensors, mut by_name) = (Vec::new(), HashMap::new());
        for (file, content) in files.iter().enumerate() {
            for tensor in content.tensors() {
                if by_name.insert(tensor.info.name.clone(), tensors.len()).is_some() {
                    return Err(tensor.info.name.clone());
                }
                let (info, key, start, len) = (tensor.info.clone(), tensor.key, tensor.start, tensor.len);
                tensors.push(Tensor { info, key, file, start, len });
            }
        }
        Ok(Self { files, tensors, by_name })
    }

    /// Its files, in their order.
    pub fn files(&self) -> &[FileContent] {
        &self.files
    }

    /// Its tensors, in the order of its files.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor of a name.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name).map(|number| &self.tensors[*number])
    }

    /// The numbers of one of its tensors.
    pub(super) fn numbers(&self, tensor: &Tensor) -> Numbers<'_> {
        Numbers { dtype: tensor.info.dtype, bytes: self.bytes(tensor), object: Some(tensor.key) }
    }

    /// The bytes of one of its tensors.
    pub(super) fn bytes(&self, tensor: &Tensor) -> Slice<'_> {
        Slice { source: self.files[tensor.file].bytes(), offset: tensor.start, len: tensor.len }
    }
}

impl Tensor {
    /// Whether another one is the same in every respect but its name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.key, self.info.dtype, &self.info.declared)
            == (other.key, other.info.dtype, &other.info.declared)
            && self.info.shape == other.info.shape
    }
}
