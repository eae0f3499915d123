//! From a parser's findings to extents that tile the file, and the tensors that lie in them.

use std::cell::Cell;
use std::io;

use crate::tensor::Dtype;

use super::region::{Findings, Found, LITERAL_MAX, Region, TENSORS_MAX};
use super::{
    Bytes, chunks, gguf, hdf5, msgpack, npy, onnx, pickle_arrays, safetensors, tar, torch_legacy, zip,
};

/// Archives in archives are looked into so deep.
const ARCHIVES: u32 = 2;
/// What each reading costs beside its bytes.
const READING: u64 = 64;

/// What is done for one file, whatever is in it and in the archives in it.
struct Limits {
    /// Bytes that parsers read.
    reads: u64,
    /// Bytes of what is remembered of its parts and tensors.
    recipe: u64,
}

impl Limits {
    /// Those for a file of so many bytes: parsers that know it read less than it is long, and each that does not its ends.
    fn of(len: u64) -> Self {
        Self { reads: len.saturating_mul(4).saturating_add(256 << 20), recipe: 128 << 20 }
    }
}

/// What a file is proposed to be made of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its parts: in order, without gap or overlap, from its first byte to its last.
    pub parts: Vec<Proposed>,
    /// Its tensors in the order in which their payloads begin and end; each lies inside of the file.
    pub tensors: Vec<Found>,
}

/// A part of a file, proposed to be stored as one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed {
    /// Where in the file it begins, in bytes.
    pub start: u64,
    /// How many bytes it has; zero only for the payload of a tensor without elements.
    pub len: u64,
    /// What it is.
    pub kind: Extent,
}

/// What a part of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A few plain bytes (at most [`LITERAL_MAX`]), not worth an object.
    Literal,
    /// The payload of one tensor, or of several that share it.
    Payload(Dtype),
    /// Plain bytes cut where their content says, and the elements that they seem to be.
    Chunk(Dtype),
}

/// What a file is made of.
///
/// # Errors
/// Only those of reading `file`. Content is never an error: what no parser accepts is plain bytes.
pub fn propose(file: &dyn Bytes) -> io::Result<Proposal> {
    propose_within(file, &Limits::of(file.len()))
}

fn propose_within(file: &dyn Bytes, limits: &Limits) -> io::Result<Proposal> {
    let proposal = tile(file, find_within(file, limits)?.unwrap_or_default())?;
    // What cannot be recorded is worth less than the file.
    match proposal.tensors.len() <= TENSORS_MAX && recorded_len(&proposal) <= limits.recipe {
        true => Ok(proposal),
        false => tile(file, Findings::default()),
    }
}

/// The names of tensors that a file tells of and that are not in its [`Proposal`]: they are not whole, of a type that is not known, or
/// no plain numbers in this file. Empty for a file of which more is said than is read.
///
/// # Errors
/// As [`propose`].
pub fn passed_over(file: &dyn Bytes) -> io::Result<Vec<String>> {
    let found = find_within(file, &Limits::of(file.len()))?;
    Ok(found.unwrap_or_default().into_parts().2)
}

/// What the first parser that knows the file found, within limits.
fn find_within(file: &dyn Bytes, limits: &Limits) -> io::Result<Option<Findings>> {
    let metered = Metered { file, left: Cell::new(Some(limits.reads)) };
    match find(&metered, ARCHIVES) {
        Err(_) if metered.left.get().is_none() => Ok(None),
        found => found,
    }
}

/// The file's extents, of what was found in it.
fn tile(file: &dyn Bytes, findings: Findings) -> io::Result<Proposal> {
    let len = file.len();
    let (regions, mut tensors, _) = findings.into_parts();
    let mut parts = Vec::with_capacity(regions.len());
    for region in fill_gaps(regions, len) {
        expand(file, region, &mut parts)?;
    }
    tensors.retain(|tensor| tensor.start.checked_add(tensor.len).is_some_and(|end| end <= len));
    tensors.sort_by_key(|tensor| (tensor.start, tensor.len));
    Ok(Proposal { parts, tensors })
}

/// What a record of a proposal takes at most, in bytes, whoever makes it: a key and some numbers for each part, or the bytes
/// of a short one; the names and shapes of tensors.
fn recorded_len(proposal: &Proposal) -> u64 {
    let part = |part: &Proposed| match part.kind {
        Extent::Literal => 64 + part.len.min(LITERAL_MAX),
        Extent::Payload(_) | Extent::Chunk(_) => 64,
    };
    let tensor = |tensor: &Found| {
        let declared = tensor.declared.as_ref();
        let strides = |shape: &[u64]| 2 * shape.len();
        let numbers = tensor.shape.len() + declared.map_or(0, |declared| strides(&declared.shape));
        (64 + tensor.name.len() + 8 * numbers) as u64
    };
    proposal.parts.iter().map(part).sum::<u64>() + proposal.tensors.iter().map(tensor).sum::<u64>()
}

/// A file of which so much is read and no more.
struct Metered<'a> {
    file: &'a dyn Bytes,
    /// `None` once somebody wanted more than was left.
    left: Cell<Option<u64>>,
}

impl Bytes for Metered<'_> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let cost = READING.saturating_add(buf.len() as u64);
        self.left.set(self.left.get().and_then(|left| left.checked_sub(cost)));
        match self.left.get() {
            Some(_) => self.file.read_exact_at(buf, offset),
            None => Err(io::Error::other("enough was read of this file")),
        }
    }
}

/// What the first parser that knows the file found. Archives may have files in them that a parser knows, so often.
fn find(file: &dyn Bytes, depth: u32) -> io::Result<Option<Findings>> {
    for parse in
        [safetensors::parse, gguf::parse, npy::parse, torch_legacy::parse, hdf5::parse, pickle_arrays::parse]
    {
        if let Some(findings) = parse(file)? {
            return Ok(Some(findings));
        }
    }
    let inner = |file: &dyn Bytes| match depth.checked_sub(1) {
        Some(depth) => find(file, depth),
        None => Ok(None),
    };
    for parse in [zip::parse, tar::parse] {
        if let Some(findings) = parse(file, &inner)? {
            return Ok(Some(findings));
        }
    }
    // Of these nothing but the whole file says what they are.
    for parse in [onnx::parse, msgpack::parse] {
        if let Some(findings) = parse(file)? {
            return Ok(Some(findings));
        }
    }
    Ok(None)
}

/// Sorts the regions, leaves out what leaves the file or overlaps one before it, and puts plain ones between them.
fn fill_gaps(mut found: Vec<Region>, len: u64) -> Vec<Region> {
    found.sort_by_key(|region| (region.start, region.len, region.dtype.is_none()));
    let mut tiles: Vec<Region> = Vec::with_capacity(found.len() + 1);
    let mut at = 0;
    for region in found {
        let is_known = tiles.last().is_some_and(|last| (last.start, last.len) == (region.start, region.len));
        let Some(end) = region.start.checked_add(region.len).filter(|end| *end <= len) else { continue };
        let Some(gap) = region.start.checked_sub(at).filter(|_| !is_known) else { continue };
        if gap > 0 {
            tiles.push(plain(at, gap));
        }
        tiles.push(region);
        at = end;
    }
    if at < len {
        tiles.push(plain(at, len - at));
    }
    tiles
}

fn plain(start: u64, len: u64) -> Region {
    Region { start, len, dtype: None }
}

fn expand(file: &dyn Bytes, region: Region, parts: &mut Vec<Proposed>) -> io::Result<()> {
    let Region { start, len, dtype } = region;
    match dtype {
        Some(dtype) => parts.push(Proposed { start, len, kind: Extent::Payload(dtype) }),
        None if len == 0 => {}
        None if len <= LITERAL_MAX => parts.push(Proposed { start, len, kind: Extent::Literal }),
        None => chunks::cut(file, start, len, |start, len, dtype| {
            parts.push(Proposed { start, len, kind: Extent::Chunk(dtype) });
        })?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::torch::Checkpoint;
    use super::super::testing::{ZipMember, assert_tiles, fixtures, zip_file};
    use super::*;

    #[test]
    fn an_empty_file_has_no_extents() {
        assert_eq!(propose(&Vec::new()).unwrap(), Proposal::default());
    }

    #[test]
    fn a_short_plain_file_is_one_literal() {
        let proposal = propose(&b"{\"model_type\": \"gpt2\"}".to_vec()).unwrap();
        assert_eq!(proposal.parts, [Proposed { start: 0, len: 22, kind: Extent::Literal }]);
    }

    #[test]
    fn findings_that_overlap_or_leave_the_file_are_left_out() {
        assert_eq!(fill_gaps(vec![plain(4, 2), plain(0, 5)], 10), [plain(0, 5), plain(5, 5)]);
        assert_eq!(fill_gaps(vec![plain(8, 3), plain(u64::MAX, 3)], 10), [plain(0, 10)]);
        assert_eq!(fill_gaps(vec![plain(2, 3)], 10), [plain(0, 2), plain(2, 3), plain(5, 5)]);
        let payload = |start, len| Region { start, len, dtype: Some(Dtype::F32) };
        // Tied tensors, also without elements.
        let tied = vec![plain(0, 4), payload(0, 4), payload(0, 4), payload(4, 0), payload(4, 0)];
        assert_eq!(fill_gaps(tied, 4), [payload(0, 4), payload(4, 0)]);
    }

    #[test]
    fn a_file_of_more_than_can_be_recorded_is_plain() {
        let checkpoint = |name: &str| {
            let saved = Checkpoint::default().storage("Float", &[1; 4000]);
            (0..100).fold(saved, |saved, _| saved.tensor(name, 0, &[10, 100])).archive()
        };
        let proposed = |file: &Vec<u8>, recipe| {
            let limits = Limits { recipe, ..Limits::of(file.len() as u64) };
            let proposal = propose_within(file, &limits).expect("memory can be read");
            assert_tiles(file, &proposal);
            proposal
        };
        let (short, long) = (checkpoint("w"), checkpoint(&"w".repeat(1000)));
        assert_eq!(proposed(&short, 20_000).tensors.len(), 100);
        let plain = proposed(&long, 20_000);
        assert_eq!(plain.tensors, []);
        assert!(plain.parts.iter().all(|part| matches!(part.kind, Extent::Chunk(_))));
        assert_eq!(proposed(&long, 200_000).tensors.len(), 100);
    }

    #[test]
    fn what_is_read_of_a_file_is_bounded_with_all_that_is_in_it() {
        let inner = zip_file(&[ZipMember::stored("data.bin", vec![3; 1500])], false);
        let members: Vec<_> =
            (0..50).map(|number| ZipMember::stored(format!("{number}.zip"), inner.clone())).collect();
        let file = zip_file(&members, false);
        let parts = |reads| {
            let limits = Limits { reads, ..Limits::of(file.len() as u64) };
            let proposal = propose_within(&file, &limits).expect("memory can be read");
            assert_tiles(&file, &proposal);
            proposal.parts.len()
        };
        assert!(parts(4 * file.len() as u64 + (1 << 20)) > 100);
        assert!(parts(file.len() as u64) <= 2);
    }

    #[test]
    fn trouble_of_the_medium_is_told() {
        struct Broken;
        impl Bytes for Broken {
            fn len(&self) -> u64 {
                5000
            }
            fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
                Err(io::Error::other("bad sector"))
            }
        }
        assert_eq!(propose(&Broken).unwrap_err().to_string(), "bad sector");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_tiled_exactly(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            assert_tiles(&bytes, &propose(&bytes).unwrap());
        }

        #[test]
        fn mutated_containers_are_tiled_exactly(
            which in 0..fixtures().len(),
            edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            cut in proptest::option::of(any::<proptest::sample::Index>()),
        ) {
            let mut bytes = fixtures().swap_remove(which);
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            assert_tiles(&bytes, &propose(&bytes).unwrap());
        }
    }
}
