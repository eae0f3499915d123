//! Stored content that lies in other content, wherever: it takes nothing, and comes back.

use crate::disk::DiskFile;
use crate::similarity::{ANCHOR_BLOCK, ANCHOR_WINDOW, anchors_of};
use crate::store::{ContentHasher, Encoding, Repack};

use super::*;

/// Bytes that are known nowhere.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = weights(len / 2 + 1, seed ^ 0xabcd, 0);
    // Of each number the upper two bytes are nearly always the same.
    bytes.chunks_exact_mut(4).for_each(|four| four[2] = four[0].rotate_left(3) ^ four[1]);
    bytes.truncate(len);
    bytes
}

fn put_as(store: &Store, dtype: Dtype, bytes: &[u8]) -> Put {
    let ingest = store.begin().unwrap();
    let put = ingest.put(dtype, &bytes, &[]).unwrap();
    ingest.seal().unwrap();
    put
}

/// Some tensors, which are stored.
fn tensors(store: &Store, lens: &[usize]) -> Vec<Vec<u8>> {
    let tensors: Vec<_> = (0..).zip(lens).map(|(seed, len)| weights(*len, 50 + seed, 0)).collect();
    tensors.iter().for_each(|bytes| _ = put_one(store, bytes, &[]));
    tensors
}

/// A few kilobytes for the record of it and the ends of frames.
fn assert_known(put: &Put, unknown: usize) {
    assert!(put.stored_len <= unknown as u64, "{} of {}", put.stored_len, put.len);
}

fn assert_reads(disk: &SimulatedDisk, key: ObjectKey, bytes: &[u8]) {
    let store = open(disk);
    assert!(store.read(key).unwrap() == bytes);
    let fresh = open(disk);
    let reader = fresh.reader(key).unwrap();
    let len = bytes.len();
    for (from, to) in [(0, 1), (len / 3, len / 2), (len / 2 - 1, len / 2 + 300_000), (len - 7, len)] {
        let to = to.min(len);
        let mut part = vec![0; to - from];
        reader.read_at(from as u64, &mut part).unwrap();
        assert!(part == bytes[from..to], "{from}..{to}");
    }
    assert_eq!(store.verify(&|_, _| true, &Task::default()).unwrap().problems, []);
}

#[test]
fn fused_and_stacked_tensors_take_nothing() {
    let disk = new_disk();
    let store = open(&disk);
    let tensors = tensors(&store, &[70_000, 30_000, 200_000, 5_000]);
    let fused = tensors.concat();
    let put = put_one(&store, &fused, &[]);
    let info = store.info(put.key).unwrap().unwrap();
    assert_eq!((info.encoding, info.stored_len, info.depth), (Encoding::Computed, 0, 1));
    assert_reads(&disk, put.key, &fused);
    // And the other way round: parts of it are found in what nobody has but as a whole.
    let whole = weights(400_000, 9, 0);
    put_one(&store, &whole, &[]);
    for part in [&whole[..700_001], &whole[333_333..1_200_000], &whole[9..]] {
        let put = put_as(&store, Dtype::Opaque, part);
        assert_eq!(put.stored_len, 0);
        assert_reads(&disk, put.key, part);
    }
}

#[test]
fn flat_buffers_cut_anywhere_take_nothing() {
    let disk = new_disk();
    let store = open(&disk);
    let flat = tensors(&store, &[90_000, 20_000, 150_000, 60_000, 40_000]).concat();
    for part in flat.chunks(flat.len() / 4 + 3) {
        let put = put_one(&store, part, &[]);
        assert_known(&put, 100);
        assert_reads(&disk, put.key, part);
    }
}

#[test]
fn tensors_in_a_file_of_an_unknown_format_take_nothing_and_what_is_between_them_what_it_takes() {
    let disk = new_disk();
    let store = open(&disk);
    let (mut file, mut unknown) = (noise(1001, 1), 1001);
    for (seed, tensor) in (2..).zip(tensors(&store, &[50_000, 50_000, 120_000, 30_001, 2_000])) {
        let between = noise(seed as usize * 37, seed);
        unknown += between.len();
        file.extend(tensor);
        file.extend(between);
    }
    let put = put_as(&store, Dtype::Opaque, &file);
    assert_known(&put, unknown + unknown / 2);
    assert_reads(&disk, put.key, &file);
}

#[test]
fn what_one_transaction_stores_is_known_in_it() {
    let disk = new_disk();
    let store = open(&disk);
    let (one, two) = (weights(100_000, 1, 0), weights(60_000, 2, 0));
    let ingest = store.begin().unwrap();
    for bytes in [&one, &two] {
        ingest.put(Dtype::F32, bytes, &[]).unwrap();
    }
    let both = [noise(99, 3), two, one].concat();
    let put = ingest.put(Dtype::Opaque, &both, &[]).unwrap();
    ingest.seal().unwrap();
    assert_known(&put, 400);
    assert_reads(&disk, put.key, &both);
}

#[test]
fn pieces_of_differences_and_of_what_is_made_of_pieces_come_back() {
    let disk = new_disk();
    let store = open(&disk);
    let mut steps = vec![(put_one(&store, &weights(90_000, 1, 0), &[]).key, weights(90_000, 1, 0))];
    for step in 1..12 {
        let bytes = weights(90_000, 1, step);
        let base = steps.last().unwrap().0;
        steps.push((put_one(&store, &bytes, &[base]).key, bytes));
    }
    for (number, pair) in steps.windows(2).enumerate() {
        let both = [&pair[0].1[100..], &pair[1].1[..200_000]].concat();
        let put = put_one(&store, &both, &[]);
        assert_known(&put, 100);
        // A little of it and something new.
        let more = [&both[50_000..400_000], &noise(50_000, number as u64)].concat();
        let more_put = put_as(&store, Dtype::Opaque, &more);
        assert_known(&more_put, 55_000);
        assert_reads(&disk, put.key, &both);
        assert_reads(&disk, more_put.key, &more);
    }
}

#[test]
fn a_store_that_is_written_anew_keeps_pieces_and_what_they_are_found_by() {
    let disk = new_disk();
    let store = open(&disk);
    let known = tensors(&store, &[70_000, 80_000]);
    let both = known.concat();
    let key = put_one(&store, &both, &[]).key;
    let request = |served: &[ObjectKey], served_depth| Repack {
        served: served.iter().copied().collect(),
        served_depth,
        level: None,
        treatments: std::collections::HashMap::new(),
    };
    assert!(store.repack(&request(&[], 9), &Task::default()).unwrap().removed > 0);
    assert_eq!(store.info(key).unwrap().unwrap().stored_len, 0);
    assert_reads(&disk, key, &both);
    let anew = Repack { level: Some(crate::codec::Level::Fast), ..request(&[], 9) };
    store.repack(&anew, &Task::default()).unwrap();
    assert_eq!(store.info(key).unwrap().unwrap().stored_len, 0);
    assert_reads(&disk, key, &both);
    let third = [&known[1][4444..], &known[0]].concat();
    let put = put_one(&open(&disk), &third, &[]);
    assert_known(&put, 100);
    // What is read often is not to be put together each time.
    store.repack(&request(&[key], 0), &Task::default()).unwrap();
    assert_eq!(store.info(key).unwrap().unwrap().depth, 0);
    assert_reads(&disk, key, &both);
    assert_reads(&disk, put.key, &third);
}

/// Objects in the store: of what is made of pieces the record too.
fn objects(store: &Store) -> usize {
    store.stats().unwrap().objects
}

#[test]
fn a_piece_of_what_too_much_is_computed_for_costs_itself_and_no_other() {
    let disk = new_disk();
    let store = open(&disk);
    let parts: Vec<Vec<u8>> = (0..3).map(|seed| noise(100_000, 10 + seed)).collect();
    // Each is of a piece of the one before and something new, which is found nowhere else.
    put_as(&store, Dtype::Opaque, &parts[0]);
    put_as(&store, Dtype::Opaque, &[&parts[0][..], &parts[1]].concat());
    put_as(&store, Dtype::Opaque, &[&parts[1][..], &parts[2]].concat());
    let whole = noise(900_000, 20);
    put_as(&store, Dtype::Opaque, &whole);
    let before = objects(&store);
    let good = [&whole[5..], &parts[1][..50_000]].concat();
    let put = put_as(&store, Dtype::Opaque, &good);
    assert_known(&put, 100);
    assert_reads(&disk, put.key, &good);
    assert_eq!(objects(&store), before + 2);
    let other = [&whole[6..], &parts[2][..8000]].concat();
    let put = put_as(&store, Dtype::Opaque, &other);
    assert_known(&put, 8500);
    assert_reads(&disk, put.key, &other);
    assert_eq!(objects(&store), before + 4);
    // Of it alone there is nothing to make, and no record is left behind.
    let alone = parts[2][20_000..70_000].to_vec();
    let put = put_as(&store, Dtype::Opaque, &alone);
    assert_reads(&disk, put.key, &alone);
    assert_eq!(objects(&store), before + 5);
}

#[test]
fn where_many_deep_pieces_share_a_frame_some_of_them_cost_themselves_and_the_others_nothing() {
    let disk = new_disk();
    let store = open(&disk);
    let mut small: Vec<Vec<u8>> = (0..64).map(|seed| noise(4096, 100 + seed)).collect();
    let mut large = noise(400_000, 99);
    let mut keys: Vec<ObjectKey> = Vec::new();
    for step in 0..9 {
        let ingest = store.begin().unwrap();
        let all = small.iter_mut().chain([&mut large]).enumerate();
        let put = |(number, bytes): (usize, &mut Vec<u8>)| {
            if step > 0 {
                bytes[5 * step] ^= 0xff;
            }
            let base: Vec<ObjectKey> = keys.get(number).copied().into_iter().collect();
            ingest.put(Dtype::Opaque, &*bytes, &base).unwrap().key
        };
        keys = all.map(put).collect();
        ingest.seal().unwrap();
    }
    let frames: usize =
        keys.iter().map(|key| usize::from(store.info(*key).unwrap().unwrap().depth) + 1).sum();
    assert!(frames > 550, "{frames}");
    let before = objects(&store);
    let flat = [&[7; 12][..], &small.concat(), &large].concat();
    let put = put_as(&store, Dtype::Opaque, &flat);
    assert_known(&put, 60_000);
    assert_reads(&disk, put.key, &flat);
    assert_eq!(objects(&store), before + 2);
}

#[test]
fn what_many_pieces_of_a_frame_need_is_not_in_memory_together() {
    use crate::store::Kind;
    use crate::store::read::{Chain, FrameReader, Objects};
    let disk = new_disk();
    let store = open(&disk);
    let known: Vec<Vec<u8>> = (0..60).map(|seed| noise(1 << 18, 200 + seed)).collect();
    let ingest = store.begin().unwrap();
    known.iter().for_each(|bytes| _ = ingest.put(Dtype::Opaque, bytes, &[]).unwrap());
    ingest.seal().unwrap();
    let flat: Vec<u8> = known.iter().flat_map(|bytes| &bytes[16_384..20_600]).copied().collect();
    let flat = [noise(5, 1), flat].concat();
    let put = put_as(&store, Dtype::Opaque, &flat);
    assert_known(&put, 70_000);
    assert_reads(&disk, put.key, &flat);
    let fresh = open(&disk);
    let ingest = fresh.begin().unwrap();
    let object = Objects::find(&ingest.writer, Kind::Content, &put.key, None).unwrap().unwrap();
    let chain = Chain::resolve(&ingest.writer, object).unwrap();
    assert!(chain.width() > 40, "{}", chain.width());
    let mut reader = FrameReader::new(&chain, &ingest.writer.decoder.memory);
    let len = flat.len().min(1 << 18);
    assert!(reader.as_base(0).unwrap() == &flat[..len]);
    assert!(reader.stored_capacity() <= 9 << 20, "{}", reader.stored_capacity());
}

#[test]
fn nothing_is_a_difference_to_what_is_as_deep_as_can_be() {
    let disk = new_disk();
    let options = Options { max_depth: u8::MAX, ..options() };
    let store = Store::open(Arc::new(disk.clone()), Path::new(ROOT), options).unwrap();
    let mut bytes = noise(2 * ANCHOR_BLOCK, 1);
    let ingest = store.begin().unwrap();
    let mut key = ingest.put(Dtype::Opaque, &bytes, &[]).unwrap().key;
    for step in 1..=255 {
        match step {
            // The last has an anchor of its own.
            255 => bytes[ANCHOR_BLOCK..ANCHOR_BLOCK + 4200].copy_from_slice(&noise(4200, 2)),
            _ => bytes[step] ^= 0xff,
        }
        key = ingest.put(Dtype::Opaque, &bytes, &[key]).unwrap().key;
    }
    ingest.seal().unwrap();
    assert_eq!(store.info(key).unwrap().unwrap().depth, 255);
    let piece = [&noise(100, 3)[..], &bytes[ANCHOR_BLOCK..]].concat();
    let put = put_as(&store, Dtype::Opaque, &piece);
    assert_eq!(store.info(put.key).unwrap().unwrap().depth, 0);
    assert!(store.read(put.key).unwrap() == piece);
    bytes[9] ^= 0xff;
    let put = put_one(&store, &bytes, &[key]);
    assert!(store.read(put.key).unwrap() == bytes);
}

#[test]
fn what_was_left_as_it_was_saved_is_coded_as_pieces() {
    let disk = new_disk();
    let both = tensors(&open(&disk), &[70_000, 80_000]).concat();
    let path = Path::new("/staging");
    disk.create_dir_all(path).unwrap();
    disk.create_new(&path.join("1")).unwrap().write_all_at(&both, 0).unwrap();
    let store = open(&disk);
    let ingest = store.begin().unwrap();
    let file: Arc<dyn DiskFile> = Arc::from(disk.open(&path.join("1"), true).unwrap());
    let attached = ingest.attach(path.join("1"), file, both.len() as u64).unwrap();
    let mut hasher = ContentHasher::new();
    hasher.update(&both);
    let hashed = hasher.finish();
    let key = ingest.put_in_place(Dtype::Opaque, &both, &[], &hashed, (&attached, 0)).unwrap().key;
    ingest.seal().unwrap();
    assert_reads(&disk, key, &both);
    store.code_attached(&Task::default()).unwrap();
    assert_eq!(store.info(key).unwrap().unwrap().stored_len, 0);
    assert_reads(&disk, key, &both);
}

#[test]
fn constants_and_windows_that_lead_to_nothing_cost_little() {
    let disk = new_disk();
    let store = open(&disk);
    let known = weights(300_000, 1, 0);
    put_one(&store, &known, &[]);
    // Every anchor of it, again and again, each in a place where nothing else is known.
    let windows: Vec<&[u8]> = (0..)
        .zip(anchors_of(&known))
        .filter_map(|(block, anchor)| {
            known[block * ANCHOR_BLOCK..][usize::from(anchor?.at)..].get(..ANCHOR_WINDOW)
        })
        .collect();
    assert!(windows.len() > 50);
    let bait: Vec<u8> =
        (0..20_000).flat_map(|at| [windows[at % windows.len()], &noise(30, at as u64)].concat()).collect();
    let period: Vec<u8> = windows.concat().repeat(300);
    let zeros = vec![0; 3_000_000];
    for bytes in [&bait, &period, &zeros] {
        let before = store.lookups();
        let put = put_as(&store, Dtype::Opaque, bytes);
        assert!(store.lookups() - before < 200, "{}", store.lookups() - before);
        assert_reads(&disk, put.key, bytes);
    }
}

#[test]
fn without_room_for_anchors_nothing_is_found_and_all_comes_back() {
    for (anchor_bytes, is_found) in [(0, false), (40, false), (2000, true)] {
        let disk = new_disk();
        let options = Options { anchor_bytes, ..options() };
        let store = Store::open(Arc::new(disk.clone()), Path::new(ROOT), options).unwrap();
        let both = tensors(&store, &[200_000, 300_000]).concat();
        let put = put_one(&store, &both, &[]);
        assert_eq!(put.stored_len < put.len / 20, is_found, "{anchor_bytes}: {}", put.stored_len);
        assert_reads(&disk, put.key, &both);
    }
}

#[test]
fn nothing_is_made_of_pieces_where_that_may_not_be_written() {
    let disk = new_disk();
    let both = tensors(&open(&disk), &[50_000, 60_000]).concat();
    let options = Options { consent: crate::store::Consent::of(|| false), ..options() };
    let store = Store::open(Arc::new(disk.clone()), Path::new(ROOT), options).unwrap();
    let put = put_one(&store, &both, &[]);
    assert_ne!(store.info(put.key).unwrap().unwrap().encoding, Encoding::Computed);
    assert_reads(&disk, put.key, &both);
}

#[test]
fn a_repack_meanwhile_leaves_what_pieces_stand_on() {
    let disk = new_disk();
    let both = tensors(&open(&disk), &[50_000, 60_000]).concat();
    let store = open(&disk);
    let ingest = store.begin().unwrap();
    let put = ingest.put(Dtype::F32, &both, &[]).unwrap();
    assert_eq!(put.stored_len, 0);
    let request = Repack {
        served: std::collections::HashSet::new(),
        served_depth: 2,
        level: Some(crate::codec::Level::Fast),
        treatments: std::collections::HashMap::new(),
    };
    std::thread::scope(|scope| {
        let repack = scope.spawn(|| open(&disk).repack(&request, &Task::default()).unwrap());
        ingest.seal().unwrap();
        repack.join().unwrap();
    });
    assert_reads(&disk, put.key, &both);
}

#[test]
fn a_stop_at_any_operation_leaves_all_or_nothing_of_what_is_made_of_pieces() {
    let run = |disk: &SimulatedDisk, both: &[u8]| {
        let ingest = try_open(disk)?.begin()?;
        let key = ingest.put(Dtype::F32, &both, &[])?.key;
        ingest.seal().map(|_| key)
    };
    let settled = new_disk();
    let both = tensors(&open(&settled), &[20_000, 30_000]).concat();
    let rehearsal = settled.crash_image(0);
    let before = rehearsal.operations();
    let key = run(&rehearsal, &both).unwrap();
    for nth in 0..=rehearsal.operations() - before {
        let disk = settled.crash_image(0);
        disk.stop_at_nth(nth);
        let acknowledged = run(&disk, &both).is_ok();
        for seed in 0..3 {
            let image = disk.crash_image(seed);
            match open(&image).read(key) {
                Ok(found) => assert!(found == both),
                Err(error) => assert!(!acknowledged, "{error}"),
            }
            assert_eq!(run(&image, &both).unwrap(), key);
            assert_reads(&image, key, &both);
        }
    }
}

#[test]
fn damage_to_a_piece_is_an_error_and_no_wrong_bytes() {
    let disk = new_disk();
    let store = open(&disk);
    let both = tensors(&store, &[50_000, 60_000]).concat();
    let key = put_one(&store, &both, &[]).key;
    let is_large = |pack: &std::path::PathBuf| disk.stat(pack).unwrap().unwrap().len > 100_000;
    let packs = files(&disk, ".cpk");
    for pack in packs.iter().filter(|pack| is_large(pack)) {
        disk.open(pack, true).unwrap().write_all_at(&[0xaa; 40], 400).unwrap();
    }
    assert!(open(&disk).read(key).unwrap_err().is_corruption());
}
