//! Whoever changes a name lets others look while it reads what was there from the history.

use super::*;
use crate::disk::Hooked;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Something that is done in the top directory, and what it is called.
type Change = (&'static str, fn(&Tenant) -> Result<()>);

const TOP: NodeId = NodeId::ROOT;

const CHANGES: [Change; 6] = [
    ("make a directory", |tree| tree.names().make_dir(TOP, &name("new"), 0o755, at(3)).map(drop)),
    ("make a link", |tree| tree.names().make_symlink(TOP, &name("new"), b"a", at(3)).map(drop)),
    ("create", |tree| tree.create(TOP, &name("new"), 0o644, at(3)).map(drop)),
    ("unlink", |tree| tree.names().unlink(TOP, &name("a"), at(3))),
    ("remove a directory", |tree| tree.names().remove_dir(TOP, &name("empty"), at(3))),
    ("rename", |tree| {
        tree.names().rename((TOP, &name("a")), (TOP, &name("new")), RenameMode::Replace, at(3))
    }),
];

#[test]
fn no_directory_of_the_history_is_read_while_others_cannot_look() {
    let (disk, repo) = create();
    let worktree = tenant(&repo);
    worktree.names().make_dir(TOP, &name("empty"), 0o755, at(1)).expect("mkdir");
    worktree.names().make_dir(TOP, &name("d"), 0o755, at(1)).expect("mkdir");
    save(&worktree, "a", b"a", 1);
    save(&worktree, "d/b", b"b", 1);
    worktree.commit(&request("first", 1), &Task::default()).expect("commit");
    drop(worktree);
    // The next one begins with nothing but the commit.
    still::Still::hold(&repo, &main()).expect("hold").expect("there").delete().expect("delete");
    repo.worktree(&main()).expect("made from the commit");
    for (what, change) in CHANGES {
        let image = disk.crash_image(0);
        let worktree: Arc<OnceLock<Tenant>> = Arc::default();
        let (asked, read) = (Arc::clone(&worktree), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&read);
        let hooked = Hooked::new(&image, move |_, path| {
            if let (Some(worktree), Some("cpk")) =
                (asked.get(), path.extension().and_then(|end| end.to_str()))
            {
                counted.fetch_add(1, Ordering::Relaxed);
                assert!(worktree.is_copy_free(), "{what}: {} is read", path.display());
            }
            Ok(())
        });
        let repo = Repo::open(Arc::new(hooked), Path::new(ROOT), Options::default()).expect("open");
        let worktree = worktree.get_or_init(|| tenant(&repo));
        change(worktree).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(read.load(Ordering::Relaxed) > 0, "{what}: nothing was read");
    }
}
