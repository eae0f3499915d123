//! The store's index in the hands of a mount: taken when the mount begins, or later, when whoever had it is done.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{IndexState, Store};

/// After so many looks without an index it is tried for the first time again; then ever less often.
const FIRST_RETRY: u32 = 4;

/// Whether there is an index.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<Lack>);

/// The lack of an index: why, and how long ago it was noticed.
#[derive(Debug, Default)]
struct Lack {
    trouble: Option<String>,
    looks: u32,
}

impl Index {
    /// Takes the index.
    pub fn attach(&self, store: &Store) {
        let trouble = match store.attach_index() {
            Ok(IndexState::Clean | IndexState::Replayed { .. } | IndexState::Built { .. }) => None,
            Ok(IndexState::Unavailable) => Some("another process has it".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        self.lock().trouble = trouble;
    }

    /// Tries again, if there is none and it was not tried just now: twice as long is waited each time.
    pub fn want(&self, store: &Store) {
        let mut lack = self.lock();
        if lack.trouble.is_none() {
            lack.looks = 0;
            return;
        }
        lack.looks = lack.looks.saturating_add(1);
        let is_due = lack.looks >= FIRST_RETRY && lack.looks.is_power_of_two();
        drop(lack);
        if is_due {
            self.attach(store);
        }
    }

    /// Why there is none.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Lack> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
