//! Settings of the original Coral that are none here: what each was for, and what there is instead.
//!
//! A file of the original stays readable, and whoever looks for one of its names learns why nothing listens to it.

/// A setting, or a whole section if it ends with a dot, of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Former {
    /// `section.key`, or `section.`.
    pub name: &'static str,
    /// Why nothing listens to it, and what there is instead.
    pub instead: &'static str,
}

const ALWAYS_EXACT: &str = "what is stored is always decoded and compared first, and every read is checked";
const SMALLEST: &str =
    "of all encodings the smallest is taken, whatever its ratio; `core.delta_encoding` turns differences off";
const NEVER_LOSSY: &str = "nothing is stored with a loss";
const SIGNATURES: &str =
    "how similar tensors are found is the same in every repository; `core.delta_encoding` turns it off";
const LOGGING: &str = "`coral mount --log FILE` says where a mount writes its log";

/// Every one of them.
pub const FORMER: &[Former] = &[
    Former {
        name: "core.compression",
        instead: "everything is compressed without loss; `core.compression_level` says how hard to try",
    },
    Former { name: "core.similarity_threshold", instead: SMALLEST },
    Former { name: "core.magnitude_tolerance", instead: SMALLEST },
    Former { name: "core.enable_lsh", instead: SIGNATURES },
    Former { name: "core.strict_reconstruction", instead: ALWAYS_EXACT },
    Former { name: "core.strict_integrity", instead: ALWAYS_EXACT },
    Former { name: "core.default_branch", instead: "`coral init -b NAME` names the first branch" },
    Former { name: "delta.sparse_threshold", instead: NEVER_LOSSY },
    Former { name: "delta.quantization_bits", instead: NEVER_LOSSY },
    Former { name: "delta.", instead: SMALLEST },
    Former { name: "storage.", instead: "objects lie in packs, which take no settings" },
    Former { name: "lsh.", instead: SIGNATURES },
    Former { name: "simhash.", instead: SIGNATURES },
    Former {
        name: "s3.",
        instead: "it is what a remote says that is given to the command, or in the environment",
    },
    Former { name: "remotes.", instead: "remotes are no settings" },
    Former {
        name: "checkpoint.",
        instead: "it is said to the checkpointing code of the training program itself",
    },
    Former { name: "logging.", instead: LOGGING },
    Former { name: "huggingface.", instead: "HF_HOME and HF_TOKEN are the environment's" },
];

/// The former setting of a name.
pub fn former(name: &str) -> Option<&'static Former> {
    let is = |former: &&Former| match former.name.strip_suffix('.') {
        Some(section) => {
            name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1)
        }
        None => former.name == name,
    };
    FORMER.iter().find(is)
}

/// What a level of the original, a number from 0 to 9, is called here.
pub fn level_of_number(number: &str) -> Option<&'static str> {
    match number.parse::<u8>().ok()? {
        0..=3 => Some("fast"),
        4..=6 => Some("default"),
        7..=22 => Some("max"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;

    #[test]
    fn no_setting_is_called_like_a_former_one() {
        for key in KEYS {
            assert_eq!(former(key.name), None, "{}", key.name);
        }
        assert_eq!(former("delta.quantization_bits").map(|former| former.instead), Some(NEVER_LOSSY));
        assert_eq!(former("delta.min_weight_size").map(|former| former.instead), Some(SMALLEST));
        assert_eq!((former("delta."), former("deltas.x"), former("core.nope")), (None, None, None));
    }
}
