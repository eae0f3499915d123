//! Files of the history that are open.

use super::*;
use crate::history::{FileReader, ReaderSlot};
use crate::recipe::{Extent, Place, Recipe, Tensor, TensorInfo};
use crate::task::{Silent, StopHandle};
use crate::tensor::Dtype;

/// Numbers like weights: each step moves some of them a little.
fn weights(count: u32, step: u32) -> Vec<u8> {
    let number = |at: u32| 0x3c00_0000 + at.wrapping_mul(0x9e37_79b1) % 0x7f_ffff + step * (at % 3);
    (0..count).flat_map(|at| number(at).to_le_bytes()).collect()
}

/// A file whose extents are the tensors that are given, each a difference to the one before if `chained`.
fn file_of(repo: &Repo, tensors: &[Vec<u8>], chained: bool) -> (Arc<Recipe>, Vec<u8>) {
    let ingest = repo.store().begin().expect("begin");
    let mut extents: Vec<Extent> = vec![Extent::Inline(b"header".to_vec())];
    let mut table = Vec::new();
    for bytes in tensors {
        let last: Vec<_> = extents.last().filter(|_| chained).and_then(Extent::key).into_iter().collect();
        let key = ingest.put(Dtype::F32, bytes, &last).expect("put").key;
        let info = TensorInfo::plain("w", Dtype::F32, vec![bytes.len() as u64 / 4]);
        table.push(Tensor { info, place: Place::Extent(extents.len()) });
        extents.push(Extent::Object { key, len: bytes.len() as u64 });
    }
    ingest.seal().expect("seal");
    let bytes = [&b"header"[..], &tensors.concat()].concat();
    (Arc::new(Recipe::new(extents, table, *blake3::hash(&bytes).as_bytes()).expect("a recipe")), bytes)
}

#[test]
fn reading_an_open_file_looks_nothing_up_however_deep_its_objects_are() {
    let (_disk, repo) = create();
    let tensors: Vec<Vec<u8>> = (0..6).map(|step| weights(100_000, step)).collect();
    let (recipe, bytes) = file_of(&repo, &tensors, true);
    let key = recipe.keys().last().expect("an object");
    assert_eq!(repo.store().info(key).expect("info").expect("stored").depth, 5);
    let reader = repo.reader(&recipe);
    let mut buf = vec![0; 50_000];
    let start = bytes.len() - tensors[5].len();
    let read = |buf: &mut Vec<u8>| {
        for offset in (start..bytes.len()).step_by(50_000) {
            let got = reader.read_at(offset as u64, buf).expect("read");
            assert!(buf[..got] == bytes[offset..offset + got]);
        }
        repo.store().lookups()
    };
    let once = read(&mut buf);
    assert_eq!(read(&mut buf), once);
}

#[test]
fn a_file_of_many_objects_keeps_few_of_them_open() {
    let (_disk, repo) = create();
    let tensors: Vec<Vec<u8>> = (0..40).map(|seed| weights(100 + seed, 7 * seed)).collect();
    let (recipe, bytes) = file_of(&repo, &tensors, false);
    let reader = repo.reader(&recipe);
    let before = repo.store().lookups();
    for _ in 0..2 {
        for offset in 0..bytes.len() - 100 {
            let mut buf = [0; 100];
            assert_eq!(reader.read_at(offset as u64, &mut buf).expect("read"), 100);
            assert_eq!(buf, bytes[offset..offset + 100]);
        }
    }
    // In order, each of them is looked up once a round: what was read long ago was let go.
    assert_eq!(repo.store().lookups() - before, 80);
}

#[test]
fn the_end_of_a_file_is_where_its_recipe_says() {
    let (_disk, repo) = create();
    let (recipe, bytes) = file_of(&repo, &[weights(10, 0), Vec::new()], false);
    let reader = repo.reader(&recipe);
    let mut buf = [0; 100];
    assert_eq!(reader.read_at(40, &mut buf).expect("read"), bytes.len() - 40);
    assert_eq!(buf[..bytes.len() - 40], bytes[40..]);
    for beyond in [bytes.len() as u64, u64::MAX] {
        assert_eq!(reader.read_at(beyond, &mut buf).expect("read"), 0);
    }
}

/// The beginning of a longer object is not a shorter one: a recipe that says so is damaged, or hostile.
#[test]
fn an_object_of_another_length_than_its_file_says_is_not_read() {
    let (_disk, repo) = create();
    let bytes = weights(1000, 1);
    let ingest = repo.store().begin().expect("begin");
    let key = ingest.put(Dtype::F32, &bytes, &[]).expect("put").key;
    ingest.seal().expect("seal");
    for len in [3996, 4004] {
        let extents = vec![Extent::Object { key, len }];
        let recipe = Arc::new(Recipe::new(extents, Vec::new(), [0; 32]).expect("a recipe"));
        let reader = repo.reader(&recipe);
        for wanted in [len as usize, 100] {
            assert!(reader.read_at(0, &mut vec![0; wanted]).is_err(), "{wanted} of {len}");
        }
    }
}

#[test]
fn an_open_file_of_a_worktree_is_read_as_it_is_now() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let slot = ReaderSlot::default();
    let node = save(&worktree, "a", &weights(1000, 0), 1);
    let mut buf = vec![0; 4000];
    for step in 1..4 {
        worktree.commit(&request("saved", 2), &Task::default()).expect("commit");
        assert_eq!(worktree.staging().read_held(node, &slot, 0, &mut buf).expect("read"), 4000);
        assert!(buf == weights(1000, step - 1));
        let before = repo.store().lookups();
        assert_eq!(worktree.staging().read_held(node, &slot, 10, &mut buf).expect("read"), 3990);
        assert_eq!(worktree.staging().read_held(node, &slot, 10, &mut buf).expect("read"), 3990);
        assert!(repo.store().lookups() - before <= 1);
        save(&worktree, "a", &weights(1000, step), 3);
        assert_eq!(worktree.staging().read_held(node, &slot, 0, &mut buf).expect("read"), 4000);
        assert!(buf == weights(1000, step));
    }
}

/// A repository with plain copies, on a disk.
fn with_copies(disk: &SimulatedDisk) -> Repo {
    let options = Options { plain_bytes: 1 << 30, ..Options::default() };
    Repo::open(Arc::new(disk.clone()), Path::new(ROOT), options).expect("open")
}

/// Reads a file from its beginning as a program does, filling a copy as soon as one is wanted; returns the bytes.
fn read_whole(reader: &FileReader, len: usize, task: &Task) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buf = vec![0; 300_000];
    while bytes.len() < len {
        let got = reader.read_at(bytes.len() as u64, &mut buf).expect("read");
        let fill = reader.note_read(bytes.len() as u64, got as u64);
        bytes.extend_from_slice(&buf[..got]);
        if let Some(fill) = fill {
            let _ = fill.run(task);
        }
    }
    if let Some(fill) = reader.close() {
        let _ = fill.run(task);
    }
    bytes
}

#[test]
fn a_file_that_is_read_as_a_whole_gets_a_copy_with_its_bytes() {
    let (disk, _) = create();
    let repo = with_copies(&disk);
    let tensors: Vec<Vec<u8>> = (0..3).map(|step| weights(700_000, step)).collect();
    let (recipe, bytes) = file_of(&repo, &tensors, true);
    assert!(read_whole(&repo.reader(&recipe), bytes.len(), &Task::default()) == bytes);
    assert_eq!(repo.plain().usage().expect("usage").files, 1);
    let reader = repo.reader(&recipe);
    assert!(reader.copy().is_some());
    let lookups = repo.store().lookups();
    assert!(read_whole(&reader, bytes.len(), &Task::default()) == bytes);
    assert_eq!(repo.store().lookups(), lookups);
}

#[test]
fn a_reader_of_a_few_tensors_makes_no_copy() {
    let (disk, _) = create();
    let repo = with_copies(&disk);
    let tensors: Vec<Vec<u8>> = (0..4).map(|step| weights(700_000, step)).collect();
    let (recipe, bytes) = file_of(&repo, &tensors, false);
    let reader = repo.reader(&recipe);
    let mut buf = vec![0; 2_000_000];
    for offset in [0, 6_000_000, 8_500_000, 6_000_000] {
        let got = reader.read_at(offset, &mut buf).expect("read");
        assert!(buf[..got] == bytes[offset as usize..offset as usize + got]);
        assert!(reader.note_read(offset, got as u64).is_none());
    }
    assert!(reader.close().is_none());
}

#[test]
fn whatever_fails_while_a_copy_is_made_every_byte_is_read_and_nothing_is_left() {
    let (disk, _) = create();
    let repo = with_copies(&disk);
    let (recipe, bytes) = file_of(&repo, &[weights(1_500_000, 0)], false);
    let mut failures = 0;
    for nth in 0..60 {
        repo.plain().give_way();
        disk.fail_nth(nth, libc::EIO);
        let reader = repo.reader(&recipe);
        let mut seen = Vec::new();
        let mut buf = vec![0; 300_000];
        while seen.len() < bytes.len() {
            // The packs are on the same disk: what they fail to give is an error, and not wrong.
            let Ok(got) = reader.read_at(seen.len() as u64, &mut buf) else {
                failures += 1;
                continue;
            };
            seen.extend_from_slice(&buf[..got]);
            if let Some(fill) = reader.note_read((seen.len() - got) as u64, got as u64) {
                failures += usize::from(fill.run(&Task::default()).is_err());
            }
        }
        drop(reader.close().map(|fill| fill.run(&Task::default())));
        disk.set_fault(None);
        assert!(seen == bytes);
        let again = repo.reader(&recipe);
        assert!(read_whole(&again, bytes.len(), &Task::default()) == bytes);
        drop((reader, again));
        repo.plain().give_way();
        assert_eq!(disk.list(&Path::new(ROOT).join("plain")).expect("list"), Vec::<String>::new());
    }
    assert!(failures > 0);
}

#[test]
fn a_fill_that_is_stopped_leaves_no_copy() {
    let (disk, _) = create();
    let repo = with_copies(&disk);
    let (recipe, bytes) = file_of(&repo, &[weights(1_500_000, 0)], false);
    let stop = StopHandle::default();
    stop.stop();
    let task = Task::new(Arc::new(stop), Arc::new(Silent));
    assert!(read_whole(&repo.reader(&recipe), bytes.len(), &task) == bytes);
    assert_eq!(disk.list(&Path::new(ROOT).join("plain")).expect("list"), Vec::<String>::new());
}

#[test]
fn what_a_branch_names_keeps_its_copy_longest() {
    let (disk, _) = create();
    let options = Options { plain_bytes: 5 << 20, ..Options::default() };
    let repo = Repo::open(Arc::new(disk.clone()), Path::new(ROOT), options).expect("open");
    prefer_tips(&repo);
    let worktree = tenant(&repo);
    for step in 0..3 {
        save(&worktree, "a", &unlike((2 << 20) + step), 1 + step as i64);
        worktree.commit(&request("step", 2 + step as i64), &Task::default()).expect("commit");
    }
    let at_revision = |revision: &str| {
        let commit = repo.resolve(revision, at(0)).expect("resolve");
        let tree = repo.commit(commit).expect("commit").tree;
        match repo.find_in_tree(tree, &path("a")).expect("find").expect("there").node {
            Node::File { recipe, len } => (repo.recipe(recipe).expect("recipe"), len as usize),
            other => panic!("{other:?}"),
        }
    };
    let has_copy = |revision: &str| repo.reader(&at_revision(revision).0).copy().is_some();
    repo.plain().give_way();
    for revision in ["main", "main~1", "main~2"] {
        let (recipe, len) = at_revision(revision);
        read_whole(&repo.reader(&recipe), len, &Task::default());
    }
    // There is room for two; the one that the branch names was used longest ago.
    assert_eq!(["main", "main~1", "main~2"].map(has_copy), [true, false, true]);
}

#[test]
fn a_commit_that_finds_the_disk_full_takes_the_room_of_the_copies() {
    let (disk, _) = create();
    let repo = with_copies(&disk);
    let worktree = tenant(&repo);
    let bytes = weights(700_000, 1);
    let (recipe, whole) = file_of(&repo, &[bytes], false);
    read_whole(&repo.reader(&recipe), whole.len(), &Task::default());
    assert_eq!(repo.plain().usage().expect("usage").files, 1);
    save(&worktree, "new", &unlike(600_000), 1);
    let reserve = crate::store::Options::default().reserve_bytes;
    disk.set_capacity(Some(disk.used() + reserve - 1_000_000));
    worktree.commit(&request("new", 2), &Task::default()).expect("there is room without the copies");
    assert_eq!(repo.plain().usage().expect("usage").files, 0);
}

/// Bytes that do not compress.
fn unlike(len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}
