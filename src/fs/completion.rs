//! When a file that was written is complete: when its last writer is gone for good, not when somebody closes a
//! descriptor.
//!
//! close(2) comes as two requests: FLUSH, which it waits for, and, when no descriptor of that opening is left anywhere, and
//! no mapping unless the kernel writes by itself, RELEASE, which nobody waits for. A child that a writer forked sends the first alone. So FLUSH only
//! says that RELEASE may follow; it says as well whether the process was being killed, which RELEASE does not. Who wants to
//! know what is complete after a close that returned waits for the RELEASE, but not for long: it is on its way already
//! when close(2) returns.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after a FLUSH its RELEASE is waited for. It takes microseconds on an idle machine; if it never comes,
/// somebody else still has the file open.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what a RELEASE has to do is waited for: it may sync a file, or copy one.
const RELEASING: Duration = Duration::from_secs(600);

/// How whoever closes a descriptor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closer {
    /// The process that opened the file closes of its own accord, or ends so.
    Opener,
    /// Another process does, which was given the descriptor; or it is not known which one it is.
    Other,
    /// A signal is ending it: what it wrote may be half of what it meant to write.
    Killed,
}

impl Closer {
    /// What the kernel knows of the thread with this number, which is waiting for the answer to its FLUSH of a file that another
    /// thread, or the same, opened.
    ///
    /// A thread that executes another program closes descriptors while it holds a lock (`exec_update_lock`) that reading
    /// its `stat` takes: it would wait for us, and we for it. One that ends has given its memory back before it closes
    /// anything, and does not hold that lock; reading `status`, which tells, takes none.
    pub fn of_thread(thread: u32, opener: u32) -> Self {
        // A thread that cannot be seen is one of another namespace, or the kernel's own.
        let read = |name| read_at_once(&format!("/proc/{thread}/{name}")).unwrap_or_default();
        let status = read("status");
        match has_memory(&status) || !dies_by_signal(&read("stat")) {
            true if is_of_process(opener, process_of(&status)) => Closer::Opener,
            true => Closer::Other,
            false => Closer::Killed,
        }
    }
}

/// The text of a file of `/proc`, whose length nobody knows before: each reading of it costs the kernel all of it, and
/// everybody who closes a file waits for it.
pub(super) fn read_at_once(path: &str) -> io::Result<String> {
    /// More than any such file has; where it has more, the rest is read as well.
    const USUAL: usize = 8 << 10;
    let mut file = File::open(path)?;
    let mut text = vec![0; USUAL];
    let len = file.read(&mut text)?;
    text.truncate(len);
    if len == USUAL {
        file.read_to_end(&mut text)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether `/proc/PID/status` (proc_pid_status(5)) is of a thread that has memory, so that it does not end.
fn has_memory(status: &str) -> bool {
    status.lines().any(|line| line.starts_with("VmSize:"))
}

/// The process of a thread, as its `/proc/PID/status` says.
fn process_of(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// Whether a thread is one of a process.
fn is_of_process(thread: u32, process: Option<u32>) -> bool {
    process.is_some_and(|process| {
        thread == process || Path::new(&format!("/proc/{process}/task/{thread}")).exists()
    })
}

/// Whether a line of `/proc/PID/stat` (proc_pid_stat(5)) is of a thread that a signal is ending.
///
/// That PF_SIGNALED is set is not enough: it is set as well in threads that end because another one called exit(2).
fn dies_by_signal(stat: &str) -> bool {
    /// `PF_SIGNALED` of the kernel's `sched.h`: killed by a signal.
    const SIGNALED: u64 = 0x400;
    /// The bits of a wait status that hold the signal's number.
    const SIGNAL: u64 = 0x7f;
    // The second field is a name in parentheses that may have anything in it; the third is the first after it.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    let (flags, exit_code) = (field(9).unwrap_or_default(), field(52).unwrap_or_default());
    flags & SIGNALED != 0 && exit_code & SIGNAL != 0
}

/// Openings of files for writing, of which a descriptor was closed and that may be released any moment.
#[derive(Debug)]
pub(super) struct Closings {
    until: Mutex<HashMap<u64, Instant>>,
    changed: Condvar,
    last: AtomicU64,
    patience: Duration,
}

impl Default for Closings {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

impl Closings {
    fn with_patience(patience: Duration) -> Self {
        Self { until: Mutex::default(), changed: Condvar::new(), last: AtomicU64::new(0), patience }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for an opening that has none yet.
    pub fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed)
    }

    /// A descriptor of this opening was closed.
    pub fn note(&self, opening: u64) {
        self.lock().insert(opening, Instant::now() + self.patience);
    }

    /// Whether the word of an opening's release may still be on its way. Whose descriptor was closed longer ago is held open by
    /// somebody else.
    pub fn is_awaited(&self, opening: u64) -> bool {
        self.lock().get(&opening).is_some_and(|until| Instant::now() < *until)
    }

    /// The opening is being released: its end is sure to come.
    pub fn releasing(&self, opening: u64) {
        self.lock().insert(opening, Instant::now() + RELEASING);
    }

    /// The opening is released, or written on: nothing more is to be waited for.
    pub fn end(&self, opening: u64) {
        self.lock().remove(&opening);
        self.changed.notify_all();
    }

    /// Waits until what is closing now is released, or must be held for open by somebody else: as long as one after the
    /// other is released, the rest are on their way.
    pub fn wait(&self) {
        self.wait_at_most(Duration::MAX);
    }

    /// The same, but no longer than so.
    pub fn wait_at_most(&self, longest: Duration) {
        let end = Instant::now().checked_add(longest);
        let mut until = self.lock();
        let mut awaited: Vec<u64> = until.keys().copied().collect();
        let mut on_their_way = None;
        loop {
            let before = awaited.len();
            awaited.retain(|opening| until.contains_key(opening));
            let now = Instant::now();
            if awaited.len() < before {
                on_their_way = Some(now + self.patience);
            }
            let deadline = awaited.iter().filter_map(|opening| until.get(opening)).max().copied();
            let deadline = deadline.max(on_their_way);
            if end.is_some_and(|end| now >= end) {
                return;
            }
            let rest = deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(now));
            if awaited.is_empty() || rest.is_zero() {
                for opening in &awaited {
                    until.remove(opening);
                }
                return;
            }
            let rest = end.map_or(rest, |end| rest.min(end.saturating_duration_since(now)));
            until = self.changed.wait_timeout(until, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn stat(flags: u64, exit_code: u64) -> String {
        let mut fields = vec!["0".to_owned(); 50];
        fields[9 - 3] = flags.to_string();
        fields[52 - 3] = exit_code.to_string();
        format!("123 (a) b (c) {}\n", fields.join(" "))
    }

    #[test]
    fn only_a_death_by_signal_is_a_killing() {
        assert!(dies_by_signal(&stat(0x40_0404, 9)));
        assert!(dies_by_signal(&stat(0x404, 11 | 0x80)));
        // A thread of a process that called exit(3).
        assert!(!dies_by_signal(&stat(0x404, 3 << 8)));
        assert!(!dies_by_signal(&stat(0x4, 0)));
        assert!(has_memory("Name:\tsh\nVmSize:\t    4000 kB\n") && !has_memory("Name:\tVmSize:\n"));
        for nonsense in ["", "1 (x) R", "no parentheses at all"] {
            assert!(!dies_by_signal(nonsense));
        }
    }

    #[test]
    fn a_thread_that_runs_closes_of_its_own_accord() {
        let process = std::process::id();
        assert_eq!(Closer::of_thread(process, process), Closer::Opener);
        // A thread of this process, whose number is not the process's.
        let read_link = std::fs::read_link("/proc/thread-self").expect("a thread");
        let thread: u32 =
            read_link.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
        assert_ne!(thread, process);
        assert_eq!(Closer::of_thread(process, thread), Closer::Opener);
        assert_eq!(Closer::of_thread(thread, process), Closer::Opener);
        assert_eq!(Closer::of_thread(process, 1), Closer::Other);
        assert_eq!(Closer::of_thread(0, 0), Closer::Other);
    }

    #[test]
    fn a_release_ends_the_wait_for_it() {
        let closings = Closings::default();
        closings.wait();
        closings.note(1);
        closings.note(2);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| closings.wait());
            closings.end(1);
            closings.end(2);
            waiter.join().unwrap();
        });
        assert!(closings.lock().is_empty());
    }

    #[test]
    fn what_is_never_released_is_not_waited_for_twice() {
        let closings = Closings::with_patience(Duration::from_millis(1));
        closings.note(1);
        closings.wait();
        assert!(closings.lock().is_empty() && !closings.is_awaited(1));
        let patient = Closings::default();
        patient.note(1);
        assert!(patient.is_awaited(1) && !patient.is_awaited(2));
    }
}
