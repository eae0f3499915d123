//! Blocks of rows of tensors, and which of them are the same in two versions of a file.
//!
//! A row is what lies behind one place of the slowest axis. Of a tensor that is the same object in both versions nothing is read,
//! and of another one only the blocks that are asked for. A tensor whose rows do not lie one behind the other (a scalar, one with
//! strides) is one block.

use super::error::{Error, Result};
use crate::history::{self, FileContent, Repo, TensorAt};
use crate::id::RecipeId;
use crate::store::{Source, StoreError};
use crate::task::Task;
use std::collections::HashMap;
use std::num::NonZeroU64;

/// Bytes that are compared at once.
const WINDOW: u64 = 1 << 20;
/// Blocks of a tensor, at most, where it is not said how many rows one has.
const BLOCKS: u64 = 32;

/// Blocks of a file, at most: each is a line that somebody reads.
const BLOCKS_MAX: u64 = 1 << 20;

/// How many rows are a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// So many.
    Of(NonZeroU64),
    /// As many as make some tens of blocks of a tensor.
    Some,
}

/// Blocks of rows of the tensors of a file.
#[derive(Debug)]
pub(super) struct RowBlocks {
    blocks: Vec<Block>,
}

/// Some rows of a tensor.
#[derive(Debug)]
struct Block {
    tensor: String,
    /// None if the block is the whole tensor, which has no rows.
    rows: Option<std::ops::Range<u64>>,
    /// Where they lie in the tensor's bytes.
    start: u64,
    len: u64,
}

impl RowBlocks {
    /// Those of the tensors that are asked for.
    ///
    /// # Errors
    /// [`Error::TooManyBlocks`]; if the file cannot be read.
    pub(super) fn of(
        repo: &Repo,
        file: RecipeId,
        rows: Rows,
        is_asked: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let content = FileContent::of(repo, file)?;
        let mut blocks = Vec::new();
        for tensor in content.tensors().filter(|tensor| is_asked(&tensor.info.name)) {
            let name = &tensor.info.name;
            let has_strides =
                tensor.info.declared.as_deref().is_some_and(|declared| declared.strides.is_some());
            let count = match tensor.info.shape.first() {
                Some(&count)
                    if (1..=tensor.len).contains(&count) && tensor.len % count == 0 && !has_strides =>
                {
                    count
                }
                _ => {
                    blocks.push(Block { tensor: name.clone(), rows: None, start: 0, len: tensor.len });
                    continue;
                }
            };
            let row = tensor.len / count;
            let each = match rows {
                Rows::Of(each) => each.get(),
                Rows::Some => count.div_ceil(BLOCKS),
            };
            if count.div_ceil(each) + blocks.len() as u64 > BLOCKS_MAX {
                return Err(Error::TooManyBlocks { tensor: name.clone(), most: BLOCKS_MAX });
            }
            let mut from = 0;
            while from < count {
                let to = from.saturating_add(each).min(count);
                let (start, len) = (from * row, (to - from) * row);
                blocks.push(Block { tensor: name.clone(), rows: Some(from..to), start, len });
                from = to;
            }
        }
        Ok(Self { blocks })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// What a block is called.
    pub(super) fn name(&self, at: usize) -> String {
        let Block { tensor, rows, .. } = &self.blocks[at];
        match rows {
            Some(rows) => format!("{tensor} [{}..{}]", rows.start, rows.end),
            None => tensor.clone(),
        }
    }

    /// Takes out of `left` the blocks that are the same in another version.
    ///
    /// # Errors
    /// If one of them cannot be read, or the task is stopped.
    pub(super) fn pass(
        &self,
        repo: &Repo,
        (here, there): (RecipeId, RecipeId),
        left: &mut Vec<(usize, usize)>,
        task: &Task,
    ) -> Result<Vec<(usize, usize)>> {
        let (here, there) = (FileContent::of(repo, here)?, FileContent::of(repo, there)?);
        let by_name = |content: &FileContent| -> HashMap<String, usize> {
            content.tensors().enumerate().map(|(at, tensor)| (tensor.info.name.clone(), at)).collect()
        };
        let (names_here, names_there) = (by_name(&here), by_name(&there));
        let (all_here, all_there): (Vec<_>, Vec<_>) = (here.tensors().collect(), there.tensors().collect());
        let (mut passed, mut kept) = (Vec::new(), Vec::new());
        for (at, number) in std::mem::take(left) {
            task.check().map_err(history::Error::from)?;
            let block = &self.blocks[number];
            let one = names_here.get(&block.tensor).map(|&at| &all_here[at]);
            let other = names_there.get(&block.tensor).map(|&at| &all_there[at]);
            let is_same = match (one, other) {
                (Some(one), Some(other)) if one.info == other.info => {
                    one.key == other.key || same_bytes((&here, one), (&there, other), block)?
                }
                _ => false,
            };
            if is_same { &mut passed } else { &mut kept }.push((at, number));
        }
        *left = kept;
        Ok(passed)
    }
}

/// Whether a block has the same bytes in both tensors.
fn same_bytes(
    (here, one): (&FileContent, &TensorAt<'_>),
    (there, other): (&FileContent, &TensorAt<'_>),
    block: &Block,
) -> Result<bool> {
    let (one, other) = (here.bytes_of(one), there.bytes_of(other));
    let window = WINDOW.min(block.len) as usize;
    let (mut a, mut b) = (vec![0; window], vec![0; window]);
    let mut done = 0;
    while done < block.len {
        let len = WINDOW.min(block.len - done) as usize;
        for (source, bytes) in [(&one, &mut a), (&other, &mut b)] {
            source.read_exact_at(&mut bytes[..len], block.start + done).map_err(StoreError::from)?;
        }
        if a[..len] != b[..len] {
            return Ok(false);
        }
        done += len as u64;
    }
    Ok(true)
}
