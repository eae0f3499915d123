//! Where in a file the tensors of a container are, and all that is no tensor in it.

use super::error::{Error, Result};
use super::plan::{Container, Planned};
use crate::format::gguf::Pair;
use crate::format::safetensors::{self, Metadata};
use crate::format::{gguf_header, npz};
use crate::tensor::{Dtype, Element};

/// A file that is about to be written.
pub(super) struct Layout {
    /// Bytes of it.
    pub len: u64,
    /// Where each of its tensors begins.
    pub payloads: Vec<u64>,
    frame: Frame,
}

/// All that is no tensor.
enum Frame {
    Head(Vec<u8>),
    Archive(npz::Archive),
}

/// What a file says of itself beside its tensors.
#[derive(Debug, Default, Clone)]
pub(super) struct Sayings {
    pub metadata: Metadata,
    pub pairs: Vec<Pair>,
}

impl Layout {
    /// The layout of a file of these tensors, in this order.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn of(container: Container, sayings: &Sayings, tensors: &[Planned<'_>]) -> Result<Self> {
        let numbers = || tensors.iter().map(number_of).collect::<Option<Vec<_>>>();
        let layout =
            match container {
                Container::Safetensors => {
                    let metadata = Some(&sayings.metadata).filter(|metadata| !metadata.is_empty());
                    let head = numbers().and_then(|numbers| safetensors::write_header(metadata, &numbers));
                    head.and_then(|head| Self::one_after_the_other(head, tensors))
                }
                Container::Npz => numbers().and_then(|numbers| npz::Archive::of(&numbers)).map(|archive| {
                    Self { len: archive.len(), payloads: archive.payloads(), frame: Frame::Archive(archive) }
                }),
                Container::Gguf => {
                    let records = tensors.iter().map(|Planned { name, cast, .. }| {
                        let (shape, element, len) = (cast.shape(), cast.element(), cast.len());
                        gguf_header::Record { name, shape, element, len }
                    });
                    let records: Vec<_> = records.collect();
                    gguf_header::write(&sayings.pairs, &records).map(|header| Self {
                        len: header.len,
                        payloads: header.payloads,
                        frame: Frame::Head(header.bytes),
                    })
                }
            };
        layout.ok_or(Error::TooLarge)
    }

    /// A file without tensors.
    pub fn plain(bytes: Vec<u8>) -> Self {
        Self { len: bytes.len() as u64, payloads: Vec::new(), frame: Frame::Head(bytes) }
    }

    fn one_after_the_other(head: Vec<u8>, tensors: &[Planned<'_>]) -> Option<Self> {
        let (mut payloads, mut at) = (Vec::with_capacity(tensors.len()), head.len() as u64);
        for tensor in tensors {
            payloads.push(at);
            at = at.checked_add(tensor.len())?;
        }
        Some(Self { len: at, payloads, frame: Frame::Head(head) })
    }

    /// Whether [`Layout::frame`] needs the CRC-32 of each tensor.
    pub fn has_checksums(&self) -> bool {
        matches!(self.frame, Frame::Archive(_))
    }

    /// All that is no tensor, and where in the file it stands.
    pub fn frame(&self, checksums: &[u32]) -> Vec<(u64, Vec<u8>)> {
        match &self.frame {
            Frame::Head(bytes) => vec![(0, bytes.clone())],
            Frame::Archive(archive) => archive.frame(checksums),
        }
    }
}

/// What headers of numbers say of a tensor.
fn number_of<'p>(tensor: &'p Planned<'_>) -> Option<(&'p str, Dtype, &'p [u64])> {
    match tensor.element() {
        Element::Number(dtype) => Some((&tensor.name, dtype, tensor.cast.shape())),
        Element::BigEndian(_) | Element::Block(_) => None,
    }
}
