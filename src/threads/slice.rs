//! How the scheduler deals with a thread: what answers somebody runs at once for a moment, what computes runs long.
//!
//! Neither takes a larger share of the processors. Linux's scheduler gives each thread its share in slices, and lets the
//! one run first whose slice ends first (EEVDF: I. Stoica and H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First",
//! 1995); since 6.12 a thread may choose the length of its own (`sched_runtime`, sched_setattr(2)). Before that, and
//! where it is forbidden, nothing changes.

use std::io;
use std::time::Duration;

/// For threads that answer: the shortest that Linux takes.
const BRIEF: Duration = Duration::from_micros(100);
/// For threads that compute: several times what everybody has unasked (some 3 ms), so that those come first as well.
const LONG: Duration = Duration::from_millis(12);

/// Lets this thread, and those that it starts, run before others that compute whenever it has something to do.
pub fn answer_at_once() {
    // A wish: without it, it takes its turn among the others.
    let _ = set(BRIEF);
}

/// Lets others come before this thread whenever they have something to do.
pub fn compute_at_length() {
    // A wish: without it, others wait a little longer.
    let _ = set(LONG);
}

/// Sets the length of this thread's slices, and leaves the rest as it is.
fn set(slice: Duration) -> io::Result<()> {
    let mut attributes = get()?;
    if !matches!(attributes.sched_policy.cast_signed(), libc::SCHED_OTHER | libc::SCHED_BATCH) {
        return Ok(());
    }
    attributes.sched_runtime = slice.as_nanos() as u64;
    // SAFETY: thread 0 is the calling one, and the kernel reads as many bytes as the structure says it has.
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How this thread is scheduled.
fn get() -> io::Result<libc::sched_attr> {
    // SAFETY: the structure consists of integers, for which all bits zero are a value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let len = size_of::<libc::sched_attr>();
    // SAFETY: thread 0 is the calling one, and the kernel writes at most `len` bytes, which the structure has.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, len, 0) };
    if got == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_length_of_the_slices_changes() {
        let before = get().unwrap();
        answer_at_once();
        let brief = get().unwrap();
        compute_at_length();
        let long = get().unwrap();
        for after in [brief, long] {
            assert_eq!(after.sched_policy, before.sched_policy);
            assert_eq!(after.sched_nice, before.sched_nice);
        }
        // Older kernels have one length for all, and say 0.
        if before.sched_runtime != 0 {
            assert_eq!(u128::from(brief.sched_runtime), BRIEF.as_nanos());
            assert_eq!(u128::from(long.sched_runtime), LONG.as_nanos());
        }
    }
}
