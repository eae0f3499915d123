//! The graph of commits as far as somebody asked for it, shared by all who ask.

use super::graph::Graph;
use std::sync::{Arc, Mutex, PoisonError};

/// Nothing before the first one asked.
#[derive(Debug, Default)]
pub(super) struct KnownGraph(Mutex<Option<Arc<Graph>>>);

impl KnownGraph {
    /// The graph that is kept.
    pub(super) fn get(&self) -> Option<Arc<Graph>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a graph, if it knows more than the one that is kept.
    pub(super) fn keep(&self, graph: &Arc<Graph>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|kept| kept.len() < graph.len()) {
            *slot = Some(Arc::clone(graph));
        }
    }
}
