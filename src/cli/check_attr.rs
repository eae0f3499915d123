use super::context::Context;
use super::error::Result;
use super::json::At;
use super::output::{Output, note};
use super::quote;
use crate::codec::Level;
use crate::merge::MergeWord;
use crate::worktree::PathAttributes;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Tell what .coralattributes says of paths
///
/// A line has a pattern and words: `*.safetensors level=max base=main:`, `logs/* -delta`. `level` is fast, default or max; `-delta`
/// stores a file for itself and not as a difference; `base=REF:PATH` names the file that it derives from, `base=REF:` the one at the
/// same path. `merge` is ours, theirs, union (lines of texts), average (tensors), binary or fail: what is done where both sides of a merge
/// changed it, whatever `-s` says; `-merge` is binary, and `merge` alone takes back what another line says. A file holds for its folder and what is below. Ends with 1 if nothing is said of any of the paths.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Paths in the worktree, which need not be there
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
}

/// What is said of paths.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SaidOf {
    attributes: Vec<AttributesRow>,
}

/// What is said of a path; what is not said is not there.
#[derive(Debug, Serialize, JsonSchema)]
struct AttributesRow {
    #[serde(flatten)]
    at: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["fast", "default", "max"]))]
    level: Option<&'static str>,
    /// `false` if it is stored for itself, and not as a difference
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<String>,
    /// The file that it derives from, as it was written
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// How what both sides of a merge changed is merged
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["usual", "ours", "theirs", "union", "average", "binary", "fail"]))]
    merge: Option<&'static str>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let worktree = place.worktree(&branch)?;
    let snapshot = worktree.snapshot(false)?;
    let attributes = PathAttributes::of(&worktree, &snapshot.tree);
    let (mut rows, mut is_said) = (Vec::new(), false);
    for path in place.paths().tree_paths(&args.paths)? {
        let said = attributes.at(&path)?;
        is_said = is_said || !said.is_nothing();
        let shown = quote::path(&path);
        let row = AttributesRow {
            at: (&path).into(),
            level: said.level.map(name),
            delta: said.delta.map(|delta| delta.to_string()),
            base: said.base.clone(),
            merge: said.merge.map(MergeWord::name),
        };
        for word in &said.unknown {
            note(format!(
                "`{}` means nothing, and is said of `{shown}`{}",
                quote::text(word),
                there_is(word)
            ));
        }
        if said.base.is_some() && attributes.base_of(&said, &path)?.is_none() {
            note(format!("there is no file that `{shown}` could derive from"));
        }
        if !out.json {
            let words = [
                ("level", row.level),
                ("delta", row.delta.as_deref()),
                ("base", row.base.as_deref()),
                ("merge", row.merge),
            ];
            for (name, value) in words.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                out.line(format_args!("{shown}: {name}: {}", quote::text(value)))?;
            }
        }
        rows.push(row);
    }
    if out.json {
        out.value(&SaidOf { attributes: rows })?;
    }
    Ok(if is_said { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What a word could have said.
fn there_is(word: &str) -> String {
    let names = match word.split_once('=').map_or(word, |(name, _)| name).trim_start_matches('-') {
        "merge" => MergeWord::NAMED.map(MergeWord::name).join(", "),
        "level" => [Level::Fast, Level::Default, Level::Max].map(name).join(", "),
        "delta" => return ": it is `delta` or `-delta`".into(),
        "base" => return ": it is `base=REF:` or `base=REF:PATH`".into(),
        _ => return ": there are level, delta, base and merge".into(),
    };
    format!(": there are {names}")
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Fast => "fast",
        Level::Default => "default",
        Level::Max => "max",
    }
}
