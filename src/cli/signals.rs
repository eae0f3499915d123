//! Signals that end a command: the first asks what takes long to end cleanly, the next one ends the process at once.

use crate::task::Stop;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, Ordering};

/// Ctrl-C, and what ends jobs and sessions.
const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// The signal that came; 0 if none did. A process runs one command.
static CAME: AtomicI32 = AtomicI32::new(0);

extern "C" fn remember(signal: i32) {
    CAME.store(signal, Ordering::Relaxed);
}

/// Stops tasks when a signal came.
#[derive(Debug, Clone, Copy)]
pub struct Signals(());

impl Signals {
    /// Catches signals from now on, each of them once. Those that are ignored, as with `nohup`, stay so.
    pub fn catch() -> Self {
        for signal in SIGNALS {
            let mut before = MaybeUninit::<libc::sigaction>::uninit();
            // SAFETY: with no new action the call only fills `before`, which is as large as it writes.
            let known = unsafe { libc::sigaction(signal, std::ptr::null(), before.as_mut_ptr()) } == 0;
            // SAFETY: it was filled if the call succeeded.
            if !known || unsafe { before.assume_init() }.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            // SAFETY: all bits zero are a value of it: no flags, an empty mask.
            let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
            action.sa_sigaction = remember as extern "C" fn(i32) as usize;
            // Whatever waits goes on waiting. The second one finds the default, which ends the process.
            action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
            // SAFETY: the handler stores into an atomic number, which is async-signal-safe; `action` outlives the call.
            // If it cannot be caught, it ends the process at once.
            let _ = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        }
        Self(())
    }

    /// Those that come once somebody catches them; until then they end the process by themselves.
    pub fn heard() -> Self {
        Self(())
    }
}

impl Stop for Signals {
    fn is_asked(&self) -> bool {
        CAME.load(Ordering::Relaxed) != 0
    }
}

/// What a process ends with that a signal stopped: 128 and its number, as shells have it.
pub fn exit_code() -> u8 {
    let signal = match CAME.load(Ordering::Relaxed) {
        0 => libc::SIGINT,
        signal => signal,
    };
    u8::try_from(128 + signal).unwrap_or(1)
}
