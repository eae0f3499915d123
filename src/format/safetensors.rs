//! The safetensors format: a length, a JSON header, and the tensors' bytes.
//!
//! Layout per the format's own description (`huggingface/safetensors`, README "Format"): 8 bytes little-endian header
//! length, the header (begins with `{`, may end in spaces), then the data that `data_offsets` index. The reference
//! implementation wants offsets to cover the data exactly; here every entry counts that is consistent by itself, so that files
//! with alignment between tensors, with something behind them, and files that are cut short have their tensors too.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::tensor::Dtype;

use super::Bytes;
use super::bytes::{array, block};
use super::region::{Findings, Found, Region};

/// The reference implementation accepts no longer header either, in bytes.
const HEADER_MAX: u64 = 100_000_000;
/// More dimensions than any framework has; bounds what a header of short numbers can make us keep.
const RANK_MAX: usize = 64;

/// The tensors of a safetensors file; `None` if it is not one.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Findings>> {
    let Some(header) = read_header(file)? else { return Ok(None) };
    let data_start = header.len() as u64 + 8;
    // Some writers pad with NUL.
    let text = header.trim_ascii_end();
    let text = &text[..text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)];
    let Ok(entries) = serde_json::from_slice::<Entries>(text) else { return Ok(None) };
    drop(header);
    let findings = findings(entries, data_start, file.len());
    Ok(findings)
}

/// What a safetensors file says of itself, by keys.
pub type Metadata = BTreeMap<String, String>;

/// What a header says of its file beside the tensors; `None` if it says nothing.
pub fn metadata_of(header: &[u8]) -> Option<Metadata> {
    serde_json::from_slice::<Said>(header).ok()?.metadata
}

/// The beginning of a safetensors file of these tensors, which lie behind it in this order without gaps. `None` if the tensors
/// are too many, or too large.
pub fn write_header(metadata: Option<&Metadata>, tensors: &[(&str, Dtype, &[u64])]) -> Option<Vec<u8>> {
    let mut entries = serde_json::Map::new();
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
struct Said {
    #[serde(rename = "__metadata__")]
    metadata: Option<Metadata>,
}

/// What stands in `NAME.safetensors.index.json` beside the shards of a model: of how many bytes its tensors are, and in which
/// file each is. The layout is that of Hugging Face's `huggingface_hub`.
pub fn write_index(total: u64, files: &BTreeMap<&str, &str>) -> Vec<u8> {
    let index = serde_json::json!({ "metadata": { "total_size": total }, "weight_map": files });
    format!("{index:#}\n").into_bytes()
}

/// The header's entries in the order of the file, duplicates and all.
struct Entries(Vec<(String, Entry)>);

#[derive(serde::Deserialize)]
struct Entry {
    dtype: Named,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// An element type, or `None` for one that we do not know.
struct Named(Option<Dtype>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an element type")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Named, E> {
                Ok(Named(Dtype::from_name(name).ok().filter(|dtype| *dtype != Dtype::Opaque)))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// A shape of at most [`RANK_MAX`] dimensions; what has more is given up while it is read.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Extents;
        impl<'de> Visitor<'de> for Extents {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {RANK_MAX} numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut extents: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(extent) = extents.next_element()? {
                    if shape.len() == RANK_MAX {
                        return Err(A::Error::custom("more dimensions than any framework has"));
                    }
                    shape.push(extent);
                }
                shape.shrink_to_fit();
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Extents)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tensor names to their places")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// The entries that are consistent by themselves; `None` if there are some and none is.
fn findings(Entries(entries): Entries, data_start: u64, end: u64) -> Option<Findings> {
    let is_empty = entries.is_empty();
    let mut findings = Findings::default();
    for (name, Entry { dtype, shape, data_offsets }) in entries {
        let (from, to) = data_offsets;
        let place = || {
            let start = data_start.checked_add(from)?;
            let len = to.checked_sub(from)?;
            (data_start.checked_add(to)? <= end).then_some((start, len))
        };
        let Some((start, len)) = place() else {
            findings.pass_over(name);
            continue;
        };
        match dtype.0 {
            Some(dtype) if dtype.byte_len(&shape.0) == Some(len) => {
                findings.add(Found { start, len, name, dtype, shape: shape.0, declared: None });
            }
            Some(_) => findings.pass_over(name),
            None => {
                findings.regions.push(Region { start, len, dtype: Some(Dtype::Opaque) });
                findings.pass_over(name);
            }
        }
    }
    (is_empty || !findings.regions.is_empty()).then_some(findings)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{safetensors_file, tensors_of};
    use super::*;

    fn found(header: &str, data: usize) -> Option<Findings> {
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
        let mut file = write_header(metadata_of(before).as_ref(), &tensors).expect("a header");
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
    fn an_unknown_element_type_makes_its_bytes_one_payload_without_a_name() {
        let header = r#"{"t":{"dtype":"I4","shape":[9],"data_offsets":[0,5]},"u":{"dtype":"U8","shape":[2],"data_offsets":[5,7]}}"#;
        let findings = found(header, 7).unwrap();
        assert_eq!(findings.regions[0].dtype, Some(Dtype::Opaque));
        assert_eq!(findings.tensors()[0].name, "u");
    }

    #[test]
    fn files_without_tensors_are_accepted() {
        assert_eq!(found("{}", 0), Some(Findings::default()));
        assert_eq!(found(r#"{"__metadata__":{}}"#, 0), Some(Findings::default()));
    }

    #[test]
    fn entries_that_lie_are_left_out_and_those_beside_them_are_not() {
        let good = r#""g":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
        let lies = [
            r#""a":{"dtype":"F32","shape":[3],"data_offsets":[8,16]}"#,
            r#""a":{"dtype":"F32","shape":[2],"data_offsets":[16,8]}"#,
            r#""a":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}"#,
            r#""a":{"dtype":"U8","shape":[18446744073709551615,2],"data_offsets":[8,10]}"#,
            r#""a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}"#,
        ];
        for lie in lies {
            let names = |header: &str| {
                tensors_of(&safetensors_file(header, &[7; 16]))
                    .into_iter()
                    .map(|found| found.4)
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(&format!("{{{good},{lie}}}")), ["g"], "{lie}");
            assert_eq!(names(&format!("{{{lie}}}")), [""; 0], "{lie}");
        }
    }

    #[test]
    fn headers_that_are_no_map_of_entries_are_not_safetensors() {
        let headers = [
            r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,2]}}"#,
            r#"{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,2]}}"#,
            r#"{"a":{"dtype":"U8","shape":[2]}}"#,
            r#"{"a":"U8"}"#,
            r#"{"#,
            "{}\0{}",
        ];
        for header in headers {
            assert_eq!(found(header, 2), None, "{header}");
        }
    }

    #[test]
    fn gaps_padding_trailing_bytes_and_a_missing_end_keep_what_is_whole() {
        let header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\
            \"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[8,10]}} \0\0";
        let start = 8 + header.len() as u64;
        let whole = safetensors_file(header, &[7; 16]);
        let places =
            |file: &[u8]| tensors_of(file).into_iter().map(|found| found.0 - start).collect::<Vec<_>>();
        assert_eq!(places(&whole), [0, 8]);
        assert_eq!(places(&whole[..start as usize + 9]), [0]);
    }

    #[test]
    fn tensors_that_overlap_are_all_named_and_their_bytes_tiled() {
        let header = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
            "b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},"c":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
        let names: Vec<_> =
            tensors_of(&safetensors_file(header, &[7; 3])).into_iter().map(|found| found.4).collect();
        assert_eq!(names, ["a", "c", "b"]);
    }

    #[test]
    fn a_shape_of_too_many_dimensions_is_given_up_where_it_begins() {
        let shape = vec!["1"; RANK_MAX + 1].join(",");
        let header = format!(r#"{{"a":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,1]}}}}"#);
        assert_eq!(found(&header, 1), None);
        let longest = header.replacen("1,", "", 1);
        assert_eq!(found(&longest, 1).expect("a file").tensors()[0].shape.len(), RANK_MAX);
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
