//! From a parser's findings to extents that tile the file.

use std::io;

use crate::tensor::Dtype;

use super::region::{LITERAL_MAX, Region, Tensor};
use super::{Bytes, chunks, npy, safetensors, zip};

/// A part of a file, proposed to be stored as one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Where in the file it begins, in bytes.
    pub start: u64,
    /// How many bytes it has; zero only for a tensor without elements.
    pub len: u64,
    /// What it is.
    pub kind: Extent,
}

/// What a part of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// A few plain bytes (at most [`LITERAL_MAX`]), not worth an object.
    Literal,
    /// The little-endian payload of one tensor.
    Tensor {
        /// Its element type.
        dtype: Dtype,
        /// Its shape, outermost first, in C order: `dtype.byte_len(&shape)` is the part's length.
        shape: Vec<u64>,
        /// Its name in the container; any text at all.
        name: String,
    },
    /// Plain bytes cut where their content says.
    Chunk,
}

/// The extents of a file: in order, without gap or overlap, from its first byte to its last.
///
/// # Errors
/// Only those of reading `file`. Content is never an error: what no parser accepts whole is plain bytes.
pub fn propose(file: &dyn Bytes) -> io::Result<Vec<Proposed>> {
    let len = file.len();
    let regions = find_regions(file)?.and_then(|found| fill_gaps(found, len));
    let regions = regions.unwrap_or_else(|| vec![plain(0, len)]);
    let mut extents = Vec::with_capacity(regions.len());
    for region in regions {
        expand(file, region, &mut extents)?;
    }
    Ok(extents)
}

/// What the first parser that accepts the file found.
fn find_regions(file: &dyn Bytes) -> io::Result<Option<Vec<Region>>> {
    for parse in [safetensors::parse, npy::parse, zip::parse] {
        if let Some(regions) = parse(file)? {
            return Ok(Some(regions));
        }
    }
    Ok(None)
}

/// Sorts the findings and puts plain regions between them; `None` if they overlap or leave the file.
fn fill_gaps(mut found: Vec<Region>, len: u64) -> Option<Vec<Region>> {
    found.sort_by_key(|region| (region.start, region.len));
    let mut tiles = Vec::with_capacity(found.len() + 1);
    let mut at = 0;
    for region in found {
        let gap = region.start.checked_sub(at)?;
        let end = region.start.checked_add(region.len).filter(|end| *end <= len)?;
        if gap > 0 {
            tiles.push(plain(at, gap));
        }
        tiles.push(region);
        at = end;
    }
    if at < len {
        tiles.push(plain(at, len - at));
    }
    Some(tiles)
}

fn plain(start: u64, len: u64) -> Region {
    Region { start, len, tensor: None }
}

fn expand(file: &dyn Bytes, region: Region, extents: &mut Vec<Proposed>) -> io::Result<()> {
    let Region { start, len, tensor } = region;
    match tensor {
        Some(Tensor { dtype, shape, name }) => {
            extents.push(Proposed { start, len, kind: Extent::Tensor { dtype, shape, name } });
        }
        None if len == 0 => {}
        None if len <= LITERAL_MAX => extents.push(Proposed { start, len, kind: Extent::Literal }),
        None => chunks::cut(file, start, len, |start, len| {
            extents.push(Proposed { start, len, kind: Extent::Chunk });
        })?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_tiles, fixtures};
    use super::*;

    #[test]
    fn an_empty_file_has_no_extents() {
        assert_eq!(propose(&Vec::new()).unwrap(), []);
    }

    #[test]
    fn a_short_plain_file_is_one_literal() {
        let extents = propose(&b"{\"model_type\": \"gpt2\"}".to_vec()).unwrap();
        assert_eq!(extents, [Proposed { start: 0, len: 22, kind: Extent::Literal }]);
    }

    #[test]
    fn overlapping_or_leaving_findings_are_refused() {
        assert_eq!(fill_gaps(vec![plain(0, 5), plain(4, 2)], 10), None);
        assert_eq!(fill_gaps(vec![plain(8, 3)], 10), None);
        assert_eq!(fill_gaps(vec![plain(u64::MAX, 3)], 10), None);
        assert_eq!(fill_gaps(vec![plain(2, 3)], 10), Some(vec![plain(0, 2), plain(2, 3), plain(5, 5)]));
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
