//! What `show` says of tensors: shape, type, where it is stored, and what its numbers are like.

use super::context::Place;
use super::error::Result;
use super::output::Output;
use super::quote;
use super::tensor_names::{no_tensor, tensor_json};
use crate::history::{DraftNode, FileContent, Node, TensorAt, TreePath, glob};
use crate::store::{Source, StoreError};
use crate::tensor::Statistics;
use crate::units::ByteSize;
use crate::workspace::{Located, View};
use serde_json::{Value, json};

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// Shows the tensors of a file that a pattern means.
pub fn of_file(place: &Place, out: &Output, found: &Located, pattern: &str) -> Result<Value> {
    let content = found.view.content(&found.entry.node)?.expect("a file has content");
    match in_content(place, out, &found.path, &content, pattern)? {
        rows if rows.is_empty() => Err(no_tensor(pattern, &found.path)),
        rows => Ok(json!({ "tensors": rows })),
    }
}

/// Shows the tensors that a pattern means, in all files of a tree; `None` if it means none.
pub fn named(place: &Place, out: &Output, view: &View, pattern: &str) -> Result<Option<Value>> {
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
    Ok((!rows.is_empty()).then(|| json!({ "tensors": rows })))
}

/// One row for each that was found; null for what was printed.
fn in_content(
    place: &Place,
    out: &Output,
    path: &TreePath,
    content: &FileContent,
    pattern: &str,
) -> Result<Vec<Value>> {
    let wanted = content.tensors().filter(|tensor| glob(pattern, &tensor.info.name));
    wanted.map(|tensor| one(place, out, path, content, &tensor)).collect()
}

fn one(
    place: &Place,
    out: &Output,
    path: &TreePath,
    content: &FileContent,
    tensor: &TensorAt<'_>,
) -> Result<Value> {
    let info = place.repo.store().info(tensor.key)?;
    let found = statistics(content, tensor)?;
    if out.json {
        let mut value = tensor_json(tensor.info, tensor.len, info.as_ref());
        quote::put_path(&mut value, path);
        value["id"] = json!(tensor.key.to_string());
        value["statistics"] = found.map_or(Value::Null, |found| {
            json!({
                "min": found.min, "max": found.max, "mean": found.mean, "std": found.standard_deviation(),
                "zeros": found.zeros, "nan": found.nan, "infinite": found.infinite,
            })
        });
        return Ok(value);
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
    Ok(Value::Null)
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
