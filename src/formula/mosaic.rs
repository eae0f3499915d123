//! Content that is put together of pieces of other content, each of which lies anywhere in what it is of: fused and stacked
//! tensors, flat buffers, tensors in files of unknown formats.
//!
//! What lies between pieces is zeros here: whoever is a difference to a mosaic keeps it. The record is read totally, and one
//! mosaic has one record; `docs/format.md` draws every byte.

use crate::id::ObjectKey;
use crate::wire::{Reader, WireError, Writer};

const MAGIC: &[u8; 4] = b"CMOS";
const VERSION: u16 = 1;
/// Bytes of a piece in the record.
const PIECE_LEN: usize = 40;

/// Pieces that a mosaic has at most: a flat buffer of a model has some hundred tensors.
pub const PIECES_MAX: usize = 1024;

/// A run of bytes that lies in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins in what is made, in bytes.
    pub start: u64,
    /// How many bytes it has: at least one.
    pub len: u64,
    /// The object that it lies in.
    pub key: ObjectKey,
    /// Where it begins in that, in bytes.
    pub offset: u64,
}

impl Piece {
    /// Where it ends in what is made.
    pub fn end(&self) -> u64 {
        self.start + self.len
    }
}

/// What is made of pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mosaic {
    len: u64,
    pieces: Vec<Piece>,
}

impl Mosaic {
    /// So many bytes of these pieces; `None` unless they are 1 to [`PIECES_MAX`], lie in the order given inside of it, and do not
    /// overlap.
    pub fn new(len: u64, pieces: Vec<Piece>) -> Option<Self> {
        if !(1..=PIECES_MAX).contains(&pieces.len()) {
            return None;
        }
        let mut end = 0;
        for piece in &pieces {
            let to = piece.start.checked_add(piece.len).filter(|to| *to <= len)?;
            if piece.start < end || piece.len == 0 || piece.offset.checked_add(piece.len).is_none() {
                return None;
            }
            end = to;
        }
        Some(Self { len, pieces })
    }

    /// Bytes of what is made.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes, which no mosaic has.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in the order of what is made.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Bytes that lie in pieces.
    pub fn covered(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len).sum()
    }

    /// The numbers of the pieces that the bytes `from..to` of what is made touch.
    pub fn touching(&self, from: u64, to: u64) -> std::ops::Range<usize> {
        let first = self.pieces.partition_point(|piece| piece.end() <= from);
        let last = self.pieces.partition_point(|piece| piece.start < to);
        first..last.max(first)
    }

    /// The most that one stretch of so many bytes of what is made costs, where each stretch of as many bytes of what piece
    /// number `n` lies in costs `cost(n)`. Stretches are counted from the first byte of either.
    pub fn busiest(&self, stretch: u64, cost: impl Fn(usize) -> usize) -> usize {
        let touched = |from: u64, len: u64| ((from + len).div_ceil(stretch) - from / stretch) as usize;
        let (mut busiest, mut current, mut sum) = (0, u64::MAX, 0_usize);
        for (number, piece) in self.pieces.iter().enumerate() {
            let cost = cost(number);
            let (first, last) = (piece.start / stretch, (piece.end() - 1) / stretch);
            let head = piece.len.min((first + 1).saturating_mul(stretch) - piece.start);
            let before = if first == current { sum } else { 0 };
            sum = before.saturating_add(cost.saturating_mul(touched(piece.offset, head)));
            busiest = busiest.max(sum);
            if last > first {
                // Those in the middle lie across the borders of two.
                busiest = busiest.max(if last > first + 1 { cost.saturating_mul(2) } else { 0 });
                let tail = piece.end() - last * stretch;
                sum = cost.saturating_mul(touched(piece.offset + piece.len - tail, tail));
                busiest = busiest.max(sum);
            }
            current = last;
        }
        busiest
    }

    /// The same without some pieces, so that [`Mosaic::busiest`] is no more than `most`: of those that share a stretch the short ones go
    /// first. `None` if none is left.
    pub fn without_busy(self, stretch: u64, most: usize, cost: impl Fn(usize) -> usize) -> Option<Self> {
        if self.busiest(stretch, &cost) <= most {
            return Some(self);
        }
        let count = self.pieces.len();
        // Those that lie across two borders cost twice as much where nothing else does.
        let is_long = |piece: &Piece| (piece.end() - 1) / stretch > piece.start / stretch + 1;
        let mut is_kept: Vec<bool> = (0..count)
            .map(|number| !is_long(&self.pieces[number]) || cost(number).saturating_mul(2) <= most)
            .collect();
        let mut looked_at = None;
        for piece in &self.pieces {
            for at in [piece.start / stretch, (piece.end() - 1) / stretch] {
                if looked_at.replace(at) != Some(at) {
                    self.thin_stretch(at, stretch, most, &cost, &mut is_kept);
                }
            }
        }
        let kept =
            self.pieces.into_iter().zip(is_kept).filter(|(_, is_kept)| *is_kept).map(|(piece, _)| piece);
        Self::new(self.len, kept.collect())
    }

    /// Lets go of the shortest pieces in stretch number `at` until it costs no more than `most`.
    fn thin_stretch(
        &self,
        at: u64,
        stretch: u64,
        most: usize,
        cost: impl Fn(usize) -> usize,
        is_kept: &mut [bool],
    ) {
        let (from, to) = (at * stretch, (at + 1).saturating_mul(stretch));
        let here = |number: usize| {
            let piece = &self.pieces[number];
            let first = piece.offset + (piece.start.max(from) - piece.start);
            let last = piece.offset + (piece.end().min(to) - piece.start) - 1;
            cost(number).saturating_mul((last / stretch - first / stretch + 1) as usize)
        };
        let mut kept: Vec<usize> = self.touching(from, to).filter(|number| is_kept[*number]).collect();
        kept.sort_by_key(|number| self.pieces[*number].len);
        let mut sum = kept.iter().fold(0_usize, |sum, number| sum.saturating_add(here(*number)));
        for number in kept {
            if sum <= most {
                break;
            }
            is_kept[number] = false;
            sum = sum.saturating_sub(here(number));
        }
    }

    /// The record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::record(MAGIC, VERSION);
        out.u64(self.len);
        out.u32(self.pieces.len() as u32);
        for piece in &self.pieces {
            out.raw(piece.key.as_bytes());
            [piece.start, piece.len, piece.offset].into_iter().for_each(|number| out.u64(number));
        }
        out.finish()
    }

    /// The mosaic of a record.
    ///
    /// # Errors
    /// If it is none, or what it says does not fit together.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut from = Reader::record(bytes, MAGIC, VERSION, "mosaic")?;
        let len = from.u64("length")?;
        let count = from.count(PIECE_LEN, "count of pieces")?;
        let pieces = (0..count).map(|_| decode_piece(&mut from)).collect::<Result<Vec<_>, _>>()?;
        from.finish()?;
        Self::new(len, pieces).ok_or(WireError::Invalid("mosaic"))
    }

    /// Whether a record is meant to be one.
    pub(super) fn is_record(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

fn decode_piece(from: &mut Reader<'_>) -> Result<Piece, WireError> {
    let key = ObjectKey::from_bytes(from.array("key of a piece")?);
    let (start, len) = (from.u64("start of a piece")?, from.u64("length of a piece")?);
    Ok(Piece { start, len, key, offset: from.u64("offset of a piece")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A few short pieces with gaps between them, and a tail.
    fn mosaic() -> impl Strategy<Value = Mosaic> {
        let piece = (0..9u64, 1..40u64, 0..3u8, 0..50u64);
        (proptest::collection::vec(piece, 1..6), 0..5u64).prop_map(|(pieces, tail)| {
            let mut end = 0;
            let place = |(gap, len, key, offset)| {
                let start = end + gap;
                end = start + len;
                Piece { start, len, key: ObjectKey::from_bytes([key; 16]), offset }
            };
            let pieces = pieces.into_iter().map(place).collect();
            Mosaic::new(end + tail, pieces).expect("in order")
        })
    }

    proptest! {
        #[test]
        fn records_come_back_and_no_other_bytes_are_one(mosaic in mosaic(), at: usize, byte: u8) {
            let bytes = mosaic.encode();
            prop_assert_eq!(Mosaic::decode(&bytes), Ok(mosaic));
            for len in 0..bytes.len() {
                prop_assert!(Mosaic::decode(&bytes[..len]).is_err());
            }
            prop_assert!(Mosaic::decode(&[&bytes[..], &[0]].concat()).is_err());
            let mut other = bytes.clone();
            other[at % bytes.len()] = byte;
            if let Ok(mosaic) = Mosaic::decode(&other) {
                prop_assert_eq!(mosaic.encode(), other);
            }
        }

        #[test]
        fn those_that_touch_a_range_share_bytes_with_it(mosaic in mosaic(), from in 0..200u64, len in 1..60u64) {
            let shares = |piece: &Piece| piece.start < from + len && from < piece.end();
            let touching = mosaic.touching(from, from + len);
            for (number, piece) in mosaic.pieces().iter().enumerate() {
                prop_assert_eq!(touching.contains(&number), shares(piece));
            }
        }

        #[test]
        fn no_stretch_costs_more_than_the_busiest(mosaic in mosaic(), stretch in 1..30u64) {
            let cost = |number: usize| number + 1;
            let of = |at: u64| {
                let (from, to) = (at * stretch, (at + 1) * stretch);
                let pieces = mosaic.touching(from, to);
                let stretches = |number: usize| {
                    let piece = &mosaic.pieces()[number];
                    let (start, end) = (piece.start.max(from), piece.end().min(to));
                    let first = piece.offset + (start - piece.start);
                    let last = piece.offset + (end - piece.start) - 1;
                    (last / stretch - first / stretch + 1) as usize
                };
                pieces.map(|number| cost(number) * stretches(number)).sum::<usize>()
            };
            let most = (0..=mosaic.len() / stretch).map(of).max().expect("one at least");
            let busiest = mosaic.busiest(stretch, cost);
            prop_assert!(most <= busiest && busiest <= 2 * most, "{most} {busiest}");
        }
    }

    proptest! {
        #[test]
        fn what_costs_too_much_is_left_out_and_nothing_else(mosaic in mosaic(), stretch in 1..30u64, most in 0..20usize) {
            // A cost that each piece keeps when others go.
            let cost_of = |piece: &Piece| piece.start as usize % 3 + 1;
            let before = mosaic.busiest(stretch, |number| cost_of(&mosaic.pieces()[number]));
            let rest = mosaic.clone().without_busy(stretch, most, |number| cost_of(&mosaic.pieces()[number]));
            prop_assert!(before > most || rest.as_ref() == Some(&mosaic));
            if let Some(rest) = rest {
                prop_assert!(rest.busiest(stretch, |number| cost_of(&rest.pieces()[number])) <= most);
                prop_assert!(rest.pieces().iter().all(|piece| mosaic.pieces().contains(piece)));
                prop_assert_eq!(rest.len(), mosaic.len());
            } else {
                prop_assert!(most < 2 * 40 * 3);
            }
        }
    }

    #[test]
    fn of_a_busy_stretch_the_short_pieces_go() {
        let piece = |start, len| Piece { start, len, key: ObjectKey::from_bytes([1; 16]), offset: start };
        let pieces = vec![piece(0, 10), piece(10, 20), piece(30, 15), piece(45, 500)];
        let mosaic = Mosaic::new(1000, pieces.clone()).expect("in order");
        let rest = mosaic.without_busy(100, 3, |_| 1).expect("some are left");
        assert_eq!(rest.pieces(), &pieces[1..]);
        assert!(rest.clone().without_busy(100, 2, |_| 1).expect("some").pieces().contains(&pieces[3]));
        assert_eq!(rest.without_busy(100, 0, |_| 1), None);
    }

    #[test]
    fn pieces_that_cannot_be_are_refused() {
        let piece = |start, len, offset| Piece { start, len, key: ObjectKey::from_bytes([1; 16]), offset };
        assert!(Mosaic::new(9, vec![piece(0, 4, 0), piece(4, 5, 100)]).is_some());
        assert!(Mosaic::new(9, vec![]).is_none());
        assert!(Mosaic::new(9, vec![piece(0, 0, 0)]).is_none());
        assert!(Mosaic::new(9, vec![piece(4, 5, 0), piece(0, 4, 0)]).is_none());
        assert!(Mosaic::new(9, vec![piece(0, 5, 0), piece(4, 5, 0)]).is_none());
        assert!(Mosaic::new(8, vec![piece(4, 5, 0)]).is_none());
        assert!(Mosaic::new(u64::MAX, vec![piece(u64::MAX, 1, 0)]).is_none());
        assert!(Mosaic::new(9, vec![piece(0, 1, u64::MAX)]).is_none());
        let many = |count| (0..count).map(|at| piece(at, 1, 0)).collect::<Vec<_>>();
        assert!(Mosaic::new(5000, many(PIECES_MAX as u64)).is_some());
        assert!(Mosaic::new(5000, many(PIECES_MAX as u64 + 1)).is_none());
    }
}
