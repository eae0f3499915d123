use super::context::Context;
use super::error::Result;
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use super::similar::{likeness_json, likeness_line, tensors};
use crate::history::{Lineage, Resemblance, TreePath};
use crate::id::CommitId;
use serde_json::{Value, json};

/// Tell which stored model a checkpoint derives from
///
/// Compares each tensor of the file with all stored tensors; the same one elsewhere comes before any that resembles it, and of models that
/// are as near the nearest in history. Confidence is the part of the file that resembles the
/// model, times the mean cosine.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, or REF:PATH
    #[arg(value_name = "TARGET")]
    target: String,
    /// Show the nearest stored tensor of each tensor as well
    #[arg(short, long)]
    verbose: bool,
}

/// Models shown.
const SHOWN: usize = 5;
/// Further files shown that have the same content.
const ALSO: usize = 3;

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    let (wanted, asked) = tensors(context, &place, &args.target, &task)?;
    let (models, nearest) = Resemblance::of(&place.repo).to(asked).lineage(&wanted, &task)?;
    if out.json {
        let models: Vec<Value> = models.iter().take(SHOWN).map(model_json).collect();
        let tensors: Vec<Value> = wanted
            .iter()
            .zip(&nearest)
            .map(|(wanted, near)| {
                json!({ "tensor": wanted.tensor.name, "nearest": near.as_ref().map(likeness_json) })
            })
            .collect();
        return out.value(&json!({ "models": models, "tensors": tensors }));
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

fn model_json(model: &Lineage) -> Value {
    let place = |(commit, path): &(CommitId, TreePath)| {
        let mut place = json!({ "commit": commit.to_string(), "path": null });
        quote::put_path(&mut place, path);
        place
    };
    let (first, others) = model.places.split_first().expect("a model is somewhere");
    let mut value = place(first);
    value["covered"] = model.covered.into();
    value["cosine"] = model.cosine.into();
    value["confidence"] = (model.covered * model.cosine).into();
    value["also"] = others.iter().map(place).collect();
    value["more"] = model.more.into();
    value
}
