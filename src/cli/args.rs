//! The grammar of the command line.

use super::context::Context;
use super::error::{CommandError, Result};
use super::output::{Colour, Output, say};
use super::{
    add, best, branch, cat, clean, commit, compare, config, diff, drain, export, fsck, habits, init, lineage,
    log, ls, merge, mv, notes, reflog, repack, replay, reset, restore, rm, show, similar, stash, stats,
    status, switch, tag, undo,
};
#[cfg(feature = "mount")]
use super::{demo, mount, umount};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Git for neural network weights, whose working copy is a filesystem.
#[derive(Debug, Parser)]
#[command(name = "coral", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "A terminal shows how far long commands are. CORAL_PROGRESS=plain writes a line every half minute \
    instead, for logs; `bar` shows bars everywhere, `none` nothing. Ctrl-C ends a command cleanly, twice at once."
)]
struct Args {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true)]
    start_in: Option<PathBuf>,
    /// Print one JSON value instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
    #[cfg(feature = "mount")]
    Mount(mount::Args),
    #[cfg(feature = "mount")]
    #[command(visible_alias = "unmount")]
    Umount(umount::Args),
    Add(add::Args),
    Rm(rm::Args),
    Mv(mv::Args),
    Clean(clean::Args),
    Restore(restore::Args),
    Reset(reset::Args),
    Stash(stash::Args),
    Status(status::Args),
    Commit(commit::Args),
    Diff(diff::Args),
    Compare(compare::Args),
    Log(log::Args),
    Reflog(reflog::Args),
    Show(show::Args),
    Ls(ls::Args),
    Cat(cat::Args),
    Similar(similar::Args),
    Lineage(lineage::Args),
    Export(export::Args),
    Branch(branch::Args),
    #[command(visible_alias = "checkout")]
    Switch(switch::Args),
    Merge(merge::Args),
    CherryPick(replay::CherryPick),
    Revert(replay::Revert),
    Tag(tag::Args),
    Notes(notes::Args),
    Best(best::Args),
    Undo(undo::UndoArgs),
    Redo(undo::RedoArgs),
    Op(undo::OpArgs),
    Stats(stats::Args),
    Fsck(fsck::Args),
    Drain(drain::Args),
    Repack(repack::Args),
    Config(config::Args),
    #[cfg(feature = "mount")]
    Demo(demo::Args),
}

/// Runs the command with these arguments, the program's name first, and says how it ended: 0 success, 1 failure,
/// 2 wrong usage, 128 and the number of the signal that stopped it.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    survive_file_size_limit();
    let args = match Args::try_parse_from(habits::translated(arguments)) {
        Ok(args) => args,
        Err(error) => {
            if let Some(explained) = habits::explained(&error) {
                print(&explained);
                return ExitCode::from(explained.exit_code());
            }
            // Help and version go to the standard output with success, wrong usage to the error output with 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let out = Output::new(args.json);
    match dispatch(args, &out) {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            print(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Says on the error output what went wrong, and the ways out.
fn print(error: &CommandError) {
    say("error", Colour::Red, error.message());
    error.hints().iter().for_each(|hint| say("hint", Colour::Cyan, hint));
}

/// A file that would be longer than this process may write is an error as any other, not the end of the process.
fn survive_file_size_limit() {
    // SAFETY: no handler is installed: the signal is ignored, and the write says EFBIG.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

impl Verb {
    /// What is left when it was stopped, and how to go on.
    fn left_by_stop(&self) -> &'static str {
        match self {
            Verb::Add(_) => "nothing was added; the same command begins again",
            Verb::Commit(_) => {
                "nothing was committed, and the worktree is as it was; the same command begins again"
            }
            Verb::Merge(_) | Verb::CherryPick(_) | Verb::Revert(_) => {
                "`coral status` tells whether it is under way: then `--continue` goes on with it, `--abort` gives it up"
            }
            Verb::Export(_) => "what was written was removed again; the same command begins again",
            Verb::Drain(_) | Verb::Repack(_) => "every object is where it was; the same command begins again",
            Verb::Fsck(_) => {
                "checking changes nothing, and what --rebuild wrote anew is whole; the same command begins again"
            }
            _ => "nothing was changed",
        }
    }
}

fn dispatch(args: Args, out: &Output) -> Result<ExitCode> {
    let context = Context::new(args.start_in)?;
    let left = args.verb.left_by_stop();
    perform(args.verb, &context, out).map_err(|error| error.or_stopped(left))
}

fn perform(verb: Verb, context: &Context, out: &Output) -> Result<ExitCode> {
    let done: std::result::Result<(), CommandError> = match verb {
        Verb::Init(args) => init::run(context, out, args),
        #[cfg(feature = "mount")]
        Verb::Mount(args) => mount::run(context, out, args),
        #[cfg(feature = "mount")]
        Verb::Umount(args) => umount::run(context, out, args),
        #[cfg(feature = "mount")]
        Verb::Demo(args) => demo::run(context, out, args),
        Verb::Add(args) => add::run(context, out, args),
        Verb::Mv(args) => mv::run(context, out, args),
        Verb::Clean(args) => clean::run(context, out, args),
        Verb::Notes(args) => notes::run(context, out, args),
        Verb::Best(args) => best::run(context, out, args),
        Verb::Rm(args) => rm::run(context, out, args),
        Verb::Reset(args) => reset::run(context, out, args),
        Verb::Stash(args) => stash::run(context, out, args),
        Verb::Restore(args) => restore::run(context, out, args),
        Verb::Status(args) => status::run(context, out, args),
        Verb::Commit(args) => commit::run(context, out, args),
        Verb::Diff(args) => return diff::run(context, out, args),
        Verb::Compare(args) => compare::run(context, out, args),
        Verb::Log(args) => log::run(context, out, args),
        Verb::Reflog(args) => reflog::run(context, out, args),
        Verb::Show(args) => show::run(context, out, args),
        Verb::Ls(args) => ls::run(context, out, args),
        Verb::Cat(args) => cat::run(context, out, args),
        Verb::Similar(args) => similar::run(context, out, args),
        Verb::Lineage(args) => lineage::run(context, out, args),
        Verb::Export(args) => export::run(context, out, args),
        Verb::Branch(args) => branch::run(context, out, args),
        Verb::Switch(args) => switch::run(context, out, args),
        Verb::Merge(args) => return merge::run(context, out, args),
        Verb::CherryPick(args) => return replay::cherry_pick(context, out, args),
        Verb::Revert(args) => return replay::revert(context, out, args),
        Verb::Tag(args) => tag::run(context, out, args),
        Verb::Undo(args) => undo::undo(context, out, args),
        Verb::Redo(args) => undo::redo(context, out, args),
        Verb::Op(args) => undo::op(context, out, args),
        Verb::Stats(args) => stats::run(context, out, args),
        Verb::Fsck(args) => return fsck::run(context, out, args),
        Verb::Drain(args) => drain::run(context, out, args),
        Verb::Repack(args) => repack::run(context, out, args),
        Verb::Config(args) => config::run(context, out, args),
    };
    done.map(|()| ExitCode::SUCCESS)
}
