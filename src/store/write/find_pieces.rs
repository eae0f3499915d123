//! Which stored content lies in an object, wherever and however cut: windows are found by anchors, confirmed by comparing bytes, and
//! extended both ways as far as bytes are the same.
//!
//! What it costs is bounded: windows that lead to nothing are followed a few times, and where long nothing was found, or in what came
//! before, not every byte is looked at. What reading costs is bounded too: where many pieces share a frame, the short ones stay out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::codec::FRAME_LEN;
use crate::formula::{Mosaic, PIECES_MAX, Piece};
use crate::id::ObjectKey;
use crate::similarity::{ANCHOR_BLOCK, ANCHOR_WINDOW, ANCHORED_MIN, candidates};
use crate::store::error::Result;
use crate::store::object::Kind;
use crate::store::pack::frame_len;
use crate::store::read::{Chain, FrameReader, MAX_WIDTH_ANEW, Memory, Objects};

use super::incoming::Incoming;
use super::writer::Writer;

/// Shorter runs are not worth what they cost: a record, and the decoding of a frame for a few bytes.
const RUN_MIN: u64 = 2048;
/// Windows that were followed and led to nothing, and how many more for each run that was found.
const FAILURES_MAX: usize = 16;
const FAILURES_PER_PIECE: usize = 2;
/// Bytes that are looked at together: enough for a whole block of what is known.
const STRIP: u64 = 2 * ANCHOR_BLOCK as u64;
/// Strips of an object without anything known, and objects of a transaction, before not every strip is looked at any more; and one
/// of how many is then. What is found is extended backwards, so that only runs are missed that lie between.
const PATIENCE: usize = 32;
const OBJECTS_PATIENCE: usize = 4;
const STRIDE: u64 = 8;
const FRAME: u64 = FRAME_LEN as u64;

/// The runs of an object that lie in stored content of at most `max_depth`; `None` if there are none. What is put together of pieces
/// of the deepest is one deeper than any other difference: it takes nothing, and storing it once more would.
pub fn find_pieces(writer: &Writer, incoming: &Incoming<'_>, max_depth: u8) -> Result<Option<Mosaic>> {
    if incoming.kind != Kind::Content || incoming.len < ANCHORED_MIN || !writer.has_anchors() {
        return Ok(None);
    }
    let (known, pieces) = (HashMap::new(), Vec::new());
    let mut search = Search { writer, incoming, max_depth, known, pieces, failures: 0 };
    let (mut from, mut in_vain) = (0, 0);
    let mut strip = Vec::new();
    while from + ANCHOR_WINDOW as u64 <= incoming.len && !search.is_over() {
        strip.resize(STRIP.min(incoming.len - from) as usize, 0);
        incoming.source.read_exact_at(&mut strip, from)?;
        let candidates = candidates(&strip);
        let before = search.pieces.len();
        for (number, key, offset) in writer.anchored(&candidates) {
            search.follow(from + candidates[number].at as u64, key, offset)?;
            if search.is_over() {
                break;
            }
        }
        in_vain = if search.pieces.len() > before { 0 } else { in_vain + 1 };
        let is_hopeless = in_vain > 0 && writer.objects_in_vain.load(Ordering::Relaxed) >= OBJECTS_PATIENCE;
        let stride = if is_hopeless || in_vain > PATIENCE { STRIDE } else { 1 };
        // Windows that lie across the border are looked at too.
        let next = from + STRIP * stride - ANCHOR_WINDOW as u64 + 1;
        from = next.max(search.end());
    }
    match search.pieces.is_empty() {
        true => writer.objects_in_vain.fetch_add(1, Ordering::Relaxed),
        false => writer.objects_in_vain.swap(0, Ordering::Relaxed),
    };
    Ok(search.mosaic())
}

struct Search<'a> {
    writer: &'a Writer,
    incoming: &'a Incoming<'a>,
    max_depth: u8,
    /// What was looked up; `None` where nothing can be a piece of it.
    known: HashMap<ObjectKey, Option<Arc<Chain>>>,
    pieces: Vec<Piece>,
    failures: usize,
}

impl Search<'_> {
    /// What the pieces make, as far as reading a frame of it does not cost too much.
    fn mosaic(self) -> Option<Mosaic> {
        let width_of = |piece: &Piece| {
            self.known.get(&piece.key).and_then(Option::as_ref).map_or(0, |chain| chain.width())
        };
        let widths: Vec<usize> = self.pieces.iter().map(width_of).collect();
        let mosaic = Mosaic::new(self.incoming.len, self.pieces)?;
        mosaic.without_busy(FRAME, MAX_WIDTH_ANEW, |piece| widths[piece])
    }

    /// Where the last piece ends.
    fn end(&self) -> u64 {
        self.pieces.last().map_or(0, Piece::end)
    }

    fn is_over(&self) -> bool {
        self.pieces.len() == PIECES_MAX
            || self.failures > FAILURES_MAX + self.pieces.len() * FAILURES_PER_PIECE
    }

    /// Takes the run around a window, which probably begins at `offset` of the object under `key`, if it is one.
    fn follow(&mut self, at: u64, key: ObjectKey, offset: u64) -> Result<()> {
        if at < self.end() {
            return Ok(());
        }
        match self.run(at, key, offset)? {
            Some(piece) => self.pieces.push(piece),
            None => self.failures += 1,
        }
        Ok(())
    }

    fn run(&mut self, at: u64, key: ObjectKey, offset: u64) -> Result<Option<Piece>> {
        let Some(chain) = self.chain(key) else { return Ok(None) };
        let mut pair =
            Pair { incoming: self.incoming, reader: FrameReader::new(&chain, self.memory()), chain: &chain };
        let forward = pair.same_from(at, offset)?;
        if forward < ANCHOR_WINDOW as u64 {
            return Ok(None);
        }
        let back = pair.same_before(at, offset, self.end())?;
        let len = back + forward;
        Ok((len >= RUN_MIN).then(|| Piece { start: at - back, len, key, offset: offset - back }))
    }

    fn memory(&self) -> &Memory {
        &self.writer.decoder.memory
    }

    /// The object under a key, if pieces of it may be taken. What cannot be read is none.
    fn chain(&mut self, key: ObjectKey) -> Option<Arc<Chain>> {
        let (writer, max_depth, own) = (self.writer, self.max_depth, self.incoming.key);
        let look_up = || {
            let object = writer.find(Kind::Content, &key, None).ok().flatten()?;
            let chain = Chain::resolve(writer, object).ok()?;
            // What waits to be coded may become a difference to this.
            let can_be = key != own && !chain.waits() && chain.depth() <= max_depth && chain.can_be_piece();
            can_be.then(|| Arc::new(chain))
        };
        self.known.entry(key).or_insert_with(look_up).clone()
    }
}

/// What comes in and an object, as they are compared.
struct Pair<'a> {
    incoming: &'a Incoming<'a>,
    chain: &'a Chain,
    reader: FrameReader<'a>,
}

impl Pair<'_> {
    /// How many bytes are the same from `at` here and `offset` there on.
    fn same_from(&mut self, at: u64, offset: u64) -> Result<u64> {
        let most = (self.incoming.len - at).min(self.chain.len().saturating_sub(offset));
        let mut same = 0;
        while same < most {
            // Up to the end of a frame there.
            let from = offset + same;
            let frame = from / FRAME;
            let in_frame = frame * FRAME + frame_len(self.chain.len(), frame) as u64 - from;
            let len = in_frame.min(most - same);
            let Some((here, there)) = self.read(at + same, from, len)? else { break };
            if here != there {
                return Ok(
                    same + here.iter().zip(&there).take_while(|(here, there)| here == there).count() as u64
                );
            }
            same += len;
        }
        Ok(same)
    }

    /// How many bytes are the same before `at` here, but not before `least`, and before `offset` there.
    fn same_before(&mut self, at: u64, offset: u64, least: u64) -> Result<u64> {
        let most = (at - least).min(offset);
        let mut same = 0;
        while same < most {
            // Down to the beginning of a frame there.
            let to = offset - same;
            let len = (to - (to - 1) / FRAME * FRAME).min(most - same);
            let Some((here, there)) = self.read(at - same - len, to - len, len)? else { break };
            if here != there {
                let pairs = here.iter().rev().zip(there.iter().rev());
                return Ok(same + pairs.take_while(|(here, there)| here == there).count() as u64);
            }
            same += len;
        }
        Ok(same)
    }

    /// So many bytes of both; `None` if those of the object cannot be read.
    fn read(&mut self, at: u64, offset: u64, len: u64) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let (mut here, mut there) = (vec![0; len as usize], vec![0; len as usize]);
        self.incoming.source.read_exact_at(&mut here, at)?;
        Ok(self.reader.read_range(offset, &mut there).is_ok().then_some((here, there)))
    }
}
