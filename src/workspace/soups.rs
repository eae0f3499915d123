//! Models of several commits made one, as a commit of a branch.
//!
//! Everything is read, computed and in the store before the worktree has anything of it; then all of it is put into the
//! worktree by one write, and committed. A branch gets a soup only when its worktree has no changes of its own.
//!
//! The commit has the files of the first model's commit, with its models mixed. What only the branch has stays, but for
//! other files of a model that is there now, and what belongs to a run is left out.

use super::error::{Error, Result};
use super::merge::{check_clean, under_way};
use super::mounts::Heard;
use super::soup_models::{Place, find, is_of_a_run, is_there, open, places};
use super::stale::unless_stale;
use super::workspace::Workspace;
use crate::history::{
    self, Attributes, CommitGraph, Entry, FileContent, IngestFile, Intake, Node, Repo, TreePath, TreeWalk,
};
use crate::id::{CommitId, RecipeId, TreeId};
use crate::soup::{
    self, Baked, Base, Consensus, Order, Part, Passes, Recipe, Report, Rescale, SIDE_FILE_MAX, TakeIn,
    Written, bake, configuration_of, forecast, index_of, write_file,
};
use crate::store::{Ingest, StoreError};
use crate::task::Task;
use crate::worktree::{self, Coding, Committed, Edit, MergingKind, Snapshot, Worktree};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be made one, and how.
#[derive(Debug, Clone)]
pub struct SoupRequest {
    /// The revisions of the models, in their order.
    pub models: Vec<String>,
    /// What differences are counted from; the merge base of the models if a method needs one and none is named.
    pub base: Option<String>,
    /// How.
    pub recipe: Recipe,
    /// The text that the recipe was read from.
    pub recipe_text: Option<String>,
    /// Only the best of the models by a metric that was recorded.
    pub best: Option<Best>,
    /// Of one model its last commits, so many, the oldest first.
    pub last: Option<usize>,
    /// What the commit says.
    pub message: Option<String>,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// When large files are coded.
    pub coding: Coding,
}

impl SoupRequest {
    /// The name of the method: of the best by a metric it is not that of their mean.
    pub fn method(&self) -> &'static str {
        if self.best.is_some() { GREEDY } else { self.recipe.method.name() }
    }
}

/// What taking the best is called.
pub const GREEDY: &str = "greedy";

/// Which of several models are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// The metric.
    pub metric: String,
    /// Whether a larger one is better.
    pub is_max: bool,
    /// How many.
    pub take: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Souped {
    /// The commit; `None` if it was not to be made, or would change nothing.
    pub committed: Option<Committed>,
    /// What it is made of.
    pub models: Vec<(String, CommitId)>,
    /// What differences were counted from.
    pub base: Option<CommitId>,
    /// What became of the tensors of each model.
    pub reports: Vec<(TreePath, Report)>,
    /// Files that differ between the commits, and are the first's.
    pub differing: Vec<TreePath>,
    /// Files that belong to a run and are not in the commit.
    pub left_out: Vec<TreePath>,
    /// Files of the branch that belonged to a model that is another one now.
    pub removed: Vec<TreePath>,
    /// What mounts say.
    pub heard: Heard,
}

/// Making models one.
#[derive(Debug, Clone, Copy)]
pub struct Soups<'a>(&'a Workspace);

impl Workspace {
    /// Making models one.
    pub fn soups(&self) -> Soups<'_> {
        Soups(self)
    }
}

/// The commits that a soup is made of.
struct Commits {
    models: Vec<(String, CommitId)>,
    trees: Vec<TreeId>,
    base: Option<(CommitId, TreeId)>,
}

impl Soups<'_> {
    /// Makes models one, and commits the result.
    ///
    /// # Errors
    /// [`Error::Soup`] names what cannot be mixed; [`Error::SoupRefused`]; [`UncommittedChanges`](worktree::Error::UncommittedChanges),
    /// [`UnderWay`](worktree::Error::UnderWay). Nothing has changed then.
    pub fn make(&self, worktree: &Worktree, request: &SoupRequest, task: &Task) -> Result<Souped> {
        unless_stale(|| self.try_make(worktree, request, task))
    }

    fn try_make(&self, worktree: &Worktree, request: &SoupRequest, task: &Task) -> Result<Souped> {
        let snapshot = check_clean(&self.0.repo, worktree)?;
        let (commits, recipe) = self.commits(request)?;
        let mut request = SoupRequest { recipe, ..request.clone() };
        loop {
            match self.cook(worktree, &snapshot, &request, &commits, task) {
                // Where a file can have no second name it is coded at once.
                Err(Error::Repo(crate::history::Error::Store(StoreError::Unlinkable(_))))
                    if request.coding == Coding::Later =>
                {
                    request.coding = Coding::Now;
                }
                other => return other,
            }
        }
    }

    /// The commits that are meant, and the recipe for as many.
    fn commits(&self, request: &SoupRequest) -> Result<(Commits, Recipe)> {
        let repo = &self.0.repo;
        let mut models = Vec::with_capacity(request.models.len());
        for name in &request.models {
            models.push((name.clone(), repo.resolve(name, self.0.now())?));
        }
        if let Some(count) = request.last {
            models = self.last(models, count)?;
        }
        if let Some(best) = &request.best {
            models = self.best(models, best)?;
        }
        if models.is_empty() {
            return Err(Error::SoupRefused("no model is named".into()));
        }
        let mut recipe = request.recipe.clone();
        recipe.parameters.each.resize(models.len(), soup::Scope::new());
        let base = self.base(request, &models)?;
        recipe.check(models.len(), base.is_some()).map_err(Error::SoupRefused)?;
        let tree = |commit| Ok::<_, Error>(repo.commit(commit)?.tree);
        let trees = models.iter().map(|(_, commit)| tree(*commit)).collect::<Result<_>>()?;
        let base = base.map(|base| Ok::<_, Error>((base, tree(base)?))).transpose()?;
        Ok((Commits { models, trees, base }, recipe))
    }

    /// The last commits of a line, the oldest first.
    fn last(&self, models: Vec<(String, CommitId)>, count: usize) -> Result<Vec<(String, CommitId)>> {
        let [(name, tip)] = models.as_slice() else {
            return Err(Error::SoupRefused("the last commits are those of one revision".into()));
        };
        let (mut line, mut next) = (Vec::new(), Some(*tip));
        while let Some(commit) = next.filter(|_| line.len() < count) {
            line.push((format!("{name}~{}", line.len()), commit));
            next = self.0.repo.commit(commit)?.parents.first().copied();
        }
        if line.len() < count {
            let has = line.len();
            return Err(Error::SoupRefused(format!(
                "`{name}` has {has} commits, and the last {count} are wanted"
            )));
        }
        line.reverse();
        Ok(line)
    }

    /// The best by what commits and tags say of them, the best one first.
    fn best(&self, models: Vec<(String, CommitId)>, best: &Best) -> Result<Vec<(String, CommitId)>> {
        let tags = self.0.repo.refs().tags()?;
        let mut valued = Vec::with_capacity(models.len());
        for (name, id) in models {
            let commit = self.0.repo.commit(id)?;
            let mut of_tags = tags
                .iter()
                .filter(|(_, tag)| tag.commit == id)
                .filter_map(|(_, tag)| tag.metrics.get(&best.metric));
            let said = commit.metadata.get(&best.metric).or(of_tags.next_back());
            match said.map(|said| said.trim().parse::<f64>()) {
                Some(Ok(value)) if value.is_finite() => valued.push((value, (name, id))),
                Some(_) => {
                    return Err(Error::SoupRefused(format!(
                        "`{}` of `{name}` is no finite number",
                        best.metric
                    )));
                }
                None => {
                    return Err(Error::SoupRefused(format!("nothing says `{}` of `{name}`", best.metric)));
                }
            }
        }
        // Of equal ones the one that is named first.
        valued.sort_by(|(a, _), (b, _)| if best.is_max { b.total_cmp(a) } else { a.total_cmp(b) });
        valued.truncate(best.take);
        Ok(valued.into_iter().map(|(_, model)| model).collect())
    }

    /// What differences are counted from.
    fn base(&self, request: &SoupRequest, models: &[(String, CommitId)]) -> Result<Option<CommitId>> {
        let method = request.recipe.method;
        match (&request.base, method.base()) {
            (Some(base), _) => Ok(Some(self.0.repo.resolve(base, self.0.now())?)),
            (None, Base::None | Base::Allowed) => Ok(None),
            (None, Base::Required) => {
                let (_, first) = models[0];
                let graph = CommitGraph::of(&self.0.repo);
                let mut base = if models.len() > 1 { Some(first) } else { None };
                for (_, other) in &models[1..] {
                    base = match base {
                        Some(base) => graph.merge_bases(base, *other)?.first().copied(),
                        None => None,
                    };
                }
                let why = format!(
                    "{} counts differences from a base, and the models have none in common",
                    method.name()
                );
                base.map(Some).ok_or(Error::SoupRefused(why))
            }
        }
    }

    fn cook(
        &self,
        worktree: &Worktree,
        snapshot: &Snapshot,
        request: &SoupRequest,
        commits: &Commits,
        task: &Task,
    ) -> Result<Souped> {
        let repo = &self.0.repo;
        let mut pot = Pot {
            repo,
            request,
            commits,
            task,
            tip: repo.tree_of(snapshot.base)?,
            made: BTreeMap::new(),
            written: Vec::new(),
            ingest: repo.store().begin()?,
            reports: Vec::new(),
            removed: BTreeSet::new(),
            mixed: BTreeSet::new(),
        };
        let found = places(repo, commits.trees[0])?;
        if found.is_empty() {
            let (name, _) = &commits.models[0];
            return Err(Error::SoupRefused(format!("`{name}` has no file with tensors")));
        }
        pot.check_patterns(&found)?;
        for place in &found {
            pot.mix(place, self.0.now())?;
        }
        let (edits, differing, left_out) = pot.edits()?;
        let Pot { ingest, written, reports, removed, .. } = pot;
        let mut souped = Souped {
            committed: None,
            models: commits.models.clone(),
            base: commits.base.map(|(base, _)| base),
            reports,
            differing,
            left_out,
            removed: removed.into_iter().collect(),
            heard: Heard::default(),
        };
        if request.dry_run {
            return Ok(souped);
        }
        task.check().map_err(crate::history::Error::from)?;
        // Whatever the worktree names is in the store before.
        ingest.seal()?;
        written.iter().for_each(|written| written.keep_copy(repo));
        souped.committed = self.commit(worktree, (snapshot, edits), request, commits, task)?;
        souped.heard = self.0.mounts().announce();
        Ok(souped)
    }

    /// Puts what was made into the worktree and commits it. Who is stopped in between leaves a soup under way.
    fn commit(
        &self,
        worktree: &Worktree,
        (snapshot, edits): (&Snapshot, Vec<Edit>),
        request: &SoupRequest,
        commits: &Commits,
        task: &Task,
    ) -> Result<Option<Committed>> {
        let message = request.message.clone().unwrap_or_else(|| message(request, commits));
        let tip = snapshot.base.ok_or_else(|| history::Error::Unborn(worktree.branch().to_string()))?;
        let mut soup = under_way(MergingKind::Soup, (tip, commits.models[0].1), message, None);
        soup.metadata = metadata(request, commits);
        self.0.merges().put_in(worktree, snapshot, &mut soup, edits)?;
        let made = worktree.snapshot(false)?;
        self.0.merges().commit_step(worktree, &soup, None, task).inspect_err(|_| {
            // There were no changes before; who saved since keeps what he has, and the soup as changes. What fails here is
            // given up by whoever is told that a soup is under way.
            let _ = worktree.under_way().take_back(&soup).and_then(|taken_back| {
                match worktree.edits().reset_since(&made) {
                    Ok(()) | Err(worktree::Error::Stale) => worktree.under_way().end(&taken_back),
                    Err(error) => Err(error),
                }
            });
        })
    }
}

fn message(request: &SoupRequest, commits: &Commits) -> String {
    let names: Vec<&str> = commits.models.iter().map(|(name, _)| name.as_str()).collect();
    format!("Soup of {} by {}", names.join(", "), request.method())
}

/// How a commit was made, so that it can be made again.
fn metadata(request: &SoupRequest, commits: &Commits) -> BTreeMap<String, String> {
    let Recipe { method, ref parameters, seed, .. } = request.recipe;
    let models: Vec<String> = commits.models.iter().map(|(_, commit)| commit.to_string()).collect();
    let mut said = BTreeMap::from([
        ("soup.version".to_owned(), "1".to_owned()),
        ("soup.method".to_owned(), request.method().to_owned()),
        ("soup.models".to_owned(), models.join(" ")),
    ]);
    let mut say = |name: &str, value: String| drop(said.insert(format!("soup.{name}"), value));
    if let Some(Best { metric, is_max, take }) = &request.best {
        say("metric", metric.clone());
        say("mode", if *is_max { "max" } else { "min" }.to_owned());
        say("take", take.to_string());
    }
    if let Some((base, _)) = commits.base {
        say("base", base.to_string());
    }
    let parameters = parameters.to_string();
    if !parameters.is_empty() {
        say("parameters", parameters);
    }
    if method.is_random() {
        say("seed", seed.to_string());
    }
    match request.recipe.rescale {
        Rescale::Inverse if method.is_random() => say("rescale", "inverse".into()),
        Rescale::None if method.is_random() => say("rescale", "none".into()),
        Rescale::L1 | Rescale::Inverse | Rescale::None => {}
    }
    if method.elects_signs() && request.recipe.consensus == Consensus::Count {
        say("consensus", "count".into());
    }
    if request.recipe.clamp {
        say("clamp", "true".into());
    }
    if !request.recipe.copy.is_empty() {
        say("copy", request.recipe.copy.join(" "));
    }
    if let Some(dtype) = request.recipe.dtype {
        say("dtype", dtype.name().to_owned());
    }
    if let Some(text) = &request.recipe_text {
        say("recipe", text.clone());
    }
    said
}

/// A soup while it is made.
struct Pot<'a> {
    repo: &'a Repo,
    request: &'a SoupRequest,
    commits: &'a Commits,
    task: &'a Task,
    /// What the branch has.
    tip: TreeId,
    /// Files that are not the first commit's.
    made: BTreeMap<TreePath, Option<Entry>>,
    written: Vec<Written>,
    ingest: Ingest,
    reports: Vec<(TreePath, Report)>,
    /// Files of the branch that go.
    removed: BTreeSet<TreePath>,
    /// Files of the first commit's models.
    mixed: BTreeSet<TreePath>,
}

/// What of the branch is to change, files that differ between the commits, and files that are left out.
type Edits = (Vec<Edit>, Vec<TreePath>, Vec<TreePath>);

impl Pot<'_> {
    /// Refuses a pattern that was typed and fits no tensor of the first model: who says it expects another result. A recipe in a
    /// file may be one for many models.
    fn check_patterns(&self, found: &[Place]) -> Result<()> {
        let recipe = &self.request.recipe;
        if self.request.recipe_text.is_some() || recipe.idle_pattern(&[]).is_none() {
            return Ok(());
        }
        let mut names = Vec::new();
        for place in found {
            let files: Vec<RecipeId> = place.files.iter().map(|(.., recipe)| *recipe).collect();
            let model = open(self.repo, &files, place)?;
            names.extend(model.tensors().iter().map(|tensor| tensor.info.name.clone()));
        }
        match recipe.idle_pattern(&names) {
            Some(pattern) => Err(Error::SoupRefused(format!("`{pattern}` fits the name of no tensor"))),
            None => Ok(()),
        }
    }

    /// Makes one model.
    fn mix(&mut self, place: &Place, now: crate::units::Timestamp) -> Result<()> {
        let path = place.dir.join(place.name.clone());
        self.mixed.extend(place.files.iter().map(|(path, ..)| path.clone()));
        let all: Vec<RecipeId> = place.files.iter().map(|(.., recipe)| *recipe).collect();
        let mut models = vec![open(self.repo, &all, place)?];
        for ((name, _), tree) in self.commits.models.iter().zip(&self.commits.trees).skip(1) {
            models.push(self.other(*tree, name, place)?);
        }
        let base = match self.commits.base {
            Some((_, tree)) => Some(self.other(tree, "the base", place)?),
            None => None,
        };
        let order = Order { recipe: &self.request.recipe, models: &models, base: base.as_ref() };
        let commits = self.commits;
        let soup_error = |error: soup::Error| match error {
            soup::Error::Repo(error) => Error::from(error),
            error => Error::Soup { path: path.clone(), why: named(commits, &error.to_string()) },
        };
        if self.request.dry_run {
            let report = forecast(order).map_err(soup_error)?;
            self.reports.push((path, report));
            return Ok(());
        }
        let threads = self.repo.store().threads();
        let allow_nonfinite = self.request.recipe.allow_nonfinite;
        let passes = Passes { threads, task: self.task, allow_nonfinite };
        let (files, mut report) = bake(order, &passes).map_err(soup_error)?;
        let mut total = 0;
        for Baked { file, parts } in &files {
            let (at, entry, recipe) = &place.files[*file];
            let Some(parts) = parts else { continue };
            let how =
                TakeIn { shown_as: at.to_string(), parent: Some(*recipe), later_up_to: self.may_wait() };
            let written = write_file(self.repo, &self.ingest, parts, &how, &passes)?;
            for part in parts {
                if let Part::Made(blend) = part {
                    report.not_finite += blend.check(allow_nonfinite).map_err(soup_error)?;
                    total += blend.len();
                }
            }
            let (recipe, len) = (written.recipe, written.len);
            let attributes = Attributes { mode: entry.attributes.mode, modified: now };
            // Layers that were stacked are one file, whatever they came from.
            let is_stacked = !self.request.recipe.slices.is_empty();
            let target = if is_stacked { path.clone() } else { at.clone() };
            let name = target.names().last().cloned().unwrap_or_else(|| entry.name.clone());
            self.made.insert(target, Some(Entry { name, attributes, node: Node::File { recipe, len } }));
            self.written.push(written);
        }
        if !self.request.recipe.slices.is_empty() {
            for (at, ..) in &place.files {
                self.made.entry(at.clone()).or_insert(None);
            }
        }
        self.beside(place, &files, total, now)?;
        self.replaced(place)?;
        self.reports.push((path, report));
        Ok(())
    }

    /// How many more bytes may wait to be coded.
    fn may_wait(&self) -> u64 {
        let written = self.written.iter().filter(|written| written.is_left()).map(|written| written.len);
        let waiting = self.repo.store().attached_len().saturating_add(written.sum());
        match self.request.coding {
            Coding::Later => self.repo.plain().budget().saturating_sub(waiting),
            Coding::Now => 0,
        }
    }

    /// The model of another commit.
    fn other(&self, tree: TreeId, name: &str, place: &Place) -> Result<soup::Model> {
        let files = find(self.repo, tree, place)?.ok_or_else(|| Error::Soup {
            path: place.dir.join(place.name.clone()),
            why: format!("`{name}` has no model of that name"),
        })?;
        open(self.repo, &files, place)
    }

    /// Files that say something of the tensors of a model beside it.
    fn beside(
        &mut self,
        place: &Place,
        files: &[Baked<'_>],
        total: u64,
        now: crate::units::Timestamp,
    ) -> Result<()> {
        let recipe = &self.request.recipe;
        let is_stacked = !recipe.slices.is_empty();
        let index = [place.name.as_bytes(), b".index.json"].concat();
        let index = place.dir.join(crate::history::Name::new(&index)?);
        if is_stacked {
            self.made.insert(index, None);
        } else if recipe.dtype.is_some() && files.iter().all(|file| file.parts.is_some()) {
            self.edit_json(&index, now, |bytes| index_of(bytes, total))?;
        }
        let count =
            |slice: &soup::Slice| slice.layers.first().map_or(0, |(_, range)| range.end - range.start);
        let layers = is_stacked.then(|| recipe.slices.iter().map(count).sum());
        if layers.is_some() || recipe.dtype.is_some() {
            let config = place.dir.join(crate::history::Name::new("config.json")?);
            self.edit_json(&config, now, |bytes| configuration_of(bytes, layers, recipe.dtype))?;
        }
        Ok(())
    }

    fn edit_json(
        &mut self,
        path: &TreePath,
        now: crate::units::Timestamp,
        edit: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<()> {
        let Some(entry) = self.repo.find_in_tree(self.commits.trees[0], path)? else { return Ok(()) };
        let Node::File { recipe, .. } = entry.node else { return Ok(()) };
        let bytes = FileContent::of(self.repo, recipe)?.read_short(SIDE_FILE_MAX)?;
        let Some(made) = bytes.and_then(|bytes| edit(&bytes)) else { return Ok(()) };
        let file = IngestFile { shown_as: path.to_string(), parent: Some(recipe), ..IngestFile::default() };
        let intake = Intake::begin(self.task, made.len() as u64);
        let (recipe, len) = self.repo.ingest(&self.ingest, &made, &file, &intake)?;
        let attributes = Attributes { modified: now, ..entry.attributes };
        let node = Node::File { recipe, len };
        self.made.insert(path.clone(), Some(Entry { attributes, node, ..entry }));
        Ok(())
    }

    /// Files of the branch that are of the model that stood there: none of them stays beside the new one.
    fn replaced(&mut self, place: &Place) -> Result<()> {
        let here = places(self.repo, self.tip)?.into_iter();
        let same = here.filter(|here| here.dir == place.dir && here.name == place.name);
        self.removed.extend(same.flat_map(|here| here.files).map(|(path, ..)| path));
        Ok(())
    }

    /// What the branch needs to have what was made.
    fn edits(&mut self) -> Result<Edits> {
        let (mut edits, mut differing, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        let mut wanted: BTreeMap<TreePath, Entry> = BTreeMap::new();
        for step in TreeWalk::below(self.repo, self.commits.trees[0]) {
            let (path, entry) = step?;
            if matches!(entry.node, Node::Dir(_)) {
                continue;
            }
            if is_of_a_run(&path) {
                left_out.push(path);
                continue;
            }
            if !self.made.contains_key(&path) && self.differs(&path, &entry)? {
                differing.push(path.clone());
            }
            wanted.insert(path, entry);
        }
        for (path, entry) in &self.made {
            match entry {
                Some(entry) => drop(wanted.insert(path.clone(), entry.clone())),
                None => drop(wanted.remove(path)),
            }
        }
        let gone = self.made.iter().filter(|(_, entry)| entry.is_none()).map(|(path, _)| path);
        self.removed.extend(gone.chain(&left_out).cloned());
        let (repo, tip) = (self.repo, self.tip);
        let stands = |path: &TreePath| repo.find_in_tree(tip, path);
        let mut going = BTreeSet::new();
        for path in std::mem::take(&mut self.removed) {
            if !wanted.contains_key(&path) && stands(&path)?.is_some() {
                edits.push(Edit::leaving(path.clone(), None));
                going.insert(path);
            }
        }
        self.removed = going;
        for (path, entry) in wanted {
            if !is_there(stands(&path)?.as_ref(), &entry) {
                edits.push(Edit::leaving(path, Some(entry)));
            }
        }
        Ok((edits, differing, left_out))
    }

    /// Whether another commit has something else at a path, and the first one's is taken.
    fn differs(&self, path: &TreePath, entry: &Entry) -> Result<bool> {
        for tree in &self.commits.trees[1..] {
            if self.repo.find_in_tree(*tree, path)?.is_some_and(|other| other.node != entry.node) {
                return Ok(!self.mixed.contains(path));
            }
        }
        Ok(false)
    }
}

/// Models by the names that they were given.
fn named(commits: &Commits, said: &str) -> String {
    let models = commits.models.iter().enumerate().rev();
    models.fold(said.to_owned(), |said, (number, (name, _))| {
        said.replace(&format!("model {}", number + 1), &format!("`{name}`"))
    })
}
