//! The parsers that every request goes through.

use divan::{Bencher, black_box};
use roadstead_oci::{Digest, Manifest, MediaType, Ranges, RepositoryName};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const DIGEST: &str = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";

fn main() {
    divan::main();
}

#[divan::bench(args = ["library/alpine", "group.example/team_one/sub-project/app"])]
fn repository_name(name: &str) -> bool {
    RepositoryName::parse(black_box(name)).is_ok()
}

#[divan::bench]
fn digest() -> bool {
    Digest::parse(black_box(DIGEST)).is_ok()
}

#[divan::bench(args = ["bytes=0-65535", "bytes=-500", "bytes=0-0,10-20,30-"])]
fn range(header: &str) -> roadstead_oci::Requested {
    Ranges::parse(black_box(header), 1 << 28)
}

/// A manifest with so many layers.
#[divan::bench(args = [1, 10, 100])]
fn manifest(bencher: Bencher, layers: usize) {
    let layer = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{DIGEST}","size":1}}"#
    );
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{DIGEST}","size":1}},"layers":[{}]}}"#,
        vec![layer; layers].join(",")
    );
    let media_type = MediaType::parse(MANIFEST_TYPE).ok();
    bencher
        .counter(divan::counter::BytesCount::of_str(&text))
        .bench(|| Manifest::parse(media_type.as_ref(), black_box(text.as_bytes())).is_ok());
}
