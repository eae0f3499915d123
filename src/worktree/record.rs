//! One change of a worktree, as its journal records it.
//!
//! A record says what changed in terms of paths, so that any process can replay it on its own copy of the tree.

use crate::disk::{BootId, MountId, Run};
use crate::history::{Attributes, MODE_MASK, Node, TreePath};
use crate::id::{CommitId, RecipeId, StagingId, TreeId};
use crate::units::Timestamp;
use crate::wire::{Reader, WireError, Writer};

/// A change of the tree. Times are those of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// The whole tree becomes that of a commit which is its base from now on.
    Reset { base: Option<CommitId>, tree: TreeId },
    /// Something whole stands at a path from now on, in place of whatever was there.
    Put { path: TreePath, attributes: Attributes, node: Node, at: Timestamp },
    /// The file at a path, created if missing, is being written: its bytes are in a staging file.
    Open { path: TreePath, attributes: Attributes, staging: StagingId, at: Timestamp },
    /// A staging file is complete, as of now.
    Settle { staging: StagingId, len: u64, modified: Timestamp },
    /// The bytes of a staging file are in the store.
    Stored { staging: StagingId, recipe: RecipeId, len: u64 },
    /// A path is gone, with everything below it.
    Remove { path: TreePath, at: Timestamp },
    /// A path moved, over whatever was at the target, or in exchange with it.
    Rename { from: TreePath, to: TreePath, exchange: bool, at: Timestamp },
    /// The mode or the modification time of a path was set.
    Attributes { path: TreePath, attributes: Attributes },
    /// The tree as it was at some point became this commit, which is its base if the branch names it; said a second time,
    /// the branch does.
    Committed { commit: CommitId },
    /// This journal ended; the next one goes on.
    Superseded,
    /// The bytes of a staging file are durable as they were at some moment: up to a length, and as a complete version
    /// if it was complete then.
    Synced { staging: StagingId, len: u64, complete: bool },
    /// What follows was done in this run.
    Run { run: Run },
    /// The machine stopped, or the disk went away, before the bytes of a staging file were durable: what is in it is not
    /// believed.
    Doubted { staging: StagingId },
    /// The disk failed to take bytes of a staging file that it had accepted: they are lost.
    Lost { staging: StagingId },
    /// A writer closed the file that is in a staging file, which was so then; others may have it open. `None` if a writer was
    /// killed: what was said before is void.
    Closed { staging: StagingId, closed: Option<Closed> },
}

/// What a staging file was like when a writer closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closed {
    /// Its length in bytes.
    pub len: u64,
    /// When its bytes last changed, by the disk.
    pub written: Timestamp,
    /// When they did, by the worktree.
    pub modified: Timestamp,
}

const RESET: u8 = 1;
const PUT: u8 = 2;
const OPEN: u8 = 3;
const SETTLE: u8 = 4;
const STORED: u8 = 5;
const REMOVE: u8 = 6;
const RENAME: u8 = 7;
const ATTRIBUTES: u8 = 8;
const COMMITTED: u8 = 9;
const SUPERSEDED: u8 = 10;
const SYNCED: u8 = 11;
const BOOT: u8 = 12;
const DOUBTED: u8 = 13;
const LOST: u8 = 14;
const MOUNTED: u8 = 15;
const CLOSED: u8 = 16;

impl Record {
    /// Whether it lets room on the disk be given back, or takes none that was not taken before: such records are written
    /// although the disk is full.
    pub(super) fn makes_room(&self) -> bool {
        match self {
            Record::Put { .. } | Record::Open { .. } | Record::Attributes { .. } => false,
            Record::Reset { .. }
            | Record::Settle { .. }
            | Record::Stored { .. }
            | Record::Remove { .. }
            | Record::Rename { .. }
            | Record::Committed { .. }
            | Record::Superseded
            | Record::Synced { .. }
            | Record::Run { .. }
            | Record::Doubted { .. }
            | Record::Lost { .. }
            | Record::Closed { .. } => true,
        }
    }

    /// The paths that it names.
    pub(super) fn paths(&self) -> [Option<&TreePath>; 2] {
        match self {
            Record::Put { path, .. }
            | Record::Open { path, .. }
            | Record::Remove { path, .. }
            | Record::Attributes { path, .. } => [Some(path), None],
            Record::Rename { from, to, .. } => [Some(from), Some(to)],
            Record::Reset { .. }
            | Record::Settle { .. }
            | Record::Stored { .. }
            | Record::Committed { .. }
            | Record::Superseded
            | Record::Synced { .. }
            | Record::Run { .. }
            | Record::Doubted { .. }
            | Record::Lost { .. }
            | Record::Closed { .. } => [None, None],
        }
    }

    /// The record's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Record::Reset { base, tree } => {
                writer.u8(RESET);
                encode_optional(&mut writer, base.map(|id| *id.as_bytes()));
                writer.raw(tree.as_bytes());
            }
            Record::Put { path, attributes, node, at } => {
                writer.u8(PUT);
                writer.counted(&path.to_bytes());
                attributes.encode(&mut writer);
                node.encode(&mut writer);
                encode_time(&mut writer, *at);
            }
            Record::Open { path, attributes, staging, at } => {
                writer.u8(OPEN);
                writer.counted(&path.to_bytes());
                attributes.encode(&mut writer);
                writer.u64(staging.0);
                encode_time(&mut writer, *at);
            }
            Record::Settle { staging, len, modified } => {
                writer.u8(SETTLE);
                writer.u64(staging.0);
                writer.u64(*len);
                encode_time(&mut writer, *modified);
            }
            Record::Stored { staging, recipe, len } => {
                writer.u8(STORED);
                writer.u64(staging.0);
                writer.raw(recipe.as_bytes());
                writer.u64(*len);
            }
            Record::Remove { path, at } => {
                writer.u8(REMOVE);
                writer.counted(&path.to_bytes());
                encode_time(&mut writer, *at);
            }
            Record::Rename { from, to, exchange, at } => {
                writer.u8(RENAME);
                writer.counted(&from.to_bytes());
                writer.counted(&to.to_bytes());
                writer.u8(u8::from(*exchange));
                encode_time(&mut writer, *at);
            }
            Record::Attributes { path, attributes } => {
                writer.u8(ATTRIBUTES);
                writer.counted(&path.to_bytes());
                attributes.encode(&mut writer);
            }
            Record::Committed { commit } => {
                writer.u8(COMMITTED);
                writer.raw(commit.as_bytes());
            }
            Record::Superseded => writer.u8(SUPERSEDED),
            Record::Synced { staging, len, complete } => {
                writer.u8(SYNCED);
                writer.u64(staging.0);
                writer.u64(*len);
                writer.u8(u8::from(*complete));
            }
            Record::Run { run: Run { boot, mount: None } } => {
                writer.u8(BOOT);
                writer.raw(&boot.0);
            }
            Record::Run { run: Run { boot, mount: Some(mount) } } => {
                writer.u8(MOUNTED);
                writer.raw(&boot.0);
                writer.u64(mount.0);
            }
            Record::Doubted { staging } => {
                writer.u8(DOUBTED);
                writer.u64(staging.0);
            }
            Record::Lost { staging } => {
                writer.u8(LOST);
                writer.u64(staging.0);
            }
            Record::Closed { staging, closed } => {
                writer.u8(CLOSED);
                writer.u64(staging.0);
                writer.u8(u8::from(closed.is_some()));
                if let Some(Closed { len, written, modified }) = closed {
                    writer.u64(*len);
                    encode_time(&mut writer, *written);
                    encode_time(&mut writer, *modified);
                }
            }
        }
        writer.finish()
    }

    /// Reads a record's bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let record = match reader.u8("record kind")? {
            RESET => Record::Reset {
                base: decode_optional(&mut reader)?.map(CommitId::from_bytes),
                tree: TreeId::from_bytes(reader.array("tree")?),
            },
            PUT => Record::Put {
                path: decode_path(&mut reader)?,
                attributes: Attributes::decode(&mut reader)?,
                node: Node::decode(&mut reader)?,
                at: decode_time(&mut reader)?,
            },
            OPEN => Record::Open {
                path: decode_path(&mut reader)?,
                attributes: Attributes::decode(&mut reader)?,
                staging: StagingId(reader.u64("staging id")?),
                at: decode_time(&mut reader)?,
            },
            SETTLE => Record::Settle {
                staging: StagingId(reader.u64("staging id")?),
                len: reader.u64("length")?,
                modified: decode_time(&mut reader)?,
            },
            STORED => Record::Stored {
                staging: StagingId(reader.u64("staging id")?),
                recipe: RecipeId::from_bytes(reader.array("recipe")?),
                len: reader.u64("length")?,
            },
            REMOVE => Record::Remove { path: decode_path(&mut reader)?, at: decode_time(&mut reader)? },
            RENAME => Record::Rename {
                from: decode_path(&mut reader)?,
                to: decode_path(&mut reader)?,
                exchange: reader.u8("exchange")? != 0,
                at: decode_time(&mut reader)?,
            },
            ATTRIBUTES => Record::Attributes {
                path: decode_path(&mut reader)?,
                attributes: Attributes::decode(&mut reader)?,
            },
            COMMITTED => Record::Committed { commit: CommitId::from_bytes(reader.array("commit")?) },
            SUPERSEDED => Record::Superseded,
            SYNCED => Record::Synced {
                staging: StagingId(reader.u64("staging id")?),
                len: reader.u64("length")?,
                complete: reader.u8("completeness")? != 0,
            },
            BOOT => Record::Run { run: Run { boot: BootId(reader.array("boot")?), mount: None } },
            MOUNTED => {
                let boot = BootId(reader.array("boot")?);
                Record::Run { run: Run { boot, mount: Some(MountId(reader.u64("mount")?)) } }
            }
            DOUBTED => Record::Doubted { staging: StagingId(reader.u64("staging id")?) },
            LOST => Record::Lost { staging: StagingId(reader.u64("staging id")?) },
            CLOSED => {
                let staging = StagingId(reader.u64("staging id")?);
                let closed = match reader.u8("presence")? {
                    0 => None,
                    _ => Some(Closed {
                        len: reader.u64("length")?,
                        written: decode_time(&mut reader)?,
                        modified: decode_time(&mut reader)?,
                    }),
                };
                Record::Closed { staging, closed }
            }
            _ => return Err(WireError::Invalid("record kind")),
        };
        reader.finish()?;
        Ok(record)
    }
}

fn encode_optional(writer: &mut Writer, id: Option<[u8; 32]>) {
    writer.u8(u8::from(id.is_some()));
    writer.raw(&id.unwrap_or_default());
}

fn decode_optional(reader: &mut Reader<'_>) -> Result<Option<[u8; 32]>, WireError> {
    let present = reader.u8("presence")? != 0;
    let id = reader.array("id")?;
    Ok(present.then_some(id))
}

fn encode_time(writer: &mut Writer, time: Timestamp) {
    writer.i64(time.seconds);
    writer.u32(time.nanoseconds);
}

fn decode_time(reader: &mut Reader<'_>) -> Result<Timestamp, WireError> {
    Ok(Timestamp { seconds: reader.i64("seconds")?, nanoseconds: reader.u32("nanoseconds")? })
}

fn decode_path(reader: &mut Reader<'_>) -> Result<TreePath, WireError> {
    TreePath::parse(reader.counted("path")?).map_err(|_| WireError::Invalid("path"))
}

/// The part of a mode that is recorded.
pub(super) fn recorded_mode(mode: u32) -> u32 {
    mode & MODE_MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::node;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let path = || "[a-c]{1,2}(/[a-c]{1,2}){0,2}".prop_map(|text| TreePath::parse(text).expect("valid"));
        let time = || {
            (any::<i64>(), 0..1_000_000_000u32)
                .prop_map(|(seconds, nanoseconds)| Timestamp { seconds, nanoseconds })
        };
        let attributes =
            || (0..=MODE_MASK, time()).prop_map(|(mode, modified)| Attributes { mode, modified });
        let id = any::<[u8; 32]>;
        prop_oneof![
            (any::<bool>(), id(), id()).prop_map(|(some, base, tree)| Record::Reset {
                base: some.then(|| CommitId::from_bytes(base)),
                tree: TreeId::from_bytes(tree),
            }),
            (path(), attributes(), node(), time()).prop_map(|(path, attributes, node, at)| Record::Put {
                path,
                attributes,
                node,
                at
            }),
            (path(), attributes(), any::<u64>(), time()).prop_map(|(path, attributes, id, at)| {
                Record::Open { path, attributes, staging: StagingId(id), at }
            }),
            (any::<u64>(), any::<u64>(), time()).prop_map(|(id, len, modified)| Record::Settle {
                staging: StagingId(id),
                len,
                modified
            }),
            (any::<u64>(), id(), any::<u64>()).prop_map(|(staging, recipe, len)| Record::Stored {
                staging: StagingId(staging),
                recipe: RecipeId::from_bytes(recipe),
                len
            }),
            (path(), time()).prop_map(|(path, at)| Record::Remove { path, at }),
            (path(), path(), any::<bool>(), time()).prop_map(|(from, to, exchange, at)| Record::Rename {
                from,
                to,
                exchange,
                at
            }),
            (path(), attributes()).prop_map(|(path, attributes)| Record::Attributes { path, attributes }),
            id().prop_map(|commit| Record::Committed { commit: CommitId::from_bytes(commit) }),
            Just(Record::Superseded),
            (any::<u64>(), any::<u64>(), any::<bool>()).prop_map(|(staging, len, complete)| {
                Record::Synced { staging: StagingId(staging), len, complete }
            }),
            (any::<[u8; 16]>(), any::<Option<u64>>()).prop_map(|(boot, mount)| Record::Run {
                run: Run { boot: BootId(boot), mount: mount.map(MountId) }
            }),
            any::<u64>().prop_map(|staging| Record::Doubted { staging: StagingId(staging) }),
            any::<u64>().prop_map(|staging| Record::Lost { staging: StagingId(staging) }),
            (any::<u64>(), proptest::option::of((any::<u64>(), time(), time()))).prop_map(
                |(staging, closed)| {
                    let closed = closed.map(|(len, written, modified)| Closed { len, written, modified });
                    Record::Closed { staging: StagingId(staging), closed }
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(record in record()) {
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::decode(&bytes);
        }
    }
}
