use proptest::prelude::*;

use super::*;

#[test]
fn a_range_header_is_read_as_rfc_9110_says() {
    let parts = |parts: &[(u64, u64)]| {
        Requested::Parts(parts.iter().map(|(start, end)| *start..*end).collect())
    };
    for (header, size, expected) in [
        ("bytes=0-0", 2048, parts(&[(0, 1)])),
        ("bytes=0-9", 2048, parts(&[(0, 10)])),
        ("bytes=2040-", 2048, parts(&[(2040, 2048)])),
        ("bytes=-5", 2048, parts(&[(2043, 2048)])),
        ("bytes=-9999", 2048, parts(&[(0, 2048)])),
        ("bytes=2000-5000", 2048, parts(&[(2000, 2048)])),
        ("bytes=0-18446744073709551616", 2048, parts(&[(0, 2048)])),
        ("bytes=0-1,4-5", 2048, parts(&[(0, 2), (4, 6)])),
        ("bytes=0-1, 9000-", 2048, parts(&[(0, 2)])),
        ("Bytes=0-1", 2048, parts(&[(0, 2)])),
        ("bytes=0-2047,0-2047", 2048, Requested::Whole),
        ("bytes=-0", 2048, Requested::Unsatisfiable),
        ("bytes=5000-6000", 2048, Requested::Unsatisfiable),
        (
            "bytes=18446744073709551616-",
            2048,
            Requested::Unsatisfiable,
        ),
        ("bytes=0-1", 0, Requested::Whole),
        ("bytes=500-0", 2048, Requested::Unsatisfiable),
        ("bytes=0-1,500-0", 2048, parts(&[(0, 2)])),
        ("bytes=abc", 2048, Requested::Ignored),
        ("bytes=", 2048, Requested::Ignored),
        ("bytes", 2048, Requested::Ignored),
        ("items=0-1", 2048, Requested::Ignored),
        ("bytes=+1-2", 2048, Requested::Ignored),
        ("bytes=--1", 2048, Requested::Ignored),
        ("bytes=1", 2048, Requested::Ignored),
        ("bytes=-", 2048, Requested::Ignored),
        ("bytes=0 - 1", 2048, Requested::Ignored),
        ("bytes =0-1", 2048, Requested::Ignored),
        ("bytes=0-1,x", 2048, Requested::Ignored),
        ("bytes=,,", 2048, Requested::Ignored),
        ("bytes=0-1;2-3", 2048, Requested::Ignored),
        ("bytes=\u{661}-2", 2048, Requested::Ignored),
        ("bytes=,0-1,,", 2048, parts(&[(0, 2)])),
        ("bytes=-5,0-1", 2048, parts(&[(2043, 2048), (0, 2)])),
        ("bytes=9000-,-0", 2048, Requested::Unsatisfiable),
        ("bytes=0-1023,0-1024", 2048, Requested::Whole),
        (
            "bytes=18446744073709551616-18446744073709551617",
            2048,
            Requested::Unsatisfiable,
        ),
        ("bytes=0-,0-,0-", u64::MAX, Requested::Whole),
    ] {
        assert_eq!(Ranges::parse(header, size), expected, "{header} of {size}");
    }
    let sixteen = format!("bytes={}", vec!["0-0"; RANGES_MAX].join(","));
    assert_eq!(Ranges::parse(&sixteen, 2048), parts(&[(0, 1); RANGES_MAX]));
    let seventeen = format!("{sixteen},0-0");
    assert_eq!(Ranges::parse(&seventeen, 2048), Requested::Whole);
    let many = format!("bytes={}", vec!["0-0"; 900].join(","));
    assert_eq!(Ranges::parse(&many, 2048), Requested::Whole);
}

#[test]
fn the_range_of_a_chunk_is_read_and_bounded() {
    for (text, expected) in [
        ("0-99", Some((0, 99))),
        ("10-10", Some((10, 10))),
        ("bytes 10-12/13", Some((10, 12))),
        ("bytes 10-12/*", Some((10, 12))),
        ("bytes=10-12", Some((10, 12))),
        ("Bytes 10-12/13", Some((10, 12))),
        (
            "0-9223372036854775806",
            Some((0, 9_223_372_036_854_775_806)),
        ),
        ("bytes 10-12/12", None),
        ("bytes10-12", None),
        ("bytes", None),
        ("bytes */12", None),
        ("items 10-12", None),
        ("0 - 9", None),
        ("0-9,20-29", None),
        ("0-9-10", None),
        ("", None),
        ("x", None),
        ("5-1", None),
        ("-5", None),
        ("5-", None),
        ("+1-5", None),
        ("0-9223372036854775807", None),
        ("0-18446744073709551615", None),
        ("0-18446744073709551616", None),
    ] {
        let range = ContentRange::parse(text)
            .ok()
            .map(|range| (range.first(), range.last()));
        assert_eq!(range, expected, "{text}");
    }
}

#[test]
fn a_page_size_is_bounded() {
    for (text, expected) in [
        ("0", Some(0)),
        ("5", Some(5)),
        ("1000000000", Some(1000)),
        ("9223372036854775807", Some(1000)),
        ("9223372036854775808", None),
        ("100000000000000000000", None),
        ("-1", None),
        ("+1", None),
        ("abc", None),
        ("", None),
        ("1 ", None),
    ] {
        assert_eq!(
            PageSize::parse(text).ok().map(|size| size.clamp(1000)),
            expected,
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn every_part_lies_within_the_content(header in "bytes=[0-9, -]{0,40}", size in 0u64..100) {
        if let Requested::Parts(parts) = Ranges::parse(&header, size) {
            prop_assert!(!parts.is_empty() && parts.len() <= RANGES_MAX);
            prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
        }
    }

    #[test]
    fn what_a_chunk_says_is_what_is_read(first in 0..u64::MAX / 4, length in 1..u64::MAX / 4) {
        let range = ContentRange::parse(&format!("{first}-{}", first + length - 1)).unwrap();
        prop_assert_eq!((range.first(), range.length()), (first, length));
    }

    #[test]
    fn parts_never_add_up_to_more_than_the_content(
        specs in proptest::collection::vec("[0-9]{0,3}-[0-9]{0,3}", 1..20),
        size in 0u64..1000,
    ) {
        if let Requested::Parts(parts) = Ranges::parse(&format!("bytes={}", specs.join(",")), size) {
            prop_assert!(parts.iter().map(|part| part.end - part.start).sum::<u64>() <= size);
        }
    }

    #[test]
    fn no_text_makes_them_panic(text in "\\PC*", size: u64) {
        let _ = Ranges::parse(&text, size);
        let _ = ContentRange::parse(&text);
        let _ = PageSize::parse(&text);
    }
}
