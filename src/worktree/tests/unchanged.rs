//! An error means unchanged: one failure at every operation of the disk, in everything that writes refs or worktrees, and
//! a kill there, which asking again completes.

use super::*;
use crate::id::CommitId;
use crate::store::StoreError;

/// Everything that a person could see of a repository.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    head: Head,
    branches: Vec<(BranchName, CommitId, Vec<LogLine>)>,
    tags: Vec<(TagName, Tag, Vec<LogLine>)>,
    worktrees: Vec<(BranchName, Vec<String>)>,
    pub(super) findings: Vec<String>,
}

impl Seen {
    /// Asking for a move again may be told of again.
    fn without_logs(mut self) -> Self {
        self.branches.iter_mut().for_each(|(.., log)| log.clear());
        self.tags.iter_mut().for_each(|(.., log)| log.clear());
        self
    }
}

/// Looks at a repository as a new process does. A branch without a worktree is as one with an unchanged one.
pub(super) fn see(disk: &SimulatedDisk) -> Seen {
    let repo = open(disk);
    let refs = repo.refs();
    let head = refs.head().expect("HEAD");
    let branches = refs.branches().expect("branches").into_iter();
    let branches: Vec<_> = branches
        .map(|(name, tip)| {
            let log = refs.logs().branch(&name).expect("log");
            (name, tip, log)
        })
        .collect();
    let tags = refs.tags().expect("tags").into_iter();
    let tags = tags
        .map(|(name, tag)| {
            let log = refs.logs().tag(&name).expect("log");
            (name, tag, log)
        })
        .collect();
    let mut names: Vec<BranchName> = branches.iter().map(|(name, ..)| name.clone()).collect();
    if let Head::Branch(branch) = &head {
        names.push(branch.clone());
    }
    names.sort();
    names.dedup();
    let worktrees = names.into_iter().map(|name| (name.clone(), files(&repo, &name))).collect();
    let report = fsck(&repo, false, &Task::default()).expect("fsck");
    let findings =
        report.findings.into_iter().map(|finding| format!("{}: {}", finding.place, finding.what)).collect();
    Seen { head, branches, tags, worktrees, findings }
}

/// What a worktree has: paths with modes and bytes.
fn files(repo: &Repo, branch: &BranchName) -> Vec<String> {
    let worktree = repo.worktree(branch).expect("worktree");
    worktree.recover_if_abandoned().expect("recover");
    worktree.follow_branch().expect("follow");
    let mut found = Vec::new();
    let mut dirs = vec![(TreePath::ROOT, NodeId::ROOT)];
    while let Some((dir, node)) = dirs.pop() {
        for (name, node, attributes) in worktree.names().entries(node).expect("list") {
            let path = dir.join(name);
            let bytes = match attributes.kind {
                Kind::Dir => {
                    dirs.push((path.clone(), node));
                    None
                }
                Kind::File => load(&worktree, &path.to_string()),
                Kind::Symlink => Some(worktree.names().read_link(node).expect("link")),
            };
            found.push(format!("{path} {:o} {:?}", attributes.mode, bytes));
        }
    }
    found.sort();
    found
}

/// A command, as one process runs it from opening the repository to its last word.
struct Operation {
    name: &'static str,
    /// Whether it is for a repository without a commit.
    unborn: bool,
    run: fn(&Repo) -> Result<()>,
}

fn branch(text: &str) -> BranchName {
    BranchName::new(text).expect("valid")
}

fn tag(text: &str) -> TagName {
    TagName::new(text).expect("valid")
}

pub(super) fn who() -> Signature {
    request("", 9).author
}

fn entry() -> LogEntry {
    LogEntry { who: who(), message: "moved".into() }
}

fn set_tag(repo: &Repo, name: &str, revision: &str, replace: bool) -> Result<()> {
    let commit = repo.resolve(revision, at(9))?;
    let new = Tag { commit, description: "a\\b\r\n=".into(), metrics: BTreeMap::new() };
    repo.refs().set_tag(&tag(name), &new, repo.store().durable(commit)?, replace, &entry())?;
    Ok(())
}

/// A folder of the user's, and one file of it once more elsewhere.
pub(super) fn to_add() -> [ToAdd; 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/id.rs");
    let around = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests");
    [ToAdd { from: around, to: path("added") }, ToAdd { from: folder, to: path("d/x/y") }]
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "commit",
        unborn: false,
        run: |repo| repo.worktree(&main())?.commit(&request("more", 8), &Task::default()).map(drop),
    },
    Operation {
        name: "commit --tag",
        unborn: false,
        run: |repo| {
            let request = CommitRequest { tag: Some(tag("v2")), ..request("more", 8) };
            repo.worktree(&main())?.commit(&request, &Task::default()).map(drop)
        },
    },
    Operation {
        name: "first commit",
        unborn: true,
        run: |repo| repo.worktree(&main())?.commit(&request("first", 8), &Task::default()).map(drop),
    },
    Operation {
        name: "branch",
        unborn: false,
        run: |repo| Branches::of(repo).create(&branch("new/deep/er"), "HEAD~1", &who()).map(drop),
    },
    Operation {
        name: "branch -d",
        unborn: false,
        run: |repo| Branches::of(repo).delete(&branch("same"), Losing::Nothing, &who()).map(drop),
    },
    Operation {
        name: "branch -D",
        unborn: false,
        run: |repo| Branches::of(repo).delete(&branch("old/side"), Losing::All, &who()).map(drop),
    },
    Operation { name: "tag", unborn: false, run: |repo| set_tag(repo, "new", "HEAD", false) },
    Operation { name: "tag -f", unborn: false, run: |repo| set_tag(repo, "v1", "HEAD", true) },
    Operation {
        name: "tag -D",
        unborn: false,
        run: |repo| Ok(repo.refs().delete_tag(&tag("v1"), &entry()).map(drop)?),
    },
    Operation {
        name: "switch",
        unborn: false,
        run: |repo| Branches::of(repo).switch_to("old/side", &who()).map(drop),
    },
    Operation {
        name: "switch to a commit",
        unborn: false,
        run: |repo| Branches::of(repo).switch_to("HEAD~1", &who()).map(drop),
    },
    Operation {
        name: "switch -c",
        unborn: false,
        run: |repo| Branches::of(repo).switch_to_new(&branch("new"), None, &who()).map(drop),
    },
    Operation {
        name: "switch -c before the first commit",
        unborn: true,
        run: |repo| Branches::of(repo).switch_to_new(&branch("dev"), None, &who()).map(drop),
    },
    Operation { name: "restore --all", unborn: false, run: |repo| repo.worktree(&main())?.edits().reset() },
    Operation {
        name: "restore",
        unborn: false,
        run: |repo| {
            let paths = ["d/a", "new", "b", "gone/deep/er"].map(path);
            repo.worktree(&main())?.edits().restore(&paths, repo.resolve("main", at(9))?, "main", at(9))
        },
    },
    Operation {
        name: "rm",
        unborn: false,
        run: |repo| {
            let paths = ["new", "d/a", "d", "b", "b"].map(path);
            repo.worktree(&main())?.edits().remove(&paths, true, at(9))
        },
    },
    Operation {
        name: "add",
        unborn: false,
        run: |repo| {
            repo.worktree(&main())?
                .edits()
                .add(&to_add(), &Fence::default(), at(9), &Task::default())
                .map(drop)
        },
    },
];

/// A repository with all sorts of things, everything durable.
pub(super) fn prepared(unborn: bool) -> SimulatedDisk {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    worktree.names().make_dir(NodeId::ROOT, &name("d"), 0o755, at(1)).expect("mkdir");
    save(&worktree, "d/a", b"one", 1);
    save(&worktree, "b", b"two", 1);
    worktree.names().make_dir(NodeId::ROOT, &name("gone"), 0o711, at(1)).expect("mkdir");
    let gone = worktree.names().resolve(&path("gone")).expect("resolve").expect("there");
    worktree.names().make_dir(gone, &name("deep"), 0o700, at(1)).expect("mkdir");
    save(&worktree, "gone/deep/er", b"four", 1);
    if !unborn {
        worktree.commit(&request("first", 1), &Task::default()).expect("commit");
        save(&worktree, "d/a", b"three", 2);
        worktree.commit(&request("second", 2), &Task::default()).expect("commit");
        for name in ["same", "old/side"] {
            Branches::of(&repo).create(&branch(name), "HEAD", &who()).expect("branch");
        }
        let (side, _) = repo.worktree(&branch("old/side")).and_then(Tenant::adopt).expect("worktree");
        save(&side, "c", b"on the side", 3);
        side.commit(&request("side", 3), &Task::default()).expect("commit");
        save(&side, "e", b"never committed", 4);
        side.staging().sync().and_then(|()| side.sync_records()).expect("sync");
        set_tag(&repo, "v1", "HEAD~1", false).expect("tag");
        save(&worktree, "d/a", b"changed", 5);
        worktree.edits().remove(&[path("gone")], true, at(5)).expect("remove");
        save(&worktree, "new", &[7; 3_000], 5);
    }
    worktree.staging().sync().and_then(|()| worktree.sync_records()).expect("sync");
    disk
}

/// A fresh copy of a disk on which everything is durable.
pub(super) fn copy(disk: &SimulatedDisk) -> SimulatedDisk {
    disk.crash_image(0)
}

fn run(disk: &SimulatedDisk, operation: &Operation) -> Result<()> {
    let repo = Repo::open(Arc::new(disk.clone()), Path::new(ROOT), Options::default())?;
    (operation.run)(&repo)
}

/// What is seen before and after, and how many operations of the disk are between.
fn baseline(operation: &Operation) -> (SimulatedDisk, Seen, Seen, u64) {
    let template = prepared(operation.unborn);
    let before = see(&copy(&template));
    assert_eq!(before.findings, Vec::<String>::new());
    let disk = copy(&template);
    let started = disk.operations();
    run(&disk, operation).unwrap_or_else(|error| panic!("{}: {error}", operation.name));
    let operations = disk.operations() - started;
    let after = see(&disk);
    assert_ne!(before, after, "{} changes something", operation.name);
    (template, before, after, operations)
}

#[test]
fn an_error_means_that_nothing_has_changed() {
    for operation in OPERATIONS {
        let (template, before, after, operations) = baseline(operation);
        for n in 0..operations {
            for errno in [libc::EIO, libc::ENOSPC] {
                let disk = copy(&template);
                disk.fail_nth(n, errno);
                let done = run(&disk, operation);
                disk.set_fault(None);
                let expected = if done.is_ok() { &after } else { &before };
                assert_eq!(
                    &see(&disk),
                    expected,
                    "{}: {errno} at {n} of {operations}: {done:?}",
                    operation.name
                );
            }
        }
    }
}

#[test]
fn what_was_killed_half_way_is_completed_by_asking_again() {
    for operation in OPERATIONS {
        let (template, _, after, operations) = baseline(operation);
        let after = after.without_logs();
        for n in 0..operations {
            let disk = copy(&template);
            disk.stop_at_nth(n);
            let _ = run(&disk, operation);
            disk.set_fault(None);
            // If it was done already, that may be what is wrong with asking for it.
            let again = run(&disk, operation);
            let seen = see(&disk).without_logs();
            assert_eq!(seen, after, "{} after a kill at {n} of {operations}: {again:?}", operation.name);
        }
    }
}

#[test]
fn on_a_disk_that_cannot_be_written_history_is_there_and_changes_say_why_not() {
    for operation in OPERATIONS {
        let (template, before, ..) = baseline(operation);
        let disk = copy(&template);
        see(&disk);
        disk.set_read_only(true);
        let errno = match run(&disk, operation) {
            Err(Error::History(
                history::Error::Disk(error) | history::Error::Store(StoreError::Disk(error)),
            )) => error.source.raw_os_error(),
            other => panic!("{}: {other:?}", operation.name),
        };
        assert_eq!(errno, Some(libc::EROFS), "{}", operation.name);
        let repo = open(&disk);
        if !operation.unborn {
            assert_eq!(committed(&repo, "main~1", "d/a"), Some(b"one".to_vec()));
            assert_eq!(
                repo.diff_trees(
                    Tree::empty_id(),
                    repo.tree_of(repo.resolve("main", at(9)).ok()).expect("tree")
                )
                .expect("diff")
                .len(),
                3
            );
        }
        assert!(fsck(&repo, true, &Task::default()).expect("fsck").findings.is_empty());
        disk.set_read_only(false);
        assert_eq!(see(&disk), before, "{}", operation.name);
    }
}
