//! A file that tensors are taken from: of the history, of a worktree, or of the user's disk.

use super::error::{Error, Result};
use crate::format::{self, Bytes, gguf, safetensors};
use crate::history::{self, FileContent, at, open_file};
use crate::recipe::TensorInfo;
use crate::store::{Slice, Source, SourceError};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file that tensors are taken from.
pub struct Origin {
    /// What to call it.
    pub shown_as: String,
    bytes: Opened,
    tensors: Vec<Taken>,
    /// What it says of itself.
    pub said: Said,
    /// Bytes that are in none of its tensors.
    pub beside: u64,
    /// The names of tensors that it tells of and that cannot be read.
    pub(super) passed_over: Vec<String>,
}

enum Opened {
    Content(FileContent),
    Plain(Plain),
}

/// A tensor of a file.
struct Taken {
    info: TensorInfo,
    start: u64,
    len: u64,
}

/// What a file says of itself beside its tensors.
#[derive(Debug, Default)]
pub struct Said {
    /// Whether PyTorch wrote it.
    pub(super) is_torch: bool,
    /// The keys and values of a GGUF file.
    pub(super) pairs: Vec<gguf::Pair>,
    /// Those of a safetensors file.
    pub(super) metadata: safetensors::Metadata,
}

/// A file of the user's disk at the length that it had when it was opened.
struct Plain {
    path: PathBuf,
    file: File,
    before: Metadata,
}

impl Source for Plain {
    fn len(&self) -> u64 {
        self.before.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(self.file.read_exact_at(buf, offset)?)
    }
}

/// A source as parsers read it.
struct AsBytes<'a>(&'a dyn Source);

impl Bytes for AsBytes<'_> {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset).map_err(io::Error::other)
    }
}

impl Origin {
    /// A file of a history or of a worktree.
    ///
    /// # Errors
    /// [`Error::NoTensors`]; if it cannot be read.
    pub fn of_content(shown_as: String, content: FileContent) -> Result<Self> {
        let tensors = content.tensors().map(|tensor| Taken {
            info: tensor.info.clone(),
            start: tensor.start,
            len: tensor.len,
        });
        let tensors = tensors.collect();
        Self::new(shown_as, Opened::Content(content), tensors)
    }

    /// A file of the user's disk.
    ///
    /// # Errors
    /// As [`Origin::of_content`]; [`UnsupportedFile`](history::Error::UnsupportedFile) for what is no file.
    pub fn of_file(shown_as: String, path: &Path) -> Result<Self> {
        let (file, before) = open_file(path, 0)?;
        let plain = Plain { path: path.to_owned(), file, before };
        let proposal = format::propose(&AsBytes(&plain)).map_err(SourceError::from)?;
        let tensors = proposal.tensors.into_iter().map(|found| Taken {
            info: TensorInfo {
                name: found.name,
                dtype: found.dtype,
                shape: found.shape,
                declared: found.declared,
            },
            start: found.start,
            len: found.len,
        });
        Self::new(shown_as, Opened::Plain(plain), tensors.collect())
    }

    fn new(shown_as: String, bytes: Opened, tensors: Vec<Taken>) -> Result<Self> {
        let (said, passed_over) = (Said::default(), Vec::new());
        let mut origin = Self { shown_as, bytes, tensors, said, beside: 0, passed_over };
        if origin.tensors.is_empty() {
            return Err(Error::NoTensors(origin.shown_as));
        }
        origin.beside = origin.bytes().len() - covered(&origin.tensors);
        origin.said = origin.read_said()?;
        origin.passed_over = format::passed_over(&AsBytes(origin.bytes())).map_err(SourceError::from)?;
        Ok(origin)
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.bytes().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &dyn Source {
        match &self.bytes {
            Opened::Content(content) => content.bytes(),
            Opened::Plain(plain) => plain,
        }
    }

    /// Its tensors, in the order of the file.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&TensorInfo, Slice<'_>)> {
        self.tensors.iter().map(|Taken { info, start, len }| {
            (info, Slice { source: self.bytes(), offset: *start, len: *len })
        })
    }

    /// Fails if it was changed since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        let Opened::Plain(Plain { path, file, before }) = &self.bytes else { return Ok(()) };
        let now = file.metadata().map_err(at("look at", path))?;
        let of = |metadata: &Metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        match of(&now) == of(before) {
            true => Ok(()),
            false => Err(history::Error::KeepsChanging(path.clone()).into()),
        }
    }

    fn read_said(&self) -> Result<Said> {
        let bytes = AsBytes(self.bytes());
        let mut said = Said { is_torch: is_torch(&bytes).map_err(SourceError::from)?, ..Said::default() };
        if let Some(pairs) = gguf::pairs(&bytes).map_err(SourceError::from)? {
            said.pairs = pairs;
        } else if let Some(header) = safetensors::read_header(&bytes).map_err(SourceError::from)? {
            said.metadata = safetensors::metadata_of(&header).unwrap_or_default();
        }
        Ok(said)
    }
}

/// Bytes of a file that its tensors have, each once.
fn covered(tensors: &[Taken]) -> u64 {
    let mut ranges: Vec<(u64, u64)> =
        tensors.iter().map(|taken| (taken.start, taken.start + taken.len)).collect();
    ranges.sort_unstable();
    let (mut covered, mut end) = (0, 0);
    for (from, to) in ranges {
        covered += to.saturating_sub(from.max(end));
        end = end.max(to);
    }
    covered
}

/// How an archive begins, and a checkpoint of before there were archives.
const ARCHIVE: &[u8; 4] = b"PK\x03\x04";
const LEGACY: &[u8; 14] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Whether a file begins as PyTorch's do: the first member of its archives is a pickle or a storage.
fn is_torch(bytes: &dyn Bytes) -> io::Result<bool> {
    let mut first = vec![0; 256.min(bytes.len()) as usize];
    bytes.read_exact_at(&mut first, 0)?;
    if first.starts_with(LEGACY) {
        return Ok(true);
    }
    if !first.starts_with(ARCHIVE) || first.len() < 30 {
        return Ok(false);
    }
    let len = usize::from(u16::from_le_bytes([first[26], first[27]]));
    let name = String::from_utf8_lossy(&first[30..(30 + len).min(first.len())]);
    Ok(name.ends_with("/data.pkl") || name.contains("/data/"))
}
