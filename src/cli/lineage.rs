use super::context::Context;
use super::error::Result;
use super::output::{Colour, Output};
use super::quote;
use super::similar::{likeness_json, likeness_line, tensors};
use serde_json::{Value, json};

/// Tell which stored model a checkpoint derives from
///
/// Compares each tensor of the file with all stored tensors. Confidence is the part of the file that resembles the
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

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let wanted = tensors(context, &place, &args.target)?;
    let (models, nearest) = place.repo.lineage(&wanted)?;
    if out.json {
        let models: Vec<Value> = models
            .iter()
            .take(SHOWN)
            .map(|model| {
                json!({
                    "commit": model.commit.to_string(), "path": model.path.to_string(), "covered": model.covered,
                    "cosine": model.cosine, "confidence": model.covered * model.cosine,
                })
            })
            .collect();
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
        out.line(format_args!(
            "{confidence}  {}:{}  ({:.1} % of the bytes at a mean cosine of {:.3})",
            &model.commit.to_string()[..10],
            quote::path(&model.path),
            100.0 * model.covered,
            model.cosine,
        ))?;
    }
    if args.verbose {
        for (wanted, near) in wanted.iter().zip(&nearest) {
            let near = near.as_ref().map_or("nothing".to_owned(), |near| likeness_line(out, near));
            out.line(format_args!("  {:<40} {near}", wanted.tensor.name))?;
        }
    }
    Ok(())
}
