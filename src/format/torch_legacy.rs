//! PyTorch's checkpoints from before they were archives: five pickles, then the storages one after the other.
//!
//! Layout per `torch/serialization.py` (`_legacy_save`): a magic number, a version, facts about the machine, what was
//! saved, the names of the storages; then for each name the count of its elements, eight bytes, and the elements. These are
//! little-endian whatever the machine was: what the facts say of it was never used.

use std::collections::HashMap;
use std::io;

use crate::tensor::Dtype;

use super::Bytes;
use super::bytes::{array, block};
use super::pickle::{Pickle, Value};
use super::region::{Findings, Region};
use super::torch::{self, Storage};

/// The pickle of the magic number.
const MAGIC: &[u8; 15] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";
/// The pickles are looked for in so many bytes, and if they are longer in more, up to the last.
const HEADS: [u64; 3] = [1 << 20, 8 << 20, 64 << 20];

/// The tensors of such a checkpoint; `None` if it is none.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Findings>> {
    if array(file, 0, file.len())? != Some(*MAGIC) {
        return Ok(None);
    }
    for head in HEADS {
        let bytes = block(file, 0, head.min(file.len()) as usize)?;
        if let Some((pickles, end)) = pickles(&bytes) {
            return findings(file, &pickles, end);
        }
        if head >= file.len() {
            break;
        }
    }
    Ok(None)
}

/// What was saved, with the names of its storages.
struct Saved<'a> {
    object: Pickle<'a>,
    names: Vec<&'a str>,
}

/// The pickles, and where they end.
fn pickles(bytes: &[u8]) -> Option<(Saved<'_>, u64)> {
    let mut at = MAGIC.len();
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.len;
        Some(pickle)
    };
    let (_version, machine, object, names) = (next()?, next()?, next()?, next()?);
    matches!(machine.get(machine.root), Value::Dict(_)).then_some(())?;
    let list = names.sequence(names.root)?;
    let names = list.iter().map(|&id| names.text(id)).collect::<Option<Vec<_>>>()?;
    Some((Saved { object, names }, at as u64))
}

/// The tensors in the storages that are whole and as long as the pickle says.
fn findings(file: &dyn Bytes, saved: &Saved<'_>, mut at: u64) -> io::Result<Option<Findings>> {
    let known: HashMap<&str, (Dtype, u64)> = torch::storages(&saved.object)
        .into_iter()
        .map(|(name, dtype, count)| (name, (dtype, count)))
        .collect();
    let mut storages: HashMap<&str, Storage> = HashMap::new();
    for name in &saved.names {
        let Some(&(dtype, count)) = known.get(name) else { break };
        let said = array(file, at, file.len())?.map(u64::from_le_bytes);
        let place = count.checked_mul(dtype.bits() / 8).and_then(|len| {
            let start = at.checked_add(8)?;
            start.checked_add(len).filter(|end| *end <= file.len())?;
            Some(Storage { start, len })
        });
        let (Some(place), true) = (place, said == Some(count)) else { break };
        at = place.start + place.len;
        storages.insert(name, place);
    }
    let place = |name: &str| storages.get(name).copied();
    let mut findings = torch::tensors(&saved.object, false, place);
    // Those that no tensor has are payloads all the same.
    let all = storages.iter().map(|(name, place)| Region {
        start: place.start,
        len: place.len,
        dtype: known.get(name).map(|(dtype, _)| *dtype),
    });
    let mut all: Vec<Region> = all.collect();
    all.sort_by_key(|region| region.start);
    findings.regions.extend(all);
    Ok(Some(findings))
}
