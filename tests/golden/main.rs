//! Repositories that earlier programs made: what is on disk is a promise, and every byte of it is read by this one.
//!
//! `repository.tar` was made once by [`made::make`], with the program of its day; it changes only when a new format is
//! added beside the old ones. `manifest.txt` lists the bytes that were put in, hashed before any program saw them.
//! `containers.tar` and `containers.txt` are the same of the first repository of version 3, `formulas.tar` and `formulas.txt` of
//! the first one of version 4, `mosaics.tar` and `mosaics.txt` of the first one of version 5.

mod archive;
mod containers;
mod formulas;
mod made;
mod manifest;
mod mosaics;
#[path = "../written/mod.rs"]
mod written;

use coral::disk::RealDisk;
use coral::history::{Node, Repo, TreeWalk};
use coral::recipe::{Extent, Place};
use coral::store::Encoding;
use manifest::{MANIFEST, Reached};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const ARCHIVE: &[u8] = include_bytes!("repository.tar");

/// A copy of the golden repository below `folder`.
fn copy(folder: &Path) -> Repo {
    archive::unpack(ARCHIVE, folder);
    open(folder)
}

fn open(folder: &Path) -> Repo {
    Repo::open(Arc::new(RealDisk), &folder.join(made::ROOT), Default::default()).expect("a repository")
}

#[test]
fn every_file_of_every_commit_is_what_was_put_in() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let reached = manifest::of(&copy(folder.path()));
    assert_eq!(reached, MANIFEST);
}

#[test]
fn every_file_of_the_repository_of_containers_is_what_was_put_in() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    archive::unpack(containers::ARCHIVE, folder.path());
    assert_eq!(manifest::of(&open(folder.path())), containers::MANIFEST);
    made::coral(folder.path(), &["fsck", "--full"]);
    made::coral(folder.path(), &["repack"]);
    assert_eq!(manifest::of(&open(folder.path())), containers::MANIFEST);
}

/// A golden repository that has no table of tensors would say nothing about reading them.
#[test]
fn the_repository_of_containers_has_tensors_of_every_kind() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    archive::unpack(containers::ARCHIVE, folder.path());
    let Reached { repo, commits } = Reached::by(&open(folder.path()));
    let (mut parts, mut declared, mut ranges, mut extents) = (0, 0, 0, 0);
    for (_, tree) in commits {
        for step in TreeWalk::below(&repo, tree) {
            let Node::File { recipe, .. } = step.expect("walked").1.node else { continue };
            let recipe = repo.recipe(recipe).expect("a recipe");
            let is_part = |extent: &&Extent| matches!(extent, Extent::Part { .. });
            parts += recipe.extents().iter().filter(is_part).count();
            for tensor in recipe.table() {
                declared += usize::from(tensor.info.declared.is_some());
                match tensor.place {
                    Place::Range { .. } => ranges += 1,
                    Place::Extent(_) => extents += 1,
                }
            }
        }
    }
    assert!(parts > 0 && declared > 0 && ranges > 0 && extents > 0, "{parts} {declared} {ranges} {extents}");
}

#[test]
fn the_repository_of_containers_can_be_made_again() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(containers::make(folder.path()), containers::MANIFEST);
    assert_eq!(manifest::of(&open(folder.path())), containers::MANIFEST);
}

#[test]
#[ignore = "writes a new golden repository of containers into the sources, with the program that CORAL_PROGRAM names"]
fn make_the_golden_repository_of_containers() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let text = containers::make(folder.path());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::write(sources.join("containers.txt"), text).expect("written");
    archive::pack(folder.path(), made::REPOSITORY, &sources.join("containers.tar"));
}

#[test]
fn every_file_of_the_repository_of_formulas_is_what_was_made() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    archive::unpack(formulas::ARCHIVE, folder.path());
    let repo = open(folder.path());
    assert_eq!(manifest::of(&repo), formulas::MANIFEST);
    let Reached { repo, commits } = Reached::by(&repo);
    let mut computed = 0;
    for (_, tree) in commits {
        for step in TreeWalk::below(&repo, tree) {
            let Node::File { recipe, .. } = step.expect("walked").1.node else { continue };
            for key in repo.recipe(recipe).expect("a recipe").keys() {
                let info = repo.store().info(key).expect("readable").expect("stored");
                computed += usize::from(info.encoding == Encoding::Computed);
            }
        }
    }
    assert!(computed >= formulas::METHODS.len(), "{computed} tensors are computed");
    made::coral(folder.path(), &["fsck", "--full"]);
    made::coral(folder.path(), &["repack"]);
    assert_eq!(manifest::of(&open(folder.path())), formulas::MANIFEST);
}

#[test]
fn the_repository_of_formulas_can_be_made_again() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    formulas::make(folder.path());
    assert_eq!(manifest::of(&open(folder.path())), formulas::MANIFEST);
}

#[test]
#[ignore = "writes a new golden repository of formulas into the sources, with the program that CORAL_PROGRAM names"]
fn make_the_golden_repository_of_formulas() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    formulas::make(folder.path());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    // Before it is opened by anybody else: as the program left it.
    archive::pack(folder.path(), made::REPOSITORY, &sources.join("formulas.tar"));
    fs::write(sources.join("formulas.txt"), manifest::of(&open(folder.path()))).expect("written");
}

#[test]
fn every_file_of_the_repository_of_mosaics_is_what_was_put_in() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    archive::unpack(mosaics::ARCHIVE, folder.path());
    let repo = open(folder.path());
    assert_eq!(manifest::of(&repo), mosaics::MANIFEST);
    let Reached { repo, commits } = Reached::by(&repo);
    let (mut whole, mut nearly) = (0, 0);
    for (_, tree) in commits {
        for step in TreeWalk::below(&repo, tree) {
            let Node::File { recipe, .. } = step.expect("walked").1.node else { continue };
            for key in repo.recipe(recipe).expect("a recipe").keys() {
                let info = repo.store().info(key).expect("readable").expect("stored");
                whole += usize::from(info.encoding == Encoding::Computed);
                nearly += usize::from(info.encoding == Encoding::Delta && info.stored_len * 10 < info.len);
            }
        }
    }
    assert!(whole > 0 && nearly > 0, "{whole} are made of pieces, {nearly} of pieces and some bytes");
    made::coral(folder.path(), &["fsck", "--full"]);
    made::coral(folder.path(), &["repack"]);
    assert_eq!(manifest::of(&open(folder.path())), mosaics::MANIFEST);
}

#[test]
fn the_repository_of_mosaics_can_be_made_again() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(mosaics::make(folder.path()), mosaics::MANIFEST);
    assert_eq!(manifest::of(&open(folder.path())), mosaics::MANIFEST);
}

#[test]
#[ignore = "writes a new golden repository of mosaics into the sources, with the program that CORAL_PROGRAM names"]
fn make_the_golden_repository_of_mosaics() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let text = mosaics::make(folder.path());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::write(sources.join("mosaics.txt"), text).expect("written");
    archive::pack(folder.path(), made::REPOSITORY, &sources.join("mosaics.tar"));
}

#[test]
fn packs_alone_are_enough() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    archive::unpack(ARCHIVE, folder.path());
    for entry in fs::read_dir(folder.path().join(made::ROOT).join("packs")).expect("a folder") {
        let path = entry.expect("listed").path();
        if path.extension().is_some_and(|suffix| suffix == "cix") {
            fs::remove_file(path).expect("removed");
        }
    }
    assert_eq!(manifest::of(&open(folder.path())), MANIFEST);
}

#[test]
fn it_is_checked_committed_to_and_written_anew() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    archive::unpack(ARCHIVE, folder.path());
    made::coral(folder.path(), &["fsck", "--full"]);
    fs::write(folder.path().join(made::REPOSITORY).join("later.txt"), "later\n").expect("written");
    made::coral(folder.path(), &["add", "later.txt"]);
    made::coral(folder.path(), &["commit", "-m", "one more"]);
    let more = |folder: &Path| {
        let reached = manifest::of(&open(folder));
        let (new, old): (Vec<_>, Vec<_>) = reached.lines().partition(|line| line.starts_with("one more: "));
        assert!(new.iter().any(|line| line.contains("later.txt")), "{reached}");
        assert!(
            new.iter().any(|line| line.contains("pending.txt")),
            "what was not committed is now: {reached}"
        );
        old.join("\n")
    };
    let committed =
        |text: &str| text.lines().filter(|line| !line.starts_with("worktree")).collect::<Vec<_>>().join("\n");
    assert_eq!(committed(&more(folder.path())), committed(MANIFEST));
    made::coral(folder.path(), &["repack"]);
    assert_eq!(committed(&more(folder.path())), committed(MANIFEST));
    made::coral(folder.path(), &["fsck", "--full"]);
}

/// A golden repository that has no long chain, or no cast, would say nothing about reading them.
#[test]
fn it_has_objects_stored_in_every_way() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let Reached { repo, commits } = Reached::by(&copy(folder.path()));
    let (mut found, mut deepest) = (Vec::new(), 0);
    for (_, tree) in commits {
        for step in TreeWalk::below(&repo, tree) {
            let Node::File { recipe, .. } = step.expect("walked").1.node else { continue };
            for key in repo.recipe(recipe).expect("a recipe").keys() {
                let info = repo.store().info(key).expect("readable").expect("stored");
                deepest = deepest.max(info.depth);
                found.push(info.encoding);
            }
        }
    }
    assert!(deepest >= 3, "the longest chain is {deepest} deep");
    for encoding in [Encoding::Raw, Encoding::Compressed, Encoding::Delta, Encoding::Cast] {
        assert!(found.contains(&encoding), "nothing is {encoding:?}");
    }
}

/// The way it was made still leads to the same history, whatever the bytes on disk are today.
#[test]
fn it_can_be_made_again() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    assert_eq!(made::make(folder.path()), MANIFEST);
    assert_eq!(manifest::of(&open(folder.path())), MANIFEST);
}

#[test]
#[ignore = "writes a new golden repository into the sources, with the program that CORAL_PROGRAM names"]
fn make_the_golden_repository() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let text = made::make(folder.path());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::write(sources.join("manifest.txt"), text).expect("written");
    archive::pack(folder.path(), made::REPOSITORY, &sources.join("repository.tar"));
}
