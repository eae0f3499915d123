//! Blocks of quantised elements that are what numbers become which are stored: found by likeness, proved on a sample.
//!
//! A guess: what it says is compared with the bytes before anything is stored by it.

use super::error::Result;
use super::repository::Repo;
use crate::formula::{Formula, NumberBuffers, Operand};
use crate::id::ObjectKey;
use crate::store::{ObjectInfo, Slice, Source, SourceError, Store, StoreError};
use crate::tensor::{Block, Dtype, QUANTISED_ELEMENTS, is_real};

/// Tensors that are looked at: models of one family are all alike.
const CANDIDATES: usize = 4;
/// Places that are sampled, spread evenly, and blocks at each.
const PLACES: u64 = 8;
const BLOCKS: u64 = 32;

/// The formula of blocks, if at least half of those that are looked at come of one stored tensor.
///
/// # Errors
/// If the blocks cannot be read.
pub(super) fn formula(repo: &Repo, blocks: &Slice<'_>, kind: Block) -> Result<Option<Formula>> {
    let Some(len) = kind.quantised_len().filter(|len| blocks.len().is_multiple_of(*len as u64)) else {
        return Ok(None);
    };
    let numbers = Dequantised { blocks, kind, len };
    let signature = Store::signature_of(Dtype::F32, &numbers)?;
    let Some(signature) = signature else { return Ok(None) };
    let near = repo.store().similar(Dtype::F32, numbers.len(), &signature, CANDIDATES)?;
    let formulas = near.iter().filter_map(|near| {
        let ObjectInfo { dtype, .. } = repo.store().info(near.item).ok().flatten()?;
        let of = Some(Operand { dtype, key: near.item }).filter(|operand| is_real(operand.dtype))?;
        Formula::quantised(kind, of, numbers.elements())
    });
    let mut best = None;
    for formula in formulas {
        // What cannot be read is no candidate.
        let Ok(equal) = equal_blocks(repo, blocks, &formula, formula.operands()[0].key) else { continue };
        if best.as_ref().is_none_or(|(most, _)| equal > *most) {
            best = Some((equal, formula));
        }
    }
    Ok(best.filter(|(equal, _)| *equal >= 0.5).map(|(_, formula)| formula))
}

/// The share of blocks that come out as they are, of some of them.
fn equal_blocks(repo: &Repo, blocks: &Slice<'_>, formula: &Formula, key: ObjectKey) -> Result<f64> {
    let (elements, len) = formula.unit();
    let width = Formula::bytes_of(formula.operands()[0].dtype, elements);
    let count = blocks.len() / len;
    let reader = repo.store().reader(key)?;
    let (mut equal, mut all) = (0, 0);
    let mut made = NumberBuffers::default();
    for place in 0..PLACES.min(count) {
        let from = place * count / PLACES.min(count);
        let some = BLOCKS.min(count - from);
        let mut operand = vec![0; (some * width) as usize];
        reader.read_at(from * width, &mut operand)?;
        let (mut there, mut here) = (vec![0; (some * len) as usize], vec![0; (some * len) as usize]);
        blocks.read_exact_at(&mut there, from * len).map_err(StoreError::from)?;
        formula.fill(from * len, &operand, &mut made, &mut here);
        let pairs = there.chunks_exact(len as usize).zip(here.chunks_exact(len as usize));
        equal += pairs.filter(|(there, here)| there == here).count();
        all += some as usize;
    }
    Ok(equal as f64 / all.max(1) as f64)
}

/// The numbers that blocks stand for, in `f32`.
struct Dequantised<'a> {
    blocks: &'a Slice<'a>,
    kind: Block,
    /// Bytes of a block.
    len: usize,
}

impl Dequantised<'_> {
    fn elements(&self) -> u64 {
        self.blocks.len() / self.len as u64 * QUANTISED_ELEMENTS as u64
    }
}

impl Source for Dequantised<'_> {
    fn len(&self) -> u64 {
        Formula::bytes_of(Dtype::F32, self.elements())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        let unit = Formula::bytes_of(Dtype::F32, QUANTISED_ELEMENTS as u64);
        let (first, end) = (offset / unit, (offset + buf.len() as u64).div_ceil(unit));
        let mut blocks = vec![0; (end - first) as usize * self.len];
        self.blocks.read_exact_at(&mut blocks, first * self.len as u64)?;
        let mut numbers = vec![0.0; (end - first) as usize * QUANTISED_ELEMENTS];
        // It has a rule, and blocks are whole.
        self.kind.dequantise(&blocks, &mut numbers);
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        buf.copy_from_slice(&bytes[(offset - first * unit) as usize..][..buf.len()]);
        Ok(())
    }
}
