//! What the JSON of several commands has in common: ids, paths, instants, numbers, and what was only said in words.
//!
//! Every type that a command prints derives its schema beside its JSON, so that neither can be changed without the other; which
//! command prints which is in `schemas.rs`. What a field means, its unit and its range are in its comment, which the schema has
//! as well.

use super::when;
use crate::history::{Signature, TreePath};
use crate::id::{CommitId, ObjectKey, RecipeId, TreeId};
use crate::units::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The id of a commit, a tree or a file: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Id(#[schemars(regex(pattern = r"^[0-9a-f]{64}$"))] String);

impl From<CommitId> for Id {
    fn from(id: CommitId) -> Self {
        Self(id.to_string())
    }
}

impl From<TreeId> for Id {
    fn from(id: TreeId) -> Self {
        Self(id.to_string())
    }
}

impl From<RecipeId> for Id {
    fn from(id: RecipeId) -> Self {
        Self(id.to_string())
    }
}

/// The key of a stored object: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Key(#[schemars(regex(pattern = r"^[0-9a-f]{32}$"))] String);

impl From<ObjectKey> for Key {
    fn from(key: ObjectKey) -> Self {
        Self(key.to_string())
    }
}

/// A path of a tree, as the row of what is said of it begins with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct At {
    /// Names with `/` between them, from the top of the tree. Bytes that are no UTF-8 are U+FFFD.
    path: String,
    /// The very bytes of the path in hexadecimal digits, where they are no UTF-8
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9a-f]{2})+$"))]
    path_hex: Option<String>,
}

impl From<&TreePath> for At {
    fn from(path: &TreePath) -> Self {
        let bytes = path.to_bytes();
        let is_text = std::str::from_utf8(&bytes).is_ok();
        Self { path: path.to_string(), path_hex: (!is_text).then(|| hex(&bytes)) }
    }
}

/// A path of a tree of which nothing more is said: a text, or where its bytes are no UTF-8 both what they look like and what
/// they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PathOnly {
    Text(String),
    Bytes(At),
}

impl From<&TreePath> for PathOnly {
    fn from(path: &TreePath) -> Self {
        match At::from(path) {
            At { path, path_hex: None } => Self::Text(path),
            bytes => Self::Bytes(bytes),
        }
    }
}

/// Paths of trees, of which nothing more is said.
pub fn plain<'p>(paths: impl IntoIterator<Item = &'p TreePath>) -> Vec<PathOnly> {
    paths.into_iter().map(PathOnly::from).collect()
}

/// A path of this machine. Bytes that are no UTF-8 are U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct OnDisk(String);

impl<P: AsRef<Path> + ?Sized> From<&P> for OnDisk {
    fn from(path: &P) -> Self {
        Self(path.as_ref().to_string_lossy().into_owned())
    }
}

/// An instant as RFC 3339 writes it, such as 2026-11-23T07:31:04Z.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Time(
    #[schemars(regex(pattern = r"^-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"))] String,
);

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(when::rfc3339(time))
    }
}

/// Who did something, and when, with the offset of his clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Person {
    name: String,
    /// May be empty
    email: String,
    time: Time,
}

impl Person {
    /// With the time there.
    pub fn there(who: &Signature) -> Self {
        let time = Time(when::rfc3339_there(who.time, who.offset_minutes));
        Self { name: who.name.clone(), email: who.email.clone(), time }
    }

    /// With the time in UTC.
    pub fn in_utc(who: &Signature) -> Self {
        Self { name: who.name.clone(), email: who.email.clone(), time: who.time.into() }
    }
}

/// A number that may be none: null where it is NaN or infinite, for which JSON has no words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Real(pub f64);

impl JsonSchema for Real {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Real".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "null"] })
    }
}

/// Values by their names, in an order that has a meaning.
#[derive(Debug)]
pub struct Ordered<T>(Vec<(String, T)>);

impl<T> FromIterator<(String, T)> for Ordered<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

/// What a command that has nothing else to tell says in words.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Said {
    /// Lines; none where there was nothing to say
    pub message: String,
}

/// What is a text for readers or for other programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Text {
    /// All its lines
    pub text: String,
}

/// Which Coral this is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Version {
    /// MAJOR.MINOR.PATCH
    pub version: &'static str,
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
