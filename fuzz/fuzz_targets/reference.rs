//! References: a colon makes it a digest, never a tag.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roadstead_oci::{Reference, TAG_BYTES_MAX};

fuzz_target!(|text: &str| {
    let Ok(reference) = Reference::parse(text) else {
        return;
    };
    assert_eq!(reference.to_string(), text);
    assert_eq!(
        matches!(reference, Reference::Digest(_)),
        text.contains(':')
    );
    if let Reference::Tag(tag) = reference {
        assert!(tag.as_str().len() <= TAG_BYTES_MAX);
        assert!(!text.contains(['/', '\\', '\0']) && !text.starts_with('.'));
    }
});
