use super::context::Context;
use super::error::{DAMAGE, Result};
use super::json::OnDisk;
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use crate::history::Finding;
use crate::store::Moved;
use crate::units::ByteSize;
use crate::worktree::fsck;
use schemars::JsonSchema;
use serde::Serialize;
use std::process::ExitCode;

/// Check that everything the repository promises is there
///
/// Quick: refs, logs, worktrees, commits, directories and file recipes are whole, and every object is in a pack. Ends
/// with 4 if anything is wrong, or was set aside by --rebuild.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read back and compare every byte as well
    #[arg(long)]
    full: bool,
    /// First write the packs' sidecars anew and drop the index, which is built again when it is needed
    #[arg(long)]
    rebuild: bool,
}

/// What was checked, and what is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checked {
    commits: u64,
    /// Directories
    trees: u64,
    files: u64,
    objects: u64,
    /// Bytes that were read back
    bytes_verified: u64,
    /// What is wrong; with any the command ends with 4
    findings: Vec<FindingRow>,
    /// Files that were set aside earlier and are still there
    set_aside: Vec<OnDisk>,
    /// Packs that `--rebuild` set aside now
    moved: Vec<MovedRow>,
}

/// Something that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct FindingRow {
    /// Where, in words
    place: String,
    what: String,
}

/// A pack that was set aside.
#[derive(Debug, Serialize, JsonSchema)]
struct MovedRow {
    from: OnDisk,
    to: OnDisk,
    /// What is wrong with it
    what: String,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let task = task()?;
    let moved = match args.rebuild {
        true => place.repo.store().rebuild(&task)?.quarantined,
        false => Vec::new(),
    };
    let report = fsck(&place.repo, args.full, &task)?;
    if out.json {
        let findings = report.findings.iter();
        let findings =
            findings.map(|Finding { place, what }| FindingRow { place: place.clone(), what: what.clone() });
        let moved = moved.iter().map(|Moved { from, to, what }| MovedRow {
            from: from.into(),
            to: to.into(),
            what: what.clone(),
        });
        out.value(&Checked {
            commits: report.commits,
            trees: report.trees,
            files: report.files,
            objects: report.objects,
            bytes_verified: report.bytes_verified,
            findings: findings.collect(),
            set_aside: report.set_aside.iter().map(OnDisk::from).collect(),
            moved: moved.collect(),
        })?;
    } else {
        for Moved { from, to, what } in &moved {
            let from = out.paint(Colour::Red, quote::file(from));
            out.line(format_args!("{from}: {what}; moved to {}", quote::file(to)))?;
        }
        for path in &report.set_aside {
            out.line(format_args!("set aside: {}", quote::file(path)))?;
        }
        for finding in &report.findings {
            out.line(format_args!("{}: {}", out.paint(Colour::Red, &finding.place), finding.what))?;
        }
        out.line(format_args!(
            "{} commits, {} directories, {} files, {} objects; {} read back",
            report.commits,
            report.trees,
            report.files,
            report.objects,
            ByteSize(report.bytes_verified),
        ))?;
        match report.findings.len() {
            0 => out.line(out.paint(Colour::Green, "nothing is wrong"))?,
            1 => out.line("1 thing is wrong")?,
            count => out.line(format_args!("{count} things are wrong"))?,
        }
    }
    let is_well = report.findings.is_empty() && moved.is_empty();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(DAMAGE) })
}
