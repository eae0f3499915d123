//! Whether the standard output was closed when the process began.
//!
//! Before `main`, Rust's runtime puts /dev/null in the place of a standard stream that is closed, so that whatever is printed
//! seems to be written. Whoever closed it would take a command that could say nothing for one that did. What the descriptor was
//! is looked at by a function that the loader calls before the runtime (System V ABI, initialization functions).

use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the loader calls what stands in this section, each once, with the arguments of `main`, which a C function may leave
// alone. It needs nothing that the runtime prepares.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: asks for the flags of a descriptor, which changes nothing, whether it is open or not.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

/// Whether nobody hears what is printed.
pub fn stdout_was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}
