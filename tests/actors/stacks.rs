//! Stacks are bounded whatever the bytes: what meets thousands of known objects runs in threads with little stack.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::stage::{Missing, Ran, Stage, coral};

/// Bytes of stack of each thread: an eighth of what threads have otherwise. It is far more than any thread needs, and
/// far less than one call a tensor.
const STACK: &str = "262144";

/// Tensors of a model, and bytes of each: more than two frames.
const TENSORS: u64 = 1_500;
const TENSOR_LEN: u64 = 513 << 10;

/// A file of the safetensors format whose tensors differ in their first bytes; `first` is those of the first one. Most
/// of it is a hole, so that neither time nor room is lost on it.
fn model(path: &Path, first: u64) {
    let entry = |n: u64| {
        let (from, to) = (n * TENSOR_LEN, (n + 1) * TENSOR_LEN);
        format!(r#""layer.{n}":{{"dtype":"BF16","shape":[{}],"data_offsets":[{from},{to}]}}"#, TENSOR_LEN / 2)
    };
    let header = format!("{{{}}}", (0..TENSORS).map(entry).collect::<Vec<_>>().join(","));
    let file = File::create(path).expect("new");
    let write = |bytes: &[u8], at| file.write_all_at(bytes, at).expect("room");
    write(&(header.len() as u64).to_le_bytes(), 0);
    write(header.as_bytes(), 8);
    let data = 8 + header.len() as u64;
    for n in 0..TENSORS {
        let number = if n == 0 { first } else { n };
        write(&(number + 1).to_le_bytes(), data + n * TENSOR_LEN);
    }
    file.set_len(data + TENSORS * TENSOR_LEN).expect("a hole takes no room");
}

fn in_repo(stage: &Stage, arguments: &[&str]) -> Ran {
    let mut command = stage.program(coral(), &stage.path("repo"));
    stage.run(command.env("RUST_MIN_STACK", STACK).args(arguments))
}

pub fn a_file_of_zeros_is_added_in_small_stacks() -> Result<(), Missing> {
    let stage = Stage::unmounted()?;
    let hole = File::create(stage.path("repo/hole")).expect("new");
    hole.set_len(1 << 30).expect("a hole takes no room");
    in_repo(&stage, &["add", "hole"]).succeeds();
    in_repo(&stage, &["commit", "-m", "zeros"]).succeeds();
    in_repo(&stage, &["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn a_model_of_many_tensors_is_added_twice_in_small_stacks() -> Result<(), Missing> {
    let stage = Stage::unmounted()?;
    for name in ["a.safetensors", "b.safetensors"] {
        model(&stage.path("repo").join(name), 0);
        in_repo(&stage, &["add", name]).succeeds();
    }
    in_repo(&stage, &["commit", "-m", "both"]).succeeds();
    in_repo(&stage, &["repack"]).succeeds();
    in_repo(&stage, &["fsck", "--full"]).succeeds();
    Ok(())
}

/// A second checkpoint all but one of whose tensors are frozen.
pub fn unchanged_tensors_are_committed_in_small_stacks() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    let mut daemon = Command::new(coral());
    daemon.current_dir(stage.path("")).env("HOME", stage.path("home")).env("RUST_MIN_STACK", STACK);
    daemon.args(["mount", "repo", "mnt"]);
    stage.serve(daemon, "mnt");
    for step in 1..3 {
        model(&stage.worktree(&format!("step{step}.safetensors")), 1 << 32 | step);
        in_repo(&stage, &["commit", "-m", "a step"]).succeeds();
    }
    stage.sh("cmp $M/HEAD/step1.safetensors $M/worktree/main/step1.safetensors").succeeds();
    in_repo(&stage, &["fsck"]).succeeds();
    stage.unmount();
    Ok(())
}
