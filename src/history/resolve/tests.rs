//! What a name leads to, in a history that was merged once.

use super::*;
use crate::history::testing::{create, empty, open, who};
use crate::history::{Commit, LogEntry, Tag};
use std::collections::BTreeMap;

fn now() -> Timestamp {
    Timestamp { seconds: 10 * 86_400, nanoseconds: 0 }
}

fn entry(seconds: i64) -> LogEntry {
    LogEntry { who: who(seconds), message: "moved".into() }
}

/// `one` <- `two` <- `merge` and `one` <- `side` <- `merge`, each a day after the other; `main` is at the merge, `dev` at
/// the side, the tag `v1` at the first, and HEAD was on `dev` and on the first commit in between.
fn history() -> (Repo, [CommitId; 4]) {
    let repo = open(&create("main"));
    let commit = |message: &str, parents: &[CommitId], day: i64| {
        let commit = Commit { message: message.into(), ..empty(parents, day * 86_400) };
        repo.commit_tree(repo.store().begin().expect("begin"), &commit).expect("commit")
    };
    let main = BranchName::new("main").expect("valid");
    let dev = BranchName::new("dev").expect("valid");
    let refs = repo.refs();
    let one = commit("first of all", &[], 1);
    refs.update_branch(&main, None, one, &entry(86_400)).expect("main");
    let two = commit("second", &[one.get()], 2);
    refs.update_branch(&main, Some(one.get()), two, &entry(2 * 86_400)).expect("main");
    refs.set_head(&Head::Branch(dev.clone()), &who(3 * 86_400)).expect("HEAD");
    let side = commit("aside: fix", &[one.get()], 3);
    refs.update_branch(&dev, None, side, &entry(3 * 86_400)).expect("dev");
    refs.set_head(&Head::Detached(one.get()), &who(3 * 86_400)).expect("HEAD");
    refs.set_head(&Head::Branch(main.clone()), &who(4 * 86_400)).expect("HEAD");
    let merge = commit("merge", &[two.get(), side.get()], 4);
    refs.update_branch(&main, Some(two.get()), merge, &entry(4 * 86_400)).expect("main");
    let v1 = TagName::new("v1").expect("valid");
    let tag = Tag { commit: one.get(), description: String::new(), metrics: BTreeMap::new() };
    refs.set_tag(&v1, &tag, one, false, &entry(5 * 86_400)).expect("tag");
    (repo, [one, two, side, merge].map(|commit| commit.get()))
}

#[test]
fn names_lead_to_commits_as_in_git() {
    let (repo, [one, two, side, merge]) = history();
    let described = format!("v1-2-g{}", &side.to_string()[..12]);
    for (text, id) in [
        ("HEAD", merge),
        ("HEAD^", two),
        ("@^2", side),
        ("@^2~", one),
        ("v1^{commit}", one),
        ("v1^{}", one),
        (described.as_str(), side),
        (":/fix", side),
        (":/of all", one),
        ("main^{/second}", two),
        ("@{1}", two),
        ("HEAD@{1}", two),
        ("HEAD@{2}", one),
        ("HEAD@{3}", side),
        ("-", one),
        ("@{-1}", one),
        ("@{-2}", side),
        ("@{-2}^", one),
        ("main@{2 days ago}", merge),
        ("main@{7 days ago}", two),
        ("main@{9.days.ago}", one),
        ("tags/v1@{0}", one),
    ] {
        assert_eq!(repo.resolve(text, now()).expect(text), id, "{text}");
    }
    assert_eq!(Revisions::of(&repo).previous_named("@{-2}").expect("named"), Some("dev".into()));
    assert_eq!(Revisions::of(&repo).previous_named("main").expect("another name"), None);
}

#[test]
fn a_name_that_leads_nowhere_says_what_there_is() {
    let (repo, [one, ..]) = history();
    let said = |text: &str| repo.resolve(text, now()).expect_err(text).to_string();
    assert_eq!(said("HEAD~9"), "`HEAD~9` names nothing: `HEAD` has 2 ancestors");
    assert_eq!(
        said("main^3").split_once(": ").expect("two parts").1.split_once(' ').expect("id").1,
        "has 2 parents"
    );
    assert_eq!(said("v1^"), format!("`v1^` names nothing: {} has 0 parents", &one.to_string()[..10]));
    assert_eq!(said("main@{99}"), "`main@{99}` names nothing: the log of `main` has 3 entries");
    assert_eq!(said("@{-4}"), "`@{-4}` names nothing: HEAD was switched 3 times");
    assert_eq!(said(":/nobody said"), "`:/nobody said` names nothing: no message has `nobody said`");
    assert_eq!(said("abc"), "`abc` is too short for the start of a commit: it takes 4 digits");
    assert_eq!(said("main@{soon}"), "`soon` is no time");
    for unknown in ["nope", "main^{tree}", "nope@{1}", "main~1x", ""] {
        let error = repo.resolve(unknown, now()).expect_err(unknown);
        assert!(matches!(error, Error::UnknownRevision { .. }), "{unknown}: {error}");
    }
}

#[test]
fn ranges_show_some_and_hide_some() {
    let (repo, [one, two, side, merge]) = history();
    let selected = |texts: &[&str]| Revisions::of(&repo).select(texts.iter().copied(), now()).expect("valid");
    let selection =
        |tips: &[CommitId], hidden: &[CommitId]| Selection { tips: tips.to_vec(), hidden: hidden.to_vec() };
    assert_eq!(selected(&["v1..main"]), selection(&[merge], &[one]));
    assert_eq!(selected(&["main~1...dev"]), selection(&[two, side], &[one]));
    assert_eq!(selected(&["main", "^dev"]), selection(&[merge], &[side]));
    assert_eq!(selected(&["main^!"]), selection(&[merge], &[two, side]));
    assert_eq!(selected(&["main^@"]), selection(&[two, side], &[]));
    assert_eq!(selected(&["main^-2"]), selection(&[merge], &[side]));
}

#[test]
fn head_is_the_branch_that_somebody_stands_on() {
    let (repo, [one, _, side, merge]) = history();
    let dev = BranchName::new("dev").expect("valid");
    let there = repo.standing_on(dev.clone());
    let of = |text: &str| there.resolve(text, now()).expect(text);
    assert_eq!(
        (of("HEAD"), of("@~"), of("main"), of("@{0}"), of("HEAD@{0}")),
        (side, one, merge, side, side)
    );
    let selected = Revisions::of(&there).select(["main..", "..main"], now()).expect("ranges");
    assert_eq!((selected.tips, selected.hidden), (vec![side, merge], vec![merge, side]));
    assert_eq!(Revisions::of(&there).moves_of("HEAD").expect("a log").0, "dev");
    assert_eq!(there.head().and_then(Head::into_branch).expect("stood on"), dev);
    let main = repo.standing_on(BranchName::new("main").expect("valid"));
    assert_eq!(Revisions::of(&main).moves_of("HEAD").expect("a log").0, "main");
    // The repository's own is where it was.
    assert_eq!(repo.resolve("HEAD", now()).expect("HEAD"), merge);
    assert_eq!(there.refs().current_branch().expect("HEAD").as_str(), "main");
    let nowhere = repo.standing_on(BranchName::new("new").expect("valid"));
    assert!(matches!(nowhere.resolve("HEAD", now()), Err(Error::Unborn(name)) if name == "new"));
}
