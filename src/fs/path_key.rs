//! Where something of a snapshot is: its commit and its path there, as a key of fixed size however deep that is.
//!
//! It makes two equal files of one tree two inodes, which programs go by to tell files apart, and one file of a commit one
//! inode whichever ref leads to it. It is made from names on the way down alone; nobody gets a path back.

use crate::id::CommitId;

/// The key of a place in a commit. Two places with one key would still have to be equal in all else to be taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PathKey([u8; 16]);

impl PathKey {
    /// That of a commit's top directory, or of what stands for one where there is no commit yet.
    pub fn top(commit: Option<CommitId>) -> Self {
        Self::of(&[], commit.as_ref().map_or(&[], |id| id.as_bytes()))
    }

    /// That of a name in the directory here.
    pub fn child(&self, name: &[u8]) -> Self {
        Self::of(&self.0, name)
    }

    fn of(parent: &[u8], name: &[u8]) -> Self {
        let hash = blake3::Hasher::new().update(parent).update(name).finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        Self(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_commits_directories_and_names_apart() {
        let tops = [None, Some(CommitId::from_bytes([1; 32])), Some(CommitId::from_bytes([2; 32]))];
        let mut keys = Vec::new();
        for top in tops.map(PathKey::top) {
            let below =
                [top.child(b"a"), top.child(b"ab"), top.child(b"a").child(b"b"), top.child(b"b").child(b"a")];
            keys.extend(below.into_iter().chain([top]));
        }
        let mut distinct = keys.clone();
        distinct.sort_by_key(|key| key.0);
        distinct.dedup();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(PathKey::top(tops[1]).child(b"a"), keys[5]);
    }
}
