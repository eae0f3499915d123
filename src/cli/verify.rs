use super::context::Context;
use super::error::{DAMAGE, Result};
use super::json::Id;
use super::output::{Colour, Output};
use super::progress::task;
use super::quote;
use crate::history::{Verified, verify_commit};
use crate::units::ByteSize;
use schemars::JsonSchema;
use serde::Serialize;
use std::process::ExitCode;

/// Read every byte of commits, and compare it with what their ids vouch for
///
/// The id of a commit is the BLAKE3 of all that it names: who has it from somebody whom he trusts, and finds the commit to be whole
/// by this, has the very bytes that were committed. `coral fsck --full` checks all commits and what belongs to none. Ends with 4 if a byte
/// is not what it was, or is missing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Branches, tags or other names of commits
    #[arg(value_name = "REF", default_value = "HEAD")]
    revisions: Vec<String>,
}

/// What was read, commit by commit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VerifiedCommits {
    /// In the order in which they were named
    commits: Vec<VerifiedCommit>,
}

/// One commit.
#[derive(Debug, Serialize, JsonSchema)]
struct VerifiedCommit {
    /// As it was named
    revision: String,
    id: Id,
    /// Each place of equal ones counted
    files: u64,
    /// Below the top
    directories: u64,
    /// Symbolic links
    links: u64,
    /// Of files, each place of equal ones counted
    bytes: u64,
    /// What is not what was committed; with any in one of them the command ends with 4
    findings: Vec<Wrong>,
}

/// Something that is not what was committed.
#[derive(Debug, Serialize, JsonSchema)]
struct Wrong {
    /// The path of a file, or what else it is in words
    place: String,
    what: String,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<ExitCode> {
    let place = context.open()?;
    let task = task()?;
    let mut commits = Vec::new();
    for revision in args.revisions {
        let id = place.repo.resolve(&revision, place.now())?;
        let verified = verify_commit(&place.repo, id, &task)?;
        if !out.json {
            print(out, &revision, &id.to_string(), &verified)?;
        }
        let Verified { files, directories, links, bytes, findings } = verified;
        let findings =
            findings.into_iter().map(|finding| Wrong { place: finding.place, what: finding.what }).collect();
        commits.push(VerifiedCommit { revision, id: id.into(), files, directories, links, bytes, findings });
    }
    let is_whole = commits.iter().all(|commit| commit.findings.is_empty());
    if out.json {
        out.value(&VerifiedCommits { commits })?;
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(DAMAGE) })
}

fn print(out: &Output, revision: &str, id: &str, verified: &Verified) -> Result<()> {
    let name = quote::text(revision);
    for finding in &verified.findings {
        let at = out.paint(Colour::Red, format_args!("{name}: {}", quote::name(finding.place.as_bytes())));
        out.line(format_args!("{at}: {}", quote::text(&finding.what)))?;
    }
    let files = verified.files;
    let s = if files == 1 { "" } else { "s" };
    let read = format!("{name} {}: {files} file{s}, {}", &id[..10], ByteSize(verified.bytes));
    match verified.findings.len() {
        0 => out.line(out.paint(Colour::Green, format_args!("{read}: every byte is what was committed"))),
        1 => out.line(format_args!("{read}: 1 thing is wrong")),
        count => out.line(format_args!("{read}: {count} things are wrong")),
    }
}
