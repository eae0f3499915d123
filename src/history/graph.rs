//! Commits and their parents as numbers, with how far each is from the first ones.
//!
//! Knows no repository: rows are given to it, each after its parents. The *generation* of a row is one more than the highest
//! of its parents', and 1 without any; so an ancestor has a lower one than each of its descendants, and who looks for an
//! ancestor need not go on below its generation. What is asked of a graph is in `ancestry.rs`.

use crate::id::CommitId;
use crate::units::Timestamp;
use crate::wire::{Reader, WireError, Writer};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const MAGIC: &[u8; 4] = b"CGRA";
const VERSION: u16 = 1;
/// What a row takes at least: an id, a time, a count of parents.
const ROW_MIN: usize = CommitId::LEN + 12 + 4;

/// One commit, by its number in a graph.
pub(super) type RowNumber = u32;

#[derive(Debug, Clone)]
struct Row {
    id: CommitId,
    time: Timestamp,
    generation: u32,
    /// Where its parents end among all parents; they begin where those of the row before end.
    parents_end: usize,
}

/// Takes the first bytes of an id for its hash: they are one.
#[derive(Debug, Clone, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Commits, closed under parents.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    rows: Vec<Row>,
    parents: Vec<RowNumber>,
    numbers: HashMap<CommitId, RowNumber, BuildHasherDefault<AsItIs>>,
}

impl Graph {
    /// How many commits there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of a commit; `None` if it is not here.
    pub(super) fn find(&self, id: CommitId) -> Option<RowNumber> {
        self.numbers.get(&id).copied()
    }

    /// The commit with a number.
    pub(super) fn id(&self, row: RowNumber) -> CommitId {
        self.rows[row as usize].id
    }

    /// When it was committed.
    pub(super) fn time(&self, row: RowNumber) -> Timestamp {
        self.rows[row as usize].time
    }

    /// Its generation, from 1.
    pub(super) fn generation(&self, row: RowNumber) -> u32 {
        self.rows[row as usize].generation
    }

    /// Its parents, in order.
    pub(super) fn parents(&self, row: RowNumber) -> &[RowNumber] {
        let row = row as usize;
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].parents_end);
        &self.parents[start..self.rows[row].parents_end]
    }

    /// Adds a commit whose parents are here. One that is here already stays as it is.
    pub(super) fn add(&mut self, id: CommitId, time: Timestamp, parents: &[RowNumber]) -> RowNumber {
        if let Some(row) = self.find(id) {
            return row;
        }
        self.parents.extend_from_slice(parents);
        self.end_row(id, time, parents.len())
    }

    /// Makes a row whose parents are the last ones.
    fn end_row(&mut self, id: CommitId, time: Timestamp, parents: usize) -> RowNumber {
        let parents = &self.parents[self.parents.len() - parents..];
        let highest = parents.iter().map(|&parent| self.generation(parent)).max();
        let generation = highest.unwrap_or(0).saturating_add(1);
        let number = RowNumber::try_from(self.rows.len()).expect("fewer than four thousand million commits");
        self.rows.push(Row { id, time, generation, parents_end: self.parents.len() });
        self.numbers.insert(id, number);
        number
    }

    /// The bytes of a file of it: generations are not in there, they follow.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::record(MAGIC, VERSION);
        writer.u32(self.rows.len() as u32);
        for (number, row) in (0..).zip(&self.rows) {
            writer.raw(row.id.as_bytes());
            writer.i64(row.time.seconds);
            writer.u32(row.time.nanoseconds);
            let parents = self.parents(number);
            writer.u32(parents.len() as u32);
            parents.iter().for_each(|&parent| writer.u32(parent));
        }
        writer.finish_checked()
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::checked_record(bytes, MAGIC, VERSION, "graph of commits")?;
        let count = reader.count(ROW_MIN, "count of commits")?;
        let mut graph = Self {
            rows: Vec::with_capacity(count),
            parents: Vec::with_capacity(count),
            numbers: HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default()),
        };
        for number in 0..count {
            graph.decode_row(number, &mut reader)?;
        }
        reader.finish()?;
        Ok(graph)
    }

    fn decode_row(&mut self, number: usize, reader: &mut Reader<'_>) -> Result<(), WireError> {
        let id = CommitId::from_bytes(reader.array("commit")?);
        let time = Timestamp { seconds: reader.i64("seconds")?, nanoseconds: reader.u32("nanoseconds")? };
        let count = reader.count(4, "count of parents")?;
        for _ in 0..count {
            let parent = reader.u32("parent")?;
            if parent as usize >= number {
                return Err(WireError::Invalid("order of commits"));
            }
            self.parents.push(parent);
        }
        self.end_row(id, time, count);
        match self.numbers.len() > number {
            true => Ok(()),
            false => Err(WireError::Invalid("repeated commit")),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The commit of a number, in no order that numbers have.
    fn commit(number: u32) -> CommitId {
        CommitId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    /// Any history: each commit has up to three of the earlier ones as parents, and a clock that may go wrong.
    pub(crate) fn graph() -> impl Strategy<Value = Graph> {
        let row = (proptest::collection::vec(any::<u32>(), 0..4), 0..9i64);
        proptest::collection::vec(row, 1..14).prop_map(|rows| {
            let mut graph = Graph::default();
            for (number, (parents, seconds)) in (0u32..).zip(rows) {
                let mut parents: Vec<RowNumber> =
                    parents.into_iter().filter(|_| number > 0).map(|parent| parent % number.max(1)).collect();
                let mut seen = Vec::new();
                parents.retain(|parent| {
                    !seen.contains(parent) && {
                        seen.push(*parent);
                        true
                    }
                });
                let time = Timestamp { seconds, nanoseconds: 0 };
                assert_eq!(graph.add(commit(number), time, &parents), number);
            }
            graph
        })
    }

    fn told(graph: &Graph) -> Vec<(CommitId, Timestamp, u32, Vec<RowNumber>)> {
        let row = |row| (graph.id(row), graph.time(row), graph.generation(row), graph.parents(row).to_vec());
        (0..graph.len() as u32).map(row).collect()
    }

    proptest! {
        #[test]
        fn a_file_says_what_was_written(graph in graph()) {
            let decoded = Graph::decode(&graph.encode()).expect("whole");
            prop_assert_eq!(told(&decoded), told(&graph));
            prop_assert!((0..graph.len() as u32).all(|row| decoded.find(graph.id(row)) == Some(row)));
        }

        #[test]
        fn a_file_that_is_not_whole_is_refused(graph in graph(), at: usize, bit in 0..8u32) {
            let mut bytes = graph.encode();
            let at = at % bytes.len();
            prop_assert!(Graph::decode(&bytes[..at]).is_err());
            bytes[at] ^= 1 << bit;
            prop_assert!(Graph::decode(&bytes).is_err());
        }

        #[test]
        fn parents_have_lower_generations(graph in graph()) {
            for row in 0..graph.len() as u32 {
                let highest = graph.parents(row).iter().map(|&parent| graph.generation(parent)).max();
                prop_assert_eq!(graph.generation(row), highest.unwrap_or(0) + 1);
            }
        }
    }
}
