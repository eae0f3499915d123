use super::context::Context;
use super::error::{CommandError, Result};
use super::json::Id;
use super::message::MessageArgs;
use super::output::{Colour, Output, warn};
use crate::id::CommitId;
use schemars::JsonSchema;
use serde::Serialize;

/// Say something about commits afterwards, without changing them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say something about a commit, in place of what was said before
    Add {
        #[command(flatten)]
        message: MessageArgs,
        /// Behind what was said before
        #[arg(short, long)]
        append: bool,
        /// The commit
        #[arg(value_name = "REF", default_value = "HEAD")]
        commit: String,
    },
    /// What was said about a commit
    Show {
        /// The commit
        #[arg(value_name = "REF", default_value = "HEAD")]
        commit: String,
    },
    /// Say nothing about a commit any more
    Remove {
        /// The commit
        #[arg(value_name = "REF", default_value = "HEAD")]
        commit: String,
    },
    /// The commits of which something was said, which is also what no action does
    List,
}

/// What is said about a commit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NoteRow {
    commit: Id,
    /// Null where nothing is any more
    note: Option<String>,
}

/// Everything that is said about commits.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Notes {
    notes: Vec<NoteRow>,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    let place = context.open()?;
    let resolve = |text: &str| place.repo.resolve(text, place.now());
    let none = |text: &str| {
        CommandError::new(format!("nothing was said about `{text}`"))
            .hint("`coral notes add -m TEXT` says something")
    };
    match args.action.unwrap_or(Action::List) {
        Action::Add { message, append, commit } => {
            let id = resolve(&commit)?;
            let before = place.notes().of(id)?.unwrap_or_default();
            let text = message.asked(&place, &before)?;
            let text = if append && !before.is_empty() { format!("{before}\n\n{text}") } else { text };
            if text.trim().is_empty() {
                return Err(CommandError::new("the note is empty, nothing was said"));
            }
            warn(&place.notes().set(id, &text)?);
            match out.json {
                true => out.value(&NoteRow { commit: id.into(), note: Some(text) }),
                false => out.line(format_args!("noted of {}", &id.to_string()[..10])),
            }
        }
        Action::Show { commit } => {
            let id = resolve(&commit)?;
            let text = place.notes().of(id)?.ok_or_else(|| none(&commit))?;
            match out.json {
                true => out.value(&NoteRow { commit: id.into(), note: Some(text) }),
                false => text.lines().try_for_each(|line| out.line(line)),
            }
        }
        Action::Remove { commit } => {
            let id = resolve(&commit)?;
            place.notes().of(id)?.ok_or_else(|| none(&commit))?;
            warn(&place.notes().remove(id)?);
            match out.json {
                true => out.value(&NoteRow { commit: id.into(), note: None }),
                false => out.line(format_args!("nothing is noted of {} any more", &id.to_string()[..10])),
            }
        }
        Action::List => {
            let notes = place.notes().all()?;
            if out.json {
                let row = |(id, text): (CommitId, String)| NoteRow { commit: id.into(), note: Some(text) };
                return out.value(&Notes { notes: notes.into_iter().map(row).collect() });
            }
            notes.iter().try_for_each(|(id, text)| {
                let id = out.paint(Colour::Yellow, &id.to_string()[..10]);
                out.line(format_args!("{id} {}", text.lines().next().unwrap_or_default()))
            })
        }
    }
}
