//! Names of refs that the kernel may remember for a moment: what it must be told to forget when a ref moves.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::units::Timestamp;

use super::attr::Lifetime;

/// So many names are remembered before old ones are looked for and dropped.
const CROWD: usize = 1024;

/// A name in a directory, by the directory's inode number.
type PlacedName = (u64, Box<[u8]>);

/// Names that were looked up in directories of refs, with the time.
#[derive(Debug, Default)]
pub(super) struct MovingNames {
    served: Mutex<HashMap<PlacedName, Timestamp>>,
}

impl MovingNames {
    /// A name in a directory was given to the kernel.
    pub fn note(&self, parent: u64, name: &[u8], now: Timestamp) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.len() >= CROWD {
            served.retain(|_, at| is_remembered(*at, now));
        }
        served.insert((parent, name.into()), now);
    }

    /// The names that the kernel may still remember; they count as forgotten from now on.
    pub fn take(&self, now: Timestamp) -> Vec<(u64, Vec<u8>)> {
        let served = std::mem::take(&mut *self.served.lock().unwrap_or_else(PoisonError::into_inner));
        let remembered = served.into_iter().filter(|(_, at)| is_remembered(*at, now));
        remembered.map(|((parent, name), _)| (parent, name.into_vec())).collect()
    }
}

/// Whether a name that was given at a time may be remembered still, whole seconds rounded up.
fn is_remembered(at: Timestamp, now: Timestamp) -> bool {
    let longest = Lifetime::Followed.duration().as_secs() as i64 + 1;
    // A clock that was set back tells nothing.
    (at.seconds > now.seconds) || now.seconds - at.seconds <= longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_once_and_only_while_they_may_be_remembered() {
        let at = |seconds| Timestamp { seconds, nanoseconds: 0 };
        let names = MovingNames::default();
        names.note(7, b"old", at(10));
        names.note(7, b"main", at(20));
        names.note(7, b"main", at(21));
        assert_eq!(names.take(at(21)), [(7, b"main".to_vec())]);
        assert_eq!(names.take(at(21)), []);
    }
}
