use super::commit::key_values;
use super::context::{Context, Place};
use super::error::Result;
use super::output::{Colour, Output};
use crate::repo::{Tag, TagName};
use serde_json::{Value, json};

/// List, create or delete tags
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make a tag of this name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The commit to name
    #[arg(short, long, value_name = "REF", default_value = "HEAD")]
    commit: String,
    /// What it is
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    description: String,
    /// What was measured on it
    #[arg(long = "metric", value_name = "KEY=VALUE")]
    metrics: Vec<String>,
    /// Move the tag if it exists
    #[arg(short, long)]
    force: bool,
    /// Delete the tag of this name
    #[arg(short = 'D', long, value_name = "NAME", conflicts_with = "name")]
    delete: Option<String>,
    /// List tags, which is also what no argument does
    #[arg(short, long)]
    list: bool,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    if let Some(name) = &args.delete {
        let tag = place.repo.refs().delete_tag(&TagName::new(name)?)?;
        place.announce();
        return match out.json {
            true => out.value(&json!({ "deleted": name, "commit": tag.commit.to_string() })),
            false => out.line(format_args!("deleted tag {name} (was {})", &tag.commit.to_string()[..10])),
        };
    }
    match &args.name {
        Some(name) if !args.list => create(&place, out, name, &args),
        _ => list(&place, out),
    }
}

fn create(place: &Place, out: &Output, name: &str, args: &Args) -> Result<()> {
    let name = TagName::new(name)?;
    let commit = place.repo.resolve(&args.commit, place.now())?;
    let tag = Tag { commit, description: args.description.clone(), metrics: key_values(&args.metrics)? };
    place.repo.refs().set_tag(&name, &tag, place.repo.store().durable(commit)?, args.force)?;
    place.announce();
    match out.json {
        true => out.value(&row(&name, &tag)),
        false => out.line(format_args!("tag {name} names {}", &commit.to_string()[..10])),
    }
}

fn list(place: &Place, out: &Output) -> Result<()> {
    let tags = place.repo.refs().tags()?;
    if out.json {
        return out.value(&tags.iter().map(|(name, tag)| row(name, tag)).collect::<Value>());
    }
    for (name, tag) in &tags {
        let metrics: String = tag.metrics.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        let description =
            if tag.description.is_empty() { String::new() } else { format!(" {}", tag.description) };
        let name = out.paint(Colour::Cyan, name);
        out.line(format_args!("{name} {}{description}{metrics}", &tag.commit.to_string()[..10]))?;
    }
    Ok(())
}

fn row(name: &TagName, tag: &Tag) -> Value {
    json!({
        "tag": name.as_str(),
        "commit": tag.commit.to_string(),
        "description": tag.description,
        "metrics": tag.metrics,
    })
}
