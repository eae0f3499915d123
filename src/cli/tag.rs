use super::commit::key_values;
use super::context::{Context, Place, say_heard};
use super::error::{CommandError, Result};
use super::output::{Colour, Output, warn};
use crate::history::{Tag, TagName};
use crate::workspace::{TagRequest, is_of_its_own};
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
    #[arg(short, long, value_name = "TEXT", visible_alias = "message", visible_short_alias = 'm')]
    description: Option<String>,
    /// Accepted for git's sake: every tag can have a description
    #[arg(short, long)]
    annotate: bool,
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
        let deleted = place.naming().delete_tag(&TagName::new(name)?)?;
        warn(&deleted.warnings);
        say_heard(&deleted.heard);
        let was = deleted.was.map(|commit| commit.to_string()).unwrap_or_default();
        return match out.json {
            true => out.value(&json!({ "deleted": name, "commit": was })),
            false => out.line(format_args!("deleted tag {name} (was {:.10})", was)),
        };
    }
    if let (None, Some(text)) = (&args.name, &args.description) {
        let plain = CommandError::usage("a description is for a tag that is made: NAME is missing");
        return Err(plain.hint(format!("`coral tag -D {text}` deletes the tag `{text}`")));
    }
    match &args.name {
        Some(name) if !args.list => create(&place, out, name, &args),
        _ => list(&place, out),
    }
}

fn create(place: &Place, out: &Output, name: &str, args: &Args) -> Result<()> {
    let request = TagRequest {
        name: TagName::new(name)?,
        revision: args.commit.clone(),
        description: args.description.clone().unwrap_or_default(),
        metrics: key_values(&args.metrics)?,
        replace: args.force,
    };
    let made = place.naming().tag(&request)?;
    warn(&made.warnings);
    say_heard(&made.heard);
    if out.json {
        let mut value = row(&request.name, &made.tag);
        value["was"] = json!(made.was.map(|id| id.to_string()));
        return out.value(&value);
    }
    let was = made.was.map(|id| format!(" (was {})", &id.to_string()[..10])).unwrap_or_default();
    out.line(format_args!("tag {} names {}{was}", request.name, &made.tag.commit.to_string()[..10]))
}

fn list(place: &Place, out: &Output) -> Result<()> {
    let mut tags = place.repo.refs().tags()?;
    // What was put aside and what was noted have lists of their own.
    tags.retain(|(name, _)| !is_of_its_own(name));
    if out.json {
        let rows: Vec<Value> = tags.iter().map(|(name, tag)| row(name, tag)).collect();
        return out.value(&json!({ "tags": rows }));
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
