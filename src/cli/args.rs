//! The grammar of the command line.

use super::aliases::Meant;
use super::closed::stdout_was_closed;
use super::context::Context;
use super::error::{CommandError, Result};
use super::json::{Text, Version};
use super::output::{Colour, Output, Printing, say};
use super::{
    add, aliases, best, bisect, blame, branch, cat, check_attr, check_ignore, clean, commit, compare, config,
    convert, diff, drain, export, fsck, git_options, habits, hooks, init, lineage, log, ls, manifest, merge,
    mv, notes, plot, prefetch, progress, reference, reflog, repack, replay, reset, restore, rm, show,
    similar, soup, stash, stats, status, switch, tag, translated, undo, verify, watch, workflows,
};
#[cfg(feature = "mount")]
use super::{demo, mount, mount_options, mounts, umount};
use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
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
    /// Run as if started in DIR; of several each is relative to the one before
    #[arg(short = 'C', value_name = "DIR", global = true)]
    start_in: Vec<PathBuf>,
    /// Print one JSON object instead of text, also of what fails
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing of what succeeds
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Paint what is printed: `auto` for terminals only, `always` or `never`
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto", value_parser = ["auto", "always", "never"])]
    color: String,
    /// Print long texts at once
    #[arg(long, global = true)]
    no_pager: bool,
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
    #[cfg(feature = "mount")]
    Mounts(mounts::Args),
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
    Plot(plot::Args),
    Export(export::Args),
    Convert(convert::Args),
    Branch(branch::Args),
    #[command(visible_alias = "checkout")]
    Switch(switch::Args),
    Merge(merge::Args),
    Soup(Box<soup::Args>),
    CherryPick(replay::CherryPick),
    Revert(replay::Revert),
    Tag(tag::Args),
    Notes(notes::Args),
    Best(best::Args),
    Blame(blame::Args),
    Bisect(bisect::Args),
    Undo(undo::UndoArgs),
    Redo(undo::RedoArgs),
    Op(undo::OpArgs),
    Watch(watch::Args),
    Stats(stats::Args),
    Fsck(fsck::Args),
    Verify(verify::Args),
    Manifest(manifest::Args),
    Drain(drain::Args),
    Prefetch(prefetch::Args),
    Repack(repack::Args),
    CheckIgnore(check_ignore::Args),
    CheckAttr(check_attr::Args),
    Config(config::Args),
    Completions(reference::CompletionsArgs),
    Man(reference::ManArgs),
    #[command(hide = true)]
    Workflows(workflows::Args),
    #[command(hide = true)]
    Reference(reference::ReferenceArgs),
    #[cfg(feature = "mount")]
    Demo(demo::Args),
}

/// Runs the command with these arguments, the program's name first, and says how it ended: 0 success, 1 failure or no,
/// 2 wrong usage, 3 that it could not be told where 1 is no, 4 damage, 128 and the number of the signal that stopped it.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    #[cfg(feature = "mount")]
    let arguments = mount_options::translated(arguments);
    let arguments = match without_aliases(arguments) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    survive_file_size_limit();
    // Whoever wants JSON wants it of wrong usage, help and the version too.
    let wants_json = wants_json(&arguments);
    let arguments = translated::translated(arguments);
    let args = match parsed(&arguments) {
        Ok(args) => args,
        Err(error) => return explain(&error, &arguments, wants_json),
    };
    let out = Output::new(args.verb.name(), &args.printing());
    match dispatch(args, &out).and_then(|code| out.finish().map(|()| code)) {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            if out.json {
                out.failure(&error);
            }
            print(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// What the arguments mean. Options of git that change nothing are heard as well.
fn parsed(arguments: &[OsString]) -> std::result::Result<Args, clap::Error> {
    let mut grammar = git_options::widened(Args::command());
    let matches = grammar.try_get_matches_from_mut(arguments)?;
    Args::from_arg_matches(&matches).map_err(|error| error.format(&mut grammar))
}

fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json")
}

/// The command line with what aliases stand for; the end of this one if there is nothing more to do.
fn without_aliases(arguments: Vec<OsString>) -> std::result::Result<Vec<OsString>, ExitCode> {
    let json = wants_json(&arguments);
    let out = |verb| Output::new(verb, &Printing { json, ..Printing::default() });
    let done = match aliases::expanded(arguments, &Args::command()) {
        Ok(Meant::Words(arguments)) => return Ok(arguments),
        Ok(Meant::Told { name, text }) => {
            let out = out("help");
            out.line(format_args!("`{name}` is an alias for `{text}`")).and_then(|()| out.finish())
        }
        Err(error) => Err(error),
    };
    Err(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                out("error").failure(&error);
            }
            print(&error);
            ExitCode::from(error.exit_code())
        }
    })
}

/// Says what is wrong with a command line. Help and version go to the standard output with success, wrong usage to the
/// error output with 2.
fn explain(error: &clap::Error, arguments: &[OsString], wants_json: bool) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    let grammar = Args::command();
    let known = aliases::known(arguments, &grammar);
    let told = habits::explained(error, arguments, &grammar, &known);
    let helped = match error.kind() {
        ErrorKind::DisplayHelp if !known.is_empty() => with_aliases(grammar, arguments, &known),
        _ => None,
    };
    let error = helped.as_ref().unwrap_or(error);
    if wants_json && code == 0 {
        return print_text_as_json(error);
    }
    if wants_json {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let plain = CommandError::usage(first.strip_prefix("error: ").unwrap_or(first));
        Output::new("error", &Printing { json: true, ..Printing::default() })
            .failure(told.as_ref().unwrap_or(&plain));
    }
    match told {
        Some(told) => {
            print(&told);
            ExitCode::from(told.exit_code())
        }
        None => match print_plain(error) {
            Err(unprintable) if code == 0 && !unprintable.is_broken_pipe() => {
                print(&unprintable);
                ExitCode::from(unprintable.exit_code())
            }
            Ok(()) | Err(_) => ExitCode::from(code),
        },
    }
}

/// Prints help, the version, or what is wrong with a command line.
fn print_plain(error: &clap::Error) -> Result<()> {
    let cannot = |error: std::io::Error| CommandError::unprintable(&error);
    if stdout_was_closed() && !error.use_stderr() {
        return Err(cannot(std::io::Error::from_raw_os_error(libc::EBADF)));
    }
    error.print().and_then(|()| std::io::stdout().flush()).map_err(cannot)
}

/// The help that names aliases as well.
fn with_aliases(grammar: Command, arguments: &[OsString], known: &[(String, String)]) -> Option<clap::Error> {
    let closing = grammar.get_after_help().map(ToString::to_string).unwrap_or_default();
    let grammar = grammar.after_help(format!("{}\n\n{closing}", aliases::listed(known)));
    grammar.try_get_matches_from(arguments).err()
}

/// Help and the version are texts.
fn print_text_as_json(error: &clap::Error) -> ExitCode {
    let out = |verb| Output::new(verb, &Printing { json: true, ..Printing::default() });
    let told = match error.kind() {
        ErrorKind::DisplayVersion => out("version").value(&Version { version: env!("CARGO_PKG_VERSION") }),
        _ => out("help").value(&Text { text: error.to_string() }),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            print(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

impl Args {
    /// How it is to be printed.
    fn printing(&self) -> Printing {
        let colour = match self.color.as_str() {
            "always" => Some(true),
            "never" => Some(false),
            _ => None,
        };
        let is_long = matches!(
            self.verb,
            Verb::Log(_)
                | Verb::Diff(_)
                | Verb::Show(_)
                | Verb::Reflog(_)
                | Verb::Op(_)
                | Verb::Compare(_)
                | Verb::Blame(_)
        );
        let pager = ["CORAL_PAGER", "PAGER"].into_iter().find_map(|name| std::env::var(name).ok());
        let pager = pager.unwrap_or_else(|| "less".into());
        // A pager moves the cursor, which a dumb terminal cannot.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_paged = is_long && !self.no_pager && !is_dumb && !matches!(pager.as_str(), "" | "cat");
        Printing { json: self.json, colour, quiet: self.quiet && !is_long, pager: is_paged.then_some(pager) }
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
    /// Its name.
    fn name(&self) -> &'static str {
        match self {
            Verb::Init(_) => "init",
            #[cfg(feature = "mount")]
            Verb::Mount(_) => "mount",
            #[cfg(feature = "mount")]
            Verb::Umount(_) => "umount",
            #[cfg(feature = "mount")]
            Verb::Mounts(_) => "mounts",
            #[cfg(feature = "mount")]
            Verb::Demo(_) => "demo",
            Verb::Add(_) => "add",
            Verb::Rm(_) => "rm",
            Verb::Mv(_) => "mv",
            Verb::Clean(_) => "clean",
            Verb::Restore(_) => "restore",
            Verb::Reset(_) => "reset",
            Verb::Stash(_) => "stash",
            Verb::Status(_) => "status",
            Verb::Commit(_) => "commit",
            Verb::Drain(_) => "drain",
            Verb::Prefetch(_) => "prefetch",
            Verb::Diff(_) => "diff",
            Verb::Compare(_) => "compare",
            Verb::Log(_) => "log",
            Verb::Reflog(_) => "reflog",
            Verb::Show(_) => "show",
            Verb::Ls(_) => "ls",
            Verb::Cat(_) => "cat",
            Verb::Similar(_) => "similar",
            Verb::Lineage(_) => "lineage",
            Verb::Plot(_) => "plot",
            Verb::Export(_) => "export",
            Verb::Convert(_) => "convert",
            Verb::Branch(_) => "branch",
            Verb::Switch(_) => "switch",
            Verb::Merge(_) => "merge",
            Verb::Soup(_) => "soup",
            Verb::CherryPick(_) => "cherry-pick",
            Verb::Revert(_) => "revert",
            Verb::Tag(_) => "tag",
            Verb::Notes(_) => "notes",
            Verb::Best(_) => "best",
            Verb::Blame(_) => "blame",
            Verb::Bisect(_) => "bisect",
            Verb::Undo(_) => "undo",
            Verb::Redo(_) => "redo",
            Verb::Op(_) => "op",
            Verb::Watch(_) => "watch",
            Verb::Stats(_) => "stats",
            Verb::Fsck(_) => "fsck",
            Verb::Verify(_) => "verify",
            Verb::Manifest(_) => "manifest",
            Verb::Repack(_) => "repack",
            Verb::CheckIgnore(_) => "check-ignore",
            Verb::CheckAttr(_) => "check-attr",
            Verb::Config(_) => "config",
            Verb::Completions(_) => "completions",
            Verb::Man(_) => "man",
            Verb::Workflows(_) => "workflows",
            Verb::Reference(_) => "reference",
        }
    }

    /// Whether it changes nothing of the repository.
    fn only_looks(&self) -> bool {
        match self {
            Verb::Branch(args) => args.only_looks(),
            Verb::Tag(args) => args.only_looks(),
            #[cfg(feature = "mount")]
            Verb::Mounts(_) => true,
            Verb::Watch(_)
            | Verb::Status(_)
            | Verb::Diff(_)
            | Verb::Compare(_)
            | Verb::Log(_)
            | Verb::Reflog(_)
            | Verb::Show(_)
            | Verb::Ls(_)
            | Verb::Cat(_)
            | Verb::Similar(_)
            | Verb::Lineage(_)
            | Verb::Plot(_)
            | Verb::Export(_)
            | Verb::Convert(_)
            | Verb::Best(_)
            | Verb::Blame(_)
            | Verb::Stats(_)
            | Verb::Fsck(_)
            | Verb::CheckIgnore(_)
            | Verb::CheckAttr(_)
            | Verb::Config(_)
            | Verb::Completions(_)
            | Verb::Man(_)
            | Verb::Workflows(_)
            | Verb::Reference(_) => true,
            _ => false,
        }
    }

    /// Whether it ends with 1 to say no, so that it ends with another number if it cannot tell.
    fn answers(&self) -> bool {
        match self {
            Verb::Diff(args) => args.answers(),
            Verb::CheckIgnore(_) | Verb::CheckAttr(_) => true,
            _ => false,
        }
    }

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
            Verb::Export(_) | Verb::Convert(_) => {
                "what was written was removed again; the same command begins again"
            }
            Verb::Prefetch(_) => "the copies that were made stay; the same command goes on",
            Verb::Drain(_) | Verb::Repack(_) => "every object is where it was; the same command begins again",
            Verb::Fsck(_) => {
                "checking changes nothing, and what --rebuild wrote anew is whole; the same command begins again"
            }
            _ => "nothing was changed",
        }
    }
}

fn dispatch(args: Args, out: &Output) -> Result<ExitCode> {
    let context = Context::new(args.start_in, args.verb.only_looks())?;
    let (left, answers) = (args.verb.left_by_stop(), args.verb.answers());
    let watched = match args.verb.only_looks() {
        true => None,
        // Where there is no repository yet, nobody has programs in it.
        false => context.open_quietly().and_then(|place| Some((hooks::Moves::watched(&place)?, place))),
    };
    let done = perform(args.verb, &context, out);
    if let Some((moves, place)) = watched {
        moves.tell(&place, &progress::task()?);
    }
    done.map_err(|error| error.or_stopped(left).or_no_answer(answers))
}

fn perform(verb: Verb, context: &Context, out: &Output) -> Result<ExitCode> {
    let done: std::result::Result<(), CommandError> = match verb {
        Verb::Init(args) => init::run(context, out, args),
        #[cfg(feature = "mount")]
        Verb::Mount(args) => mount::run(context, out, args),
        #[cfg(feature = "mount")]
        Verb::Umount(args) => umount::run(context, out, args),
        #[cfg(feature = "mount")]
        Verb::Mounts(args) => mounts::run(context, out, args),
        #[cfg(feature = "mount")]
        Verb::Demo(args) => demo::run(context, out, args),
        Verb::Add(args) => add::run(context, out, args),
        Verb::Mv(args) => mv::run(context, out, args),
        Verb::Clean(args) => clean::run(context, out, args),
        Verb::Notes(args) => notes::run(context, out, args),
        Verb::Blame(args) => blame::run(context, out, args),
        Verb::Bisect(args) => return bisect::run(context, out, args),
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
        Verb::Plot(args) => plot::run(context, out, args),
        Verb::Export(args) => export::run(context, out, args),
        Verb::Convert(args) => convert::run(context, out, args),
        Verb::Branch(args) => branch::run(context, out, args),
        Verb::Switch(args) => switch::run(context, out, args),
        Verb::Merge(args) => return merge::run(context, out, args),
        Verb::Soup(args) => return soup::run(context, out, *args),
        Verb::CherryPick(args) => return replay::cherry_pick(context, out, args),
        Verb::Revert(args) => return replay::revert(context, out, args),
        Verb::Tag(args) => tag::run(context, out, args),
        Verb::Undo(args) => undo::undo(context, out, args),
        Verb::Redo(args) => undo::redo(context, out, args),
        Verb::Op(args) => undo::op(context, out, args),
        Verb::Watch(args) => watch::run(context, out, args),
        Verb::Stats(args) => stats::run(context, out, args),
        Verb::Fsck(args) => return fsck::run(context, out, args),
        Verb::Verify(args) => return verify::run(context, out, args),
        Verb::Manifest(args) => manifest::run(context, out, args),
        Verb::Drain(args) => drain::run(context, out, args),
        Verb::Prefetch(args) => prefetch::run(context, out, args),
        Verb::Repack(args) => repack::run(context, out, args),
        Verb::CheckIgnore(args) => return check_ignore::run(context, out, args),
        Verb::CheckAttr(args) => return check_attr::run(context, out, args),
        Verb::Config(args) => config::run(&Args::command(), context, out, args),
        Verb::Completions(args) => reference::completions(Args::command(), out, &args),
        Verb::Man(args) => reference::man(Args::command(), context, out, &args),
        Verb::Workflows(args) => workflows::run(out, args),
        Verb::Reference(args) => reference::reference(Args::command(), context, out, &args),
    };
    done.map(|()| ExitCode::SUCCESS)
}
