//! Digests: one spelling each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roadstead_oci::Digest;

fuzz_target!(|text: &str| {
    let Ok(digest) = Digest::parse(text) else {
        return;
    };
    assert_eq!(digest.to_string(), text);
    assert_eq!(
        Digest::from_bytes(digest.algorithm(), digest.as_bytes()),
        Some(digest)
    );
});
