//! Checking that every stored object is what it was.

use std::path::PathBuf;

use crate::id::ObjectKey;

use super::error::Result;
use super::inner::Inner;
use super::key::{Digest, KeyHasher};
use super::object::Object;
use super::odb::Store;
use super::pack::{Pack, read_directory};
use super::resolve::{Chain, FrameReader};
use super::sidecar::{frame_count, frame_len};

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

impl Store {
    /// Checks every pack against its sidecar and every object's entry and bases. If `full`, decodes every object too
    /// and compares its bytes with its key.
    ///
    /// # Errors
    /// If packs cannot be looked for; what is damaged or unreadable is reported, not an error.
    pub fn verify(&self, full: bool) -> Result<Report> {
        self.refresh()?;
        let packs = self.inner.packs();
        let mut report = Report::default();
        for damage in packs.damaged() {
            let (pack, what) = (damage.path.clone(), damage.what.clone());
            report.problems.push(Problem { pack, key: None, what });
        }
        for pack in packs.iter() {
            let problem = |key, what| Problem { pack: pack.path.clone(), key, what };
            let own = self.check_directory(pack).unwrap_or_else(|error| Some(error.to_string()));
            report.problems.extend(own.map(|what| problem(None, what)));
            report.objects += pack.directory.len() as u64;
            for (row, result) in self.check_objects(pack, full) {
                match result {
                    Ok(bytes) => report.bytes += bytes,
                    Err(error) => {
                        report.problems.push(problem(Some(pack.directory.key(row)), error.to_string()));
                    }
                }
            }
        }
        // What somebody wrote anew meanwhile is whole in another pack, or will be found missing by those who need it.
        self.refresh()?;
        let packs = self.inner.packs();
        let is_there = |path: &PathBuf| {
            packs.iter().any(|pack| pack.path == *path)
                || packs.damaged().iter().any(|damage| damage.path == *path)
        };
        report.problems.retain(|problem| is_there(&problem.pack));
        Ok(report)
    }

    /// What is wrong with the directory in the pack itself, which its sidecar makes up for.
    fn check_directory(&self, pack: &Pack) -> Result<Option<String>> {
        let disk = &*self.inner.disk;
        let Some(stat) = disk.stat(&pack.path)? else { return Ok(Some("the pack is gone".into())) };
        Ok(match read_directory(disk, &pack.path, stat.len)? {
            Ok(directory) if directory.as_bytes() == pack.directory.as_bytes() => None,
            Ok(_) => Some("its directory differs from its sidecar".into()),
            Err(what) => Some(what.into()),
        })
    }

    /// For each row the bytes that were decoded, or what is wrong.
    fn check_objects(&self, pack: &std::sync::Arc<Pack>, full: bool) -> Vec<(usize, Result<u64>)> {
        let check =
            |row| (row, Object::sealed(pack, row).and_then(|object| self.inner.check_object(object, full)));
        self.inner.threads.map(0..pack.directory.len(), check)
    }
}

impl Inner {
    /// Checks one object and returns how many bytes were decoded.
    fn check_object(&self, object: Object, full: bool) -> Result<u64> {
        let chain = Chain::resolve(self, object)?;
        let object = chain.object();
        (0..frame_count(object.entry.len)).try_for_each(|index| object.frame(index).map(drop))?;
        if full { self.check_bytes(&chain) } else { Ok(0) }
    }

    /// Decodes the object that a chain ends in, compares its bytes with its key, and returns how many there are.
    pub(super) fn check_bytes(&self, chain: &Chain) -> Result<u64> {
        let object = chain.object();
        let count = frame_count(object.entry.len);
        let mut hashers: Vec<KeyHasher> = Vec::new();
        hashers.extend(Digest::of_kind(object.entry.kind).iter().map(|&digest| KeyHasher::new(digest)));
        let mut reader = FrameReader::new(chain, &self.memory);
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
}
