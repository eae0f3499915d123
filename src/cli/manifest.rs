use super::context::Context;
use super::error::{CommandError, Result};
use super::json::{At, hex};
use super::output::Output;
use super::progress::task;
use super::quote;
use crate::history::{DraftDir, DraftNode, Node, Repo, TreePath};
use crate::id::RecipeId;
use crate::task::{Task, Unit};
use crate::workspace::Located;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::ffi::OsString;

/// List the files of a commit with their lengths and hashes, for others to check without Coral
///
/// A line has the BLAKE3 of the file's bytes, how many there are, and its path. With --b3sum or --sha256sum it has what `b3sum --check`
/// and `sha256sum --check` read. BLAKE3 is recorded with each file and costs no reading; SHA-256 is computed from the bytes, which are
/// compared with their BLAKE3 on the way. Symbolic links have no bytes of their own and are left out.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A commit, or REF:DIR, whose paths begin there
    #[arg(value_name = "REF", default_value = "HEAD")]
    target: OsString,
    /// Print what `b3sum --check` reads
    #[arg(long, conflicts_with = "sha256sum")]
    b3sum: bool,
    /// Compute SHA-256 as well, and print what `sha256sum --check` reads
    #[arg(long)]
    sha256sum: bool,
}

/// The files, in the order of their paths.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Manifest {
    files: Vec<FileRow>,
}

/// A file.
#[derive(Debug, Serialize, JsonSchema)]
struct FileRow {
    #[serde(flatten)]
    at: At,
    bytes: u64,
    /// BLAKE3 of its bytes
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    blake3: String,
    /// SHA-256 of its bytes, with `--sha256sum`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    sha256: Option<String>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let task = task()?;
    let Located { view, entry, .. } = place.views().locate(args.target.as_encoded_bytes())?;
    let dir = match entry.node {
        DraftNode::Dir(dir) => dir,
        DraftNode::Known(Node::Dir(tree)) => DraftDir::Unchanged(tree),
        _ => {
            let name = quote::name(args.target.as_encoded_bytes());
            return Err(CommandError::usage(format!("{name} is no commit and no directory"))
                .hint("`coral manifest REF` lists the files of a commit, `coral cat REF:PATH | b3sum` is of one file"));
        }
    };
    let mut files = Vec::new();
    for (path, entry) in view.all_below(dir)? {
        match entry.node {
            DraftNode::Known(Node::File { recipe, len }) => files.push((path, recipe, len)),
            DraftNode::Dir(_) | DraftNode::Known(_) => {}
            // What is not stored yet has no recorded hash.
            _ => {
                return Err(CommandError::new(format!("{} is not committed yet", quote::path(&path)))
                    .hint("`coral commit` stores what the worktree has"));
            }
        }
    }
    let lens = files.iter().map(|(_, _, len)| len).sum();
    let hashed = task.begin("hashing", Unit::Bytes, Some(lens).filter(|_| args.sha256sum));
    let mut rows = Vec::new();
    for (path, recipe, len) in files {
        task.check().map_err(crate::history::Error::from)?;
        let blake3 = hex(place.repo.recipe(recipe)?.blake3());
        let sha256 = match args.sha256sum {
            true => Some(sha256(&place.repo, (recipe, len), &path, &task, &|count| hashed.advance(count))?),
            false => None,
        };
        match (out.json, args.b3sum, &sha256) {
            (true, ..) => rows.push(FileRow { at: (&path).into(), bytes: len, blake3, sha256 }),
            (false, true, _) => out.bytes(&sum_line(&blake3, &path.to_bytes()))?,
            (false, false, Some(sha256)) => out.bytes(&sum_line(sha256, &path.to_bytes()))?,
            (false, false, None) => out.line(format_args!("{blake3} {len:>15} {}", quote::path(&path)))?,
        }
    }
    if out.json { out.value(&Manifest { files: rows }) } else { Ok(()) }
}

/// SHA-256 of a file, whose bytes are compared with what was recorded.
fn sha256(
    repo: &Repo,
    (recipe, len): (RecipeId, u64),
    path: &TreePath,
    task: &Task,
    advance: &dyn Fn(u64),
) -> Result<String> {
    let mut hasher = Sha256::new();
    repo.read_through(recipe, len, path, |bytes| {
        task.check()?;
        hasher.update(bytes);
        advance(bytes.len() as u64);
        Ok::<_, crate::history::Error>(())
    })?;
    Ok(hex(&hasher.finalize()))
}

/// A line as `sha256sum` and `b3sum` write and read them: names that would not be one line are escaped, which a backslash at the
/// beginning says.
fn sum_line(hash: &str, path: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(path.len());
    for byte in path {
        match byte {
            b'\\' => name.extend(b"\\\\"),
            b'\n' => name.extend(b"\\n"),
            b'\r' => name.extend(b"\\r"),
            byte => name.push(*byte),
        }
    }
    let mark: &[u8] = if name.len() == path.len() { b"" } else { b"\\" };
    [mark, hash.as_bytes(), b"  ", &name, b"\n"].concat()
}
