//! Times as the commands write and take them.

use std::time::Duration;

use roadstead_metadata::Timestamp;

/// A time to the minute: `2026-11-29T09:30Z`.
pub(super) fn minute(timestamp: Timestamp) -> String {
    let minutes = timestamp.as_micros().div_euclid(60_000_000);
    let (day, minute) = (minutes.div_euclid(24 * 60), minutes.rem_euclid(24 * 60));
    let (year, month, day) = date(day);
    let (hour, minute) = (minute / 60, minute % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}Z")
}

/// The Gregorian date of a day counted from 1970-01-01. Eras of 400 years have 146,097 days, and a
/// year that begins in March has its leap day last.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// How long something is to last: `90d`, `12h`, `30m`. At most a hundred years.
///
/// # Errors
/// What is expected, for the command line.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let expected = || "a number of days, hours or minutes is expected: 90d, 12h, 30m".to_owned();
    let mut number = text.chars();
    let seconds = match number.next_back() {
        Some('d') => 24 * 60 * 60,
        Some('h') => 60 * 60,
        Some('m') => 60,
        _ => return Err(expected()),
    };
    let digits = number.as_str();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    let seconds = digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(seconds));
    match seconds {
        Some(0) => Err("it would be over at once".to_owned()),
        Some(seconds) if seconds <= SPAN_MAX_SECONDS => Ok(Duration::from_secs(seconds)),
        _ => Err("more than a hundred years; say never for no end".to_owned()),
    }
}

/// An end, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    After(Duration),
}

/// Reads what [`span`] reads, and `never`.
///
/// # Errors
/// As there.
pub(super) fn end(text: &str) -> Result<End, String> {
    if text == "never" {
        return Ok(End::Never);
    }
    span(text).map(End::After)
}

const SPAN_MAX_SECONDS: u64 = 36_525 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00Z"),
            (59, "1970-01-01T00:00Z"),
            (-1, "1969-12-31T23:59Z"),
            (951_782_399, "2000-02-28T23:59Z"),
            (951_782_400, "2000-02-29T00:00Z"),
            (951_868_800, "2000-03-01T00:00Z"),
            (1_700_000_000, "2023-11-14T22:13Z"),
            (4_107_542_400, "2100-03-01T00:00Z"),
        ] {
            let timestamp = Timestamp::from_micros(seconds * 1_000_000);
            assert_eq!(minute(timestamp), expected, "{seconds}");
        }
    }

    #[test]
    fn spans_are_read() {
        let seconds = |text| span(text).map(|span| span.as_secs()).ok();
        for (text, expected) in [
            ("90d", Some(7_776_000)),
            ("12h", Some(43_200)),
            ("1m", Some(60)),
            ("36525d", Some(SPAN_MAX_SECONDS)),
            ("36526d", None),
            ("0d", None),
            ("", None),
            ("d", None),
            ("90", None),
            ("+1d", None),
            ("-1d", None),
            ("1.5d", None),
            ("1é", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        assert_eq!(end("never"), Ok(End::Never));
        assert_eq!(end("1m"), Ok(End::After(Duration::from_secs(60))));
        assert!(end("Never").is_err());
    }
}
