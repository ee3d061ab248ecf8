//! Range fields: no part beyond the content, and never more bytes than it has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roadstead_oci::{RANGES_MAX, Ranges, Requested};

fuzz_target!(|input: (u64, &str)| {
    let (size, header) = input;
    let Requested::Parts(parts) = Ranges::parse(header, size) else {
        return;
    };
    assert!(!parts.is_empty() && parts.len() <= RANGES_MAX);
    assert!(
        parts
            .iter()
            .all(|part| part.start < part.end && part.end <= size)
    );
    let total: u128 = parts
        .iter()
        .map(|part| u128::from(part.end - part.start))
        .sum();
    assert!(total <= u128::from(size));
});
