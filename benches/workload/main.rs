//! The workload of the original's benchmark: 18 models, 126 tensors, 5.3 M parameters, committed one by one.
//!
//! `cargo bench --bench workload [-- FOLDER]`: writes the models as .safetensors files, each under a name of its own,
//! and commits each to a fresh repository through a newly opened one, as separate processes do. No model is told what
//! it derives from. Prints raw bytes over stored bytes (packs and sidecars, everything in them) beside what other
//! methods make of the same tensors, and fails unless every file reads back bit for bit from a repository opened anew.

mod anchors;
mod models;

use anchors::Anchors;
use coral::codec::Level;
use coral::disk::RealDisk;
use coral::history::{BranchName, Node, Options, Repo, Signature, TreePath};
use coral::store;
use coral::task::Task;
use coral::units::Timestamp;
use coral::worktree::{Coding, CommitRequest, Fence, Result, ToAdd, fsck};
use models::{Model, models};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn main() {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("coral-workload-").tempdir_in(folder).expect("a folder");
    let models = models(42);
    let raw: usize = models.iter().map(|model| model.file().len()).sum();
    let numbers: usize = models.iter().flat_map(|model| &model.tensors).map(|t| t.values.len()).sum();
    let tensors: usize = models.iter().map(|model| model.tensors.len()).sum();
    println!("{} models, {tensors} tensors, {numbers} parameters, {raw} bytes of files", models.len());
    let shown = |what: &str, stored: usize| {
        println!("{what:<52} {stored:>9} bytes  {:.3}x", raw as f64 / stored as f64);
    };
    let told = Anchors::measure(&models, |model| origin(&models, model));
    shown("exact deduplication", told.distinct);
    shown("  and zstd-3", told.zstd);
    shown("  and byte planes, zstd-3 each", told.planes);
    shown("  and the best of alone, xor, difference, when told", told.deltas);
    for (name, level) in [("fast", Level::Fast), ("default", Level::Default), ("max", Level::Max)] {
        let repository = Repository { root: folder.path().join(name).join(".coral"), level };
        let stats = repository.store(&models, &folder.path().join("files")).expect("it can be stored");
        repository.check(&models).expect("it can be read");
        shown(&format!("Coral, level {name}: {} differences", stats.deltas), stats.disk_len as usize);
    }
    println!("every file of every commit came back bit for bit");
}

/// The base that a derived model is named after.
fn origin<'a>(models: &'a [Model], derived: &Model) -> Option<&'a Model> {
    let (name, _) = derived.name.split_once('_')?;
    models.iter().find(|model| model.name == name)
}

struct Repository {
    root: PathBuf,
    level: Level,
}

impl Repository {
    fn open(&self) -> Result<Repo> {
        let store = store::Options { level: self.level, ..store::Options::default() };
        Ok(Repo::open(Arc::new(RealDisk), &self.root, Options { store, ..Options::default() })?)
    }

    /// Commits one model after the other.
    fn store(&self, models: &[Model], files: &Path) -> Result<store::Stats> {
        let branch = BranchName::new("main").expect("valid");
        for folder in [files, &self.root] {
            fs::create_dir_all(folder).expect("a folder can be made");
        }
        Repo::create(Arc::new(RealDisk), &self.root, &branch)?;
        for (second, model) in models.iter().enumerate() {
            let from = files.join(file_name(model));
            fs::write(&from, model.file()).expect("it can be written");
            let time = Timestamp { seconds: second as i64, nanoseconds: 0 };
            let worktree = self.open()?.worktree(&branch)?;
            worktree.edits().add(
                &[ToAdd { from, to: path(model) }],
                &Fence::default(),
                time,
                &Task::default(),
            )?;
            worktree.commit(&request(&model.name, time), &Task::default())?;
        }
        Ok(self.open()?.store().stats()?)
    }

    /// Reads every file of every commit.
    fn check(&self, models: &[Model]) -> Result<()> {
        let repo = self.open()?;
        for back in 0..models.len() {
            let time = Timestamp { seconds: 1000, nanoseconds: 0 };
            let tree = repo.commit(repo.resolve(&format!("main~{back}"), time)?)?.tree;
            for model in &models[..models.len() - back] {
                let entry = repo.find_in_tree(tree, &path(model))?.expect("it is in the commit");
                let Node::File { recipe, len } = entry.node else { panic!("{} is no file", model.name) };
                let mut bytes = vec![0; len as usize];
                let recipe = repo.recipe(recipe)?;
                repo.reader(&recipe).read_at(0, &mut bytes)?;
                assert!(bytes == model.file(), "{} came back changed", model.name);
            }
        }
        assert!(fsck(&repo, true, &Task::default())?.findings.is_empty(), "the repository is damaged");
        Ok(())
    }
}

fn file_name(model: &Model) -> String {
    format!("{}.safetensors", model.name)
}

fn path(model: &Model) -> TreePath {
    TreePath::parse(file_name(model)).expect("a valid path")
}

fn request(message: &str, time: Timestamp) -> CommitRequest {
    let who = Signature { name: "bench".into(), email: String::new(), time, offset_minutes: 0 };
    CommitRequest {
        author: who.clone(),
        committer: who,
        message: message.to_owned(),
        metadata: BTreeMap::new(),
        include_open: false,
        allow_empty: false,
        level: None,
        tag: None,
        amend: None,
        coding: Coding::Now,
        only: Vec::new(),
    }
}
