use super::context::Context;
use super::error::{CommandError, Result};
use super::json::{OnDisk, Real};
use super::output::{Colour, Output, note};
use super::progress::task;
use super::quote;
use crate::report::{Bars, Chart, Heat, Lines, Series, Span, Unit, png, svg, terminal};
use crate::workspace::{Figures, Workspace};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Draw what a history takes, how layers changed, how weights lie, or how metrics went
///
/// In the terminal, or into a file whose name ends with .svg or .png.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// Where a picture goes.
#[derive(Debug, clap::Args)]
struct Into {
    /// The file; the terminal if none is named
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The width in letters of a picture in the terminal
    #[arg(long, value_name = "LETTERS")]
    width: Option<usize>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// What the history takes: as plain files, and as it is stored, commit by commit
    Storage {
        /// Where to look; HEAD if nothing is named
        #[arg(value_name = "REVISION")]
        revisions: Vec<String>,
        /// The vertical axis counts by powers of ten
        #[arg(long)]
        log: bool,
        #[command(flatten)]
        into: Into,
    },
    /// How far the weights of each layer went between two commits
    ///
    /// Rows are kinds of tensors, columns layers: the first number in the name of a tensor. What is shown is the norm of the
    /// difference in parts of the old norm, or the share of numbers that changed.
    Changes {
        /// From here
        #[arg(value_name = "REF", default_value = "HEAD~1")]
        old: String,
        /// To here
        #[arg(value_name = "REF", default_value = "HEAD")]
        new: String,
        /// `rel` for the relative norm, `changed` for the share that changed
        #[arg(long, value_name = "VALUE", default_value = "rel", value_parser = ["rel", "changed"])]
        value: String,
        #[command(flatten)]
        into: Into,
    },
    /// How the numbers of tensors lie
    ///
    /// One tensor as counts, several, of one commit or more, as curves.
    Weights {
        /// REF:PATH#TENSOR or :PATH#TENSOR; `*` and `?` fit names
        #[arg(value_name = "REF:PATH#TENSOR", required = true)]
        targets: Vec<OsString>,
        /// So many intervals
        #[arg(long, value_name = "COUNT", default_value_t = 80, value_parser = clap::value_parser!(u16).range(2..=1000))]
        bins: u16,
        #[command(flatten)]
        into: Into,
    },
    /// How metrics went, over what commits say by the name `step`, or over their number
    Metrics {
        /// Names of metrics that commits say (`coral commit -d loss=0.3`)
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// Where to look; HEAD if nothing is named
        #[arg(short, long = "revision", value_name = "REVISION")]
        revisions: Vec<String>,
        /// What the horizontal axis counts
        #[arg(long, value_name = "NAME", default_value = "step")]
        over: String,
        /// The vertical axis counts by powers of ten
        #[arg(long)]
        log: bool,
        #[command(flatten)]
        into: Into,
    },
}

/// Curves that are told apart in one picture.
const CURVES: usize = 6;

/// What is drawn, and into which file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Drawn<P> {
    #[serde(flatten)]
    picture: P,
    /// The file, if one was named
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<OnDisk>,
}

/// Curves.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Curves {
    title: String,
    /// What the horizontal axis counts
    x: String,
    /// What the vertical axis counts
    y: String,
    series: Vec<Curve>,
}

/// A curve.
#[derive(Debug, Serialize, JsonSchema)]
struct Curve {
    name: String,
    /// Horizontal and vertical, from the left to the right
    points: Vec<(f64, f64)>,
}

/// How many numbers are in each of intervals of one width.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Counted {
    title: String,
    /// More of it, in words
    note: String,
    /// Where the first interval begins
    from: Real,
    /// Where the last one ends
    to: Real,
    counts: Vec<u64>,
}

/// A value for each pair of a row and a column.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Table {
    title: String,
    /// What a value is
    value: String,
    columns: Vec<String>,
    rows: Vec<TableRow>,
}

/// A row.
#[derive(Debug, Serialize, JsonSchema)]
struct TableRow {
    name: String,
    /// One for each column; null where there is none
    values: Vec<Option<Real>>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let (chart, into) = match args.what {
        What::Storage { revisions, log, into } => (storage(&place, &revisions, log)?, into),
        What::Changes { old, new, value, into } => (changes(&place, &old, &new, value == "changed")?, into),
        What::Weights { targets, bins, into } => (weights(&place, &targets, usize::from(bins))?, into),
        What::Metrics { names, revisions, over, log, into } => {
            (metrics(&place, &names, &revisions, &over, log)?, into)
        }
    };
    match &into.output {
        Some(file) => write(context, out, &chart, file),
        None if out.json => tell(out, &chart, None),
        None => print(out, &chart, into.width),
    }
}

fn storage(place: &Workspace, revisions: &[String], is_log: bool) -> Result<Chart> {
    let taken = Figures::of(place).storage(revisions, &task()?)?;
    let Some(last) = taken.last() else { return Err(CommandError::new("there are no commits to draw")) };
    let ratio = last.plain as f64 / last.stored.max(1) as f64;
    let of = |name: &str, bytes: &dyn Fn(usize) -> u64| Series {
        name: name.into(),
        points: (0..taken.len()).map(|at| ((at + 1) as f64, bytes(at) as f64)).collect(),
    };
    Ok(Chart::Lines(Lines {
        title: format!("What {} take, {ratio:.1} times smaller", count(taken.len(), "commit")),
        x: "commits".into(),
        y: "bytes of all commits so far".into(),
        unit: Unit::Bytes,
        is_log,
        tells_ends: true,
        series: vec![of("plain files", &|at| taken[at].plain), of("stored", &|at| taken[at].stored)],
    }))
}

fn changes(place: &Workspace, old: &str, new: &str, is_share: bool) -> Result<Chart> {
    let (before, after) = (place.views().locate(old)?, place.views().locate(new)?);
    let moved = Figures::of(place).moved(&before, &after, &task()?)?;
    if moved.is_empty() {
        return Err(CommandError::new(format!("`{old}` and `{new}` have no tensors in common"))
            .hint("`coral diff` tells what differs"));
    }
    let layers: BTreeSet<Option<u64>> = moved.keys().map(|(_, layer)| *layer).collect();
    let mut rows: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
    for (at, layer) in layers.iter().enumerate() {
        for ((kind, _), difference) in moved.iter().filter(|((_, of), _)| of == layer) {
            let value = if is_share { difference.changed_share() } else { difference.relative() };
            let row = rows.entry(kind).or_insert_with(|| vec![None; layers.len()]);
            row[at] = Some(value).filter(|value| value.is_finite());
        }
    }
    let what = if is_share {
        "share of numbers that changed"
    } else {
        "norm of the difference in parts of the old norm"
    };
    Ok(Chart::Heat(Heat {
        title: format!("What changed from {old} to {new}"),
        value: format!("{what}, by layer"),
        columns_are: "layer".into(),
        columns: layers.iter().map(|layer| layer.map_or("-".into(), |layer| layer.to_string())).collect(),
        rows: rows.into_iter().map(|(kind, values)| (quote::text(kind), values)).collect(),
    }))
}

fn weights(place: &Workspace, targets: &[OsString], bins: usize) -> Result<Chart> {
    let task = task()?;
    let mut lies = Vec::new();
    for target in targets {
        let located = place.views().locate(target.as_encoded_bytes())?;
        let found = Figures::of(place).lies(&located, bins, &task)?;
        if found.is_empty() {
            let shown = quote::name(target.as_encoded_bytes());
            return Err(CommandError::new(format!("`{shown}` has no tensor of real numbers"))
                .hint("REF:PATH#NAME names a tensor; `coral show REF:PATH` lists those of a file"));
        }
        let revision = target.to_string_lossy();
        let revision = revision.split(':').next().filter(|_| targets.len() > 1).unwrap_or_default();
        let prefix = if revision.is_empty() { String::new() } else { format!("{} ", quote::text(revision)) };
        lies.extend(found.into_iter().map(|lie| (prefix.clone(), lie)));
    }
    if let [(_, lie)] = lies.as_slice() {
        let found = &lie.statistics;
        let outside = match lie.histogram.outside {
            0 => String::new(),
            outside => format!(", {outside} farther out"),
        };
        return Ok(Chart::Bars(Bars {
            title: format!("{} in {}", quote::text(&lie.name), quote::path(&lie.path)),
            note: format!(
                "{} numbers: mean {:.3e}, deviation {:.3e}, from {:.3e} to {:.3e}, {} NaN{outside}",
                found.finite + found.nan + found.infinite,
                found.mean,
                found.standard_deviation(),
                found.min,
                found.max,
                found.nan
            ),
            x: "value".into(),
            range: lie.range,
            counts: lie.histogram.counts.clone(),
        }));
    }
    if lies.len() > CURVES {
        note(format!("{} tensors are meant; the first {CURVES} are drawn", lies.len()));
        lies.truncate(CURVES);
    }
    let series = lies.iter().map(|(prefix, lie)| {
        let width = (lie.range.1 - lie.range.0) / lie.histogram.counts.len() as f64;
        let all = lie.statistics.finite.max(1) as f64;
        let point = |(at, count): (usize, &u64)| {
            (lie.range.0 + (at as f64 + 0.5) * width, *count as f64 / all / width)
        };
        let points = lie.histogram.counts.iter().enumerate().map(point).collect();
        Series { name: format!("{prefix}{}", quote::text(&lie.name)), points }
    });
    Ok(Chart::Lines(Lines {
        title: format!("How the numbers of {} lie", count(lies.len(), "tensor")),
        x: "value".into(),
        y: "density".into(),
        unit: Unit::Number,
        is_log: false,
        tells_ends: false,
        series: series.collect(),
    }))
}

fn metrics(
    place: &Workspace,
    names: &[String],
    revisions: &[String],
    over: &str,
    is_log: bool,
) -> Result<Chart> {
    let (is_over, series) = Figures::of(place).metrics(names, over, revisions)?;
    if let Some(at) = series.iter().position(Vec::is_empty) {
        return Err(CommandError::new(format!("no commit has a number called `{}`", names[at]))
            .hint("`coral commit -d NAME=VALUE` says one; `coral log` shows what commits say"));
    }
    let shown: Vec<String> = names.iter().map(|name| quote::text(name)).collect();
    Ok(Chart::Lines(Lines {
        title: format!("{} over {}", shown.join(", "), if is_over { over } else { "commits" }),
        x: if is_over { quote::text(over) } else { "commits".into() },
        y: "value".into(),
        unit: Unit::Number,
        is_log,
        tells_ends: true,
        series: shown.into_iter().zip(series).map(|(name, points)| Series { name, points }).collect(),
    }))
}

fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Writes a picture into a file of the kind that its name says.
fn write(context: &Context, out: &Output, chart: &Chart, file: &Path) -> Result<()> {
    let scene = chart.scene();
    let bytes = match file.extension().and_then(|end| end.to_str()) {
        Some("svg") => svg(&scene).into_bytes(),
        Some("png") => png(&scene).map_err(CommandError::new)?,
        _ => {
            return Err(CommandError::usage(format!("`{}` is no name of a picture", file.display()))
                .hint("it ends with .svg or .png"));
        }
    };
    let path = context.absolute(file);
    std::fs::write(&path, &bytes)
        .map_err(|error| CommandError::new(format!("cannot write `{}`: {error}", file.display())))?;
    match out.json {
        true => tell(out, chart, Some((&path).into())),
        false => out.line(format_args!("drawn into {}", quote::file(&path))),
    }
}

/// Tells what is drawn, as numbers.
fn tell(out: &Output, chart: &Chart, file: Option<OnDisk>) -> Result<()> {
    match chart {
        Chart::Lines(chart) => {
            let (title, x, y) = (chart.title.clone(), chart.x.clone(), chart.y.clone());
            let series = chart.series.iter();
            let series =
                series.map(|Series { name, points }| Curve { name: name.clone(), points: points.clone() });
            out.value(&Drawn { picture: Curves { title, x, y, series: series.collect() }, file })
        }
        Chart::Bars(chart) => {
            let (title, note, counts) = (chart.title.clone(), chart.note.clone(), chart.counts.clone());
            let (from, to) = (Real(chart.range.0), Real(chart.range.1));
            out.value(&Drawn { picture: Counted { title, note, from, to, counts }, file })
        }
        Chart::Heat(chart) => {
            let (title, value) = (chart.title.clone(), chart.value.clone());
            let columns = chart.columns.clone();
            let rows = chart.rows.iter().map(|(name, values)| TableRow {
                name: name.clone(),
                values: values.iter().map(|value| value.map(Real)).collect(),
            });
            out.value(&Drawn { picture: Table { title, value, columns, rows: rows.collect() }, file })
        }
    }
}

fn print(out: &Output, chart: &Chart, width: Option<usize>) -> Result<()> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = width.or(terminal_width()).or(columns).unwrap_or(80);
    for line in terminal(chart, width) {
        let painted: String = line.into_iter().map(|span| paint(out, span)).collect();
        out.line(painted.trim_end())?;
    }
    Ok(())
}

fn paint(out: &Output, span: Span) -> String {
    match span.curve.map(|curve| curve % 4) {
        None => span.text,
        Some(0) => out.paint(Colour::Cyan, span.text),
        Some(1) => out.paint(Colour::Yellow, span.text),
        Some(2) => out.paint(Colour::Green, span.text),
        Some(_) => out.paint(Colour::Red, span.text),
    }
}

/// How many letters the terminal is wide, if it is one.
fn terminal_width() -> Option<usize> {
    // SAFETY: all bits zero are a value of it.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills `size`, which is what it takes, and does nothing else.
    let told = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (told == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
