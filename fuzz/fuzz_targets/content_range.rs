//! Ranges of chunks: at least one byte, and an end that is a signed 64-bit number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roadstead_oci::ContentRange;

fuzz_target!(|text: &str| {
    let Ok(range) = ContentRange::parse(text) else {
        return;
    };
    assert!(range.first() <= range.last());
    assert_eq!(range.first() + range.length(), range.last() + 1);
    assert!(i64::try_from(range.last() + 1).is_ok());
    let written = format!("{}-{}", range.first(), range.last());
    assert_eq!(ContentRange::parse(&written), Ok(range));
});
