//! The safetensors format: a length, a JSON header, and the tensors' bytes without gaps.
//!
//! Layout per the format's own description (`huggingface/safetensors`, README "Format"): 8 bytes little-endian header
//! length, the header (begins with `{`, may end in spaces), then the data that `data_offsets` index. Accepted only
//! whole: offsets must cover the data exactly, and a known element type's size must agree with its range.

use std::fmt;
use std::io;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::tensor::Dtype;

use super::Bytes;
use super::bytes::{array, block};
use super::region::{Region, Tensor};

/// The reference implementation accepts no longer header either, in bytes.
const HEADER_MAX: u64 = 100_000_000;
/// More dimensions than any framework has; bounds what a header of short numbers can make us keep.
const RANK_MAX: usize = 64;

/// The tensors of a safetensors file; `None` if it is not one or lies about itself.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Vec<Region>>> {
    let Some(prefix) = array::<9>(file, 0, file.len())? else { return Ok(None) };
    let header_len = u64::from_le_bytes(prefix[..8].try_into().expect("eight of nine bytes"));
    let data_start = header_len.saturating_add(8);
    if prefix[8] != b'{' || header_len > HEADER_MAX || data_start > file.len() {
        return Ok(None);
    }
    let header = block(file, 8, header_len as usize)?;
    Ok(serde_json::from_slice::<Header>(&header)
        .ok()
        .and_then(|header| regions(header, data_start, file.len())))
}

/// The beginning of a safetensors file of these tensors, which lie behind it in this order without gaps. What `before`, the
/// header of another one, says in its metadata is said again. `None` if the tensors are too many, or too large.
pub fn write_header(before: Option<&[u8]>, tensors: &[(&str, Dtype, &[u64])]) -> Option<Vec<u8>> {
    let mut entries = serde_json::Map::new();
    let metadata = before.and_then(|header| serde_json::from_slice::<Metadata>(header).ok()?.metadata);
    if let Some(metadata) = metadata {
        entries.insert("__metadata__".into(), serde_json::to_value(metadata).ok()?);
    }
    let mut at = 0u64;
    for (name, dtype, shape) in tensors {
        let end = at.checked_add(dtype.byte_len(shape)?)?;
        let entry = serde_json::json!({ "dtype": dtype.name(), "shape": shape, "data_offsets": [at, end] });
        entries.insert((*name).to_owned(), entry);
        at = end;
    }
    let mut header = serde_json::to_vec(&entries).ok()?;
    // Padded, so that tensors lie where any number may.
    header.resize(header.len().next_multiple_of(8), b' ');
    let len = header.len() as u64;
    (len <= HEADER_MAX).then(|| [&len.to_le_bytes()[..], &header].concat())
}

/// The header of a safetensors file; `None` if it is none.
pub fn read_header(file: &dyn Bytes) -> io::Result<Option<Vec<u8>>> {
    let Some(prefix) = array::<9>(file, 0, file.len())? else { return Ok(None) };
    let len = u64::from_le_bytes(prefix[..8].try_into().expect("eight of nine bytes"));
    if prefix[8] != b'{' || len > HEADER_MAX || len.saturating_add(8) > file.len() {
        return Ok(None);
    }
    block(file, 8, len as usize).map(Some)
}

#[derive(serde::Deserialize)]
struct Metadata {
    #[serde(rename = "__metadata__")]
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

/// The header's entries in the order of the file, duplicates and all.
struct Header(Vec<(String, Entry)>);

#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tensor names to their places")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// The entries as regions of the file, if they tile `data_start..end` and no name comes twice.
fn regions(Header(mut entries): Header, data_start: u64, end: u64) -> Option<Vec<Region>> {
    if has_duplicates(&entries) {
        return None;
    }
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut regions = Vec::with_capacity(entries.len());
    let mut at = 0;
    for (name, entry) in entries {
        let (start, stop) = entry.data_offsets;
        let len = stop.checked_sub(start).filter(|_| start == at)?;
        regions.push(Region {
            start: data_start.checked_add(start)?,
            len,
            tensor: tensor(name, entry, len)?,
        });
        at = stop;
    }
    (data_start.checked_add(at)? == end).then_some(regions)
}

/// `Some(None)` for an element type that we do not know, whose bytes are plain; `None` for a lie.
fn tensor(name: String, entry: Entry, len: u64) -> Option<Option<Tensor>> {
    if entry.shape.len() > RANK_MAX {
        return None;
    }
    let known = Dtype::from_name(&entry.dtype).ok().filter(|dtype| *dtype != Dtype::Opaque);
    let Some(dtype) = known else { return Some(None) };
    (dtype.byte_len(&entry.shape)? == len).then_some(Some(Tensor { dtype, shape: entry.shape, name }))
}

fn has_duplicates(entries: &[(String, Entry)]) -> bool {
    let mut names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{safetensors_file, tensors_of};
    use super::*;

    fn found(header: &str, data: usize) -> Option<Vec<Region>> {
        parse(&safetensors_file(header, &vec![7; data])).unwrap()
    }

    #[test]
    fn tensors_come_in_the_order_of_their_bytes() {
        let header = r#"{"__metadata__":{"format":"pt"},
            "b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},
            "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   "#;
        let file = safetensors_file(header, &[1; 20]);
        let start = 8 + header.len() as u64;
        assert_eq!(
            tensors_of(&file),
            [
                (start, 8, Dtype::F32, vec![2], "a".to_owned()),
                (start + 8, 12, Dtype::Bf16, vec![2, 3], "b".to_owned()),
            ]
        );
    }

    #[test]
    fn scalars_and_tensors_without_elements_are_tensors() {
        let header = r#"{"e":{"dtype":"F64","shape":[3,0],"data_offsets":[0,0]},
            "s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},
            "z":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}"#;
        let tensors = tensors_of(&safetensors_file(header, &[1; 8]));
        let named: Vec<_> = tensors.iter().map(|(_, len, .., name)| (name.as_str(), *len)).collect();
        assert_eq!(named, [("e", 0), ("s", 8), ("z", 0)]);
    }

    #[test]
    fn every_element_type_is_recognised_by_its_name() {
        for dtype in Dtype::ALL.into_iter().filter(|dtype| *dtype != Dtype::Opaque) {
            let len = dtype.byte_len(&[4, 2]).unwrap();
            let header =
                format!(r#"{{"t":{{"dtype":"{}","shape":[4,2],"data_offsets":[0,{len}]}}}}"#, dtype.name());
            assert_eq!(tensors_of(&safetensors_file(&header, &vec![0; len as usize]))[0].2, dtype);
        }
    }

    #[test]
    fn a_header_that_is_written_is_read_and_keeps_what_was_said() {
        let before =
            br#"{"__metadata__":{"format":"pt"},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
        let shapes: [&[u64]; 2] = [&[2, 3], &[]];
        let tensors = [("b", Dtype::Bf16, shapes[0]), ("a", Dtype::F32, shapes[1])];
        let mut file = write_header(Some(before), &tensors).expect("a header");
        let start = file.len() as u64;
        assert_eq!(start % 8, 0);
        file.extend([0; 16]);
        assert_eq!(
            tensors_of(&file),
            [
                (start, 12, Dtype::Bf16, vec![2, 3], "b".to_owned()),
                (start + 12, 4, Dtype::F32, vec![], "a".to_owned()),
            ]
        );
        let header = read_header(&file).expect("bytes").expect("a header");
        assert!(String::from_utf8_lossy(&header).starts_with(r#"{"__metadata__":{"format":"pt"},"#));
        assert_eq!(write_header(None, &[("x", Dtype::F64, &[u64::MAX, 2])]), None);
        assert_eq!(read_header(&b"no header at all".to_vec()).expect("bytes"), None);
    }

    #[test]
    fn an_unknown_element_type_leaves_its_bytes_plain() {
        let header = r#"{"t":{"dtype":"I4","shape":[9],"data_offsets":[0,5]},"u":{"dtype":"U8","shape":[2],"data_offsets":[5,7]}}"#;
        let regions = found(header, 7).unwrap();
        assert_eq!(regions[0].tensor, None);
        assert_eq!(regions[1].tensor.as_ref().unwrap().name, "u");
    }

    #[test]
    fn files_without_tensors_are_accepted() {
        assert_eq!(found("{}", 0), Some(vec![]));
        assert_eq!(found(r#"{"__metadata__":{}}"#, 0), Some(vec![]));
    }

    #[test]
    fn lying_headers_are_not_safetensors() {
        let lies = [
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7),
            (r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
            (
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                3,
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#,
                3,
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
                2,
            ),
            (r#"{"a":{"dtype":"U8","shape":[18446744073709551615,2],"data_offsets":[0,2]}}"#, 2),
            (r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,2]}}"#, 2),
            (r#"{"a":{"dtype":"U8","shape":[2]}}"#, 2),
            (r#"{"a":"U8"}"#, 2),
            (
                r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}}"#,
                0,
            ),
            (r#"{"#, 0),
        ];
        for (header, data) in lies {
            assert_eq!(found(header, data), None, "{header}");
        }
    }

    #[test]
    fn header_lengths_beyond_the_file_or_the_limit_are_refused_unread() {
        for claimed in [3, HEADER_MAX + 1, u64::MAX] {
            let mut file = claimed.to_le_bytes().to_vec();
            file.extend(b"{}");
            assert_eq!(parse(&file).unwrap(), None);
        }
    }
}
