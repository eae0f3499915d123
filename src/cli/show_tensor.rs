//! What `show` says of tensors: shape, type, where it is stored, and what its numbers are like.

use super::context::Place;
use super::error::Result;
use super::json::{At, Key, Real};
use super::output::Output;
use super::quote;
use super::tensor_names::{TensorRow, no_tensor};
use crate::history::{DraftNode, FileContent, Node, TensorAt, TreePath, glob};
use crate::store::{Source, StoreError};
use crate::tensor::Statistics;
use crate::units::ByteSize;
use crate::workspace::{Located, View};
use schemars::JsonSchema;
use serde::Serialize;

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// Tensors with what their numbers are like.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TensorsShown {
    tensors: Vec<NumbersRow>,
}

/// A tensor with what its numbers are like.
#[derive(Debug, Serialize, JsonSchema)]
struct NumbersRow {
    #[serde(flatten)]
    tensor: TensorRow,
    #[serde(flatten)]
    at: At,
    /// Its object
    id: Key,
    /// Null for types that are no real numbers
    statistics: Option<Numbers>,
}

/// Statistics of numbers; of those that are finite, but for the counts.
#[derive(Debug, Serialize, JsonSchema)]
struct Numbers {
    /// 0 if none is finite
    min: Real,
    max: Real,
    mean: Real,
    /// The population's standard deviation
    std: Real,
    /// Numbers that are 0 or -0
    zeros: u64,
    nan: u64,
    infinite: u64,
}

impl From<Statistics> for Numbers {
    fn from(found: Statistics) -> Self {
        Self {
            min: Real(found.min),
            max: Real(found.max),
            mean: Real(found.mean),
            std: Real(found.standard_deviation()),
            zeros: found.zeros,
            nan: found.nan,
            infinite: found.infinite,
        }
    }
}

/// Shows the tensors of a file that a pattern means.
pub fn of_file(place: &Place, out: &Output, found: &Located, pattern: &str) -> Result<Option<TensorsShown>> {
    let content = found.view.content(&found.entry.node)?.expect("a file has content");
    match in_content(place, out, &found.path, &content, pattern)? {
        rows if rows.is_empty() => Err(no_tensor(pattern, &found.path)),
        rows => Ok(shown(rows)),
    }
}

/// What is told of tensors that were found; nothing if it was printed.
fn shown(rows: Vec<Option<NumbersRow>>) -> Option<TensorsShown> {
    rows.into_iter().collect::<Option<_>>().map(|tensors| TensorsShown { tensors })
}

/// Shows the tensors that a pattern means, in all files of a tree; `None` if it means none.
pub fn named(
    place: &Place,
    out: &Output,
    view: &View,
    pattern: &str,
) -> Result<Option<Option<TensorsShown>>> {
    let mut rows = Vec::new();
    for (path, entry) in view.all_below(view.tree().root)? {
        // Of a file that has none of them not a byte is read.
        let DraftNode::Known(Node::File { recipe, .. }) = entry.node else { continue };
        let recipe = place.repo.recipe(recipe)?;
        if !recipe.table().iter().any(|tensor| glob(pattern, &tensor.info.name)) {
            continue;
        }
        let content = view.content(&entry.node)?.expect("a file has content");
        rows.extend(in_content(place, out, &path, &content, pattern)?);
    }
    Ok((!rows.is_empty()).then(|| shown(rows)))
}

/// One row for each that was found; none for what was printed.
fn in_content(
    place: &Place,
    out: &Output,
    path: &TreePath,
    content: &FileContent,
    pattern: &str,
) -> Result<Vec<Option<NumbersRow>>> {
    let wanted = content.tensors().filter(|tensor| glob(pattern, &tensor.info.name));
    wanted.map(|tensor| one(place, out, path, content, &tensor)).collect()
}

fn one(
    place: &Place,
    out: &Output,
    path: &TreePath,
    content: &FileContent,
    tensor: &TensorAt<'_>,
) -> Result<Option<NumbersRow>> {
    let info = place.repo.store().info(tensor.key)?;
    let found = statistics(content, tensor)?;
    if out.json {
        return Ok(Some(NumbersRow {
            tensor: TensorRow::of(tensor.info, tensor.len, info.as_ref()),
            at: path.into(),
            id: tensor.key.into(),
            statistics: found.map(Numbers::from),
        }));
    }
    let (shape, dtype) = (tensor.info.shown_shape(), tensor.info.shown_dtype());
    out.line(format_args!("{} in {}", quote::text(&tensor.info.name), quote::path(path)))?;
    out.line(format_args!("  shape {shape:?}, {dtype}, {} bytes, id {}", tensor.len, tensor.key))?;
    match info {
        Some(info) => {
            out.line(format_args!("  {} stored, depth {}", ByteSize(info.stored_len), info.depth))?
        }
        None => out.line("  not stored yet")?,
    }
    if let Some(found) = found {
        out.line(format_args!(
            "  min {:.6e}, max {:.6e}, mean {:.6e}, std {:.6e}, {} zeros, {} NaN, {} infinite",
            found.min,
            found.max,
            found.mean,
            found.standard_deviation(),
            found.zeros,
            found.nan,
            found.infinite,
        ))?;
    }
    Ok(None)
}

/// What the numbers are like; `None` for types that are no real numbers.
fn statistics(content: &FileContent, tensor: &TensorAt<'_>) -> Result<Option<Statistics>> {
    let mut found = Statistics::default();
    let bytes = content.bytes_of(tensor);
    let mut buf = vec![0; PIECE.min(tensor.len) as usize];
    let mut offset = 0;
    while offset < tensor.len {
        let part = (tensor.len - offset).min(PIECE) as usize;
        bytes.read_exact_at(&mut buf[..part], offset).map_err(StoreError::from)?;
        if !found.add(tensor.info.dtype, &buf[..part]) {
            return Ok(None);
        }
        offset += part as u64;
    }
    Ok(Some(found))
}
