//! What several refs are about to say, in one record: once it has its name, all of them say it.
//!
//! Whoever reads a ref looks into the record that is there, if one is; whoever takes the lock of the refs brings their
//! files in line with it and takes its name away, durably before any ref moves again. A change is believed only while the
//! ref's file says what the change began with: a record that is brought in line in part may be read all the time.

use super::any_ref::AnyRef;
use super::ref_name::{BranchName, TagName};
use crate::wire::{Reader, WireError, Writer};

const MAGIC: &[u8; 4] = b"CREF";
const VERSION: u16 = 1;

/// Another text of a ref's file; `None` is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub which: AnyRef,
    pub from: Option<Vec<u8>>,
    pub to: Option<Vec<u8>>,
}

/// The changes of several refs that happen together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intent {
    pub changes: Vec<Change>,
}

impl Intent {
    /// What a ref says whose file says `text`.
    pub(super) fn read(&self, which: &AnyRef, text: Option<Vec<u8>>) -> Option<Vec<u8>> {
        match self.changes.iter().find(|change| change.which == *which) {
            Some(change) if change.from == text => change.to.clone(),
            Some(_) | None => text,
        }
    }

    /// The record's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::record(MAGIC, VERSION);
        writer.u32(self.changes.len() as u32);
        for Change { which, from, to } in &self.changes {
            match which {
                AnyRef::Head => writer.u8(0),
                AnyRef::Branch(name) => {
                    writer.u8(1);
                    writer.counted(name.as_str().as_bytes());
                }
                AnyRef::Tag(name) => {
                    writer.u8(2);
                    writer.counted(name.as_str().as_bytes());
                }
            }
            [from, to].into_iter().for_each(|text| encode_text(&mut writer, text.as_deref()));
        }
        writer.finish_checked()
    }

    /// Reads a record's bytes.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::checked_record(bytes, MAGIC, VERSION, "change of refs")?;
        let count = reader.count(3, "count of refs")?;
        let changes = (0..count).map(|_| decode_change(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { changes })
    }
}

fn encode_text(writer: &mut Writer, text: Option<&[u8]>) {
    writer.u8(u8::from(text.is_some()));
    if let Some(text) = text {
        writer.counted(text);
    }
}

fn decode_change(reader: &mut Reader<'_>) -> Result<Change, WireError> {
    let invalid = |_| WireError::Invalid("name of a ref");
    let which = match reader.u8("kind of a ref")? {
        0 => AnyRef::Head,
        1 => AnyRef::Branch(BranchName::new(reader.text("branch")?).map_err(invalid)?),
        2 => AnyRef::Tag(TagName::new(reader.text("tag")?).map_err(invalid)?),
        _ => return Err(WireError::Invalid("kind of a ref")),
    };
    Ok(Change { which, from: decode_text(reader)?, to: decode_text(reader)? })
}

fn decode_text(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, WireError> {
    match reader.u8("text of a ref")? {
        0 => Ok(None),
        1 => Ok(Some(reader.counted("text of a ref")?.to_vec())),
        _ => Err(WireError::Invalid("text of a ref")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn which() -> impl Strategy<Value = AnyRef> {
        prop_oneof![
            Just(AnyRef::Head),
            "[a-c]/[a-c]".prop_map(|name| AnyRef::Branch(BranchName::new(name).expect("valid"))),
            "[a-c]{1,2}".prop_map(|name| AnyRef::Tag(TagName::new(name).expect("valid"))),
        ]
    }

    fn text() -> impl Strategy<Value = Option<Vec<u8>>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..4))
    }

    fn intent() -> impl Strategy<Value = Intent> {
        let change = (which(), text(), text()).prop_map(|(which, from, to)| Change { which, from, to });
        proptest::collection::vec(change, 0..4).prop_map(|changes| Intent { changes })
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(intent in intent()) {
            prop_assert_eq!(Intent::decode(&intent.encode()), Ok(intent));
        }

        #[test]
        fn a_record_that_is_not_whole_is_refused(intent in intent(), at: usize, bit in 0..8u32) {
            let mut bytes = intent.encode();
            let at = at % bytes.len();
            prop_assert!(Intent::decode(&bytes[..at]).is_err());
            bytes[at] ^= 1 << bit;
            prop_assert!(Intent::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_with_a_true_check_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = [&b"CREF\x01\0\x01\0\0\0"[..], &bytes].concat();
            let check = blake3::hash(&bytes);
            bytes.extend_from_slice(check.as_bytes());
            if let Ok(intent) = Intent::decode(&bytes) {
                prop_assert_eq!(intent.encode(), bytes);
            }
        }
    }
}
