//! The graph of commits as far as somebody asked for it, shared by all who ask. It only grows.

use super::graph::{Graph, RowNumber};
use crate::id::CommitId;
use crate::units::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a commit says of how it descends.
#[derive(Debug)]
pub(super) struct Descent {
    pub id: CommitId,
    pub time: Timestamp,
    pub parents: Vec<CommitId>,
}

/// Nothing before the first one asked.
#[derive(Debug, Default)]
pub(super) struct KnownGraph(Mutex<Option<Arc<Graph>>>);

impl KnownGraph {
    /// The graph that is kept.
    pub(super) fn get(&self) -> Option<Arc<Graph>> {
        self.lock().clone()
    }

    /// Keeps a graph, unless there is one already; what is kept.
    pub(super) fn keep(&self, graph: Graph) -> Arc<Graph> {
        Arc::clone(self.lock().get_or_insert_with(|| Arc::new(graph)))
    }

    /// Adds commits, each behind its parents, as far as they are not there: in place, unless somebody is looking at it.
    pub(super) fn extend(&self, commits: &[Descent]) -> Arc<Graph> {
        let mut kept = self.lock();
        let kept = kept.get_or_insert_default();
        let graph = Arc::make_mut(kept);
        for Descent { id, time, parents } in commits {
            if graph.find(*id).is_none() {
                let parents: Vec<RowNumber> =
                    parents.iter().filter_map(|&parent| graph.find(parent)).collect();
                graph.add(*id, *time, &parents);
            }
        }
        Arc::clone(kept)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Graph>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descent(number: u8, parents: &[u8]) -> Descent {
        let id = |number: u8| CommitId::from_bytes([number; 32]);
        Descent {
            id: id(number),
            time: Timestamp::EPOCH,
            parents: parents.iter().map(|&at| id(at)).collect(),
        }
    }

    #[test]
    fn a_new_commit_costs_no_copy_of_the_graph_and_changes_none_that_somebody_looks_at() {
        let known = KnownGraph::default();
        let place = Arc::as_ptr(&known.extend(&[descent(1, &[])]));
        let graph = known.extend(&[descent(2, &[1]), descent(1, &[])]);
        assert_eq!((Arc::as_ptr(&graph), graph.len(), graph.parents(1)), (place, 2, &[0][..]));
        let later = known.extend(&[descent(3, &[2])]);
        assert_eq!((graph.len(), later.len()), (2, 3));
    }
}
