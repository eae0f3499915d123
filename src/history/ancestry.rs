//! Who descends from whom: questions to a graph of commits.
//!
//! Each goes from the higher generations to the lower ones, so that whatever is known of a commit when its turn comes is
//! all that there is to know: its descendants had their turns. And each stops where no lower generation can matter.

use super::graph::{Graph, RowNumber};
use crate::units::Timestamp;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Whether `ancestor` is one of `rows` or an ancestor of one.
pub(super) fn is_ancestor(graph: &Graph, ancestor: RowNumber, rows: &[RowNumber]) -> bool {
    let lowest = graph.generation(ancestor);
    let mut seen: HashSet<RowNumber> = HashSet::new();
    let mut left: Vec<RowNumber> = rows.to_vec();
    while let Some(row) = left.pop() {
        if row == ancestor {
            return true;
        }
        if graph.generation(row) > lowest && seen.insert(row) {
            left.extend(graph.parents(row));
        }
    }
    false
}

/// What is known of a commit that somebody comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Marks {
    one: bool,
    other: bool,
    /// Nothing that it leads to is asked for.
    is_done: bool,
}

impl Marks {
    fn add(&mut self, more: Marks) {
        self.one |= more.one;
        self.other |= more.other;
        self.is_done |= more.is_done;
    }
}

/// Commits whose turn is still to come, the highest generation first.
#[derive(Default)]
struct Turns {
    queue: BinaryHeap<(u32, RowNumber)>,
    marks: HashMap<RowNumber, Marks>,
    /// How many of them somebody still asks for.
    asked: usize,
}

impl Turns {
    fn mark(&mut self, graph: &Graph, row: RowNumber, more: Marks) {
        let marks = match self.marks.get_mut(&row) {
            Some(marks) => marks,
            None => {
                self.queue.push((graph.generation(row), row));
                self.asked += 1;
                let marks = self.marks.entry(row).or_default();
                marks.add(more);
                self.asked -= usize::from(marks.is_done);
                return;
            }
        };
        let before = *marks;
        marks.add(more);
        self.asked -= usize::from(marks.is_done && !before.is_done);
    }

    /// The next one; `None` when nobody asks for any that is left.
    fn next(&mut self) -> Option<(RowNumber, Marks)> {
        if self.asked == 0 {
            return None;
        }
        let (_, row) = self.queue.pop()?;
        let marks = self.marks.get(&row).copied().unwrap_or_default();
        self.asked -= usize::from(!marks.is_done);
        Some((row, marks))
    }
}

/// The best common ancestors of two commits: those that are no ancestor of another common one. Several where histories
/// were merged crosswise, none where they have nothing in common. The newest first.
pub(super) fn merge_bases(graph: &Graph, one: RowNumber, other: RowNumber) -> Vec<RowNumber> {
    let mut turns = Turns::default();
    turns.mark(graph, one, Marks { one: true, ..Marks::default() });
    turns.mark(graph, other, Marks { other: true, ..Marks::default() });
    let mut bases = Vec::new();
    while let Some((row, marks)) = turns.next() {
        let is_common = marks.one && marks.other;
        if is_common && !marks.is_done {
            bases.push(row);
        }
        let passed_on = Marks { is_done: is_common, ..marks };
        graph.parents(row).iter().for_each(|&parent| turns.mark(graph, parent, passed_on));
    }
    bases.sort_by_key(|&row| std::cmp::Reverse((graph.time(row), graph.id(row))));
    bases
}

/// The commits that `shown` reach, by first parents only if that is wanted, and `hidden` do not, the highest generation
/// first. None that is older than `since`, nor what only such a one leads to.
pub(super) fn reached(
    graph: &Graph,
    shown: &[RowNumber],
    hidden: &[RowNumber],
    first_parent: bool,
    since: Option<Timestamp>,
) -> Vec<RowNumber> {
    let mut turns = Turns::default();
    for &row in hidden {
        turns.mark(graph, row, Marks { is_done: true, ..Marks::default() });
    }
    for &row in shown {
        turns.mark(graph, row, Marks { one: true, ..Marks::default() });
    }
    let mut found = Vec::new();
    while let Some((row, marks)) = turns.next() {
        if !marks.is_done && since.is_some_and(|since| graph.time(row) < since) {
            continue;
        }
        if !marks.is_done {
            found.push(row);
        }
        let parents = graph.parents(row);
        let followed = if first_parent && !marks.is_done { parents.len().min(1) } else { parents.len() };
        parents[..followed].iter().for_each(|&parent| turns.mark(graph, parent, marks));
    }
    found
}

/// The same commits, each before its parents, and those of one line of history together.
pub(super) fn by_lines(graph: &Graph, rows: &[RowNumber]) -> Vec<RowNumber> {
    let mut children: HashMap<RowNumber, usize> = rows.iter().map(|&row| (row, 0)).collect();
    for parent in rows.iter().flat_map(|&row| graph.parents(row)) {
        children.entry(*parent).and_modify(|count| *count += 1);
    }
    let mut free: Vec<RowNumber> = rows.iter().copied().filter(|row| children[row] == 0).collect();
    // The newest is taken first: from the end.
    free.sort_by_key(|&row| (graph.time(row), graph.id(row)));
    let mut sorted = Vec::with_capacity(rows.len());
    while let Some(row) = free.pop() {
        sorted.push(row);
        // The first parent's line goes on after the lines that were merged into it.
        for parent in graph.parents(row) {
            if let Some(count) = children.get_mut(parent) {
                *count -= 1;
                free.extend((*count == 0).then_some(*parent));
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Everything that some commits reach, by what reaching means.
    fn closure(graph: &Graph, rows: &[RowNumber]) -> BTreeSet<RowNumber> {
        let mut reached: BTreeSet<RowNumber> = rows.iter().copied().collect();
        loop {
            let more: BTreeSet<RowNumber> =
                reached.iter().flat_map(|&row| graph.parents(row)).copied().collect();
            let before = reached.len();
            reached.extend(more);
            if reached.len() == before {
                return reached;
            }
        }
    }

    fn first_parents(graph: &Graph, row: RowNumber) -> BTreeSet<RowNumber> {
        std::iter::successors(Some(row), |&row| graph.parents(row).first().copied()).collect()
    }

    /// A history and some commits of it.
    fn with_rows() -> impl Strategy<Value = (Graph, Vec<RowNumber>)> {
        (graph(), proptest::collection::vec(any::<u32>(), 4)).prop_map(|(graph, picks)| {
            let rows = picks.into_iter().map(|pick| pick % graph.len() as u32).collect();
            (graph, rows)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn ancestors_are_those_that_are_reached((graph, rows) in with_rows()) {
            let reached = closure(&graph, &rows[1..]);
            prop_assert_eq!(is_ancestor(&graph, rows[0], &rows[1..]), reached.contains(&rows[0]));
        }

        #[test]
        fn merge_bases_are_the_common_ancestors_that_no_other_one_descends_from((graph, rows) in with_rows()) {
            let (one, other) = (closure(&graph, &rows[..1]), closure(&graph, &rows[1..2]));
            let common: BTreeSet<RowNumber> = one.intersection(&other).copied().collect();
            let is_best = |row: &RowNumber| {
                common.iter().all(|other| other == row || !closure(&graph, &[*other]).contains(row))
            };
            let best: BTreeSet<RowNumber> = common.iter().copied().filter(is_best).collect();
            let found = merge_bases(&graph, rows[0], rows[1]);
            prop_assert_eq!(found.len(), best.len());
            prop_assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), best);
            prop_assert_eq!(merge_bases(&graph, rows[1], rows[0]), found);
        }

        #[test]
        fn what_is_hidden_hides_all_that_it_reaches((graph, rows) in with_rows()) {
            let (shown, hidden) = rows.split_at(2);
            let reached_by = closure(&graph, hidden);
            let expected: BTreeSet<RowNumber> = closure(&graph, shown).difference(&reached_by).copied().collect();
            let found = reached(&graph, shown, hidden, false, None);
            prop_assert_eq!(found.len(), expected.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
            let firsts: BTreeSet<RowNumber> = first_parents(&graph, shown[0]).difference(&reached_by).copied().collect();
            let found = reached(&graph, &shown[..1], hidden, true, None);
            // Behind a commit that is hidden everything is.
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), firsts);
        }

        #[test]
        fn sorted_by_lines_each_commit_comes_before_its_parents((graph, rows) in with_rows()) {
            let found = reached(&graph, &rows[..2], &rows[2..], false, None);
            let sorted = by_lines(&graph, &found);
            prop_assert_eq!(sorted.iter().collect::<BTreeSet<_>>(), found.iter().collect::<BTreeSet<_>>());
            for (at, &row) in sorted.iter().enumerate() {
                prop_assert!(sorted[..at].iter().all(|before| !graph.parents(row).contains(before)));
            }
        }
    }
}
