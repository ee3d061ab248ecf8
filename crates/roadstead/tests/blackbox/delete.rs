//! Deleting tags, manifests and blobs.

use serde_json::json;

use crate::harness::{Image, Manifest, Registry, noise, sha256};

/// Case 43.
#[test]
fn a_blob_that_a_manifest_names_cannot_be_deleted() {
    let registry = Registry::start();
    let image = Image::new("referenced");
    registry.push_image("app", "v1", &image);
    let second = image.clone().with(&json!({ "annotations": { "a": "b" } }));
    registry
        .put_manifest("app", "v2", &second.manifest)
        .expect(201);
    for blob in image.blobs() {
        let target = format!("/v2/app/blobs/{}", blob.digest);
        let answer = registry
            .delete(target)
            .send()
            .expect_error(405, "UNSUPPORTED");
        assert!(
            answer.reason().contains('2'),
            "how many name it: {answer:?}"
        );
    }
    registry.pull_image("app", "v1", &image);
    registry
        .delete(format!("/v2/app/manifests/{}", second.manifest.digest))
        .send()
        .expect(202);
    let target = format!("/v2/app/blobs/{}", image.layers[0].digest);
    let answer = registry
        .delete(&target)
        .send()
        .expect_error(405, "UNSUPPORTED");
    assert!(answer.reason().contains('1'), "{answer:?}");
    registry
        .delete(format!("/v2/app/manifests/{}", image.manifest.digest))
        .send()
        .expect(202);
    registry.delete(&target).send().expect(202);
}

/// Case 44.
#[test]
fn a_blob_is_deleted_once() {
    let registry = Registry::start();
    let unknown = format!("/v2/app/blobs/{}", sha256(b"unknown"));
    registry
        .delete(&unknown)
        .send()
        .expect_error(404, "BLOB_UNKNOWN");
    for bytes in [b"small".to_vec(), noise("deleted", 50_000)] {
        let digest = registry.push_blob("app", &bytes);
        registry.push_blob("other", &bytes);
        let target = format!("/v2/app/blobs/{digest}");
        registry
            .delete(&target)
            .send()
            .expect(202)
            .expect_header("content-length", "0");
        registry
            .delete(&target)
            .send()
            .expect_error(404, "BLOB_UNKNOWN");
        registry
            .get(&target)
            .send()
            .expect_error(404, "BLOB_UNKNOWN");
        assert_eq!(registry.pull_blob("other", &digest), bytes);
        // The sequence of CVE-2026-35172: a look at the other repository brings nothing back.
        assert!(registry.has_blob("other", &digest));
        assert!(!registry.has_blob("app", &digest));
        registry.push_blob("app", &bytes);
        assert_eq!(registry.pull_blob("app", &digest), bytes);
    }
}

/// Case 67.
#[test]
fn deleting_a_manifest_removes_the_tags_that_point_to_it() {
    let registry = Registry::start();
    let (one, two) = (Image::new("one"), Image::new("two"));
    for tag in ["a", "b"] {
        registry.push_image("app", tag, &one);
    }
    registry.push_image("app", "c", &two);
    let target = format!("/v2/app/manifests/{}", one.manifest.digest);
    registry.delete(&target).send().expect(202);
    for reference in ["a", "b", &one.manifest.digest] {
        let target = format!("/v2/app/manifests/{reference}");
        registry
            .get(target)
            .send()
            .expect_error(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(registry.tags("app"), ["c"]);
    registry
        .delete(&target)
        .send()
        .expect_error(404, "MANIFEST_UNKNOWN");
    registry.pull_image("app", "c", &two);
    registry.push_image("app", "a", &one);
    registry.pull_image("app", "a", &one);
    assert_eq!(registry.tags("app"), ["a", "c"]);
}

/// A tag goes alone; what it pointed to stays.
#[test]
fn deleting_a_tag_keeps_the_manifest() {
    let registry = Registry::start();
    let image = Image::new("tagged");
    registry.push_image("app", "a", &image);
    registry.push_image("app", "b", &image);
    registry.delete("/v2/app/manifests/a").send().expect(202);
    registry
        .delete("/v2/app/manifests/a")
        .send()
        .expect_error(404, "MANIFEST_UNKNOWN");
    registry
        .delete("/v2/new/manifests/a")
        .send()
        .expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(registry.tags("app"), ["b"]);
    registry.pull_image("app", &image.manifest.digest, &image);
}

/// A child may be deleted before its index, which stays as it is; pushed again, it is found again.
#[test]
fn a_child_of_an_index_may_be_deleted() {
    let registry = Registry::start();
    let image = Image::new("child");
    registry.push_image("app", "child", &image);
    let index = Manifest::index(&[&image.manifest]);
    registry.put_manifest("app", "index", &index).expect(201);
    let target = format!("/v2/app/manifests/{}", image.manifest.digest);
    let answer = registry.delete(&target).send();
    assert!([202, 405].contains(&answer.status), "{answer:?}");
    assert_eq!(
        registry
            .get("/v2/app/manifests/index")
            .send()
            .expect(200)
            .body,
        index.bytes
    );
    registry.push_manifest("app", &image.manifest);
    registry.pull_image("app", &image.manifest.digest, &image);
}

/// Case 66.
#[test]
fn where_deletes_are_disabled_nothing_can_be_deleted() {
    for delete in [json!({ "enabled": false }), serde_json::Value::Null] {
        let registry = Registry::configured(json!({ "storage": { "delete": delete } }));
        let image = Image::new("kept");
        registry.push_image("app", "v1", &image);
        let free = registry.push_blob("app", b"free");
        for target in [
            "/v2/app/manifests/v1".to_owned(),
            format!("/v2/app/manifests/{}", image.manifest.digest),
            format!("/v2/app/blobs/{free}"),
            "/v2/app/manifests/unknown".to_owned(),
        ] {
            registry
                .delete(target)
                .send()
                .expect_error(405, "UNSUPPORTED");
        }
        registry.pull_image("app", "v1", &image);
        // An upload is no content: it can be cancelled.
        let session = registry.session("app");
        registry.delete(&session).send().expect(204);
    }
}
