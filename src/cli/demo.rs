use super::context::{self, Context};
use super::error::{CommandError, Result};
use super::output::{Colour, Output, note};
use super::quote;
use crate::demo::{Checkpoint, Size, Training};
use crate::fs::unmount;
use crate::history::{BranchName, Repo};
use crate::units::ByteSize;
use crate::workspace::FOLDER;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Train a small network, save its checkpoints through a mount, and bring every one back
///
/// Needs no network and no Python, and takes less than a minute. With --from, takes checkpoints that are there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take the directories in DIR as checkpoints, in the order of their last change
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Only train, and save the checkpoints as plain files into DIR, which must not exist
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "keep"])]
    save: Option<PathBuf>,
    /// Leave the repository and its mount there to play with
    #[arg(long)]
    keep: bool,
    /// How many checkpoints to train
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    checkpoints: u32,
    /// Units of the hidden layer
    #[arg(long, value_name = "COUNT", default_value_t = 768, value_parser = clap::value_parser!(u32).range(1..=16384))]
    hidden: u32,
    /// Steps between two checkpoints
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    steps: u32,
}

/// What the network learns to write.
const TEXT: &str = include_str!("../../README.md");
const BATCH: usize = 96;
/// So many times the steps between two checkpoints the base learns.
const BASE: u32 = 4;
/// A rate as fine-tunes have it, one for a layer alone, and one that is too high.
const TUNE_RATE: f32 = 2e-5;
const HEAD_RATE: f32 = 1e-3;
const WILD_RATE: f32 = 3.0;
/// The branch of the tune with a frozen backbone.
const HEAD_ONLY: &str = "head-only";

/// A scratch folder with a mounted repository. Dropping it unmounts and removes everything.
struct Stage {
    folder: PathBuf,
    keep: bool,
}

/// One checkpoint with where it went.
struct Saved {
    name: String,
    /// A plain copy to compare with.
    plain: PathBuf,
    commit: String,
    bytes: u64,
}

/// How long things took.
#[derive(Default)]
struct Times {
    plain_save: Duration,
    save: Duration,
    commit: Duration,
    load: Duration,
    plain_load: Duration,
    roll_back: Duration,
    /// Making small what was committed.
    code: Duration,
}

pub fn run(context: &Context, out: &Output, args: Args) -> Result<()> {
    if let Some(folder) = &args.save {
        return save_plain(out, &context.absolute(folder), &args);
    }
    // Before anything is made.
    let from = args.from.as_ref().map(|from| checkpoints(&context.absolute(from))).transpose()?;
    let stage = Stage::set_up(args.keep)?;
    let mount = stage.mount_point();
    out.line(format_args!("repository  {}", stage.repository().display()))?;
    out.line(format_args!("mounted at  {}", mount.display()))?;
    out.line("")?;
    let mut times = Times::default();
    let saved = match from {
        Some(from) => take_checkpoints(out, &stage, from, &mut times)?,
        None => train(out, &stage, &args, &mut times)?,
    };
    out.line("")?;
    out.line("history is there to look at:")?;
    show_listing(out, &mount, "branches/main")?;
    show_listing(out, &mount, "by-date")?;
    out.line("")?;
    out.line("old checkpoints come back through plain paths:")?;
    let compared = compare(&stage, &saved, &mut times)?;
    let verified = format!("{} checkpoints, {}: every byte is equal", saved.len(), ByteSize(compared));
    out.line(format_args!("  {}", out.paint(Colour::Green, verified)))?;
    let start = Instant::now();
    coral(&stage.repository(), &["drain"])?;
    times.code = start.elapsed();
    report(out, &stage, &saved, &times)?;
    if args.keep { say_what_next(out, &stage, &saved) } else { stage.take_down() }
}

impl Stage {
    fn set_up(keep: bool) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("coral-demo-{}", std::process::id()));
        fs::create_dir(&folder)
            .map_err(|error| CommandError::new(format!("cannot make `{}`: {error}", folder.display())))?;
        let stage = Self { folder, keep };
        for folder in [stage.repository(), stage.mount_point(), stage.plain()] {
            fs::create_dir(folder)?;
        }
        let branch = BranchName::new("main")?;
        Repo::create(context::disk(), &stage.repository().join(FOLDER), &branch)?;
        coral(&stage.folder, &["mount", "--daemon", "repository", "mount"]).map_err(|error| {
            error.hint("the demo shows the mount; `coral init`, `add` and `commit` work without one")
        })?;
        Ok(stage)
    }

    fn repository(&self) -> PathBuf {
        self.folder.join("repository")
    }

    fn mount_point(&self) -> PathBuf {
        self.folder.join("mount")
    }

    fn plain(&self) -> PathBuf {
        self.folder.join("plain")
    }

    fn worktree(&self, branch: &str) -> PathBuf {
        self.mount_point().join("worktree").join(branch)
    }

    fn take_down(self) -> Result<()> {
        Ok(unmount(&self.mount_point(), false)?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Taken down already, or something failed and everything goes.
        let _ = unmount(&self.mount_point(), true);
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            note(format!("`{}` could not be removed: {error}", self.folder.display()));
        }
    }
}

/// Runs this program as a user would.
fn coral(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(std::env::current_exe()?).current_dir(folder).args(arguments).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(CommandError::heard(&String::from_utf8_lossy(&output.stderr))),
    }
}

/// Trains, tunes and rolls back, as people do, and says what happens.
fn train(out: &Output, stage: &Stage, args: &Args, times: &mut Times) -> Result<Vec<Saved>> {
    let mut base = Training::new(TEXT, Size { hidden: args.hidden as usize, batch: BATCH });
    out.line(format_args!("a base: {} parameters that learn to write, kept in bf16", base.parameters()))?;
    base.train(BASE * args.steps);
    let mut saved = vec![keep(out, stage, "main", &base, times)?];

    out.line("a fine-tune of it, a checkpoint after the other on branch main:")?;
    let mut tuned = base.clone().tuned(TUNE_RATE, false);
    for _ in 0..args.checkpoints {
        tuned.train(args.steps);
        saved.push(keep(out, stage, "main", &tuned, times)?);
    }

    out.line("another of the same base with a frozen backbone, on a branch of its own:")?;
    coral(&stage.worktree("main"), &["branch", HEAD_ONLY, &saved[0].commit])?;
    let mut head = base.tuned(HEAD_RATE, true);
    for _ in 0..args.checkpoints.div_ceil(2) {
        head.train(args.steps);
        saved.push(keep(out, stage, HEAD_ONLY, &head, times)?);
    }
    roll_back(out, stage, tuned, args.steps, times)?;
    read_tensor(out, stage)?;
    Ok(saved)
}

/// Saves a model and commits it.
fn keep(out: &Output, stage: &Stage, branch: &str, training: &Training, times: &mut Times) -> Result<Saved> {
    let checkpoint = training.model();
    let name = format!("step {}", checkpoint.step);
    let plain = stage.plain().join(format!("{branch}-{}", checkpoint.step));
    save(&checkpoint, &plain, &mut times.plain_save)?;
    save(&checkpoint, &stage.worktree(branch).join("run"), &mut times.save)?;
    let commit = commit(&stage.worktree(branch), &name, times)?;
    let facts = format!("loss {:.3}, {} saved", checkpoint.loss, ByteSize(checkpoint.bytes()));
    out.line(format_args!("  {name:<9} {facts}, committed as {}", &commit[..10]))?;
    Ok(Saved { name, plain, commit, bytes: checkpoint.bytes() })
}

/// Commits what went wrong and takes it back.
fn roll_back(out: &Output, stage: &Stage, good: Training, steps: u32, times: &mut Times) -> Result<()> {
    let served = stage.mount_point().join("branches/main/run/model.safetensors");
    let before = fs::read(&served)?;
    let mut wild = good.tuned(WILD_RATE, false);
    let loss = wild.train(steps);
    save(&wild.model(), &stage.worktree("main").join("run"), &mut Duration::default())?;
    commit(&stage.worktree("main"), "a rate that is too high", &mut Times::default())?;
    let start = Instant::now();
    coral(&stage.worktree("main"), &["reset", "--hard", "HEAD~1"])?;
    times.roll_back = start.elapsed();
    if fs::read(&served)? != before {
        return Err(CommandError::new("the branch shows other bytes than before".to_owned()));
    }
    let took = times.roll_back.as_secs_f64();
    out.line(format_args!(
        "one that went wrong (loss {loss:.1}) is committed, and taken back in {took:.2} s; it stays at main@{{1}}"
    ))
}

/// Reads a tensor as numpy does.
fn read_tensor(out: &Output, stage: &Stage) -> Result<()> {
    const NAME: &str = "tensors/main/run/model.safetensors/hidden.weight.npy";
    let start = Instant::now();
    let bytes = fs::read(stage.mount_point().join(NAME))?;
    let took = start.elapsed();
    let header_len = bytes.get(8..10).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
    let header = bytes.get(10..10 + header_len).map(String::from_utf8_lossy).unwrap_or_default();
    let numbers = bytes.get(10 + header_len..).unwrap_or_default();
    let model = fs::read(stage.mount_point().join("branches/main/run/model.safetensors"))?;
    if numbers.is_empty() || !model.windows(numbers.len()).step_by(2).any(|window| window == numbers) {
        return Err(CommandError::new(format!("`{NAME}` is not what the model has")));
    }
    out.line("one tensor, for np.load:")?;
    out.line(format_args!("  {NAME}"))?;
    let took = 1000.0 * took.as_secs_f64();
    out.line(format_args!("  {} ({} in {took:.1} ms)", header.trim(), ByteSize(numbers.len() as u64)))
}

/// Saves as a framework does: plain paths, create, write, close.
fn save(checkpoint: &Checkpoint, folder: &Path, time: &mut Duration) -> Result<()> {
    let start = Instant::now();
    fs::create_dir_all(folder)?;
    for (name, bytes) in &checkpoint.files {
        let mut file = fs::File::create(folder.join(name))?;
        file.write_all(bytes)?;
    }
    *time += start.elapsed();
    Ok(())
}

fn commit(worktree: &Path, message: &str, times: &mut Times) -> Result<String> {
    let start = Instant::now();
    let said = coral(worktree, &["--json", "commit", "-m", message])?;
    times.commit += start.elapsed();
    let value: serde_json::Value = serde_json::from_str(&said)
        .map_err(|error| CommandError::new(format!("commit said `{said}`: {error}")))?;
    match value["commit"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(CommandError::new(format!("commit said `{said}`"))),
    }
}

/// Trains and saves checkpoints as any framework does.
fn save_plain(out: &Output, folder: &Path, args: &Args) -> Result<()> {
    fs::create_dir(folder).map_err(|error| cannot("make", folder, &error))?;
    let mut training = Training::new(TEXT, Size { hidden: args.hidden as usize, batch: BATCH });
    for _ in 0..args.checkpoints {
        training.train(args.steps);
        let checkpoint = training.checkpoint();
        let plain = folder.join(format!("checkpoint-{}", checkpoint.step));
        save(&checkpoint, &plain, &mut Duration::default())?;
        let size = ByteSize(checkpoint.bytes());
        out.line(format_args!("{}  loss {:.3}, {size}", quote::file(&plain), checkpoint.loss))?;
    }
    Ok(())
}

/// The directories in a directory, in the order of their last change.
fn checkpoints(from: &Path) -> Result<Vec<PathBuf>> {
    let mut directories = Vec::new();
    for entry in fs::read_dir(from).map_err(|error| cannot("list", from, &error))? {
        let path = entry.map_err(|error| cannot("list", from, &error))?.path();
        let metadata = fs::metadata(&path).map_err(|error| cannot("look at", &path, &error))?;
        if metadata.is_dir() {
            directories.push((metadata.modified()?, path));
        }
    }
    directories.sort();
    match directories.is_empty() {
        true => Err(CommandError::new(format!("`{}` has no directories in it", quote::file(from)))
            .hint("each directory in it is one checkpoint")),
        false => Ok(directories.into_iter().map(|(_, path)| path).collect()),
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::new(format!("cannot {what} `{}`: {error}", quote::file(path)))
}

/// Copies directories that are there into the worktree, one commit each.
fn take_checkpoints(
    out: &Output,
    stage: &Stage,
    directories: Vec<PathBuf>,
    times: &mut Times,
) -> Result<Vec<Saved>> {
    let mut saved = Vec::new();
    for directory in directories {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = stage.plain().join(&name);
        let start = Instant::now();
        let bytes = copy(&directory, &plain)?;
        times.plain_save += start.elapsed();
        let start = Instant::now();
        let run = stage.worktree("main").join("run");
        if run.exists() {
            fs::remove_dir_all(&run)?;
        }
        copy(&directory, &run)?;
        times.save += start.elapsed();
        let commit = commit(&stage.worktree("main"), &name, times)?;
        out.line(format_args!("  {name}: {} committed as {}", ByteSize(bytes), &commit[..10]))?;
        saved.push(Saved { name, plain, commit, bytes });
    }
    Ok(saved)
}

/// Copies a directory and returns the bytes of its files.
fn copy(from: &Path, to: &Path) -> Result<u64> {
    fs::create_dir_all(to)?;
    let mut bytes = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            bytes += copy(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, target)?;
        } else if kind.is_file() {
            bytes += fs::copy(source, target)?;
        }
    }
    Ok(bytes)
}

fn show_listing(out: &Output, mount: &Path, folder: &str) -> Result<()> {
    out.line(format_args!("  $ ls {folder}"))?;
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(mount.join(folder))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    out.line(format_args!("  {}", names.join("  ")))
}

/// Compares every file of every commit with its plain copy. Returns the bytes compared.
fn compare(stage: &Stage, saved: &[Saved], times: &mut Times) -> Result<u64> {
    let mut compared = 0;
    for checkpoint in saved {
        let committed = stage.mount_point().join("commits").join(&checkpoint.commit).join("run");
        compared += compare_folder(&checkpoint.plain, &committed, times)?;
    }
    Ok(compared)
}

fn compare_folder(plain: &Path, committed: &Path, times: &mut Times) -> Result<u64> {
    let mut compared = 0;
    for entry in fs::read_dir(plain)? {
        let entry = entry?;
        let other = committed.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            compared += compare_folder(&entry.path(), &other, times)?;
        } else if kind.is_file() {
            let start = Instant::now();
            let want = fs::read(entry.path())?;
            times.plain_load += start.elapsed();
            let start = Instant::now();
            let have = fs::read(&other)?;
            times.load += start.elapsed();
            if want != have {
                return Err(CommandError::new(format!("`{}` came back with other bytes", other.display())));
            }
            compared += want.len() as u64;
        }
    }
    Ok(compared)
}

fn report(out: &Output, stage: &Stage, saved: &[Saved], times: &Times) -> Result<()> {
    let plain: u64 = saved.iter().map(|checkpoint| checkpoint.bytes).sum();
    let stored = disk_bytes(&stage.repository().join(FOLDER).join("packs"))?;
    let ratio = plain as f64 / stored.max(1) as f64;
    out.line("")?;
    out.line("what it cost, beside plain files:")?;
    out.line("              plain files          Coral")?;
    let bytes = format!("{:<20} {} ({ratio:.2}x smaller)", ByteSize(plain).to_string(), ByteSize(stored));
    out.line(format_args!("  on disk     {}", out.paint(Colour::Green, bytes)))?;
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let (plain, coral) = (seconds(times.plain_save), seconds(times.save));
    let commit = seconds(times.commit);
    out.line(format_args!("  saving      {plain:<20} {coral} and {commit} to commit, durably"))?;
    let (plain, coral) = (seconds(times.plain_load), seconds(times.load));
    out.line(format_args!("  loading     {plain:<20} {coral} for the first time"))?;
    out.line(format_args!(
        "  afterwards  {:<20} {} to make the rest small, in the background",
        "",
        seconds(times.code)
    ))
}

fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

fn say_what_next(out: &Output, stage: &Stage, saved: &[Saved]) -> Result<()> {
    let (mount, first) = (stage.mount_point(), &saved[0]);
    let mount = mount.display();
    out.line("")?;
    out.line(format_args!("the mount stays ({} is its first commit); try", first.name))?;
    out.line(format_args!("  cd {mount} && ls -l tensors/main/run/model.safetensors"))?;
    out.line(format_args!("  coral -C {mount} log --oneline"))?;
    out.line(format_args!(
        "  cmp {mount}/HEAD/run/model.safetensors {mount}/commits/{}/run/model.safetensors",
        &first.commit[..10]
    ))?;
    out.line("and when you are done")?;
    out.line(format_args!("  coral umount {mount} && rm -r {}", stage.folder.display()))
}
