//! Names of repositories: what is read is kept, and is safe wherever a path is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roadstead_oci::{NAME_BYTES_MAX, RepositoryName};

fuzz_target!(|text: &str| {
    let Ok(name) = RepositoryName::parse(text) else {
        return;
    };
    assert_eq!(name.as_str(), text);
    assert!(text.len() <= NAME_BYTES_MAX);
    for component in text.split('/') {
        assert!(!component.is_empty() && !component.contains(".."));
        assert!(
            component
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        );
        assert!(component.starts_with(|c: char| c.is_ascii_alphanumeric()));
    }
});
