//! Checking that everything a repository promises is there.
//!
//! Quick: refs, commits, trees and recipes decode and hash to their ids, every object is in a pack, and every pack's
//! directory and frames are as they say. Full: every file is read back and its BLAKE3 compared, and objects that no file
//! has are decoded and compared with their keys. Findings are collected, not stopped at.

use super::commit_graph::CommitGraph;
use super::error::{Error, Result};
use super::path::TreePath;
use super::plain_copy::check_copies;
use super::reflog::LogLine;
use super::refs::{BranchName, Head};
use super::repository::Repo;
use super::tree::Node;
use crate::id::{CommitId, ObjectKey, RecipeId, TreeId};
use crate::store::{Copies, Problem};
use crate::task::{Meter, Task, Unit};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// What a check found.
#[derive(Debug, Default)]
pub struct FsckReport {
    /// Commits that some ref, log or worktree reaches.
    pub commits: u64,
    /// Distinct directories in them.
    pub trees: u64,
    /// Distinct file contents in them.
    pub files: u64,
    /// Distinct objects of those.
    pub objects: u64,
    /// Bytes read back and compared.
    pub bytes_verified: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What lies in `quarantine/` or belongs to no branch: nothing is wrong with it, and nobody sees it otherwise.
    pub set_aside: Vec<PathBuf>,
}

/// Something that is wrong.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Where: `branch main`, `commit 1234abcd`, `run/model.safetensors in commit 1234abcd`.
    pub place: String,
    /// What.
    pub what: String,
}

/// A check under way; rooms above add what they know of.
pub(crate) struct Check<'a> {
    pub repo: &'a Repo,
    pub task: &'a Task,
    pub report: FsckReport,
    looked_at: Box<dyn Meter>,
    commits: HashSet<CommitId>,
    /// Commits that cannot be read, and why: everything that names one is told of.
    broken: HashMap<CommitId, String>,
    trees: HashSet<TreeId>,
    /// Each content with the first place that it was seen at.
    files: HashMap<RecipeId, String>,
    objects: HashSet<ObjectKey>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(repo: &'a Repo, task: &'a Task) -> Self {
        Self {
            repo,
            task,
            looked_at: task.begin("checking", Unit::Commits, None),
            report: FsckReport::default(),
            commits: HashSet::new(),
            broken: HashMap::new(),
            trees: HashSet::new(),
            files: HashMap::new(),
            objects: HashSet::new(),
        }
    }

    pub(crate) fn note(&mut self, place: impl Into<String>, what: impl ToString) {
        self.report.findings.push(Finding { place: place.into(), what: what.to_string() });
    }

    /// The value, or a finding.
    pub(crate) fn note_error<T, E: ToString>(
        &mut self,
        place: &str,
        result: std::result::Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(place, error);
                None
            }
        }
    }

    /// What branches, tags, HEAD and logs reach.
    pub(crate) fn refs(&mut self) {
        let refs = self.repo.refs();
        if let Some(Head::Detached(commit)) = self.note_error("HEAD", refs.head()) {
            self.history("HEAD", commit);
        }
        for (name, tip) in self.note_error("branches", refs.each_branch()).unwrap_or_default() {
            let place = format!("branch {name}");
            let Some(tip) = self.note_error(&place, tip) else { continue };
            self.history(&place, tip);
            if self.broken.contains_key(&tip) {
                self.way_back(&name);
            }
        }
        for (name, tag) in self.note_error("tags", refs.each_tag()).unwrap_or_default() {
            let place = format!("tag {name}");
            if let Some(tag) = self.note_error(&place, tag) {
                self.history(&place, tag.commit);
            }
        }
        for file in self.note_error("refs", refs.misnamed()).unwrap_or_default() {
            self.note(file, "nothing can have this name, so nobody sees it");
        }
        self.logs();
    }

    /// The commits that refs pointed to, also refs that were deleted: they can be asked for as `main@{1}`.
    fn logs(&mut self) {
        let refs = self.repo.refs();
        let (branches, strangers) = self.note_error("logs/heads", refs.logs().branches()).unwrap_or_default();
        for name in branches {
            self.log(&format!("log of branch {name}"), refs.logs().branch(&name));
        }
        self.strangers("logs/heads", strangers);
        let (tags, strangers) = self.note_error("logs/tags", refs.logs().tags()).unwrap_or_default();
        for name in tags {
            self.log(&format!("log of tag {name}"), refs.logs().tag(&name));
        }
        self.strangers("logs/tags", strangers);
        // A HEAD that cannot be read is told of already.
        if let Ok(lines) = refs.logs().head() {
            self.log("log of HEAD", Ok(lines));
        }
    }

    fn log(&mut self, place: &str, lines: Result<Vec<LogLine>>) {
        for line in self.note_error(place, lines).unwrap_or_default() {
            [line.old, line.new].into_iter().flatten().for_each(|commit| self.history(place, commit));
        }
    }

    fn strangers(&mut self, folder: &str, names: Vec<String>) {
        for name in names {
            self.note(format!("{folder}/{name}"), "no ref can have this name");
        }
    }

    /// Names the last commit of a branch's log that is there.
    fn way_back(&mut self, name: &BranchName) {
        let log = self.repo.refs().logs().branch(name).unwrap_or_default();
        let is_there = |line: &LogLine| line.new.is_some_and(|id| self.repo.commit(id).is_ok());
        if let Some(back) = log.iter().rev().position(is_there) {
            self.note(
                format!("branch {name}"),
                format!("the last commit of its log that is there is `{name}@{{{back}}}`"),
            );
        }
    }

    fn history(&mut self, place: &str, tip: CommitId) {
        let mut queue = vec![(place.to_owned(), tip)];
        while let Some((place, id)) = queue.pop() {
            if self.task.check().is_err() {
                return;
            }
            if !self.commits.insert(id) {
                if let Some(why) = self.broken.get(&id) {
                    self.note(place, why.clone());
                }
                continue;
            }
            let commit = match self.repo.commit(id) {
                Ok(commit) => commit,
                Err(error) => {
                    let why = format!("commit {}: {error}", &id.to_string()[..10]);
                    self.note(place, &why);
                    self.broken.insert(id, why);
                    continue;
                }
            };
            self.report.commits += 1;
            self.looked_at.advance(1);
            let place = format!("commit {}", &id.to_string()[..10]);
            self.tree(&place, &TreePath::ROOT, commit.tree);
            queue.extend(commit.parents.iter().map(|&parent| (place.clone(), parent)));
        }
    }

    fn tree(&mut self, place: &str, path: &TreePath, id: TreeId) {
        let mut queue = vec![(path.clone(), id)];
        while let Some((path, id)) = queue.pop() {
            if self.task.check().is_err() {
                return;
            }
            if !self.trees.insert(id) {
                continue;
            }
            let shown = format!("{path} in {place}");
            let Some(tree) = self.note_error(&shown, self.repo.tree(id)) else { continue };
            self.report.trees += 1;
            for entry in tree.entries() {
                let path = path.join(entry.name.clone());
                match &entry.node {
                    Node::Dir(below) => queue.push((path, *below)),
                    Node::File { recipe, len } => self.file(format!("{path} in {place}"), *recipe, *len),
                    Node::Symlink(_) => {}
                }
            }
        }
    }

    /// A file of some tree: what it is made of is there.
    pub(crate) fn file(&mut self, place: String, id: RecipeId, len: u64) {
        if self.files.contains_key(&id) {
            return;
        }
        self.files.insert(id, place.clone());
        let Some(recipe) = self.note_error(&place, self.repo.recipe(id)) else { return };
        self.report.files += 1;
        if recipe.len() != len {
            self.note(&place, format!("recipe has {} bytes, its directory says {len}", recipe.len()));
        }
        for extent in recipe.extents() {
            let Some((key, len)) = extent.object() else { continue };
            if self.objects.insert(key) {
                self.object(&place, key, len);
            }
        }
    }

    fn object(&mut self, place: &str, key: ObjectKey, len: u64) {
        match self.repo.store().info(key) {
            Ok(Some(info)) if info.len == len => self.report.objects += 1,
            Ok(Some(info)) => self.note(place, format!("object {key} has {} bytes, not {len}", info.len)),
            Ok(None) => self.note(place, format!("object {key} is missing")),
            Err(error) => self.note(place, error),
        }
    }

    /// What is in packs, whether anything needs it or not. With `full`, what no file that was met has is decoded too, and each
    /// copy of what there are several of; the rest is when files are read back.
    pub(crate) fn packs(&mut self, full: bool) {
        let decoded = |key, copies| full && (copies == Copies::Several || !self.objects.contains(&key));
        let checked = self.repo.store().verify(&decoded, self.task).map_err(Error::from);
        let Some(report) = self.note_error("packs", checked) else { return };
        for Problem { pack, key, what } in report.problems {
            let place = key.map_or_else(String::new, |key| format!("object {key} in "));
            self.note(format!("{place}{}", pack.display()), what);
        }
    }

    /// Reads back every file that was met.
    pub(crate) fn bytes(&mut self) {
        let files: Vec<(RecipeId, String)> =
            self.files.iter().map(|(id, place)| (*id, place.clone())).collect();
        let (repo, task) = (self.repo, self.task);
        let lens = files.iter().filter_map(|(id, _)| Some(repo.recipe(*id).ok()?.len()));
        let verified = task.begin("reading back", Unit::Bytes, Some(lens.sum()));
        let verify = |(id, place): (RecipeId, String)| (verify(repo, id, &place, task, &*verified), place);
        let results = repo.store().threads().map(files.into_iter(), verify);
        for (result, place) in results {
            match result {
                Ok(bytes) => self.report.bytes_verified += bytes,
                Err(error) => self.note(place, error),
            }
        }
        let checked = check_copies(repo, task);
        for path in self.note_error("plain copies", checked).into_iter().flatten() {
            let what = "was another file than its name says, and is removed; the packs have the bytes";
            self.note(format!("plain copy {}", path.display()), what);
        }
    }

    /// Compares the graph of commits with the commits.
    pub(crate) fn graph(&mut self) {
        let checked = CommitGraph::of(self.repo).check(self.task);
        if self.note_error("graph", checked) == Some(false) {
            let what = "was damaged or said something else than the commits, and is removed; mounts that read it before \
                        use it until they are mounted anew";
            self.note("graph", what);
        }
    }

    pub(crate) fn finish(mut self) -> FsckReport {
        self.report.findings.sort_by(|a, b| a.place.cmp(&b.place));
        self.report
    }
}

/// Reads a file back and compares its hash. Returns its length.
fn verify(repo: &Repo, id: RecipeId, place: &str, task: &Task, verified: &dyn Meter) -> Result<u64> {
    task.check()?;
    let len = repo.recipe(id)?.len();
    repo.read_through(id, len, &place, |bytes| {
        task.check()?;
        verified.advance(bytes.len() as u64);
        Ok::<_, Error>(())
    })?;
    Ok(len)
}
