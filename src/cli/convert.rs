use super::context::{Context, Place};
use super::error::{CommandError, Result};
use super::json::OnDisk;
use super::output::{Output, note};
use super::progress::task;
use super::quote;
use crate::convert::{Container, Origin, Plan, Target, Wish, plan, write};
use crate::tensor::{Block, Dtype, Element};
use crate::threads::Threads;
use crate::units::ByteSize;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Write the tensors of a file as another kind of file: safetensors, npz or GGUF
///
/// SOURCE is REF:PATH, :PATH of the worktree, or a file on the disk, of any kind whose tensors are known: docs/formats.md has them.
/// Of several, such as the shards of a model, the result has all tensors. Views, other orders of axes and of bytes come out as
/// what they mean; blocks of GGUF are computed where another type is wanted.
///
/// OUT appears when it is whole and durable. In a mounted worktree it costs next to nothing: tensors that are the same are
/// stored once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the tensors are: REF:PATH, :PATH or a file on the disk
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<OsString>,
    /// The file to write
    #[arg(value_name = "OUT", required = true)]
    out: PathBuf,
    /// safetensors, npz or gguf, if the ending of OUT does not say it
    #[arg(long, value_name = "FORMAT", value_parser = ["safetensors", "npz", "gguf"])]
    format: Option<String>,
    /// The type of floats: f32, f16, bf16 or f64, and in GGUF q8_0 or q4_0. If nothing is said they keep theirs; whole numbers
    /// always do
    #[arg(long, value_name = "TYPE", value_parser = parse_dtype)]
    dtype: Option<Element>,
    /// Only tensors whose name fits; `*` and `?` fit any text and character
    #[arg(long, value_name = "PATTERN")]
    tensors: Vec<String>,
    /// No tensors whose name fits
    #[arg(long, value_name = "PATTERN")]
    without: Vec<String>,
    /// What names lose that begin with it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    strip_prefix: String,
    /// Cut into files of so many bytes of tensors at most, such as 5GB: OUT is called NAME-00001-of-00003, with an index
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    shard_size: Option<u64>,
    /// What the file says of itself, such as general.architecture=llama. GGUF keeps numbers, `true` and `false` as such; in
    /// double quotes everything is a text
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,
    /// Replace what is there
    #[arg(short, long)]
    force: bool,
}

fn parse_dtype(name: &str) -> std::result::Result<Element, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "f64" | "float64" => Element::Number(Dtype::F64),
        "f32" | "float32" => Element::Number(Dtype::F32),
        "f16" | "float16" => Element::Number(Dtype::F16),
        "bf16" | "bfloat16" => Element::Number(Dtype::Bf16),
        "q8_0" => Element::Block(Block(8)),
        "q4_0" => Element::Block(Block(2)),
        _ => return Err("types are f32, f16, bf16, f64, q8_0 and q4_0".into()),
    })
}

/// Bytes as people who cut models say them: `5GB` are 5,000,000,000, `5GiB` 5 times 2^30.
fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err("sizes are such as 500MB, 5GB or 4GiB".into()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "it is no number of bytes".to_owned())
}

fn parse_pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is KEY=VALUE".into()),
    }
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Converted {
    /// `safetensors`, `npz` or `gguf`
    format: &'static str,
    files: Vec<FileRow>,
    /// How many there are in all files
    tensors: usize,
    /// Tensors that are F16 instead of the blocks that were wanted, as their rows are no whole ones
    not_blocks: Vec<String>,
    /// Tensors of which numbers came out infinite, or as other numbers, since their new type does not have them
    too_large: Vec<LargeRow>,
    /// Bytes of the sources that are in none of their tensors
    beside: u64,
}

/// A file that was written.
#[derive(Debug, Serialize, JsonSchema)]
struct FileRow {
    path: OnDisk,
    bytes: u64,
    /// How many it has
    tensors: usize,
}

/// A tensor with numbers that its new type does not have: too large ones, and in blocks infinite ones and such that are none.
#[derive(Debug, Serialize, JsonSchema)]
struct LargeRow {
    tensor: String,
    /// How many
    elements: u64,
}

/// Tensors that are named one by one.
const NAMED: usize = 5;
/// So many bytes that are in no tensor are what files need to tell of theirs: and one in so many more.
const BESIDE: u64 = 1 << 20;
const BESIDE_PART: u64 = 50;

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let (sources, target) = (&args.sources, context.absolute(&args.out));
    if args.out.as_os_str() == "-" {
        return Err(CommandError::usage("a model cannot be written to the standard output")
            .hint("`./-` is a file of that name"));
    }
    let container = container(&args, &target)?;
    let place = match sources.iter().any(|source| is_of_history(source)) {
        true => Some(context.open()?),
        // Files on the disk are converted anywhere.
        false => context.open_quietly(),
    };
    let origins = sources.iter().map(|source| origin(context, place.as_ref(), source));
    let origins = origins.collect::<Result<Vec<_>>>()?;
    let Args { dtype, tensors, without, strip_prefix, shard_size, metadata, force, .. } = args;
    let wish =
        Wish { container, dtype, only: tensors, without, prefix: strip_prefix, shard: shard_size, metadata };
    let plan = plan(&wish, &origins)?;
    let threads =
        place.as_ref().map_or_else(|| Threads::new(0), |place| place.repo.store().threads().clone());
    let (folder, name) = named(&target)?;
    let (disk, task) = (super::context::disk(), task()?);
    let target = Target { disk: &*disk, folder, name, force, threads: &threads, task: &task };
    let written = write(&wish, &plan, &origins, &target)?;
    let files: Vec<(PathBuf, u64, usize)> =
        written.into_iter().map(|file| (folder.join(&file.name), file.len, file.tensors)).collect();
    let beside = origins.iter().map(|origin| origin.beside).sum();
    if out.json {
        return out.value(&converted(container, &files, &plan, beside));
    }
    remark(&plan, &origins);
    for (path, bytes, tensors) in &files {
        let (path, bytes) = (quote::file(path), ByteSize(*bytes));
        match tensors {
            0 => out.line(format_args!("{path}: {bytes}"))?,
            1 => out.line(format_args!("{path}: 1 tensor, {bytes}"))?,
            _ => out.line(format_args!("{path}: {tensors} tensors, {bytes}"))?,
        }
    }
    Ok(())
}

fn container(args: &Args, target: &Path) -> Result<Container> {
    let ending = target.extension().and_then(OsStr::to_str);
    let said = args.format.as_deref().or(ending).and_then(Container::of_extension);
    said.ok_or_else(|| {
        CommandError::usage(format!("the ending of `{}` is of no kind that is written", quote::file(target)))
            .hint("`--format` says which: safetensors, npz or gguf")
    })
}

/// Whether a source is in a revision or in the worktree: what has a colon, and does not begin as paths of the disk do.
fn is_of_history(source: &OsStr) -> bool {
    let bytes = source.as_encoded_bytes();
    let is_path = ["/", "./", "../"].iter().any(|start| bytes.starts_with(start.as_bytes()));
    bytes.contains(&b':') && !is_path
}

fn origin(context: &Context, place: Option<&Place>, source: &OsStr) -> Result<Origin> {
    let shown_as = source.display().to_string();
    let Some(place) = place.filter(|_| is_of_history(source)) else {
        return Ok(Origin::of_file(shown_as, &context.absolute(Path::new(source)))?);
    };
    let found = place.views().locate(source.as_encoded_bytes())?;
    if found.tensor.is_some() {
        return Err(CommandError::usage(format!("`{}` names tensors", quote::text(&shown_as)))
            .hint("name the file, and the tensors with `--tensors PATTERN`"));
    }
    let content = found.view.content(&found.entry.node)?;
    let content = content.ok_or_else(|| {
        CommandError::new(format!("`{}` is no file", quote::text(&shown_as)))
            .hint("`coral ls REF:PATH` lists what is in a folder")
    })?;
    Ok(Origin::of_content(shown_as, content)?)
}

/// The folder of a path, and its name there.
fn named(target: &Path) -> Result<(&Path, &str)> {
    let no_file = || CommandError::usage(format!("`{}` is no name for a file", quote::file(target)));
    let name = target.file_name().and_then(OsStr::to_str).ok_or_else(no_file)?;
    Ok((target.parent().ok_or_else(no_file)?, name))
}

/// Says what somebody may not expect.
fn remark(plan: &Plan<'_>, origins: &[Origin]) {
    let names = |names: Vec<String>| {
        let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        let more = names.len() - shown.len();
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    };
    let fallbacks = fallbacks(plan);
    if !fallbacks.is_empty() {
        note(format!("F16, as their rows are no whole blocks: {}", names(fallbacks)));
    }
    let large = too_large(plan)
        .into_iter()
        .map(|row| format!("{} ({})", row.tensor, row.elements))
        .collect::<Vec<_>>();
    if !large.is_empty() {
        note(format!(
            "numbers that their new type does not have came out infinite, or as other numbers: {}",
            names(large)
        ));
    }
    for origin in origins {
        if origin.beside > BESIDE && origin.beside > origin.len() / BESIDE_PART {
            note(format!(
                "{} of `{}` are in none of its tensors, and not converted",
                ByteSize(origin.beside),
                quote::text(&origin.shown_as)
            ));
        }
    }
}

fn fallbacks(plan: &Plan<'_>) -> Vec<String> {
    let all = plan.tensors().iter().filter(|tensor| tensor.is_fallback);
    all.map(|tensor| tensor.name.clone()).collect()
}

fn too_large(plan: &Plan<'_>) -> Vec<LargeRow> {
    let all = plan.tensors().iter().filter(|tensor| tensor.too_large() > 0);
    all.map(|tensor| LargeRow { tensor: tensor.name.clone(), elements: tensor.too_large() }).collect()
}

fn converted(
    container: Container,
    files: &[(PathBuf, u64, usize)],
    plan: &Plan<'_>,
    beside: u64,
) -> Converted {
    let row = |(path, bytes, tensors): &(PathBuf, u64, usize)| FileRow {
        path: path.into(),
        bytes: *bytes,
        tensors: *tensors,
    };
    Converted {
        format: container.extension(),
        files: files.iter().map(row).collect(),
        tensors: plan.tensors().len(),
        not_blocks: fallbacks(plan),
        too_large: too_large(plan),
        beside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_pairs_are_read_as_people_write_them() {
        assert_eq!(parse_size("5GB"), Ok(5_000_000_000));
        assert_eq!(parse_size("4 MiB"), Ok(4 << 20));
        assert_eq!(parse_size("7"), Ok(7));
        for wrong in ["", "0", "GB", "5 parsecs", "99999999999TB", "-1"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_pair("=b").is_err() && parse_pair("a").is_err());
    }

    #[test]
    fn what_has_a_colon_is_of_the_history_unless_it_is_a_path() {
        let is = |text: &str| is_of_history(OsStr::new(text));
        assert!(is("HEAD:a.pt") && is(":a.pt") && is("main:./a.pt"));
        assert!(!is("a.pt") && !is("./a:b.pt") && !is("/a:b.pt") && !is("../a:b.pt"));
    }
}
