//! Instants as people read them.

use crate::units::Timestamp;
use jiff::Timestamp as Instant;
use jiff::tz::{Offset, TimeZone};

/// `2026-11-23 07:31:04 +0100`, where it was said.
pub fn date(time: Timestamp, offset_minutes: i16) -> String {
    let instant = Instant::from_second(time.seconds).unwrap_or(Instant::UNIX_EPOCH);
    let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).unwrap_or(Offset::UTC);
    instant.to_zoned(TimeZone::fixed(offset)).strftime("%Y-%m-%d %H:%M:%S %z").to_string()
}

/// `2026-11-23T06:31:04Z`.
pub fn rfc3339(time: Timestamp) -> String {
    Instant::from_second(time.seconds).unwrap_or(Instant::UNIX_EPOCH).to_string()
}

/// Minutes east of UTC here at an instant.
pub fn local_offset(time: Timestamp) -> i16 {
    let instant = Instant::from_second(time.seconds).unwrap_or(Instant::UNIX_EPOCH);
    (TimeZone::system().to_offset(instant).seconds() / 60) as i16
}
