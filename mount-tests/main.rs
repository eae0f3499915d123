//! The mount through the kernel, with the built binary and real programs.
//!
//! What is missing for a test here is told by `harness.rs`.

mod auto_commit;
mod completion;
mod coreutils;
mod crash;
mod daemon;
mod daily;
#[path = "../tests/described/mod.rs"]
mod described;
mod differential;
mod dropping;
mod exerciser;
#[macro_use]
mod harness;
mod guides;
mod heavy;
mod lent;
mod life;
mod load;
mod nobody;
mod places;
mod posix;
mod python;
mod readme;
mod reflinks;
mod refusals;
mod replaced;
mod same_content;
#[allow(dead_code, reason = "it serves the tests of several processes too, which use all of it")]
mod seed;
mod stage;
mod stress;
mod tools;
mod unprivileged;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(tests! {
        auto_commit:
            checkpoints_of_a_trainer_are_committed_as_they_are_completed,
            what_programs_write_last_is_what_commits_wait_for,
            a_mount_commits_when_it_is_quiet_and_what_waits_when_it_goes,
            a_server_sees_whole_checkpoints_whenever_the_daemon_dies;
        coreutils:
            a_tree_made_by_coreutils_is_the_tree_that_they_make_elsewhere,
            a_copy_of_a_snapshot_is_the_tree_that_was_committed,
            a_hundred_thousand_files_lie_in_one_directory,
            disk_usage_is_what_is_stored;
        daily:
            commands_follow_each_other_from_inside_a_worktree,
            head_is_the_branch_whose_worktree_one_stands_in,
            paths_of_a_mount_mean_the_worktree_that_they_are_in,
            a_commit_leaves_out_a_file_that_is_open_and_names_it,
            files_are_cut_and_written_over_as_plain_ones_are,
            what_a_worktree_lacks_is_refused_by_its_errno,
            moving_between_worktrees_copies,
            repacking_under_a_mount_disturbs_no_reader;
        differential:
            a_worktree_does_what_a_folder_of_the_disk_does;
        exerciser:
            a_hundred_thousand_operations_do_to_a_file_what_they_do_to_a_plain_one,
            a_hundred_thousand_operations_without_passthrough_do_the_same,
            a_hundred_thousand_operations_of_a_user_without_privileges_do_the_same;
        heavy:
            torch_saves_and_loads_in_every_way,
            a_trainer_of_transformers_rotates_and_resumes,
            lightning_keeps_the_best_and_resumes,
            two_ranks_save_one_checkpoint,
            gguf_is_written_and_mapped,
            llama_cpp_loads_a_model_in_every_way,
            onnx_keeps_weights_in_the_file_and_beside_it_and_runs_both,
            keras_saves_models_and_weights_over_older_ones,
            orbax_writes_steps_behind_the_program_and_keeps_the_last,
            mlflow_keeps_runs_and_what_they_made;
        lent:
            what_a_program_saves_is_written_by_the_kernel,
            length_and_times_of_a_file_that_is_being_saved_are_those_of_a_plain_one,
            who_reads_a_file_that_is_being_saved_sees_what_later_writers_write,
            what_a_writer_closed_is_whole_whoever_reads_it_and_whoever_is_killed,
            a_mapping_that_outlives_its_descriptor_keeps_a_file_from_being_complete,
            a_writer_goes_on_when_the_daemon_is_killed_and_nobody_takes_it_for_done;
        places:
            the_top_shows_every_room,
            a_command_in_ctl_is_carried_out_and_answers,
            a_commit_in_ctl_takes_what_the_command_takes,
            a_command_that_fails_fails_the_write,
            what_is_asked_is_counted_and_damage_is_told_to_people_too,
            what_is_prefetched_is_there_before_it_is_read,
            a_file_that_was_read_as_a_whole_is_read_by_the_kernel_from_then_on,
            a_directory_made_beside_worktrees_is_a_branch,
            snapshots_refuse_every_change,
            head_and_branches_move_at_once,
            commits_are_found_by_id_prefix_expression_and_date,
            what_other_commands_change_is_seen_in_the_mount,
            one_tree_can_be_mounted_alone,
            mount_points_that_cannot_be_used_are_named,
            a_worktree_has_no_folder_of_a_repository,
            a_mount_is_not_added_to_its_own_repository,
            what_was_bound_elsewhere_is_not_added_either,
            no_repository_is_made_inside_a_mount;
        posix:
            exclusive_creation_and_renames_keep_their_promises,
            an_unlinked_file_lives_until_it_is_closed,
            writes_through_a_shared_mapping_reach_the_commit,
            appends_and_holes_read_back,
            space_is_told_and_reserved_only_where_there_is_some,
            locks_hold_between_descriptors,
            extended_attributes_tell_of_the_store,
            copies_carry_no_extended_attributes,
            times_before_1970_keep_their_fraction,
            rewinding_a_directory_lists_it_anew,
            a_change_shows_in_the_change_time,
            moving_a_file_changes_its_change_time_and_a_time_of_access_that_is_set_is_told,
            readers_of_one_mapping_do_not_wait_for_each_other,
            commits_are_made_while_a_file_is_written_and_cut;
        python:
            safetensors_saves_and_loads,
            numpy_loads_tensors_with_and_without_mapping,
            numpy_loads_quantised_tensors_as_numbers,
            libraries_read_what_was_converted_in_a_worktree,
            numpy_saves_into_a_worktree;
        crash:
            a_killed_daemon_costs_nothing_that_was_closed,
            a_daemon_that_is_killed_at_once_loses_nothing_of_what_was_closed,
            a_descriptor_that_stays_open_is_not_closed_by_a_copy_of_it,
            what_a_commit_left_as_it_was_saved_becomes_small_and_survives_the_daemon,
            a_full_disk_is_told_to_the_writer_and_changes_nothing,
            what_a_disk_keeps_of_its_own_goes_before_a_writer_is_told_that_it_is_full,
            a_disk_that_cannot_be_written_is_told_of_and_read,
            a_stop_signal_unmounts;
        completion:
            a_child_of_a_writer_completes_nothing,
            what_is_open_after_a_fork_is_interrupted_when_the_mount_is_taken_away,
            a_descriptor_that_was_duplicated_completes_nothing,
            a_program_that_ends_without_closing_completes_what_it_wrote,
            a_killed_writer_completes_nothing_and_is_named,
            what_a_killed_writer_left_is_told_as_it_is,
            a_commit_right_after_a_copy_always_has_it,
            a_commit_through_another_mount_misses_nothing_that_was_closed_before,
            what_is_written_on_and_closed_again_and_again_is_all_there;
        daemon:
            branches_that_come_and_go_leave_no_descriptors,
            two_thousand_files_are_open_at_once,
            a_stopped_daemon_hinders_no_unmount,
            whoever_is_to_end_while_a_command_is_carried_out_is_let_go,
            a_daemon_ends_though_a_command_is_carried_out,
            a_stopped_daemon_that_nobody_uses_is_unmounted,
            a_signal_that_was_ignored_stays_ignored,
            too_little_memory_is_told_before_anything_is_mounted,
            a_mount_that_is_stopped_is_freed,
            a_daemon_that_ends_takes_no_mount_but_its_own,
            what_is_mounted_when_a_daemon_ends_stays,
            a_mount_right_after_an_unmount_gets_the_index_in_time,
            what_the_daemon_says_last_reaches_who_started_it,
            who_stands_in_a_mount_is_told_to_leave_it;
        dropping:
            what_is_dropped_beside_constant_saving_is_kept_or_stays,
            who_keeps_nothing_waits_for_nobody_who_saves,
            what_is_dropped_while_it_is_written_is_told,
            the_mode_of_a_directory_comes_back_and_what_was_saved_in_it_stays;
        guides:
            a_training_run_is_as_the_guide_says,
            many_fine_tunes_are_as_the_guide_says,
            serving_is_as_the_guide_says,
            merging_is_as_the_guide_says;
        life:
            what_is_mounted_is_listed_with_who_serves_it,
            what_mounts_print_and_show_as_json_is_as_it_is_described,
            who_watches_a_branch_hears_of_every_move_of_it_and_outlives_the_mount,
            who_watches_everything_hears_of_head_and_runs_a_command,
            a_line_of_fstab_mounts_and_umount_waits_for_the_process,
            units_of_systemd_hold_what_systemd_wants,
            an_init_system_is_told_when_the_mount_answers,
            files_belong_to_whom_the_mount_says,
            a_repository_that_cannot_be_written_is_mounted_and_read,
            who_saved_nothing_where_nobody_can_is_told_so,
            umount_makes_small_what_it_is_asked_to_and_says_what_it_leaves,
            a_user_without_fuse3_is_told_what_to_install;
        load:
            sixteen_threads_fault_one_mapping_of_a_difference,
            readers_see_right_bytes_whatever_is_done_to_the_store_and_the_mount,
            a_daemon_that_is_killed_while_it_packs_and_files_are_open_loses_nothing_and_nobody_hangs;
        readme:
            the_demo_tells_its_story_and_leaves_nothing_behind,
            five_minutes_are_as_the_readme_says,
            five_minutes_with_python_are_as_the_readme_says;
        replaced:
            a_shell_in_a_deleted_branch_does_nothing_to_another,
            what_was_taken_away_is_stale,
            a_branch_that_was_deleted_and_made_again_keeps_what_is_saved,
            a_repository_that_was_replaced_takes_nothing_and_the_mount_says_why;
        reflinks:
            what_is_exported_shares_the_blocks_of_plain_copies,
            writing_on_a_large_file_shares_what_it_had;
        refusals:
            a_worktree_refuses_what_a_disk_refuses_by_the_same_errors,
            a_worktree_refuses_a_stranger_what_a_disk_refuses_him;
        same_content:
            a_file_of_a_commit_has_one_number_whichever_ref_leads_to_it,
            a_copy_of_a_stored_file_takes_neither_time_nor_room,
            a_copy_of_what_waits_to_be_stored_takes_none_either,
            copies_of_equal_files_are_as_many_files,
            rsync_links_no_equal_files,
            find_and_du_take_equal_files_for_different_ones,
            an_overlay_above_a_snapshot_changes_one_of_two_equal_files;
        stress:
            looks_go_on_while_everything_else_waits;
        tools:
            a_database_is_kept_in_a_worktree,
            a_git_repository_is_kept_in_a_worktree,
            fio_reads_what_it_wrote,
            what_pjdfstest_finds_is_known,
            stressors_of_file_systems_end,
            programs_find_the_same_in_the_mount_of_a_user_without_privileges,
            a_worktree_bound_elsewhere_is_the_same_worktree,
            files_of_hdf5_are_read_while_they_are_written,
            direct_io_reads_and_writes;
        unprivileged:
            a_user_without_privileges_mounts,
            whoever_writes_to_a_strangers_program_takes_its_rights_from_it,
            the_kernel_does_not_ask_before_each_write_what_a_file_may;
    })
}
