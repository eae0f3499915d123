//! Several processes on one repository, and a system that fails under them.
//!
//! A test whose tools are missing here is reported as ignored, with what is missing; where `CI` is `true` it fails.

mod content;
mod cuts;
mod gone;
mod interleaved;
mod killed;
mod logged;
mod plain;
mod refused;
mod seed;
mod stacks;
#[allow(dead_code, reason = "it serves the mount's own tests too, which use all of it")]
#[path = "../../mount-tests/stage.rs"]
mod stage;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use stage::Missing;

/// A test: it panics on failure, and says what is missing if it cannot run.
type Test = fn() -> Result<(), Missing>;

macro_rules! tests {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        vec![$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name as Test)),+),+]
    };
}

fn main() -> ExitCode {
    let tests = tests! {
        cuts: a_power_cut_loses_nothing_that_was_acknowledged;
        gone: a_disk_that_comes_back_is_believed_as_far_as_it_was_synced;
        interleaved: a_repository_survives_everybody_at_once;
        killed: a_command_that_is_killed_has_done_all_or_nothing;
        refused: a_command_whose_system_call_fails_changes_nothing_and_says_so;
        stacks:
            a_file_of_zeros_is_added_in_small_stacks,
            a_model_of_many_tensors_is_added_twice_in_small_stacks,
            unchanged_tensors_are_committed_in_small_stacks;
    };
    let trials = tests.into_iter().map(|(name, test)| Trial::ignorable_test(name, move || run(test)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A folder on the disk that the build is on: the system's own may be too small or in memory.
fn scratch() -> tempfile::TempDir {
    let parent = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    tempfile::Builder::new().prefix("actors-").tempdir_in(parent).expect("a scratch folder")
}

fn run(test: Test) -> Result<Completion, Failed> {
    match test() {
        Ok(()) => Ok(Completion::Completed),
        Err(missing) if std::env::var("CI").is_ok_and(|value| value == "true") => Err(missing.0.into()),
        Err(missing) => Ok(Completion::ignored_with(missing.0)),
    }
}
