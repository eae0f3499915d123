//! Which contexts share a table: neighbours whose symbols are so much alike that two tables cost more than they save.

use super::symbol::alphabet;
use crate::codec::entropy::log2;
use crate::codec::isa::per_isa;
use crate::codec::word::Word;

/// Neighbouring contexts that share a table.
#[derive(Clone)]
pub(super) struct Group {
    /// How many contexts.
    pub(super) contexts: usize,
    /// How often they have each symbol.
    pub(super) counts: [u32; 256],
    /// What symbols and table cost.
    bits: f64,
}

/// About what a table costs: in bits, and for each symbol that occurs (measured on 16-bit fine-tunes).
const TABLE_BITS: f64 = 10.0;
const SYMBOL_BITS: f64 = 4.0;

/// Joins neighbours as long as that saves bits, those first that save most. The counts of each context, in order.
pub(super) fn merge<W: Word>(contexts: Vec<[u32; 256]>) -> Vec<Group> {
    let single = |counts: [u32; 256]| Group { contexts: 1, bits: bits::<W>(&counts), counts };
    let mut groups: Vec<Group> = contexts.into_iter().map(single).collect();
    let saved =
        |groups: &[Group], at: usize| groups[at].bits + groups[at + 1].bits - join::<W>(groups, at).bits;
    let mut gains: Vec<f64> = (1..groups.len()).map(|end| saved(&groups, end - 1)).collect();
    loop {
        let best = (0..gains.len()).max_by(|&one, &other| gains[one].total_cmp(&gains[other]));
        let Some(at) = best.filter(|&at| gains[at] > 0.0) else { return groups };
        groups[at] = join::<W>(&groups, at);
        groups.remove(at + 1);
        gains.remove(at);
        for at in at.saturating_sub(1)..gains.len().min(at + 1) {
            gains[at] = saved(&groups, at);
        }
    }
}

/// A group and the one after it.
fn join<W: Word>(groups: &[Group], at: usize) -> Group {
    let (one, other) = (&groups[at], &groups[at + 1]);
    let mut counts = one.counts;
    counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
    Group { contexts: one.contexts + other.contexts, bits: bits::<W>(&counts), counts }
}

per_isa! {
    /// What coding these counts costs, with their table.
    fn bits<W: Word>(counts: &[u32; 256]) -> f64 = bits_body::<W>
}

/// Partial sums, so that every instruction set adds in the same order.
const SUMS: usize = 8;

#[inline(always)]
fn bits_body<W: Word>(counts: &[u32; 256]) -> f64 {
    let (mut weighted, mut present, mut total) = ([0.0; SUMS], 0u32, 0u32);
    for counts in counts[..alphabet::<W>()].as_chunks::<SUMS>().0 {
        for (sum, &count) in weighted.iter_mut().zip(counts) {
            *sum += f64::from(count) * log2(f64::from(count));
            present += u32::from(count > 0);
            total += count;
        }
    }
    let total = f64::from(total);
    total * log2(total) - weighted.iter().sum::<f64>() + TABLE_BITS + SYMBOL_BITS * f64::from(present)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(peak: usize, total: u32) -> [u32; 256] {
        let mut counts = [0; 256];
        (0..6).for_each(|i| counts[peak + 2 * i] = total >> (i + 1));
        counts
    }

    #[test]
    fn contexts_that_look_alike_share_a_table_and_others_do_not() {
        let contexts = vec![spread(0, 900), spread(0, 1000), spread(20, 1000), [0; 256], spread(20, 1010)];
        let groups = merge::<u16>(contexts);
        let shape: Vec<usize> = groups.iter().map(|group| group.contexts).collect();
        assert!(shape == [2, 3], "{shape:?}");
        assert_eq!(groups[0].counts[0], 950);
        assert!(merge::<u16>(Vec::new()).is_empty());
    }
}
