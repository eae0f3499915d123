//! From an object to all that it stands on: which bases reading it needs.
//!
//! A frame of a difference needs only the same frame of its base, or the same elements of one that is cast. References
//! lead to strictly lower depths (another stored copy of the base is looked for where the first one found is not
//! lower), so that there is no cycle whatever copies lie in whatever packs; resolution is iterative and bounded.

use crate::codec::is_castable;
use crate::id::ObjectKey;
use crate::store::catalog::Catalog;
use crate::store::error::Result;
use crate::store::object::Kind;
use crate::store::pack::Object;
use crate::tensor::Dtype;

/// Where objects are found: sealed packs, or these and a transaction's own.
pub trait Objects: Sync {
    /// A stored copy of the content under `key`, of a depth less than `below` if that is given.
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>>;
}

/// Casts that are followed. Writers take no cast of what stands on one; but a base is named by its key, and another
/// copy of it, stored meanwhile by somebody else, may stand on one.
const MAX_CASTS: usize = 4;

/// An object with all that it is, directly or not, a difference to. It gives the bytes of its first link or, where it
/// has none, of its cast.
#[derive(Clone)]
pub struct Chain {
    /// Each is a difference to the next.
    pub(super) links: Vec<Object>,
    /// What the last link is a difference to, if that is not an object but a cast of one.
    pub(super) cast: Option<Box<Cast>>,
}

/// The elements of an object in another type: what differences are taken to, never stored itself.
#[derive(Clone)]
pub struct Cast {
    pub origin: Chain,
    pub from: Dtype,
    pub to: Dtype,
    /// Bytes of the cast elements.
    pub len: u64,
}

impl Chain {
    pub fn resolve(objects: &dyn Objects, object: Object) -> Result<Self> {
        Self::resolve_within(objects, object, MAX_CASTS)
    }

    fn resolve_within(objects: &dyn Objects, object: Object, casts: usize) -> Result<Self> {
        let mut chain = Self::resolve_links(objects, object)?;
        let last = chain.links.last().expect("it has the object at least");
        if let (Some(from), Some(key)) = (last.entry.cast, last.entry.base) {
            let left = casts.checked_sub(1).ok_or_else(|| last.corrupt("it is a cast of casts of casts"))?;
            let origin = Self::resolve_within(objects, find_base(objects, last, &key)?, left)?;
            let cast = Cast::new(origin, from, last.entry.dtype).filter(|cast| cast.len == last.entry.len);
            let cast = cast.ok_or_else(|| last.corrupt(format!("it cannot be a cast of {key}")))?;
            chain.cast = Some(Box::new(cast));
        }
        Ok(chain)
    }

    /// The object and its bases down to one that has none, or a cast.
    fn resolve_links(objects: &dyn Objects, object: Object) -> Result<Self> {
        let mut links = vec![object];
        // Each has a lower depth than the one before, so there are no more than depths.
        while let Some(last) = links.last()
            && let (Some(key), None) = (last.entry.base, last.entry.cast)
        {
            let base = find_base(objects, last, &key)?;
            if base.entry.len != last.entry.len {
                return Err(last.corrupt(format!("{key} cannot be its base")));
            }
            links.push(base);
        }
        Ok(Self { links, cast: None })
    }

    /// The same, with the bytes of all its packs held as far as that can be: it reads on although packs are removed.
    pub fn hold(mut self) -> Result<Self> {
        let mut chain = &mut self;
        loop {
            chain.links.iter_mut().try_for_each(Object::hold)?;
            match &mut chain.cast {
                Some(cast) => chain = &mut cast.origin,
                None => return Ok(self),
            }
        }
    }

    /// The elements of the object as another type; `None` if types or lengths do not allow it, or it stands on a cast
    /// itself.
    pub fn cast(self, to: Dtype) -> Option<Self> {
        let from = self.object().entry.dtype;
        let origin = Some(self).filter(|origin| origin.cast.is_none())?;
        Some(Self { links: Vec::new(), cast: Some(Box::new(Cast::new(origin, from, to)?)) })
    }

    /// The end of the chain alone: what all the rest is a difference to; `None` if there is no rest.
    pub fn keyframe(&self) -> Option<Self> {
        match (&*self.links, &self.cast) {
            ([], _) | ([_], None) => None,
            ([.., last], None) => Some(Self { links: vec![last.clone()], cast: None }),
            (_, Some(cast)) => Some(Self { links: Vec::new(), cast: Some(cast.clone()) }),
        }
    }

    /// The object that a difference to what the chain gives names as its base.
    pub fn object(&self) -> &Object {
        match (self.links.first(), &self.cast) {
            (Some(object), _) => object,
            (None, Some(cast)) => cast.origin.object(),
            (None, None) => unreachable!("a chain has a link or a cast"),
        }
    }

    /// The type of the object's elements, if what the chain gives is a cast of them.
    pub fn cast_from(&self) -> Option<Dtype> {
        self.cast.as_ref().filter(|_| self.links.is_empty()).map(|cast| cast.from)
    }

    /// Bytes of what the chain gives.
    pub fn len(&self) -> u64 {
        match (&self.cast, self.links.first()) {
            (Some(cast), None) => cast.len,
            _ => self.object().entry.len,
        }
    }

    /// Everything that the object is, directly or not, a difference to: the nearest first.
    pub fn base_keys(&self) -> Vec<ObjectKey> {
        let mut keys: Vec<ObjectKey> = self.links.iter().skip(1).map(|object| object.entry.key).collect();
        if let Some(cast) = &self.cast {
            keys.push(cast.origin.object().entry.key);
            keys.extend(cast.origin.base_keys());
        }
        keys
    }

    /// Bytes of all the differences that are undone to rebuild the whole, as they are stored.
    pub fn delta_len(&self) -> Result<u64> {
        let deltas = self.links.iter().filter(|link| link.entry.base.is_some());
        let own = deltas.map(Object::stored_len).sum::<Result<u64>>()?;
        Ok(own + self.cast.as_ref().map_or(Ok(0), |cast| cast.origin.delta_len())?)
    }

    /// How many bases deep what the chain gives is.
    pub fn depth(&self) -> u8 {
        self.object().entry.depth
    }
}

impl Cast {
    fn new(origin: Chain, from: Dtype, to: Dtype) -> Option<Self> {
        let (from_width, to_width) = (from.lane().width() as u64, to.lane().width() as u64);
        let fits = is_castable(from, to) && origin.len().is_multiple_of(from_width);
        let len = (origin.len() / from_width).checked_mul(to_width).filter(|_| fits)?;
        Some(Self { origin, from, to, len })
    }
}

fn find_base(objects: &dyn Objects, of: &Object, key: &ObjectKey) -> Result<Object> {
    let found = objects.find_content(key, Some(of.entry.depth))?;
    found.ok_or_else(|| of.corrupt(format!("its base {key} is missing")))
}

impl Objects for Catalog {
    fn find_content(&self, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        self.find(Kind::Content, key, below)
    }
}
