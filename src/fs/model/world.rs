//! Both file systems side by side: applies each step to both and compares outcomes and everything that can be seen.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::disk::{Disk, SimulatedDisk};
use crate::history::{BranchName, Head, Options, Repo, Signature};
use crate::task::Task;
use crate::units::Timestamp;

use super::super::attr::Kind;
use super::super::changes::Changes;
use super::super::completion::Closer;
use super::super::errno;
use super::super::file_system::{FileSystem, Lookup};
use super::super::ingest_batch::Storer;
use super::super::inode::ROOT;
use super::super::opening::OpenMode;
use super::super::settings::{Author, Settings, View};
use super::reference::{self, Content, DIR_MODE, FILE_MODE, Outcome, Seen, SeenNode, Tree};
use super::step::{Mode, SLOTS, Step};

const REPOSITORY: &str = "/r/.coral";

/// A file that is held open in both.
struct Held {
    inos: Vec<u64>,
    handle: u64,
    write: bool,
    content: Content,
}

#[derive(Default)]
struct RefBranch {
    tip: Option<usize>,
    tree: Tree,
}

pub(super) struct World {
    disk: SimulatedDisk,
    core: Option<FileSystem>,
    now: Arc<AtomicI64>,
    held: [Option<Held>; SLOTS],
    /// The reference: branches with their worktrees, and what every commit shows.
    branches: BTreeMap<String, RefBranch>,
    commits: Vec<(String, Seen)>,
    head: String,
    /// What must survive a power cut, by branch and path.
    durable: BTreeMap<(String, String), SeenNode>,
}

pub(super) fn open_mode(write: bool) -> OpenMode {
    OpenMode { write, ..OpenMode::default() }
}

fn pattern(len: u64, seed: u8) -> Vec<u8> {
    (0..len).map(|at| seed.wrapping_mul(31).wrapping_add((at % 7) as u8)).collect()
}

fn branch_name(name: &str) -> BranchName {
    BranchName::new(name).expect("a legal name")
}

fn code<T>(result: errno::Result<T>) -> Outcome<T> {
    result.map_err(|error| error.errno())
}

impl World {
    pub fn new() -> Self {
        let disk = SimulatedDisk::new();
        disk.create_dir_all(Path::new("/r")).expect("an empty disk");
        disk.sync_dir(Path::new("/")).expect("an empty disk");
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        Repo::create(shared, Path::new(REPOSITORY), &branch_name("main")).expect("a new repository");
        let mut world = Self {
            disk,
            core: None,
            now: Arc::new(AtomicI64::new(1_700_000_000)),
            held: [const { None }; SLOTS],
            branches: BTreeMap::from([("main".to_owned(), RefBranch::default())]),
            commits: Vec::new(),
            head: "main".to_owned(),
            durable: BTreeMap::new(),
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let repo = Repo::open(disk, Path::new(REPOSITORY), Options::default()).expect("a repository");
        let now = Arc::clone(&self.now);
        let settings = Settings {
            view: View::All,
            author: Author { name: "Ada".into(), email: String::new(), offset_minutes: 0 },
            clock: Arc::new(move || Timestamp {
                seconds: now.fetch_add(1, Ordering::Relaxed),
                nanoseconds: 0,
            }),
            log: None,
            auto_commit: None,
            background_ingest: false,
        };
        self.core = Some(FileSystem::new(repo, settings).expect("a file system"));
    }

    pub(super) fn core(&self) -> &FileSystem {
        self.core.as_ref().expect("open between steps")
    }

    fn close(&mut self) {
        for slot in 0..SLOTS {
            self.release(slot);
        }
        self.core = None;
    }

    /// Walks a path as the kernel does. Returns all numbers on the way, the last being the node's.
    pub(super) fn walk(&self, path: &str) -> Outcome<Vec<u64>> {
        let mut inos = Vec::new();
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match code(self.core().lookup(at, name.as_bytes())) {
                Ok(Lookup::Found(attr, _)) => {
                    inos.push(attr.ino);
                    at = attr.ino;
                }
                Ok(Lookup::Missing(_)) => {
                    self.forget(&inos);
                    return Err(libc::ENOENT);
                }
                Err(error) => {
                    self.forget(&inos);
                    return Err(error);
                }
            }
        }
        Ok(inos)
    }

    pub(super) fn forget(&self, inos: &[u64]) {
        inos.iter().rev().for_each(|&ino| self.core().forget(ino, 1));
    }

    /// Calls `act` with the node at a path in the current worktree.
    fn at<T>(&self, path: &str, act: impl FnOnce(u64) -> errno::Result<T>) -> Outcome<T> {
        let inos = self.walk(&format!("worktree/{}/{path}", self.head))?;
        let result = code(act(*inos.last().expect("below the root")));
        self.forget(&inos);
        result
    }

    /// Calls `act` with the directory that a path's last name is in.
    fn in_parent<T>(&self, path: &str, act: impl FnOnce(u64, &[u8]) -> errno::Result<T>) -> Outcome<T> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.at(dir, |ino| act(ino, name.as_bytes()))
    }

    /// Creates as the kernel does: it asks for the name first, and forgets what it learns.
    fn make(
        &self,
        path: &str,
        act: impl FnOnce(u64, &[u8]) -> errno::Result<super::super::attr::Attr>,
    ) -> Outcome {
        let exists = self.at(path, |_| Ok(()));
        self.in_parent(path, |dir, name| {
            if exists.is_ok() {
                return Err(errno::Error::Exists);
            }
            let attr = act(dir, name)?;
            self.core().forget(attr.ino, 1);
            Ok(())
        })
    }

    /// Opens the regular file at a path; as with O_NOFOLLOW, a link is ELOOP.
    fn with_file<T>(
        &self,
        path: &str,
        mode: OpenMode,
        act: impl FnOnce(u64) -> errno::Result<T>,
    ) -> Outcome<T> {
        self.at(path, |ino| Ok((ino, self.core().getattr(ino)?.kind))).and_then(|(_, kind)| match kind {
            Kind::Symlink => Err(libc::ELOOP),
            Kind::Dir => Err(libc::EISDIR),
            Kind::File => self.at(path, |ino| {
                let opened = self.core().open(ino, mode)?;
                let result = act(opened.handle);
                self.core().opened(opened.handle)?.flush(|_| Closer::Opener);
                self.core().release(opened.handle);
                result
            }),
        })
    }

    fn tree(&mut self) -> &mut Tree {
        &mut self.branches.get_mut(&self.head).expect("the current branch").tree
    }

    /// What was made durable at or below these paths may be gone after a power cut, or not.
    fn unsettle(&mut self, paths: &[&str]) {
        let head = self.head.clone();
        let touches = |path: &str, changed: &str| {
            path == changed || path.strip_prefix(changed).is_some_and(|rest| rest.starts_with('/'))
        };
        self.durable.retain(|(branch, path), _| {
            *branch != head || !paths.iter().any(|changed| touches(path, changed))
        });
    }

    /// Does a step to both; the outcomes must be the same.
    pub fn apply(&mut self, step: &Step) {
        let (real, expected) = match step {
            Step::Create(path) => {
                let real = self.make(path, |dir, name| {
                    let (attr, opened) = self.core().create(dir, name, FILE_MODE, open_mode(true))?;
                    self.core().opened(opened.handle)?.flush(|_| Closer::Opener);
                    self.core().release(opened.handle);
                    Ok(attr)
                });
                (real, self.tree().create(path))
            }
            Step::Write { path, offset, len, seed } => {
                self.unsettle(&[path]);
                let bytes = pattern(*len, *seed);
                let real = self.with_file(path, open_mode(true), |handle| match bytes.is_empty() {
                    // write(2) of nothing does not reach a file system.
                    true => Ok(()),
                    false => self.core().opened(handle)?.write(*offset, &bytes),
                });
                let expected = self.tree().file(path).map(|content| {
                    content.borrow_mut().open();
                    reference::write(&content, *offset, &bytes);
                    content.borrow_mut().release();
                });
                (real, expected)
            }
            Step::Truncate { path, len } => {
                self.unsettle(&[path]);
                let changes = Changes { len: Some(*len), ..Changes::default() };
                let is_link = self.at(path, |ino| Ok(self.core().getattr(ino)?.kind == Kind::Symlink));
                let real = match is_link {
                    Ok(true) => Err(libc::ELOOP),
                    Ok(false) => self.at(path, |ino| self.core().setattr(ino, changes, None).map(|_| ())),
                    Err(error) => Err(error),
                };
                let expected = self.tree().file(path).map(|content| content.borrow_mut().set_len(*len));
                (real, expected)
            }
            Step::Empty(path) => {
                self.unsettle(&[path]);
                let mode = OpenMode { write: true, truncate: true, ..OpenMode::default() };
                let real = self.with_file(path, mode, |_| Ok(()));
                (real, self.tree().file(path).map(|content| content.borrow_mut().set_len(0)))
            }
            Step::Unlink(path) => {
                self.unsettle(&[path]);
                (self.in_parent(path, |dir, name| self.core().unlink(dir, name)), self.tree().unlink(path))
            }
            Step::Mkdir(path) => {
                let real = self.make(path, |dir, name| self.core().mkdir(dir, name, DIR_MODE));
                (real, self.tree().mkdir(path))
            }
            Step::Rmdir(path) => {
                self.unsettle(&[path]);
                (self.in_parent(path, |dir, name| self.core().rmdir(dir, name)), self.tree().rmdir(path))
            }
            Step::Symlink { path, target } => {
                let real = self.make(path, |dir, name| self.core().symlink(dir, name, target.as_bytes()));
                (real, self.tree().symlink(path, target))
            }
            Step::Rename { from, to, mode } => {
                self.unsettle(&[from, to]);
                (self.rename(from, to, *mode), self.tree().rename(from, to, *mode))
            }
            Step::Chmod { path, mode } => {
                self.unsettle(&[path]);
                let changes = Changes { mode: Some(*mode), ..Changes::default() };
                let is_link = self.at(path, |ino| Ok(self.core().getattr(ino)?.kind == Kind::Symlink));
                let real = match is_link {
                    Ok(true) => Err(libc::ELOOP),
                    Ok(false) => self.at(path, |ino| self.core().setattr(ino, changes, None).map(|_| ())),
                    Err(error) => Err(error),
                };
                (real, self.tree().chmod(path, *mode))
            }
            Step::Sync(path) => {
                let real =
                    self.with_file(path, open_mode(false), |handle| self.core().opened(handle)?.fsync());
                let expected = self.tree().file(path).map(|_| ());
                if real.is_ok() {
                    self.note_durable(path);
                }
                (real, expected)
            }
            Step::Hold { slot, path, write } => self.hold(*slot, path, *write),
            Step::HeldWrite { slot, offset, len, seed } => {
                self.held_write(*slot, *offset, &pattern(*len, *seed));
                return;
            }
            Step::Release(slot) => return self.release(*slot),
            Step::Commit => return self.commit(),
            Step::Branch(name) => (self.make_branch(name), self.ref_branch(name)),
            Step::Switch(name) => {
                if self.branches.contains_key(name) {
                    let head = Head::Branch(branch_name(name));
                    let who = Signature {
                        name: String::new(),
                        email: String::new(),
                        time: Timestamp::EPOCH,
                        offset_minutes: 0,
                    };
                    self.core().repo().refs().set_head(&head, &who).expect("a branch that exists");
                    self.head = name.clone();
                }
                return;
            }
            Step::Ingest => {
                let worktree =
                    self.core().shared.worktrees.open(&branch_name(&self.head)).expect("a worktree");
                Storer::default().store(&worktree, 0, &Task::default()).expect("room enough");
                return;
            }
            Step::Reopen => {
                self.close();
                return self.open();
            }
            Step::DropIndex => {
                self.close();
                self.drop_index();
                return self.open();
            }
            Step::PowerCut(seed) => return self.power_cut(*seed),
        };
        assert_eq!(real, expected, "{step}");
    }

    fn rename(&self, from: &str, to: &str, mode: Mode) -> Outcome {
        let mode = match mode {
            Mode::Replace => crate::worktree::RenameMode::Replace,
            Mode::NoReplace => crate::worktree::RenameMode::NoReplace,
            Mode::Exchange => crate::worktree::RenameMode::Exchange,
        };
        let (to_dir, to_name) = to.rsplit_once('/').unwrap_or(("", to));
        // The kernel looks at the source first, then at the target's directory.
        self.at(from, |_| Ok(()))?;
        let target = self.walk(&format!("worktree/{}/{to_dir}", self.head))?;
        let is_dir = code(self.core().getattr(*target.last().expect("a worktree")));
        let result = match is_dir {
            Ok(attr) if attr.kind != Kind::Dir => Err(libc::ENOTDIR),
            Err(error) => Err(error),
            Ok(attr) => self.in_parent(from, |dir, name| {
                self.core().rename((dir, name), (attr.ino, to_name.as_bytes()), mode)
            }),
        };
        self.forget(&target);
        result
    }

    fn hold(&mut self, slot: usize, path: &str, write: bool) -> (Outcome, Outcome) {
        self.release(slot);
        let content = self.tree().file(path);
        let opened = self.walk(&format!("worktree/{}/{path}", self.head)).and_then(|inos| {
            let ino = *inos.last().expect("below the root");
            let opened = match self.core().getattr(ino).map(|attr| attr.kind) {
                Ok(Kind::Symlink) => Err(libc::ELOOP),
                Ok(Kind::Dir) => Err(libc::EISDIR),
                Ok(Kind::File) => code(self.core().open(ino, open_mode(write))),
                Err(error) => Err(error.errno()),
            };
            match opened {
                Ok(opened) => Ok((inos, opened)),
                Err(error) => {
                    self.forget(&inos);
                    Err(error)
                }
            }
        });
        let outcomes = (
            opened.as_ref().map(|_| ()).map_err(|code| *code),
            content.as_ref().map(|_| ()).map_err(|code| *code),
        );
        if let (Ok((inos, opened)), Ok(content)) = (opened, content) {
            if write {
                content.borrow_mut().open();
            }
            self.held[slot] = Some(Held { inos, handle: opened.handle, write, content });
        }
        outcomes
    }

    fn held_write(&mut self, slot: usize, offset: u64, bytes: &[u8]) {
        let Some(held) = self.held[slot].as_ref().filter(|held| held.write && !bytes.is_empty()) else {
            return;
        };
        let file = self.core().opened(held.handle).expect("open");
        file.write(offset, bytes).expect("open for writing");
        file.flush(|_| Closer::Opener);
        reference::write(&held.content, offset, bytes);
        let changed = Rc::clone(&held.content);
        // Whatever path has these bytes now is no longer as it was made durable.
        let tip: Vec<String> = self.tree().seen().into_keys().collect();
        for path in tip {
            if self.tree().file(&path).is_ok_and(|content| Rc::ptr_eq(&content, &changed)) {
                self.unsettle(&[&path]);
            }
        }
        // It may be a file of another branch's worktree.
        let head = self.head.clone();
        self.durable.retain(|(branch, _), _| *branch == head);
    }

    fn release(&mut self, slot: usize) {
        if let Some(held) = self.held[slot].take() {
            let expected = held.content.borrow().bytes.clone();
            assert_eq!(self.read(held.handle), expected, "a file that is held open");
            self.core().release(held.handle);
            self.forget(&held.inos);
            if held.write {
                held.content.borrow_mut().release();
            }
        }
    }

    /// Commits through `.coral/ctl`, as a shell would.
    fn commit(&mut self) {
        let inos = self.walk(".coral/ctl").expect("always there");
        let opened =
            self.core().open(*inos.last().expect("below the root"), open_mode(true)).expect("ctl opens");
        let result = code(self.core().opened(opened.handle).expect("open").write(0, b"commit -m 'a step'\n"));
        let said = String::from_utf8(self.read(opened.handle)).expect("text");
        self.core().release(opened.handle);
        self.forget(&inos);

        let seen = self.tree().complete();
        let branch = &self.branches[&self.head];
        let before = branch.tip.map(|tip| self.commits[tip].1.clone()).unwrap_or_default();
        if seen == before {
            assert_eq!(result, Err(libc::EINVAL), "{said}");
            assert!(said.contains("nothing to commit"), "{said}");
            return;
        }
        assert_eq!(result, Ok(()), "{said}");
        let id = said.split([' ', ']']).nth(1).expect("the commit's id").to_owned();
        self.commits.push((id, seen));
        let tip = Some(self.commits.len() - 1);
        self.branches.get_mut(&self.head).expect("the current branch").tip = tip;
    }

    fn make_branch(&self, name: &str) -> Outcome {
        let (group, leaf) = name.rsplit_once('/').unwrap_or(("", name));
        if self.walk(&format!("worktree/{name}")).map(|inos| self.forget(&inos)).is_ok() {
            return Err(libc::EEXIST);
        }
        let inos = self.walk(&format!("worktree/{group}"))?;
        let result =
            code(self.core().mkdir(*inos.last().expect("below the root"), leaf.as_bytes(), DIR_MODE));
        if let Ok(attr) = &result {
            self.core().forget(attr.ino, 1);
        }
        self.forget(&inos);
        result.map(|_| ())
    }

    fn ref_branch(&mut self, name: &str) -> Outcome {
        if self.branches.contains_key(name) {
            return Err(libc::EEXIST);
        }
        // Folders of refs exist only while refs are in them, and nothing makes the first one below a folder here.
        if name.contains('/') {
            return Err(libc::ENOENT);
        }
        let tip = self.branches[&self.head].tip.ok_or(libc::ENOENT)?;
        let tree = Tree::of(&self.commits[tip].1);
        self.branches.insert(name.to_owned(), RefBranch { tip: Some(tip), tree });
        Ok(())
    }

    fn note_durable(&mut self, path: &str) {
        let seen = self.tree().seen();
        let head = self.head.clone();
        if let Some(node) = seen.get(path) {
            self.durable.insert((head, path.to_owned()), node.clone());
        }
    }

    /// Deletes all that can be rebuilt from packs.
    fn drop_index(&self) {
        let packs = Path::new(REPOSITORY).join("packs");
        for name in self.disk.list(&packs).expect("the packs") {
            if name.ends_with(".cix") {
                self.disk.remove_file(&packs.join(name)).expect("a sidecar");
            }
        }
        let index = Path::new(REPOSITORY).join("index");
        for name in self.disk.list(&index).unwrap_or_default() {
            self.disk.remove_file(&index.join(name)).expect("a file of the index");
        }
    }

    /// Goes on from what the disk kept. Commits and HEAD must be there; of the worktrees, what was made durable.
    fn power_cut(&mut self, seed: u64) {
        // Who held files open is dead; nothing is closed properly.
        let dead: Vec<Held> = self.held.iter_mut().filter_map(Option::take).collect();
        let image = self.disk.crash_image(seed);
        for held in dead {
            self.core().release(held.handle);
        }
        self.core = None;
        self.disk = image;
        self.open();
        let names: Vec<String> = self.branches.keys().cloned().collect();
        for name in names {
            self.finish_interrupted(&name);
            let survived = self.look(&format!("worktree/{name}"));
            for ((_, path), node) in self.durable.iter().filter(|((branch, _), _)| *branch == name) {
                assert_eq!(survived.get(path), Some(node), "{path} was made durable");
            }
            let branch = self.branches.get_mut(&name).expect("listed");
            branch.tree = Tree::of(&survived);
        }
        self.durable.clear();
    }

    /// Goes on with the files whose writers died, so that what is there is complete.
    fn finish_interrupted(&self, branch: &str) {
        let worktree = self.core().shared.worktrees.open(&branch_name(branch)).expect("a worktree");
        for path in worktree.snapshot(false).expect("a snapshot").interrupted {
            let inos = self.walk(&format!("worktree/{branch}/{path}")).expect("it is named");
            let ino = *inos.last().expect("below the root");
            let len = Some(self.core().getattr(ino).expect("there").len);
            self.core().setattr(ino, Changes { len, ..Changes::default() }, None).expect("writable");
            self.forget(&inos);
        }
    }

    /// Compares everything that can be seen.
    pub fn compare(&mut self) {
        for (name, branch) in &self.branches {
            assert_eq!(self.look(&format!("worktree/{name}")), branch.tree.seen(), "worktree of {name}");
            if let Some(tip) = branch.tip {
                assert_eq!(self.look(&format!("branches/{name}")), self.commits[tip].1, "tip of {name}");
            }
        }
        for (id, seen) in &self.commits {
            assert_eq!(self.look(&format!("commits/{id}")), *seen, "commit {id}");
        }
        let head = self.walk("HEAD").expect("always there");
        let target = self.core().readlink(head[0]).expect("a link");
        assert_eq!(target, format!("branches/{}", self.head).into_bytes());
        self.forget(&head);
        for held in self.held.iter().flatten() {
            assert_eq!(self.read(held.handle), held.content.borrow().bytes, "a file that is held open");
        }
        let remembered: usize = self.held.iter().flatten().map(|held| held.inos.len()).sum();
        assert!(
            self.core().shared.inodes.len() <= 1 + remembered,
            "numbers that the kernel forgot are forgotten"
        );
    }
}
