//! Checking that every stored object is what it was.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;
use crate::id::ObjectKey;
use crate::store::catalog::Packs;
use crate::store::error::Result;
use crate::store::object::{Digest, KeyHasher};
use crate::store::pack::{Object, Pack, attached_path, frame_count, frame_len, read_directory};
use crate::store::read::{Chain, Decoder, FrameReader, WholeCopies};
use crate::task::{Meter, Task, Unit};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The pack file.
    pub pack: PathBuf,
    /// The object; `None` if it is the pack as a whole.
    pub key: Option<ObjectKey>,
    /// What does not add up.
    pub what: String,
}

/// How many copies of an object there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// One: whoever reads the object reads this one.
    One,
    /// More: those that are not the first to be found are read by nobody until that one is damaged.
    Several,
}

/// Which objects somebody wants decoded, each copy of them.
pub type Wanted<'a> = dyn Fn(ObjectKey, Copies) -> bool + Sync + 'a;

/// What a check looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Objects that were looked at.
    pub objects: u64,
    /// Bytes of objects that were decoded and hashed.
    pub bytes: u64,
    /// What is wrong, pack by pack.
    pub problems: Vec<Problem>,
}

/// See [`Store::verify`](super::super::Store::verify).
pub fn verify(decoder: &Decoder, decoded: &Wanted<'_>, task: &Task) -> Result<Report> {
    decoder.catalog.refresh()?;
    let packs = decoder.catalog.packs();
    let mut report = Report::default();
    for damage in packs.damaged() {
        let (pack, what) = (damage.path.clone(), damage.what.clone());
        report.problems.push(Problem { pack, key: None, what });
    }
    let repeated = repeated(&packs);
    let decoded =
        |key| decoded(key, if repeated.binary_search(&key).is_ok() { Copies::Several } else { Copies::One });
    let looked_at = task.begin("checking objects", Unit::Objects, None);
    for pack in packs.iter() {
        task.check()?;
        let problem = |key, what| Problem { pack: pack.path.clone(), key, what };
        let own = check_directory(&*decoder.catalog.disk, pack);
        report
            .problems
            .extend(own.unwrap_or_else(|error| Some(error.to_string())).map(|what| problem(None, what)));
        report.objects += pack.directory.len() as u64;
        for (row, result) in check_objects(decoder, pack, &decoded, task, &*looked_at) {
            match result {
                Ok(bytes) => report.bytes += bytes,
                Err(error) => report.problems.push(problem(Some(pack.directory.key(row)), error.to_string())),
            }
        }
    }
    task.check()?;
    // What somebody wrote anew meanwhile is whole in another pack, or will be found missing by those who need it.
    decoder.catalog.refresh()?;
    let packs = decoder.catalog.packs();
    let is_there = |path: &PathBuf| {
        packs.iter().any(|pack| pack.path == *path)
            || packs.damaged().iter().any(|damage| damage.path == *path)
    };
    report.problems.retain(|problem| is_there(&problem.pack));
    Ok(report)
}

/// The keys that are in more than one pack, sorted.
fn repeated(packs: &Packs) -> Vec<ObjectKey> {
    let keys =
        |pack: &Arc<Pack>| (0..pack.directory.len()).map(|row| pack.directory.key(row)).collect::<Vec<_>>();
    let mut all: Vec<ObjectKey> = packs.iter().flat_map(keys).collect();
    all.sort_unstable();
    let mut repeated: Vec<ObjectKey> =
        all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    repeated.dedup();
    repeated
}

/// What is wrong with the directory in the pack itself, which its sidecar makes up for.
fn check_directory(disk: &dyn Disk, pack: &Pack) -> Result<Option<String>> {
    let Some(stat) = disk.stat(&pack.path)? else { return Ok(Some("the pack is gone".into())) };
    for (number, len) in (1..).zip(pack.directory.attached()) {
        let path = attached_path(&pack.path, number);
        if disk.stat(&path)?.is_none_or(|stat| stat.len < len) {
            return Ok(Some(format!("{} is gone or cut short", path.display())));
        }
    }
    Ok(match read_directory(disk, &pack.path, stat.len)? {
        Ok(directory) if directory.as_bytes() == pack.directory.as_bytes() => None,
        Ok(_) => Some("its directory differs from its sidecar".into()),
        Err(what) => Some(what.into()),
    })
}

/// For each row the bytes that were decoded, or what is wrong. Nothing is, of what a stop kept from being looked at.
fn check_objects(
    decoder: &Decoder,
    pack: &Arc<Pack>,
    decoded: &(dyn Fn(ObjectKey) -> bool + Sync),
    task: &Task,
    looked_at: &dyn Meter,
) -> Vec<(usize, Result<u64>)> {
    let check = |row| {
        if task.check().is_err() {
            return (row, Ok(0));
        }
        looked_at.advance(1);
        (row, Object::sealed(pack, row).and_then(|object| check_object(decoder, object, decoded)))
    };
    decoder.threads.map(0..pack.directory.len(), check)
}

/// Checks one object and returns how many bytes were decoded.
fn check_object(
    decoder: &Decoder,
    object: Object,
    decoded: &(dyn Fn(ObjectKey) -> bool + Sync),
) -> Result<u64> {
    (0..frame_count(object.entry.len)).try_for_each(|index| object.frame(index).map(drop))?;
    let is_decoded = decoded(object.entry.key);
    WholeCopies::of(&decoder.catalog).read_on(&object, |objects| {
        let chain = Chain::resolve(objects, object.clone())?;
        if is_decoded { check_bytes(decoder, &chain) } else { Ok(0) }
    })
}

/// Decodes the object that a chain ends in, compares its bytes with its key, and returns how many there are.
pub fn check_bytes(decoder: &Decoder, chain: &Chain) -> Result<u64> {
    let object = chain.object();
    let count = frame_count(object.entry.len);
    let mut hashers: Vec<KeyHasher> = Vec::new();
    hashers.extend(Digest::of_kind(object.entry.kind).iter().map(|&digest| KeyHasher::new(digest)));
    let mut reader = FrameReader::new(chain, &decoder.memory);
    let mut bytes = Vec::new();
    for index in 0..count {
        bytes.resize(frame_len(object.entry.len, index), 0);
        reader.read(index, &mut bytes)?;
        hashers.iter_mut().for_each(|hasher| hasher.update(&bytes));
    }
    match hashers.iter().any(|hasher| hasher.finish() == object.entry.key) {
        true => Ok(object.entry.len),
        false => Err(object.corrupt("its bytes do not hash to its key")),
    }
}
