//! Typed identifiers: every hash that names something in Coral, as a newtype.
//!
//! Two families. An [`ObjectKey`] is a fast 128-bit name of a string of bytes, guarded by byte comparison wherever
//! it is used to deduplicate. The 256-bit ids are BLAKE3 digests and may be trusted as the content they name.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected} hexadecimal digits")]
pub struct ParseIdError {
    /// What was given.
    pub text: String,
    /// How many hexadecimal digits the id has.
    pub expected: usize,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// How many bytes the id has.
            pub const LEN: usize = $bytes;

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $bytes];
                match decode_hex(text, &mut bytes) {
                    true => Ok(Self(bytes)),
                    false => Err(ParseIdError { text: text.to_owned(), expected: 2 * $bytes }),
                }
            }
        }
    };
}

/// Fills `out` from exactly `2 * out.len()` lower- or upper-case digits; false if `text` is anything else.
fn decode_hex(text: &str, out: &mut [u8]) -> bool {
    let digits = text.as_bytes();
    if digits.len() != 2 * out.len() {
        return false;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return false };
        *byte = high << 4 | low;
    }
    true
}

fn digit(ascii: u8) -> Option<u8> {
    (ascii as char).to_digit(16).map(|value| value as u8)
}

id_type!(
    /// Names an object in the store: a string of bytes of one kind. For content it is xxh3-128 (fast, not
    /// collision-resistant: the store compares bytes before it believes an equality); for recipes, trees and commits
    /// it is the first half of their BLAKE3 id.
    ObjectKey, 16
);
id_type!(
    /// BLAKE3 of a recipe's canonical encoding: names the exact content of one file.
    RecipeId, 32
);
id_type!(
    /// BLAKE3 of a tree's canonical encoding: names one directory with everything below it.
    TreeId, 32
);
id_type!(
    /// BLAKE3 of a commit's canonical encoding: names one snapshot with its whole history.
    CommitId, 32
);
id_type!(
    /// BLAKE3 of a pack's directory: names one sealed pack file.
    PackId, 32
);

macro_rules! keyed_by_prefix {
    ($($name:ident),*) => {$(
        impl $name {
            /// The key under which the store keeps the encoding that this id names.
            pub fn key(&self) -> ObjectKey {
                let mut key = [0; ObjectKey::LEN];
                key.copy_from_slice(&self.0[..ObjectKey::LEN]);
                ObjectKey(key)
            }
        }
    )*};
}
keyed_by_prefix!(RecipeId, TreeId, CommitId);

/// Names a file of staged bytes in one worktree; never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StagingId(pub u64);

impl fmt::Display for StagingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_the_hex_they_parse_from() {
        let id = ObjectKey::from_bytes(*b"0123456789abcde\xff");
        assert_eq!(id.to_string(), "303132333435363738396162636465ff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn texts_of_another_length_or_alphabet_are_refused() {
        for text in ["", "00", "zz3132333435363738396162636465ff", "+f3132333435363738396162636465ff"] {
            assert_eq!(text.parse::<ObjectKey>(), Err(ParseIdError { text: text.into(), expected: 32 }));
        }
    }
}
