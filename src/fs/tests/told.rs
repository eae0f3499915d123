//! What people are told: in files of `.coral/`, in answers, in the log.

use super::*;

#[test]
fn what_people_are_told_is_quoted_line_by_line_and_ends() {
    let core = file_system();
    let name = "red \u{1b}[31m\n  M forged";
    save(&core, "worktree/main", name, b"saved");
    let status = text(&core, ".coral/status");
    assert!(status.contains("  A \"red \\033[31m\\n  M forged\"\n"), "{status}");
    let (_, open) = core.create(ino(&core, "worktree/main"), b"new\nline", 0o644, WRITE).unwrap();
    let opened = core.open(ino(&core, ".coral/ctl"), WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"commit -m 'esc \x1b]0;title\x07'").unwrap();
    let mut said = [0; 4096];
    let len = core.opened(opened.handle).unwrap().read(0, &mut said).unwrap();
    let said = str::from_utf8(&said[..len]).unwrap();
    assert!(said.contains("still being written, is not in the commit: \"new\\nline\"\n"), "{said}");
    core.opened(opened.handle)
        .unwrap()
        .write(0, format!("dance{}\n", "\x1b".repeat(100_000)).as_bytes())
        .unwrap_err();
    let mut said = [0; 1 << 14];
    let len = core.opened(opened.handle).unwrap().read(0, &mut said).unwrap();
    assert!(len < 5000 && said[..len].starts_with(b"`dance\\033\\033"), "{len}");
    let log = text(&core, ".coral/log");
    assert!(log.contains("    esc \\033]0;title\\a\n"), "{log}");
    core.release(opened.handle);
    close(&core, open);
}

#[test]
fn trouble_is_told_with_its_path_while_the_mount_lives_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mount.log");
    let (core, disk) = file_system_and_disk();
    drop(core);
    let core = open_with_log(&disk, Some(log.clone()));
    assert_eq!(text(&core, ".coral/errors"), "");
    let file = save(&core, "worktree/main", "a\nb", b"saved");
    let (read, moved) = (
        Question::of_node(Operation::Read, file),
        Question::of_name(Operation::Rename, ino(&core, "worktree/main"), b"c"),
    );
    let note =
        |question, error: Error| Upkeep::of(&core.shared).note_answer(question, Duration::ZERO, Some(&error));
    note(&read, Error::NoSpace);
    note(&read, Error::NoEntry);
    note(&moved, Error::NoSpace);
    let told = text(&core, ".coral/errors");
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].contains(r#" UTC read "worktree/main/a\nb": no space left: No space left on device"#),
        "{told}"
    );
    assert!(lines[1].contains(" UTC rename worktree/main/c: no space left: "), "{told}");
    assert!(lines.len() == 3 && lines[2].ends_with("/mount.log"), "{told}");
    drop(core);
    let logged = std::fs::read_to_string(&log).unwrap();
    let logged: Vec<&str> = logged.lines().map(|line| line.split_once(" UTC ").unwrap().1).collect();
    let process = std::process::id();
    for (line, told) in logged.iter().zip(&lines) {
        assert_eq!(*line, format!("{process} {}", told.split_once(" UTC ").unwrap().1));
    }
    assert_eq!(logged.len(), 2);
}

#[test]
fn what_was_in_doubt_when_a_worktree_was_opened_is_told() {
    let simulated = SimulatedDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    disk.create_dir_all(Path::new("/r")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    Repo::create(Arc::clone(&disk), Path::new(REPOSITORY), &branch("main")).unwrap();
    let core = open(&disk);
    let file = save(&core, "worktree/main", "a", b"first");
    let opened = core.open(file, READ).unwrap();
    core.opened(opened.handle).unwrap().fsync().unwrap();
    core.release(opened.handle);
    let opened = core.open(file, WRITE).unwrap();
    core.opened(opened.handle).unwrap().write(0, b"SECOND").unwrap();
    close(&core, opened);
    // The record that the second version is complete reaches the disk, its bytes need not.
    core.mkdir(ino(&core, "worktree/main"), b"d", 0o755).unwrap();
    core.fsync_dir(ino(&core, "worktree/main")).unwrap();
    let told = (0..16).map(|seed| {
        let core = open(&(Arc::new(simulated.crash_image(seed)) as Arc<dyn Disk>));
        find(&core, "worktree/main/a").unwrap();
        (text(&core, ".coral/errors"), text(&core, ".coral/status"))
    });
    let told: Vec<(String, String)> = told.filter(|(errors, _)| !errors.is_empty()).collect();
    assert!(!told.is_empty());
    for (errors, status) in told {
        assert!(errors.starts_with("a of worktree main was not yet on the disk when"), "{errors}");
        assert!(status.contains("  ! a of worktree main was not yet on the disk when"), "{status}");
    }
}
