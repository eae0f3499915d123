use super::context::Context;
use super::error::Result;
use super::json::{At, Id, Real};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use super::similar::{LikenessRow, likeness_line, tensors};
use crate::history::{Lineage, Resemblance, TreePath};
use crate::id::CommitId;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;

/// Tell which stored model a checkpoint derives from
///
/// Compares each tensor of the file with all stored tensors; the same one elsewhere comes before any that resembles it, and of models that
/// are as near the nearest in history. Confidence is the part of the file that resembles the
/// model, times the mean cosine.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, or REF:PATH
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// Show the nearest stored tensor of each tensor as well
    #[arg(short, long)]
    verbose: bool,
}

/// Models shown.
const SHOWN: usize = 5;
/// Further files shown that have the same content.
const ALSO: usize = 3;

/// What a checkpoint may derive from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Derived {
    /// At most five, the surest first
    models: Vec<ModelRow>,
    tensors: Vec<TensorNearest>,
}

/// A stored model.
#[derive(Debug, Serialize, JsonSchema)]
struct ModelRow {
    #[serde(flatten)]
    place: PlaceRow,
    /// The part of the bytes that resembles it, from 0 to 1
    covered: Real,
    /// The mean cosine of these, from -1 to 1
    cosine: Real,
    /// Both multiplied
    confidence: Real,
    /// Where the same content is as well
    also: Vec<PlaceRow>,
    /// Further places of it that are not named
    more: usize,
}

/// A file of a commit.
#[derive(Debug, Serialize, JsonSchema)]
struct PlaceRow {
    commit: Id,
    #[serde(flatten)]
    at: At,
}

/// A tensor with the nearest one that is stored.
#[derive(Debug, Serialize, JsonSchema)]
struct TensorNearest {
    /// Its name
    tensor: String,
    /// Null if nothing resembles it
    nearest: Option<LikenessRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    let (wanted, asked) = tensors(context, &place, &args.target, &task)?;
    let (models, nearest) = Resemblance::of(&place.repo).to(asked).lineage(&wanted, &task)?;
    if out.json {
        let models = models.iter().take(SHOWN).map(ModelRow::from).collect();
        let tensors = wanted.iter().zip(&nearest).map(|(wanted, near)| TensorNearest {
            tensor: wanted.tensor.name.clone(),
            nearest: near.as_ref().map(LikenessRow::from),
        });
        return out.value(&Derived { models, tensors: tensors.collect() });
    }
    if models.is_empty() {
        out.line("no stored model resembles it")?;
    }
    for model in models.iter().take(SHOWN) {
        let confidence =
            out.paint(Colour::Green, format_args!("{:5.1} %", 100.0 * model.covered * model.cosine));
        let mut places = model.places.iter().map(place_text);
        out.line(format_args!(
            "{confidence}  {}  ({:.1} % of the bytes at a mean cosine of {:.3})",
            places.next().unwrap_or_default(),
            100.0 * model.covered,
            model.cosine,
        ))?;
        places.by_ref().take(ALSO).try_for_each(|place| out.line(format_args!("     also  {place}")))?;
        say_more(out, "     also  ", places.len() + model.more, "files")?;
    }
    say_more(out, "", models.len().saturating_sub(SHOWN), "models that resemble it less")?;
    if args.verbose {
        for (wanted, near) in wanted.iter().zip(&nearest) {
            let near = near.as_ref().map_or("nothing".to_owned(), |near| likeness_line(out, near));
            out.line(format_args!("  {:<40} {near}", wanted.tensor.name))?;
        }
    }
    Ok(())
}

fn place_text((commit, path): &(CommitId, TreePath)) -> String {
    format!("{}:{}", &commit.to_string()[..10], quote::path(path))
}

fn say_more(out: &Output, before: &str, count: usize, what: &str) -> Result<()> {
    match count {
        0 => Ok(()),
        count => out.line(format_args!("{before}... and {count} more {what}")),
    }
}

impl From<&Lineage> for ModelRow {
    fn from(model: &Lineage) -> Self {
        let (first, others) = model.places.split_first().expect("a model is somewhere");
        Self {
            place: first.into(),
            covered: Real(model.covered),
            cosine: Real(model.cosine),
            confidence: Real(model.covered * model.cosine),
            also: others.iter().map(PlaceRow::from).collect(),
            more: model.more,
        }
    }
}

impl From<&(CommitId, TreePath)> for PlaceRow {
    fn from((commit, path): &(CommitId, TreePath)) -> Self {
        Self { commit: (*commit).into(), at: path.into() }
    }
}
