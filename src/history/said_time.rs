//! Instants as people say them.

use crate::units::Timestamp;
use jiff::{Span, Timestamp as Instant, Zoned, civil};

/// An instant as people say it: `now`, `yesterday`, `2.hours.ago`, `3 days ago`, `2026-11-23`, `2026-11-23 07:31`,
/// RFC 3339. Days without a zone are UTC.
pub fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let words = text.replace('.', " ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let now_utc = Instant::new(now.seconds, now.nanoseconds as i32).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let said = match words.as_slice() {
        ["now"] => Some(now_utc),
        ["today"] => now_utc.start_of_day().ok(),
        ["yesterday"] => now_utc.checked_sub(Span::new().days(1)).ok(),
        [count, unit, "ago"] => now_utc.checked_sub(span(count.parse().ok()?, unit)?).ok(),
        _ => parse_date(text),
    };
    let instant = said?.timestamp();
    Some(Timestamp { seconds: instant.as_second(), nanoseconds: 0 })
}

fn span(count: i64, unit: &str) -> Option<Span> {
    let span = Span::new();
    match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => span.try_seconds(count),
        "minute" => span.try_minutes(count),
        "hour" => span.try_hours(count),
        "day" => span.try_days(count),
        "week" => span.try_weeks(count),
        "month" => span.try_months(count),
        "year" => span.try_years(count),
        _ => return None,
    }
    .ok()
}

fn parse_date(text: &str) -> Option<Zoned> {
    if let Ok(instant) = text.parse::<Instant>() {
        return Some(instant.to_zoned(jiff::tz::TimeZone::UTC));
    }
    let day_and_time = text.parse::<civil::DateTime>().ok()?;
    day_and_time.to_zoned(jiff::tz::TimeZone::UTC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_people_say() {
        let now = Timestamp { seconds: 1_700_000_000, nanoseconds: 0 };
        let seconds = |text| parse_time(text, now).map(|time| time.seconds);
        assert_eq!(seconds("now"), Some(1_700_000_000));
        assert_eq!(seconds("yesterday"), Some(1_700_000_000 - 86_400));
        assert_eq!(seconds("2.hours.ago"), Some(1_700_000_000 - 7_200));
        assert_eq!(seconds("1 week ago"), Some(1_700_000_000 - 7 * 86_400));
        assert_eq!(seconds("2023-11-14"), Some(1_699_920_000));
        assert_eq!(seconds("2023-11-14T22:13:20Z"), Some(1_700_000_000));
        for nonsense in ["", "soon", "x.days.ago", "99999999999999.years.ago", "3 blinks ago"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
