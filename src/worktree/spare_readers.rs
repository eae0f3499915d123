//! Letting descriptors of readers go where there are too many.

use super::hold::Hold;
use super::nodes::{Body, NodeId};
use super::open_files::{OpenFile, Staged};
use super::readers::HELD_MAX;
use super::staging::Staging;
use super::state::State;

impl Staging<'_> {
    /// Lets descriptors of readers go if there may be too many. What cannot be let go stays open.
    pub(super) fn spare_descriptors(&self) {
        if !self.worktree.state().has_many_readers() {
            return;
        }
        // From here on no name goes; one that went before has left its bytes to its readers alone.
        let Ok(hold) = Hold::take(&**self.worktree.repo().disk(), &self.worktree.dir) else { return };
        let longest_ago = self.worktree.state().read_longest_ago();
        let named = longest_ago.into_iter().filter(|(_, staged)| self.has_name(staged));
        let spared: Vec<(NodeId, Staged)> = named.collect();
        self.worktree.state().spare(&spared, hold);
        // Closing may take its time, so under no lock.
        drop(spared);
    }

    /// Whether the name of a staging file that is open still leads to it.
    fn has_name(&self, (staging, file): &Staged) -> bool {
        let there = self.worktree.repo().disk().stat(&self.path(*staging));
        matches!((there, file.id()), (Ok(Some(stat)), Ok(id)) if stat.id == id)
    }
}

impl State {
    fn has_many_readers(&self) -> bool {
        self.open.len() > HELD_MAX && self.readers.opened > HELD_MAX / 4
    }

    /// The readers that hold more descriptors than they may, and some, so that it is not soon looked again.
    fn read_longest_ago(&mut self) -> Vec<(NodeId, Staged)> {
        self.readers.opened = 0;
        let held = |(&node, file): (&NodeId, &OpenFile)| {
            let (used, staged) = file.held_to_read()?;
            Some((used, node, staged.clone()))
        };
        let mut held: Vec<(u64, NodeId, Staged)> = self.open.iter().filter_map(held).collect();
        let too_many = match held.len() > HELD_MAX {
            true => held.len() - HELD_MAX * 3 / 4,
            false => 0,
        };
        held.sort_unstable_by_key(|(used, ..)| *used);
        held.into_iter().take(too_many).map(|(_, node, staged)| (node, staged)).collect()
    }

    fn spare(&mut self, readers: &[(NodeId, Staged)], hold: Hold) {
        for (node, (staging, _)) in readers {
            if let Some(open) = self.open.get_mut(node) {
                open.spare(*staging);
            }
        }
        if !readers.is_empty() {
            self.readers.hold.get_or_insert(hold);
        }
    }

    /// What stood for descriptors, if nobody needs it any more: every reader has its bytes in the store, or open.
    pub(super) fn needless_hold(&mut self) -> Option<Hold> {
        let is_due = self.readers.hold.is_some() && self.open.len() <= HELD_MAX / 2;
        let needs_it = |(node, open): (&NodeId, &OpenFile)| {
            let file = self.nodes.get(*node).map(|found| &found.body);
            matches!(file, Ok(Body::File(file)) if file.current.staging().is_some() && open.held().is_none())
        };
        if is_due && !self.open.iter().any(needs_it) { self.readers.hold.take() } else { None }
    }
}
