//! The bijections that come before byte planes: rotation, ordered difference, bitwise difference.

use super::planes::{PlaneCoder, Turn};
use super::word::{Word, is_float, rank, with_word};
use crate::tensor::Lane;

/// Which bijection, before the lane's type is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    /// Floats rotated, integers as they are.
    Alone,
    /// Folded difference of ranks.
    Ordered,
    /// Rotated exclusive or.
    Xor,
}

impl Transform {
    /// The plane coder for this transform on this lane.
    pub(super) fn coder(self, lane: Lane) -> PlaneCoder {
        with_word!(lane, of_width(self, is_float(lane)))
    }
}

fn of_width<W: Word>(transform: Transform, float: bool) -> PlaneCoder {
    match (transform, float) {
        (Transform::Alone, false) => PlaneCoder::of::<W, Plain>(),
        (Transform::Alone, true) => PlaneCoder::of::<W, Rotated>(),
        (Transform::Ordered, false) => PlaneCoder::of::<W, Ordered<false>>(),
        (Transform::Ordered, true) => PlaneCoder::of::<W, Ordered<true>>(),
        (Transform::Xor, _) => PlaneCoder::of::<W, Xored>(),
    }
}

/// Integers alone: the word as it is.
#[derive(Clone, Copy)]
pub(super) struct Plain;

/// Floats alone: sign moved to the bottom, so that the exponent is a plane of its own where it has 8 bits.
#[derive(Clone, Copy)]
pub(super) struct Rotated;

/// Difference of ranks, folded: small steps become small words whatever their sign and whether or not they cross a
/// power of two. The monotone map of floats to integers is that of FM-Delta (NeurIPS 2024).
#[derive(Clone, Copy)]
pub(super) struct Ordered<const FLOAT: bool>;

/// Exclusive or, rotated: the difference of BitX (arXiv 2505.06252).
#[derive(Clone, Copy)]
pub(super) struct Xored;

impl Turn for Plain {
    const LEANS: bool = false;

    #[inline(always)]
    fn forth<W: Word>(word: W, _base: W) -> W {
        word
    }
    #[inline(always)]
    fn back<W: Word>(coded: W, _base: W) -> W {
        coded
    }
}

impl Turn for Rotated {
    const LEANS: bool = false;

    #[inline(always)]
    fn forth<W: Word>(word: W, _base: W) -> W {
        word.sign_last()
    }
    #[inline(always)]
    fn back<W: Word>(coded: W, _base: W) -> W {
        coded.sign_first()
    }
}

impl<const FLOAT: bool> Turn for Ordered<FLOAT> {
    const LEANS: bool = true;

    #[inline(always)]
    fn forth<W: Word>(word: W, base: W) -> W {
        rank(word, FLOAT).minus(rank(base, FLOAT)).zigzag()
    }
    #[inline(always)]
    fn back<W: Word>(coded: W, base: W) -> W {
        rank(rank(base, FLOAT).plus(coded.unzigzag()), FLOAT)
    }
}

impl Turn for Xored {
    const LEANS: bool = true;

    #[inline(always)]
    fn forth<W: Word>(word: W, base: W) -> W {
        word.xor(base).sign_last()
    }
    #[inline(always)]
    fn back<W: Word>(coded: W, base: W) -> W {
        coded.sign_first().xor(base)
    }
}
