//! What a transaction has stored so far, and whether it can go on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::id::ObjectKey;
use crate::similarity::{Anchor, AnchorIndex, LshIndex};
use crate::store::catalog::bucket_of;
use crate::store::error::{Result, StoreError};
use crate::store::object::{Kind, Marks};
use crate::store::pack::{Entry, Frame, Object, OpenPack, Record};

#[derive(Default)]
pub struct Transaction {
    pub records: HashMap<(ObjectKey, Kind), Record>,
    /// All that was put, new or not.
    pub put: HashSet<ObjectKey>,
    /// What ended the transaction, if something did.
    failed: Option<Failure>,
    pub sealed: bool,
    /// What objects are found by.
    pub marks: HashMap<ObjectKey, Marks>,
    /// What objects that stay in their files may be coded as differences to later.
    pub hints: HashMap<ObjectKey, Vec<ObjectKey>>,
    pub similar: LshIndex<ObjectKey>,
    pub anchored: AnchorIndex<ObjectKey>,
    /// Bytes that records of anchors may still take.
    anchors_left: usize,
}

/// Why a transaction can only be dropped.
struct Failure {
    why: String,
    is_full: bool,
}

impl Transaction {
    /// Nothing is stored yet. Anchors may take so many bytes in memory, and as many in the pack.
    pub fn new(anchor_bytes: usize) -> Self {
        Self { anchored: AnchorIndex::new(anchor_bytes), anchors_left: anchor_bytes, ..Self::default() }
    }

    /// Fails if an earlier failure ended the transaction.
    pub fn check(&self) -> Result<()> {
        match &self.failed {
            Some(Failure { why, is_full }) => {
                Err(StoreError::Poisoned { why: why.clone(), is_full: *is_full })
            }
            None => Ok(()),
        }
    }

    /// Ends the transaction: from now on it can only be dropped. The first reason counts.
    pub fn fail(&mut self, error: &StoreError) {
        self.failed.get_or_insert(Failure { why: error.to_string(), is_full: error.is_full() });
    }

    /// An object that was appended to the transaction's pack.
    pub fn find(&self, pack: &Arc<OpenPack>, kind: Kind, key: &ObjectKey) -> Option<Object> {
        let (entry, frames) = self.records.get(&(*key, kind))?;
        Some(Object::open(pack, *entry, frames))
    }

    /// Takes in an object that was appended.
    pub fn record(&mut self, entry: Entry, frames: Vec<Frame>, mut marks: Marks) {
        let Entry { key, kind, dtype, len, .. } = entry;
        self.records.insert((key, kind), (entry, frames.into()));
        if let Some(signature) = marks.signature {
            self.similar.insert(bucket_of(dtype, len), signature, key);
        }
        match self.anchors_left.checked_sub(marks.anchors.len()) {
            Some(left) => self.anchors_left = left,
            None => marks.anchors.clear(),
        }
        self.anchored.insert(key, Anchor::each_of(&marks.anchors));
        if marks.signature.is_some() || !marks.anchors.is_empty() {
            self.marks.insert(key, marks);
        }
        self.put.insert(key);
    }
}
