//! What a transaction has stored so far, and whether it can go on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::id::ObjectKey;
use crate::similarity::{LshIndex, Signature};
use crate::store::catalog::bucket_of;
use crate::store::error::{Result, StoreError};
use crate::store::object::Kind;
use crate::store::pack::{Entry, Frame, Object, OpenPack, Record};

#[derive(Default)]
pub struct Transaction {
    pub records: HashMap<(ObjectKey, Kind), Record>,
    /// All that was put, new or not.
    pub put: HashSet<ObjectKey>,
    /// What ended the transaction, if something did.
    failed: Option<Failure>,
    pub sealed: bool,
    pub signatures: HashMap<ObjectKey, Signature>,
    /// What objects that stay in their files may be coded as differences to later.
    pub hints: HashMap<ObjectKey, Vec<ObjectKey>>,
    pub similar: LshIndex<ObjectKey>,
}

/// Why a transaction can only be dropped.
struct Failure {
    why: String,
    is_full: bool,
}

impl Transaction {
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
    pub fn record(&mut self, entry: Entry, frames: Vec<Frame>, signature: Option<Signature>) {
        let Entry { key, kind, dtype, len, .. } = entry;
        self.records.insert((key, kind), (entry, frames.into()));
        if let Some(signature) = signature {
            self.signatures.insert(key, signature);
            self.similar.insert(bucket_of(dtype, len), signature, key);
        }
        self.put.insert(key);
    }
}
