//! What two sides both changed, each in its own way: a value that can be kept until somebody decides.

use crate::history::{DraftEntry, Entry, TreePath};
use crate::wire::{Reader, WireError, Writer};

/// How two sides disagree about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// Both changed it.
    BothChanged,
    /// Both made it.
    BothAdded,
    /// The first side removed it, the other one changed it.
    RemovedHere,
    /// The other side removed it, the first one changed it.
    RemovedThere,
    /// One made a directory where the other made a file.
    InTheWay,
}

/// A path about which two sides disagree, and what each has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub path: TreePath,
    /// How.
    pub kind: ConflictKind,
    /// What was there before both; `None` if nothing was.
    pub base: Option<Entry>,
    /// What the first side has.
    pub ours: Option<Entry>,
    /// What the other side has.
    pub theirs: Option<Entry>,
    /// What the merge left there.
    pub left: Option<Entry>,
    /// The tensors that both changed; empty if the file as a whole is meant.
    pub tensors: Vec<String>,
}

impl ConflictKind {
    /// All of them, by their numbers in an encoding.
    pub const ALL: [Self; 5] =
        [Self::BothChanged, Self::BothAdded, Self::RemovedHere, Self::RemovedThere, Self::InTheWay];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::BothChanged => "both changed",
            Self::BothAdded => "both added",
            Self::RemovedHere => "removed here, changed there",
            Self::RemovedThere => "changed here, removed there",
            Self::InTheWay => "a directory here, a file there, or the other way round",
        }
    }
}

impl Conflict {
    /// Whether what is at its path now is still what the merge left.
    pub fn is_untouched(&self, now: Option<&DraftEntry>) -> bool {
        match (now, &self.left) {
            (None, None) => true,
            (Some(now), Some(left)) => now.node == DraftEntry::from(left).node,
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// Appends it to an encoding.
    pub fn encode(&self, writer: &mut Writer) {
        writer.counted(&self.path.to_bytes());
        writer.u8(Self::number(self.kind));
        for side in [&self.base, &self.ours, &self.theirs, &self.left] {
            writer.u8(u8::from(side.is_some()));
            if let Some(entry) = side {
                entry.encode(writer);
            }
        }
        writer.u32(self.tensors.len() as u32);
        self.tensors.iter().for_each(|name| writer.counted(name.as_bytes()));
    }

    fn number(kind: ConflictKind) -> u8 {
        ConflictKind::ALL.iter().position(|known| *known == kind).map_or(0, |at| at as u8)
    }

    /// Takes one off an encoding.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let invalid = |_| WireError::Invalid("path of a conflict");
        let path = TreePath::parse(reader.counted("path of a conflict")?).map_err(invalid)?;
        let kind = usize::from(reader.u8("kind of a conflict")?);
        let kind = *ConflictKind::ALL.get(kind).ok_or(WireError::Invalid("kind of a conflict"))?;
        let mut side = || match reader.u8("side of a conflict")? {
            0 => Ok(None),
            1 => Entry::decode(reader).map(Some),
            _ => Err(WireError::Invalid("side of a conflict")),
        };
        let (base, ours, theirs, left) = (side()?, side()?, side()?, side()?);
        let count = reader.count(4, "count of tensors")?;
        let names = (0..count).map(|_| reader.text("name of a tensor").map(str::to_owned));
        let tensors = names.collect::<Result<_, _>>()?;
        Ok(Self { path, kind, base, ours, theirs, left, tensors })
    }
}
