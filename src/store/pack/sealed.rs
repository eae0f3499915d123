//! A sealed pack: an immutable file of payloads that ends in its directory.
//!
//! Layout: 16 bytes of head, payloads back to back, directory, footer (see `sidecar`). The name of the file is the
//! BLAKE3 of the directory, which has a checksum of every frame. The sidecar beside it repeats directory and footer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, Mapped};
use crate::id::PackId;
use crate::store::error::{Result, StoreError};

use super::directory::Directory;
use super::files::PackFiles;
use super::footer::{FOOTER_LEN, Footer, Malformed};
use super::local::Local;
use super::range_source::PackBytes;

/// What every pack begins with: magic, version, reserved.
pub const PACK_HEAD: [u8; 16] = *b"CORALPAK\x01\0\0\0\0\0\0\0";

pub const PACK_SUFFIX: &str = "cpk";
pub const SIDECAR_SUFFIX: &str = "cix";
/// What is behind the id and the number in the name of a file that is attached to a pack.
pub const ATTACHED_SUFFIX: &str = "raw";

/// The id of a pack with this directory. The directory has the checksum of every frame, so it stands for all bytes.
pub fn pack_id(directory: &[u8]) -> PackId {
    PackId::from_bytes(*blake3::hash(directory).as_bytes())
}

/// Where a pack of this id lies in the folder of packs.
pub fn pack_path(packs: &Path, id: &PackId) -> PathBuf {
    packs.join(format!("{id}.{PACK_SUFFIX}"))
}

/// Where the sidecar of a pack file lies.
pub fn sidecar_path(pack: &Path) -> PathBuf {
    pack.with_extension(SIDECAR_SUFFIX)
}

/// Where the file with this number lies that is attached to a pack file: 1 and more.
pub fn attached_path(pack: &Path, number: u16) -> PathBuf {
    pack.with_extension(format!("{number}.{ATTACHED_SUFFIX}"))
}

/// The name of the pack that a file belongs to, if its name is that of an attached one.
pub fn pack_of_attached(name: &str) -> Option<String> {
    let stem = name.strip_suffix(ATTACHED_SUFFIX)?.strip_suffix('.')?;
    let (pack, number) = stem.rsplit_once('.')?;
    number.parse::<u16>().ok().map(|_| format!("{pack}.{PACK_SUFFIX}"))
}

pub struct Pack {
    pub id: PackId,
    pub path: PathBuf,
    pub directory: Directory,
    pub bytes: Arc<dyn PackBytes>,
    /// Files beside it that hold the payloads of objects which wait to be coded.
    attached: Vec<Arc<dyn PackBytes>>,
}

/// A pack and whether its sidecar was of no use.
pub struct Loaded {
    pub pack: Pack,
    pub without_sidecar: bool,
}

impl Pack {
    /// Opens the pack at `path`, which is `file_len` bytes long, through its sidecar or, where that is missing or
    /// damaged, through its own directory.
    pub fn load(
        disk: &dyn Disk,
        path: &Path,
        id: PackId,
        file_len: u64,
        files: &Arc<PackFiles>,
    ) -> Result<Loaded> {
        let fits = |directory: &Directory| directory.footer().pack == id && is_length(directory, file_len);
        let sidecar = disk.map(&sidecar_path(path)).ok();
        let sidecar = sidecar.and_then(|bytes| Directory::open(bytes).ok()).filter(fits);
        let without_sidecar = sidecar.is_none();
        let damaged = |what| StoreError::DamagedPack { path: path.to_owned(), what };
        let directory = match sidecar {
            Some(directory) => directory,
            None => read_directory(disk, path, file_len)?.map_err(damaged)?,
        };
        if !fits(&directory) {
            return Err(damaged("directory belongs to another pack"));
        }
        Ok(Loaded { pack: Pack::local(path.to_owned(), directory, files), without_sidecar })
    }

    /// The pack with this directory whose file is at `path`.
    pub fn local(path: PathBuf, directory: Directory, files: &Arc<PackFiles>) -> Self {
        let Footer { pack: id, .. } = *directory.footer();
        let len = directory.footer().pack_len().unwrap_or(u64::MAX);
        let local = |number, path, len| -> Arc<dyn PackBytes> {
            Arc::new(Local { id: (id, number), path, len, files: Arc::clone(files) })
        };
        let numbered = (1..).zip(directory.attached());
        let attached =
            numbered.map(|(number, len)| local(number, attached_path(&path, number), len)).collect();
        let bytes = local(0, path.clone(), len);
        Self { id, path, directory, bytes, attached }
    }

    /// Where the bytes of its file with a number are: 0 is the pack itself.
    pub fn bytes_of(&self, file: u16) -> Option<&Arc<dyn PackBytes>> {
        match usize::from(file).checked_sub(1) {
            None => Some(&self.bytes),
            Some(attached) => self.attached.get(attached),
        }
    }

    /// Whether files are attached to it: it is written anew when its objects are coded.
    pub fn has_attached(&self) -> bool {
        !self.attached.is_empty()
    }

    /// All that lies on the disk of it beside the pack file.
    pub fn paths_beside(&self) -> impl Iterator<Item = PathBuf> {
        let attached = (1..).zip(&self.attached).map(|(number, _)| attached_path(&self.path, number));
        std::iter::once(sidecar_path(&self.path)).chain(attached)
    }

    /// Bytes of all its files.
    pub fn disk_len(&self) -> u64 {
        let attached: u64 = self.attached.iter().map(|file| file.len()).sum();
        self.bytes.len() + self.directory.as_bytes().len() as u64 + attached
    }

    /// The same pack with its bytes elsewhere.
    #[cfg(test)]
    pub fn with_bytes(&self, bytes: Arc<dyn PackBytes>) -> Self {
        let directory = Directory::open(Arc::new(self.directory.as_bytes().to_vec()));
        let directory = directory.expect("a directory");
        Self { id: self.id, path: self.path.clone(), directory, bytes, attached: self.attached.clone() }
    }
}

fn is_length(directory: &Directory, file_len: u64) -> bool {
    directory.footer().pack_len() == Some(file_len)
}

/// The directory that ends the pack file itself.
pub fn read_directory(
    disk: &dyn Disk,
    path: &Path,
    file_len: u64,
) -> Result<std::result::Result<Directory, Malformed>> {
    let file = disk.open(path, false)?;
    let mut head = [0; PACK_HEAD.len()];
    if file_len < (head.len() + FOOTER_LEN) as u64 {
        return Ok(Err("too short for a pack"));
    }
    file.read_exact_at(&mut head, 0)?;
    if head != PACK_HEAD {
        return Ok(Err("not a pack of a known version"));
    }
    let mut footer = [0; FOOTER_LEN];
    file.read_exact_at(&mut footer, file_len - FOOTER_LEN as u64)?;
    let footer = match Footer::parse(&footer) {
        Ok(footer) if footer.pack_len() == Some(file_len) => footer,
        Ok(_) => return Ok(Err("length differs from what the footer says")),
        Err(what) => return Ok(Err(what)),
    };
    // No longer than the file; and the file may be a hole.
    let len = (file_len - footer.directory_offset) as usize;
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(len).is_err() {
        return Ok(Err("its directory does not fit into memory"));
    }
    bytes.resize(len, 0);
    file.read_exact_at(&mut bytes, footer.directory_offset)?;
    let bytes: Mapped = Arc::new(bytes);
    Ok(Directory::open(bytes))
}
