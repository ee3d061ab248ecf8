//! The dates of a certificate (RFC 5280 §4.1.2.5): the TLS library does not ask for an anchor's.

use std::time::Duration;

use rustls::pki_types::UnixTime;

use crate::jose::der::{INTEGER, SEQUENCE, take};

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, where the version is.
const VERSION: u8 = 0xa0;

/// From when to when a certificate is good, both included, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    from: i64,
    until: i64,
}

impl Validity {
    /// Reads the dates out of a certificate.
    pub(super) fn of(mut certificate: &[u8]) -> Option<Self> {
        let mut whole = take(&mut certificate, SEQUENCE)?;
        let mut inner = take(&mut whole, SEQUENCE)?;
        let _version = take(&mut inner, VERSION);
        let _serial = take(&mut inner, INTEGER)?;
        let _algorithm = take(&mut inner, SEQUENCE)?;
        let _issuer = take(&mut inner, SEQUENCE)?;
        let mut dates = take(&mut inner, SEQUENCE)?;
        let (from, until) = (time(&mut dates)?, time(&mut dates)?);
        Some(Self { from, until })
    }

    /// The first second, or that of 1970 where it is before.
    pub(super) fn begin(self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(self.from).unwrap_or(0)))
    }

    pub(super) fn contains(self, now: UnixTime) -> bool {
        i64::try_from(now.as_secs()).is_ok_and(|now| self.from <= now && now <= self.until)
    }
}

fn time(dates: &mut &[u8]) -> Option<i64> {
    let (text, century) = match take(dates, UTC_TIME) {
        Some(text) => (text, false),
        None => (take(dates, GENERALIZED_TIME)?, true),
    };
    let (year, rest) = if century {
        let (year, rest) = text.split_at_checked(4)?;
        (number(year)?, rest)
    } else {
        let (year, rest) = text.split_at_checked(2)?;
        let year = number(year)?;
        (if year < 50 { 2000 + year } else { 1900 + year }, rest)
    };
    let (digits, b"Z") = rest.split_at_checked(10)? else {
        return None;
    };
    let mut fields = digits.chunks_exact(2).map(number);
    let mut next = |bounds: std::ops::RangeInclusive<i64>| {
        let field = fields.next()??;
        bounds.contains(&field).then_some(field)
    };
    let (month, day) = (next(1..=12)?, next(1..=31)?);
    let (hour, minute, second) = (next(0..=23)?, next(0..=59)?, next(0..=59)?);
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &[u8]) -> Option<i64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    digits
        .iter()
        .try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::der;

    fn read(tag: u8, text: &str) -> Option<i64> {
        let written = der::value(tag, text.as_bytes());
        time(&mut written.as_slice())
    }

    /// `date -u -d … +%s`
    #[test]
    fn times_are_read() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "691231235959Z", Some(-1)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (UTC_TIME, "000229120000Z", Some(951_825_600)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (GENERALIZED_TIME, "00000101000000Z", Some(-62_167_219_200)),
            (GENERALIZED_TIME, "700101000000Z", None),
            (UTC_TIME, "20500101000000Z", None),
            (UTC_TIME, "700101000000", None),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "700101000000+0100", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "700100000000Z", None),
            (UTC_TIME, "700101240000Z", None),
            (UTC_TIME, "70010100000aZ", None),
            (UTC_TIME, "", None),
            (INTEGER, "700101000000Z", None),
        ] {
            assert_eq!(read(tag, text), expected, "{text}");
        }
    }

    #[test]
    fn both_ends_are_included() {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2060, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let validity = Validity::of(certificate.der()).unwrap();
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let (from, until) = (1_577_836_800, 2_840_140_800);
        assert!(!validity.contains(at(from - 1)) && validity.contains(at(from)));
        assert!(validity.contains(at(until)) && !validity.contains(at(until + 1)));
    }
}
