//! Quantities with their unit in the type: instants and byte counts.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant as files record it: nanoseconds since 1970-01-01 00:00 UTC, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded towards the past.
    pub seconds: i64,
    /// The rest, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// 1970-01-01 00:00 UTC.
    pub const EPOCH: Timestamp = Timestamp { seconds: 0, nanoseconds: 0 };

    /// The instant as the standard library's clock time; instants out of its range become the epoch.
    pub fn to_system_time(self) -> SystemTime {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let second = match self.seconds {
            0.. => UNIX_EPOCH.checked_add(whole),
            _ => UNIX_EPOCH.checked_sub(whole),
        };
        second
            .and_then(|at| at.checked_add(Duration::from_nanos(self.nanoseconds.into())))
            .unwrap_or(UNIX_EPOCH)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanoseconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        Self {
            seconds: nanoseconds.div_euclid(1_000_000_000) as i64,
            nanoseconds: nanoseconds.rem_euclid(1_000_000_000) as u32,
        }
    }
}

/// A number of bytes that prints for people: three significant digits, powers of 1024 (`12.4 MiB`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        // 999.5 and more would print as 1000.
        while value >= 999.5 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let decimals = match value {
            _ if unit == 0 => 0,
            small if small < 9.995 => 2,
            medium if medium < 99.95 => 1,
            _ => 0,
        };
        f.pad(&format!("{value:.decimals$} {}", UNITS[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_1970_keep_their_nanoseconds() {
        let time = UNIX_EPOCH - Duration::from_nanos(1);
        let stamp = Timestamp::from(time);
        assert_eq!(stamp, Timestamp { seconds: -1, nanoseconds: 999_999_999 });
        assert_eq!(stamp.to_system_time(), time);
    }

    #[test]
    fn byte_sizes_print_three_digits() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1023, "1.00 KiB"), (1 << 20, "1.00 MiB"), (150 << 30, "150 GiB")]
        {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
