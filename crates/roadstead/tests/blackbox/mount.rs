//! Mounts: a blob of one repository becomes a blob of another, or an ordinary upload begins.

use crate::harness::{Image, Registry, noise, sha256, sha512};

/// Asks for a mount; `from` may be empty.
fn mount(registry: &Registry, to: &str, digest: &str, from: &str) -> crate::harness::Answer {
    let from = if from.is_empty() {
        String::new()
    } else {
        format!("&from={from}")
    };
    registry
        .post(format!("/v2/{to}/blobs/uploads/?mount={digest}{from}"))
        .send()
}

/// Case 42.
#[test]
fn a_blob_is_mounted_from_a_repository_that_has_it() {
    let registry = Registry::start();
    for bytes in [b"small".to_vec(), noise("mounted", 50_000)] {
        let digest = registry.push_blob("source", &bytes);
        let stored = registry.object_bytes();
        mount(&registry, "target", &digest, "source")
            .expect(201)
            .expect_header("location", &format!("/v2/target/blobs/{digest}"))
            .expect_header("docker-content-digest", &digest)
            .expect_header("content-length", "0");
        assert_eq!(registry.pull_blob("target", &digest), bytes);
        assert_eq!(registry.object_bytes(), stored);
        mount(&registry, "source", &digest, "source").expect(201);
        mount(&registry, "target", &digest, "source").expect(201);
    }
}

/// Case 42.
#[test]
fn a_mount_of_what_is_not_there_starts_an_upload() {
    let registry = Registry::start();
    let digest = registry.push_blob("source", b"there");
    let unknown = sha256(b"nowhere");
    for (digest, from) in [(&unknown, "source"), (&digest, "empty"), (&unknown, "")] {
        let answer = mount(&registry, "target", digest, from).expect(202);
        answer.need("docker-upload-uuid");
        let session = answer.need("location").to_owned();
        registry
            .close_upload(&session, &sha256(b"pushed"), b"pushed")
            .expect(201);
        assert!(!registry.has_blob("target", &unknown));
    }
}

/// Case 42.
#[test]
fn a_mount_by_a_malformed_digest_is_refused() {
    let registry = Registry::start();
    for digest in ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "x"] {
        mount(&registry, "target", digest, "source").expect_error(400, "DIGEST_INVALID");
    }
}

/// A mount without `from` finds the blob by itself, or starts an upload.
#[test]
fn a_mount_without_from_is_an_upload_or_the_blob() {
    let registry = Registry::start();
    let digest = registry.push_blob("source", b"automatic");
    let answer = mount(&registry, "target", &digest, "");
    assert!([201, 202].contains(&answer.status), "{answer:?}");
    assert_eq!(registry.has_blob("target", &digest), answer.status == 201);
}

/// By sha512 as by sha256.
#[test]
fn a_blob_is_mounted_by_sha512() {
    let registry = Registry::start();
    let bytes = noise("mount sha512", 20_000);
    let digest = sha512(&bytes);
    let session = registry.session("source");
    registry.close_upload(&session, &digest, &bytes).expect(201);
    mount(&registry, "target", &digest, "source").expect(201);
    assert_eq!(registry.pull_blob("target", &digest), bytes);
}

/// A mounted blob stays when its source goes, and its source stays when it goes.
#[test]
fn a_mounted_blob_is_independent_of_its_source() {
    let registry = Registry::start();
    let bytes = noise("independent", 50_000);
    let digest = registry.push_blob("source", &bytes);
    mount(&registry, "one", &digest, "source").expect(201);
    mount(&registry, "two", &digest, "one").expect(201);
    registry
        .delete(format!("/v2/source/blobs/{digest}"))
        .send()
        .expect(202);
    registry
        .delete(format!("/v2/one/blobs/{digest}"))
        .send()
        .expect(202);
    assert!(!registry.has_blob("source", &digest));
    assert!(!registry.has_blob("one", &digest));
    assert_eq!(registry.pull_blob("two", &digest), bytes);
    mount(&registry, "three", &digest, "source").expect(202);
}

/// A mount that fails makes no repository, one that works makes no listed one.
#[test]
fn a_mount_lists_no_repository() {
    let registry = Registry::start();
    registry.push_image("source", "v1", &Image::new("source"));
    let digest = Image::new("source").layers[0].digest.clone();
    mount(&registry, "target", &digest, "source").expect(201);
    assert_eq!(registry.pages("/v2/_catalog", "repositories"), ["source"]);
    registry
        .get("/v2/target/tags/list")
        .send()
        .expect_error(404, "NAME_UNKNOWN");
}
