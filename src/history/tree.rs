//! One directory as the history records it: names with what they stand for, mode and modification time.
//!
//! Owns the canonical encoding of trees. Entries are sorted by the bytes of their names, each name once.

use super::path::{Name, PathError};
use crate::id::{RecipeId, TreeId};
use crate::units::Timestamp;
use crate::wire::{Reader, WireError, Writer};
use std::sync::LazyLock;

const MAGIC: &[u8; 4] = b"CTRE";
const VERSION: u16 = 1;

/// The permission bits that are recorded: rwx for three classes, set-uid, set-gid, sticky.
pub const MODE_MASK: u32 = 0o7777;

/// Longest target of a symbolic link in bytes, the limit of Linux.
pub const SYMLINK_MAX: usize = 4095;

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: Vec<Entry>,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// Mode and modification time.
    pub attributes: Attributes,
    /// What stands behind it.
    pub node: Node,
}

/// What is recorded of a file beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Permission bits, within [`MODE_MASK`].
    pub mode: u32,
    /// When the content last changed.
    pub modified: Timestamp,
}

/// What stands behind a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A regular file.
    File {
        /// Its content.
        recipe: RecipeId,
        /// Its length in bytes.
        len: u64,
    },
    /// A directory.
    Dir(TreeId),
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
}

impl Tree {
    /// The directory with these entries, in any order; `None` if a name stands twice.
    pub fn new(mut entries: Vec<Entry>) -> Option<Self> {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let unique = entries.windows(2).all(|pair| pair[0].name != pair[1].name);
        unique.then_some(Self { entries })
    }

    /// The name of the directory without entries.
    pub fn empty_id() -> TreeId {
        static EMPTY: LazyLock<TreeId> = LazyLock::new(|| Tree::id_of(&Tree::default().encode()));
        *EMPTY
    }

    /// The entries, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry with this name.
    pub fn find(&self, name: &Name) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        Some(&self.entries[at])
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::record(MAGIC, VERSION);
        writer.u32(self.entries.len() as u32);
        for entry in &self.entries {
            entry.encode(&mut writer);
        }
        writer.finish()
    }

    /// The name of the tree with this canonical encoding.
    pub fn id_of(encoding: &[u8]) -> TreeId {
        TreeId::from_bytes(*blake3::hash(encoding).as_bytes())
    }

    /// Reads a canonical encoding.
    ///
    /// # Errors
    /// [`WireError`] for anything else, also for unsorted or repeated names.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::record(bytes, MAGIC, VERSION, "tree")?;
        let count = reader.count(21, "entry count")?;
        let entries = (0..count).map(|_| Entry::decode(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        reader.finish()?;
        match entries.windows(2).all(|pair| pair[0].name < pair[1].name) {
            true => Ok(Self { entries }),
            false => Err(WireError::Invalid("order of names")),
        }
    }
}

const FILE: u8 = 0;
const DIR: u8 = 1;
const SYMLINK: u8 = 2;

impl Entry {
    /// Appends the entry to an encoding.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.counted(self.name.as_bytes());
        self.attributes.encode(writer);
        self.node.encode(writer);
    }

    /// Takes an entry off an encoding.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let name = Name::new(reader.counted("name")?).map_err(|error| match error {
            PathError::Reserved(_) => WireError::Invalid("name, which is that of a repository's own folder"),
            _ => WireError::Invalid("name"),
        })?;
        let attributes = Attributes::decode(reader)?;
        Ok(Self { name, attributes, node: Node::decode(reader)? })
    }
}

impl Attributes {
    /// Appends mode and time to an encoding.
    pub(crate) fn encode(self, writer: &mut Writer) {
        writer.u32(self.mode);
        writer.i64(self.modified.seconds);
        writer.u32(self.modified.nanoseconds);
    }

    /// Takes mode and time off an encoding.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let mode = reader.u32("mode")?;
        let modified = Timestamp { seconds: reader.i64("seconds")?, nanoseconds: reader.u32("nanoseconds")? };
        match mode & !MODE_MASK == 0 && modified.nanoseconds < 1_000_000_000 {
            true => Ok(Self { mode, modified }),
            false => Err(WireError::Invalid("attributes")),
        }
    }
}

impl Node {
    /// Appends the node to an encoding.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        match self {
            Node::File { recipe, len } => {
                writer.u8(FILE);
                writer.raw(recipe.as_bytes());
                writer.u64(*len);
            }
            Node::Dir(tree) => {
                writer.u8(DIR);
                writer.raw(tree.as_bytes());
            }
            Node::Symlink(target) => {
                writer.u8(SYMLINK);
                writer.counted(target);
            }
        }
    }

    /// Takes a node off an encoding.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match reader.u8("node kind")? {
            FILE => Ok(Node::File {
                recipe: RecipeId::from_bytes(reader.array("recipe")?),
                len: reader.u64("file length")?,
            }),
            DIR => Ok(Node::Dir(TreeId::from_bytes(reader.array("tree")?))),
            SYMLINK => match reader.counted("target")? {
                target if target.is_empty() || target.len() > SYMLINK_MAX || target.contains(&0) => {
                    Err(WireError::Invalid("target"))
                }
                target => Ok(Node::Symlink(target.to_vec())),
            },
            _ => Err(WireError::Invalid("node kind")),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn node() -> impl Strategy<Value = Node> {
        prop_oneof![
            (any::<[u8; 32]>(), any::<u64>())
                .prop_map(|(id, len)| Node::File { recipe: RecipeId::from_bytes(id), len }),
            any::<[u8; 32]>().prop_map(|id| Node::Dir(TreeId::from_bytes(id))),
            "[a-z/.]{1,9}".prop_map(|target| Node::Symlink(target.into_bytes())),
        ]
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let entry = ("[a-c]{1,3}", 0..=MODE_MASK, any::<i64>(), 0..1_000_000_000u32, node()).prop_map(
            |(name, mode, seconds, nanoseconds, node)| Entry {
                name: Name::new(name).expect("valid"),
                attributes: Attributes { mode, modified: Timestamp { seconds, nanoseconds } },
                node,
            },
        );
        proptest::collection::vec(entry, 0..6).prop_filter_map("names repeat", Tree::new)
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(tree in tree()) {
            prop_assert_eq!(Tree::decode(&tree.encode()), Ok(tree));
        }

        #[test]
        fn any_bytes_decode_to_a_canonical_tree_or_an_error(tree in tree(), at: usize, byte: u8) {
            let mut bytes = tree.encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(decoded) = Tree::decode(&bytes) {
                prop_assert_eq!(decoded.encode(), bytes);
            }
        }
    }
}
