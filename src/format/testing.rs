//! Handmade containers for the parsers' tests, built from the formats' descriptions and not from our writers.

use crate::tensor::Dtype;

use super::{Extent, Proposed, propose};

/// `(start, len, dtype, shape, name)` of the tensors proposed for a file.
pub(super) fn tensors_of(file: &[u8]) -> Vec<(u64, u64, Dtype, Vec<u64>, String)> {
    let file = file.to_vec();
    let extents = propose(&file).unwrap();
    assert_tiles(&file, &extents);
    extents
        .into_iter()
        .filter_map(|Proposed { start, len, kind }| match kind {
            Extent::Tensor { dtype, shape, name } => Some((start, len, dtype, shape, name)),
            Extent::Literal | Extent::Chunk => None,
        })
        .collect()
}

/// The invariant of `propose`: the extents are the file, in order, and each is as long as it says.
pub(super) fn assert_tiles(file: &[u8], extents: &[Proposed]) {
    let mut at = 0;
    for extent in extents {
        assert_eq!(extent.start, at, "a gap or overlap before {extent:?}");
        match &extent.kind {
            Extent::Tensor { dtype, shape, .. } => assert_eq!(dtype.byte_len(shape), Some(extent.len)),
            Extent::Literal | Extent::Chunk => assert!(extent.len > 0),
        }
        at += extent.len;
    }
    assert_eq!(at, file.len() as u64);
}

/// One small file of each container.
pub(super) fn fixtures() -> Vec<Vec<u8>> {
    let npy = npy_file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", &[9; 16]);
    let members = [ZipMember::stored("w.npy", npy.clone()), ZipMember::stored("data/0", vec![3; 1500])];
    let header = r#"{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
        "b":{"dtype":"F4","shape":[3,2],"data_offsets":[8,11]}}"#;
    vec![safetensors_file(header, &[1; 11]), npy, zip_file(&members, false), zip_file(&members, true)]
}

pub(super) fn safetensors_file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

pub(super) fn npy_file(version: u8, dictionary: &str, data: &[u8]) -> Vec<u8> {
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

pub(super) struct ZipMember {
    pub name: &'static str,
    pub body: Vec<u8>,
    pub method: u16,
    pub flags: u16,
}

impl ZipMember {
    pub fn stored(name: &'static str, body: Vec<u8>) -> Self {
        Self { name, body, method: 0, flags: 0 }
    }
}

/// An archive; with `zip64`, every size and offset is in the wide fields, as in archives over 4 GiB.
pub(super) fn zip_file(members: &[ZipMember], zip64: bool) -> Vec<u8> {
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
