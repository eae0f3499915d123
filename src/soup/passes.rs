//! Going over all elements of the tensors that face each other, by all threads, for what depends on all of them.

use super::blocks::Pieces;
use super::error::{Error, Result};
use super::facing::{Facing, Reading};
use super::sums::{Blocks, Pairs};
use crate::formula::Strip;
use crate::task::Task;
use crate::threads::Threads;

/// Who goes over elements, and for what.
#[derive(Clone, Copy)]
pub struct Passes<'p> {
    /// The threads.
    pub threads: &'p Threads,
    /// What they are asked for.
    pub task: &'p Task,
    /// Whether numbers that are not finite count as any other.
    pub allow_nonfinite: bool,
}

impl Passes<'_> {
    /// So many sums over all elements: `add` adds those of a strip, which is a block.
    pub(super) fn sums(
        &self,
        facing: &Facing<'_>,
        count: usize,
        add: impl Fn(&Strip<'_>, &mut [f64]) + Sync,
    ) -> Result<Vec<f64>> {
        let pieces = Pieces::of(facing);
        let of_piece = |reading: &mut Reading, index: u64| -> Result<Vec<Vec<f64>>> {
            self.task.check()?;
            reading.read(facing, &pieces.range(index))?;
            let sums = pieces.strips(index).map(|strip| {
                let mut sums = vec![0.0; count];
                add(&reading.strip(facing, &strip), &mut sums);
                sums
            });
            Ok(sums.collect())
        };
        let pairs = self.threads.in_order(pieces.count(), Reading::default, of_piece, |all| {
            let mut pairs = Pairs::default();
            for sums in all {
                sums?.into_iter().for_each(|sums| pairs.push(sums));
            }
            Ok::<_, Error>(pairs)
        })?;
        self.finite(facing, pairs.finish(count))
    }

    /// The same of elements that are known when their whole row is: `make` gives them for the rows of a strip, as many for
    /// each sum as there are in it.
    pub(super) fn sums_of_rows(
        &self,
        facing: &Facing<'_>,
        count: usize,
        make: impl Fn(&Strip<'_>) -> Vec<Vec<f64>> + Sync,
    ) -> Result<Vec<f64>> {
        let pieces = Pieces::of_rows(facing);
        let of_piece = |reading: &mut Reading, index: u64| -> Result<Vec<Vec<f64>>> {
            self.task.check()?;
            let range = pieces.range(index);
            reading.read(facing, &range)?;
            Ok(make(&reading.strip(facing, &range)))
        };
        let blocks = self.threads.in_order(pieces.count(), Reading::default, of_piece, |all| {
            let mut blocks = Blocks::new(count);
            for elements in all {
                blocks.extend(&elements?);
            }
            Ok::<_, Error>(blocks)
        })?;
        self.finite(facing, blocks.finish())
    }

    /// What `look` finds in each piece, in the order of the pieces.
    pub(super) fn each_piece<T: Send>(
        &self,
        facing: &Facing<'_>,
        look: impl Fn(&mut dyn FnMut(&mut dyn FnMut(&Strip<'_>))) -> T + Sync,
        mut take: impl FnMut(T),
    ) -> Result<()> {
        let pieces = Pieces::of(facing);
        let of_piece = |reading: &mut Reading, index: u64| -> Result<T> {
            self.task.check()?;
            reading.read(facing, &pieces.range(index))?;
            Ok(look(&mut |see| {
                pieces.strips(index).for_each(|strip| see(&reading.strip(facing, &strip)));
            }))
        };
        self.threads.in_order(pieces.count(), Reading::default, of_piece, |all| {
            for found in all {
                take(found?);
            }
            Ok(())
        })
    }

    /// Has `see` look at the strips of one piece.
    pub(super) fn in_piece(
        &self,
        facing: &Facing<'_>,
        index: u64,
        mut see: impl FnMut(&Strip<'_>),
    ) -> Result<()> {
        let (pieces, mut reading) = (Pieces::of(facing), Reading::default());
        reading.read(facing, &pieces.range(index))?;
        pieces.strips(index).for_each(|strip| see(&reading.strip(facing, &strip)));
        Ok(())
    }

    fn finite(&self, facing: &Facing<'_>, sums: Vec<f64>) -> Result<Vec<f64>> {
        match self.allow_nonfinite || sums.iter().all(|sum| sum.is_finite()) {
            true => Ok(sums),
            false => Err(Error::NotFinite { tensor: facing.name.clone() }),
        }
    }
}
