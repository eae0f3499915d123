//! Who waits for an answer that takes long, and whether a signal wants them to stop waiting.
//!
//! The kernel lets nobody go whose request is at work, not even who is killed, unless the answer comes; it would tell of
//! signals, but the library that speaks with it does not listen. So the system is asked what waits for the thread: a signal
//! that kills, or one by which people end what they started.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::task::Stop;

use super::completion::read_at_once;

/// So often the system is asked.
const LOOK: Duration = Duration::from_millis(50);

/// One thread that waits.
#[derive(Debug)]
pub(super) struct Asker {
    /// Its number, as the kernel gives it; 0 if it is one of another namespace, of which nothing is known.
    thread: u32,
    looked: Mutex<Looked>,
}

#[derive(Debug)]
struct Looked {
    last: Option<Instant>,
    is_ending: bool,
}

impl Asker {
    /// The thread with this number.
    pub fn of_thread(thread: u32) -> Self {
        Self { thread, looked: Mutex::new(Looked { last: None, is_ending: false }) }
    }
}

impl Stop for Asker {
    fn is_asked(&self) -> bool {
        // Whoever finds another one looking is told the next time.
        let Ok(mut looked) = self.looked.try_lock() else { return false };
        if !looked.is_ending && self.thread != 0 && looked.last.is_none_or(|last| last.elapsed() >= LOOK) {
            // Who is gone waits for nothing; that is told here as well.
            let status = read_at_once(&format!("/proc/{}/status", self.thread)).unwrap_or_default();
            looked.is_ending = is_to_end(&status);
            looked.last = Some(Instant::now());
        }
        looked.is_ending
    }
}

/// Whether a signal waits for a thread with this `/proc/PID/status` (proc_pid_status(5)) by which somebody wants it to end.
fn is_to_end(status: &str) -> bool {
    const ENDING: [libc::c_int; 5] =
        [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM];
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.strip_prefix(':')?.trim(), 16).ok()
    };
    let of = |name| set(name).unwrap_or_default();
    let waiting = (of("SigPnd") | of("ShdPnd")) & !of("SigBlk");
    ENDING.iter().any(|signal| waiting & (1 << (signal - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(own: u64, shared: u64, blocked: u64) -> String {
        format!(
            "Name:\tsh\nSigQ:\t0/95\nSigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\n"
        )
    }

    #[test]
    fn only_signals_that_end_and_are_not_blocked_count() {
        let (interrupt, kill, child, alarm) = (1 << 1, 1 << 8, 1 << 16, 1 << 13);
        assert!(is_to_end(&status(kill, 0, 0)) && is_to_end(&status(0, interrupt, 0)));
        assert!(is_to_end(&status(kill, interrupt, interrupt)));
        assert!(!is_to_end(&status(0, interrupt, interrupt)));
        assert!(!is_to_end(&status(child, alarm, 0)));
        for nonsense in ["", "SigPnd:", "SigPnd:\tx\nShdPnd", "SigPndX:\t1ff"] {
            assert!(!is_to_end(nonsense));
        }
    }

    #[test]
    fn who_is_not_known_is_waited_for() {
        assert!(!Asker::of_thread(0).is_asked());
        assert!(!Asker::of_thread(std::process::id()).is_asked());
    }
}
