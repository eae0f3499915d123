//! The simplest file system with branches: everything in maps, every commit a whole copy.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::step::Mode;

/// The bytes and mode of a file, shared by its name and those who hold it open.
pub(super) type Content = Rc<RefCell<FileState>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileState {
    pub bytes: Vec<u8>,
    pub mode: u32,
    /// Who has it open for writing.
    writers: u32,
    /// If it was written since no writer was at work: the bytes of then, which a commit takes.
    complete: Option<Vec<u8>>,
}

impl FileState {
    pub fn new(bytes: Vec<u8>, mode: u32) -> Self {
        Self { bytes, mode, writers: 0, complete: None }
    }

    pub fn open(&mut self) {
        self.writers += 1;
    }

    pub fn release(&mut self) {
        self.writers -= 1;
        if self.writers == 0 {
            self.complete = None;
        }
    }

    /// The bytes, about to be changed.
    fn change(&mut self) -> &mut Vec<u8> {
        if self.writers > 0 && self.complete.is_none() {
            self.complete = Some(self.bytes.clone());
        }
        &mut self.bytes
    }

    pub fn set_len(&mut self, len: u64) {
        self.change().resize(len as usize, 0);
    }
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(Content),
    Dir { mode: u32, children: Dir },
    Link(String),
}

pub(super) type Dir = BTreeMap<String, Node>;

/// What anybody can see of a tree: every path with what it is.
pub(super) type Seen = BTreeMap<String, SeenNode>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeenNode {
    File { bytes: Vec<u8>, mode: u32 },
    Dir { mode: u32 },
    Link(String),
}

pub(super) type Outcome<T = ()> = Result<T, i32>;

/// The modes that new nodes get.
pub(super) const FILE_MODE: u32 = 0o644;
pub(super) const DIR_MODE: u32 = 0o755;

/// One writable tree.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub root: Dir,
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Whether `inner` lies below `outer`.
fn is_below(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

impl Tree {
    fn dir(&mut self, path: &str) -> Outcome<&mut Dir> {
        let mut at = &mut self.root;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match at.get_mut(name) {
                Some(Node::Dir { children, .. }) => at = children,
                Some(Node::File(_) | Node::Link(_)) => return Err(libc::ENOTDIR),
                None => return Err(libc::ENOENT),
            }
        }
        Ok(at)
    }

    fn parent<'a>(&mut self, path: &'a str) -> Outcome<(&mut Dir, &'a str)> {
        let (dir, name) = split(path);
        Ok((self.dir(dir)?, name))
    }

    fn find(&mut self, path: &str) -> Outcome<Option<&mut Node>> {
        let (dir, name) = self.parent(path)?;
        Ok(dir.get_mut(name))
    }

    pub fn file(&mut self, path: &str) -> Outcome<Content> {
        match self.find(path)? {
            Some(Node::File(content)) => Ok(Rc::clone(content)),
            Some(Node::Dir { .. }) => Err(libc::EISDIR),
            // The callers do not follow links, as O_NOFOLLOW.
            Some(Node::Link(_)) => Err(libc::ELOOP),
            None => Err(libc::ENOENT),
        }
    }

    fn insert(&mut self, path: &str, node: Node) -> Outcome {
        let (dir, name) = self.parent(path)?;
        match dir.contains_key(name) {
            true => Err(libc::EEXIST),
            false => {
                dir.insert(name.to_owned(), node);
                Ok(())
            }
        }
    }

    pub fn create(&mut self, path: &str) -> Outcome {
        let state = FileState::new(Vec::new(), FILE_MODE);
        self.insert(path, Node::File(Rc::new(RefCell::new(state))))
    }

    pub fn mkdir(&mut self, path: &str) -> Outcome {
        self.insert(path, Node::Dir { mode: DIR_MODE, children: Dir::new() })
    }

    pub fn symlink(&mut self, path: &str, target: &str) -> Outcome {
        self.insert(path, Node::Link(target.to_owned()))
    }

    pub fn unlink(&mut self, path: &str) -> Outcome {
        let (dir, name) = self.parent(path)?;
        match dir.get(name) {
            Some(Node::Dir { .. }) => Err(libc::EISDIR),
            Some(Node::File(_) | Node::Link(_)) => {
                dir.remove(name);
                Ok(())
            }
            None => Err(libc::ENOENT),
        }
    }

    pub fn rmdir(&mut self, path: &str) -> Outcome {
        let (dir, name) = self.parent(path)?;
        match dir.get(name) {
            Some(Node::Dir { children, .. }) if children.is_empty() => {
                dir.remove(name);
                Ok(())
            }
            Some(Node::Dir { .. }) => Err(libc::ENOTEMPTY),
            Some(Node::File(_) | Node::Link(_)) => Err(libc::ENOTDIR),
            None => Err(libc::ENOENT),
        }
    }

    pub fn chmod(&mut self, path: &str, new: u32) -> Outcome {
        match self.find(path)? {
            Some(Node::File(content)) => content.borrow_mut().mode = new,
            Some(Node::Dir { mode, .. }) => *mode = new,
            Some(Node::Link(_)) => return Err(libc::ELOOP),
            None => return Err(libc::ENOENT),
        }
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str, mode: Mode) -> Outcome {
        let moves_dir = match self.find(from)? {
            Some(node) => matches!(node, Node::Dir { .. }),
            None => return Err(libc::ENOENT),
        };
        let replaced = self.find(to)?.map(|node| node.clone());
        if from == to {
            return if mode == Mode::NoReplace { Err(libc::EEXIST) } else { Ok(()) };
        }
        if (moves_dir && is_below(to, from)) || (mode == Mode::Exchange && is_below(from, to)) {
            return Err(libc::EINVAL);
        }
        match (&replaced, mode) {
            (None, Mode::Exchange) => return Err(libc::ENOENT),
            (None, Mode::Replace | Mode::NoReplace) | (Some(_), Mode::Exchange) => {}
            (Some(_), Mode::NoReplace) => return Err(libc::EEXIST),
            (Some(Node::Dir { .. }), Mode::Replace) if !moves_dir => return Err(libc::EISDIR),
            (Some(Node::Dir { children, .. }), Mode::Replace) if !children.is_empty() => {
                return Err(libc::ENOTEMPTY);
            }
            (Some(Node::Dir { .. }), Mode::Replace) => {}
            (Some(Node::File(_) | Node::Link(_)), Mode::Replace) if moves_dir => return Err(libc::ENOTDIR),
            (Some(Node::File(_) | Node::Link(_)), Mode::Replace) => {}
        }
        let (dir, name) = self.parent(from)?;
        let moved = dir.remove(name).ok_or(libc::ENOENT)?;
        if let (Mode::Exchange, Some(other)) = (mode, replaced) {
            dir.insert(name.to_owned(), other);
        }
        let (dir, name) = self.parent(to)?;
        dir.insert(name.to_owned(), moved);
        Ok(())
    }

    /// What can be seen of the tree.
    pub fn seen(&self) -> Seen {
        let mut seen = Seen::new();
        look(&self.root, "", &|file| file.bytes.clone(), &mut seen);
        seen
    }

    /// What a commit takes of the tree.
    pub fn complete(&self) -> Seen {
        let mut seen = Seen::new();
        look(&self.root, "", &|file| file.complete.as_ref().unwrap_or(&file.bytes).clone(), &mut seen);
        seen
    }

    /// The tree that is seen so.
    pub fn of(seen: &Seen) -> Self {
        let mut tree = Self::default();
        // Parents come before what is in them.
        for (path, node) in seen {
            let node = match node.clone() {
                SeenNode::File { bytes, mode } => {
                    Node::File(Rc::new(RefCell::new(FileState::new(bytes, mode))))
                }
                SeenNode::Dir { mode } => Node::Dir { mode, children: Dir::new() },
                SeenNode::Link(target) => Node::Link(target),
            };
            tree.insert(path, node).expect("its parent came before");
        }
        tree
    }
}

fn look(dir: &Dir, prefix: &str, version: &dyn Fn(&FileState) -> Vec<u8>, seen: &mut Seen) {
    for (name, node) in dir {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        match node {
            Node::File(content) => {
                let file = content.borrow();
                seen.insert(path, SeenNode::File { bytes: version(&file), mode: file.mode });
            }
            Node::Link(target) => {
                seen.insert(path, SeenNode::Link(target.clone()));
            }
            Node::Dir { mode, children } => {
                seen.insert(path.clone(), SeenNode::Dir { mode: *mode });
                look(children, &path, version, seen);
            }
        }
    }
}

/// Writes as pwrite(2): a gap reads as zeros.
pub(super) fn write(content: &Content, offset: u64, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let mut file = content.borrow_mut();
    let old = file.change();
    let end = offset as usize + bytes.len();
    if old.len() < end {
        old.resize(end, 0);
    }
    old[offset as usize..end].copy_from_slice(bytes);
}
