use super::context::Context;
use super::error::Result;
use super::json::Id;
use super::output::{Colour, Output, note};
use super::signals::Signals;
use super::{quote, when};
use crate::history;
use crate::id::CommitId;
use crate::task::Stop;
use crate::units::Timestamp;
use crate::workspace::{RefMove, RefPlace, RefWatch};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

/// How often refs are looked at. A look reads one small file a ref.
const INTERVAL: Duration = Duration::from_millis(200);

/// Say when a branch, a tag or HEAD moves
///
/// For whoever serves a model from MNT/branches/NAME or MNT/HEAD: here he learns when to load it again, as inotify tells
/// nothing of such file systems. Each move is one line, with --json one JSON object on a line, whoever made it. It needs no
/// mount and outlives all of them. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Branches, tags or HEAD, also such as are not there yet; all if none is named
    #[arg(value_name = "REF")]
    names: Vec<String>,
    /// Run by the shell at each move; CORAL_REF, CORAL_KIND, CORAL_OLD, CORAL_NEW and CORAL_REPOSITORY tell it of what. What
    /// moves meanwhile is told of afterwards
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    /// Begin with where they are now
    #[arg(long)]
    initial: bool,
    /// End after so many
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
}

/// A move of a ref, one line each.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Moved {
    /// Its name
    #[serde(rename = "ref")]
    of: String,
    #[schemars(extend("enum" = ["HEAD", "branch", "tag"]))]
    kind: &'static str,
    /// The commit that it named; null if it was not there, or had none
    old: Option<Id>,
    /// The commit that it names; null if it is gone, or has none
    new: Option<Id>,
    /// The branch that HEAD is at now
    branch: Option<String>,
    /// Why, as its log tells
    message: Option<String>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let mut watch = RefWatch::begin(&place.repo, args.names.clone())?;
    // What moves from here on is told.
    let signals = Signals::catch();
    for name in watch.missing() {
        note(format!("there is no `{}` yet", quote::name(name.as_bytes())));
    }
    let mut teller =
        Teller { out, exec: args.exec, repository: &place.folder, offset: context.offset_minutes };
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut moves = if args.initial { watch.known() } else { Vec::new() };
    let mut trouble = None;
    // Of no move there is no object.
    out.bytes(&[])?;
    note(format!(
        "watching {}",
        if args.names.is_empty() { "all refs".into() } else { args.names.join(", ") }
    ));
    loop {
        for moved in &moves {
            if left == 0 || signals.is_asked() {
                return Ok(());
            }
            teller.tell(moved)?;
            left -= 1;
        }
        if left == 0 || signals.is_asked() {
            return Ok(());
        }
        sleep(INTERVAL);
        moves = match watch.look() {
            Ok(moves) => {
                trouble = None;
                moves
            }
            Err(gone @ history::Error::Replaced(_)) => return Err(gone.into()),
            // A disk of the network may come back.
            Err(error) => {
                let said = error.to_string();
                if trouble.as_ref() != Some(&said) {
                    note(format!("refs cannot be read, and are tried again: {said}"));
                }
                trouble = Some(said);
                Vec::new()
            }
        };
    }
}

/// Who says what moved, and where.
struct Teller<'a> {
    out: &'a Output,
    exec: Option<String>,
    repository: &'a Path,
    offset: i16,
}

impl Teller<'_> {
    fn tell(&mut self, moved: &RefMove) -> Result<()> {
        match self.out.json {
            true => self.out.record(&Moved::from(moved))?,
            false => self.say(moved)?,
        }
        if let Some(command) = &self.exec {
            self.carry_out(command, moved);
        }
        Ok(())
    }

    fn say(&self, moved: &RefMove) -> Result<()> {
        let out = self.out;
        let place = |place: &Option<RefPlace>| match place {
            None => "nothing".to_owned(),
            Some(RefPlace { commit, branch }) => {
                let commit = commit.map_or("no commit".to_owned(), |id| id.to_string()[..10].to_owned());
                let branch =
                    branch.as_ref().map(|branch| format!(" ({})", quote::name(branch.as_str().as_bytes())));
                format!("{}{}", out.paint(Colour::Yellow, commit), branch.unwrap_or_default())
            }
        };
        let at = when::date(Timestamp::from(SystemTime::now()), self.offset);
        let kind = if moved.of.kind() == "HEAD" { String::new() } else { format!("{} ", moved.of.kind()) };
        let name = out.paint(Colour::Cyan, quote::name(moved.of.name().as_bytes()));
        let why = moved.why.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
        out.line(format_args!(
            "{} {kind}{name}: {} -> {}{why}",
            &at[..19],
            place(&moved.old),
            place(&moved.new)
        ))
    }

    /// Who watches goes on, whatever becomes of a command.
    fn carry_out(&self, command: &str, moved: &RefMove) {
        let id = |place: &Option<RefPlace>| commit(place).map(|id| id.to_string()).unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::null());
        shell.env("CORAL_REF", moved.of.name()).env("CORAL_KIND", moved.of.kind());
        shell.env("CORAL_OLD", id(&moved.old)).env("CORAL_NEW", id(&moved.new));
        shell.env("CORAL_REPOSITORY", self.repository);
        match shell.status() {
            Ok(status) if status.success() => {}
            Ok(status) => note(format!("`{command}` ended with {status}")),
            Err(error) => note(format!("`{command}` cannot be run: {error}")),
        }
    }
}

fn commit(place: &Option<RefPlace>) -> Option<CommitId> {
    place.as_ref().and_then(|place| place.commit)
}

impl From<&RefMove> for Moved {
    fn from(moved: &RefMove) -> Self {
        let branch = moved.new.as_ref().and_then(|place| place.branch.as_ref());
        Self {
            of: moved.of.name().to_owned(),
            kind: moved.of.kind(),
            old: commit(&moved.old).map(Id::from),
            new: commit(&moved.new).map(Id::from),
            branch: branch.map(ToString::to_string),
            message: moved.why.clone(),
        }
    }
}
