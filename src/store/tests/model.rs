//! Random operations against a map in memory.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::Outcome;
use super::*;

#[derive(Debug, Clone)]
enum Op {
    /// Puts weights of one of a few seeds and steps, with what was put last as a base.
    Put {
        seed: u64,
        step: u64,
        count: usize,
    },
    Seal,
    Abort,
    Read {
        which: usize,
        from: usize,
        len: usize,
    },
    Reopen,
    DropSidecars,
    PowerCut {
        seed: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let count = prop_oneof![0..5usize, 1000..1003usize, 65_535..65_538usize, Just(150_000)];
    prop_oneof![
        6 => (0..3u64, 0..4u64, count).prop_map(|(seed, step, count)| Op::Put { seed, step, count }),
        2 => Just(Op::Seal),
        1 => Just(Op::Abort),
        4 => (any::<usize>(), any::<usize>(), any::<usize>()).prop_map(|(which, from, len)| Op::Read { which, from, len }),
        1 => Just(Op::Reopen),
        1 => Just(Op::DropSidecars),
        1 => any::<u64>().prop_map(|seed| Op::PowerCut { seed }),
    ]
}

struct Model {
    disk: SimulatedDisk,
    store: Store,
    ingest: Option<super::super::Ingest>,
    sealed: HashMap<ObjectKey, Vec<u8>>,
    pending: HashMap<ObjectKey, Vec<u8>>,
    last: Vec<ObjectKey>,
}

impl Model {
    fn new() -> Self {
        let disk = new_disk();
        let store = open(&disk);
        Self { disk, store, ingest: None, sealed: HashMap::new(), pending: HashMap::new(), last: Vec::new() }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Put { seed, step, count } => self.put(weights(count, seed, step)),
            Op::Seal => {
                if let Some(ingest) = self.ingest.take() {
                    // Beside them are records of what is made of pieces of others.
                    assert!(ingest.seal().unwrap().objects >= self.pending.len());
                    self.sealed.extend(self.pending.drain());
                }
            }
            Op::Abort => self.abort(),
            Op::Read { which, from, len } => self.read(which, from, len),
            Op::Reopen => self.store = open(&self.disk),
            Op::DropSidecars => {
                for path in files(&self.disk, ".cix") {
                    self.disk.remove_file(&path).unwrap();
                }
                self.store = open(&self.disk);
            }
            Op::PowerCut { seed } => {
                self.abort();
                self.disk = self.disk.crash_image(seed);
                self.store = open(&self.disk);
            }
        }
    }

    fn put(&mut self, bytes: Vec<u8>) {
        let ingest = self.ingest.get_or_insert_with(|| self.store.begin().unwrap());
        let put = ingest.put(Dtype::F32, &bytes, &self.last).unwrap();
        let known = self.sealed.contains_key(&put.key) || self.pending.contains_key(&put.key);
        assert_eq!(put.outcome == Outcome::Duplicate, known);
        self.last = vec![put.key];
        if !known {
            self.pending.insert(put.key, bytes);
        }
    }

    fn abort(&mut self) {
        self.ingest = None;
        self.pending.clear();
    }

    fn read(&self, which: usize, from: usize, len: usize) {
        let mut keys: Vec<_> = self.sealed.keys().collect();
        keys.sort();
        let Some(key) = keys.get(which % keys.len().max(1)) else { return };
        let bytes = &self.sealed[key];
        let from = from % (bytes.len() + 1);
        let len = len % (bytes.len() - from + 1);
        let mut part = vec![0; len];
        self.store.reader(**key).and_then(|reader| reader.read_at(from as u64, &mut part)).unwrap();
        assert!(part == bytes[from..from + len]);
    }

    fn check_all(&self) {
        for (key, bytes) in &self.sealed {
            assert!(self.store.read(*key).unwrap() == *bytes);
        }
        for key in self.pending.keys() {
            assert_eq!(self.store.info(*key).unwrap(), None);
        }
        assert!(self.store.stats().unwrap().objects >= self.sealed.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_store_behaves_like_a_map_that_survives_anything(ops in prop::collection::vec(op(), 1..30)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
        model.check_all();
    }
}
