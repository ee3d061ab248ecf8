//! Manifests: a document that is accepted has one kind and one structure, whoever reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roadstead_oci::{Manifest, ManifestKind, MediaType};

static TYPES: [MediaType; 4] = [
    MediaType::OCI_IMAGE,
    MediaType::OCI_INDEX,
    MediaType::DOCKER_IMAGE,
    MediaType::DOCKER_LIST,
];

fuzz_target!(|document: &[u8]| {
    let mut kinds = TYPES.iter().filter_map(|media_type| {
        let manifest = Manifest::parse(Some(media_type), document).ok()?;
        assert_eq!(manifest.media_type, *media_type);
        let index = matches!(
            manifest.kind,
            ManifestKind::OciIndex | ManifestKind::DockerList
        );
        assert!(!index || (manifest.config.is_none() && manifest.layers.is_empty()));
        assert!(index || (manifest.config.is_some() && manifest.children.is_empty()));
        Some(manifest.kind)
    });
    let first = kinds.next();
    assert_eq!(kinds.next(), None, "two kinds for one document");
    if let Ok(untyped) = Manifest::parse(None, document) {
        assert_eq!(first, Some(untyped.kind));
    }
});
