//! What the mount and the store cost beside plain files: `cargo bench --bench mount [-- NAME...]`.
//!
//! Names: corpus, save, settled, first, read, list, memory, looks, paths. Each prints ratios of one run, medians of five, and needs root for cold
//! caches. Files are made up unless a folder of real checkpoints is named by `CORAL_CORPUS` (default
//! `../shared/corpus`). `CORAL_BENCH_DIR` says where to work (default: the target folder's disk).

mod client;
mod looks;
mod paths;
mod slow_disk;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 5;
const MIB: usize = 1 << 20;
type Error = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Error>;
/// One bench.
type Run = fn() -> Result<()>;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if let [client::CLIENT, ..] = wanted.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return client::act(&wanted[1..]);
    }
    let benches: [(&str, Run); 9] = [
        ("corpus", corpus),
        ("save", save),
        ("settled", settled),
        ("first", first),
        ("read", read),
        ("list", list),
        ("memory", memory),
        ("looks", looks::looks),
        ("paths", paths::paths),
    ];
    for (name, bench) in benches {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("== {name}");
            bench()?;
        }
    }
    Ok(())
}

/// How a repository is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By root: the kernel reads and writes plain copies by itself.
    Kernel,
    /// By root, all of it through the daemon.
    Pages,
    /// By a user without privileges.
    Nobody,
}

/// The user that owns nothing, on every Linux.
const NOBODY: u32 = 65534;

/// A scratch folder with a mounted repository; unmounted and removed when dropped.
struct Bench {
    folder: tempfile::TempDir,
    way: Way,
}

impl Bench {
    fn new() -> Result<Self> {
        Self::mounted(Way::Kernel)
    }

    fn mounted(way: Way) -> Result<Self> {
        let parent = std::env::var_os("CORAL_BENCH_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
        let bench = Self { folder: tempfile::Builder::new().prefix("coral-bench-").tempdir_in(parent)?, way };
        fs::create_dir(bench.mount())?;
        if way == Way::Nobody {
            let_in(&bench.path(""))?;
            for path in [bench.path(""), bench.mount()] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
            }
        }
        bench.coral(&["init", "repo"])?;
        bench.mount_again()?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mount(&self) -> PathBuf {
        self.path("mnt")
    }

    fn worktree(&self) -> PathBuf {
        self.mount().join("worktree/main")
    }

    /// A program that is run as the user of the mount, in the scratch folder.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.way {
            Way::Kernel | Way::Pages => Command::new(program),
            Way::Nobody => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
                command.args(["--clear-groups", "--inh-caps=-all", "--"]).arg(program);
                command.env("HOME", self.folder.path());
                command
            }
        };
        command.current_dir(self.folder.path());
        command
    }

    fn coral_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_coral"));
        command.args(arguments);
        command
    }

    fn coral(&self, arguments: &[&str]) -> Result<String> {
        run(&mut self.coral_command(arguments))
    }

    fn commit(&self, message: &str) -> Result<String> {
        let said = self.coral(&["-C", "repo", "--json", "commit", "-m", message])?;
        let value: serde_json::Value = serde_json::from_str(&said)?;
        Ok(value["commit"].as_str().ok_or("no commit")?.to_owned())
    }

    fn remount(&self) -> Result<()> {
        self.coral(&["umount", "mnt"])?;
        self.mount_again()
    }

    fn mount_again(&self) -> Result<()> {
        let how: &[&str] = match self.way {
            Way::Pages => &["--no-passthrough"],
            Way::Kernel | Way::Nobody => &[],
        };
        self.coral(&[&["mount", "--daemon"], how, &["repo", "mnt"]].concat()).map(drop)
    }

    /// Mounts again, and what was read before is to be decoded once more.
    fn without_plain_copies(&self) -> Result<()> {
        self.coral(&["umount", "mnt"])?;
        for entry in fs::read_dir(self.path("repo/.coral/plain"))? {
            fs::remove_file(entry?.path())?;
        }
        self.mount_again()
    }

    /// The resident peak of the daemon in bytes.
    fn daemon_peak(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
    }

    /// The process that serves the mount.
    fn daemon(&self) -> Result<u32> {
        for entry in fs::read_dir("/proc")? {
            let folder = entry?.path();
            let Ok(command) = fs::read(folder.join("cmdline")) else { continue };
            let command = String::from_utf8_lossy(&command).into_owned();
            let here = fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd == self.folder.path());
            if here && command.contains("mount\0") {
                let name = folder.file_name().ok_or("no name")?.to_string_lossy().into_owned();
                return Ok(name.parse()?);
            }
        }
        Err("the daemon was not found".into())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.coral(&["umount", "--lazy", "mnt"]);
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Lets every user into a folder.
fn let_in(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?)
}

fn timed(act: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn drop_caches() -> Result<()> {
    run(Command::new("sync").arg("-f").arg("."))?;
    fs::write("/proc/sys/vm/drop_caches", "3")
        .map_err(|error| format!("cold caches need root: {error}").into())
}

fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Numbers like weights: sums of uniform ones, the same for the same seed.
fn weights(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::with_capacity(bytes);
    while out.len() < bytes {
        let (a, b) = (next(), next());
        let sum =
            [a, a >> 20, a >> 40, b].iter().map(|bits| (bits & 0xf_ffff) as f32 - 524_288.0).sum::<f32>();
        out.extend((sum * 2e-8).to_le_bytes());
    }
    out
}

/// A safetensors file of f32 tensors of 16 MiB each.
fn write_model(path: &Path, mebibytes: usize, seed: u64) -> Result<()> {
    const TENSOR: usize = 16 * MIB;
    let count = mebibytes * MIB / TENSOR;
    let entry = |index: usize| {
        let (start, end) = (index * TENSOR, (index + 1) * TENSOR);
        format!(
            "\"layer.{index}\":{{\"dtype\":\"F32\",\"shape\":[2048,2048],\"data_offsets\":[{start},{end}]}}"
        )
    };
    let mut header = format!("{{{}}}", (0..count).map(entry).collect::<Vec<_>>().join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = fs::File::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for index in 0..count {
        file.write_all(&weights(seed * 1000 + index as u64 + 1, TENSOR))?;
    }
    Ok(file.sync_all()?)
}

/// Real checkpoints as commits in a row: stored bytes over plain bytes.
fn corpus() -> Result<()> {
    let folder =
        std::env::var_os("CORAL_CORPUS").map_or_else(|| PathBuf::from("../shared/corpus"), PathBuf::from);
    let named = ["minilm-base.f32", "minilm-ft30.f32", "minilm-ft60.f32", "gpt-s0200.f32", "gpt-s0240.f32"];
    let files: Vec<PathBuf> = named.iter().map(|name| folder.join(format!("{name}.safetensors"))).collect();
    if !files.iter().all(|file| file.exists()) {
        println!("skipped: no real checkpoints in {}", folder.display());
        return Ok(());
    }
    for level in ["fast", "default", "max"] {
        let bench = Bench::new()?;
        bench.coral(&["-C", "repo", "config", "set", "core.compression_level", level])?;
        bench.remount()?;
        let (mut plain, mut seconds) = (0, 0.0);
        for (file, name) in files.iter().zip(named) {
            let model = name.split('-').next().unwrap_or(name);
            let target = bench.worktree().join(format!("{model}.safetensors"));
            seconds += timed(|| {
                fs::copy(file, &target)?;
                bench.commit(name).map(drop)
            })?;
            plain += fs::metadata(file)?.len();
        }
        let stored = disk_bytes(&bench.path("repo/.coral/packs"))?;
        let ratio = stored as f64 / plain as f64;
        println!("level {level}: stored / plain = {ratio:.4} ({stored} of {plain} bytes), {seconds:.2} s");
        bench.coral(&["-C", "repo", "fsck", "--full"])?;
    }
    Ok(())
}

/// `cp` of 1 GiB and commit, against `cp` and sync. What is copied lies in memory, because within one file system `cp` has the
/// kernel copy, and nothing is deleted between the rounds: some disks discard what is deleted, which takes their time.
fn save() -> Result<()> {
    let bench = Bench::new()?;
    let memory = tempfile::Builder::new().prefix("coral-bench-").tempdir_in("/dev/shm")?;
    let source = memory.path().join("source.safetensors");
    let (mut closed, mut committed, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..RUNS {
        write_model(&source, 1024, round as u64 + 1)?;
        run(&mut Command::new("sync"))?;
        let copy = bench.path(&format!("copy-{round}.safetensors"));
        let plain = timed(|| {
            run(Command::new("cp").arg(&source).arg(&copy))?;
            run(Command::new("sync").arg(&copy)).map(drop)
        })?;
        let target = bench.worktree().join(format!("model-{round}.safetensors"));
        let start = Instant::now();
        run(Command::new("cp").arg(&source).arg(&target))?;
        closed.push(plain / start.elapsed().as_secs_f64());
        bench.commit(&format!("round {round}"))?;
        let all = start.elapsed().as_secs_f64();
        committed.push(plain / all);
        seconds.push(all);
        // What is coded afterwards is not to be in the way of the next round.
        bench.coral(&["-C", "repo", "drain"])?;
    }
    println!(
        "closed, of the speed of cp and sync:    {:.2} (median of {closed:.2?})",
        median(closed.clone())
    );
    println!(
        "committed, of the speed of cp and sync: {:.2} (median of {committed:.2?})",
        median(committed.clone())
    );
    println!("saved and committed: {:.2} s", median(seconds));
    Ok(())
}

/// The command that commits a model of 103 tensors of which one changed, once its bytes have settled.
fn settled() -> Result<()> {
    let bench = Bench::new()?;
    let memory = tempfile::Builder::new().prefix("coral-bench-").tempdir_in("/dev/shm")?;
    let source = memory.path().join("source.safetensors");
    write_model(&source, 1648, 1)?;
    let target = bench.worktree().join("model.safetensors");
    fs::copy(&source, &target)?;
    bench.commit("all")?;
    bench.coral(&["-C", "repo", "drain"])?;
    let mut model = fs::read(&source)?;
    let mut seconds = Vec::new();
    for round in 0..RUNS {
        let end = model.len();
        model[end - 1000 - round] ^= 1;
        fs::write(&target, &model)?;
        // Hashed and synced meanwhile, as between two steps of a training.
        std::thread::sleep(std::time::Duration::from_secs(6));
        seconds.push(timed(|| bench.commit(&format!("round {round}")).map(drop))?);
    }
    println!(
        "commit of 103 tensors of 16 MiB, one of them changed, settled: {:.0} ms",
        median(seconds) * 1e3
    );
    Ok(())
}

/// The first read of a file that is stored as a difference, against the first one of a plain file.
fn first() -> Result<()> {
    let bench = Bench::new()?;
    let source = bench.path("source.safetensors");
    write_model(&source, 1024, 1)?;
    let target = bench.worktree().join("model.safetensors");
    fs::copy(&source, &target)?;
    bench.commit("base")?;
    // The lowest bits of every number move.
    let mut model = fs::read(&source)?;
    let data = 8 + u64::from_le_bytes(model[..8].try_into()?) as usize;
    for (place, number) in model[data..].chunks_exact_mut(4).enumerate() {
        number[0] ^= (place.wrapping_mul(2_654_435_761) >> 27) as u8 & 7;
    }
    fs::write(&source, &model)?;
    fs::write(&target, &model)?;
    bench.commit("step")?;
    bench.coral(&["-C", "repo", "drain"])?;
    let committed = bench.mount().join("branches/main/model.safetensors");
    let mut ratios = Vec::new();
    for _ in 0..RUNS {
        bench.without_plain_copies()?;
        drop_caches()?;
        let plain = timed(|| cat(&source))?;
        drop_caches()?;
        ratios.push(plain / timed(|| cat(&committed))?);
    }
    run(Command::new("cmp").arg(&source).arg(&committed))?;
    println!(
        "first read, of the speed of a cold plain file: {:.2} (median of {ratios:.2?})",
        median(ratios.clone())
    );
    Ok(())
}

/// Reads a file.
fn cat(path: &Path) -> Result<()> {
    let from = format!("if={}", path.display());
    run(Command::new("dd").args(["of=/dev/null", "bs=1M", "status=none"]).arg(from)).map(drop)
}

/// Cold and warm reads through the mount against the plain file.
fn read() -> Result<()> {
    let bench = Bench::new()?;
    let source = bench.path("source.safetensors");
    write_model(&source, 1024, 1)?;
    fs::copy(&source, bench.worktree().join("alone.safetensors"))?;
    bench.commit("alone")?;
    let committed = bench.mount().join("branches/main/alone.safetensors");
    run(Command::new("cmp").arg(&source).arg(&committed))?;
    let cat = |path: &Path| timed(|| cat(path));
    for (name, cold) in [("cold", true), ("warm", false)] {
        let (mut plain, mut mounted) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            for (path, times) in [(&source, &mut plain), (&committed, &mut mounted)] {
                if cold {
                    bench.remount()?;
                    drop_caches()?;
                } else {
                    cat(path)?;
                }
                times.push(cat(path)?);
            }
        }
        let (plain, mounted) = (median(plain), median(mounted));
        println!(
            "{name}: plain {:.2} GB/s, mount {:.2} GB/s, ratio {:.2}",
            1.0737 / plain,
            1.0737 / mounted,
            plain / mounted
        );
    }
    Ok(())
}

/// `ls -lR` of 100k entries against the same on the plain disk.
fn list() -> Result<()> {
    const DIRS: usize = 100;
    const FILES: usize = 1000;
    let bench = Bench::new()?;
    let plain = bench.path("repo/many");
    for dir in 0..DIRS {
        let folder = plain.join(format!("dir-{dir:03}"));
        fs::create_dir_all(&folder)?;
        for file in 0..FILES {
            fs::write(folder.join(format!("file-{file:04}")), format!("{dir} {file}"))?;
        }
    }
    let added = timed(|| bench.coral(&["-C", "repo", "add", "many"]).map(drop))?;
    let committed = timed(|| bench.commit("many").map(drop))?;
    println!("add of 100k small files: {added:.2} s, commit {committed:.2} s");
    let mounted = bench.mount().join("branches/main/many");
    let ls = |path: &Path| timed(|| run(Command::new("ls").arg("-lR").arg(path)).map(drop));
    let (mut first, mut warm, mut native) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        bench.remount()?;
        first.push(ls(&mounted)?);
        warm.push(ls(&mounted)?);
        native.push(ls(&plain)?);
    }
    for (name, times) in [("mount, first", first), ("mount, again", warm), ("plain, warm", native)] {
        let seconds = median(times);
        println!("{name}: {seconds:.2} s, {:.0}k entries/s", 100.1 / seconds);
    }
    Ok(())
}

/// The daemon's peak memory while 4 GiB go in and out.
fn memory() -> Result<()> {
    let bench = Bench::new()?;
    let source = bench.path("source.safetensors");
    write_model(&source, 4096, 1)?;
    fs::copy(&source, bench.worktree().join("model.safetensors"))?;
    bench.commit("4 GiB")?;
    let saved = bench.daemon_peak()?;
    drop_caches()?;
    run(Command::new("cmp").arg(&source).arg(bench.mount().join("branches/main/model.safetensors")))?;
    let loaded = bench.daemon_peak()?;
    println!(
        "peak RSS of the daemon: {} MB after saving, {} MB after loading",
        saved / 1_000_000,
        loaded / 1_000_000
    );
    Ok(())
}
