//! What the grammar of the command line says of itself: completions for shells, man pages, and a page of documentation.

use super::context::Context;
use super::error::{CommandError, Result};
use super::output::Output;
use super::schemas::{Document, documents};
use clap::{Command, ValueEnum};
use clap_complete::Shell;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Print what a shell needs to complete commands and options
///
/// For bash: `coral completions bash > ~/.local/share/bash-completion/completions/coral`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", value_parser = parse_shell)]
    shell: Shell,
}

/// Write man pages
///
/// One for each command into DIR, such as ~/.local/share/man/man1.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder, which is made if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Print all commands and options as Markdown
#[derive(Debug, clap::Args)]
pub struct ReferenceArgs {
    /// Write a JSON Schema of what each command prints into this folder instead
    #[arg(long, value_name = "DIR")]
    schemas: Option<PathBuf>,
}

fn parse_shell(name: &str) -> std::result::Result<Shell, String> {
    Shell::from_str(name, true).map_err(|_| "shells are bash, zsh, fish, elvish and powershell".into())
}

/// Branches and tags where revisions stand: they are asked for when somebody wants them. Names go into no list of words, which bash
/// would expand, and are quoted for the command line.
const BASH_REFS: &str = r#"
_coral_with_refs() {
    _coral "$@"
    local word="${COMP_WORDS[COMP_CWORD]}" kind name
    [[ "${word}" == -* ]] && return 0
    case "${COMP_WORDS[1]}" in
        switch|checkout|merge|log|show|diff|branch|reset|cherry-pick|revert|soup) ;;
        *) return 0 ;;
    esac
    for kind in branch tag; do
        while IFS= read -r name; do
            [[ "${name}" == "${word}"* ]] && COMPREPLY+=("$(printf '%q' "${name}")")
        done < <(coral --json "${kind}" 2>/dev/null | sed -n 's/^ *"'"${kind}"'": "\([^"\\]*\)",$/\1/p')
    done
    return 0
}
complete -F _coral_with_refs -o bashdefault -o default coral
"#;

/// Prints completions.
pub fn completions(mut grammar: Command, out: &Output, args: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut grammar, "coral", &mut text);
    let mut text = String::from_utf8(text).map_err(CommandError::new)?;
    if args.shell == Shell::Bash {
        text.push_str(BASH_REFS);
    }
    out.text(text)
}

/// Writes man pages.
pub fn man(grammar: Command, context: &Context, out: &Output, args: &ManArgs) -> Result<()> {
    let folder = context.absolute(&args.folder);
    let cannot = |error| CommandError::new(format!("cannot write to `{}`: {error}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(cannot)?;
    clap_mangen::generate_to(grammar.disable_help_subcommand(true), &folder).map_err(cannot)?;
    out.line(format_args!("man pages in {}", folder.display()))
}

/// Writes the schema of what each command prints.
fn write_schemas(grammar: &Command, out: &Output, folder: &Path) -> Result<()> {
    let cannot = |error| CommandError::new(format!("cannot write to `{}`: {error}", folder.display()));
    let documents = documents(grammar)
        .map_err(|verb| CommandError::new(format!("what `{verb}` prints is described nowhere")))?;
    std::fs::create_dir_all(folder).map_err(cannot)?;
    for Document { name, schema } in &documents {
        std::fs::write(folder.join(format!("{name}.json")), format!("{schema:#}\n")).map_err(cannot)?;
    }
    out.line(format_args!("{} schemas in {}", documents.len(), folder.display()))
}

/// Prints the documentation of all commands.
pub fn reference(mut grammar: Command, context: &Context, out: &Output, args: &ReferenceArgs) -> Result<()> {
    if let Some(folder) = &args.schemas {
        return write_schemas(&grammar, out, &context.absolute(folder));
    }
    grammar.build();
    let mut text = String::from(
        "# The command line\n\nWhat `coral help` says, on one page. `coral completions` and `coral man` make what shells and `man` \
         need.\n\nExit codes:\n\n\
         | code | meaning |\n|---|---|\n\
         | 0 | success |\n\
         | 1 | failure; where something was asked (`diff --exit-code`, `check-ignore`, `check-attr`): no; of `merge`, `cherry-pick` and `revert` \
         also: conflicts are left |\n\
         | 2 | wrong usage |\n\
         | 3 | of the commands that ask: it could not be told |\n\
         | 4 | damage: stored bytes are wrong or missing; `fsck` found something |\n\
         | 128 + n | stopped by the signal n |\n\nWith `--json` every command prints one object with a `schema`, and of what fails \
         `{\"schema\": \"coral.error/1\", \"error\": {\"code\", \"message\", \"hints\", \"exit_code\"}}`. [json](json) has a JSON Schema \
         of what each command prints, with units and ranges, of what hooks read and of the files of a mount. The number behind the \
         name is another one where a field goes or means something else; fields may come without that.\n\n\
         Aliases are settings: after `coral config set alias.last \"log --oneline -5\"`, `coral last dev` is \
         `coral log --oneline -5 dev`; with `--global` in all repositories. `'`, `\"` and `\\` keep blanks together as in a shell. \
         What begins with `!` is a command of the shell, run in the folder one stands in (or `-C` names) with what is given \
         behind it as its arguments; from a repository's settings only if their file belongs to who runs it. An alias may \
         stand for another one, never for itself, and none takes the place of a command. `coral help` lists them.\n",
    );
    section(&mut text, &grammar, "coral", true);
    // In the order of the help; verbs of a verb come behind it.
    let mut left: Vec<(String, &Command)> = below(&grammar, "coral").into_iter().rev().collect();
    while let Some((name, command)) = left.pop() {
        section(&mut text, command, &name, false);
        left.extend(below(command, &name).into_iter().rev());
    }
    out.text(text)
}

fn below<'c>(command: &'c Command, name: &str) -> Vec<(String, &'c Command)> {
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    shown.map(|verb| (format!("{name} {}", verb.get_name()), verb)).collect()
}

/// Appends what is to be said of a command. Writing into a string does not fail.
fn section(text: &mut String, command: &Command, name: &str, is_top: bool) {
    let _ = write!(text, "\n## {name}\n\n");
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let _ = write!(text, "{about}\n\n");
    }
    let usage = command.clone().render_usage().to_string();
    let usage =
        usage.lines().map(|line| line.trim().trim_start_matches("Usage: ")).collect::<Vec<_>>().join("\n");
    let _ = write!(text, "```text\n{usage}\n```\n");
    let arguments: Vec<String> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && (is_top || !argument.is_global_set()))
        .filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"))
        .map(argument)
        .collect();
    if !arguments.is_empty() {
        let _ = write!(text, "\n{}\n", arguments.join("\n"));
    }
}

fn argument(argument: &clap::Arg) -> String {
    let names: Vec<&str> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let value = if argument.get_action().takes_values() { names.join(" ") } else { String::new() };
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let shown = match (flags.is_empty(), value.is_empty()) {
        (true, _) => value,
        (false, true) => flags.join(", "),
        (false, false) => format!("{} {value}", flags.join(", ")),
    };
    let help = argument.get_help().map(|help| help.to_string()).unwrap_or_default();
    format!("- `{shown}` {help}")
}
