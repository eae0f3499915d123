//! The guides, typed literally: each in a shell of its own, in an empty folder.

use crate::stage::{Missing, Stage, coral};

/// All that is to be typed of a guide.
fn script(guide: &str) -> String {
    let blocks =
        guide.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').expect("a language"));
    let typed = blocks.map(|(language, text)| match language {
        "sh" => text,
        other => panic!("nobody knows how to type {other:?}"),
    });
    typed.collect()
}

/// Types a guide; `mounts` is where it mounts something, which is gone in the end. What was printed has all of `results`.
fn type_it(guide: &str, mounts: Option<&str>, results: &[&str]) -> Result<(), Missing> {
    let mut stage = Stage::unmounted()?;
    let folder = stage.path("clean");
    std::fs::create_dir(&folder).expect("a scratch folder");
    if let Some(mounts) = mounts {
        // Whatever happens, nothing stays mounted.
        stage.mounts_itself(&format!("clean/{mounts}"));
    }
    let own = std::path::Path::new(coral()).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = stage.program("bash", &folder);
    let ran = stage.run(shell.env("PATH", path).args(["-euo", "pipefail", "-c", &script(guide)])).succeeds();
    let said = ran.text();
    for result in results {
        assert!(said.contains(result), "no `{result}` in {ran}");
    }
    if let Some(mounts) = mounts {
        assert_eq!(folder.join(mounts).read_dir().expect("a folder").count(), 0, "it stays mounted: {ran}");
    }
    Ok(())
}

pub fn a_training_run_is_as_the_guide_says() -> Result<(), Missing> {
    let guide = include_str!("../docs/guide/training-run.md");
    type_it(
        guide,
        Some("weights"),
        &["step 60", "loss over step", "plain files", "drawn into", "every byte checked"],
    )
}

pub fn many_fine_tunes_are_as_the_guide_says() -> Result<(), Missing> {
    let guide = include_str!("../docs/guide/fine-tunes.md");
    type_it(
        guide,
        None,
        &["What changed from base to code", "drawn into", "tuned to talk", "the one to ship"],
    )
}

pub fn serving_is_as_the_guide_says() -> Result<(), Missing> {
    type_it(
        include_str!("../docs/guide/serving.md"),
        Some("serving"),
        &["production", "every byte checked", "unmounted"],
    )
}

pub fn merging_is_as_the_guide_says() -> Result<(), Missing> {
    type_it(include_str!("../docs/guide/merging.md"), None, &["there are conflicts", "on to the last"])
}
