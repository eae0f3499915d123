//! From an object to all that it stands on: which bases reading it needs.
//!
//! A frame of a difference needs only the same frame of its base, or what that is computed of: the same elements, or pieces that
//! lie anywhere. References
//! lead to strictly lower depths (another stored copy of the base is looked for where the first one found is not
//! lower), so that there is no cycle whatever copies lie in whatever packs; resolution is iterative and bounded.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::{FRAME_LEN, cast, is_castable};
use crate::formula::{Computation, Formula, Mosaic, NumberBuffers};
use crate::id::ObjectKey;
use crate::store::catalog::Catalog;
use crate::store::error::Result;
use crate::store::object::Kind;
use crate::store::pack::{Object, Through};
use crate::tensor::Dtype;

use super::formulas::read_formula;

/// Where objects are found: sealed packs, or these and a transaction's own.
pub trait Objects: Sync {
    /// A stored copy of the object of a kind under `key`, of a depth less than `below` if that is given.
    fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>>;
}

/// Computations below one another that are followed. Writers take less: but a base is named by its key, and another copy of
/// it, stored meanwhile by somebody else, may stand on more.
const MAX_NESTED: usize = 4;
/// The same of what something new is to be a difference to.
const MAX_NESTED_ANEW: usize = 2;
/// Stored frames that are read for one; the same of something new.
const MAX_WIDTH: usize = 4096;
pub const MAX_WIDTH_ANEW: usize = 512;
/// Objects that are looked up for one, however few of them any frame needs: those of a mosaic of all the pieces that there can
/// be, each as deep as writers let it be, several times.
const MAX_LINKS: usize = 1 << 16;

/// An object with all that it is, directly or not, a difference to. It gives the bytes of its first link or, where it
/// has none, what is computed.
#[derive(Clone)]
pub struct Chain {
    /// Each is a difference to the next.
    pub(super) links: Vec<Object>,
    /// What the last link is a difference to, if that is no object but what is computed of some.
    pub(super) computed: Option<Box<Computed>>,
}

/// What is made of the elements of objects: what differences are taken to, never stored itself.
#[derive(Clone)]
pub struct Computed {
    /// Those of what it is made; at least one.
    pub origins: Vec<Chain>,
    how: How,
    /// Bytes of the elements that are made.
    pub len: u64,
}

/// What is done to elements.
#[derive(Clone)]
enum How {
    /// They become those of another type.
    Cast { from: Dtype, to: Dtype },
    /// What a formula says, and where that is.
    Formula { object: Box<Object>, formula: Arc<Formula> },
    /// Pieces of them lie side by side: for each its number among the origins.
    Mosaic { object: Box<Object>, mosaic: Arc<Mosaic>, origin_of: Vec<usize> },
}

/// A piece of a mosaic, or a part of one.
pub struct Placed<'c> {
    /// Where it begins, in bytes from the first that was asked for.
    pub at: usize,
    pub origin: &'c Chain,
    /// The bytes of that which it is.
    pub range: Range<u64>,
}

/// What resolving a chain may still do.
struct Left {
    nested: usize,
    /// Frames that are read for one.
    width: usize,
    links: usize,
}

impl Left {
    fn all() -> Self {
        Self { nested: MAX_NESTED, width: MAX_WIDTH, links: MAX_LINKS }
    }

    /// What is left beside so many objects, each of which gives so many frames.
    fn take(&mut self, links: usize, frames: usize) -> Option<()> {
        self.width = self.width.checked_sub(links.saturating_mul(frames))?;
        self.links = self.links.checked_sub(links)?;
        Some(())
    }
}

impl Chain {
    pub fn resolve(objects: &dyn Objects, object: Object) -> Result<Self> {
        Self::resolve_within(objects, object, &mut Left::all(), 1)
    }

    /// What a formula makes.
    pub fn of_formula(objects: &dyn Objects, formula: Object) -> Result<Self> {
        let computed = Computed::by(objects, formula, None, &mut Left::all(), 1)?;
        Ok(Self { links: Vec::new(), computed: Some(Box::new(computed)) })
    }

    /// The chain of an object of which so many frames are read for one of what is wanted.
    fn resolve_within(objects: &dyn Objects, object: Object, left: &mut Left, frames: usize) -> Result<Self> {
        let mut chain = Self::resolve_links(objects, object)?;
        left.take(chain.links.len(), frames)
            .ok_or_else(|| chain.object().corrupt("it stands on too much"))?;
        let last = chain.links.last().expect("it has the object at least");
        let (Some(through), Some(key)) = (last.entry.through, last.entry.base) else { return Ok(chain) };
        left.nested =
            left.nested.checked_sub(1).ok_or_else(|| last.corrupt("too many computations below it"))?;
        let computed = match through {
            Through::Cast(from) => {
                let width = |dtype: Dtype| dtype.lane().width();
                let frames = frames.saturating_mul(width(from).div_ceil(width(last.entry.dtype)));
                let origin = Self::resolve_within(objects, find_base(objects, last, &key)?, left, frames)?;
                Computed::cast(origin, from, last.entry.dtype)
            }
            Through::Formula => {
                let formula = objects.find(Kind::Formula, &key, None)?;
                let formula = formula.ok_or_else(|| last.corrupt(format!("its formula {key} is missing")))?;
                Some(Computed::by(objects, formula, Some(last.entry.depth), left, frames)?)
            }
        };
        left.nested += 1;
        let computed = computed.filter(|computed| computed.len == last.entry.len);
        let computed = computed.ok_or_else(|| last.corrupt(format!("it cannot be made of {key}")))?;
        chain.computed = Some(Box::new(computed));
        Ok(chain)
    }

    /// The object and its bases down to one that has none, or stands on what is computed.
    fn resolve_links(objects: &dyn Objects, object: Object) -> Result<Self> {
        let mut links = vec![object];
        // Each has a lower depth than the one before, so there are no more than depths.
        while let Some(last) = links.last()
            && let (Some(key), None) = (last.entry.base, last.entry.through)
        {
            let base = find_base(objects, last, &key)?;
            if base.entry.len != last.entry.len {
                return Err(last.corrupt(format!("{key} cannot be its base")));
            }
            links.push(base);
        }
        Ok(Self { links, computed: None })
    }

    /// The same, with the bytes of all its packs held as far as that can be: it reads on although packs are removed.
    pub fn hold(mut self) -> Result<Self> {
        let mut chains = vec![&mut self];
        while let Some(chain) = chains.pop() {
            chain.links.iter_mut().try_for_each(Object::hold)?;
            chains.extend(chain.computed.iter_mut().flat_map(|computed| &mut computed.origins));
        }
        Ok(self)
    }

    /// The elements of the object as another type; `None` if types or lengths do not allow it, or it stands on what is
    /// computed itself.
    pub fn cast(self, to: Dtype) -> Option<Self> {
        let from = self.object().entry.dtype;
        let origin = Some(self).filter(|origin| origin.computed.is_none())?;
        Some(Self { links: Vec::new(), computed: Some(Box::new(Computed::cast(origin, from, to)?)) })
    }

    /// The end of the chain alone: what all the rest is a difference to; `None` if there is no rest.
    pub fn keyframe(&self) -> Option<Self> {
        match (&*self.links, &self.computed) {
            ([], _) | ([_], None) => None,
            ([.., last], None) => Some(Self { links: vec![last.clone()], computed: None }),
            (_, Some(computed)) => Some(Self { links: Vec::new(), computed: Some(computed.clone()) }),
        }
    }

    /// The object that a difference to what the chain gives names as its base.
    pub fn object(&self) -> &Object {
        match (self.links.first(), &self.computed) {
            (Some(object), _) => object,
            (None, Some(computed)) => computed.named(),
            (None, None) => unreachable!("a chain has a link or is computed"),
        }
    }

    /// What is made of that object, if the chain does not give its bytes.
    pub fn through(&self) -> Option<Through> {
        let computed = self.computed.as_ref().filter(|_| self.links.is_empty())?;
        Some(match &computed.how {
            How::Cast { from, .. } => Through::Cast(*from),
            How::Formula { .. } | How::Mosaic { .. } => Through::Formula,
        })
    }

    /// The mosaic that the chain gives, if it gives one.
    pub fn mosaic(&self) -> Option<&Mosaic> {
        match self.computed.as_deref().filter(|_| self.links.is_empty()) {
            Some(Computed { how: How::Mosaic { mosaic, .. }, .. }) => Some(mosaic),
            _ => None,
        }
    }

    /// Bytes of what the chain gives.
    pub fn len(&self) -> u64 {
        match (&self.computed, self.links.first()) {
            (Some(computed), None) => computed.len,
            _ => self.object().entry.len,
        }
    }

    /// Everything that the object is, directly or not, a difference to: the nearest first.
    pub fn base_keys(&self) -> Vec<ObjectKey> {
        let mut keys: Vec<ObjectKey> = self.links.iter().skip(1).map(|object| object.entry.key).collect();
        if let Some(computed) = &self.computed {
            keys.push(computed.named().entry.key);
            for origin in &computed.origins {
                keys.push(origin.object().entry.key);
                keys.extend(origin.base_keys());
            }
            keys.dedup();
        }
        keys
    }

    /// Bytes of all the differences that are undone to rebuild the whole, as they are stored.
    pub fn delta_len(&self) -> Result<u64> {
        let deltas = self.links.iter().filter(|link| link.entry.base.is_some());
        let own = deltas.map(Object::stored_len).sum::<Result<u64>>()?;
        self.origins().map(Self::delta_len).try_fold(own, |sum, len| Ok(sum + len?))
    }

    /// How many bases deep what the chain gives is.
    pub fn depth(&self) -> u8 {
        match self.links.first() {
            Some(object) => object.entry.depth,
            None => self.origins().map(Self::depth).max().unwrap_or(0),
        }
    }

    /// Frames that are read for one of what the chain gives.
    pub fn width(&self) -> usize {
        self.links.len() + self.computed.as_deref().map_or(0, Computed::width)
    }

    /// Whether something in it waits to be coded: it may become a difference to anything then.
    pub fn waits(&self) -> bool {
        self.links.iter().any(|link| link.entry.is_attached()) || self.origins().any(Self::waits)
    }

    /// Whether something new may be a difference to it: not too much is computed below it, and there is a depth below it.
    pub fn can_be_base(&self) -> bool {
        self.nested() <= MAX_NESTED_ANEW && self.width() <= MAX_WIDTH_ANEW && self.depth() < u8::MAX
    }

    /// Whether pieces of it may be put together to what something new may be a difference to.
    pub fn can_be_piece(&self) -> bool {
        self.nested() < MAX_NESTED_ANEW && self.width() <= MAX_WIDTH_ANEW && self.depth() < u8::MAX
    }

    /// Whether something new may be a difference to what a mosaic would give, of which there need be no record.
    pub fn can_be_put_together(objects: &dyn Objects, mosaic: &Mosaic) -> bool {
        match Origins::of(objects, mosaic, None, &mut Left::all(), 1) {
            Ok(Ok(found)) => found.width <= MAX_WIDTH_ANEW && found.chains.iter().all(Self::can_be_piece),
            // What cannot be read is nothing to stand on.
            Ok(Err(_)) | Err(_) => false,
        }
    }

    fn nested(&self) -> usize {
        self.origins().map(|origin| 1 + origin.nested()).max().unwrap_or(0)
    }

    fn origins(&self) -> impl Iterator<Item = &Self> {
        self.computed.iter().flat_map(|computed| &computed.origins)
    }
}

impl Computed {
    fn cast(origin: Chain, from: Dtype, to: Dtype) -> Option<Self> {
        let (from_width, to_width) = (from.lane().width() as u64, to.lane().width() as u64);
        let fits = is_castable(from, to) && origin.len().is_multiple_of(from_width);
        let len = (origin.len() / from_width).checked_mul(to_width).filter(|_| fits)?;
        Some(Self { origins: vec![origin], how: How::Cast { from, to }, len })
    }

    /// What a formula makes of objects that are less than `below` deep.
    fn by(
        objects: &dyn Objects,
        object: Object,
        below: Option<u8>,
        left: &mut Left,
        frames: usize,
    ) -> Result<Self> {
        let formula = match read_formula(&object)? {
            Computation::Formula(formula) => formula,
            Computation::Mosaic(mosaic) => {
                return Self::of_pieces(objects, object, mosaic, below, left, frames);
            }
        };
        let mut origins = Vec::with_capacity(formula.operands().len());
        for operand in formula.operands() {
            let found = objects.find(Kind::Content, &operand.key, below)?;
            let found =
                found.ok_or_else(|| object.corrupt(format!("its operand {} is missing", operand.key)))?;
            let unit = Formula::bytes_of(operand.dtype, formula.unit().0);
            let frames = frames.saturating_mul(unit.div_ceil(formula.unit().1) as usize);
            let origin = Chain::resolve_within(objects, found, left, frames)?;
            if origin.len() != Formula::bytes_of(operand.dtype, formula.elements()) {
                return Err(object.corrupt(format!("its operand {} is of another length", operand.key)));
            }
            origins.push(origin);
        }
        let len = formula.len();
        let how = How::Formula { object: Box::new(object), formula: Arc::new(formula) };
        Ok(Self { origins, how, len })
    }

    /// The same of a mosaic. No frame needs all that it is of, so that what counts is the frame that needs most.
    fn of_pieces(
        objects: &dyn Objects,
        object: Object,
        mosaic: Mosaic,
        below: Option<u8>,
        left: &mut Left,
        frames: usize,
    ) -> Result<Self> {
        let found = Origins::of(objects, &mosaic, below, left, frames)?;
        let Origins { chains: origins, origin_of, .. } = found.map_err(|what| object.corrupt(what))?;
        let len = mosaic.len();
        let how = How::Mosaic { object: Box::new(object), mosaic: Arc::new(mosaic), origin_of };
        Ok(Self { origins, how, len })
    }

    /// The object that is named as the base of a difference to it.
    fn named(&self) -> &Object {
        match &self.how {
            How::Cast { .. } => self.origins[0].object(),
            How::Formula { object, .. } | How::Mosaic { object, .. } => object,
        }
    }

    /// Frames that are read for one that is made.
    fn width(&self) -> usize {
        match &self.how {
            How::Mosaic { mosaic, origin_of, .. } => {
                let widths: Vec<usize> = self.origins.iter().map(Chain::width).collect();
                mosaic.busiest(FRAME_LEN as u64, |piece| widths[origin_of[piece]])
            }
            How::Cast { .. } | How::Formula { .. } => {
                self.operands().map(|(origin, unit)| origin.width() * self.frames_of(unit)).sum()
            }
        }
    }

    /// The pieces that so many bytes from `offset` on are made of; `None` if elements are made. Between them lie zeros.
    pub fn placed(&self, offset: u64, len: usize) -> Option<impl Iterator<Item = Placed<'_>>> {
        let How::Mosaic { mosaic, origin_of, .. } = &self.how else { return None };
        let end = offset + len as u64;
        Some(mosaic.touching(offset, end).map(move |number| {
            let piece = &mosaic.pieces()[number];
            let (from, to) = (piece.start.max(offset), piece.end().min(end));
            let at = (from - offset) as usize;
            let first = piece.offset + (from - piece.start);
            Placed { at, origin: &self.origins[origin_of[number]], range: first..first + (to - from) }
        }))
    }

    /// Bytes that are made together: of an element, or of a block.
    pub fn unit(&self) -> u64 {
        match &self.how {
            How::Cast { to, .. } => to.lane().width() as u64,
            How::Formula { formula, .. } => formula.unit().1,
            How::Mosaic { .. } => 1,
        }
    }

    /// Frames that are read of an operand for one that is made, if so many of its bytes are made into a unit.
    fn frames_of(&self, unit: u64) -> usize {
        unit.div_ceil(self.unit()) as usize
    }

    /// Each of what it is made of, with the bytes that are made into one unit.
    pub fn operands(&self) -> impl Iterator<Item = (&Chain, u64)> {
        let unit = |number: usize| match &self.how {
            How::Cast { from, .. } => from.lane().width() as u64,
            How::Formula { formula, .. } => {
                Formula::bytes_of(formula.operands()[number].dtype, formula.unit().0)
            }
            How::Mosaic { .. } => 1,
        };
        self.origins.iter().enumerate().map(move |(number, origin)| (origin, unit(number)))
    }

    /// Makes bytes from number `offset` on, of what is made into the units that they touch, one operand's after the other's.
    pub fn fill(&self, offset: u64, operands: &[u8], numbers: &mut NumberBuffers, out: &mut [u8]) {
        match &self.how {
            How::Cast { from, to } => cast(*from, *to, operands, out),
            How::Formula { formula, .. } => formula.fill(offset, operands, numbers, out),
            How::Mosaic { .. } => unreachable!("pieces are placed"),
        }
    }
}

/// Those that a mosaic is of.
struct Origins {
    chains: Vec<Chain>,
    /// For each piece its number among them.
    origin_of: Vec<usize>,
    /// Frames that are read for the frame that needs most.
    width: usize,
}

impl Origins {
    /// Those that are less than `below` deep, or what is wrong with the mosaic.
    fn of(
        objects: &dyn Objects,
        mosaic: &Mosaic,
        below: Option<u8>,
        left: &mut Left,
        frames: usize,
    ) -> Result<std::result::Result<Self, String>> {
        let before = left.width;
        let mut numbers: HashMap<ObjectKey, usize> = HashMap::new();
        let (mut chains, mut widths) = (Vec::<Chain>::new(), Vec::new());
        let mut origin_of = Vec::with_capacity(mosaic.pieces().len());
        for piece in mosaic.pieces() {
            let number = match numbers.get(&piece.key) {
                Some(number) => *number,
                None => {
                    let Some(found) = objects.find(Kind::Content, &piece.key, below)? else {
                        return Ok(Err(format!("its piece {} is missing", piece.key)));
                    };
                    left.width = before;
                    chains.push(Chain::resolve_within(objects, found, left, frames)?);
                    widths.push(before - left.width);
                    numbers.insert(piece.key, chains.len() - 1);
                    chains.len() - 1
                }
            };
            if piece.offset + piece.len > chains[number].len() {
                return Ok(Err(format!("its piece {} is too short", piece.key)));
            }
            origin_of.push(number);
        }
        let width = mosaic.busiest(FRAME_LEN as u64, |piece| widths[origin_of[piece]]);
        let Some(rest) = before.checked_sub(width) else {
            return Ok(Err("one frame of it stands on too much".to_owned()));
        };
        left.width = rest;
        Ok(Ok(Self { chains, origin_of, width }))
    }
}

fn find_base(objects: &dyn Objects, of: &Object, key: &ObjectKey) -> Result<Object> {
    let found = objects.find(Kind::Content, key, Some(of.entry.depth))?;
    found.ok_or_else(|| of.corrupt(format!("its base {key} is missing")))
}

impl Objects for Catalog {
    fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        Self::find(self, kind, key, below)
    }
}
