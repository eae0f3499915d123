//! Whether some packs can be removed: what stays has to find its bases in what stays.

use std::collections::HashSet;
use std::sync::Arc;

use crate::id::ObjectKey;
use crate::store::catalog::Packs;
use crate::store::error::Result;
use crate::store::object::Kind;
use crate::store::pack::{Entry, Object, Pack, Through};
use crate::store::read::{Chain, Objects};

/// Whether every object in the packs that are not `superseded` finds its bases there too.
pub fn stands_without(packs: &Packs, superseded: impl Fn(&Pack) -> bool + Sync) -> Result<bool> {
    let kept = Kept { packs, superseded: &superseded };
    let keys =
        |pack: &Arc<Pack>| (0..pack.directory.len()).map(|row| pack.directory.key(row)).collect::<Vec<_>>();
    let going: HashSet<ObjectKey> = packs.iter().filter(|pack| superseded(pack)).flat_map(keys).collect();
    for pack in packs.iter().filter(|pack| !superseded(pack)) {
        for row in 0..pack.directory.len() {
            // A row that makes no sense is not an object that could be read before.
            let Ok(Entry { base: Some(base), through, .. }) = pack.directory.entry(row) else { continue };
            // What stands on something that stays is asked for there.
            if through != Some(Through::Formula) && !going.contains(&base) {
                continue;
            }
            match Chain::resolve(&kept, Object::sealed(pack, row)?) {
                Ok(_) => {}
                Err(error) if error.is_corruption() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(true)
}

/// The packs that are there once others are removed.
struct Kept<'a, F> {
    packs: &'a Packs,
    superseded: &'a F,
}

impl<F: Fn(&Pack) -> bool + Sync> Objects for Kept<'_, F> {
    fn find(&self, kind: Kind, key: &ObjectKey, below: Option<u8>) -> Result<Option<Object>> {
        let wanted = |entry: &Entry| entry.kind == kind && below.is_none_or(|below| entry.depth < below);
        self.packs.find_among(key, wanted, |pack| !(self.superseded)(pack))
    }
}
