//! Power cuts: what was acknowledged is there, whatever else was under way, and nothing is in the way of going on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::content::{self, Held, Version};
use crate::logged::{LoggedDisk, moments};
use crate::seed::{self, Random};
use crate::stage::{Missing, Ran, Stage};

const STEPS: usize = 45;
const CUTS: usize = 12;
const NAMES: &[&str] = &["a", "b", "c"];
/// The folder of what a cut left.
const CUT: &str = "cut";

/// What happened to a path: from when it may have been on the disk, and from when it had to be.
struct Change {
    begun: usize,
    durable: Option<usize>,
    held: Held,
}

/// Something that was acknowledged.
enum Told {
    Commit { id: String, files: BTreeMap<String, Held> },
    Tag { name: String, id: String },
    Branch { name: String, id: String },
}

struct World {
    /// Last: the mount is on it.
    disk: LoggedDisk,
    random: Random,
    last: Version,
    changes: BTreeMap<String, Vec<Change>>,
    told: Vec<(usize, Told)>,
    acknowledged: Vec<usize>,
    done: Vec<String>,
}

pub fn a_power_cut_loses_nothing_that_was_acknowledged() -> Result<(), Missing> {
    let probe = Stage::unmounted()?;
    drop(LoggedDisk::new(&probe.path(""))?);
    seed::each(&[1, 2], |seed| {
        let mut stage = Stage::unmounted().expect("it was there a moment ago");
        let mut world = World::new(&mut stage, seed);
        for _ in 0..STEPS {
            world.step(&stage);
        }
        world.acknowledged.push(world.disk.moment());
        stage.unmount();
        let ends = world.disk.moment();
        for moment in moments(&world.acknowledged.clone(), ends, CUTS, &mut world.random) {
            world.check_cut(&stage, moment);
        }
    });
    Ok(())
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what was done:\n{}", self.done.join("\n"));
        }
    }
}

fn coral(stage: &Stage, folder: &str, arguments: &[&str]) -> Ran {
    let repo = stage.path(folder).join("repo");
    let mut all = vec!["-C", repo.to_str().expect("our own name")];
    all.extend(arguments);
    if folder != CUT {
        return stage.coral(&all);
    }
    // After a power cut the machine starts anew, which programs know by this file.
    let started = stage.path("boot_id");
    fs::write(&started, "00000000-0000-4000-8000-000000000001\n").expect("room");
    let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$CORAL\" \"$@\"";
    let mut command = stage.program("unshare", &stage.path(""));
    stage.run(command.args(["--mount", "sh", "-euc", script]).arg(started).args(all))
}

impl World {
    fn new(stage: &mut Stage, seed: u64) -> Self {
        let disk = LoggedDisk::new(&stage.path("")).expect("it was there a moment ago");
        stage.coral(&["init", "fs/repo"]).succeeds();
        stage.mount(&["fs/repo", "mnt"]);
        let (changes, told, done) = (BTreeMap::new(), Vec::new(), Vec::new());
        let acknowledged = vec![disk.moment()];
        let mut world = Self { disk, random: Random::new(seed), last: 0, changes, told, acknowledged, done };
        world.save(stage, true);
        world.commit(stage);
        world
    }

    fn step(&mut self, stage: &Stage) {
        match self.random.below(11) {
            0 | 1 => self.commit(stage),
            2 => self.add(stage),
            3 => self.tag(stage),
            4 => self.branch(stage),
            5 => self.remove(stage),
            6 => _ = coral(stage, "fs", &["repack"]).succeeds(),
            7 | 8 => self.save(stage, false),
            _ => self.save(stage, true),
        }
        self.acknowledged.push(self.disk.moment());
    }

    fn tell(&mut self, what: String) {
        let moment = self.disk.moment();
        self.done.push(format!("{moment}: {what}"));
    }

    fn change(&mut self, path: &str, begun: usize, held: Held, is_durable: bool) {
        let durable = is_durable.then(|| self.disk.moment());
        self.tell(format!("{path} is {held:?}, durable: {is_durable}"));
        self.changes.entry(path.to_owned()).or_default().push(Change { begun, durable, held });
    }

    fn new_version(&mut self) -> Version {
        self.last += 1;
        self.last
    }

    fn save(&mut self, stage: &Stage, synced: bool) {
        let name = *self.random.choose(NAMES);
        let (version, begun) = (self.new_version(), self.disk.moment());
        let path = stage.worktree(name);
        let written = if self.random.below(2) == 0 { path.clone() } else { path.with_extension("tmp") };
        let mut file = File::create(&written).expect("it can be made");
        file.write_all(&content::bytes(version)).expect("room");
        if synced {
            file.sync_all().expect("a disk");
        }
        drop(file);
        if written != path {
            fs::rename(&written, &path).expect("it can be renamed");
        }
        if synced {
            sync_folder(&path);
        }
        self.change(name, begun, Held::Whole(version), synced);
    }

    fn remove(&mut self, stage: &Stage) {
        let name = *self.random.choose(NAMES);
        let begun = self.disk.moment();
        if fs::remove_file(stage.worktree(name)).is_ok() {
            sync_folder(&stage.worktree(name));
            self.change(name, begun, Held::Nothing, true);
        }
    }

    fn add(&mut self, stage: &Stage) {
        let (version, begun) = (self.new_version(), self.disk.moment());
        fs::write(stage.path("plain"), content::bytes(version)).expect("room");
        let plain = stage.path("plain");
        coral(stage, "fs", &["add", plain.to_str().expect("our own name")]).succeeds();
        self.change("plain", begun, Held::Whole(version), true);
    }

    fn commit(&mut self, stage: &Stage) {
        let ran = coral(stage, "fs", &["--json", "commit", "-m", "a step"]);
        if !ran.is_success() {
            ran.fails(&["nothing to commit"]);
            return;
        }
        let said: serde_json::Value = serde_json::from_str(&ran.text()).expect("JSON");
        let id = said["commit"].as_str().expect("an id").to_owned();
        let moment = self.disk.moment();
        let files = export(stage, "fs", &id);
        self.tell(format!("commit {id} {files:?}"));
        self.told.push((moment, Told::Commit { id, files }));
    }

    fn some_commit(&mut self) -> String {
        let commits = self.told.iter().filter_map(|(_, told)| match told {
            Told::Commit { id, .. } => Some(id.clone()),
            Told::Tag { .. } | Told::Branch { .. } => None,
        });
        let commits: Vec<String> = commits.collect();
        self.random.choose(&commits).clone()
    }

    fn tag(&mut self, stage: &Stage) {
        let (name, id) = (format!("t{}", self.told.len()), self.some_commit());
        coral(stage, "fs", &["tag", &name, "-c", &id]).succeeds();
        self.tell(format!("tag {name}"));
        self.told.push((self.disk.moment(), Told::Tag { name, id }));
    }

    fn branch(&mut self, stage: &Stage) {
        let (name, id) = (format!("b{}", self.told.len()), self.some_commit());
        coral(stage, "fs", &["branch", &name, &id]).succeeds();
        self.tell(format!("branch {name}"));
        self.told.push((self.disk.moment(), Told::Branch { name, id }));
    }

    /// What a reader may find at a path after a cut.
    fn allowed(&self, path: &str, moment: usize) -> BTreeSet<Held> {
        let changes = self.changes.get(path).map_or(&[][..], Vec::as_slice);
        let floor =
            changes.iter().rposition(|change| change.durable.is_some_and(|durable| durable <= moment));
        let later = &changes[floor.map_or(0, |floor| floor + 1)..];
        let mut allowed: BTreeSet<Held> =
            later.iter().filter(|change| change.begun <= moment).map(|change| change.held).collect();
        let floor = floor.map_or(Held::Nothing, |floor| changes[floor].held);
        if !allowed.is_empty() {
            // Of a file that nobody synced there is what arrived; or it stands in the commit as in the one before.
            if floor == Held::Nothing {
                allowed.insert(Held::Torn);
            }
            let commits = self.told.iter().filter_map(|(told, what)| match what {
                Told::Commit { files, .. } => Some((*told, files.get(path).copied()?)),
                Told::Tag { .. } | Told::Branch { .. } => None,
            });
            let (before, later): (Vec<_>, Vec<_>) = commits.partition(|(told, _)| *told <= moment);
            allowed.extend(before.last().into_iter().chain(later.first()).map(|(_, held)| *held));
        }
        allowed.insert(floor);
        allowed
    }

    fn check_cut(&mut self, stage: &Stage, moment: usize) {
        self.done.push(format!("cut at {moment}"));
        let cut = self.disk.cut(moment, &mut self.random);
        assert_eq!(cut.folder, stage.path(CUT));
        coral(stage, CUT, &["fsck", "--full"]).succeeds();
        for (_, told) in self.told.iter().filter(|(told, _)| *told <= moment) {
            match told {
                Told::Commit { id, files } => assert_eq!(export(stage, CUT, id), *files, "{id}"),
                Told::Tag { name, id } | Told::Branch { name, id } => {
                    let shown = coral(stage, CUT, &["--json", "log", name, "-n", "1"]).succeeds().text();
                    assert!(shown.contains(id.as_str()), "{name} is not {id}: {shown}");
                }
            }
        }
        // What nobody wrote to since it was synced is complete; the rest is there, and may be being written.
        for (arguments, with_unsynced) in [(&[][..], false), (&["--include-open"][..], true)] {
            let found = commit_after(stage, arguments);
            for path in self.changes.keys() {
                let (held, allowed) =
                    (found.get(path).copied().unwrap_or(Held::Nothing), self.allowed(path, moment));
                let is_judged = with_unsynced || allowed.len() == 1;
                assert!(
                    !is_judged || allowed.contains(&held),
                    "{path} holds {held:?} after a cut at {moment} ({arguments:?}), not one of {allowed:?}"
                );
            }
        }
        coral(stage, CUT, &["fsck", "--full"]).succeeds();
    }
}

/// Commits what the cut left, and gives the files of the branch.
fn commit_after(stage: &Stage, arguments: &[&str]) -> BTreeMap<String, Held> {
    let commit = coral(stage, CUT, &[&["commit", "-m", "after the cut"][..], arguments].concat());
    if !commit.is_success() {
        commit.fails(&["nothing to commit"]);
    }
    match coral(stage, CUT, &["log", "main"]).is_success() {
        true => export(stage, CUT, "main"),
        false => BTreeMap::new(),
    }
}

/// All files of a commit.
fn export(stage: &Stage, folder: &str, id: &str) -> BTreeMap<String, Held> {
    let out: PathBuf = stage.path("export");
    coral(stage, folder, &["export", id, out.to_str().expect("our own name")]).succeeds();
    let held = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("our own name");
        (name, content::held_at(&entry.path()))
    };
    let found = fs::read_dir(&out)
        .expect("it was exported")
        .map(|entry| held(entry.expect("it was exported")))
        .collect();
    fs::remove_dir_all(out).expect("it can be removed");
    found
}

fn sync_folder(path: &Path) {
    let folder = path.parent().expect("a folder");
    File::open(folder).and_then(|folder| folder.sync_all()).expect("a disk");
}
