//! What the mount was asked, how often, how long it took to answer, and what went wrong that nobody asked for.
//!
//! Counters cost a few atomic additions a request. A latency counts from when the request was read to its answer, waiting
//! for a thread included; it falls into a bucket by powers of two of a microsecond, from which percentiles are read to
//! within a factor of two.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::quote;
use crate::units::Timestamp;

use super::errno::Error;

/// Buckets of latencies: the last one takes all above 2^30 microseconds, some 18 minutes.
const BUCKETS: usize = 32;
/// Errors that are remembered.
const REMEMBERED: usize = 200;

macro_rules! operations {
    ($($name:ident = $word:literal,)*) => {
        /// What the kernel asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Operation {
            $(#[doc = concat!("`", $word, "`, as fuse(4) has it.")] $name,)*
        }

        impl Operation {
            const ALL: &[(Operation, &str)] = &[$((Operation::$name, $word),)*];

            /// Its name in the protocol.
            pub const fn name(self) -> &'static str {
                Self::ALL[self as usize].1
            }
        }
    };
}

operations! {
    Create = "create",
    Allocate = "fallocate",
    Copy = "copy_file_range",
    Flush = "flush",
    Forget = "forget",
    Sync = "fsync",
    SyncDir = "fsyncdir",
    GetAttr = "getattr",
    GetXattr = "getxattr",
    ListXattr = "listxattr",
    Lookup = "lookup",
    Seek = "lseek",
    MakeDir = "mkdir",
    MakeNode = "mknod",
    Open = "open",
    OpenDir = "opendir",
    Read = "read",
    ReadDir = "readdir",
    ReadDirPlus = "readdirplus",
    ReadLink = "readlink",
    Release = "release",
    ReleaseDir = "releasedir",
    Rename = "rename",
    RemoveDir = "rmdir",
    SetAttr = "setattr",
    StatFs = "statfs",
    SymLink = "symlink",
    Unlink = "unlink",
    Write = "write",
}

/// What the kernel asks, and of what.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub operation: Operation,
    /// The node, or the directory that the name is in.
    pub ino: u64,
    /// The name that is asked for; empty if the node itself is.
    pub name: Vec<u8>,
}

impl Question {
    /// Of a node.
    pub fn of_node(operation: Operation, ino: u64) -> Self {
        Self { operation, ino, name: Vec::new() }
    }

    /// Of a name in a directory.
    pub fn of_name(operation: Operation, directory: u64, name: &[u8]) -> Self {
        Self { operation, ino: directory, name: name.to_vec() }
    }
}

/// All counters of a mount, and its last errors.
#[derive(Debug, Default)]
pub(super) struct Meter {
    counters: [Counter; Operation::ALL.len()],
    errors: Mutex<VecDeque<Seen>>,
}

#[derive(Debug, Default)]
struct Counter {
    failed: AtomicU64,
    /// How many took less than 2^n microseconds and not less than half of that.
    latencies: [AtomicU64; BUCKETS],
}

/// An error that was told to a program.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// When.
    pub at: Timestamp,
    /// What was asked.
    pub operation: Operation,
    /// Of what, as a path from the mount's root.
    pub path: Vec<u8>,
    /// The number that was told.
    pub errno: i32,
    /// What went wrong.
    pub what: String,
}

/// What the counters of one operation say.
#[derive(Debug, Serialize, PartialEq)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub(super) struct Measured {
    /// How many were answered.
    count: u64,
    /// How many of them with an error; that a name is not there is an answer.
    failed: u64,
    /// Half of them took less than so many microseconds.
    p50_us: u64,
    /// 99 of 100 of them took less than so many microseconds.
    p99_us: u64,
    /// All of them took less than so many microseconds.
    max_us: u64,
    /// How many took less than 2^n microseconds and not less than half of that, for each n up to the last that is not 0.
    histogram_us: Vec<u64>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { ".".to_owned() } else { quote::name(&self.path) };
        let told = std::io::Error::from_raw_os_error(self.errno);
        write!(f, "{} {path}: {}: {told}", self.operation.name(), self.what)
    }
}

impl Meter {
    /// Counts an answer that took so long.
    pub fn count(&self, operation: Operation, took: Duration, told: Option<&Error>) {
        let counter = &self.counters[operation as usize];
        let bucket = (u64::BITS - (took.as_micros() as u64).leading_zeros()) as usize;
        counter.latencies[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        counter.failed.fetch_add(u64::from(told.is_some()), Ordering::Relaxed);
    }

    /// Remembers an error; the oldest goes when there are too many.
    pub fn remember(&self, seen: Seen) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() == REMEMBERED {
            errors.pop_front();
        }
        errors.push_back(seen);
    }

    /// The errors that are remembered, the oldest first.
    pub fn errors(&self) -> Vec<Seen> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// What was asked at all, by name.
    pub fn measured(&self) -> BTreeMap<&'static str, Measured> {
        let all = Operation::ALL.iter().zip(&self.counters);
        all.filter_map(|(&(_, name), counter)| Some((name, counter.measured()?))).collect()
    }
}

impl Counter {
    fn measured(&self) -> Option<Measured> {
        let mut histogram: Vec<u64> =
            self.latencies.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        while histogram.last() == Some(&0) {
            histogram.pop();
        }
        let count: u64 = histogram.iter().sum();
        // The first bucket at whose end so many parts of a thousand were answered.
        let below = |parts: u64| {
            let mut seen = 0;
            let bucket = histogram.iter().position(|some| {
                seen += some;
                seen * 1000 >= count * parts
            });
            1 << bucket.unwrap_or_default()
        };
        let (p50_us, p99_us, max_us) = (below(500), below(990), below(1000));
        let failed = self.failed.load(Ordering::Relaxed);
        (count > 0).then_some(Measured { count, failed, p50_us, p99_us, max_us, histogram_us: histogram })
    }
}

/// Whether an error is told to people as well: the program that is answered did not cause it, and may keep it to itself.
pub(super) fn is_trouble(errno: i32) -> bool {
    matches!(
        errno,
        libc::EIO
            | libc::ENOSPC
            | libc::EDQUOT
            | libc::ENOMEM
            | libc::EMFILE
            | libc::ENFILE
            | libc::ESTALE
            | libc::ETIMEDOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_upper_ends_of_buckets() {
        let meter = Meter::default();
        assert!(meter.measured().is_empty());
        for micros in [0, 1, 3, 3, 1000] {
            meter.count(Operation::Read, Duration::from_micros(micros), None);
        }
        meter.count(Operation::Read, Duration::from_secs(1 << 40), Some(&Error::NoEntry));
        let measured = &meter.measured()["read"];
        assert_eq!((measured.count, measured.failed), (6, 1));
        assert_eq!((measured.p50_us, measured.p99_us), (4, 1 << (BUCKETS - 1)));
        assert_eq!(measured.histogram_us[..3], [1, 1, 2]);
        assert_eq!(measured.histogram_us[10], 1);
        assert_eq!(measured.histogram_us.len(), BUCKETS);
    }

    #[test]
    fn errors_that_are_remembered_are_bounded() {
        let meter = Meter::default();
        for errno in 0..REMEMBERED as i32 + 5 {
            let at = Timestamp::EPOCH;
            let (operation, path, what) = (Operation::Write, Vec::new(), String::new());
            meter.remember(Seen { at, operation, path, errno, what });
        }
        let errors = meter.errors();
        assert_eq!((errors.len(), errors[0].errno), (REMEMBERED, 5));
    }

    #[test]
    fn each_operation_has_the_name_at_its_place() {
        for (place, (operation, name)) in Operation::ALL.iter().enumerate() {
            assert_eq!((*operation as usize, operation.name()), (place, *name));
        }
    }
}
