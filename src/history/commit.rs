//! A commit: one whole snapshot with its parents, who made it, when, why, and what was measured on it.
//!
//! Owns the canonical encoding of commits.

use crate::id::{CommitId, TreeId};
use crate::quote::is_harmful;
use crate::units::Timestamp;
use crate::wire::{Reader, WireError, Writer};
use std::collections::BTreeMap;

const MAGIC: &[u8; 4] = b"CCOM";
const VERSION: u16 = 1;

/// One snapshot in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The root directory.
    pub tree: TreeId,
    /// The commits it follows: none for the first, two for a merge.
    pub parents: Vec<CommitId>,
    /// Who made the change, and when.
    pub author: Signature,
    /// Who recorded it, and when.
    pub committer: Signature,
    /// Why, in the author's words; the first line is the subject.
    pub message: String,
    /// Facts about the snapshot such as training step and metrics, by name.
    pub metadata: BTreeMap<String, String>,
}

/// A person at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The person's name.
    pub name: String,
    /// The person's address; may be empty.
    pub email: String,
    /// When.
    pub time: Timestamp,
    /// Minutes east of UTC where it was.
    pub offset_minutes: i16,
}

impl Commit {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::record(MAGIC, VERSION);
        writer.raw(self.tree.as_bytes());
        writer.u32(self.parents.len() as u32);
        self.parents.iter().for_each(|parent| writer.raw(parent.as_bytes()));
        self.author.encode(&mut writer);
        self.committer.encode(&mut writer);
        writer.counted(self.message.as_bytes());
        writer.u32(self.metadata.len() as u32);
        for (key, value) in &self.metadata {
            writer.counted(key.as_bytes());
            writer.counted(value.as_bytes());
        }
        writer.finish()
    }

    /// The name of the commit with this canonical encoding.
    pub fn id_of(encoding: &[u8]) -> CommitId {
        CommitId::from_bytes(*blake3::hash(encoding).as_bytes())
    }

    /// Reads a canonical encoding.
    ///
    /// # Errors
    /// [`WireError`] for anything else, also for unsorted or repeated metadata.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::record(bytes, MAGIC, VERSION, "commit")?;
        let tree = TreeId::from_bytes(reader.array("tree")?);
        let parents = reader.count(CommitId::LEN, "parent count")?;
        let parents = (0..parents).map(|_| reader.array("parent").map(CommitId::from_bytes));
        let parents = parents.collect::<Result<_, _>>()?;
        let author = Signature::decode(&mut reader)?;
        let committer = Signature::decode(&mut reader)?;
        let message = reader.text("message")?.to_owned();
        let mut metadata = BTreeMap::new();
        for _ in 0..reader.count(8, "metadata count")? {
            let key = reader.text("metadata key")?;
            if metadata.last_key_value().is_some_and(|(last, _): (&String, _)| last.as_str() >= key) {
                return Err(WireError::Invalid("order of metadata"));
            }
            metadata.insert(key.to_owned(), reader.text("metadata value")?.to_owned());
        }
        reader.finish()?;
        Ok(Self { tree, parents, author, committer, message, metadata })
    }
}

/// The fact about a snapshot that a text of the form `KEY=VALUE` says.
pub fn metadata_pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    (!key.is_empty() && !key.contains(is_harmful)).then(|| (key.to_owned(), value.to_owned()))
}

impl Signature {
    /// The part of it that would look like something else in a log, if one would: names and addresses are one line
    /// without `<` and `>`.
    pub fn misleading(&self) -> Option<&str> {
        let misleads = |text: &str| text.contains(|c| is_harmful(c) || matches!(c, '<' | '>' | '\t'));
        [&*self.name, &*self.email].into_iter().find(|text| misleads(text))
    }

    /// A message with the line that says who stands for it, said once.
    pub fn signed_off(&self, message: &str) -> String {
        let line = format!("Signed-off-by: {} <{}>", self.name, self.email);
        let message = message.trim_end();
        match message.lines().last() {
            Some(last) if last == line => message.to_owned(),
            Some(last) if last.starts_with("Signed-off-by: ") => format!("{message}\n{line}"),
            _ => format!("{message}\n\n{line}"),
        }
    }

    /// Appends it to an encoding.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.counted(self.name.as_bytes());
        writer.counted(self.email.as_bytes());
        writer.i64(self.time.seconds);
        writer.u32(self.time.nanoseconds);
        writer.u16(self.offset_minutes as u16);
    }

    /// Takes it off an encoding.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            name: reader.text("name")?.to_owned(),
            email: reader.text("email")?.to_owned(),
            time: Timestamp { seconds: reader.i64("seconds")?, nanoseconds: reader.u32("nanoseconds")? },
            offset_minutes: reader.u16("offset")? as i16,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signature() -> impl Strategy<Value = Signature> {
        ("\\PC{0,4}", "[a-z@]{0,4}", any::<i64>(), 0..1_000_000_000u32, any::<i16>()).prop_map(
            |(name, email, seconds, nanoseconds, offset_minutes)| Signature {
                name,
                email,
                time: Timestamp { seconds, nanoseconds },
                offset_minutes,
            },
        )
    }

    fn commit() -> impl Strategy<Value = Commit> {
        (
            any::<[u8; 32]>(),
            proptest::collection::vec(any::<[u8; 32]>(), 0..3),
            signature(),
            signature(),
            "\\PC{0,9}",
            proptest::collection::btree_map("[a-c]{1,2}", "\\PC{0,3}", 0..3),
        )
            .prop_map(|(tree, parents, author, committer, message, metadata)| Commit {
                tree: TreeId::from_bytes(tree),
                parents: parents.into_iter().map(CommitId::from_bytes).collect(),
                author,
                committer,
                message,
                metadata,
            })
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(commit in commit()) {
            prop_assert_eq!(Commit::decode(&commit.encode()), Ok(commit));
        }

        #[test]
        fn any_bytes_decode_to_a_canonical_commit_or_an_error(commit in commit(), at: usize, byte: u8) {
            let mut bytes = commit.encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(decoded) = Commit::decode(&bytes) {
                prop_assert_eq!(decoded.encode(), bytes);
            }
        }
    }
}
