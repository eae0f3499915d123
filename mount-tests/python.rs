//! Python's own readers and writers of weights, unmodified.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::stage::{Missing, Stage};

/// What the scripts import, as pip wants it named.
const PACKAGES: [&str; 2] = ["numpy>=1.26,<3", "safetensors>=0.8,<0.9"];

/// The folder with the packages that most scripts import.
pub fn packages() -> Result<PathBuf, Missing> {
    installed(&PACKAGES)
}

/// A folder with these packages, filled by pip at the first use.
fn installed(packages: &[&str]) -> Result<PathBuf, Missing> {
    static FOLDERS: Mutex<BTreeMap<String, Result<PathBuf, String>>> = Mutex::new(BTreeMap::new());
    let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = folders.entry(packages.join(" ")).or_insert_with(|| install(packages));
    known.clone().map_err(Missing)
}

fn install(packages: &[&str]) -> Result<PathBuf, String> {
    let name = match packages == PACKAGES {
        true => "python-packages".to_owned(),
        false => format!("python-{}", &blake3::hash(packages.join(" ").as_bytes()).to_hex()[..12]),
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let ready = folder.join("ready");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    // Another run of the tests may be installing.
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if !ready.exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"]);
        let output = pip.arg(&folder).args(packages).output().map_err(|error| format!("python3: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!(
                "pip cannot install {packages:?}: {}",
                said.lines().last().unwrap_or_default()
            ));
        }
        File::create(&ready).map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

fn run(stage: &Stage, script: &str) -> Result<(), Missing> {
    run_with(stage, &PACKAGES, script)
}

/// Runs a script that imports these packages.
pub fn run_with(stage: &Stage, packages: &[&str], script: &str) -> Result<(), Missing> {
    let packages = installed(packages)?;
    let mut python = stage.program("python3", &stage.path(""));
    stage.run(python.args(["-B", "-c", script]).env("PYTHONPATH", packages)).succeeds();
    Ok(())
}

pub fn safetensors_saves_and_loads() -> Result<(), Missing> {
    packages()?;
    let stage = Stage::new()?;
    run(&stage, include_str!("clients/safetensors_save.py"))?;
    stage.commit("step 1");
    run(&stage, include_str!("clients/safetensors_change.py"))?;
    stage.commit("step 2");
    run(&stage, include_str!("clients/safetensors_load.py"))
}

pub fn numpy_loads_tensors_with_and_without_mapping() -> Result<(), Missing> {
    packages()?;
    let stage = Stage::new()?;
    run(&stage, include_str!("clients/safetensors_save.py"))?;
    stage.commit("step 1");
    run(&stage, include_str!("clients/numpy_tensors.py"))
}

pub fn numpy_loads_quantised_tensors_as_numbers() -> Result<(), Missing> {
    packages()?;
    let stage = Stage::new()?;
    run(&stage, include_str!("clients/convert_save.py"))?;
    stage.sh("\"$CORAL\" convert --dtype q8_0 \"$W\"/m.safetensors \"$W\"/q.gguf").succeeds();
    stage.commit("blocks");
    run(&stage, include_str!("clients/numpy_views.py"))
}

pub fn libraries_read_what_was_converted_in_a_worktree() -> Result<(), Missing> {
    let packages = [PACKAGES[0], PACKAGES[1], "gguf==0.19.0"];
    installed(&packages)?;
    let stage = Stage::new()?;
    run(&stage, include_str!("clients/convert_save.py"))?;
    stage.commit("step 1");
    let convert =
        |words: &str| drop(stage.sh(&format!("cd \"$W\" && \"$CORAL\" convert {words}")).succeeds());
    convert("m.npz from_npz.safetensors");
    convert("HEAD:m.safetensors from_safetensors.npz");
    convert("--meta made=here :m.safetensors again.safetensors");
    convert("HEAD:m.npz m.gguf");
    for dtype in ["q8_0", "q4_0", "bf16"] {
        let said = "--meta general.architecture=llama --meta llama.block_count=2";
        convert(&format!("--dtype {dtype} {said} HEAD:m.safetensors {dtype}.gguf"));
    }
    convert("--dtype f32 q8_0.gguf q8_0.safetensors");
    convert("--dtype f32 q4_0.gguf q4_0.safetensors");
    stage.commit("step 2");
    run_with(&stage, &packages, include_str!("clients/convert_load.py"))?;
    let left = stage.sh("ls -A \"$W\"").succeeds().text();
    assert!(!left.contains("partial"), "{left}");
    Ok(())
}

pub fn numpy_saves_into_a_worktree() -> Result<(), Missing> {
    packages()?;
    let stage = Stage::new()?;
    run(&stage, include_str!("clients/numpy_save.py"))?;
    stage.commit("arrays");
    run(&stage, include_str!("clients/numpy_load.py"))
}
