//! A stop is an error like any other: at each check of everything that takes long it leaves all as it was, and asking
//! again does it.

use super::unchanged::{Seen, copy, prepared, see, to_add};
use super::*;
use crate::store::Kind as ObjectKind;
use crate::task::Stopped;
use crate::task::testing::{Recorder, StopAt};
use std::fs;

/// Something that takes long. Gets an empty folder of the user's.
struct Long {
    name: &'static str,
    /// Whether it is for a repository without a commit.
    unborn: bool,
    run: fn(&Repo, &Path, &Task) -> Result<()>,
}

const LONG: &[Long] = &[
    Long {
        name: "add",
        unborn: false,
        run: |repo, _, task| {
            repo.worktree(&main())?.edits().add(&to_add(), &Fence::default(), at(9), task).map(drop)
        },
    },
    Long {
        name: "commit",
        unborn: false,
        run: |repo, _, task| repo.worktree(&main())?.commit(&request("more", 8), task).map(drop),
    },
    Long {
        name: "first commit",
        unborn: true,
        run: |repo, _, task| repo.worktree(&main())?.commit(&request("first", 8), task).map(drop),
    },
    Long {
        name: "export",
        unborn: false,
        run: |repo, folder, task| {
            let commit = repo.resolve("main~1", at(9))?;
            let entry = repo.entry_at(commit, "main~1", &TreePath::ROOT)?;
            Ok(repo.export(&entry, &folder.join("out/below"), task).map(drop)?)
        },
    },
    Long {
        name: "fsck",
        unborn: false,
        run: |repo, _, task| {
            let report = fsck(repo, true, task)?;
            assert!(report.findings.is_empty(), "{:?}", report.findings);
            Ok(())
        },
    },
    Long {
        name: "repack",
        unborn: false,
        run: |repo, _, task| {
            Ok(repack(repo, 0, Some(crate::codec::Level::Max), Default::default(), task).map(drop)?)
        },
    },
    Long { name: "rebuild", unborn: false, run: |repo, _, task| Ok(repo.store().rebuild(task).map(drop)?) },
    Long {
        name: "lineage",
        unborn: false,
        run: |repo, _, task| {
            let tensors = tempfile::NamedTempFile::new().expect("a file");
            fs::write(tensors.path(), tensor_file()).expect("write");
            let wanted = Resemblance::tensors_of_file(tensors.path(), task)?;
            assert_eq!(wanted.len(), 1);
            Ok(Resemblance::of(repo).lineage(&wanted, task).map(drop)?)
        },
    },
];

/// A safetensors file of one tensor.
fn tensor_file() -> Vec<u8> {
    let header = br#"{"w":{"dtype":"F32","shape":[1024],"data_offsets":[0,4096]}}"#;
    let numbers = (0..1024u32).flat_map(|n| (n as f32).sin().to_le_bytes());
    [&(header.len() as u64).to_le_bytes(), &header[..]].concat().into_iter().chain(numbers).collect()
}

/// Runs it on a copy of a disk: how it ended, what is seen then, and what it left in the user's folder.
fn run(template: &SimulatedDisk, long: &Long, task: &Task) -> (Result<()>, Seen, Vec<String>) {
    let disk = copy(template);
    let folder = tempfile::tempdir().expect("a folder");
    let done = (long.run)(&open(&disk), folder.path(), task);
    let left = fs::read_dir(folder.path()).expect("list");
    let left = left.map(|entry| entry.expect("list").file_name().to_string_lossy().into_owned()).collect();
    (done, see(&disk), left)
}

#[test]
fn a_stop_at_any_check_leaves_everything_as_it_was() {
    for long in LONG {
        let template = prepared(long.unborn);
        let before = see(&copy(&template));
        let (recorder, never) = (Recorder::default(), Arc::new(StopAt::check(u64::MAX)));
        let (done, after, made) = run(&template, long, &recorder.task(never.clone()));
        done.unwrap_or_else(|error| panic!("{}: {error}", long.name));
        for seen in recorder.steps() {
            let is_whole = seen.step.total.is_none_or(|total| total == seen.done);
            assert!(seen.ended && is_whole, "{}: {seen:?}", long.name);
        }
        assert!(
            never.checks() > 1 && !recorder.steps().is_empty(),
            "{}: {} checks",
            long.name,
            never.checks()
        );
        for n in 0..never.checks() {
            let recorder = Recorder::default();
            let (done, seen, left) = run(&template, long, &recorder.task(Arc::new(StopAt::check(n))));
            // Threads may find out in another order, and one check fewer be needed.
            let expected = match done {
                Ok(()) => (&after, &made),
                Err(Error::History(history::Error::Stopped(Stopped))) => (&before, &Vec::new()),
                Err(error) => panic!("{} stopped at {n}: {error}", long.name),
            };
            assert_eq!((&seen, &left), expected, "{} stopped at {n} of {}", long.name, never.checks());
            assert!(recorder.steps().iter().all(|seen| seen.ended), "{}", long.name);
        }
    }
}

#[test]
fn a_file_is_no_longer_read_when_the_task_is_stopped() {
    let (_disk, repo) = create();
    let folder = tempfile::tempdir().expect("a folder");
    let from = folder.path().join("large");
    fs::write(&from, vec![7; 3 << 20]).expect("write");
    let add = |stop: Arc<StopAt>| {
        let items = [ToAdd { from: from.clone(), to: path("large") }];
        let task = Recorder::default().task(stop);
        repo.worktree(&main()).expect("worktree").edits().add(&items, &Fence::default(), at(1), &task)
    };
    for n in 0..8 {
        assert!(
            matches!(add(Arc::new(StopAt::check(n))), Err(Error::History(history::Error::Stopped(Stopped)))),
            "at {n}"
        );
        assert_eq!(
            repo.store().metadata_with_prefix(ObjectKind::Recipe, "").expect("look"),
            [] as [[u8; 32]; 0]
        );
    }
    add(Arc::new(StopAt::check(u64::MAX))).expect("not stopped");
}
