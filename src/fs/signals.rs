//! The signals that ask a daemon to stop, as a blocking wait instead of a handler.
//!
//! Call [`block_stop_signals`] before the first thread is started, so that every thread inherits the mask and only
//! [`wait_for_stop_signal`] ever receives one. A signal that was ignored when the process began stays ignored: so does
//! nohup(1) ask for it.

use std::io;
use std::mem::MaybeUninit;

const STOP: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Keeps SIGINT, SIGTERM and SIGHUP from ending this thread and all that it starts.
///
/// # Errors
/// What pthread_sigmask(3) says.
pub fn block_stop_signals() -> io::Result<()> {
    let set = stop_set();
    // SAFETY: `set` is initialised, and no old mask is asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Waits for SIGINT, SIGTERM or SIGHUP and returns its number.
///
/// # Errors
/// What sigwait(3) says.
pub fn wait_for_stop_signal() -> io::Result<i32> {
    let set = stop_set();
    let mut signal = 0;
    // SAFETY: `set` is initialised and `signal` is a valid place for the result.
    match unsafe { libc::sigwait(&set, &mut signal) } {
        0 => Ok(signal),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

fn stop_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; the signal numbers are valid, so sigaddset cannot fail.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in STOP.into_iter().filter(|signal| !is_ignored(*signal)) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Whether a signal is ignored. One that is blocked as well would be received all the same.
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: nothing is set, and `action` is a valid place for what is; it is initialised if the call succeeds.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
