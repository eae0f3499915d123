//! Mounts that commit checkpoints by themselves.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::Value;

use crate::seed::{Random, seeds};
use crate::stage::{Missing, Stage, weights};

/// The commits of main, newest first.
fn commits(stage: &Stage) -> Vec<Value> {
    let ran = stage.in_repo(&["log", "--json", "-n", "0", "main"]);
    if !ran.is_success() {
        return Vec::new();
    }
    let value: Value = serde_json::from_str(&ran.text()).expect("one value");
    value["commits"].as_array().expect("a list").clone()
}

fn wait_for(stage: &Stage, count: usize) -> Vec<Value> {
    stage.wait_until("it is committed", || commits(stage).len() >= count);
    let commits = commits(stage);
    assert_eq!(commits.len(), count, "{commits:#?}");
    commits
}

/// What the Trainer of transformers leaves, in its order: its state last.
fn save(folder: &Path, step: u32, best: u32, bytes: usize) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let model = weights(u64::from(step), bytes);
    fs::write(folder.join(".tmpA1b2c3"), &model)?;
    fs::rename(folder.join(".tmpA1b2c3"), folder.join("model.safetensors"))?;
    fs::write(folder.join("optimizer.pt"), &model)?;
    let state = format!(
        "{{\"global_step\": {step}, \"epoch\": 0.5, \"best_model_checkpoint\": \"out/checkpoint-{best}\",
          \"log_history\": [{{\"step\": {step}, \"loss\": {}.5, \"epoch\": 0.5}}]}}",
        100 - step
    );
    fs::write(folder.join("trainer_state.json"), state)
}

pub fn checkpoints_of_a_trainer_are_committed_as_they_are_completed() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    for (key, value) in [("auto_commit.tag_last", "last"), ("auto_commit.tag_best", "best")] {
        stage.in_repo(&["config", "set", key, value]).succeeds();
    }
    stage.mount(&["--auto-commit", "repo", "mnt"]);
    for step in [10, 20, 30] {
        save(&stage.worktree(&format!("out/checkpoint-{step}")), step, 20, 3 << 20).expect("room");
        if step > 10 {
            fs::remove_dir_all(stage.worktree(&format!("out/checkpoint-{}", step - 10))).expect("there");
        }
        let newest = wait_for(&stage, step as usize / 10).swap_remove(0);
        let subject = format!("out/checkpoint-{step}: step {step}, loss {}.5", 100 - step);
        assert_eq!(newest["message"].as_str().expect("text").trim_end(), subject);
        assert_eq!(newest["metadata"]["step"], step.to_string().as_str());
        assert_eq!(newest["metadata"]["loss"], format!("{}.5", 100 - step).as_str());
    }
    // What the trainer removes stays in the history.
    let all = commits(&stage);
    let id = |at: usize| all[at]["commit"].as_str().expect("an id").to_owned();
    stage.wait_until("tags follow", || {
        stage.mnt("tags/best/out").exists() && stage.mnt("tags/last/out").exists()
    });
    for (at, step) in [(0, 30), (1, 20), (2, 10)] {
        let path = format!("commits/{}/out/checkpoint-{step}/model.safetensors", id(at));
        assert!(fs::read(stage.mnt(&path)).expect("committed") == weights(u64::from(step as u32), 3 << 20));
    }
    let named = |tag: &str| {
        let shown = stage.in_repo(&["--json", "show", tag]).succeeds().text();
        let value: Value = serde_json::from_str(&shown).expect("one value");
        value.to_string()
    };
    assert!(named("best").contains(&id(1)), "20 is the best");
    stage.wait_until("the last is tagged", || named("last").contains(&id(0)));
    assert!(!stage.mnt("HEAD/out/checkpoint-10").exists());
    stage.unmount();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}

pub fn what_programs_write_last_is_what_commits_wait_for() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    stage.mount(&["-o", "auto_commit", "repo", "mnt"]);
    let steps: [(&str, &str); 4] = [
        (
            "mkdir dcp; echo 1 > dcp/__0_0.distcp; echo 2 > dcp/.metadata.tmp; mv dcp/.metadata.tmp dcp/.metadata",
            "dcp",
        ),
        (
            "mkdir 7.orbax-checkpoint-tmp; echo 1 > 7.orbax-checkpoint-tmp/d; mv 7.orbax-checkpoint-tmp 7",
            "7: step 7",
        ),
        (
            "mkdir m; for n in 1 2; do echo $n > m/model-0000$n-of-00002.safetensors; done; echo {} > m/model.safetensors.index.json",
            "m",
        ),
        (
            "echo 1 > epoch=1-step=40.ckpt; ln -s epoch=1-step=40.ckpt last.ckpt",
            "epoch=1-step=40.ckpt: step 40",
        ),
    ];
    for (number, (script, message)) in steps.into_iter().enumerate() {
        stage.sh_in(&stage.worktree(""), script).succeeds();
        let newest = wait_for(&stage, number + 1).swap_remove(0);
        assert_eq!(newest["message"].as_str().expect("text").trim_end(), message);
        stage.in_repo(&["status", "--short"]).succeeds();
    }
    assert_eq!(stage.in_repo(&["status", "--short"]).succeeds().text(), "", "nothing is left");
    let told = fs::read_to_string(stage.mnt(".coral/status")).expect("readable");
    assert!(told.contains("auto-commit: on, when a checkpoint is complete\n"), "{told}");
    assert!(told.contains("  last commit ") && told.contains(": epoch=1-step=40.ckpt on main as "), "{told}");
    Ok(())
}

pub fn a_mount_commits_when_it_is_quiet_and_what_waits_when_it_goes() -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    stage.in_repo(&["config", "set", "auto_commit.quiet", "1"]).succeeds();
    stage.in_repo(&["config", "set", "auto_commit.when", "quiet"]).succeeds();
    stage.in_repo(&["config", "set", "auto_commit.message", "saved {checkpoint}"]).succeeds();
    stage.in_repo(&["config", "set", "auto_commit.paths", "out*"]).succeeds();
    stage.mount(&["repo", "mnt"]);
    fs::create_dir(stage.worktree("out")).expect("new");
    for name in ["a", "b", "c"] {
        fs::write(stage.worktree("out").join(name), name).expect("room");
    }
    assert_eq!(wait_for(&stage, 1)[0]["message"].as_str().expect("text").trim_end(), "saved out");
    stage.unmount();
    stage.in_repo(&["config", "set", "auto_commit.quiet", "3600"]).succeeds();
    stage.mount(&["repo", "mnt"]);
    fs::write(stage.worktree("notes"), "no checkpoint").expect("room");
    fs::write(stage.worktree("out/a"), "more").expect("room");
    let status = || fs::read_to_string(stage.mnt(".coral/status")).expect("readable");
    stage.wait_until("it is told what waits", || {
        status().contains(
            "auto-commit: on, when nothing changed for 3600 s\n  waits: out/a on main, more may come\n",
        )
    });
    stage.unmount();
    assert_eq!(wait_for(&stage, 2).len(), 2, "it did not wait for an hour");
    stage.mount(&["--auto-commit=off", "repo", "mnt"]);
    let told = fs::read_to_string(stage.mnt(".coral/status")).expect("readable");
    assert!(told.contains("auto-commit: off\n"), "{told}");
    assert_eq!(fs::read_to_string(stage.mnt("HEAD/out/a")).expect("committed"), "more");
    fs::write(stage.worktree("out/a"), "by hand").expect("room");
    stage.unmount();
    assert_eq!(commits(&stage).len(), 2);
    Ok(())
}

/// The steps of the complete checkpoints in a tree, each looked at: as a server does it that keeps its directory open.
fn whole_checkpoints(top: &Path) -> io::Result<Vec<u32>> {
    let held = File::open(top)?;
    let top = format!("/proc/self/fd/{}/out", held.as_raw_fd());
    let (mut steps, mut half) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(&top)? {
        let folder = entry?.path();
        let state = match fs::read_to_string(folder.join("trainer_state.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            state => state?,
        };
        let state: Value = serde_json::from_str(&state).unwrap_or_else(|error| panic!("{error}: {state}"));
        let step = state["global_step"].as_u64().expect("a step") as u32;
        let mut is_whole = true;
        for name in ["model.safetensors", "optimizer.pt"] {
            match fs::read(folder.join(name)) {
                // Its program was just removing it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => is_whole = false,
                bytes => {
                    let bytes = bytes?;
                    assert!(
                        bytes == weights(u64::from(step), bytes.len()) && bytes.len() == 300_000,
                        "{name} of {step}"
                    );
                }
            }
        }
        if is_whole { steps.push(step) } else { half.push(step) }
    }
    steps.sort_unstable();
    assert!(half.iter().all(|half| steps.last().is_some_and(|newest| half < newest)), "{half:?}, {steps:?}");
    Ok(steps)
}

/// Says that something is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn a_server_sees_whole_checkpoints_whenever_the_daemon_dies() -> Result<(), Missing> {
    const STEPS: u32 = 12;
    let mut stage = Stage::unmounted()?;
    let mount: &[&str] = &["--auto-commit", "repo", "mnt"];
    stage.mount(mount);
    let (done, seen) = (AtomicBool::new(false), AtomicU32::new(0));
    let served = stage.mnt("branches/main");
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                // While there is no daemon there is nothing to see.
                let newest = whole_checkpoints(&served).ok().and_then(|steps| steps.last().copied());
                let Some(newest) = newest else { continue };
                assert!(newest >= last, "it goes back from {last} to {newest}");
                last = newest;
                seen.store(newest, Ordering::Relaxed);
            }
        });
        // Whatever fails, the server ends.
        let _over = Over(&done);
        let mut random = Random::new(seeds(&[1])[0]);
        for step in 1..=STEPS {
            let folder = stage.worktree(&format!("out/checkpoint-{step}"));
            save(&folder, step, step, 300_000).expect("room");
            if step > 2 {
                fs::remove_dir_all(stage.worktree(&format!("out/checkpoint-{}", step - 2))).expect("there");
            }
            if step % 3 == 0 {
                // Before, while or after it is committed.
                std::thread::sleep(std::time::Duration::from_millis(random.below(400) as u64));
                stage.kill_daemon();
                stage.mount(mount);
            } else {
                stage.wait_until("it is served", || seen.load(Ordering::Relaxed) == step);
            }
        }
        // The last one may have been killed before it was committed: what its program does next completes it.
        save(&stage.worktree("out/checkpoint-99"), 99, 99, 300_000).expect("room");
        stage.wait_until("the last is served", || seen.load(Ordering::Relaxed) == 99);
    });
    let all = commits(&stage);
    for commit in &all {
        let id = commit["commit"].as_str().expect("an id");
        let steps = whole_checkpoints(&stage.mnt(&format!("commits/{id}"))).expect("readable");
        assert!(!steps.is_empty());
    }
    assert!(all.len() as u32 > STEPS * 2 / 3, "{}", all.len());
    stage.unmount();
    stage.in_repo(&["fsck", "--full"]).succeeds();
    Ok(())
}
