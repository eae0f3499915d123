use super::change::{change_json, words};
use super::context::{Context, Place};
use super::error::{CommandError, Result};
use super::log::{commit_json, print_commit};
use super::output::Output;
use super::quote;
use crate::history::{Entry, Error, Node, Tree, TreePath, split_target};
use crate::id::{CommitId, ObjectKey};
use crate::recipe::{Recipe, TensorInfo};
use crate::store::ObjectInfo;
use crate::tensor::Statistics;
use crate::units::ByteSize;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::sync::Arc;

/// Show a commit, a file, or a tensor
///
/// REF shows the commit and what it changed; REF:PATH a file with its tensors, or a directory; the name of a tensor
/// shows its numbers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF, REF:PATH, or the name of a tensor
    #[arg(value_name = "TARGET", default_value = "HEAD")]
    target: OsString,
    /// Look for the tensor in this commit
    #[arg(short, long, value_name = "REF", default_value = "HEAD")]
    commit: String,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let bytes = args.target.as_encoded_bytes();
    // The names of tensors may have colons too.
    if let (true, Ok(target)) = (bytes.contains(&b':'), split_target(bytes))
        && let Ok(commit) = place.repo.resolve(&target.revision, place.now())
    {
        let entry = place.repo.entry_at(commit, &target.revision, &target.path)?;
        let shown_as = quote::name(bytes);
        return show_entry(&place, out, &shown_as, &target.path, &entry);
    }
    let text = args.target.to_string_lossy();
    match place.repo.resolve(&text, place.now()) {
        Ok(commit) => show_commit(&place, out, commit),
        Err(error @ Error::UnknownRevision { .. }) => show_tensor(&place, out, &args, &text, error),
        Err(error) => Err(error.into()),
    }
}

fn show_commit(place: &Place, out: &Output, id: CommitId) -> Result<()> {
    let commit = place.repo.commit(id)?;
    let before = match commit.parents.first() {
        Some(&parent) => place.repo.commit(parent)?.tree,
        None => Tree::empty_id(),
    };
    let changes = place.repo.diff_trees(before, commit.tree)?;
    if out.json {
        let mut value = commit_json(id, &commit, &[]);
        value["changes"] = changes.iter().map(change_json).collect();
        return out.value(&value);
    }
    print_commit(out, id, &commit, &[])?;
    changes.iter().try_for_each(|change| {
        let (letter, _, colour) = words(change.kind);
        out.line(out.paint(colour, format_args!("{letter} {}", quote::path(&change.path))))
    })
}

fn show_entry(place: &Place, out: &Output, shown_as: &str, path: &TreePath, entry: &Entry) -> Result<()> {
    match &entry.node {
        Node::Dir(tree) => {
            let tree = place.repo.tree(*tree)?;
            let names = tree.entries().iter().map(|entry| &entry.name);
            match out.json {
                true => {
                    let names: Vec<String> = names.map(ToString::to_string).collect();
                    out.value(&at(path, json!({ "path": null, "type": "directory", "entries": names })))
                }
                false => names.into_iter().try_for_each(|name| out.line(quote::name(name.as_bytes()))),
            }
        }
        Node::Symlink(target) => match out.json {
            true => {
                let target = String::from_utf8_lossy(target);
                out.value(&at(path, json!({ "path": null, "type": "symlink", "target": target })))
            }
            false => out.line(format_args!("{shown_as} -> {}", quote::name(target))),
        },
        Node::File { recipe, len } => {
            let recipe_id = recipe;
            let recipe = place.repo.recipe(*recipe)?;
            let stored = place.repo.stored_len(&recipe)?;
            let tensors = tensors(place, &recipe)?;
            if out.json {
                let rows: Vec<Value> =
                    tensors.iter().map(|(tensor, info)| tensor_json(tensor, info)).collect();
                let facts = json!({
                    "path": null, "type": "file", "id": recipe_id.to_string(), "bytes": len,
                    "stored_bytes": stored, "blake3": hex(recipe.blake3()), "tensors": rows,
                });
                return out.value(&at(path, facts));
            }
            out.line(shown_as)?;
            out.line(format_args!("  {} ({len} bytes), {} stored", ByteSize(*len), ByteSize(stored)))?;
            out.line(format_args!("  BLAKE3 {}", hex(recipe.blake3())))?;
            tensors
                .iter()
                .try_for_each(|(tensor, info)| out.line(format_args!("  {}", tensor_line(tensor, info))))
        }
    }
}

/// What is told of a path.
fn at(path: &TreePath, mut facts: Value) -> Value {
    quote::put_path(&mut facts, path);
    facts
}

fn tensors(place: &Place, recipe: &Recipe) -> Result<Vec<(TensorInfo, ObjectInfo)>> {
    let mut rows = Vec::new();
    for (tensor, key, _) in recipe.tensors() {
        let info = place.repo.store().info(key)?;
        let info =
            info.ok_or_else(|| CommandError::new(format!("object {key} of `{}` is missing", tensor.name)))?;
        rows.push((tensor.clone(), info));
    }
    Ok(rows)
}

fn tensor_line(tensor: &TensorInfo, info: &ObjectInfo) -> String {
    let base = info.base.map(|base| format!(" on {}", short(base))).unwrap_or_default();
    format!(
        "{:<8} {:<20} {:>10} {:>10} stored, depth {}{base}  {}",
        tensor.dtype.name(),
        format!("{:?}", tensor.shape),
        ByteSize(info.len).to_string(),
        ByteSize(info.stored_len).to_string(),
        info.depth,
        tensor.name,
    )
}

fn tensor_json(tensor: &TensorInfo, info: &ObjectInfo) -> Value {
    json!({
        "name": tensor.name, "dtype": tensor.dtype.name(), "shape": tensor.shape, "bytes": info.len,
        "stored_bytes": info.stored_len, "base": info.base.map(|key| key.to_string()), "depth": info.depth,
    })
}

/// Shows the tensors of this name, in whatever file of the commit they are.
fn show_tensor(place: &Place, out: &Output, args: &Args, text: &str, unknown: Error) -> Result<()> {
    let commit = match place.repo.resolve(&args.commit, place.now()) {
        Ok(commit) => commit,
        Err(_) => return Err(unknown.into()),
    };
    let mut rows = Vec::new();
    for (path, recipe) in files(place, place.repo.commit(commit)?.tree)? {
        for (tensor, key, _) in recipe.tensors().filter(|(tensor, _, _)| tensor.name == text) {
            rows.push((path.clone(), tensor.clone(), key, statistics(place, &recipe, tensor)?));
        }
    }
    if rows.is_empty() {
        return Err(unknown.into());
    }
    let mut values = Vec::new();
    for (path, tensor, key, found) in &rows {
        let info = place.repo.store().info(*key)?;
        let info = info.ok_or_else(|| CommandError::new(format!("object {key} is missing")))?;
        if out.json {
            let mut value = tensor_json(tensor, &info);
            quote::put_path(&mut value, path);
            value["id"] = json!(key.to_string());
            value["statistics"] = found.map_or(Value::Null, |found| {
                json!({
                    "min": found.min, "max": found.max, "mean": found.mean, "std": found.standard_deviation(),
                    "zeros": found.zeros, "nan": found.nan, "infinite": found.infinite,
                })
            });
            values.push(value);
            continue;
        }
        out.line(format_args!("{} in {}", quote::text(&tensor.name), quote::path(path)))?;
        out.line(format_args!(
            "  shape {:?}, {}, {} bytes, id {key}",
            tensor.shape,
            tensor.dtype.name(),
            info.len
        ))?;
        out.line(format_args!("  {} stored, depth {}", ByteSize(info.stored_len), info.depth))?;
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
    }
    if out.json { out.value(&Value::Array(values)) } else { Ok(()) }
}

/// Every file below a tree.
pub fn files(place: &Place, tree: crate::id::TreeId) -> Result<Vec<(TreePath, Arc<Recipe>)>> {
    let mut found = Vec::new();
    for step in place.repo.walk_tree(tree) {
        let (path, entry) = step?;
        if let Node::File { recipe, .. } = entry.node {
            found.push((path, place.repo.recipe(recipe)?));
        }
    }
    Ok(found)
}

/// The statistics of a tensor in a file; `None` for types that are no real numbers.
fn statistics(place: &Place, recipe: &Recipe, tensor: &TensorInfo) -> Result<Option<Statistics>> {
    let mut found = Statistics::default();
    let mut buf = vec![0; 1 << 20];
    for (info, key, len) in recipe.tensors() {
        if info != tensor {
            continue;
        }
        let reader = place.repo.store().reader(key)?;
        let mut offset = 0;
        while offset < len {
            let part = (len - offset).min(buf.len() as u64) as usize;
            reader.read_at(offset, &mut buf[..part])?;
            if !found.add(tensor.dtype, &buf[..part]) {
                return Ok(None);
            }
            offset += part as u64;
        }
    }
    Ok(Some(found))
}

fn short(key: ObjectKey) -> String {
    key.to_string()[..8].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
