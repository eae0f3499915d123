//! Storing a sealed object anew in a transaction, coded again.

use crate::id::ObjectKey;
use crate::similarity::Signature;
use crate::store::error::Result;
use crate::store::object::{Digest, Kind, Treatment, Watched, key_of};
use crate::store::pack::{Entry, Object};
use crate::store::read::{Chain, Objects, Stored, read_formula};
use crate::store::write::{Candidates, Incoming, Writer};
use crate::task::{Task, Unit};

use super::verify::check_bytes;

/// How an object is coded anew.
pub struct Recoding {
    /// Bases that have to be decoded before it, at most.
    pub max_depth: u8,
    /// What it resembles, where that is known.
    pub signature: Option<Signature>,
    /// What is said of it.
    pub treatment: Treatment,
}

/// Stores a sealed object coded anew: as a difference to what it is said to derive from, to one of its bases or to something
/// else of this transaction.
pub fn recode(writer: &Writer, sealed: &Stored<'_>, how: &Recoding, task: &Task) -> Result<()> {
    let Recoding { max_depth, signature, treatment } = *how;
    let object = sealed.chain.object();
    let Entry { key, kind, dtype, len, .. } = object.entry;
    // What is not in this transaction may be removed once it is sealed.
    let find = |kind: Kind, key: &ObjectKey| writer.lock().find(&writer.pack, kind, key);
    let is_here = |key: &ObjectKey| match (find(Kind::Content, key), find(Kind::Formula, key)) {
        (Some(_), _) => true,
        (None, Some(formula)) => read_formula(&formula)
            .is_ok_and(|formula| formula.keys().iter().all(|key| find(Kind::Content, key).is_some())),
        (None, None) => false,
    };
    let bases: Vec<ObjectKey> = sealed.chain.base_keys().into_iter().filter(is_here).collect();
    let said: Vec<ObjectKey> = treatment.base.into_iter().filter(is_here).collect();
    let source = &Watched { source: sealed, task, meter: None };
    let mut digests = Digest::of_kind(kind).iter().copied();
    let digest = loop {
        match digests.next() {
            Some(digest) if key_of(digest, source)? == key => break digest,
            Some(_) => {}
            None => return Err(object.corrupt("its bytes do not hash to its key")),
        }
    };
    let incoming = Incoming { kind, digest, key, dtype, source, len, bases: &bases, treatment, signature };
    let candidates = Candidates::of(writer);
    // What resembles it more is not asked for yet.
    let derived = Incoming { bases: &said, signature: None, ..incoming };
    let base = match candidates.choose_own(&derived, max_depth)? {
        None => candidates.choose_own(&incoming, max_depth)?,
        said => said,
    };
    writer.store_on(&incoming, base.as_ref()).map(drop)
}

/// Decodes all that was put, from this transaction alone, and compares it with its keys.
pub fn check_alone(writer: &Writer, task: &Task) -> Result<()> {
    let names: Vec<(ObjectKey, Kind)> = writer.transaction()?.records.keys().copied().collect();
    let decoder = &*writer.decoder;
    let checked = task.begin("checking", Unit::Objects, Some(names.len() as u64));
    let check = |(key, kind): (ObjectKey, Kind)| {
        task.check()?;
        checked.advance(1);
        let Some(object) = writer.transaction()?.find(&writer.pack, kind, &key) else { return Ok(()) };
        check_bytes(decoder, &Chain::resolve(&Own(writer), object)?).map(drop)
    };
    decoder.threads.try_each(names.into_iter(), || (), |(), name| check(name))
}

/// The objects of a transaction without those that were sealed before.
struct Own<'a>(&'a Writer);

impl Objects for Own<'_> {
    fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let own = self.0.lock().find(&self.0.pack, kind, key);
        Ok(own.filter(|object| below.is_none_or(|below| object.entry.depth < below)))
    }
}
