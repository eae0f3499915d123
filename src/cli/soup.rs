use super::context::{Context, say_heard};
use super::error::{CommandError, Result};
use super::json::{Id, PathOnly, Real, plain};
use super::known::known;
use super::merged::{self, check_kind, give_up};
use super::output::{Output, note, warn};
use super::progress::task;
use super::quote;
use crate::history::{BranchName, TreePath};
use crate::soup::{
    BadValues, Base, Consensus, Method, Parameter, Recipe, Report, Rescale, Scope, Values, read_recipe,
};
use crate::tensor::Dtype;
use crate::workspace::{Best, GREEDY, SoupRequest, Souped};
use crate::worktree::{Coding, MergingKind};
use clap::builder::StringValueParser;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Make several models one, as a commit of the current branch
///
/// Each tensor is computed from those of its name in all models: see docs/merge.md for what each method does, to the last bit.
/// The result has the files, the layout and the types of the first model. Tensors that are equal everywhere are not computed,
/// and what cannot be mixed is refused by its name. A branch gets a soup only when its worktree has no changes.
///
/// Methods: linear (the weighted mean), slerp, nuslerp, task-arithmetic, ties, dare-linear, dare-ties, della, della-linear,
/// model-stock, ema (the oldest first), passthrough, and greedy: the mean of the best by a metric that was recorded.
///
/// A value is a number, a gradient over the layers such as [0,0.5,1], or PATTERN=VALUE for tensors whose name has PATTERN in it
/// (with `*` or `?`: is like it); the first that fits counts.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The models: branches, tags or commits
    #[arg(value_name = "REF", required_unless_present_any = ["recipe", "go_on", "abort"])]
    models: Vec<String>,
    /// How they are made one
    #[arg(long, value_name = "NAME", required_unless_present_any = ["recipe", "go_on", "abort"], conflicts_with = "recipe", hide_possible_values = true, value_parser = known(methods, StringValueParser::new()))]
    method: Option<String>,
    /// Read what to do from a file as mergekit's users write it; its models are branches, tags or commits
    #[arg(long, value_name = "FILE", conflicts_with_all = ["models", "weights", "base", "t", "alpha", "density", "lambda", "epsilon", "decay", "scale", "normalize", "rows"])]
    recipe: Option<PathBuf>,
    /// How much of each model, as PATTERN=W,W too
    #[arg(long, visible_alias = "weight", value_name = "W,W", allow_hyphen_values = true)]
    weights: Vec<String>,
    /// What differences are counted from, if not what the models come from
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// How far from the first to the second: 0 is the first, 1 the second
    #[arg(short, long, value_name = "VALUE", value_parser = share, allow_hyphen_values = true)]
    t: Vec<Values>,
    /// The same by another name
    #[arg(long, value_name = "VALUE", value_parser = share, allow_hyphen_values = true, conflicts_with = "t")]
    alpha: Vec<Values>,
    /// The part of each difference that is kept, from 0 to 1
    #[arg(long, value_name = "VALUE", value_parser = share, allow_hyphen_values = true)]
    density: Vec<Values>,
    /// What the whole difference is multiplied with
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    lambda: Vec<Values>,
    /// How far the probabilities of small and large differences are apart from the density (della)
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    epsilon: Vec<Values>,
    /// How much of what was there stays with each model (ema)
    #[arg(long, value_name = "VALUE", value_parser = share, allow_hyphen_values = true)]
    decay: Vec<Values>,
    /// What the model is multiplied with (passthrough)
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    scale: Vec<Values>,
    /// Whether the sum is divided by the weights: `true` or `false`
    #[arg(long, value_name = "BOOL")]
    normalize: Option<bool>,
    /// Each row of a matrix by itself (nuslerp, model-stock)
    #[arg(long)]
    rows: bool,
    /// How a random part of a difference is scaled up: `l1`, to the length that it had, `inverse`, by the density, or `none`; l1
    /// if nothing is said (dare, della)
    #[arg(long, value_name = "HOW", value_parser = ["l1", "inverse", "none"])]
    rescale: Option<String>,
    /// How the sign of an element is elected: by the `sum`, if nothing is said, or by the `count` of models that have it (ties,
    /// dare-ties, della)
    #[arg(long, value_name = "HOW", value_parser = ["sum", "count"])]
    consensus: Option<String>,
    /// Keep what is to lie between 0 and 1 there (model-stock)
    #[arg(long)]
    clamp: bool,
    /// What random numbers come from; 0 if nothing is said (dare, della)
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The type of the result, if not that of the first model: f32, f16, bf16 or f64
    #[arg(long, value_name = "TYPE", value_parser = parse_dtype)]
    out_dtype: Option<Dtype>,
    /// Tensors that are taken from the first model as they are
    #[arg(long, value_name = "PATTERN")]
    copy: Vec<String>,
    /// Let numbers that are not finite, or do not fit into the type of the result, be what they come to
    #[arg(long)]
    allow_nonfinite: bool,
    /// The models are the last N commits of REF, the oldest first
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// The metric that says which models are the best (greedy)
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Which is better: `min`, if nothing is said, or `max` (greedy)
    #[arg(long, value_name = "MODE", value_parser = ["min", "max"])]
    mode: Option<String>,
    /// How many of the best; 2 if nothing is said (greedy)
    #[arg(long, value_name = "N")]
    take: Option<usize>,
    /// What the commit says
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Only tell what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Commit one that was stopped before its commit
    #[arg(long = "continue", conflicts_with_all = ["models", "method", "recipe", "abort"])]
    go_on: bool,
    /// Give up one that was stopped before its commit: the worktree is as in the last commit
    #[arg(long, conflicts_with_all = ["models", "method", "recipe"])]
    abort: bool,
    /// The branch, if not the current one
    #[arg(short = 'B', long, value_name = "NAME")]
    branch: Option<String>,
    /// Leave large files as they were written, to be made small by a mount or by `coral drain`. So it is where a mount is at work
    #[arg(long)]
    no_pack: bool,
}

/// The longest recipe that is read, in bytes.
const RECIPE_MAX: u64 = 1 << 20;

/// Tensors that are named one by one.
const NAMED: usize = 5;

fn methods() -> Vec<&'static str> {
    Method::ALL.iter().map(|method| method.name()).chain([GREEDY]).collect()
}

/// Values that are parts of a whole.
fn share(text: &str) -> std::result::Result<Values, String> {
    let values: Values = text.parse().map_err(|error: BadValues| error.to_string())?;
    let beyond = values.points().find(|point| !(0.0..=1.0).contains(point));
    match beyond {
        Some(point) => Err(format!("{point} is not from 0 to 1")),
        None => Ok(values),
    }
}

fn parse_dtype(name: &str) -> std::result::Result<Dtype, String> {
    match name {
        "f16" | "float16" => Ok(Dtype::F16),
        "bf16" | "bfloat16" => Ok(Dtype::Bf16),
        "f32" | "float32" => Ok(Dtype::F32),
        "f64" | "float64" => Ok(Dtype::F64),
        _ => Err("types are f16, bf16, f32 and f64".into()),
    }
}

/// A model that was made of others.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    branch: String,
    /// Null if it was not to be made, or would change nothing
    commit: Option<Id>,
    /// Paths that it changed
    changed: usize,
    /// Whether it was only to be told
    dry_run: bool,
    /// How it is made: see docs/merge.md
    method: &'static str,
    /// Of the method, as the commit says them
    parameters: String,
    /// Of what is drawn at random
    seed: u64,
    /// In the order in which they were named; of `greedy` those that were taken
    models: Vec<ModelRow>,
    /// What differences are counted from, where the method does
    base: Option<Id>,
    files: Vec<FileRow>,
    /// Files that differ between the commits: the first one's are taken
    differing: Vec<PathOnly>,
    /// Files that belong to a run, and are not in the commit
    left_out: Vec<PathOnly>,
    /// Files of the model that was there before, which are gone
    removed: Vec<PathOnly>,
}

/// What it is made of.
#[derive(Debug, Serialize, JsonSchema)]
struct ModelRow {
    /// As it was named
    name: String,
    commit: Id,
}

/// What became of the tensors of a file.
#[derive(Debug, Serialize, JsonSchema)]
struct FileRow {
    path: String,
    /// Tensors that were computed
    mixed: usize,
    /// Tensors that are the same in all models
    same: usize,
    /// Tensors that were taken from the first model because that was wanted
    copied: Vec<String>,
    /// Tensors whose arc was a line, as their models point the same way
    lines: Vec<String>,
    /// Tensors that lie beyond their models
    beyond: Vec<BeyondRow>,
    /// Tensors that the models have in several types
    several_types: Vec<String>,
    /// Numbers that are not finite
    not_finite: u64,
}

/// A tensor that lies beyond its models.
#[derive(Debug, Serialize, JsonSchema)]
struct BeyondRow {
    /// Its name
    tensor: String,
    /// How far: 0 and 1 are the models
    t: Real,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let branch = place.branch(args.branch.as_deref())?;
    let task = task()?;
    if args.go_on || args.abort {
        let worktree = place.worktree(&branch)?;
        check_kind(&worktree, MergingKind::Soup.words())?;
        return match args.abort {
            true => give_up(&place, out, &worktree),
            false => merged::report(out, &branch, place.merges().go_on(&worktree, args.message, &task)?),
        };
    }
    let mut request = request(context, &args)?;
    place.settle();
    let worktree = place.worktree(&branch)?;
    if !args.dry_run {
        // A mount makes small what it finds afterwards.
        let later = place.begin_commit() || args.no_pack;
        request.coding = if later { Coding::Later } else { Coding::Now };
    }
    let souped = place.soups().make(&worktree, &request, &task)?;
    say_heard(&souped.heard);
    report(out, &branch, &request, &souped).map(|()| ExitCode::SUCCESS)
}

fn request(context: &Context, args: &Args) -> Result<SoupRequest> {
    let mut request = SoupRequest {
        models: args.models.clone(),
        base: args.base.clone(),
        recipe: Recipe::of(Method::Linear),
        recipe_text: None,
        best: None,
        last: args.last,
        message: args.message.clone(),
        dry_run: args.dry_run,
        coding: Coding::Now,
    };
    match (&args.recipe, args.method.as_deref()) {
        (Some(path), _) => read_file(context, path, &mut request)?,
        (None, Some(GREEDY)) => {
            let metric = args.metric.clone();
            let metric = metric.ok_or_else(|| CommandError::usage("greedy needs `--metric NAME`"))?;
            let take = args.take.unwrap_or(2);
            if take == 0 {
                return Err(CommandError::usage("of no model nothing is made"));
            }
            request.best = Some(Best { metric, is_max: args.mode.as_deref() == Some("max"), take });
        }
        (None, Some(name)) => {
            let unknown = || {
                let plain = CommandError::usage(format!("no method is called `{}`", quote::text(name)));
                if matches!(name, "average" | "avg" | "mean" | "weighted" | "uniform") {
                    return plain.hint("`--method linear` is the mean, with `--weights` a weighted one");
                }
                plain.hint(format!("methods are {}", methods().join(", ")))
            };
            request.recipe = Recipe::of(Method::from_name(name).ok_or_else(unknown)?);
        }
        (None, None) => return Err(CommandError::usage("no method is named")),
    }
    check_flags(args, &request)?;
    say_parameters(args, &mut request)?;
    if request.base.is_some() && request.recipe.method.base() == Base::None {
        return Err(CommandError::usage(format!("{} has no base", request.recipe.method.name())));
    }
    Ok(request)
}

fn read_file(context: &Context, path: &std::path::Path, request: &mut SoupRequest) -> Result<()> {
    let at = context.absolute(path);
    let cannot = |why: String| {
        CommandError::new(format!(
            "cannot read the recipe `{}`: {why}",
            quote::text(&path.display().to_string())
        ))
    };
    let metadata = std::fs::metadata(&at).map_err(|error| cannot(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > RECIPE_MAX {
        return Err(cannot("it is no file of at most 1 MiB".into()));
    }
    let text = std::fs::read_to_string(&at).map_err(|error| cannot(error.to_string()))?;
    let named = read_recipe(&text).map_err(|error| cannot(error.to_string()))?;
    request.models = named.models;
    request.base = named.base;
    request.recipe = named.recipe;
    request.recipe_text = Some(text);
    Ok(())
}

/// Refuses what the method does not go by: who says it expects another result.
fn check_flags(args: &Args, request: &SoupRequest) -> Result<()> {
    let method = request.recipe.method;
    let is_greedy = request.best.is_some();
    let goes_by = |parameter| !is_greedy && method.parameters().contains(&parameter);
    let has_rows = goes_by(Parameter::FilterWise) || goes_by(Parameter::Flatten);
    let is_stock = method == Method::ModelStock;
    let said = [
        ("--weights", !args.weights.is_empty(), goes_by(Parameter::Weight)),
        ("-t", !args.t.is_empty(), goes_by(Parameter::T)),
        ("--alpha", !args.alpha.is_empty(), goes_by(Parameter::T)),
        ("--density", !args.density.is_empty(), goes_by(Parameter::Density)),
        ("--lambda", !args.lambda.is_empty(), goes_by(Parameter::Lambda)),
        ("--epsilon", !args.epsilon.is_empty(), goes_by(Parameter::Epsilon)),
        ("--decay", !args.decay.is_empty(), goes_by(Parameter::Decay)),
        ("--scale", !args.scale.is_empty(), goes_by(Parameter::Scale)),
        ("--normalize", args.normalize.is_some(), goes_by(Parameter::Normalize)),
        ("--rows", args.rows, has_rows),
        ("--rescale", args.rescale.is_some(), method.is_random()),
        ("--consensus", args.consensus.is_some(), method.elects_signs()),
        ("--seed", args.seed.is_some(), method.is_random()),
        ("--clamp", args.clamp, is_stock),
        ("--metric", args.metric.is_some(), is_greedy),
        ("--mode", args.mode.is_some(), is_greedy),
        ("--take", args.take.is_some(), is_greedy),
    ];
    let idle: Vec<&str> =
        said.iter().filter(|(_, said, used)| *said && !used).map(|(flag, ..)| *flag).collect();
    match idle.as_slice() {
        [] => Ok(()),
        idle => {
            let name = request.method();
            Err(CommandError::usage(format!("{name} does not go by {}", idle.join(", ")))
                .hint("docs/merge.md lists what each method goes by"))
        }
    }
}

/// What is said on the command line goes before what a recipe says.
fn say_parameters(args: &Args, request: &mut SoupRequest) -> Result<()> {
    let recipe = &mut request.recipe;
    let mut said = Scope::new();
    for (parameter, values) in [
        (Parameter::T, if args.alpha.is_empty() { &args.t } else { &args.alpha }),
        (Parameter::Density, &args.density),
        (Parameter::Lambda, &args.lambda),
        (Parameter::Epsilon, &args.epsilon),
        (Parameter::Decay, &args.decay),
        (Parameter::Scale, &args.scale),
    ] {
        if let Some(values) = values.iter().cloned().reduce(Values::and) {
            said.insert(parameter, values);
        }
    }
    if let Some(normalize) = args.normalize {
        said.insert(Parameter::Normalize, Values::number(f64::from(u8::from(normalize))));
    }
    if args.rows {
        said.insert(Parameter::FilterWise, Values::number(1.0));
        said.insert(Parameter::Flatten, Values::number(0.0));
    }
    recipe.parameters.all.extend(said);
    for weights in &args.weights {
        // The last commits of one revision are as many models.
        say_weights(weights, args.last.unwrap_or(args.models.len()), recipe)?;
    }
    recipe.seed = args.seed.unwrap_or_default();
    recipe.clamp = args.clamp;
    recipe.allow_nonfinite = args.allow_nonfinite;
    recipe.dtype = args.out_dtype.or(recipe.dtype);
    recipe.copy = args.copy.clone();
    if args.consensus.as_deref() == Some("count") {
        recipe.consensus = Consensus::Count;
    }
    recipe.rescale = match args.rescale.as_deref() {
        Some("inverse") => Rescale::Inverse,
        Some("none") => Rescale::None,
        Some(_) => Rescale::L1,
        None => recipe.rescale,
    };
    Ok(())
}

/// `0.5,0.3` or `PATTERN=[0,1],0.3`: one value for each model.
fn say_weights(said: &str, models: usize, recipe: &mut Recipe) -> Result<()> {
    let (pattern, list) = match said.rsplit_once('=') {
        Some((pattern, list)) => (format!("{pattern}="), list),
        None => (String::new(), said),
    };
    let mut values = Vec::new();
    let (mut depth, mut from) = (0usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                values.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    values.push(&list[from..]);
    if values.len() != models {
        let (values, models) = (values.len(), models);
        return Err(CommandError::usage(format!("{values} weights are given, and {models} models")));
    }
    recipe.parameters.each.resize(models, Scope::new());
    for (own, value) in recipe.parameters.each.iter_mut().zip(values) {
        let value: Values = format!("{pattern}{value}").parse().map_err(CommandError::usage)?;
        let before = own.remove(&Parameter::Weight).unwrap_or_default();
        own.insert(Parameter::Weight, before.and(value));
    }
    Ok(())
}

fn report(out: &Output, branch: &BranchName, request: &SoupRequest, souped: &Souped) -> Result<()> {
    if out.json {
        return out.value(&made(branch, request, souped));
    }
    for (path, report) in &souped.reports {
        let same = if report.same > 0 { format!(", {} the same in all", report.same) } else { String::new() };
        let copied = if report.copied.is_empty() {
            String::new()
        } else {
            format!(", {} taken from the first", report.copied.len())
        };
        out.line(format_args!("{}: {} tensors mixed{same}{copied}", quote::path(path), report.computed))?;
        remarks(report, request.recipe.clamp);
    }
    said_of(&souped.differing, "differs between the commits: the first one's is taken");
    said_of(&souped.left_out, "belongs to a run, and is left out");
    said_of(&souped.removed, "is of the model that was there, and is gone");
    match &souped.committed {
        Some(committed) => {
            warn(&committed.warnings);
            let s = if committed.changed == 1 { "" } else { "s" };
            out.line(format_args!(
                "[{branch} {}] {} path{s} changed",
                &committed.id.to_string()[..10],
                committed.changed
            ))
        }
        None if request.dry_run => out.line("nothing was done"),
        None => out.line("the branch has it all already"),
    }
}

fn remarks(report: &Report, is_clamped: bool) {
    let names = |names: &[String]| {
        let shown: Vec<String> = names.iter().take(NAMED).map(|name| quote::text(name)).collect();
        let more = names.len().saturating_sub(NAMED);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    if !report.lines.is_empty() {
        note(format!(
            "the arc is a line for {} tensors, whose models point the same way",
            report.lines.len()
        ));
    }
    if !report.beyond.is_empty() {
        let beyond: Vec<String> = report.beyond.iter().map(|(name, t)| format!("{name} ({t:.3})")).collect();
        let way = if is_clamped { "" } else { "; `--clamp` keeps them between" };
        note(format!("beyond the models, by how far: {}{way}", names(&beyond)));
    }
    if !report.mixed.is_empty() {
        note(format!("of several types in the models: {}", names(&report.mixed)));
    }
    if report.not_finite > 0 {
        note(format!("{} elements are not finite", report.not_finite));
    }
    if report.statistics > 0 {
        note("running statistics were mixed like weights; they are better made anew from data");
    }
}

fn said_of(paths: &[TreePath], what: &str) {
    for path in paths.iter().take(NAMED) {
        note(format!("`{}` {what}", quote::path(path)));
    }
    if paths.len() > NAMED {
        note(format!("... and {} more", paths.len() - NAMED));
    }
}

fn made(branch: &BranchName, request: &SoupRequest, souped: &Souped) -> Made {
    let models = souped.models.iter();
    Made {
        branch: branch.to_string(),
        commit: souped.committed.as_ref().map(|committed| committed.id.into()),
        changed: souped.committed.as_ref().map_or(0, |committed| committed.changed),
        dry_run: request.dry_run,
        method: request.method(),
        parameters: request.recipe.parameters.to_string(),
        seed: request.recipe.seed,
        models: models.map(|(name, id)| ModelRow { name: name.clone(), commit: (*id).into() }).collect(),
        base: souped.base.map(Id::from),
        files: souped.reports.iter().map(|(path, report)| file(path, report)).collect(),
        differing: plain(&souped.differing),
        left_out: plain(&souped.left_out),
        removed: plain(&souped.removed),
    }
}

fn file(path: &TreePath, report: &Report) -> FileRow {
    let beyond = report.beyond.iter().map(|(name, t)| BeyondRow { tensor: name.clone(), t: Real(*t) });
    FileRow {
        path: path.to_string(),
        mixed: report.computed,
        same: report.same,
        copied: report.copied.clone(),
        lines: report.lines.clone(),
        beyond: beyond.collect(),
        several_types: report.mixed.clone(),
        not_finite: report.not_finite,
    }
}
