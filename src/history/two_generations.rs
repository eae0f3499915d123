//! A bounded memory of decoded values: whatever was used since the last turnover is kept through the next.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Remembers values up to a weight. Two generations: when the young one is full it becomes the old one, and the old
/// one is dropped, so that a value in use survives and memory stays under twice the capacity.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    capacity: usize,
    generations: Mutex<Generations<K, V>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    weight: usize,
}

impl<K: Hash + Eq + Copy, V: Clone> Recent<K, V> {
    /// A memory for values whose weights add up to about `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), weight: 0 };
        Self { capacity, generations: Mutex::new(generations) }
    }

    /// The remembered value, or the one that `load` gives with its weight.
    pub(super) fn get_or<E>(&self, key: K, load: impl FnOnce() -> Result<(V, usize), E>) -> Result<V, E> {
        if let Some(found) = self.find(&key) {
            return Ok(found);
        }
        let (value, weight) = load()?;
        self.remember(key, value.clone(), weight);
        Ok(value)
    }

    fn find(&self, key: &K) -> Option<V> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = generations.young.get(key) {
            return Some(value.clone());
        }
        let value = generations.old.remove(key)?;
        generations.young.insert(*key, value.clone());
        Some(value)
    }

    fn remember(&self, key: K, value: V, weight: usize) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.weight + weight > self.capacity {
            generations.old = std::mem::take(&mut generations.young);
            generations.weight = 0;
        }
        generations.weight += weight;
        generations.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let recent = Recent::new(2);
        let get = |key: u32| {
            let mut loaded = false;
            let value = recent.get_or(key, || {
                loaded = true;
                Ok::<_, Infallible>((key * 10, 1))
            });
            assert_eq!(value, Ok(key * 10));
            loaded
        };
        assert!(get(1));
        for other in 2..20 {
            assert!(get(other));
            assert!(!get(1), "forgotten after {other}");
        }
        assert!(get(2));
    }
}
