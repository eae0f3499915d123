//! Several processes on one repository, and a system that fails under them.

mod content;
mod cuts;
mod gone;
#[macro_use]
#[path = "../../mount-tests/harness.rs"]
mod harness;
mod interleaved;
mod killed;
mod logged;
#[allow(dead_code, reason = "it serves the mount's own tests too, which use all of it")]
#[path = "../../mount-tests/nobody.rs"]
mod nobody;
mod plain;
mod refused;
#[path = "../../mount-tests/seed.rs"]
mod seed;
mod stacks;
#[allow(dead_code, reason = "it serves the mount's own tests too, which use all of it")]
#[path = "../../mount-tests/stage.rs"]
mod stage;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(tests! {
        cuts: a_power_cut_loses_nothing_that_was_acknowledged;
        gone: a_disk_that_comes_back_is_believed_as_far_as_it_was_synced;
        interleaved: a_repository_survives_everybody_at_once;
        killed:
            a_command_that_is_killed_has_done_all_or_nothing,
            what_a_killed_command_drops_comes_back;
        refused: a_command_whose_system_call_fails_changes_nothing_and_says_so;
        stacks:
            a_file_of_zeros_is_added_in_small_stacks,
            a_model_of_many_tensors_is_added_twice_in_small_stacks,
            unchanged_tensors_are_committed_in_small_stacks;
    })
}

fn scratch() -> tempfile::TempDir {
    harness::scratch("actors-")
}
