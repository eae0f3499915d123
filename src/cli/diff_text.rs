//! What differs in a file, as lines for people.

use super::change::words;
use super::error::Result;
use super::output::{Colour, Output};
use super::quote;
use crate::compare::{FileChange, FileDifference, Line, TensorChange, TensorKind};
use crate::history::{DraftEntry, DraftNode, Node};
use crate::recipe::TensorInfo;
use crate::tensor::{Difference, ULP_CLASSES};
use crate::units::ByteSize;
use crate::workspace::FileDiff;

/// How much is printed of a file.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// How far numbers are apart as well.
    pub histogram: bool,
    /// At most so many tensors.
    pub most: Option<usize>,
}

/// Characters of the widest bar of a histogram.
const BAR: usize = 40;

/// Prints what differs in a file.
pub fn file_text(out: &Output, file: &FileChange, diff: &FileDiff, style: Style) -> Result<()> {
    out.line(headline(out, file))?;
    mode_and_link(out, file)?;
    let FileDifference { tensors, same } = &diff.tensors;
    let most = style.most.unwrap_or(usize::MAX);
    for tensor in tensors.iter().take(most) {
        tensor_text(out, tensor)?;
        if let (true, Some(difference)) = (style.histogram, &tensor.difference) {
            histogram(out, difference)?;
        }
    }
    if tensors.len() > most {
        out.line(format_args!("  ... and {} more, `-n` shows them", tensors.len() - most))?;
    }
    if let (false, 1..) = (tensors.is_empty(), *same) {
        out.line(format_args!("  {same} more are the same"))?;
    }
    match &diff.lines {
        Some(lines) => lines.lines.iter().try_for_each(|line| match line {
            Line::Hunk(header) => out.line(out.paint(Colour::Cyan, header)),
            Line::Same(line) => out.line(format_args!(" {line}")),
            Line::Removed(line) => out.line(out.paint(Colour::Red, format_args!("-{line}"))),
            Line::Added(line) => out.line(out.paint(Colour::Green, format_args!("+{line}"))),
        }),
        None if tensors.is_empty() => sizes(out, file, *same),
        None => Ok(()),
    }
}

fn headline(out: &Output, file: &FileChange) -> String {
    let (letter, _, colour) = words(file.change.kind);
    let path = quote::path(&file.change.path);
    match &file.from {
        Some((from, 0)) => out.paint(Colour::Yellow, format_args!("{} -> {path}", quote::path(from))),
        Some((from, share)) => {
            out.paint(Colour::Yellow, format_args!("R {} -> {path} ({share} % the same)", quote::path(from)))
        }
        None => out.paint(colour, format_args!("{letter} {path}")),
    }
}

fn mode_and_link(out: &Output, file: &FileChange) -> Result<()> {
    let (Some(old), Some(new)) = (&file.change.old, &file.change.new) else { return Ok(()) };
    if old.attributes.mode != new.attributes.mode {
        out.line(format_args!("  mode {:04o} -> {:04o}", old.attributes.mode, new.attributes.mode))?;
    }
    match (&old.node, &new.node) {
        (DraftNode::Known(Node::Symlink(old)), DraftNode::Known(Node::Symlink(new))) if old != new => {
            out.line(format_args!("  {} -> {}", quote::name(old), quote::name(new)))
        }
        _ => Ok(()),
    }
}

/// What there is to say of files that are neither tensors nor lines.
fn sizes(out: &Output, file: &FileChange, same: usize) -> Result<()> {
    let len = |entry: &Option<DraftEntry>| {
        entry.as_ref().filter(|entry| entry.node.is_file()).map(|entry| ByteSize(entry.node.len()))
    };
    match (len(&file.change.old), len(&file.change.new)) {
        (Some(_), Some(_)) if matches!(file.from, Some((_, 100))) => Ok(()),
        (Some(_), Some(_))
            if file.change.old.as_ref().map(|e| &e.node) == file.change.new.as_ref().map(|e| &e.node) =>
        {
            Ok(())
        }
        (Some(old), Some(new)) if same > 0 => {
            out.line(format_args!("  {same} tensors are the same, other bytes differ: {old} -> {new}"))
        }
        (Some(old), Some(new)) => out.line(format_args!("  bytes differ: {old} -> {new}")),
        _ => Ok(()),
    }
}

fn tensor_text(out: &Output, tensor: &TensorChange) -> Result<()> {
    let name = quote::text(&tensor.name);
    let info = |info: &TensorInfo| format!("{} {:?}", info.shown_dtype(), info.shown_shape());
    let side = |side: &Option<(TensorInfo, _)>| side.as_ref().map(|(of, _)| info(of)).unwrap_or_default();
    match tensor.kind {
        TensorKind::Added => {
            out.line(out.paint(Colour::Green, format_args!("  + {name}  {}", side(&tensor.new))))
        }
        TensorKind::Removed => {
            out.line(out.paint(Colour::Red, format_args!("  - {name}  {}", side(&tensor.old))))
        }
        TensorKind::Renamed => {
            let old = tensor.old.as_ref().map(|(info, _)| quote::text(&info.name)).unwrap_or_default();
            out.line(out.paint(Colour::Yellow, format_args!("  > {old} -> {name}  {}", side(&tensor.new))))
        }
        TensorKind::Reshaped => {
            let numbers = tensor.difference.as_ref().map(numbers).unwrap_or_default();
            let sides = format!("{} -> {}", side(&tensor.old), side(&tensor.new));
            out.line(format_args!(
                "{}  {sides}{numbers}",
                out.paint(Colour::Yellow, format_args!("  ~ {name}"))
            ))
        }
        TensorKind::Changed | TensorKind::Same => {
            let numbers = tensor.difference.as_ref().map_or("  bytes differ".into(), numbers);
            let sign = if tensor.kind == TensorKind::Same { '=' } else { '~' };
            let name = out.paint(Colour::Yellow, format_args!("  {sign} {name}"));
            out.line(format_args!("{name}  {}{numbers}", side(&tensor.new)))
        }
    }
}

fn numbers(found: &Difference) -> String {
    let odd = if found.non_finite > 0 { format!("  {} not finite", found.non_finite) } else { String::new() };
    format!(
        "  changed {:.1} %  L2 {:.3e}  rel {:.3e}  max {:.3e}  cos {:.6}{odd}",
        100.0 * found.changed_share(),
        found.l2(),
        found.relative(),
        found.max,
        found.cosine(),
    )
}

/// The classes of distances that have some, each by the least distance in it.
pub fn classes(ulps: &[u64; ULP_CLASSES]) -> impl Iterator<Item = (u64, u64)> + '_ {
    let least = |class: usize| if class == 0 { 0 } else { 1u64 << (class - 1) };
    ulps.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(class, count)| (least(class), *count))
}

fn histogram(out: &Output, found: &Difference) -> Result<()> {
    let most = found.ulps.iter().copied().max().unwrap_or(0).max(1);
    for (least, count) in classes(&found.ulps) {
        let bar = "#".repeat((count as f64 / most as f64 * BAR as f64).ceil() as usize);
        let from = if least == 0 { "equal".to_owned() } else { format!("{least}.. ulp") };
        out.line(format_args!("      {from:>16} {count:>12} {bar}"))?;
    }
    Ok(())
}

/// A file on one line.
pub fn stat_line(out: &Output, file: &FileChange, diff: &FileDiff) -> String {
    let FileDifference { tensors, same } = &diff.tensors;
    let all = tensors.len() + same;
    let what = match (&diff.lines, all) {
        (Some(lines), _) => format!("+{} -{} lines", lines.added, lines.removed),
        (None, 0) => {
            let len =
                |entry: &Option<DraftEntry>| ByteSize(entry.as_ref().map_or(0, |entry| entry.node.len()));
            format!("{} -> {}", len(&file.change.old), len(&file.change.new))
        }
        (None, all) => {
            let squares = |of: fn(&Difference) -> f64| -> f64 {
                tensors
                    .iter()
                    .filter_map(|tensor| tensor.difference.as_ref())
                    .map(|found| of(found).powi(2))
                    .sum()
            };
            let (difference, old) = (squares(Difference::l2).sqrt(), squares(Difference::old_norm).sqrt());
            let relative = if old > 0.0 { format!(", rel {:.3e}", difference / old) } else { String::new() };
            format!("{} of {all} tensors, L2 {difference:.3e}{relative}", tensors.len())
        }
    };
    format!(" {} | {what}", headline(out, file))
}
