//! A mount, commands and whoever kills them on one repository, in an order of chance, some of them at once.
//!
//! A model knows for every file which versions a reader may find, and narrows down to what was found. After each step:
//! every file of every worktree is a version that was saved and not lost; every commit is a cut through whole versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use crate::content::{self, Held, Version};
use crate::seed::{self, Random};
use crate::stage::{Missing, Ran, Stage};

const STEPS: usize = 80;
const NAMES: &[&str] = &["a", "b", "dir/c", "dir/d"];
/// Two files that one writer saves one after the other.
const PAIR: [&str; 2] = ["pair.first", "pair.second"];
const MAIN: &str = "main";
const SIDE: &str = "side";

/// What a reader may find at a path.
type Allowed = BTreeSet<Held>;

#[derive(Default, Clone)]
struct Tree(BTreeMap<String, Allowed>);

impl Tree {
    fn allowed(&self, path: &str) -> Allowed {
        self.0.get(path).cloned().unwrap_or_else(|| Allowed::from([Held::Nothing]))
    }

    fn set(&mut self, path: &str, held: Held) {
        self.0.insert(path.to_owned(), Allowed::from([held]));
    }

    fn also(&mut self, path: &str, held: Held) {
        let mut allowed = self.allowed(path);
        allowed.insert(held);
        self.0.insert(path.to_owned(), allowed);
    }
}

/// A file that somebody is in the middle of writing.
struct Open {
    path: String,
    file: File,
    version: Version,
}

struct World {
    stage: Stage,
    random: Random,
    last: Version,
    is_mounted: bool,
    /// What the worktrees hold, and what the tips of their branches do.
    trees: BTreeMap<&'static str, Tree>,
    tips: BTreeMap<&'static str, BTreeMap<String, Held>>,
    /// Of each file of a worktree, what was there since it was last made durable: what a crash may bring back.
    unsynced: BTreeMap<(&'static str, String), Allowed>,
    open: Vec<Open>,
    /// Of each version of the pair, which save it belongs to.
    saves: BTreeMap<Version, u64>,
    commits: Vec<(String, BTreeMap<String, Held>)>,
    tags: Vec<(String, String)>,
    told: Vec<String>,
}

pub fn a_repository_survives_everybody_at_once() -> Result<(), Missing> {
    drop(Stage::unmounted()?);
    seed::each(&[1, 2], |seed| {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
            world.check_worktrees();
        }
        world.end();
    });
    Ok(())
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("what was done:\n{}", self.told.join("\n"));
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let stage = Stage::new().expect("it was there a moment ago");
        let mut world = Self {
            stage,
            random: Random::new(seed),
            last: 0,
            is_mounted: true,
            trees: BTreeMap::from([(MAIN, Tree::default())]),
            tips: BTreeMap::new(),
            unsynced: BTreeMap::new(),
            open: Vec::new(),
            saves: BTreeMap::new(),
            commits: Vec::new(),
            tags: Vec::new(),
            told: Vec::new(),
        };
        fs::create_dir(world.stage.worktree("dir")).expect("new");
        world.save(MAIN, "a", true);
        world.commit(MAIN);
        world
    }

    fn tell(&mut self, what: String) {
        self.told.push(what);
    }

    fn step(&mut self) {
        // Commands wait a little for a file whose writer may be closing it: not too many of them.
        if !self.open.is_empty() && self.random.chance(40) {
            return self.finish();
        }
        match self.random.below(if self.is_mounted { 24 } else { 10 }) {
            0 | 1 => self.commit(MAIN),
            2 => self.add(),
            3 => self.runs(&["status"]),
            4 => self.restore(),
            5 => self.tag(),
            6 => self.runs(&["repack"]),
            7 => self.runs(&["fsck"]),
            8 => self.switch(),
            9 => match self.is_mounted {
                true => self.kill(),
                false => self.mount(),
            },
            10 | 11 => self.save_some(),
            12 => self.begin(),
            13 => self.finish(),
            14 => self.remove(),
            15 => self.pair(),
            16 => self.branch(),
            17 => self.delete_branch(),
            18 => self.umount(),
            19 => self.commit_while_saving(),
            20 => self.commit_while_adding(),
            21 => self.commit_twice(),
            22 => self.all_at_once(),
            _ => self.side(),
        }
    }

    fn new_version(&mut self) -> Version {
        self.last += 1;
        self.last
    }

    fn path(&self, branch: &str, path: &str) -> PathBuf {
        self.stage.mnt(&format!("worktree/{branch}/{path}"))
    }

    /// A command that has to succeed.
    fn runs(&mut self, arguments: &[&str]) {
        self.tell(format!("{arguments:?}"));
        self.stage.in_repo(arguments).succeeds();
    }

    fn some_name(&mut self) -> String {
        (*self.random.choose(NAMES)).to_owned()
    }

    fn is_open(&self, path: &str) -> bool {
        self.open.iter().any(|open| open.path == path)
    }

    fn save_some(&mut self) {
        let (name, synced) = (self.some_name(), self.random.chance(60));
        if !self.is_open(&name) {
            self.save(MAIN, &name, synced);
        }
    }

    /// Saves a new version: in place, or beside and renamed.
    fn save(&mut self, branch: &'static str, name: &str, synced: bool) -> Version {
        let version = self.new_version();
        let in_place = self.random.chance(50);
        self.tell(format!("save {branch}/{name} {version} in place: {in_place}, synced: {synced}"));
        save_to(&self.path(branch, name), version, in_place, synced);
        let held = Held::Whole(version);
        let known = self.trees.entry(branch).or_default();
        let before = known.allowed(name);
        known.set(name, held);
        let unsynced = self.unsynced.entry((branch, name.to_owned())).or_default();
        unsynced.extend(before);
        unsynced.insert(held);
        if synced {
            self.unsynced.remove(&(branch, name.to_owned()));
        }
        version
    }

    /// Begins to write a file that stays open.
    fn begin(&mut self) {
        let name = self.some_name();
        if self.is_open(&name) {
            return;
        }
        let version = self.new_version();
        self.tell(format!("begin {name} {version}"));
        let path = self.path(MAIN, &name);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).open(path).expect("it can be made");
        let bytes = content::bytes(version);
        file.write_all(&bytes[..bytes.len() / 2]).expect("room");
        self.open.push(Open { path: name, file, version });
    }

    fn finish(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = self.random.below(self.open.len());
        let Open { path, mut file, version } = self.open.swap_remove(at);
        self.tell(format!("finish {path} {version}"));
        let bytes = content::bytes(version);
        file.write_all(&bytes[bytes.len() / 2..]).expect("room");
        file.sync_all().expect("a disk");
        drop(file);
        self.trees.entry(MAIN).or_default().set(&path, Held::Whole(version));
        self.unsynced.remove(&(MAIN, path));
    }

    fn remove(&mut self) {
        let name = self.some_name();
        if self.is_open(&name) || self.trees[MAIN].allowed(&name).contains(&Held::Nothing) {
            return;
        }
        self.tell(format!("remove {name}"));
        fs::remove_file(self.path(MAIN, &name)).expect("it is there");
        let before = self.trees[MAIN].allowed(&name);
        self.trees.entry(MAIN).or_default().set(&name, Held::Nothing);
        let unsynced = self.unsynced.entry((MAIN, name)).or_default();
        unsynced.extend(before);
        unsynced.insert(Held::Nothing);
    }

    /// Saves both of the pair, one after the other.
    fn pair(&mut self) {
        let save = self.saves.values().max().map_or(0, |last| last + 1);
        for name in PAIR {
            let version = self.save(MAIN, name, false);
            self.saves.insert(version, save);
        }
    }

    fn add(&mut self) {
        let name = *self.random.choose(&["plain.x", "plain.y"]);
        let version = self.new_version();
        self.tell(format!("add {name} {version}"));
        fs::write(self.stage.path("repo").join(name), content::bytes(version)).expect("room");
        self.stage.in_repo(&["add", "-B", MAIN, name]).succeeds();
        self.trees.entry(MAIN).or_default().set(name, Held::Whole(version));
    }

    fn restore(&mut self) {
        let mut tip: Vec<String> = self.tips[MAIN].keys().cloned().collect();
        tip.retain(|name| !PAIR.contains(&name.as_str()));
        if tip.is_empty() {
            return;
        }
        let name = self.random.choose(&tip).clone();
        if self.is_open(&name) {
            return;
        }
        self.runs(&["restore", "-B", MAIN, &name]);
        let held = self.tips[MAIN][&name];
        self.trees.entry(MAIN).or_default().set(&name, held);
        self.unsynced.remove(&(MAIN, name));
    }

    fn tag(&mut self) {
        let name = format!("t{}", self.tags.len());
        let (id, _) = self.commits[self.random.below(self.commits.len())].clone();
        self.runs(&["tag", &name, "-c", &id]);
        self.tags.push((name, id));
    }

    fn switch(&mut self) {
        if self.tips.contains_key(SIDE) {
            self.runs(&["switch", SIDE]);
            self.runs(&["switch", MAIN]);
        }
    }

    fn branch(&mut self) {
        if self.tips.contains_key(SIDE) {
            return;
        }
        self.runs(&["branch", SIDE, MAIN]);
        let tip = self.tips[MAIN].clone();
        let mut tree = Tree::default();
        tip.iter().for_each(|(path, held)| tree.set(path, *held));
        self.trees.insert(SIDE, tree);
        self.tips.insert(SIDE, tip);
    }

    fn delete_branch(&mut self) {
        if self.tips.remove(SIDE).is_some() {
            self.runs(&["branch", "-D", SIDE]);
            self.trees.remove(SIDE);
            self.unsynced.retain(|(branch, _), _| *branch != SIDE);
        }
    }

    /// Something on the other branch.
    fn side(&mut self) {
        if !self.tips.contains_key(SIDE) {
            self.branch();
        }
        self.save(SIDE, "a", true);
        if self.random.chance(40) {
            self.commit(SIDE);
        }
    }

    fn mount(&mut self) {
        self.tell("mount".into());
        self.stage.mount(&["repo", "mnt"]);
        self.is_mounted = true;
    }

    fn umount(&mut self) {
        if self.open.is_empty() {
            self.tell("umount".into());
            self.stage.unmount();
            self.is_mounted = false;
        }
    }

    /// The daemon dies. What was closed and not synced may be there or not; a file that was being written holds what
    /// arrived, and is not looked at until it is saved again.
    fn kill(&mut self) {
        self.tell("kill".into());
        self.stage.kill_daemon();
        crate::stage::detach(&self.stage.path("mnt"));
        self.is_mounted = false;
        let unsynced = std::mem::take(&mut self.unsynced);
        for ((branch, path), held) in unsynced {
            let tree = self.trees.entry(branch).or_default();
            held.into_iter().for_each(|held| tree.also(&path, held));
        }
        let open = std::mem::take(&mut self.open);
        self.mount();
        for Open { path, file, .. } in open {
            drop(file);
            let _ = fs::remove_file(self.path(MAIN, &path));
            self.trees.entry(MAIN).or_default().set(&path, Held::Nothing);
        }
        self.check_worktrees();
        self.pair();
    }

    /// Commits, and compares the commit with what the worktree may have held.
    fn commit(&mut self, branch: &'static str) {
        let ran = self.stage.in_repo(&["--json", "commit", "-B", branch, "-m", "a step"]);
        self.told.push(format!("commit {branch}"));
        let allowed = self.trees[branch].clone();
        self.judge_commit(branch, ran, &allowed);
    }

    /// `allowed`: what the worktree may have held at some moment of the commit.
    fn judge_commit(&mut self, branch: &'static str, ran: Ran, allowed: &Tree) {
        if !ran.is_success() {
            ran.fails(&["nothing to commit"]);
            return;
        }
        let said: serde_json::Value = serde_json::from_str(&ran.text()).expect("JSON");
        let id = said["commit"].as_str().expect("an id").to_owned();
        let found = self.export(&id);
        self.tell(format!("{id}: {found:?}"));
        let paths: BTreeSet<&String> = found.keys().chain(allowed.0.keys()).collect();
        for path in paths {
            let held = found.get(path).copied().unwrap_or(Held::Nothing);
            let is_whole = held != Held::Torn;
            // What is on its way to its name is whole, or was not closed.
            let mut may_be = allowed.allowed(path);
            // What is being written stands in the commit as it was before, or not at all.
            if branch == MAIN && self.is_open(path) {
                may_be.insert(Held::Nothing);
                may_be.extend(self.tips[MAIN].get(path));
            }
            let passing = path.ends_with(".tmp") && is_whole;
            assert!(
                passing || may_be.contains(&held),
                "{path} in {id} holds {held:?}, not one of {may_be:?}"
            );
        }
        self.check_pair(&id, &found);
        self.commits.push((id, found.clone()));
        self.tips.insert(branch, found);
    }

    fn check_pair(&self, id: &str, found: &BTreeMap<String, Held>) {
        let save = |name: &str| match found.get(name) {
            Some(Held::Whole(version)) => self.saves.get(version).map_or(0, |save| save + 1),
            _ => 0,
        };
        let (first, second) = (save(PAIR[0]), save(PAIR[1]));
        assert!(
            first == second || first == second + 1,
            "{id} has save {first} and save {second} of the pair"
        );
    }

    /// All files of a commit.
    fn export(&self, id: &str) -> BTreeMap<String, Held> {
        let out = self.stage.path("export");
        self.stage.coral(&["-C", "repo", "export", id, out.to_str().expect("our own name")]).succeeds();
        let mut found = BTreeMap::new();
        let mut folders = vec![out.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("it was exported") {
                let path = entry.expect("it was exported").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name =
                        path.strip_prefix(&out).expect("below it").to_str().expect("our own name").to_owned();
                    found.insert(name, content::held_at(&path));
                }
            }
        }
        fs::remove_dir_all(out).expect("it can be removed");
        found
    }

    /// Commits while somebody saves one file after another.
    fn commit_while_saving(&mut self) {
        self.tell("commit while the pair is saved".into());
        let mut allowed = self.trees[MAIN].clone();
        let mut saves = Vec::new();
        let first = self.saves.values().max().map_or(0, |last| last + 1);
        for save in first..first + 8 {
            for name in PAIR {
                let version = self.new_version();
                self.saves.insert(version, save);
                allowed.also(name, Held::Whole(version));
                saves.push((name, version, self.random.chance(50)));
            }
        }
        let (stage, paths) = (&self.stage, PAIR.map(|name| self.path(MAIN, name)));
        let ran = thread::scope(|scope| {
            let commit = scope.spawn(|| stage.in_repo(&["--json", "commit", "-B", MAIN, "-m", "beside"]));
            for (name, version, in_place) in &saves {
                let path = &paths[usize::from(*name == PAIR[1])];
                save_to(path, *version, *in_place, false);
            }
            commit.join().expect("it ran")
        });
        for (name, version, _) in &saves {
            self.trees.entry(MAIN).or_default().set(name, Held::Whole(*version));
            self.unsynced.insert((MAIN, (*name).to_owned()), allowed.allowed(name));
        }
        self.judge_commit(MAIN, ran, &allowed);
    }

    fn commit_while_adding(&mut self) {
        let version = self.new_version();
        self.tell(format!("commit while plain.x {version} is added"));
        let mut allowed = self.trees[MAIN].clone();
        allowed.also("plain.x", Held::Whole(version));
        fs::write(self.stage.path("repo/plain.x"), content::bytes(version)).expect("room");
        let ran =
            self.at_once(&[&["add", "-B", MAIN, "plain.x"], &["--json", "commit", "-B", MAIN, "-m", "x"]]);
        let [added, committed] = ran.try_into().expect("two");
        added.succeeds();
        self.trees.entry(MAIN).or_default().set("plain.x", Held::Whole(version));
        self.judge_commit(MAIN, committed, &allowed);
    }

    fn commit_twice(&mut self) {
        self.tell("two commits at once".into());
        let allowed = self.trees[MAIN].clone();
        let commit: &[&str] = &["--json", "commit", "-B", MAIN, "-m", "one of two"];
        for ran in self.at_once(&[commit, commit]) {
            self.judge_commit(MAIN, ran, &allowed);
        }
    }

    fn all_at_once(&mut self) {
        self.tell("commit, repack, status and fsck at once".into());
        let allowed = self.trees[MAIN].clone();
        let commit: &[&str] = &["--json", "commit", "-B", MAIN, "-m", "one of four"];
        let mut ran = self.at_once(&[commit, &["repack"], &["status"], &["fsck"]]);
        for other in ran.split_off(1) {
            other.succeeds();
        }
        self.judge_commit(MAIN, ran.remove(0), &allowed);
    }

    /// Runs commands at once.
    fn at_once(&self, commands: &[&[&str]]) -> Vec<Ran> {
        let stage = &self.stage;
        thread::scope(|scope| {
            let start = |arguments: &&[&str]| {
                let arguments: Vec<String> =
                    arguments.iter().map(|argument| (*argument).to_owned()).collect();
                scope.spawn(move || {
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    stage.in_repo(&arguments)
                })
            };
            let started: Vec<_> = commands.iter().map(start).collect();
            started.into_iter().map(|command| command.join().expect("it ran")).collect()
        })
    }

    /// Every file of every worktree is what it may be.
    fn check_worktrees(&mut self) {
        if !self.is_mounted {
            return;
        }
        let branches: Vec<&'static str> = self.trees.keys().copied().collect();
        for branch in branches {
            let mut paths: Vec<String> = self.trees[branch].0.keys().cloned().collect();
            paths.retain(|path| branch != MAIN || !self.is_open(path));
            for path in &paths {
                let held = content::held_at(&self.path(branch, path));
                let allowed = self.trees[branch].allowed(path);
                assert!(allowed.contains(&held), "{branch}/{path} holds {held:?}, not one of {allowed:?}");
                self.trees.entry(branch).or_default().set(path, held);
            }
        }
    }

    /// Everything is as it was acknowledged, and nothing is left.
    fn end(mut self) {
        while !self.open.is_empty() {
            self.finish();
        }
        if !self.is_mounted {
            self.mount();
        }
        self.check_worktrees();
        self.commit(MAIN);
        self.umount();
        self.stage.in_repo(&["fsck", "--full"]).succeeds();
        for (id, files) in &self.commits {
            assert_eq!(self.export(id), *files, "{id}");
        }
        for (name, id) in &self.tags {
            let shown = self.stage.in_repo(&["--json", "log", name, "-n", "1"]).succeeds().text();
            assert!(shown.contains(id.as_str()), "{name} is not {id}: {shown}");
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("Linux");
        assert!(!mounts.contains(self.stage.path("mnt").to_str().expect("our own name")));
    }
}

/// Saves a version as programs do: written over what is there, or written beside it and renamed.
fn save_to(path: &Path, version: Version, in_place: bool, synced: bool) {
    let bytes = content::bytes(version);
    let written = if in_place { path.to_owned() } else { path.with_extension("tmp") };
    let mut file = File::create(&written).expect("it can be made");
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    file.write_all(head).expect("room");
    file.write_all(tail).expect("room");
    if synced {
        file.sync_all().expect("a disk");
    }
    drop(file);
    if !in_place {
        fs::rename(&written, path).expect("it can be renamed");
        if synced {
            File::open(path.parent().expect("a folder")).and_then(|dir| dir.sync_all()).expect("a disk");
        }
    }
}
