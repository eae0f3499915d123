//! Handmade containers for the parsers' tests, built from the formats' descriptions and not from our writers.

mod gguf;
mod hdf5;
pub(crate) mod torch;

pub(crate) use super::onnx::tests::partly_understood as partly_understood_onnx;
pub(crate) use super::pickle_arrays::tests::partly_understood as partly_understood_pickle;
pub(crate) use gguf::Gguf;
pub(super) use hdf5::Hdf5;

use crate::random::Random;
use crate::tensor::Dtype;

use super::{Extent, Found, Proposal, propose};

/// `(start, len, dtype, shape, name)` of the tensors proposed for a file.
pub(super) fn tensors_of(file: &[u8]) -> Vec<(u64, u64, Dtype, Vec<u64>, String)> {
    let file = file.to_vec();
    let proposal = propose(&file).unwrap();
    assert_tiles(&file, &proposal);
    let plain = |found: Found| (found.start, found.len, found.dtype, found.shape, found.name);
    proposal.tensors.into_iter().map(plain).collect()
}

/// The tensors proposed for a file in which each is filled with a byte of its own: that byte, type, shape and name.
pub(super) fn filled_tensors_of(file: &[u8]) -> Vec<(u8, Dtype, Vec<u64>, String)> {
    let filled = |(start, len, dtype, shape, name): (u64, u64, Dtype, Vec<u64>, String)| {
        let bytes = &file[start as usize..(start + len) as usize];
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{name} is of several bytes");
        (bytes[0], dtype, shape, name)
    };
    tensors_of(file).into_iter().map(filled).collect()
}

/// The invariants of `propose`: the parts are the file, in order; each tensor lies in it, in the order of their
/// beginnings, and is as long as it says.
pub(super) fn assert_tiles(file: &[u8], proposal: &Proposal) {
    let mut at = 0;
    for part in &proposal.parts {
        assert_eq!(part.start, at, "a gap or overlap before {part:?}");
        assert!(part.len > 0 || matches!(part.kind, Extent::Payload(_)), "{part:?} is nothing");
        at += part.len;
    }
    assert_eq!(at, file.len() as u64);
    assert!(proposal.tensors.is_sorted_by_key(|tensor| (tensor.start, tensor.len)));
    for tensor in &proposal.tensors {
        assert_eq!(tensor.dtype.byte_len(&tensor.shape), Some(tensor.len), "{tensor:?}");
        assert!(tensor.start + tensor.len <= file.len() as u64, "{tensor:?} leaves the file");
    }
}

/// What is proposed for a file, which holds the invariants.
pub(super) fn proposal(file: &[u8]) -> Proposal {
    let file = file.to_vec();
    let proposal = super::propose(&file).expect("memory can be read");
    assert_tiles(&file, &proposal);
    proposal
}

/// Calls `check` with so many files that differ from this one in some bytes, in their length or in both: always the same.
pub(super) fn for_mutations(file: &[u8], count: u64, check: impl Fn(&[u8])) {
    for seed in 0..count {
        let mut random = Random::new(seed);
        let mut mutated = file.to_vec();
        for _ in 0..random.below(6) + 1 {
            let at = random.below(mutated.len());
            mutated[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                _ => random.below(256) as u8,
            };
        }
        if random.below(4) == 0 {
            mutated.truncate(random.below(mutated.len()));
        }
        check(&mutated);
    }
}

/// One small file of each container.
pub(super) fn fixtures() -> Vec<Vec<u8>> {
    let npy = npy_file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", &[9; 16]);
    let members = [ZipMember::stored("w.npy", npy.clone()), ZipMember::stored("data/0", vec![3; 1500])];
    let header = r#"{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
        "b":{"dtype":"F4","shape":[3,2],"data_offsets":[8,11]}}"#;
    let checkpoint = torch::Checkpoint::default().storage("Float", &[1; 24]).tensor("w", 0, &[2, 3]);
    let mut gguf = Gguf::default();
    gguf.tensor("w", 2, &[2, 32], &[9; 36]);
    vec![
        gguf.file(),
        Hdf5 { is_new: false, user_block: 0 }.file(&[("a", "b", &[1; 8])]),
        safetensors_file(header, &[1; 11]),
        npy,
        zip_file(&members, false),
        zip_file(&members, true),
        checkpoint.archive(),
        checkpoint.legacy(),
        super::onnx::tests::sample(),
        super::msgpack::tests::sample(),
        super::pickle_arrays::tests::sample(),
    ]
}

pub(crate) fn safetensors_file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

pub(crate) fn npy_file(version: u8, dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    match version {
        1 => file.extend((dictionary.len() as u16).to_le_bytes()),
        _ => file.extend((dictionary.len() as u32).to_le_bytes()),
    }
    file.extend(dictionary.as_bytes());
    file.extend(data);
    file
}

pub(crate) struct ZipMember {
    pub name: String,
    pub body: Vec<u8>,
    pub method: u16,
    pub flags: u16,
}

impl ZipMember {
    pub fn stored(name: impl Into<String>, body: Vec<u8>) -> Self {
        Self { name: name.into(), body, method: 0, flags: 0 }
    }
}

/// An archive; with `zip64`, every size and offset is in the wide fields, as in archives over 4 GiB.
pub(crate) fn zip_file(members: &[ZipMember], zip64: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let local = file.len() as u64;
        let len = member.body.len() as u64;
        let extra = if zip64 { wide_extra(&[len, len]) } else { Vec::new() };
        file.extend(0x0403_4b50u32.to_le_bytes());
        file.extend(common_fields(member, zip64));
        file.extend((extra.len() as u16).to_le_bytes());
        file.extend(member.name.as_bytes());
        file.extend(extra);
        file.extend(&member.body);

        let extra = if zip64 { wide_extra(&[len, len, local]) } else { Vec::new() };
        directory.extend(0x0201_4b50u32.to_le_bytes());
        directory.extend(45u16.to_le_bytes());
        directory.extend(common_fields(member, zip64));
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(if zip64 { u32::MAX } else { local as u32 }.to_le_bytes());
        directory.extend(member.name.as_bytes());
        directory.extend(extra);
    }
    let start = file.len() as u64;
    file.extend(&directory);
    if zip64 {
        end64(&mut file, start, directory.len() as u64, members.len() as u64);
    }
    file.extend(0x0605_4b50u32.to_le_bytes());
    file.extend([0; 4]);
    file.extend([members.len() as u16; 2].map(u16::to_le_bytes).concat());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(if zip64 { u32::MAX } else { start as u32 }.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// Version needed to name length: the fields that local and central headers share.
fn common_fields(member: &ZipMember, zip64: bool) -> Vec<u8> {
    let len = if zip64 { u32::MAX } else { member.body.len() as u32 };
    let mut fields = [45, member.flags, member.method, 0, 0].map(u16::to_le_bytes).concat();
    fields.extend([0; 4]);
    fields.extend([len; 2].map(u32::to_le_bytes).concat());
    fields.extend((member.name.len() as u16).to_le_bytes());
    fields
}

fn wide_extra(values: &[u64]) -> Vec<u8> {
    let mut extra = [1u16, 8 * values.len() as u16].map(u16::to_le_bytes).concat();
    extra.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    extra
}

fn end64(file: &mut Vec<u8>, start: u64, len: u64, count: u64) {
    let at = file.len() as u64;
    file.extend(0x0606_4b50u32.to_le_bytes());
    file.extend(44u64.to_le_bytes());
    file.extend([0; 12]);
    file.extend([count, count, len, start].map(u64::to_le_bytes).concat());
    file.extend(0x0706_4b50u32.to_le_bytes());
    file.extend([0; 4]);
    file.extend(at.to_le_bytes());
    file.extend(1u32.to_le_bytes());
}
