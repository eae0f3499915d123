use super::context::Context;
use super::error::{CommandError, Result};
use super::json::{At, Real};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use crate::compare::{Category, Likeness, TensorKind, Wanted};
use crate::history::{DraftEntry, TreePath};
use crate::tensor::Difference;
use crate::workspace::View;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Tell how alike the weights of two commits are
///
/// Compares every tensor of the first with the one of its name in the second, also those that did not change: the cosine, the
/// smaller norm in parts of the larger (magnitude), the root of the mean squared difference (RMSE), the largest
/// difference. A tensor is identical if its bytes are equal; else nearly identical from a cosine of 0.9999 on, its change minor from 0.99,
/// moderate from 0.9, else major.
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

/// How alike the weights of two commits are.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Compared {
    /// As it was named
    old: String,
    new: String,
    /// Tensors that both have, of one shape
    tensors: usize,
    /// Numbers of these
    elements: u64,
    /// The cosine of all their numbers together, from -1 to 1
    overall: Real,
    /// The mean, the least and the greatest cosine of a tensor
    mean: Real,
    min: Real,
    max: Real,
    /// The root of the mean squared difference of all their numbers
    rmse: Real,
    categories: Categories,
    /// How many tensors there are that were not compared, by what they are
    others: BTreeMap<&'static str, u64>,
    /// Each tensor that was compared
    layers: Vec<LayerRow>,
}

/// How many tensors are how much alike.
#[derive(Debug, Serialize, JsonSchema)]
struct Categories {
    /// Of the same bytes
    identical: usize,
    /// Of a cosine of at least 0.9999
    nearly_identical: usize,
    /// Of a cosine of at least 0.99
    minor: usize,
    /// Of a cosine of at least 0.9
    moderate: usize,
    major: usize,
}

/// A tensor on both sides.
#[derive(Debug, Serialize, JsonSchema)]
struct LayerRow {
    #[serde(flatten)]
    at: At,
    /// Its name
    tensor: String,
    #[schemars(extend("enum" = Category::ALL.map(Category::name)))]
    category: &'static str,
    /// From -1 to 1
    cosine: Real,
    /// The smaller norm in parts of the larger one, from 0 to 1
    magnitude: Real,
    /// The root of the mean squared difference
    rmse: Real,
    /// The largest absolute difference
    max: Real,
    /// Numbers in it
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
        let categories = Categories {
            identical: count(Category::Identical),
            nearly_identical: count(Category::Near),
            minor: count(Category::Minor),
            moderate: count(Category::Moderate),
            major: count(Category::Major),
        };
        return out.value(&Compared {
            old: args.old.clone(),
            new: args.new.clone(),
            tensors: rows.len(),
            elements,
            overall: Real(whole.cosine),
            mean: Real(mean),
            min: Real(least),
            max: Real(most),
            rmse: Real(whole.rmse),
            categories,
            others: others.clone(),
            layers: rows.iter().map(LayerRow::from).collect(),
        });
    }
    out.line(format_args!("{} and {}: {} tensors, {elements} numbers", args.old, args.new, rows.len()))?;
    out.line(format_args!(
        "  similarity overall {:.6}, mean {mean:.6}, min {least:.6}, max {most:.6}",
        whole.cosine
    ))?;
    out.line(format_args!("  RMSE {:.3e}, largest difference {:.3e}", whole.rmse, whole.max))?;
    for category in Category::ALL {
        out.line(format_args!("  {:<16} {:>6}", category.name(), count(category)))?;
    }
    for (word, count) in others {
        out.line(format_args!("  {word:<16} {count:>6}"))?;
    }
    if args.verbose {
        rows.iter().try_for_each(|row| out.line(row_text(out, row)))?;
    }
    Ok(())
}

fn row_text(out: &Output, row: &Row) -> String {
    let Likeness { cosine, magnitude, rmse, max } = row.likeness;
    let colour = match row.category {
        Category::Identical | Category::Near | Category::Minor => Colour::Green,
        Category::Moderate => Colour::Yellow,
        Category::Major => Colour::Red,
    };
    let category = out.paint(colour, format_args!("{:<16}", row.category.name()));
    let (name, path) = (quote::text(&row.name), quote::path(&row.path));
    format!(
        "  {category} cos {cosine:.6}  magnitude {magnitude:.6}  RMSE {rmse:.3e}  max {max:.3e}  {name} in {path}"
    )
}

impl From<&Row> for LayerRow {
    fn from(row: &Row) -> Self {
        let Likeness { cosine, magnitude, rmse, max } = row.likeness;
        Self {
            at: (&row.path).into(),
            tensor: row.name.clone(),
            category: row.category.name(),
            cosine: Real(cosine),
            magnitude: Real(magnitude),
            rmse: Real(rmse),
            max: Real(max),
            elements: row.elements,
        }
    }
}
