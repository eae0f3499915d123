//! Options that git users type and that the grammar does not name: those that change nothing here are heard and mean nothing;
//! of others it is said what there is instead.
//!
//! Owns the words of git; promises nothing that Coral does not do. What does the same here is an option of its verb.

use clap::{Arg, ArgAction, Command};

/// Options that ask for what is so in any case, by verb. `x` is `-x`, `word` is `--word`, `word=` takes a value and `word=?`
/// may have one.
const HEARD: &[(&str, &str)] = &[
    ("init", "object-format="),
    (
        "log",
        "abbrev-commit no-abbrev-commit date-order full-history no-notes notes=? M find-renames=? F fixed-strings",
    ),
    ("show", "abbrev-commit no-abbrev-commit no-notes notes=? M find-renames=?"),
    (
        "diff",
        "M find-renames=? minimal full-index no-ext-diff no-textconv indent-heuristic no-indent-heuristic",
    ),
    ("branch", "no-track no-column no-abbrev create-reflog"),
    ("switch", "guess no-guess no-track progress no-progress overwrite-ignore"),
    (
        "merge",
        "no-edit n stat no-stat summary no-summary v verbose progress no-progress commit no-squash no-signoff no-log \
         no-autostash no-gpg-sign overwrite-ignore rerere-autoupdate no-rerere-autoupdate",
    ),
    ("cherry-pick", "no-gpg-sign rerere-autoupdate no-rerere-autoupdate"),
    ("revert", "no-gpg-sign rerere-autoupdate no-rerere-autoupdate no-reference"),
    ("commit", "o only no-gpg-sign no-signoff status no-status no-post-rewrite"),
    ("add", "ignore-errors sparse"),
    ("rm", "v verbose sparse"),
    ("mv", "v verbose sparse"),
    ("clean", "x"),
    ("restore", "no-overlay progress no-progress recurse-submodules"),
    ("reset", "no-refresh refresh"),
    ("stash", "a all S staged"),
    ("stash push", "a all S staged"),
    ("stash pop", "index"),
    ("stash apply", "index"),
    ("status", "long ahead-behind no-ahead-behind renames no-renames find-renames=? no-column"),
    ("tag", "no-sign no-column create-reflog"),
    #[cfg(feature = "mount")]
    ("umount", "f force"),
];

/// Options that mean nothing here, by verb (all verbs for `*`), and the way to what people want of them. The way of a verb
/// comes before that of all.
const REFUSED: &[(&str, &str, &str)] = &[
    ("add", "-p --patch -i --interactive -e --edit", "`coral commit PATH` commits some paths only"),
    (
        "add",
        "-N --intent-to-add",
        "`coral add PATH` takes a file; what is not wanted `coral rm PATH` takes out again",
    ),
    ("log", "-G", "`-S TEXT` is of commits after which there is more or less of it"),
    ("log", "-L", "`coral blame PATH` tells which commit last changed each tensor or line"),
    ("log", "-E --extended-regexp -P --perl-regexp", "`--grep` looks for a text as it is"),
    ("log", "--raw", "`--name-status`, `coral --json log --stat`"),
    ("log", "-c --cc", "`-p` shows what a merge changed against its first parent"),
    ("show", "-c --cc", "`-p` shows what a merge changed against its first parent"),
    ("show", "--raw", "`--name-status`, `coral --json show`"),
    (
        "diff",
        "--no-index",
        "`diff` compares what is in the repository: `coral diff REF:PATH PATH`; plain files elsewhere with `diff`, or after `coral add`",
    ),
    (
        "diff",
        "-w -b --ignore-all-space --ignore-space-change --ignore-blank-lines --word-diff --color-words",
        "every byte counts: `--stat` says how many lines differ",
    ),
    ("diff", "--raw --summary", "`--name-status`, `coral --json diff`"),
    ("diff", "--merge-base", "`coral diff A...B` is from where they parted to B"),
    ("diff", "--binary -a --text", "`coral export REF DIR` writes files as they are"),
    (
        "branch",
        "-u --set-upstream-to --unset-upstream -t --track",
        "there are no remote repositories that a branch could follow",
    ),
    ("branch", "--format", "`coral --json branch` says everything"),
    (
        "branch",
        "--edit-description",
        "`coral notes add -m TEXT` says something of a commit, a tag has a description",
    ),
    (
        "switch",
        "-m --merge",
        "each branch has a worktree of its own: changes stay with it. `coral stash`, then `coral stash pop -B BRANCH` takes them along",
    ),
    (
        "switch",
        "-f --force --discard-changes",
        "each branch has a worktree of its own: changes stay with it. `coral restore --all` first drops them",
    ),
    ("switch", "-t --track", "there are no remote repositories that a branch could follow"),
    ("switch", "--orphan", "a branch starts at a commit; `coral init` makes a repository that has none"),
    ("switch", "-p --patch", "`coral restore PATH` brings back whole files"),
    (
        "merge",
        "-e --edit",
        "`-m TEXT` is the message; `coral commit --amend` opens it in an editor afterwards",
    ),
    ("merge", "--autostash", "`coral stash` first, and `coral stash pop` afterwards"),
    ("merge", "-F", "`-m TEXT` is the message"),
    ("cherry-pick", "-e --edit", "`coral commit --amend` opens the message in an editor afterwards"),
    ("revert", "-e --edit", "`coral commit --amend` opens the message in an editor afterwards"),
    ("commit", "-i --include", "without paths everything is committed, with paths these alone"),
    ("commit", "-p --patch --interactive", "`coral commit PATH` commits some paths only"),
    (
        "commit",
        "--trailer",
        "a second `-m` is a paragraph of its own, `-s` a line `Signed-off-by`, `-d KEY=VALUE` a fact",
    ),
    ("commit", "--short --porcelain --long", "`coral commit --dry-run`, `coral --json commit --dry-run`"),
    ("mv", "-k", "all are renamed, or none"),
    ("clean", "-i --interactive", "without `-f` it is only listed; paths behind it mean these alone"),
    ("clean", "-X", "the worktree knows nothing of ignored files: what .coralignore leaves out is not in it"),
    ("restore", "-p --patch", "`coral restore PATH` brings back whole files"),
    (
        "restore",
        "--overlay",
        "what the commit does not have is removed; `coral restore PATH` of single files leaves the rest",
    ),
    ("restore", "-2 --ours -3 --theirs", "`coral checkout --ours PATH` or `--theirs PATH` takes a side"),
    ("reset", "--keep --merge", "`coral reset REF` keeps every file as it is, `--hard` none"),
    ("reset", "-p --patch", "there is no index; `coral restore PATH` brings back files"),
    ("stash push", "-k --keep-index", "there is no index: `coral stash push PATH` puts some paths aside"),
    ("stash push", "-p --patch", "`coral stash push PATH` puts some paths aside"),
    ("stash", "-k --keep-index", "there is no index: `coral stash push PATH` puts some paths aside"),
    ("stash", "-p --patch", "`coral stash push PATH` puts some paths aside"),
    ("stash list", "-p --patch --stat", "`coral stash show -p STASH` shows one of them"),
    ("status", "--show-stash", "`coral stash list`"),
    ("status", "-v --verbose", "`coral diff` shows what changed"),
    (
        "tag",
        "-s --sign -u --local-user -v --verify",
        "there are no signatures; `coral manifest` lists hashes that others can sign",
    ),
    ("tag", "-F --file -e --edit", "`-m TEXT` is the description"),
    ("tag", "--format", "`coral --json tag` says everything"),
    ("blame", "-L", "`-t NAME` means some tensors, `--rows` blocks of their rows; of lines all are told"),
    ("diff", "-U --unified", "three lines stand around each change"),
    ("config get", "--system --worktree", "settings are of a repository, or with `--global` of a user"),
    ("config set", "--system --worktree", "settings are of a repository, or with `--global` of a user"),
    ("config", "--get-regexp --get-urlmatch", "`coral config list` shows every setting"),
    (
        "*",
        "-S --gpg-sign --show-signature",
        "there are no signatures; `coral manifest` lists hashes that others can sign",
    ),
    ("*", "--format", "`--json` says everything"),
];

/// The grammar with the options that are heard.
pub fn widened(grammar: Command) -> Command {
    HEARD.iter().fold(grammar, |grammar, (verb, options)| {
        let path: Vec<&str> = verb.split(' ').collect();
        let options: Vec<Arg> = options.split_whitespace().map(heard).collect();
        below(grammar, &path, &|verb| verb.args(options.clone()))
    })
}

fn below(grammar: Command, path: &[&str], change: &dyn Fn(Command) -> Command) -> Command {
    match path.split_first() {
        Some((verb, rest)) => grammar.mut_subcommand(verb, |verb| below(verb, rest, change)),
        None => change(grammar),
    }
}

fn heard(said: &'static str) -> Arg {
    let name = said.trim_end_matches(['=', '?']);
    let arg = Arg::new(said).hide(true);
    let arg = match name.len() {
        1 => arg.short(name.chars().next().unwrap_or_default()),
        _ => arg.long(name),
    };
    match (said.ends_with("=?"), said.ends_with('=')) {
        (true, _) => arg.num_args(0..=1).require_equals(true).action(ArgAction::Append),
        (_, true) => arg.num_args(1).action(ArgAction::Append),
        (false, false) => arg.action(ArgAction::Count),
    }
}

/// The way to what somebody wants of an option that a verb does not have. `verb` is as it is called: `coral stash push`.
pub fn way(verb: &str, option: &str) -> Option<&'static str> {
    let verb = verb.strip_prefix("coral ").unwrap_or_default();
    let found = REFUSED.iter().find(|(of, options, _)| {
        (*of == "*" || *of == verb) && options.split_whitespace().any(|known| known == option)
    });
    found.map(|(.., way)| *way)
}
