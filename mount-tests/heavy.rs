//! Frameworks, unmodified: they save into a worktree, and load what was committed. They are large, so that only who asks for
//! them by `CORAL_CLIENTS=1` gets them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::stage::{Missing, Stage};

/// PyTorch, without the libraries of graphics cards, which are ten times its size.
const TORCH: &str = "torch==2.15.0";
/// What comes with it and needs it.
const WITH_TORCH: [&str; 14] = [
    "filelock",
    "typing-extensions",
    "sympy",
    "networkx",
    "jinja2",
    "fsspec",
    "numpy<3",
    "setuptools>=77.0.3",
    "transformers==5.24.0",
    "accelerate==1.15.0",
    "safetensors>=0.8,<0.9",
    "lightning==2.6.6",
    "packaging",
    "psutil",
];

/// Programs that need no PyTorch.
const WITHOUT_TORCH: [&str; 8] = [
    "numpy<3",
    "gguf==0.19.0",
    "xllamacpp==2026.10.11549",
    "onnx==1.23.2",
    "onnxruntime==1.32.0",
    "keras==3.15.1",
    "orbax-checkpoint==0.12.8",
    "mlflow-skinny==3.17.2",
];

/// A Python with frameworks, and what installs them.
struct Frameworks {
    folder: &'static str,
    install: fn(&Path) -> Result<(), String>,
    python: OnceLock<Result<PathBuf, String>>,
}

static TORCH_AND_MORE: Frameworks =
    Frameworks { folder: "frameworks", install: install_torch, python: OnceLock::new() };
static OTHERS: Frameworks =
    Frameworks { folder: "clients", install: |python| pip(python, &WITHOUT_TORCH), python: OnceLock::new() };

impl Frameworks {
    /// The interpreter, installed with them at the first use.
    fn python(&'static self) -> Result<&'static Path, Missing> {
        if std::env::var_os("CORAL_CLIENTS").is_none_or(|value| value != "1") {
            return Err(Missing("CORAL_CLIENTS=1 is not said, and they take 1 GB to download".to_owned()));
        }
        let python = self.python.get_or_init(|| self.set_up());
        python.as_deref().map_err(|why| Missing(why.clone()))
    }

    fn set_up(&self) -> Result<PathBuf, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.folder);
        let (python, ready) = (folder.join("venv/bin/python"), folder.join("ready"));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        // Another run of the tests may be installing.
        let lock = std::fs::File::create(folder.join("lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        if ready.exists() {
            return Ok(python);
        }
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")))?;
        (self.install)(&python)?;
        std::fs::File::create(&ready).map_err(|error| error.to_string())?;
        Ok(python)
    }
}

fn pip(python: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]);
    run(pip.args(arguments))
}

fn install_torch(python: &Path) -> Result<(), String> {
    pip(python, &["--no-deps", TORCH])?;
    run(Command::new(python).arg("-c").arg(include_str!("clients/torch_for_cpu.py")))?;
    pip(python, &WITH_TORCH)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("{command:?}: {}", said.lines().last().unwrap_or_default()))
        }
    }
}

/// A script saves into a worktree; what is committed is loaded by another process, before it is coded and afterwards.
fn saves_and_loads(frameworks: &'static Frameworks, script: &str) -> Result<(), Missing> {
    let python = frameworks.python()?;
    let mut stage = Stage::new()?;
    // A program that starts others of itself has to be a file.
    let path = stage.path("script.py");
    std::fs::write(&path, script).expect("room");
    let act = |stage: &Stage, what: &str| {
        let program = python.to_str().expect("our own folder");
        let mut command = stage.program(program, &stage.path(""));
        stage.run(command.arg("-B").arg(&path).arg(what).env("HOME", stage.path(""))).succeeds();
    };
    act(&stage, "save");
    stage.commit("saved by a framework");
    act(&stage, "load");
    stage.in_repo(&["drain"]).succeeds();
    stage.unmount();
    // Copies of what is stored; short files have none.
    let _ = std::fs::remove_dir_all(stage.path("repo/.coral/plain"));
    stage.mount(&["repo", "mnt"]);
    act(&stage, "load");
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn torch_saves_and_loads_in_every_way() -> Result<(), Missing> {
    saves_and_loads(&TORCH_AND_MORE, include_str!("clients/heavy_torch.py"))
}

pub fn a_trainer_of_transformers_rotates_and_resumes() -> Result<(), Missing> {
    saves_and_loads(&TORCH_AND_MORE, include_str!("clients/heavy_transformers.py"))
}

pub fn lightning_keeps_the_best_and_resumes() -> Result<(), Missing> {
    saves_and_loads(&TORCH_AND_MORE, include_str!("clients/heavy_lightning.py"))
}

pub fn two_ranks_save_one_checkpoint() -> Result<(), Missing> {
    saves_and_loads(&TORCH_AND_MORE, include_str!("clients/heavy_dcp.py"))
}

pub fn gguf_is_written_and_mapped() -> Result<(), Missing> {
    saves_and_loads(&OTHERS, include_str!("clients/heavy_gguf.py"))
}

pub fn llama_cpp_loads_a_model_in_every_way() -> Result<(), Missing> {
    saves_and_loads(&OTHERS, include_str!("clients/heavy_llama.py"))
}

pub fn onnx_keeps_weights_in_the_file_and_beside_it_and_runs_both() -> Result<(), Missing> {
    saves_and_loads(&OTHERS, include_str!("clients/heavy_onnx.py"))
}

pub fn keras_saves_models_and_weights_over_older_ones() -> Result<(), Missing> {
    saves_and_loads(&OTHERS, include_str!("clients/heavy_keras.py"))
}

pub fn orbax_writes_steps_behind_the_program_and_keeps_the_last() -> Result<(), Missing> {
    saves_and_loads(&OTHERS, include_str!("clients/heavy_orbax.py"))
}

pub fn mlflow_keeps_runs_and_what_they_made() -> Result<(), Missing> {
    saves_and_loads(&OTHERS, include_str!("clients/heavy_mlflow.py"))
}
