//! Everything that can be seen of a mount, in the reference's words.

use super::super::attr::{Attr, Kind};
use super::reference::{Seen, SeenNode};
use super::world::{World, open_mode};

impl World {
    pub(super) fn read(&self, handle: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let mut part = [0; 33];
            let len = self
                .core()
                .opened(handle)
                .expect("open")
                .read(bytes.len() as u64, &mut part)
                .expect("readable");
            bytes.extend(&part[..len]);
            if len < part.len() {
                return bytes;
            }
        }
    }

    /// Everything below a directory of the mount.
    pub(super) fn look(&self, top: &str) -> Seen {
        let mut seen = Seen::new();
        let inos = self.walk(top).unwrap_or_else(|code| panic!("{top}: errno {code}"));
        self.look_into(*inos.last().expect("below the root"), "", &mut seen);
        self.forget(&inos);
        seen
    }

    fn look_into(&self, ino: u64, prefix: &str, seen: &mut Seen) {
        let (handle, _) = self.core().open_dir(ino).expect("a directory");
        let listing = self.core().listing(handle, 0).expect("open");
        for (_, entry) in listing.from(0) {
            let listed = self.core().lookup_listed(ino, &entry).expect("listed");
            let (attr, _) = listed.expect("nobody removes it");
            let kind = entry.kind();
            assert_eq!(attr.kind, kind);
            let name = String::from_utf8(entry.name.clone()).expect("our names are text");
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            seen.insert(path.clone(), self.look_at(&attr));
            if kind == Kind::Dir {
                self.look_into(attr.ino, &path, seen);
            }
            self.core().forget(attr.ino, 1);
        }
        self.core().release(handle);
    }

    fn look_at(&self, attr: &Attr) -> SeenNode {
        match attr.kind {
            Kind::Dir => SeenNode::Dir { mode: attr.mode },
            Kind::Symlink => {
                let target = self.core().readlink(attr.ino).expect("a link");
                assert_eq!(target.len() as u64, attr.len);
                SeenNode::Link(String::from_utf8(target).expect("our targets are text"))
            }
            Kind::File => {
                let opened = self.core().open(attr.ino, open_mode(false)).expect("readable");
                let bytes = self.read(opened.handle);
                self.core().release(opened.handle);
                assert_eq!(bytes.len() as u64, attr.len);
                SeenNode::File { bytes, mode: attr.mode }
            }
        }
    }
}
