//! What checking a repository finds that nothing in its history leads to.

use super::*;
use crate::tensor::Dtype;

#[test]
fn a_damaged_object_that_no_file_has_is_found_by_who_reads_everything() {
    let (disk, repo) = create();
    let ingest = repo.store().begin().expect("begin");
    let bytes: Vec<u8> = (0..4_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let key = ingest.put(Dtype::U32, &bytes, &[]).expect("put").key;
    ingest.seal().expect("seal");
    let packs = Path::new(ROOT).join("packs");
    let pack = disk.list(&packs).expect("list").into_iter().find(|name| name.ends_with(".cpk"));
    let pack = packs.join(pack.expect("sealed"));
    let found = |full| {
        let report = fsck(&open(&disk), full, &Task::default()).expect("fsck");
        let findings = report.findings.into_iter().map(|found| format!("{}: {}", found.place, found.what));
        findings.collect::<Vec<_>>()
    };
    assert_eq!((found(false), found(true)), (vec![], vec![]));
    let file = disk.open(&pack, true).expect("open");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 5_000).expect("read");
    file.write_all_at(&[byte[0] ^ 1], 5_000).expect("write");
    assert_eq!(found(false), Vec::<String>::new());
    let damaged = found(true);
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert!(damaged[0].starts_with(&format!("object {key} in {}", pack.display())), "{damaged:?}");
    // The end of a pack is its own copy of the sidecar.
    let end = file.len().expect("len");
    file.read_exact_at(&mut byte, end - 100).expect("read");
    file.write_all_at(&[byte[0] ^ 1], end - 100).expect("write");
    let damaged = found(false);
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert!(damaged[0].starts_with(&pack.display().to_string()), "{damaged:?}");
}
