//! What a store holds, counted.

use std::sync::Arc;

use crate::store::error::Result;
use crate::store::pack::{Object, Pack};

use super::damage::{Damage, DamageCause};
use super::packs::Packs;

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Sealed packs.
    pub packs: usize,
    /// Objects, copies of one object in several packs counted each.
    pub objects: usize,
    /// Of these, differences to a base.
    pub deltas: usize,
    /// Bytes of all objects.
    pub len: u64,
    /// Bytes that they take in packs.
    pub stored_len: u64,
    /// Bytes of all packs and sidecars.
    pub disk_len: u64,
    /// Of these, those of files that wait to be coded.
    pub attached_len: u64,
    /// Packs that cannot be used.
    pub damaged: Vec<Damage>,
}

impl Stats {
    fn count(&mut self, pack: &Arc<Pack>, row: usize) -> Result<()> {
        let info = Object::sealed(pack, row)?.info()?;
        self.deltas += usize::from(info.base.is_some());
        self.len += info.len;
        self.stored_len += info.stored_len;
        Ok(())
    }
}

impl Packs {
    /// What they hold, counted from their directories; what is damaged is named, and counted as far as it goes.
    pub fn stats(&self) -> Stats {
        let (damaged, disk_len) = (self.damaged().to_vec(), self.disk_len());
        let mut stats = Stats { damaged, disk_len, ..Stats::default() };
        for pack in self.iter() {
            let directory = &pack.directory;
            stats.packs += 1;
            stats.objects += directory.len();
            stats.attached_len += directory.attached().sum::<u64>();
            let damaged = (0..directory.len()).filter_map(|row| stats.count(pack, row).err()).last();
            stats.damaged.extend(damaged.map(|error| Damage {
                path: pack.path.clone(),
                what: error.to_string(),
                cause: DamageCause::Malformed,
            }));
        }
        stats
    }
}
