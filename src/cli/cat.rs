use super::context::Context;
use super::error::{CommandError, Result};
use super::json::{At, hex};
use super::output::Output;
use super::tensor_names::no_tensor;
use crate::history::{DraftNode, Node, glob};
use crate::store::{Source, StoreError};
use crate::units::ByteSize;
use crate::workspace::Located;
use schemars::JsonSchema;
use serde::Serialize;
use std::ffi::OsString;
use std::ffi::os_str::Display;

/// Bytes that are printed at once.
const PIECE: usize = 1 << 20;
/// Files that are printed as JSON are at most so long, in bytes.
const JSON_MAX: u64 = 1 << 20;

/// Print the bytes of a file of a revision
///
/// `:PATH` is the file of the worktree, `REF:PATH#NAME` the bytes of one of its tensors, in the order of the file if NAME has
/// `*` or `?` and several match. As JSON files of at most 1 MiB, as text or in hexadecimal digits.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// REF:PATH, :PATH or REF:PATH#TENSOR
    #[arg(value_name = "REF:PATH", required = true)]
    targets: Vec<OsString>,
}

/// Several files.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Files {
    files: Vec<FileText>,
}

/// A file with its bytes, either as `text` or as `hex`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileText {
    #[serde(flatten)]
    at: At,
    /// At most 1 MiB
    bytes: usize,
    /// Where they are UTF-8
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Where they are not, two hexadecimal digits a byte
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let mut rows = Vec::new();
    for text in &args.targets {
        let bytes = text.as_encoded_bytes();
        let text = text.display();
        if !bytes.contains(&b':') {
            let example = match place.repo.resolve(&text.to_string(), place.now()) {
                Ok(_) => format!("{text}:PATH"),
                Err(_) => format!("HEAD:{text}"),
            };
            return Err(CommandError::usage(format!("`{text}` names no file"))
                .hint(format!("a file of a revision is `REF:PATH`, such as `{example}`")));
        }
        place.heed_names([&*text.to_string()]);
        let found = place.views().locate(bytes)?;
        match out.json {
            true => rows.push(row(&found, &text)?),
            false => print(&found, out, &text)?,
        }
    }
    match (out.json, rows.as_slice()) {
        (false, _) => Ok(()),
        (true, [only]) => out.value(only),
        (true, _) => out.value(&Files { files: rows }),
    }
}

/// A short file, as text or in hexadecimal digits.
fn row(found: &Located, shown_as: &Display<'_>) -> Result<FileText> {
    let too_long = || {
        CommandError::usage(format!("`{shown_as}` is no file of at most {} as JSON", ByteSize(JSON_MAX)))
            .hint("without `--json` its bytes are printed as they are")
    };
    let content =
        found.view.content(&found.entry.node)?.filter(|_| found.tensor.is_none()).ok_or_else(too_long)?;
    let bytes = content.read_short(JSON_MAX)?.ok_or_else(too_long)?;
    let (at, len) = ((&found.path).into(), bytes.len());
    let (text, hex) = match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(hex(error.as_bytes()))),
    };
    Ok(FileText { at, bytes: len, text, hex })
}

/// Prints a file, a link's target, or the bytes of tensors.
fn print(found: &Located, out: &Output, shown_as: &Display<'_>) -> Result<()> {
    let node = &found.entry.node;
    match (node, &found.tensor) {
        (DraftNode::Dir(_) | DraftNode::Known(Node::Dir(_)), _) => {
            Err(CommandError::new(format!("`{shown_as}` is a directory")).hint("`coral ls` lists it"))
        }
        (DraftNode::Known(Node::Symlink(target)), _) => out.bytes(target),
        (DraftNode::Known(Node::File { recipe, len }), None) => {
            found.view.repo().read_through(*recipe, *len, shown_as, |bytes| out.bytes(bytes))
        }
        (DraftNode::Staged { .. }, None) => {
            let content = found.view.content(node)?.expect("a file has content");
            copy(content.bytes(), out)
        }
        (DraftNode::Known(Node::File { .. }) | DraftNode::Staged { .. }, Some(pattern)) => {
            let content = found.view.content(node)?.expect("a file has content");
            let mut tensors = content.tensors().filter(|tensor| glob(pattern, &tensor.info.name)).peekable();
            if tensors.peek().is_none() {
                return Err(no_tensor(pattern, &found.path));
            }
            tensors.try_for_each(|tensor| copy(&content.bytes_of(&tensor), out))
        }
    }
}

fn copy(source: &dyn Source, out: &Output) -> Result<()> {
    let mut buf = vec![0; PIECE];
    let mut at = 0;
    while at < source.len() {
        let part = (source.len() - at).min(PIECE as u64) as usize;
        source.read_exact_at(&mut buf[..part], at).map_err(StoreError::from)?;
        out.bytes(&buf[..part])?;
        at += part as u64;
    }
    Ok(())
}
