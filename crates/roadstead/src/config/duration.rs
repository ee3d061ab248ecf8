//! Durations as `distribution` writes them: Go's `1h30m` notation, or integer nanoseconds.

use std::time::Duration;

/// Reads `168h`, `1h30m`, `1.5s`, `500ms`, `0`; a bare integer counts nanoseconds.
/// Negative, empty, unknown units and overflow give `None`.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse::<u64>() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        total = total.checked_add(nanoseconds(number, unit_nanoseconds(unit)?)?)?;
        rest = tail;
    }
    Some(Duration::from_nanos(total))
}

/// Writes what [`parse`] reads, in the largest units that stay exact.
pub(crate) fn format(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let mut rest = nanoseconds;
    let mut text = String::new();
    for (unit, size) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
    ] {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if rest > 0 {
        text.push_str(&format!("{rest}ns"));
    }
    text
}

fn unit_nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn nanoseconds(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    let mut total = whole.checked_mul(unit)?;
    let mut weight = unit;
    for digit in fraction.chars() {
        weight /= 10;
        total = total.checked_add(u64::from(digit.to_digit(10)?).checked_mul(weight)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_and_nanoseconds_are_read() {
        let table = [
            ("168h", Some(604_800_000)),
            ("1h30m", Some(5_400_000)),
            ("10s", Some(10_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1_500)),
            (".5s", Some(500)),
            ("0", Some(0)),
            ("5000000000", Some(5_000)),
            ("2000us", Some(2)),
            ("", None),
            ("+", None),
            ("-5s", None),
            ("5", Some(0)),
            ("5 s", None),
            ("1d", None),
            (".s", None),
            ("s", None),
            ("1.2.3s", None),
            ("99999999999999999999h", None),
            ("9999999999999h", None),
        ];
        for (text, milliseconds) in table {
            assert_eq!(
                parse(text).map(|duration| duration.as_millis()),
                milliseconds,
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for text in ["168h", "1h30m", "10s", "500ms", "0s", "1s1ns", "1m500ms"] {
            assert_eq!(parse(text).map(format).as_deref(), Some(text));
        }
    }
}
