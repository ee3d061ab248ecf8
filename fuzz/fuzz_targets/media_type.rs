//! Media types: what is read is read again as the same, and fits a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roadstead_oci::{MEDIA_TYPE_BYTES_MAX, MediaType};

fuzz_target!(|text: &str| {
    let Ok(media_type) = MediaType::parse(text) else {
        return;
    };
    assert_eq!(
        MediaType::parse(media_type.as_str()),
        Ok(media_type.clone())
    );
    assert!(media_type.as_str().len() <= MEDIA_TYPE_BYTES_MAX);
    assert!(
        media_type
            .as_str()
            .bytes()
            .all(|byte| byte.is_ascii_graphic())
    );
});
