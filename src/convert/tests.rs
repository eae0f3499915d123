//! Whole conversions: what comes out, what is refused, and what is left when something fails.

use super::*;
use crate::disk::{Disk, SimulatedDisk};
use crate::format::testing::torch::{Checkpoint, View};
use crate::format::testing::{Gguf, npy_file, safetensors_file};
use crate::format::{self, Found};
use crate::task::Task;
use crate::tensor::{Block, Dtype, Element, narrow, widen};
use crate::threads::Threads;
use std::path::Path;

const FOLDER: &str = "/out";
/// What a disk says that is broken.
const EIO: i32 = 5;

fn origin(file: &[u8]) -> Result<Origin> {
    let scratch = tempfile::NamedTempFile::new().expect("a scratch file");
    std::fs::write(scratch.path(), file).expect("written");
    Origin::of_file("source".into(), scratch.path())
}

fn wish(container: Container) -> Wish {
    let (only, without) = (Vec::new(), Vec::new());
    Wish { container, dtype: None, only, without, prefix: String::new(), shard: None, metadata: Vec::new() }
}

fn disk() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new(FOLDER)).expect("a folder");
    disk.sync_dir(Path::new("/")).expect("durable");
    disk
}

fn write_on(disk: &dyn Disk, wish: &Wish, origins: &[Origin], force: bool) -> Result<Vec<Written>> {
    let plan = plan(wish, origins)?;
    let (threads, task) = (Threads::new(2), Task::default());
    let name = &format!("m.{}", wish.container.extension());
    let target = Target { disk, folder: Path::new(FOLDER), name, force, threads: &threads, task: &task };
    write(wish, &plan, origins, &target)
}

/// The files that a conversion makes.
fn files(wish: &Wish, sources: &[&[u8]]) -> Result<Vec<(String, Vec<u8>)>> {
    let origins = sources.iter().map(|file| origin(file)).collect::<Result<Vec<_>>>()?;
    let disk = disk();
    let written = write_on(&disk, wish, &origins, false)?;
    let mut names: Vec<&String> = written.iter().map(|file| &file.name).collect();
    names.sort();
    assert_eq!(disk.list(Path::new(FOLDER)).expect("listed").iter().collect::<Vec<_>>(), names);
    let read =
        |file: &Written| (file.name.clone(), disk.read(&Path::new(FOLDER).join(&file.name)).expect("read"));
    Ok(written.iter().map(read).collect())
}

/// The only file that a conversion makes.
fn file(wish: &Wish, source: &[u8]) -> Vec<u8> {
    let [(_, file)] = <[_; 1]>::try_from(files(wish, &[source]).expect("converted")).expect("one file");
    file
}

/// The tensors of a file by name: type, shape and bytes.
fn tensors(file: &[u8]) -> Vec<(String, String, Vec<u64>, Vec<u8>)> {
    let proposal = format::propose(&file.to_vec()).expect("memory");
    let of = |found: Found| {
        let info = crate::recipe::TensorInfo {
            name: found.name,
            dtype: found.dtype,
            shape: found.shape,
            declared: found.declared,
        };
        let bytes = file[found.start as usize..(found.start + found.len) as usize].to_vec();
        (info.name.clone(), info.shown_dtype(), info.shown_shape().to_vec(), bytes)
    };
    let mut all: Vec<_> = proposal.tensors.into_iter().map(of).collect();
    all.sort();
    all
}

fn bytes_of(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn numbers(count: usize) -> Vec<f32> {
    let mut random = crate::random::Random::new(count as u64);
    (0..count).map(|_| random.symmetric() * 0.1).collect()
}

#[test]
fn views_and_tied_tensors_of_a_checkpoint_come_out_as_what_they_mean() {
    let all: Vec<f32> = (0..12).map(|number| number as f32).collect();
    let view = |offset, sizes: &[u64], strides: &[u64]| View {
        offset,
        sizes: sizes.to_vec(),
        strides: strides.to_vec(),
    };
    let checkpoint = Checkpoint::default()
        .storage("Float", &bytes_of(&all))
        .tensor("whole", 0, &[3, 4])
        .tensor("tied", 0, &[3, 4])
        .view("transposed", 0, view(0, &[4, 3], &[1, 4]))
        .view("every_other", 0, view(1, &[3, 2], &[4, 2]))
        .view("row", 0, view(4, &[4], &[1]))
        .view("repeated", 0, view(2, &[2, 3], &[1, 0]));
    for container in [Container::Safetensors, Container::Npz, Container::Gguf] {
        for file in [checkpoint.archive(), checkpoint.legacy()] {
            let made = file_of(container, &file);
            let found =
                |name: &str| made.iter().find(|(known, ..)| known == name).cloned().expect("a tensor");
            let is = |name: &str, shape: &[u64], numbers: &[f32]| {
                let (_, dtype, found_shape, bytes) = found(name);
                assert_eq!((dtype.as_str(), &found_shape[..]), ("F32", shape), "{name}");
                assert_eq!(bytes, bytes_of(numbers), "{name} as {}", container.name());
            };
            is("whole", &[3, 4], &all);
            is("tied", &[3, 4], &all);
            is("transposed", &[4, 3], &[0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]);
            is("every_other", &[3, 2], &[1., 3., 5., 7., 9., 11.]);
            is("row", &[4], &[4., 5., 6., 7.]);
            is("repeated", &[2, 3], &[2., 2., 2., 3., 3., 3.]);
        }
    }
    let made = file(&wish(Container::Safetensors), &checkpoint.archive());
    assert!(String::from_utf8_lossy(&made).contains(r#""__metadata__":{"format":"pt"}"#));
}

fn file_of(container: Container, source: &[u8]) -> Vec<(String, String, Vec<u64>, Vec<u8>)> {
    tensors(&file(&wish(container), source))
}

#[test]
fn orders_of_bytes_and_axes_are_put_right() {
    let checkpoint = Checkpoint::default().storage("Half", &[1, 2, 3, 4]).tensor("h", 0, &[2]).big_endian();
    let made = file_of(Container::Safetensors, &checkpoint.archive());
    assert_eq!(made, [("h".into(), "F16".into(), vec![2], vec![2, 1, 4, 3])]);
    let payload: Vec<u8> = (0..24).collect();
    let dictionary = "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3), }";
    let made = file_of(Container::Safetensors, &npy_file(1, dictionary, &payload));
    let swapped = |at: u8| [at + 3, at + 2, at + 1, at];
    let expected = [0, 8, 16, 4, 12, 20].map(swapped).concat();
    assert_eq!(made, [("array".into(), "F32".into(), vec![2, 3], expected)]);
    let dictionary = "{'descr': '>c8', 'fortran_order': False, 'shape': (1,), }";
    let made = file_of(Container::Npz, &npy_file(1, dictionary, &[1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(made, [("array".into(), "C64".into(), vec![1], vec![4, 3, 2, 1, 8, 7, 6, 5])]);
}

#[test]
fn floats_are_rounded_once_and_other_numbers_kept() {
    let floats = numbers(1000);
    let header = r#"{"f":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]},
        "i":{"dtype":"I64","shape":[1],"data_offsets":[4000,4008]}}"#;
    let source = safetensors_file(header, &[bytes_of(&floats), vec![7; 8]].concat());
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F64, Dtype::F32] {
        let wish = Wish { dtype: Some(Element::Number(dtype)), ..wish(Container::Safetensors) };
        let mut wide = vec![0.0; 1000];
        assert!(widen(Dtype::F32, &bytes_of(&floats), &mut wide));
        let mut expected = vec![0; 1000 * dtype.bits() as usize / 8];
        assert!(narrow(dtype, &wide, &mut expected));
        let made = tensors(&file(&wish, &source));
        assert_eq!(made[0], ("f".into(), dtype.name().into(), vec![1000], expected));
        assert_eq!(made[1], ("i".into(), "I64".into(), vec![1], vec![7; 8]));
    }
    // What stays as it is stays so to the last bit.
    let odd = bytes_of(&[f32::from_bits(0x7fa0_0001), f32::NEG_INFINITY]);
    let source = safetensors_file(r#"{"f":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &odd);
    let same = Wish { dtype: Some(Element::Number(Dtype::F32)), ..wish(Container::Npz) };
    assert_eq!(tensors(&file(&same, &source))[0].3, odd);
}

#[test]
fn numbers_that_are_too_large_are_counted() {
    let source = safetensors_file(
        r#"{"f":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
        &bytes_of(&[65504.0, 65519.9, 70000.0, f32::INFINITY]),
    );
    let wish = Wish { dtype: Some(Element::Number(Dtype::F16)), ..wish(Container::Safetensors) };
    assert_eq!(too_large(&wish, &[origin(&source).expect("a source")]), 1);
}

/// The numbers of the first tensor that were too large for its new type.
fn too_large(wish: &Wish, origins: &[Origin]) -> u64 {
    let plan = plan(wish, origins).expect("a plan");
    let (threads, task, disk) = (Threads::new(1), Task::default(), disk());
    let folder = Path::new(FOLDER);
    let target = Target { disk: &disk, folder, name: "m", force: false, threads: &threads, task: &task };
    write(wish, &plan, origins, &target).expect("written");
    plan.tensors()[0].too_large()
}

#[test]
fn blocks_are_those_of_the_reference_and_come_back_as_numbers() {
    let floats = numbers(4 * 64);
    let header = r#"{"w":{"dtype":"F32","shape":[4,64],"data_offsets":[0,1024]},
        "odd":{"dtype":"F32","shape":[2,3],"data_offsets":[1024,1048]},
        "bias":{"dtype":"F32","shape":[64],"data_offsets":[1048,1304]}}"#;
    let source = safetensors_file(header, &[bytes_of(&floats), vec![0; 24 + 256]].concat());
    for (block, code) in [(Block(8), 7u8), (Block(2), 2)] {
        let made = file(&Wish { dtype: Some(Element::Block(block)), ..wish(Container::Gguf) }, &source);
        let said = format::gguf::pairs(&made).expect("bytes").expect("pairs");
        assert_eq!((&said[0].key[..], &said[0].value[..]), (&b"general.file_type"[..], &[code, 0, 0, 0][..]));
        let mut blocks = vec![0; floats.len() / 32 * block.quantised_len().expect("a rule")];
        assert!(block.quantise(&floats, &mut blocks));
        let found = tensors(&made);
        assert_eq!(found[0], ("bias".into(), "F32".into(), vec![64], vec![0; 256]));
        assert_eq!(found[1], ("odd".into(), "F16".into(), vec![2, 3], vec![0; 12]));
        let name = block.name().expect("a name");
        assert_eq!(found[2], ("w".into(), name.into(), vec![4, 64], blocks.clone()));
        // And back.
        let mut back = vec![0.0; floats.len()];
        assert!(block.dequantise(&blocks, &mut back));
        let to = Wish { dtype: Some(Element::Number(Dtype::F32)), ..wish(Container::Safetensors) };
        assert_eq!(tensors(&file(&to, &made))[2].3, bytes_of(&back));
        // As they are they go from one GGUF to another.
        assert_eq!(file_of(Container::Gguf, &made)[2].3, blocks);
    }
}

#[test]
fn what_a_gguf_file_says_of_itself_is_kept() {
    let mut source = Gguf { alignment: Some(64), ..Gguf::default() };
    source.text("general.architecture", "llama");
    source.texts("tokenizer.ggml.tokens", &["a", "b"]);
    source.tensor("w", 0, &[2, 2], &[1; 16]);
    let metadata = vec![("general.architecture".into(), "qwen2".into()), ("new".into(), "1".into())];
    let made = file(&Wish { metadata, ..wish(Container::Gguf) }, &source.file());
    let said = format::gguf::pairs(&made).expect("bytes").expect("pairs");
    let keys: Vec<_> = said.iter().map(|pair| String::from_utf8_lossy(&pair.key).into_owned()).collect();
    assert_eq!(keys, ["general.architecture", "tokenizer.ggml.tokens", "new"]);
    assert!(said[0].value.ends_with(b"qwen2") && said[1].value.ends_with(b"b"));
}

fn refused(wish: &Wish, sources: &[&[u8]]) -> Vec<(String, Why)> {
    match files(wish, sources) {
        Err(Error::Refused(refused)) => {
            assert!(!refused.to_string().is_empty());
            refused.refusals.into_iter().map(|refusal| (refusal.tensor, refusal.why)).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_a_container_cannot_have_is_refused_by_name() {
    let header = |name: &str, dtype: Dtype, shape: &[u64]| {
        let len = dtype.byte_len(shape).expect("a length");
        let entry = one_entry(name, dtype, shape, len);
        safetensors_file(&entry, &vec![0; len as usize])
    };
    let one = |container, name: &str, dtype, shape: &[u64]| {
        refused(&wish(container), &[&header(name, dtype, shape)])
    };
    use Container::{Gguf, Npz, Safetensors};
    assert_eq!(one(Npz, "w", Dtype::F8E4M3, &[2]), [("w".into(), Why::Number)]);
    assert_eq!(one(Npz, "w", Dtype::Bf16, &[2]), [("w".into(), Why::Number)]);
    assert_eq!(one(Gguf, "w", Dtype::Bool, &[2]), [("w".into(), Why::Type)]);
    assert_eq!(one(Gguf, "w", Dtype::F32, &[1, 1, 1, 1, 1]), [("w".into(), Why::Axes { most: 4 })]);
    let long = "n".repeat(64);
    assert_eq!(one(Gguf, &long, Dtype::F32, &[1]), [(long.clone(), Why::LongName { most: 63 })]);
    assert_eq!(one(Gguf, "a\\u0000b", Dtype::F32, &[1]), [("a\0b".into(), Why::Name)]);
    assert_eq!(one(Npz, "", Dtype::F32, &[1]), [(String::new(), Why::Name)]);
    let complex = npy_file(1, "{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }", &[0; 16]);
    assert_eq!(refused(&wish(Safetensors), &[&complex]), [("array".into(), Why::Type)]);
    assert_eq!(refused(&wish(Npz), &[&complex, &complex]), [("array".into(), Why::Twice)]);
    let mut blocks = format::testing::Gguf::default();
    blocks.tensor("q", 8, &[1, 32], &[0; 34]).tensor("k", 12, &[1, 256], &[0; 144]);
    assert_eq!(
        refused(&wish(Safetensors), &[&blocks.file()]),
        [("q".into(), Why::Block), ("k".into(), Why::UnknownBlock)]
    );
    assert_eq!(file_of(Gguf, &blocks.file()).len(), 2);
    let floats = Wish { dtype: Some(Element::Number(Dtype::F32)), ..wish(Npz) };
    assert_eq!(tensors(&file(&floats, &header("w", Dtype::F8E4M3, &[2])))[0].1, "F32");
    assert!(matches!(
        files(&Wish { dtype: Some(Element::Block(Block(8))), ..wish(Npz) }, &[&complex]),
        Err(Error::NoBlocks)
    ));
    assert!(matches!(files(&wish(Npz), &[b"no weights"]), Err(Error::NoTensors(_))));
    let unknown = r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"n":{"dtype":"X9","shape":[1],"data_offsets":[1,2]}}"#;
    let unknown = safetensors_file(unknown, &[0; 2]);
    assert_eq!(refused(&wish(Npz), &[&unknown]), [("n".into(), Why::PassedOver)]);
    let without = Wish { without: vec!["n".into()], ..wish(Npz) };
    assert_eq!(tensors(&file(&without, &unknown)).len(), 1);
    // An archive's array is found with and without the ending of its member.
    let pair = |one: &str, other: &str| {
        let header = format!(
            r#"{{"{one}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}},"{other}":{{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}}}"#
        );
        safetensors_file(&header, &[1, 2])
    };
    for (one, other) in [("a", "a.npy"), ("a.npy", "a")] {
        assert_eq!(refused(&wish(Npz), &[&pair(one, other)]), [(other.into(), Why::Twice)]);
        assert_eq!(file_of(Safetensors, &pair(one, other)).len(), 2);
    }
    assert_eq!(file_of(Npz, &pair("a.npy", "b.npy")).len(), 2);
}

#[test]
fn tensors_that_no_parser_reads_are_refused_by_name_whatever_their_container() {
    let mut cut_short = Gguf::default();
    cut_short.tensor("whole", 0, &[8], &[1; 32]).tensor("short", 0, &[800], &[2; 3200]);
    let mut cut_short = cut_short.file();
    cut_short.truncate(cut_short.len() - 1000);
    let checkpoint = Checkpoint::default()
        .storage("Float", &[1; 400])
        .storage("Float", &[2; 8])
        .tensor("whole", 0, &[100])
        .tensor("short", 1, &[100])
        .archive();
    let array = |descr: &str| {
        npy_file(1, &format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,), }}"), &[1; 8])
    };
    let member = |name: &str, descr| format::testing::ZipMember::stored(name, array(descr));
    let mut compressed = member("packed.npy", "'<f4'");
    compressed.method = 8;
    let members = [member("whole.npy", "'<f4'"), member("short.npy", "[('a', '<f4')]"), compressed];
    let archive = format::testing::zip_file(&members, false);
    for (source, lost) in [
        (cut_short, vec!["short"]),
        (checkpoint, vec!["short"]),
        (archive, vec!["packed", "short"]),
        (format::testing::partly_understood_onnx(), vec!["varints", "external", "text"]),
        (format::testing::partly_understood_pickle(), vec!["pair", "text"]),
    ] {
        let lost: Vec<_> = lost.into_iter().map(|name| (name.to_owned(), Why::PassedOver)).collect();
        assert_eq!(refused(&wish(Container::Safetensors), &[&source]), lost);
        let without = lost.into_iter().map(|(name, _)| name).collect();
        let made = tensors(&file(&Wish { without, ..wish(Container::Safetensors) }, &source));
        assert_eq!(made.iter().map(|tensor| &tensor.0[..]).collect::<Vec<_>>(), ["whole"]);
    }
}

#[test]
fn numbers_that_blocks_do_not_take_are_counted() {
    let mut floats = numbers(4 * 32);
    floats[3] = 1e7;
    floats[32] = f32::NAN;
    floats[70] = f32::NEG_INFINITY;
    let header = r#"{"w":{"dtype":"F32","shape":[4,32],"data_offsets":[0,512]}}"#;
    let origins = [origin(&safetensors_file(header, &bytes_of(&floats))).expect("a source")];
    for block in [Block(8), Block(2)] {
        let mut blocks = vec![0; 4 * block.quantised_len().expect("a rule")];
        assert!(block.quantise(&floats, &mut blocks));
        let mut back = vec![0.0; floats.len()];
        assert!(block.dequantise(&blocks, &mut back));
        let changed = floats.iter().zip(&back).filter(|(one, other)| one.is_finite() != other.is_finite());
        let changed = changed.count() as u64;
        assert!(changed > 0);
        let wish = Wish { dtype: Some(Element::Block(block)), ..wish(Container::Gguf) };
        assert_eq!(too_large(&wish, &origins), changed);
        let whole = [origin(&safetensors_file(header, &bytes_of(&numbers(4 * 32)))).expect("a source")];
        assert_eq!(too_large(&wish, &whole), 0);
    }
}

#[test]
fn what_a_killed_conversion_left_goes_with_the_next_one_and_what_somebody_writes_stays() {
    let source = safetensors_file(r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, &[9]);
    let origins = [origin(&source).expect("a source")];
    let disk = disk();
    let at = |name: &str| Path::new(FOLDER).join(name);
    let (left, busy) = (at(".coral-0123456789abcdef.partial"), at(".coral-fedcba9876543210.partial"));
    let others = [at(".coral-x.partial"), at("0123456789abcdef.partial")];
    for path in [&left, &busy, &others[0], &others[1]] {
        disk.replace(path, b"partly").expect("written");
    }
    let _lock = disk.lock(&busy, true, crate::disk::Patience::Try).expect("locks").expect("free");
    write_on(&disk, &wish(Container::Safetensors), &origins, false).expect("written");
    let mut names = disk.list(Path::new(FOLDER)).expect("listed");
    names.sort();
    let mut expected = vec!["m.safetensors".to_owned()];
    expected.extend(
        [&busy, &others[0], &others[1]]
            .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()),
    );
    expected.sort();
    assert_eq!(names, expected);
}

/// A header of one tensor.
fn one_entry(name: &str, dtype: Dtype, shape: &[u64], len: u64) -> String {
    format!(r#"{{"{name}":{{"dtype":"{}","shape":{shape:?},"data_offsets":[0,{len}]}}}}"#, dtype.name())
}

#[test]
fn tensors_are_chosen_by_name_and_lose_what_all_begin_with() {
    let header = r#"{"model.a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
        "model.b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},
        "optimizer.a":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#;
    let source = safetensors_file(header, &[1, 2, 3]);
    let chosen = Wish {
        only: vec!["model.*".into()],
        without: vec!["*.b".into()],
        prefix: "model.".into(),
        ..wish(Container::Safetensors)
    };
    assert_eq!(tensors(&file(&chosen, &source)), [("a".into(), "U8".into(), vec![1], vec![1])]);
    let none = Wish { only: vec!["x".into()], ..wish(Container::Safetensors) };
    assert!(matches!(files(&none, &[&source]), Err(Error::Nothing)));
}

#[test]
fn shards_have_at_most_so_many_bytes_and_an_index() {
    let header = r#"{"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},
        "b":{"dtype":"U8","shape":[6],"data_offsets":[6,12]},
        "c":{"dtype":"U8","shape":[20],"data_offsets":[12,32]},
        "d":{"dtype":"U8","shape":[1],"data_offsets":[32,33]}}"#;
    let bytes: Vec<u8> = (0..33).collect();
    let source = safetensors_file(header, &bytes);
    let cut = Wish { shard: Some(12), ..wish(Container::Safetensors) };
    let made = files(&cut, &[&source]).expect("converted");
    let names: Vec<&str> = made.iter().map(|(name, _)| &name[..]).collect();
    let shard = |number| format!("m-0000{number}-of-00003.safetensors");
    assert_eq!(names, [&shard(1), &shard(2), &shard(3), "m.safetensors.index.json"]);
    let in_each: Vec<usize> = made[..3].iter().map(|(_, file)| tensors(file).len()).collect();
    assert_eq!(in_each, [2, 1, 1]);
    let index = String::from_utf8_lossy(&made[3].1);
    assert!(
        index.contains("\"total_size\": 33") && index.contains(&format!("\"c\": \"{}\"", shard(2))),
        "{index}"
    );
    // They are one model again.
    let shards: Vec<&[u8]> = made[..3].iter().map(|(_, file)| &file[..]).collect();
    let [(_, whole)] =
        <[_; 1]>::try_from(files(&wish(Container::Safetensors), &shards).expect("converted")).expect("one");
    assert_eq!(whole[whole.len() - 33..], bytes);
    let gguf = Wish { shard: Some(12), dtype: Some(Element::Number(Dtype::F32)), ..wish(Container::Gguf) };
    let mut blocks = Gguf::default();
    blocks.text("general.architecture", "llama");
    blocks.tensor("a", 0, &[2], &[1; 8]).tensor("b", 0, &[2], &[2; 8]);
    let made = files(&gguf, &[&blocks.file()]).expect("converted");
    let keys = |file: &[u8]| -> Vec<String> {
        let said = format::gguf::pairs(&file.to_vec()).expect("bytes").expect("pairs");
        said.iter().map(|pair| String::from_utf8_lossy(&pair.key).into_owned()).collect()
    };
    assert_eq!(made.len(), 2);
    assert_eq!(keys(&made[1].1), ["split.no", "split.count", "split.tensors.count"]);
    assert_eq!(keys(&made[0].1)[..2], ["general.architecture", "general.file_type"]);
    let one = Wish { shard: Some(1000), ..wish(Container::Safetensors) };
    assert_eq!(files(&one, &[&source]).expect("converted").len(), 1);
    assert!(matches!(
        files(&Wish { shard: Some(1), ..wish(Container::Npz) }, &[&source]),
        Err(Error::NoShards(_))
    ));
}

#[test]
fn a_failure_at_any_operation_leaves_nothing_and_a_power_cut_whole_files_or_none() {
    let source = safetensors_file(
        r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}"#,
        &bytes_of(&numbers(5)),
    );
    let origins = [origin(&source).expect("a source")];
    for container in [Container::Safetensors, Container::Npz] {
        let shard = (container == Container::Safetensors).then_some(12);
        let cut = Wish { shard, ..wish(container) };
        let rehearsal = disk();
        let before = rehearsal.operations();
        let written = write_on(&rehearsal, &cut, &origins, false).expect("written");
        let read = |disk: &SimulatedDisk, name: &str| disk.read(&Path::new(FOLDER).join(name));
        for nth in 0..rehearsal.operations() - before {
            let failing = disk();
            failing.fail_nth(nth, EIO);
            let done = write_on(&failing, &cut, &origins, false);
            let left = failing.list(Path::new(FOLDER)).expect("listed");
            match done {
                Ok(_) => assert!(written.iter().all(|file| left.contains(&file.name))),
                Err(_) => assert!(
                    left.iter().all(|name| name.ends_with(".partial")) && left.len() <= 1,
                    "{nth}: {left:?}"
                ),
            }
            let stopped = disk();
            stopped.stop_at_nth(nth);
            let acknowledged = write_on(&stopped, &cut, &origins, false).is_ok();
            for seed in 0..3 {
                let image = stopped.crash_image(seed);
                for file in &written {
                    match read(&image, &file.name) {
                        Ok(bytes) => assert_eq!(bytes, read(&rehearsal, &file.name).expect("read"), "{nth}"),
                        Err(_) => assert!(!acknowledged, "{nth}"),
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_there_is_replaced_only_if_that_is_wanted() {
    let source = safetensors_file(r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, &[9]);
    let origins = [origin(&source).expect("a source")];
    let (disk, wish) = (disk(), wish(Container::Safetensors));
    let path = Path::new(FOLDER).join("m.safetensors");
    disk.replace(&path, b"before").expect("written");
    let exists = write_on(&disk, &wish, &origins, false);
    assert!(matches!(exists, Err(Error::Repo(crate::history::Error::OutputExists(_)))));
    assert_eq!(disk.read(&path).expect("read"), b"before");
    write_on(&disk, &wish, &origins, true).expect("written");
    assert_eq!(tensors(&disk.read(&path).expect("read"))[0].3, [9]);
    assert_eq!(disk.list(Path::new(FOLDER)).expect("listed"), ["m.safetensors"]);
}
