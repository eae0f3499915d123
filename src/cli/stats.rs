use super::context::{Context, Place};
use super::error::Result;
use super::json::Real;
use super::output::{Colour, Output};
use crate::history::{Node, Walk};
use crate::id::{ObjectKey, TreeId};
use crate::units::ByteSize;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Show what the history would be as plain files, and what it is
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What branches and tags reach.
#[derive(Default)]
struct Reached {
    commits: u64,
    files: u64,
    /// Bytes of all files of all commits.
    bytes: u64,
    tensors: u64,
    objects: HashSet<ObjectKey>,
}

/// Files, bytes and tensors.
type Weight = (u64, u64, u64);

/// What the history would be as plain files, and what it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Figures {
    /// Commits that branches and tags reach
    commits: u64,
    /// Files of all these commits, each counted in every one
    files: u64,
    /// Tensors of these
    tensors: u64,
    /// Bytes of these files
    plain_bytes: u64,
    /// Objects that they consist of, each counted once
    unique_objects: usize,
    /// Objects in packs, copies in several packs counted each
    objects: usize,
    /// Of these, differences to others
    delta_objects: usize,
    /// Bytes of the objects in packs
    unique_bytes: u64,
    /// What they take in packs
    stored_bytes: u64,
    /// Bytes of all packs and sidecars
    disk_bytes: u64,
    packs: usize,
    /// Plain bytes in parts of those on the disk: more than 1 is smaller
    ratio: Real,
    /// Plain bytes less those on the disk; 0 if it is more
    saved_bytes: u64,
    /// Bytes that are still as they were saved, and not yet made small
    waiting_bytes: u64,
    /// Whole files beside the packs, which may go at any time
    plain_copies: u64,
    plain_copy_bytes: u64,
}

pub fn run(context: &Context, out: &Output, _args: Args) -> Result<()> {
    let place = context.open()?;
    let refs = place.repo.refs();
    let mut tips: Vec<_> = refs.branches()?.into_iter().map(|(_, id)| id).collect();
    tips.extend(refs.tags()?.into_iter().map(|(_, tag)| tag.commit));
    let mut reached = Reached::default();
    let mut known = HashMap::new();
    for step in Walk::new(&place.repo, tips)? {
        let (_, commit) = step?;
        reached.commits += 1;
        let (files, bytes, tensors) = weigh(&place, commit.tree, &mut known, &mut reached.objects)?;
        reached.files += files;
        reached.bytes += bytes;
        reached.tensors += tensors;
    }
    let store = place.repo.store().stats()?;
    let copies = place.repo.plain().usage()?;
    let ratio = if store.disk_len == 0 { 1.0 } else { reached.bytes as f64 / store.disk_len as f64 };
    let saved = reached.bytes.saturating_sub(store.disk_len);
    if out.json {
        return out.value(&Figures {
            commits: reached.commits,
            files: reached.files,
            tensors: reached.tensors,
            plain_bytes: reached.bytes,
            unique_objects: reached.objects.len(),
            objects: store.objects,
            delta_objects: store.deltas,
            unique_bytes: store.len,
            stored_bytes: store.stored_len,
            disk_bytes: store.disk_len,
            packs: store.packs,
            ratio: Real(ratio),
            saved_bytes: saved,
            waiting_bytes: store.attached_len,
            plain_copies: copies.files,
            plain_copy_bytes: copies.bytes,
        });
    }
    let row = |name: &str, value: String| out.line(format_args!("{name:<24}{value}"));
    row("commits", reached.commits.to_string())?;
    row("files in them", format!("{} ({} tensors)", reached.files, reached.tensors))?;
    row("as plain files", ByteSize(reached.bytes).to_string())?;
    row("distinct objects", format!("{} ({})", store.objects, ByteSize(store.len)))?;
    row("stored as differences", store.deltas.to_string())?;
    row("on disk", format!("{} in {} packs", ByteSize(store.disk_len), store.packs))?;
    if store.attached_len > 0 {
        row(
            "of these",
            format!("{} as saved; `coral drain` makes them small", ByteSize(store.attached_len)),
        )?;
    }
    if copies.files > 0 {
        let what = format!("{} in {} files, which may go at any time", ByteSize(copies.bytes), copies.files);
        row("plain copies", what)?;
    }
    row("ratio", out.paint(Colour::Green, format_args!("{ratio:.2}x smaller ({} saved)", ByteSize(saved))))?;
    for damage in &store.damaged {
        out.line(
            out.paint(Colour::Red, format_args!("damaged: {}: {}", damage.path.display(), damage.what)),
        )?;
    }
    Ok(())
}

/// Files, bytes and tensors below a tree; trees that were weighed before are not read again.
fn weigh(
    place: &Place,
    tree: TreeId,
    known: &mut HashMap<TreeId, Weight>,
    objects: &mut HashSet<ObjectKey>,
) -> Result<Weight> {
    // A tree stays on the stack until everything in it is known.
    let mut open = vec![tree];
    while let Some(&tree) = open.last() {
        if known.contains_key(&tree) {
            open.pop();
            continue;
        }
        let entries = place.repo.tree(tree)?;
        let dirs = entries.entries().iter().filter_map(|entry| match entry.node {
            Node::Dir(below) => Some(below),
            Node::File { .. } | Node::Symlink(_) => None,
        });
        let unknown: Vec<TreeId> = dirs.filter(|below| !known.contains_key(below)).collect();
        if !unknown.is_empty() {
            open.extend(unknown);
            continue;
        }
        let mut sum = (0, 0, 0);
        for entry in entries.entries() {
            let (files, bytes, tensors) = match &entry.node {
                Node::Dir(below) => known[below],
                Node::Symlink(_) => (0, 0, 0),
                Node::File { recipe, len } => {
                    let recipe = place.repo.recipe(*recipe)?;
                    objects.extend(recipe.keys());
                    (1, *len, recipe.table().len() as u64)
                }
            };
            sum = (sum.0 + files, sum.1 + bytes, sum.2 + tensors);
        }
        known.insert(tree, sum);
        open.pop();
    }
    Ok(known[&tree])
}
