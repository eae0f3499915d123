//! Which packs the index has taken in, as it remembers them: rows, and a watermark over all of them.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::id::PackId;

const VERSION: u32 = 1;

/// The packs that were taken in.
#[derive(Clone, Default)]
pub struct Covered {
    pub by_number: HashMap<u32, PackId>,
    pub rows: HashMap<PackId, u32>,
}

impl Covered {
    pub fn insert(&mut self, id: PackId, number: u32, rows: u32) {
        self.by_number.insert(number, id);
        self.rows.insert(id, rows);
    }

    pub fn watermark(&self) -> Vec<u8> {
        let mut ids: Vec<&PackId> = self.rows.keys().collect();
        ids.sort();
        let ids: Vec<u8> = ids.into_iter().flat_map(PackId::as_bytes).copied().collect();
        let rows: u64 = self.rows.values().map(|&rows| u64::from(rows)).sum();
        let mut out = Vec::new();
        out.extend(VERSION.to_le_bytes());
        out.extend((self.rows.len() as u32).to_le_bytes());
        out.extend(rows.to_le_bytes());
        out.extend(xxh3_64(&ids).to_le_bytes());
        out
    }
}

pub struct PackRow {
    pub id: PackId,
    pub number: u32,
    pub rows: u32,
}

impl PackRow {
    pub fn parse(key: &[u8], value: &[u8]) -> Option<Self> {
        let id = PackId::from_bytes(key.try_into().ok()?);
        let (number, rows) = two_u32(value)?;
        Some(Self { id, number, rows })
    }
}

pub fn two_le(first: u32, second: u32) -> [u8; 8] {
    (u64::from(first) | u64::from(second) << 32).to_le_bytes()
}

pub fn two_u32(bytes: &[u8]) -> Option<(u32, u32)> {
    let both = u64::from_le_bytes(bytes.try_into().ok()?);
    Some((both as u32, (both >> 32) as u32))
}
