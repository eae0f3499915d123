use super::commit_text::{CommitRow, names_of_commits};
use super::context::Context;
use super::error::{CommandError, Result};
use super::output::{Colour, Output, note};
use crate::history::Commit;
use crate::id::CommitId;
use crate::workspace::LogRequest;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// List the commits with the best values of a metric
///
/// The values are what commits and tags say by that name (`coral commit -d loss=0.3`, `coral tag --metric loss=0.3`). What is no
/// finite number is left out, and said.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The metric
    #[arg(short, long, value_name = "NAME")]
    metric: String,
    /// Which is better: `min` or `max`
    #[arg(long, value_name = "MODE", default_value = "min", value_parser = ["min", "max"])]
    mode: String,
    /// At most so many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 1)]
    max_count: usize,
    /// Where to look: revisions or ranges; all branches and tags if none is given
    #[arg(value_name = "REVISION")]
    revisions: Vec<String>,
}

/// A commit with its value.
struct Row {
    value: f64,
    id: CommitId,
    commit: Arc<Commit>,
}

/// The commits with the best values.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// The name of the metric
    metric: String,
    #[schemars(extend("enum" = ["min", "max"]))]
    mode: String,
    /// The best first
    best: Vec<BestRow>,
    /// Commits whose value is no finite number
    not_numbers: usize,
}

/// A commit with its value.
#[derive(Debug, Serialize, JsonSchema)]
struct BestRow {
    #[serde(flatten)]
    commit: CommitRow,
    /// Finite
    value: f64,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let request = LogRequest {
        branches: args.revisions.is_empty(),
        tags: args.revisions.is_empty(),
        revisions: args.revisions.clone(),
        ..LogRequest::default()
    };
    let tags = place.repo.refs().tags()?;
    let (mut rows, mut odd) = (Vec::new(), 0usize);
    for step in place.log(request)? {
        let (id, commit) = step?;
        let mut of_tags = tags
            .iter()
            .filter(|(_, tag)| tag.commit == id)
            .filter_map(|(_, tag)| tag.metrics.get(&args.metric));
        let Some(said) = commit.metadata.get(&args.metric).or(of_tags.next_back()) else { continue };
        match said.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => rows.push(Row { value, id, commit: Arc::clone(&commit) }),
            Ok(_) | Err(_) => odd += 1,
        }
    }
    if rows.is_empty() {
        return Err(CommandError::new(format!("no commit has a number called `{}`", args.metric))
            .hint("`coral commit -d NAME=VALUE` and `coral tag --metric NAME=VALUE` say one"));
    }
    // Of equal ones the newest, which comes first.
    let is_max = args.mode == "max";
    rows.sort_by(|a, b| if is_max { b.value.total_cmp(&a.value) } else { a.value.total_cmp(&b.value) });
    rows.truncate(args.max_count);
    let names = names_of_commits(&place)?;
    let names = |id: &CommitId| names.get(id).map(Vec::as_slice).unwrap_or_default();
    if out.json {
        let best = rows.iter().map(|Row { value, id, commit }| BestRow {
            commit: CommitRow::of(*id, commit, names(id)),
            value: *value,
        });
        let (best, Args { metric, mode, .. }) = (best.collect(), args);
        return out.value(&Found { metric, mode, best, not_numbers: odd });
    }
    for Row { value, id, commit } in &rows {
        let names = names(id).join(", ");
        let names = if names.is_empty() { String::new() } else { format!(" ({names})") };
        let id = out.paint(Colour::Yellow, &id.to_string()[..10]);
        out.line(format_args!("{value} {id}{names} {}", commit.subject()))?;
    }
    if odd > 0 {
        note(format!("{odd} commit(s) say something that is no finite number"));
    }
    Ok(())
}
