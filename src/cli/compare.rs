use super::context::Context;
use super::error::{CommandError, Result};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use crate::compare::{Category, Likeness, TensorKind, Wanted};
use crate::history::{DraftEntry, TreePath};
use crate::tensor::Difference;
use crate::workspace::View;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tell how alike the weights of two commits are
///
/// Compares every tensor of the first with the one of its name in the second, also those that did not change: the cosine, the
/// smaller norm in parts of the larger (magnitude), the root of the mean squared difference (RMSE), the largest
/// difference. A tensor is identical if its bytes are equal; else its change is minor from a cosine of 0.99 on, moderate from 0.9, else
/// major.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF, or REF:PATH for one file
    #[arg(value_name = "REF")]
    old: String,
    /// The other one; the worktree's `:PATH` too
    #[arg(value_name = "REF", default_value = "HEAD")]
    new: String,
    /// Each tensor as well
    #[arg(short, long)]
    verbose: bool,
    /// Only these tensors
    #[arg(short = 't', long = "tensor", value_name = "NAME")]
    tensors: Vec<String>,
}

/// A tensor on both sides.
struct Row {
    path: TreePath,
    name: String,
    category: Category,
    likeness: Likeness,
    elements: u64,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    let (old, new) = (place.views().locate(&args.old)?, place.views().locate(&args.new)?);
    let (before, after) =
        (files(&old.view, &old.path, &old.entry)?, files(&new.view, &new.path, &new.entry)?);
    let alone = before.len() == 1 && after.len() == 1;
    let names: Vec<String> = args.tensors.iter().chain(&old.tensor).chain(&new.tensor).cloned().collect();
    let wanted = Wanted { names: &names, numbers: true, same: true };
    let (mut rows, mut others, mut whole) = (Vec::new(), BTreeMap::new(), Difference::default());
    for (path, entry) in &before {
        // Two files that are named face each other whatever their names.
        let other = if alone { after.values().next() } else { after.get(path) };
        let diff = place.views().diff_file((&old.view, Some(entry)), (&new.view, other), wanted, &task)?;
        for tensor in diff.tensors.tensors {
            match (&tensor.difference, tensor.kind) {
                (Some(found), TensorKind::Changed | TensorKind::Reshaped | TensorKind::Same) => {
                    whole.merge(found);
                    let (likeness, elements) = (Likeness::from(found), found.elements);
                    let category = Category::of(tensor.kind == TensorKind::Same, likeness.cosine);
                    rows.push(Row { path: path.clone(), name: tensor.name, category, likeness, elements });
                }
                (_, kind) => *others.entry(super::diff::kind_word(kind)).or_insert(0u64) += 1,
            }
        }
    }
    if rows.is_empty() {
        return Err(CommandError::new("there are no two tensors of one name and shape to compare")
            .hint("`coral diff` shows what differs"));
    }
    report(out, &args, &rows, &others, &Likeness::from(&whole))
}

/// The files below an entry, by their paths.
fn files(view: &View, path: &TreePath, entry: &DraftEntry) -> Result<BTreeMap<TreePath, DraftEntry>> {
    match entry.node {
        crate::history::DraftNode::Dir(dir) => {
            Ok(view.all_below(dir)?.into_iter().filter(|(_, entry)| entry.node.is_file()).collect())
        }
        _ => Ok([(path.clone(), entry.clone())].into()),
    }
}

fn report(
    out: &Output,
    args: &Args,
    rows: &[Row],
    others: &BTreeMap<&'static str, u64>,
    whole: &Likeness,
) -> Result<()> {
    let cosines = || rows.iter().map(|row| row.likeness.cosine);
    let elements: u64 = rows.iter().map(|row| row.elements).sum();
    let (least, most) = (cosines().fold(1.0, f64::min), cosines().fold(-1.0, f64::max));
    let mean = cosines().sum::<f64>() / rows.len() as f64;
    let count = |category| rows.iter().filter(|row| row.category == category).count();
    if out.json {
        let categories: serde_json::Map<String, Value> =
            Category::ALL.iter().map(|of| (of.name().to_owned(), json!(count(*of)))).collect();
        return out.value(&json!({
            "old": args.old, "new": args.new, "tensors": rows.len(), "elements": elements,
            "overall": whole.cosine, "mean": mean, "min": least, "max": most, "rmse": whole.rmse,
            "categories": categories, "others": others,
            "layers": rows.iter().map(row_json).collect::<Vec<_>>(),
        }));
    }
    out.line(format_args!("{} and {}: {} tensors, {elements} numbers", args.old, args.new, rows.len()))?;
    out.line(format_args!(
        "  similarity overall {:.6}, mean {mean:.6}, min {least:.6}, max {most:.6}",
        whole.cosine
    ))?;
    out.line(format_args!("  RMSE {:.3e}, largest difference {:.3e}", whole.rmse, whole.max))?;
    for category in Category::ALL {
        out.line(format_args!("  {:<10} {:>6}", category.name(), count(category)))?;
    }
    for (word, count) in others {
        out.line(format_args!("  {word:<10} {count:>6}"))?;
    }
    if args.verbose {
        rows.iter().try_for_each(|row| out.line(row_text(out, row)))?;
    }
    Ok(())
}

fn row_text(out: &Output, row: &Row) -> String {
    let Likeness { cosine, magnitude, rmse, max } = row.likeness;
    let colour = match row.category {
        Category::Identical | Category::Minor => Colour::Green,
        Category::Moderate => Colour::Yellow,
        Category::Major => Colour::Red,
    };
    let category = out.paint(colour, format_args!("{:<10}", row.category.name()));
    let (name, path) = (quote::text(&row.name), quote::path(&row.path));
    format!(
        "  {category} cos {cosine:.6}  magnitude {magnitude:.6}  RMSE {rmse:.3e}  max {max:.3e}  {name} in {path}"
    )
}

fn row_json(row: &Row) -> Value {
    let Likeness { cosine, magnitude, rmse, max } = row.likeness;
    let mut value = json!({
        "path": null, "tensor": row.name, "category": row.category.name(), "cosine": cosine,
        "magnitude": magnitude, "rmse": rmse, "max": max, "elements": row.elements,
    });
    quote::put_path(&mut value, &row.path);
    value
}
