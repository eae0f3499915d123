use super::context::{Context, Place};
use super::error::{CommandError, Result};
use super::json::{Id, Key, Real};
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use crate::history::{Asked, DraftNode, Likeness, Node, Resemblance, TreeWalk, Wanted};
use crate::task::Task;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::{OsStr, OsString};

/// Find the stored tensors that resemble a tensor most
///
/// TARGET is a plain file, REF:PATH, or the name of a tensor of the last commit. The same tensor comes first, where another file
/// has it. The cosine is an estimate, from signatures of 256 bits and from a piece of tensors that are near each other.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, REF:PATH, or the name of a tensor
    #[arg(value_name = "TARGET")]
    target: OsString,
    /// How many for each tensor
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 5)]
    max_count: usize,
}

/// For each tensor what resembles it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Resembling {
    tensors: Vec<TensorNear>,
}

/// A tensor with what resembles it.
#[derive(Debug, Serialize, JsonSchema)]
struct TensorNear {
    /// Its name
    tensor: String,
    /// The nearest first
    similar: Vec<LikenessRow>,
}

/// A stored tensor that resembles another one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LikenessRow {
    /// An estimate of the cosine of the angle between them, from -1 to 1
    cosine: Real,
    /// Whether it is the very same one
    same: bool,
    /// Its object
    id: Key,
    /// Its name; null, as commit and path, if no commit reaches it
    tensor: Option<String>,
    commit: Option<Id>,
    /// The file that it is in
    path: Option<String>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    let (wanted, asked) = tensors(context, &place, &args.target, &task)?;
    let near = Resemblance::of(&place.repo).to(asked).similar(&wanted, args.max_count, &task)?;
    let mut rows = Vec::new();
    for (tensor, near) in wanted.iter().zip(near) {
        if out.json {
            let similar = near.iter().map(LikenessRow::from).collect();
            rows.push(TensorNear { tensor: tensor.tensor.name.clone(), similar });
            continue;
        }
        out.line(format_args!(
            "{} {} {:?}",
            tensor.tensor.name,
            tensor.tensor.dtype.name(),
            tensor.tensor.shape
        ))?;
        if near.is_empty() {
            out.line("  nothing resembles it")?;
        }
        near.iter().try_for_each(|likeness| out.line(format_args!("  {}", likeness_line(out, likeness))))?;
    }
    if out.json { out.value(&Resembling { tensors: rows }) } else { Ok(()) }
}

/// The tensors that a target names.
pub fn tensors(
    context: &Context,
    place: &Place,
    target: &OsStr,
    task: &Task,
) -> Result<(Vec<Wanted>, Option<Asked>)> {
    let file = context.absolute(target.as_ref());
    if file.is_file() {
        return Ok((found_any(Resemblance::tensors_of_file(&file, task)?, target)?, None));
    }
    let resemblance = Resemblance::of(&place.repo);
    if target.as_encoded_bytes().contains(&b':') {
        let found = place.views().locate(target.as_encoded_bytes())?;
        let DraftNode::Known(Node::File { recipe, .. }) = found.entry.node else {
            return Err(CommandError::new(format!("`{}` is not a file of the history", target.display())));
        };
        let wanted = found_any(resemblance.tensors_of_recipe(&*place.repo.recipe(recipe)?, task)?, target)?;
        return Ok((wanted, Some(Asked { commit: found.view.commit(), recipe })));
    }
    let commit = place.repo.resolve("HEAD", place.now())?;
    let (mut wanted, mut asked) = (Vec::new(), None);
    for step in TreeWalk::below(&place.repo, place.repo.commit(commit)?.tree) {
        let Node::File { recipe, .. } = step?.1.node else { continue };
        let content = place.repo.recipe(recipe)?;
        if content.tensors().any(|(tensor, _, _)| target == tensor.name.as_str()) {
            wanted.extend(resemblance.tensors_of_recipe(&content, task)?);
            asked = asked.or(Some(Asked { commit: Some(commit), recipe }));
        }
    }
    wanted.retain(|wanted| target == wanted.tensor.name.as_str());
    Ok((found_any(wanted, target)?, asked))
}

fn found_any(wanted: Vec<Wanted>, target: &OsStr) -> Result<Vec<Wanted>> {
    match wanted.is_empty() {
        false => Ok(wanted),
        true => Err(CommandError::new(format!(
            "`{}` is no file with tensors, and no tensor of the last commit",
            target.display()
        ))
        .hint(
            "name a .safetensors, .npy or .npz file, REF:PATH, or a tensor that `coral show HEAD:PATH` lists",
        )),
    }
}

/// A neighbour as a line.
pub fn likeness_line(out: &Output, likeness: &Likeness) -> String {
    let place = match &likeness.location {
        Some(at) => format!("{} {}:{}", at.name, &at.commit.to_string()[..10], quote::path(&at.path)),
        None => format!("object {} of no commit", likeness.key),
    };
    let nearness = if likeness.is_same { "same ".to_owned() } else { shown(likeness.cosine) };
    format!("{} {place}", out.paint(Colour::Yellow, nearness))
}

/// A cosine with the digits that tell it from 1.
fn shown(cosine: f64) -> String {
    let digits = if cosine < 1.0 { (-(1.0 - cosine).log10()).ceil() as usize + 1 } else { 3 };
    format!("{cosine:.*}", digits.clamp(3, 12))
}

impl From<&Likeness> for LikenessRow {
    fn from(likeness: &Likeness) -> Self {
        let at = likeness.location.as_ref();
        Self {
            cosine: Real(likeness.cosine),
            same: likeness.is_same,
            id: likeness.key.into(),
            tensor: at.map(|at| at.name.clone()),
            commit: at.map(|at| at.commit.into()),
            path: at.map(|at| at.path.to_string()),
        }
    }
}
