//! The strict parser: one document has one meaning, or it is refused (R3, R4).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Blob, DOCKER_IMAGE, DOCKER_LIST, Image, Manifest, OCI_IMAGE, OCI_INDEX, Registry, descriptor,
    sha256,
};

/// A registry that has the blobs of one image in `app`.
fn with_blobs(seed: &str) -> (Registry, Image) {
    let registry = Registry::start();
    let image = Image::new(seed);
    registry.push_blobs_of("app", &image);
    (registry, image)
}

/// Checks that each document is refused as MANIFEST_INVALID and leaves nothing behind.
fn check_invalid(registry: &Registry, manifests: &[Manifest]) {
    for manifest in manifests {
        let begin = Instant::now();
        let answer = registry.put_manifest("app", "bad", manifest);
        let text: String = String::from_utf8_lossy(&manifest.bytes)
            .chars()
            .take(200)
            .collect();
        assert_eq!(answer.status, 400, "{text}: {answer:?}");
        assert_eq!(answer.code(), "MANIFEST_INVALID", "{text}: {answer:?}");
        assert!(!answer.reason().is_empty());
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}: {text}",
            begin.elapsed()
        );
        registry.get("/v2/app/manifests/bad").send().expect(404);
    }
}

/// Case 46.
#[test]
fn duplicate_members_are_refused() {
    let (registry, image) = with_blobs("duplicate");
    let text = String::from_utf8(image.manifest.bytes.clone()).unwrap();
    let again =
        |member: &str| Manifest::raw(OCI_IMAGE, text.replacen('{', &format!("{{{member},"), 1));
    check_invalid(
        &registry,
        &[
            again("\"layers\":[]"),
            again("\"schemaVersion\":2"),
            again(&format!("\"mediaType\":\"{OCI_IMAGE}\"")),
            again("\"x\":1,\"x\":2"),
            again("\"x\":{\"y\":1,\"y\":2}"),
            again("\"lay\\u0065rs\":[]"),
        ],
    );
}

/// Case 47.
#[test]
fn member_names_are_case_sensitive() {
    let (registry, image) = with_blobs("case");
    let document = image.manifest.document();
    let renamed = image
        .manifest
        .with(&json!({ "layers": null, "Layers": document["layers"] }));
    check_invalid(&registry, &[renamed]);
    let both = image.manifest.with(&json!({ "Layers": [] }));
    let answer = registry.put_manifest("app", "both", &both);
    // Unknown members are ignored or refused, but never taken for the known one.
    assert!([201, 400].contains(&answer.status), "{answer:?}");
}

/// Case 48.
#[test]
fn a_descriptor_has_the_size_of_its_content() {
    let (registry, image) = with_blobs("sizes");
    let document = image.manifest.document();
    let with_size = |size: Value| {
        let mut layer = document["layers"][0].clone();
        layer["size"] = size;
        image.manifest.with(&json!({ "layers": [layer] }))
    };
    let raw_size = |size: &str| {
        let text = String::from_utf8(with_size(json!(424_242)).bytes).unwrap();
        Manifest::raw(OCI_IMAGE, text.replace("424242", size))
    };
    check_invalid(
        &registry,
        &[
            with_size(json!(1_499)),
            with_size(json!(1_501)),
            with_size(json!(0)),
            with_size(json!(-1)),
            with_size(json!("1500")),
            with_size(json!(1500.5)),
            with_size(Value::Null),
            with_size(json!([])),
            raw_size("9223372036854775808"),
            raw_size("18446744073709551616"),
            raw_size("1e400"),
            raw_size("1500.0"),
            raw_size("01500"),
        ],
    );
    let mut config = document["config"].clone();
    config["size"] = json!(1);
    check_invalid(
        &registry,
        &[image.manifest.with(&json!({ "config": config }))],
    );
    registry.push_manifest("app", &image.manifest);
    let mut child = image.manifest.descriptor();
    child["size"] = json!(1);
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child] });
    check_invalid(&registry, &[Manifest::new(OCI_INDEX, &index)]);
}

/// Case 49; the matrix of CVE-2021-41190 (R4).
#[test]
fn a_document_has_one_type() {
    let (registry, image) = with_blobs("types");
    registry.push_manifest("app", &image.manifest);
    let document = image.manifest.document();
    let children = json!([image.manifest.descriptor()]);
    for content_type in [OCI_IMAGE, OCI_INDEX] {
        for body_type in [Some(OCI_IMAGE), Some(OCI_INDEX), None] {
            for (layers, manifests) in [(true, false), (false, true), (true, true)] {
                let mut body = json!({ "schemaVersion": 2 });
                if let Some(body_type) = body_type {
                    body["mediaType"] = json!(body_type);
                }
                if layers {
                    body["config"] = document["config"].clone();
                    body["layers"] = document["layers"].clone();
                }
                if manifests {
                    body["manifests"] = children.clone();
                }
                let consistent = (layers != manifests)
                    && (content_type == OCI_IMAGE) == layers
                    && body_type.is_none_or(|body_type| body_type == content_type);
                let answer =
                    registry.put_manifest("app", "cell", &Manifest::new(content_type, &body));
                let expected = if consistent { 201 } else { 400 };
                assert_eq!(answer.status, expected, "{content_type} {body}: {answer:?}");
            }
        }
    }
}

/// Case 49: unknown types, and a type of docker's family around OCI's body.
#[test]
fn an_unknown_or_foreign_type_is_refused() {
    let (registry, image) = with_blobs("foreign type");
    for kind in [
        "application/json",
        "text/plain",
        "application/vnd.oci.image.manifest.v2+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "no type",
        DOCKER_IMAGE,
        DOCKER_LIST,
    ] {
        let manifest = Manifest::raw(kind, image.manifest.bytes.clone());
        let answer = registry.put_manifest("app", "bad", &manifest);
        assert!([400, 415].contains(&answer.status), "{kind}: {answer:?}");
    }
    // Parameters are no part of the type.
    let manifest = Manifest {
        media_type: format!("{OCI_IMAGE}; charset=utf-8"),
        ..image.manifest
    };
    registry.put_manifest("app", "v1", &manifest).expect(201);
    registry
        .get("/v2/app/manifests/v1")
        .send()
        .expect_header("content-type", OCI_IMAGE);
}

/// Case 49: members that belong to another kind, and members that are missing.
#[test]
fn a_document_has_the_members_of_its_kind() {
    let (registry, image) = with_blobs("members");
    let change = |members: Value| image.manifest.with(&members);
    check_invalid(
        &registry,
        &[
            change(json!({ "fsLayers": [] })),
            change(json!({ "config": null })),
            change(json!({ "layers": null })),
            change(json!({ "schemaVersion": null })),
            change(json!({ "schemaVersion": 1 })),
            change(json!({ "schemaVersion": 3 })),
            change(json!({ "schemaVersion": "2" })),
            change(json!({ "layers": {} })),
            change(json!({ "layers": [1] })),
            change(json!({ "config": [] })),
            change(json!({ "annotations": { "a": 1 } })),
            change(json!({ "subject": { "digest": "x" } })),
            change(json!({ "layers": [descriptor("a/b", "sha256:abc", 1)] })),
            change(
                json!({ "layers": [descriptor("a/b", "md5:d41d8cd98f00b204e9800998ecf8427e", 1)] }),
            ),
        ],
    );
}

/// Case 51.
#[test]
fn deep_nesting_is_refused_at_once() {
    let (registry, image) = with_blobs("deep");
    let deep = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let text = String::from_utf8(image.manifest.bytes.clone()).unwrap();
        Manifest::raw(
            OCI_IMAGE,
            text.replacen('{', &format!("{{\"x\":{nested},"), 1),
        )
    };
    let objects = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    check_invalid(
        &registry,
        &[
            deep(200_000),
            deep(70),
            Manifest::raw(OCI_IMAGE, "[".repeat(200_000)),
            Manifest::raw(OCI_IMAGE, objects),
        ],
    );
    registry
        .put_manifest("app", "shallow", &deep(60))
        .expect(201);
}

/// Case 52; R3.
#[test]
fn too_many_descriptors_or_annotations_are_refused() {
    let (registry, image) = with_blobs("many");
    let layer = image.layers[0].descriptor();
    let empty = "{},".repeat(100_000);
    let text = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{}]}}",
        empty.trim_end_matches(',')
    );
    let child = descriptor("a/b", &sha256(b"x"), 1);
    let full =
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": vec![child; 30_000] });
    let annotations: serde_json::Map<String, Value> = (0..1_001)
        .map(|number| (format!("key{number}"), json!("")))
        .collect();
    check_invalid(
        &registry,
        &[
            Manifest::raw(OCI_INDEX, text),
            Manifest::new(OCI_INDEX, &full),
            image
                .manifest
                .with(&json!({ "layers": vec![layer; 10_001] })),
            image.manifest.with(&json!({ "annotations": annotations })),
        ],
    );
}

/// Case 70.
#[test]
fn what_is_not_exactly_one_json_document_is_refused() {
    let (registry, image) = with_blobs("not json");
    let bytes = image.manifest.bytes.clone();
    let around =
        |before: &[u8], after: &[u8]| Manifest::raw(OCI_IMAGE, [before, &bytes, after].concat());
    let with_value = |value: &[u8]| {
        let member = [b"{\"annotations\":{\"a\":", value, b"},"].concat();
        Manifest::raw(OCI_IMAGE, [&member, &bytes[1..]].concat())
    };
    check_invalid(
        &registry,
        &[
            around(b"\xef\xbb\xbf", b""),
            around(b"", b"{}"),
            around(b"", b"x"),
            around(b"", b"\0"),
            around(b"/* */", b""),
            with_value(b"\"\xff\""),
            with_value(b"\"\xed\xa0\x80\""),
            with_value(b"\"\\ud800\""),
            with_value(b"NaN"),
            with_value(b"Infinity"),
            with_value(b"\"\x01\""),
            with_value(b"'x'"),
            Manifest::raw(OCI_IMAGE, ""),
            Manifest::raw(OCI_IMAGE, "null"),
            Manifest::raw(OCI_IMAGE, "[]"),
            Manifest::raw(OCI_IMAGE, "\"x\""),
            Manifest::raw(OCI_IMAGE, bytes[..bytes.len() - 1].to_vec()),
            Manifest::raw(OCI_IMAGE, [bytes.clone(), b",".to_vec()].concat()),
        ],
    );
}

/// The same layer twice in one image is one reference, not an error.
#[test]
fn a_layer_may_be_named_twice() {
    let registry = Registry::start();
    let layer = Blob::layer("twice", 100);
    let image = Image::of("twice", vec![layer.clone(), layer]);
    registry.push_image("app", "v1", &image);
    registry.pull_image("app", "v1", &image);
}
