//! How a tensor is cut: pieces that are read at once, strips that are computed at once, blocks that are added plainly.
//! Which of them there are never changes a result.

use super::facing::Facing;
use std::ops::Range;

/// Elements that are added plainly before sums are added in pairs: part of what a sum is, never to be changed.
pub(super) const BLOCK: usize = 4096;

/// Elements that are read at once: whole frames of the store, of any type.
const PIECE: u64 = 1 << 18;
/// The same of many models.
const PIECE_OF_MANY: u64 = 1 << 17;
/// More models than this are many.
const MANY: usize = 4;
/// Elements of all models together that are read at once: of more than 32 models shorter pieces, whatever their number.
const PIECES: u64 = 32 * PIECE_OF_MANY;

/// Elements of each of so many models that are read at once: whole blocks.
fn piece_of(models: usize) -> u64 {
    let block = BLOCK as u64;
    match models {
        0..=MANY => PIECE,
        many => (PIECES / many as u64 / block * block).clamp(block, PIECE_OF_MANY),
    }
}

/// The pieces of a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pieces {
    elements: u64,
    piece: u64,
    /// Elements that are computed at once: a block, or all that a piece has.
    strip: u64,
}

impl Pieces {
    /// Those of tensors whose elements are each made by themselves.
    pub(super) fn of(facing: &Facing<'_>) -> Self {
        Self { elements: facing.elements(), piece: piece_of(facing.models.len()), strip: BLOCK as u64 }
    }

    /// Those of tensors whose rows are made as wholes.
    pub(super) fn of_rows(facing: &Facing<'_>) -> Self {
        let row = facing.row().max(1);
        let piece = row * (PIECE_OF_MANY / 2 / row).max(1);
        Self { elements: facing.elements(), piece, strip: piece }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.elements.div_ceil(self.piece)
    }

    /// The elements of one.
    pub(super) fn range(&self, index: u64) -> Range<u64> {
        index * self.piece..((index + 1) * self.piece).min(self.elements)
    }

    /// The strips of one.
    pub(super) fn strips(&self, index: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        let (range, strip) = (self.range(index), self.strip);
        let end = range.end;
        (0..(end - range.start).div_ceil(strip)).map(move |number| {
            let from = range.start + number * strip;
            from..(from + strip).min(end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_at_once_of_all_models_is_bounded_and_whole_blocks() {
        for models in 1..3000 {
            let piece = piece_of(models);
            assert!(piece >= BLOCK as u64 && piece.is_multiple_of(BLOCK as u64), "{models}");
            assert!(piece * models as u64 <= PIECES || piece == BLOCK as u64, "{models}");
        }
    }
}
