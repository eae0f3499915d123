//! What the system lets this process have: descriptors and address space.

use std::io;
use std::ptr;

/// Lets this process have as many descriptors as it may: each file that is open in a worktree takes one of the daemon's.
/// Where it cannot be raised the limit stays; whoever meets it hears of it then.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is initialised and outlives the call.
        let _ = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    }
}

/// Address space that nothing else can take until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    start: *mut libc::c_void,
    len: usize,
}

/// Reserves so many bytes of address space; they take no memory.
///
/// # Errors
/// If the process may not have so much.
pub(super) fn reserve_memory(len: usize) -> io::Result<Reserved> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
    match start {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        start => Ok(Reserved { start, len }),
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nobody else knows its address.
        let _ = unsafe { libc::munmap(self.start, self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_address_space_than_there_is_is_refused() {
        assert!(reserve_memory(1 << 20).is_ok());
        assert!(reserve_memory(1 << 60).is_err());
    }
}
