//! Blocks of quantised elements: some elements share a scale, and only the whole block has a length in bytes.
//!
//! Codes, elements and bytes are those of ggml (`ggml_type` and its `type_traits`), as GGUF files name them.

/// A kind of block. Holds any code: of one that this version does not know, elements and bytes are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub u32);

/// Code, name, elements and bytes of each kind.
const KINDS: [(u32, &str, u64, u64); 27] = [
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (29, "IQ1_M", 256, 56),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
    (42, "Q2_0", 64, 18),
];

impl Block {
    fn kind(self) -> Option<&'static (u32, &'static str, u64, u64)> {
        KINDS.iter().find(|(code, ..)| *code == self.0)
    }

    /// What it is called; `None` if this version does not know it.
    pub fn name(self) -> Option<&'static str> {
        self.kind().map(|(_, name, ..)| *name)
    }

    /// The elements of a block, and its bytes.
    pub fn size(self) -> Option<(u64, u64)> {
        self.kind().map(|(_, _, elements, bytes)| (*elements, *bytes))
    }

    /// The shape of the bytes of a tensor of blocks, whose elements have `shape`: its rows are rows of whole blocks.
    pub fn byte_shape(self, shape: &[u64]) -> Option<Vec<u64>> {
        let (elements, bytes) = self.size()?;
        let (row, outer) = shape.split_last()?;
        let row = row.is_multiple_of(elements).then_some(row / elements)?.checked_mul(bytes)?;
        Some(outer.iter().copied().chain([row]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_rows_are_whole_blocks() {
        let mut codes: Vec<u32> = KINDS.iter().map(|(code, ..)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), KINDS.len());
        assert_eq!(Block(8).byte_shape(&[3, 64]), Some(vec![3, 68]));
        assert_eq!(Block(8).byte_shape(&[3, 33]), None);
        assert_eq!(Block(8).byte_shape(&[]), None);
        assert_eq!(Block(8).byte_shape(&[u64::MAX / 32 * 32]), None);
        assert_eq!(Block(99).byte_shape(&[32]), None);
        assert_eq!((Block(39).name(), Block(99).name()), (Some("MXFP4"), None));
    }
}
