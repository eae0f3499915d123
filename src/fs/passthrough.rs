//! Which open files the kernel reads from the disk, and writes to it, by itself.
//!
//! A file that has a plain copy, or is begun anew, is handed to the kernel when it is opened: reading, writing and mapping it
//! then never asks this process. The kernel fixes for each inode how it is read, from its first opening to its last release: through this
//! process, or from one backing file. An opening that asked for another way would fail, so each follows those before it.
//!
//! `B` stands for the kernel's registration of a backing file; dropping it takes it back, which must not be before the
//! last release.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How the open inodes are read.
#[derive(Debug)]
pub(super) struct Passthrough<B> {
    /// Whether the kernel does not do it, or not for this user.
    is_refused: AtomicBool,
    open: Mutex<Open<B>>,
}

#[derive(Debug)]
struct Open<B> {
    inodes: HashMap<u64, Inode<B>>,
    /// Of each open handle, its inode.
    handles: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Inode<B> {
    handles: u32,
    backing: Decision<B>,
}

/// What an inode is read from: decided by whoever opens it first, while others who open the same one wait.
type Decision<B> = Arc<OnceLock<Option<Arc<B>>>>;

impl<B> Default for Passthrough<B> {
    fn default() -> Self {
        let open = Open { inodes: HashMap::new(), handles: HashMap::new() };
        Self { is_refused: AtomicBool::new(false), open: Mutex::new(open) }
    }
}

impl<B> Passthrough<B> {
    /// One where everything is read and written through this process.
    pub fn off() -> Self {
        Self { is_refused: AtomicBool::new(true), ..Self::default() }
    }

    /// Notes that an inode is being opened, and says which backing file it is read from and written to, if it is.
    /// `register` is called for the first opening of an inode only; it may ask the disk, so others are not kept waiting.
    pub fn enter(
        &self,
        ino: u64,
        handle: u64,
        register: Option<impl FnOnce() -> io::Result<B>>,
    ) -> Option<Arc<B>> {
        let decision = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let Open { inodes, handles } = &mut *open;
            handles.insert(handle, ino);
            let inode = inodes.entry(ino).or_insert_with(|| Inode { handles: 0, backing: Arc::default() });
            inode.handles += 1;
            Arc::clone(&inode.backing)
        };
        let decide = || {
            let register = register.filter(|_| !self.is_refused.load(Ordering::Relaxed))?;
            let registered = register();
            if registered.as_ref().is_err_and(is_refusal) {
                self.is_refused.store(true, Ordering::Relaxed);
            }
            registered.ok().map(Arc::new)
        };
        decision.get_or_init(decide).clone()
    }

    /// Notes that the kernel released a handle.
    pub fn leave(&self, handle: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ino) = open.handles.remove(&handle) else { return };
        let is_last = open.inodes.get_mut(&ino).is_some_and(|inode| {
            inode.handles -= 1;
            inode.handles == 0
        });
        let ended = is_last.then(|| open.inodes.remove(&ino));
        drop(open);
        // Taking a registration back asks the kernel, so under no lock.
        drop(ended);
    }
}

/// Whether it will be the same next time: this kernel does not do it, not for this user, or not with the file system
/// that the repository is on.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOTTY | libc::ELOOP))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Register = fn() -> io::Result<u8>;

    #[test]
    fn an_inode_is_read_one_way_from_its_first_opening_to_its_last_release() {
        let passthrough = Passthrough::default();
        assert_eq!(passthrough.enter(1, 10, None::<Register>), None);
        assert_eq!(passthrough.enter(1, 11, Some(|| Ok(7))), None, "it is read through us");
        passthrough.leave(10);
        assert_eq!(passthrough.enter(1, 12, Some(|| Ok(7))), None);
        passthrough.leave(11);
        passthrough.leave(12);
        assert_eq!(passthrough.enter(1, 13, Some(|| Ok(7))).as_deref(), Some(&7));
        assert_eq!(passthrough.enter(1, 14, Some(|| Ok(8))).as_deref(), Some(&7), "one backing file");
        assert_eq!(passthrough.enter(1, 15, None::<Register>).as_deref(), Some(&7));
        assert_eq!(passthrough.enter(2, 16, Some(|| Ok(9))).as_deref(), Some(&9));
    }

    #[test]
    fn a_registration_lives_until_the_last_release() {
        let passthrough = Passthrough::default();
        let backing = passthrough.enter(1, 10, Some(|| Ok(7))).map(|backing| Arc::downgrade(&backing));
        passthrough.enter(1, 11, None::<Register>);
        passthrough.leave(10);
        assert!(backing.as_ref().unwrap().upgrade().is_some());
        passthrough.leave(11);
        assert!(backing.unwrap().upgrade().is_none());
    }

    #[test]
    fn a_kernel_that_refused_once_is_not_asked_again() {
        let passthrough: Passthrough<u8> = Passthrough::default();
        assert_eq!(passthrough.enter(1, 10, Some(|| Err(io::Error::from_raw_os_error(libc::EPERM)))), None);
        passthrough.leave(10);
        let asked = AtomicBool::new(false);
        let register = || {
            asked.store(true, Ordering::Relaxed);
            Ok(7)
        };
        assert_eq!(passthrough.enter(1, 11, Some(register)), None);
        assert!(!asked.load(Ordering::Relaxed));
    }

    #[test]
    fn while_one_file_is_asked_about_others_are_opened_and_closed() {
        let passthrough = Passthrough::default();
        let (begun, go_on) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| {
                let register = || {
                    begun.wait();
                    go_on.wait();
                    Ok(7)
                };
                passthrough.enter(1, 10, Some(register)).as_deref().copied()
            });
            begun.wait();
            assert_eq!(passthrough.enter(2, 20, Some(|| Ok(8))).as_deref(), Some(&8));
            passthrough.leave(20);
            let same = scope.spawn(|| passthrough.enter(1, 11, None::<Register>).as_deref().copied());
            go_on.wait();
            assert_eq!((slow.join().unwrap(), same.join().unwrap()), (Some(7), Some(7)));
        });
    }

    #[test]
    fn handles_of_other_files_are_nothing_to_it() {
        Passthrough::<u8>::default().leave(3);
    }
}
