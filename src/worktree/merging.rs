//! What is under way on a branch between its beginning and the commit that ends it: a merge, a revert, a cherry-pick.
//!
//! A record in the worktree's folder, `merging`, durable before the worktree has anything of it, and once more when it has
//! all of it: it goes where the worktree goes. It counts only as long as the branch is where it was when it was begun: the commit that ends it ends it, whatever
//! becomes of the file. Of several it has the rest, from before the first one on; then the commit that ends one of them is what the next begins at,
//! also where nobody came to note that.

use super::error::{Error, Result};
use super::snapshot::Snapshot;
use super::worktree::{Worktree, place};
use crate::history::{self, BranchName, Repo, Signature, TreePath};
use crate::id::CommitId;
use crate::merge::{Conflict, Favor};
use crate::wire::{Reader, WireError, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const MAGIC: &[u8; 4] = b"CMRG";
const VERSION: u16 = 1;

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergingKind {
    /// A merge: its commit has two parents.
    Merge,
    /// A merge whose commit has one.
    Squash,
    /// A change of another commit, made again.
    CherryPick,
    /// A change of an earlier commit, undone.
    Revert,
    /// Models of several commits, made one.
    Soup,
}

/// Something that waits for the commit that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merging {
    /// What it is.
    pub kind: MergingKind,
    /// Where the branch was when it was begun.
    pub ours: CommitId,
    /// The commit that comes in, or goes out.
    pub theirs: CommitId,
    /// The message of the commit that ends it.
    pub message: String,
    /// Who made the change, if not who commits.
    pub author: Option<Signature>,
    /// What the commit says of a soup besides.
    pub metadata: BTreeMap<String, String>,
    /// What has to be decided.
    pub conflicts: Vec<Conflict>,
    /// Paths of conflicts that were decided by leaving what is there.
    pub decided: BTreeSet<TreePath>,
    /// What comes next, the first one first.
    pub todo: Vec<CommitId>,
    /// How that is done.
    pub manner: Manner,
    /// Whether the worktree has what came in: until then a commit would drop it.
    pub is_in: bool,
}

/// How the changes of commits are made again, or undone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// What is taken of what both changed.
    pub favor: Favor,
    /// Of a merge, the number of the parent that its changes are counted from.
    pub mainline: Option<u32>,
    /// Say in the message where it comes from.
    pub note_origin: bool,
    /// Leave the changes of all in the worktree, without commits between them.
    pub no_commit: bool,
}

/// Bits of what a commit says, and whether there is one.
const NOTE_ORIGIN: u8 = 1;
const NO_COMMIT: u8 = 2;

impl Manner {
    fn encode(self, writer: &mut Writer) {
        writer.u8(Favor::ALL.iter().position(|favor| *favor == self.favor).map_or(0, |at| at as u8));
        writer.u32(self.mainline.unwrap_or(0));
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        writer.u8(bit(self.note_origin, NOTE_ORIGIN) | bit(self.no_commit, NO_COMMIT));
    }

    fn decode(reader: &mut Reader<'_>) -> std::result::Result<Self, WireError> {
        let favor = usize::from(reader.u8("favor")?);
        let favor = *Favor::ALL.get(favor).ok_or(WireError::Invalid("favor of a merge"))?;
        let mainline = Some(reader.u32("mainline")?).filter(|number| *number > 0);
        let bits = reader.u8("note of the origin")?;
        let (note_origin, no_commit) = (bits & NOTE_ORIGIN != 0, bits & NO_COMMIT != 0);
        Ok(Self { favor, mainline, note_origin, no_commit })
    }
}

impl MergingKind {
    const ALL: [Self; 5] = [Self::Merge, Self::Squash, Self::CherryPick, Self::Revert, Self::Soup];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Merge | Self::Squash => "merge",
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
            Self::Soup => "soup",
        }
    }
}

impl Merging {
    /// That it has to come to its end first.
    pub fn under_way(&self, branch: &BranchName) -> Error {
        Error::UnderWay { what: self.kind.words(), branch: branch.to_string() }
    }

    /// What comes behind it where the branch is then: nothing of that is done yet. `None` if nothing does.
    fn followed_by(&self, ours: CommitId) -> Option<Self> {
        let (&theirs, todo) = self.todo.split_first()?;
        let (message, author, conflicts, decided) = (String::new(), None, Vec::new(), BTreeSet::new());
        let Self { kind, manner, .. } = *self;
        let todo = todo.to_vec();
        let metadata = BTreeMap::new();
        Some(Self {
            kind,
            ours,
            theirs,
            message,
            author,
            metadata,
            conflicts,
            decided,
            todo,
            manner,
            is_in: false,
        })
    }

    /// Whether this is what waits for something to be begun: what is begun has a message.
    fn waits_for(&self, next: &Self) -> bool {
        let waits = (self.kind, self.ours, self.theirs, &self.todo);
        self.message.is_empty() && !self.is_in && waits == (next.kind, next.ours, next.theirs, &next.todo)
    }

    /// The conflicts that nobody decided: what is at their paths is what the merge left.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn undecided<'a>(&'a self, repo: &Repo, snapshot: &Snapshot) -> Result<Vec<&'a Conflict>> {
        let mut left = Vec::new();
        for conflict in self.conflicts.iter().filter(|conflict| !self.decided.contains(&conflict.path)) {
            if conflict.is_untouched(snapshot.tree.find(&conflict.path, repo)?.as_ref()) {
                left.push(conflict);
            }
        }
        Ok(left)
    }

    /// # Errors
    /// [`Error::Unmerged`] if a conflict is left, [`Error::CutShort`] if what came in is not there.
    pub(super) fn check_decided(&self, repo: &Repo, snapshot: &Snapshot) -> Result<()> {
        if !self.is_in {
            return Err(Error::CutShort { what: self.kind.words() });
        }
        let left = self.undecided(repo, snapshot)?;
        match left.is_empty() {
            true => Ok(()),
            false => Err(Error::Unmerged(left.into_iter().map(|conflict| conflict.path.clone()).collect())),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::record(MAGIC, VERSION);
        writer.u8(MergingKind::ALL.iter().position(|kind| *kind == self.kind).map_or(0, |at| at as u8));
        writer.raw(self.ours.as_bytes());
        writer.raw(self.theirs.as_bytes());
        writer.counted(self.message.as_bytes());
        writer.u8(u8::from(self.author.is_some()));
        if let Some(author) = &self.author {
            author.encode(&mut writer);
        }
        writer.u32(self.conflicts.len() as u32);
        self.conflicts.iter().for_each(|conflict| conflict.encode(&mut writer));
        writer.u32(self.decided.len() as u32);
        self.decided.iter().for_each(|path| writer.counted(&path.to_bytes()));
        writer.u32(self.todo.len() as u32);
        self.todo.iter().for_each(|commit| writer.raw(commit.as_bytes()));
        self.manner.encode(&mut writer);
        writer.u8(u8::from(self.is_in));
        if self.kind == MergingKind::Soup {
            writer.u32(self.metadata.len() as u32);
            for (key, value) in &self.metadata {
                writer.counted(key.as_bytes());
                writer.counted(value.as_bytes());
            }
        }
        writer.finish_checked()
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Self, WireError> {
        let mut reader = Reader::checked_record(bytes, MAGIC, VERSION, "merge under way")?;
        let kind = usize::from(reader.u8("kind")?);
        let kind = *MergingKind::ALL.get(kind).ok_or(WireError::Invalid("kind of a merge"))?;
        let ours = CommitId::from_bytes(reader.array("ours")?);
        let theirs = CommitId::from_bytes(reader.array("theirs")?);
        let message = reader.text("message")?.to_owned();
        let author = match reader.u8("author")? {
            0 => None,
            _ => Some(Signature::decode(&mut reader)?),
        };
        let count = reader.count(17, "count of conflicts")?;
        let conflicts =
            (0..count).map(|_| Conflict::decode(&mut reader)).collect::<std::result::Result<_, _>>()?;
        let mut decided = BTreeSet::new();
        for _ in 0..reader.count(4, "count of paths")? {
            let path = TreePath::parse(reader.counted("path")?);
            decided.insert(path.map_err(|_| WireError::Invalid("path of a conflict"))?);
        }
        let count = reader.count(CommitId::LEN, "count of commits")?;
        let todo = (0..count).map(|_| reader.array("commit").map(CommitId::from_bytes));
        let todo = todo.collect::<std::result::Result<_, _>>()?;
        let manner = Manner::decode(&mut reader)?;
        let is_in = reader.u8("whether it is in")? != 0;
        let mut metadata = BTreeMap::new();
        if kind == MergingKind::Soup {
            for _ in 0..reader.count(8, "count of metadata")? {
                let key = reader.text("metadata key")?.to_owned();
                metadata.insert(key, reader.text("metadata value")?.to_owned());
            }
        }
        reader.finish()?;
        Ok(Self { kind, ours, theirs, message, author, metadata, conflicts, decided, todo, manner, is_in })
    }
}

/// What is under way in a worktree.
#[derive(Debug, Clone, Copy)]
pub struct UnderWay<'a>(&'a Worktree);

impl Worktree {
    /// What is under way in it.
    pub fn under_way(&self) -> UnderWay<'_> {
        UnderWay(self)
    }
}

impl UnderWay<'_> {
    pub(super) fn path(&self) -> PathBuf {
        place(self.0.repo(), self.0.branch()).dir.join("merging")
    }

    /// What is under way on the branch.
    ///
    /// # Errors
    /// [`DamagedFile`](history::Error::DamagedFile) if its record is no record.
    pub fn get(&self) -> Result<Option<Merging>> {
        let (Some(merging), Some(tip)) = (self.recorded()?, self.0.repo().refs().branch(self.0.branch())?)
        else {
            return Ok(None);
        };
        if merging.ours == tip {
            return Ok(Some(merging));
        }
        // Its commit is there, and what comes behind it was not noted yet.
        let is_ended = merging.is_in && self.0.repo().commit(tip)?.parents == [merging.ours];
        Ok(merging.followed_by(tip).filter(|_| is_ended))
    }

    /// What is recorded, whether it counts or not.
    fn recorded(&self) -> Result<Option<Merging>> {
        let path = self.path();
        let bytes = match self.0.repo().disk().read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absence() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let merging = Merging::decode(&bytes)
            .map_err(|error| history::Error::DamagedFile { path, what: error.to_string() })?;
        Ok(Some(merging))
    }

    /// # Errors
    /// [`Error::UnderWay`] if something is.
    pub fn check_nothing(&self) -> Result<()> {
        match self.get()? {
            Some(merging) => Err(merging.under_way(self.0.branch())),
            None => Ok(()),
        }
    }

    /// Notes what is begun, durably.
    ///
    /// # Errors
    /// [`Error::UnderWay`] if something else is under way already, which stays; nothing is noted after any other error, or all of it.
    pub fn begin(&self, merging: &Merging) -> Result<()> {
        self.0.change_unlocked(|| match self.get()? {
            Some(noted) if !noted.waits_for(merging) => Err(noted.under_way(self.0.branch())),
            Some(_) | None => self.write(merging),
        })
    }

    /// Notes how what is under way has come along, durably.
    ///
    /// # Errors
    /// [`Error::Stale`] if somebody else ended it meanwhile, or noted something else.
    pub fn change(&self, before: &Merging, after: &Merging) -> Result<()> {
        self.0.change_unlocked(|| match self.noted()? {
            Some(noted) if noted == *before => self.write(after),
            Some(_) | None => Err(Error::Stale),
        })
    }

    /// Notes, durably, that what came in is being taken back, and returns what is noted.
    ///
    /// # Errors
    /// As [`UnderWay::change`].
    pub fn take_back(&self, merging: &Merging) -> Result<Merging> {
        let taken_back = Merging { is_in: false, ..merging.clone() };
        self.change(merging, &taken_back)?;
        Ok(taken_back)
    }

    /// What was begun and is not there waits to be begun once more.
    ///
    /// # Errors
    /// As [`UnderWay::change`].
    pub fn put_off(&self, merging: &Merging) -> Result<()> {
        let all = [&[merging.theirs][..], &merging.todo].concat();
        let before = Merging { todo: all, ..merging.clone() };
        match before.followed_by(merging.ours) {
            Some(waiting) if waiting != *merging => self.change(merging, &waiting),
            // It does so already.
            Some(_) | None => Ok(()),
        }
    }

    /// What is under way is done, and the branch is at a commit: what comes behind it is under way then, or nothing.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn go_behind(&self, merging: &Merging, ours: CommitId) -> Result<()> {
        let Some(next) = merging.followed_by(ours) else { return self.end(merging) };
        self.0.change_unlocked(|| match self.noted()? {
            Some(noted) if noted == *merging || noted == next => self.write(&next),
            // Somebody ended it meanwhile.
            Some(_) | None => Ok(()),
        })
    }

    /// What is recorded and does not count is forgotten: it must not count again when the branch comes back to where it was.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn forget_ended(&self) -> Result<()> {
        self.0.change_unlocked(|| match (self.get()?, self.recorded()?) {
            (None, Some(_)) => self.remove(),
            _ => Ok(()),
        })
    }

    /// What counts, or else what is recorded.
    fn noted(&self) -> Result<Option<Merging>> {
        self.get()?.map_or_else(|| self.recorded(), |merging| Ok(Some(merging)))
    }

    fn write(&self, merging: &Merging) -> Result<()> {
        Ok(self.0.repo().disk().replace(&self.path(), &merging.encode())?)
    }

    /// This is not under way any more. What somebody else began since stays.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn end(&self, merging: &Merging) -> Result<()> {
        self.0.change_unlocked(|| {
            match self.noted()?.as_ref() == Some(merging) || self.recorded()?.as_ref() == Some(merging) {
                true => self.remove(),
                false => Ok(()),
            }
        })
    }

    fn remove(&self) -> Result<()> {
        self.0.repo().disk().remove_file(&self.path())?;
        Ok(self.0.repo().disk().sync_dir(&place(self.0.repo(), self.0.branch()).dir)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Attributes, Entry, Name, Node};
    use crate::merge::ConflictKind;
    use crate::units::Timestamp;

    fn merging() -> Merging {
        let entry = Entry {
            name: Name::new("b").expect("valid"),
            attributes: Attributes { mode: 0o644, modified: Timestamp::EPOCH },
            node: Node::Symlink(b"target".to_vec()),
        };
        let path = TreePath::parse("a/b").expect("valid");
        let conflict = Conflict {
            path: path.clone(),
            kind: ConflictKind::RemovedThere,
            base: Some(entry.clone()),
            ours: Some(entry.clone()),
            theirs: None,
            left: Some(entry),
            tensors: vec!["w".into(), String::new()],
        };
        Merging {
            kind: MergingKind::CherryPick,
            ours: CommitId::from_bytes([1; 32]),
            theirs: CommitId::from_bytes([2; 32]),
            message: "message".into(),
            author: None,
            metadata: BTreeMap::new(),
            conflicts: vec![conflict],
            decided: [path].into(),
            todo: vec![CommitId::from_bytes([3; 32])],
            manner: Manner { favor: Favor::Theirs, mainline: Some(2), note_origin: true, no_commit: true },
            is_in: true,
        }
    }

    #[test]
    fn what_is_under_way_is_read_as_it_was_noted_and_nothing_else_is() {
        let metadata = [("soup.method".to_owned(), "linear".to_owned())].into();
        let soup = Merging { kind: MergingKind::Soup, metadata, ..merging() };
        for merging in [merging(), soup] {
            let bytes = merging.encode();
            assert_eq!(Merging::decode(&bytes), Ok(merging));
            for at in 0..bytes.len() {
                assert!(Merging::decode(&bytes[..at]).is_err());
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert!(Merging::decode(&damaged).is_err(), "{at}");
            }
        }
    }
}
