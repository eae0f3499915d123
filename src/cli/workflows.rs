//! What `coral help workflows` says: which commands go together, in the order in which people need them.

use super::error::Result;
use super::json::Text;
use super::output::Output;

/// Which commands go together
#[derive(Debug, clap::Args)]
pub struct Args {}

const TEXT: &str = "\
Begin
  coral init                          a repository in this folder
  coral add FILE...                   take files without a mount
  coral mount . DIR --daemon          or show it as folders, and save below DIR/worktree/main
  coral commit -m TEXT                record what the worktree has

A training run
  coral mount . DIR --daemon          the run saves into DIR/worktree/main as into any folder
  coral commit -m TEXT -d step=100 -d loss=2.3
  coral log -m step -m loss           the run as a table
  coral plot metrics loss             and as a curve
  coral best --metric loss            which commit is the best
  coral tag best REF                  give it a name that stays
  coral plot storage                  what the run takes, and what it would as plain files

Many fine-tunes of one model
  coral branch NAME base              a branch for each, from the commit of the model
  coral add -B NAME FILE...           what it came to; tensors that did not change take nothing
  coral commit -B NAME -m TEXT
  coral compare base NAME             how alike they are
  coral plot changes base NAME        which layers it changed
  coral similar REF:FILE              which models are near it

Serving
  coral mount . DIR --daemon          a server loads from DIR/branches/production; what it has open stays
  coral branch -f production REF      the next load sees another model, at once
  coral undo                          back to the one before
  coral export REF DIR                plain files, every byte checked
  coral convert REF:FILE m.gguf       its tensors in another kind of file, or in another type

Merging
  coral merge NAME                    three ways, tensor by tensor
  coral checkout --ours PATH          take a side of what is in conflict; then merge --continue
  coral cherry-pick REF               one change of another branch
  coral revert REF                    take one back

What went wrong
  coral undo                          take the last operation back; op log lists them
  coral bisect start BAD GOOD         find the first bad commit by halves
  coral restore PATH                  drop changes of the worktree
  coral reflog                        where HEAD and branches were
  coral fsck --full                   read every byte back
  coral verify REF                    the same of one commit; coral manifest REF lists its hashes

`coral COMMAND --help` tells more of each, docs/guide of the sources goes through whole examples.
";

pub fn run(out: &Output, _: Args) -> Result<()> {
    match out.json {
        true => out.value(&Text { text: TEXT.to_owned() }),
        false => TEXT.lines().try_for_each(|line| out.line(line)),
    }
}
