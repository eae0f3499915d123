//! Instants as people write and say them.

use crate::history::Signature;
use crate::units::Timestamp;
use jiff::Timestamp as Instant;
use jiff::tz::{Offset, TimeZone};

/// How dates are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateStyle {
    /// `2026-11-23 07:31:04 +0100`, where it was said.
    Iso,
    /// The same, where somebody reads it.
    Local,
    /// `2026-11-23`.
    Short,
    /// Seconds since 1970.
    Unix,
    /// `3 hours ago`, from this instant.
    Relative(Timestamp),
}

impl DateStyle {
    /// The style of this name.
    pub fn from_name(name: &str, now: Timestamp) -> Option<Self> {
        Some(match name {
            "iso" | "default" => Self::Iso,
            "local" => Self::Local,
            "short" => Self::Short,
            "unix" | "raw" => Self::Unix,
            "relative" => Self::Relative(now),
            _ => return None,
        })
    }
}

/// When somebody did something.
pub fn styled(who: &Signature, style: DateStyle) -> String {
    match style {
        DateStyle::Iso => date(who.time, who.offset_minutes),
        DateStyle::Local => date(who.time, local_offset(who.time)),
        DateStyle::Short => date(who.time, who.offset_minutes)[..10].to_owned(),
        DateStyle::Unix => who.time.seconds.to_string(),
        DateStyle::Relative(now) => ago(now.seconds.saturating_sub(who.time.seconds)),
    }
}

/// So many seconds ago.
fn ago(seconds: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (7 * 86_400, "week"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    if seconds < 0 {
        return "in the future".into();
    }
    let (length, unit) = UNITS.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "second"));
    let count = seconds / length;
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// `2026-11-23 07:31:04 +0100`, where it was said.
pub fn date(time: Timestamp, offset_minutes: i16) -> String {
    zoned(time, offset_minutes).strftime("%Y-%m-%d %H:%M:%S %z").to_string()
}

/// `2026-11-23T07:31:04+01:00`, where it was said.
pub fn rfc3339_there(time: Timestamp, offset_minutes: i16) -> String {
    zoned(time, offset_minutes).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn zoned(time: Timestamp, offset_minutes: i16) -> jiff::Zoned {
    let instant = Instant::from_second(time.seconds).unwrap_or(Instant::UNIX_EPOCH);
    let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).unwrap_or(Offset::UTC);
    instant.to_zoned(TimeZone::fixed(offset))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_it_was_is_said_in_the_largest_unit() {
        let said = [0, 1, 59, 60, 7_199, 86_400, 8 * 86_400, 45 * 86_400, 800 * 86_400, -5].map(ago);
        assert_eq!(
            said,
            [
                "0 seconds ago",
                "1 second ago",
                "59 seconds ago",
                "1 minute ago",
                "1 hour ago",
                "1 day ago",
                "1 week ago",
                "1 month ago",
                "2 years ago",
                "in the future"
            ]
        );
    }
}
