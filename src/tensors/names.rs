//! The grammar of names: which files are shards of one model, and how tensors become file names.
//!
//! Pure: names in, names out.

use std::collections::HashMap;

/// The folder that shows the tensors of all shards of one model, for one shard's file name:
/// `model-00002-of-00005.safetensors` belongs to `model.safetensors`.
pub(super) fn merged_shard_name(name: &str) -> Option<String> {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) => name.split_at(dot),
        None => (name, ""),
    };
    let (rest, count) = split_number(stem, "-of-")?;
    let (model, index) = split_number(rest, "-")?;
    (!model.is_empty() && (1..=count).contains(&index)).then(|| format!("{model}{extension}"))
}

/// What is before `separator` and the number of five or more digits after it, at the end of a text.
fn split_number<'a>(text: &'a str, separator: &str) -> Option<(&'a str, u64)> {
    let (before, digits) = text.rsplit_once(separator)?;
    let plain = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((before, digits.parse().ok().filter(|_| plain)?))
}

/// Longest file name without its `.npy` or `.json`, in bytes.
const STEM_MAX: usize = 240;

/// The file names, without `.npy` and `.json`, of tensors with these names, in the same order.
///
/// `/`, `%` and NUL are escaped as in URLs; names too long for a file system are cut and given a hash, and repeated
/// ones a number, so that every tensor has a file of its own.
pub(super) fn tensor_stems(names: &[&str]) -> Vec<String> {
    let mut stems: Vec<String> = names.iter().map(|name| tensor_stem(name)).collect();
    let repeats = repeats(&stems);
    for (stem, repeat) in stems.iter_mut().zip(repeats).filter(|(_, repeat)| *repeat > 0) {
        // An escaped name has no `%` that is not followed by two hexadecimal digits, so this one is free.
        stem.push_str(&format!("%{repeat}"));
    }
    stems
}

/// How often each was there before.
fn repeats(stems: &[String]) -> Vec<u32> {
    let mut seen: HashMap<&str, u32> = HashMap::with_capacity(stems.len());
    let mut counts = Vec::with_capacity(stems.len());
    for stem in stems {
        let count = seen.entry(stem).or_default();
        counts.push(*count);
        *count += 1;
    }
    counts
}

fn tensor_stem(name: &str) -> String {
    let escaped = name.replace('%', "%25").replace('/', "%2F").replace('\0', "%00");
    if escaped.len() <= STEM_MAX {
        return escaped;
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let kept = (0..=STEM_MAX - 18).rev().find(|at| escaped.is_char_boundary(*at)).unwrap_or(0);
    format!("{}%_{}", &escaped[..kept], &hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shards_belong_to_one_model() {
        assert_eq!(
            merged_shard_name("model-00002-of-00005.safetensors").as_deref(),
            Some("model.safetensors")
        );
        assert_eq!(merged_shard_name("a-b-00001-of-00001").as_deref(), Some("a-b"));
        for other in
            ["model.safetensors", "model-1-of-2.x", "model-00003-of-00002.x", "-00001-of-00001.x", ""]
        {
            assert_eq!(merged_shard_name(other), None, "{other}");
        }
    }

    #[test]
    fn tensor_names_become_distinct_file_names() {
        assert_eq!(
            tensor_stems(&["h.0.w", "a/b", "a%2Fb", "a/b", ""]),
            ["h.0.w", "a%2Fb", "a%252Fb", "a%2Fb%1", ""]
        );
    }

    proptest! {
        #[test]
        fn tensor_files_are_legal_and_distinct(names in proptest::collection::vec("[a/%é\0]{0,3}|[é/]{100,130}", 0..6)) {
            let stems = tensor_stems(&names.iter().map(String::as_str).collect::<Vec<_>>());
            for stem in &stems {
                prop_assert!(stem.len() + 5 <= 255 && !stem.contains(['/', '\0']));
            }
            let mut distinct = stems.clone();
            distinct.sort();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), stems.len());
        }
    }
}
