//! What the simulated disk promises to lose, to keep and to refuse.

use super::*;

fn disk_with(path: &str, bytes: &[u8]) -> (SimulatedDisk, Box<dyn DiskFile>) {
    let disk = SimulatedDisk::new();
    let file = disk.create_new(Path::new(path)).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    (disk, file)
}

fn survivors(disk: &SimulatedDisk, path: &str) -> Vec<Option<Vec<u8>>> {
    let read = |image: SimulatedDisk| image.read(Path::new(path)).ok();
    let mut found: Vec<_> = (0..64).map(|seed| read(disk.crash_image(seed))).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn a_synced_file_without_a_synced_name_may_vanish_but_is_never_torn() {
    let (disk, file) = disk_with("/a", b"whole");
    file.sync().unwrap();
    assert_eq!(survivors(&disk, "/a"), [None, Some(b"whole".to_vec())]);
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(survivors(&disk, "/a"), [Some(b"whole".to_vec())]);
}

#[test]
fn unsynced_writes_are_kept_lost_or_torn() {
    let (disk, file) = disk_with("/a", &[0; 1024]);
    file.sync().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    let halves = |first, second| Some([[first; 512], [second; 512]].concat());
    assert_eq!(survivors(&disk, "/a"), [halves(0, 0), halves(0, 1), halves(1, 0), halves(1, 1)]);
}

#[test]
fn a_rename_over_a_file_leaves_the_old_or_the_new_one() {
    let disk = SimulatedDisk::new();
    let path = Path::new("/a");
    disk.replace(path, b"old").unwrap();
    let file = disk.create_new(Path::new("/b")).unwrap();
    file.write_all_at(b"new", 0).unwrap();
    file.sync().unwrap();
    disk.rename(Path::new("/b"), path).unwrap();
    assert_eq!(survivors(&disk, "/a"), [Some(b"new".to_vec()), Some(b"old".to_vec())]);
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(survivors(&disk, "/a"), [Some(b"new".to_vec())]);
}

#[test]
fn a_failed_sync_loses_what_was_not_synced() {
    let (disk, file) = disk_with("/a", b"safe");
    file.sync().unwrap();
    file.write_all_at(b"lost", 4).unwrap();
    disk.fail_nth(0, libc::EIO);
    assert_eq!(file.sync().unwrap_err().source.raw_os_error(), Some(libc::EIO));
    assert!(file.sync().is_err());
    assert!(disk.open(Path::new("/a"), true).unwrap().sync().is_ok());
    assert_eq!(disk.read(Path::new("/a")).unwrap(), b"safe");
}

#[test]
fn replacing_a_file_is_atomic_at_every_point_of_failure() {
    let path = Path::new("/a");
    let counting = SimulatedDisk::new();
    counting.replace(path, b"old").unwrap();
    let before = counting.operations();
    counting.replace(path, b"new").unwrap();
    for point in 0..=counting.operations() - before {
        let disk = SimulatedDisk::new();
        disk.replace(path, b"old").unwrap();
        disk.stop_at_nth(point);
        let acknowledged = disk.replace(path, b"new").is_ok();
        for found in survivors(&disk, "/a") {
            let found = found.unwrap();
            assert!(found == b"new" || (found == b"old" && !acknowledged));
        }
    }
}

#[test]
fn a_full_disk_takes_what_fits() {
    let (disk, file) = disk_with("/a", b"12345");
    disk.set_capacity(Some(8));
    assert_eq!(disk.space(Path::new("/")).unwrap(), Space { available: 3, total: 8 });
    assert_eq!(file.write_all_at(b"6789", 5).unwrap_err().source.raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(disk.read(Path::new("/a")).unwrap(), b"12345678");
}

#[test]
fn whoever_was_told_that_bytes_are_lost_is_told_ever_after() {
    let disk = SimulatedDisk::new();
    let file = disk.create_new(Path::new("/file")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    disk.fail_write_back(Path::new("/"));
    for _ in 0..2 {
        assert!(file.check_kept().is_err());
    }
    assert!(file.sync().is_err());
}
