//! Each way of bytes through a mount beside the same on a plain disk, in turn: how its speed compares, and what it asks of the
//! processor, of who reads or writes and of the daemon.
//!
//! Three mounts: one of root, where the kernel reads and writes plain copies by itself; one of root without that; one of the
//! user `nobody`, through the setuid program of the package fuse3. Where `CORAL_BENCH_PYTHON` names an interpreter with safetensors,
//! its `load_file` is one of the readers; where `CORAL_BENCH_LMZ` names the program `lmz`, its mount is read too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::client::{CLIENT, SMALL_FILES, processor};
use super::{Bench, RUNS, Result, Way, drop_caches, median, run, write_model};

/// How large the file is that is saved, and the one that is read, in MiB.
const SAVED: usize = 1024;
const READ: usize = 512;

/// What one act took, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    client: f64,
    daemon: f64,
}

/// The same act on the plain disk and through the mount, some times in turn.
struct Pair {
    plain: Vec<Cost>,
    mounted: Vec<Cost>,
}

impl Pair {
    fn new() -> Self {
        Self { plain: Vec::new(), mounted: Vec::new() }
    }

    /// Prints the medians; `gibibytes` is what each act moved.
    fn print(&self, name: &str, gibibytes: f64) {
        let of = |costs: &[Cost], what: fn(&Cost) -> f64| median(costs.iter().map(what).collect());
        let ratios: Vec<f64> =
            self.plain.iter().zip(&self.mounted).map(|(plain, mounted)| plain.wall / mounted.wall).collect();
        println!(
            "{name:<26} {:.2} of plain's speed ({ratios:.2?}), {:.3} s and {:.3} s; processor s/GiB: plain {:.2}, client {:.2} + daemon {:.2}",
            median(ratios.clone()),
            of(&self.mounted, |cost| cost.wall),
            of(&self.plain, |cost| cost.wall),
            of(&self.plain, |cost| cost.client) / gibibytes,
            of(&self.mounted, |cost| cost.client) / gibibytes,
            of(&self.mounted, |cost| cost.daemon) / gibibytes,
        );
    }
}

/// Prints all of it.
pub fn paths() -> Result<()> {
    for way in [Way::Kernel, Way::Pages, Way::Nobody] {
        println!("-- {way:?}");
        saves(way)?;
        reads(way)?;
        small_files(way)?;
    }
    lmz()
}

impl Bench {
    /// What the daemon has taken of the processor until now.
    fn daemon_processor(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.daemon()?))?;
        let behind = stat.rsplit_once(") ").ok_or("no name in its stat")?.1;
        let ticks: Vec<u64> =
            behind.split(' ').skip(11).take(2).map(str::parse).collect::<std::result::Result<_, _>>()?;
        // SAFETY: asks for a constant.
        let second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        Ok(ticks.iter().sum::<u64>() as f64 / second)
    }

    /// Waits until the daemon has nothing left to do.
    fn wait_until_idle(&self) -> Result<()> {
        let mut before = self.daemon_processor()?;
        loop {
            std::thread::sleep(std::time::Duration::from_secs(2));
            let now = self.daemon_processor()?;
            if now - before < 0.05 {
                return Ok(());
            }
            before = now;
        }
    }

    /// What `act` takes; it says how long it and the processor were at it.
    fn cost(&self, act: impl FnOnce() -> Result<(f64, f64)>) -> Result<Cost> {
        let before = self.daemon_processor()?;
        let (wall, client) = act()?;
        Ok(Cost { wall, client, daemon: self.daemon_processor()? - before })
    }

    /// Has a client do something, as the user of the mount.
    fn client(&self, what: &str, path: &Path) -> Result<(f64, f64)> {
        let mut command = self.command(std::env::current_exe()?);
        said(&run(command.args([CLIENT, what]).arg(path))?)
    }

    /// Has a program run to its end.
    fn program(&self, command: &mut Command) -> Result<(f64, f64)> {
        let before = processor(libc::RUSAGE_CHILDREN);
        let wall = super::timed(|| run(command).map(drop))?;
        Ok((wall, processor(libc::RUSAGE_CHILDREN) - before))
    }

    /// Reads a file of tensors as safetensors does; `None` without an interpreter for that.
    fn load(&self, path: &Path) -> Option<Result<(f64, f64)>> {
        let python = std::env::var_os("CORAL_BENCH_PYTHON")?;
        let script = "import sys, time\nfrom safetensors.numpy import load_file\n\
            wall, processor = time.perf_counter(), time.process_time()\nload_file(sys.argv[1])\n\
            print(time.perf_counter() - wall, time.process_time() - processor)";
        let mut command = self.command(python);
        Some(run(command.args(["-c", script]).arg(path)).and_then(|text| said(&text)))
    }
}

/// Two numbers of seconds in a line.
fn said(line: &str) -> Result<(f64, f64)> {
    let (wall, client) = line.trim().split_once(' ').ok_or("two numbers")?;
    Ok((wall.parse()?, client.parse()?))
}

/// `cp` of new numbers from memory until they are closed, then `coral commit`; beside `cp` and `sync`.
fn saves(way: Way) -> Result<()> {
    let bench = Bench::mounted(way)?;
    let memory = tempfile::Builder::new().prefix("coral-bench-").tempdir_in("/dev/shm")?;
    super::let_in(memory.path())?;
    let source = memory.path().join("source.safetensors");
    let (mut closed, mut committed) = (Pair::new(), Pair::new());
    let mut coded = Vec::new();
    for round in 0..RUNS {
        write_model(&source, SAVED, round as u64 + 1)?;
        run(&mut Command::new("sync"))?;
        let copy = bench.path(&format!("plain-{round}.safetensors"));
        let plain = bench.cost(|| bench.program(bench.command("cp").arg(&source).arg(&copy)))?;
        let synced = bench.cost(|| bench.program(Command::new("sync").arg(&copy)))?;
        let target = bench.worktree().join(format!("model-{round}.safetensors"));
        let saved = bench.cost(|| bench.program(bench.command("cp").arg(&source).arg(&target)))?;
        let message = format!("round {round}");
        let kept = bench
            .cost(|| bench.program(&mut bench.coral_command(&["-C", "repo", "commit", "-m", &message])))?;
        coded.push(bench.cost(|| bench.program(&mut bench.coral_command(&["-C", "repo", "drain"])))?);
        let sum = |a: Cost, b: Cost| Cost {
            wall: a.wall + b.wall,
            client: a.client + b.client,
            daemon: a.daemon + b.daemon,
        };
        closed.plain.push(plain);
        closed.mounted.push(saved);
        committed.plain.push(sum(plain, synced));
        committed.mounted.push(sum(saved, kept));
    }
    let gibibytes = SAVED as f64 / 1024.0;
    closed.print("save until closed", gibibytes);
    committed.print("save and commit", gibibytes);
    let seconds = |what: fn(&Cost) -> f64| median(coded.iter().map(what).collect());
    println!(
        "{:<26} {:.2} s; processor s/GiB: client {:.2} + daemon {:.2}",
        "coded afterwards",
        seconds(|cost| cost.wall),
        seconds(|cost| cost.client) / gibibytes,
        seconds(|cost| cost.daemon) / gibibytes
    );
    Ok(())
}

/// Reads of a file that is stored as a difference to another, of the size of a checkpoint.
fn reads(way: Way) -> Result<()> {
    let bench = Bench::mounted(way)?;
    let (source, committed) = difference(&bench)?;
    let gibibytes = READ as f64 / 1024.0;
    let (mut first, mut again) = (Pair::new(), Pair::new());
    for _ in 0..RUNS {
        bench.without_plain_copies()?;
        for pair in [&mut first, &mut again] {
            drop_caches()?;
            pair.plain.push(bench.cost(|| bench.client("read", &source))?);
            drop_caches()?;
            pair.mounted.push(bench.cost(|| bench.client("read", &committed))?);
        }
    }
    first.print("first read, cold", gibibytes);
    again.print("second read, cold", gibibytes);
    for what in ["read", "touch", "random", "load"] {
        let mut pair = Pair::new();
        let once = |path: &Path| match what {
            "load" => bench.load(path).transpose(),
            _ => bench.client(what, path).map(Some),
        };
        for round in 0..=RUNS {
            let plain = before_and_after(&bench, || once(&source))?;
            let mounted = before_and_after(&bench, || once(&committed))?;
            // The first round brings the pages into memory.
            if let (1.., Some(plain), Some(mounted)) = (round, plain, mounted) {
                pair.plain.push(plain);
                pair.mounted.push(mounted);
            }
        }
        if !pair.plain.is_empty() {
            pair.print(&format!("warm: {what}"), gibibytes);
        }
    }
    run(bench.command("cmp").arg(&source).arg(&committed)).map(drop)
}

/// Like [`Bench::cost`], of what may not be there.
fn before_and_after(bench: &Bench, act: impl FnOnce() -> Result<Option<(f64, f64)>>) -> Result<Option<Cost>> {
    let mut done = true;
    let cost = bench.cost(|| {
        Ok(act()?.unwrap_or_else(|| {
            done = false;
            (0.0, 0.0)
        }))
    })?;
    Ok(done.then_some(cost))
}

/// A plain file, and the committed one with its bytes, which is stored as a difference.
fn difference(bench: &Bench) -> Result<(PathBuf, PathBuf)> {
    let source = bench.path("source.safetensors");
    write_model(&source, READ, 1)?;
    let target = bench.worktree().join("model.safetensors");
    let save = || run(bench.command("cp").arg(&source).arg(&target));
    save()?;
    bench.commit("base")?;
    bench.coral(&["-C", "repo", "drain"])?;
    // The lowest bits of every number move.
    let mut model = fs::read(&source)?;
    let data = 8 + u64::from_le_bytes(model[..8].try_into()?) as usize;
    for (place, number) in model[data..].chunks_exact_mut(4).enumerate() {
        number[0] ^= (place.wrapping_mul(2_654_435_761) >> 27) as u8 & 7;
    }
    fs::write(&source, &model)?;
    save()?;
    bench.commit("step")?;
    bench.coral(&["-C", "repo", "drain"])?;
    Ok((source, bench.mount().join("branches/main/model.safetensors")))
}

/// Small files in a new folder: what most of their time goes into are the requests to the daemon.
fn small_files(way: Way) -> Result<()> {
    let bench = Bench::mounted(way)?;
    let mut pairs = ["create", "open", "rename", "unlink"].map(|what| (what, Pair::new()));
    // All are created before any is removed: some disks are slow at creating files after that.
    for (what, pair) in &mut pairs {
        bench.wait_until_idle()?;
        for round in 0..RUNS {
            let folder = format!("many-{round}");
            let there = |parent: PathBuf| bench.cost(|| bench.client(what, &parent.join(&folder)));
            pair.plain.push(there(bench.path("repo"))?);
            pair.mounted.push(there(bench.worktree())?);
        }
        let a_second = SMALL_FILES as f64 / median(pair.mounted.iter().map(|cost| cost.wall).collect());
        pair.print(&format!("{what}, {:.1}k/s", a_second / 1000.0), SMALL_FILES as f64 * 1e-6);
    }
    println!("(of these the processor's seconds are microseconds a file)");
    Ok(())
}

/// The mount of lmz, of the same file.
fn lmz() -> Result<()> {
    let Some(program) = std::env::var_os("CORAL_BENCH_LMZ") else {
        println!("-- lmz: skipped, CORAL_BENCH_LMZ names no program");
        return Ok(());
    };
    println!("-- lmz");
    let bench = Bench::mounted(Way::Kernel)?;
    let folder = bench.path("models");
    fs::create_dir(&folder)?;
    let source = folder.join("model.safetensors");
    write_model(&source, READ, 1)?;
    let gibibytes = READ as f64 / 1024.0;
    let lmz = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.env("LMZ_HOME", bench.path("lmz")).current_dir(bench.path("")).args(arguments);
        command
    };
    let mut save = Pair::new();
    for round in 0..RUNS {
        let copy = bench.path(&format!("plain-{round}"));
        let plain = || {
            bench.program(
                Command::new("sh").args(["-c", "cp \"$0\" \"$1\" && sync \"$1\""]).arg(&source).arg(&copy),
            )
        };
        save.plain.push(bench.cost(plain)?);
        save.mounted
            .push(bench.cost(|| bench.program(&mut lmz(&["add", "-q", "-f", "--name", "m", "models"])))?);
    }
    save.print("add", gibibytes);
    fs::create_dir(bench.path("theirs"))?;
    let mounted = find(&bench.path("theirs"), || run(&mut lmz(&["mount", "-d", "-q", "theirs"])).map(drop))?;
    let (mut cold, mut warm) = (Pair::new(), Pair::new());
    for _ in 0..RUNS {
        drop_caches()?;
        cold.plain.push(bench.cost(|| bench.client("read", &source))?);
        drop_caches()?;
        cold.mounted.push(bench.cost(|| bench.client("read", &mounted))?);
        bench.client("read", &source)?;
        warm.plain.push(bench.cost(|| bench.client("read", &source))?);
        warm.mounted.push(bench.cost(|| bench.client("read", &mounted))?);
    }
    cold.print("read, cold", gibibytes);
    warm.print("read, warm", gibibytes);
    run(Command::new("cmp").arg(&source).arg(&mounted))?;
    run(&mut lmz(&["umount", "theirs"]))?;
    Ok(())
}

/// The file of tensors somewhere below `folder` once `mount` has mounted it there.
fn find(folder: &Path, mount: impl FnOnce() -> Result<()>) -> Result<PathBuf> {
    mount()?;
    for _ in 0..100 {
        let found = run(Command::new("find").arg(folder).args(["-name", "*.safetensors", "-size", "+1M"]))?;
        if let Some(line) = found.lines().next() {
            return Ok(PathBuf::from(line));
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err("its mount shows no model".into())
}
