use super::chosen::ChosenArgs;
use super::commit::key_values;
use super::context::{Context, Place, say_heard};
use super::error::{CommandError, Result};
use super::json::Id;
use super::output::{Colour, Output, warn};
use super::quote;
use crate::history::{Tag, TagName, glob};
use crate::workspace::{TagRequest, is_of_its_own};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// List, create or delete tags
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make a tag of this name; with -l only those that it fits, with `*` and `?`
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The commit to name, if not HEAD
    #[arg(value_name = "REF", requires = "name", conflicts_with = "commit")]
    start: Option<String>,
    /// The same
    #[arg(short, long, value_name = "REF")]
    commit: Option<String>,
    /// More names, for -d, or patterns, for -l
    #[arg(value_name = "NAME", hide = true)]
    more: Vec<String>,
    /// What it is
    #[arg(short = 'm', long, value_name = "TEXT", visible_alias = "message")]
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
    /// Delete tags. Behind the name of a tag that is made, -d is its description
    #[arg(short = 'd', visible_short_alias = 'D', long, value_name = "NAME", num_args = 1..)]
    delete: Vec<String>,
    #[command(flatten)]
    chosen: ChosenArgs,
    /// At most so many lines of each description, 1 if it is not said
    #[arg(short = 'n', value_name = "COUNT", num_args = 0..=1, default_missing_value = "1")]
    lines: Option<usize>,
    /// `name`, or `date` for the newest first; git's `refname` and `-creatordate` are the same
    #[arg(long, value_name = "KEY", default_value = "name", allow_hyphen_values = true, value_parser = ["name", "refname", "date", "-date", "-creatordate", "creatordate"])]
    sort: String,
    /// List tags, which is also what no argument does
    #[arg(short, long)]
    list: bool,
}

impl Args {
    /// Whether it only lists.
    pub fn only_looks(&self) -> bool {
        let chooses = self.chosen.is_said() || self.lines.is_some();
        (self.list || chooses || self.name.is_none()) && self.delete.is_empty()
    }

    /// The commit that a new tag names, as it was said.
    fn revision(&self) -> &str {
        self.start.as_deref().or(self.commit.as_deref()).unwrap_or("HEAD")
    }
}

/// Tags by their names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tags {
    tags: Vec<TagRow>,
}

/// A tag.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TagRow {
    tag: String,
    commit: Id,
    /// May be empty
    description: String,
    /// What was measured: finite numbers, as they were written
    metrics: BTreeMap<String, String>,
}

/// A tag that was made, or moved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tagged {
    #[serde(flatten)]
    tag: TagRow,
    /// What it named before
    was: Option<Id>,
}

/// Tags that were deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedTags {
    tags: Vec<DeletedTag>,
}

/// A tag that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedTag {
    deleted: String,
    /// What it named; null if that could not be told
    commit: Option<Id>,
}

pub fn run(context: &Context, out: &Output, mut args: Args) -> Result<()> {
    let place = context.open()?;
    // `tag v1 -d TEXT`, as the original has it.
    if let (Some(_), [text], None) = (&args.name, args.delete.as_slice(), &args.description) {
        args.description = Some(text.clone());
        args.delete.clear();
    }
    if !args.delete.is_empty() {
        if let Some(name) = &args.name {
            return Err(CommandError::usage(format!(
                "`{name}` is to be made or others to be deleted, not both"
            ))
            .hint("`coral tag -d NAME...` deletes tags, `-m TEXT` describes one that is made"));
        }
        // All are there, or none goes.
        for name in &args.delete {
            if let Ok(None) = place.repo.refs().tag(&TagName::new(name.as_str())?) {
                delete(&place, out, name)?;
            }
        }
        let rows = args.delete.iter().map(|name| delete(&place, out, name)).collect::<Result<Vec<_>>>()?;
        return match (out.json, rows.as_slice()) {
            (false, _) => Ok(()),
            (true, [only]) => out.value(only),
            (true, _) => out.value(&DeletedTags { tags: rows }),
        };
    }
    if let (None, Some(text)) = (&args.name, &args.description) {
        let plain = CommandError::usage("a description is for a tag that is made: NAME is missing");
        return Err(plain.hint(format!("`coral tag -D {}` deletes the tag `{text}`", quote::word(text))));
    }
    match &args.name {
        Some(_) if args.only_looks() => list(&place, out, &args),
        Some(_) if !args.more.is_empty() => {
            Err(CommandError::usage("one tag is made at once").hint("`coral tag NAME [REF]`"))
        }
        Some(name) => create(&place, out, name, &args),
        None => list(&place, out, &args),
    }
}

fn delete(place: &Place, out: &Output, name: &str) -> Result<DeletedTag> {
    let deleted = place.naming().delete_tag(&TagName::new(name)?)?;
    warn(&deleted.warnings);
    say_heard(&deleted.heard);
    if !out.json {
        let was = deleted.was.map(|commit| commit.to_string()).unwrap_or_default();
        out.line(format_args!("deleted tag {name} (was {was:.10})"))?;
    }
    Ok(DeletedTag { deleted: name.to_owned(), commit: deleted.was.map(Id::from) })
}

/// What was measured: numbers, each once.
fn metrics(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let metrics = key_values(pairs)?;
    let odd = metrics.iter().find(|(_, value)| !value.trim().parse::<f64>().is_ok_and(f64::is_finite));
    match odd {
        Some((key, value)) => {
            Err(CommandError::usage(format!("`{value}` is no finite number, and `{key}` is a metric"))
                .hint("`-m TEXT` describes a tag in words, `coral commit -d KEY=VALUE` takes any fact"))
        }
        None => Ok(metrics),
    }
}

fn create(place: &Place, out: &Output, name: &str, args: &Args) -> Result<()> {
    let request = TagRequest {
        name: TagName::new(name)?,
        revision: args.revision().to_owned(),
        description: args.description.clone().unwrap_or_default(),
        metrics: metrics(&args.metrics)?,
        replace: args.force,
    };
    let made = place.naming().tag(&request)?;
    warn(&made.warnings);
    say_heard(&made.heard);
    place.heed_names([name]);
    if out.json {
        return out.value(&Tagged { tag: row(&request.name, &made.tag), was: made.was.map(Id::from) });
    }
    let was = made.was.map(|id| format!(" (was {})", &id.to_string()[..10])).unwrap_or_default();
    out.line(format_args!("tag {} names {}{was}", request.name, &made.tag.commit.to_string()[..10]))
}

fn list(place: &Place, out: &Output, args: &Args) -> Result<()> {
    let mut tags = place.repo.refs().tags()?;
    // What was put aside and what was noted have lists of their own.
    tags.retain(|(name, _)| !is_of_its_own(name));
    let patterns: Vec<&String> = args.name.iter().chain(&args.start).chain(&args.more).collect();
    if !patterns.is_empty() {
        tags.retain(|(name, _)| patterns.iter().any(|pattern| glob(pattern, name.as_str())));
    }
    let mut wanted = Vec::new();
    for (name, tag) in tags {
        if args.chosen.takes(place, tag.commit)? {
            wanted.push((name, tag));
        }
    }
    let mut tags = wanted;
    if !matches!(args.sort.as_str(), "name" | "refname") {
        let mut dated = Vec::new();
        for (name, tag) in tags {
            dated.push((place.repo.commit(tag.commit)?.committer.time, name, tag));
        }
        dated.sort_by_key(|(time, ..)| *time);
        if args.sort != "creatordate" {
            dated.reverse();
        }
        tags = dated.into_iter().map(|(_, name, tag)| (name, tag)).collect();
    }
    if out.json {
        return out.value(&Tags { tags: tags.iter().map(|(name, tag)| row(name, tag)).collect() });
    }
    for (name, tag) in &tags {
        let metrics: String = tag.metrics.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        let lines: Vec<&str> = match args.lines {
            Some(most) => tag.description.lines().take(most).collect(),
            None => vec![&tag.description],
        };
        let description = lines.join("\n");
        let description = if description.is_empty() { String::new() } else { format!(" {description}") };
        let name = out.paint(Colour::Cyan, name);
        out.line(format_args!("{name} {}{description}{metrics}", &tag.commit.to_string()[..10]))?;
    }
    Ok(())
}

fn row(name: &TagName, tag: &Tag) -> TagRow {
    TagRow {
        tag: name.to_string(),
        commit: tag.commit.into(),
        description: tag.description.clone(),
        metrics: tag.metrics.clone(),
    }
}
