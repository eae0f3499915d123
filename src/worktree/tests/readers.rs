//! Files of the history that are open.

use super::*;
use crate::history::ReaderSlot;
use crate::recipe::{Extent, Recipe, TensorInfo};
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
    for bytes in tensors {
        let last: Vec<_> = extents.last().filter(|_| chained).and_then(Extent::key).into_iter().collect();
        let key = ingest.put(Dtype::F32, bytes, &last).expect("put").key;
        let tensor = TensorInfo { name: "w".into(), dtype: Dtype::F32, shape: vec![bytes.len() as u64 / 4] };
        extents.push(Extent::Tensor { key, len: bytes.len() as u64, tensor });
    }
    ingest.seal().expect("seal");
    let bytes = [&b"header"[..], &tensors.concat()].concat();
    (Arc::new(Recipe::new(extents, *blake3::hash(&bytes).as_bytes()).expect("a recipe")), bytes)
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

#[test]
fn an_open_file_of_a_worktree_is_read_as_it_is_now() {
    let (_disk, repo) = create();
    let worktree = tenant(&repo);
    let slot = ReaderSlot::default();
    let node = save(&worktree, "a", &weights(1000, 0), 1);
    let mut buf = vec![0; 4000];
    for step in 1..4 {
        worktree.commit(&request("saved", 2), &Task::default()).expect("commit");
        assert_eq!(worktree.read_held(node, &slot, 0, &mut buf).expect("read"), 4000);
        assert!(buf == weights(1000, step - 1));
        let before = repo.store().lookups();
        assert_eq!(worktree.read_held(node, &slot, 10, &mut buf).expect("read"), 3990);
        assert_eq!(worktree.read_held(node, &slot, 10, &mut buf).expect("read"), 3990);
        assert!(repo.store().lookups() - before <= 1);
        save(&worktree, "a", &weights(1000, step), 3);
        assert_eq!(worktree.read_held(node, &slot, 0, &mut buf).expect("read"), 4000);
        assert!(buf == weights(1000, step));
    }
}
