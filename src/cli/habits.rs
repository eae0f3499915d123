//! What git users type from memory and the grammar does not have: meant the same where it can be, else told what there is.
//!
//! Owns the words of other programs; promises nothing that Coral does not do.

use super::error::CommandError;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Verbs of git that Coral does not have, and the way to what people want of them, where there is one.
const VERBS: &[(&str, Option<&str>)] = &[
    ("worktree", Some("each branch has one: `MNT/worktree/BRANCH` of a mount, `-B BRANCH` of commands")),
    ("clone", Some("a repository is a folder: copy it with `cp -a` while nobody writes to it")),
    ("push", Some("there are no remote repositories; `coral export REF DIR` writes plain files")),
    ("pull", Some("there are no remote repositories; `coral add` takes files")),
    ("fetch", Some("there are no remote repositories; `coral add` takes files")),
    ("remote", Some("there are no remote repositories")),
    ("gc", Some("`coral repack` writes everything anew as one pack")),
    ("rebase", None),
    ("checkout-index", Some("`coral export REF DIR` writes plain files")),
    ("archive", Some("`coral export REF DIR` writes plain files")),
    ("ls-files", Some("`coral ls -r`")),
    ("ls-tree", Some("`coral ls REF:DIR`")),
    ("cat-file", Some("`coral cat REF:PATH`, `coral show REF`")),
    ("rev-parse", Some("`coral --json show REF`")),
    ("describe", Some("`coral log --oneline` shows the tags of commits")),
];

/// The command line as the grammar has it: `log -3` is `log -n 3`.
pub fn translated(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut translated: Vec<OsString> = Vec::new();
    let mut is_log = false;
    let mut is_over = false;
    for argument in arguments {
        let count = argument.to_str().and_then(|text| text.strip_prefix('-'));
        let count =
            count.filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match count {
            Some(count) if is_log && !is_over && translated.last().is_some_and(|last| last != "-n") => {
                translated.extend(["-n".into(), count.into()]);
            }
            _ => {
                is_log = is_log || argument == "log";
                is_over = is_over || argument == "--";
                translated.push(argument);
            }
        }
    }
    translated
}

/// What to say of a verb that only git has.
pub fn explained(error: &clap::Error) -> Option<CommandError> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let (verb, way) = VERBS.iter().find(|(verb, _)| verb == typed)?;
    let plain = CommandError::usage(format!("coral has no `{verb}`"));
    Some(match way {
        Some(way) => plain.hint(way),
        None => plain.hint("`coral help` lists what there is"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_count_where_git_takes_it_for_one() {
        let translate = |line: &str| -> Vec<String> {
            let words = translated(line.split(' ').map(OsString::from));
            words.into_iter().map(|word| word.into_string().expect("text")).collect()
        };
        assert_eq!(translate("coral log -3").join(" "), "coral log -n 3");
        assert_eq!(
            translate("coral -C x log --oneline -12 dev").join(" "),
            "coral -C x log --oneline -n 12 dev"
        );
        for same in
            ["coral log -n -3", "coral log -- -3", "coral cat -3", "coral log -3x", "coral commit -m -3"]
        {
            assert_eq!(translate(same).join(" "), same);
        }
    }
}
