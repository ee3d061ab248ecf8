//! Digests: sha256 and sha512, exact, and nothing else.

use crate::harness::{Image, Manifest, Registry, noise, sha256, sha512};

/// Case 16; R5.
#[test]
fn a_digest_that_cannot_be_read_is_digest_invalid() {
    let registry = Registry::start();
    let hex = "0123456789abcdef".repeat(4);
    let bad = [
        "sha256:abc".to_owned(),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha512:{hex}"),
        "md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        format!("sha384:{}", &hex.repeat(2)[..96]),
        format!("SHA256:{hex}"),
        format!("sha256+b64:{hex}"),
        "sha256:".to_owned(),
        format!("sha256:{}", "a".repeat(10_000)),
    ];
    for digest in &bad {
        for target in [
            format!("/v2/app/blobs/{digest}"),
            format!("/v2/app/manifests/{digest}"),
            format!("/v2/app/referrers/{digest}"),
        ] {
            registry
                .get(target)
                .send()
                .expect_error(400, "DIGEST_INVALID");
        }
        let session = registry.session("app");
        registry
            .close_upload(&session, digest, b"x")
            .expect_error(400, "DIGEST_INVALID");
        let answer = registry
            .post(format!("/v2/app/blobs/uploads/?mount={digest}&from=b"))
            .send();
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(registry.get("/v2/app/blobs/").send().status, 400);
}

/// Case 17; R5.
#[test]
fn a_digest_is_never_a_path() {
    let registry = Registry::start();
    for digest in [
        "sha256:../../x",
        "sha256:..%2f..%2fx",
        "sha256:%2e%2e%2f",
        "..",
        "sha256:%00",
    ] {
        for kind in ["blobs", "manifests"] {
            let answer = registry.get(format!("/v2/app/{kind}/{digest}")).send();
            assert!([400, 404].contains(&answer.status), "{answer:?}");
        }
    }
    registry
        .get("/v2/app/blobs/sha256:..%2f..%2fx")
        .send()
        .expect(400);
}

/// Case 18.
#[test]
fn sha512_works_end_to_end_for_blobs() {
    let registry = Registry::start();
    for length in [0, 10, 100_000] {
        let bytes = noise("sha512", length);
        let digest = sha512(&bytes);
        let session = registry.session("app");
        let location = format!("/v2/app/blobs/{digest}");
        registry
            .close_upload(&session, &digest, &bytes)
            .expect(201)
            .expect_header("docker-content-digest", &digest)
            .expect_header("location", &location);
        let got = registry.get(&location).send().expect(200);
        assert_eq!(got.body, bytes);
        got.expect_header("docker-content-digest", &digest)
            .expect_header("etag", &format!("\"{digest}\""));
        // The other algorithm was not asked for, and names nothing.
        assert!(!registry.has_blob("app", &sha256(&bytes)));
    }
}

/// A session that was told of the algorithm, and one that hears of it at the end.
#[test]
fn digest_algorithm_is_taken_at_the_start_and_an_unknown_one_is_refused() {
    let registry = Registry::start();
    let bytes = noise("told", 50_000);
    let digest = sha512(&bytes);
    let told = registry
        .post("/v2/app/blobs/uploads/?digest-algorithm=sha512")
        .send()
        .expect(202);
    let session = told.need("location").to_owned();
    let location = registry.patch(&session).body(&bytes).send().expect(202);
    registry
        .close_upload(location.need("location"), &digest, b"")
        .expect(201);
    assert_eq!(registry.pull_blob("app", &digest), bytes);

    let session = registry.session("other");
    let location = registry.patch(&session).body(&bytes).send().expect(202);
    registry
        .close_upload(location.need("location"), &digest, b"")
        .expect(201);
    assert_eq!(registry.pull_blob("other", &digest), bytes);

    for unknown in ["md5", "sha384", "SHA512", "sha-256", ""] {
        let target = format!("/v2/app/blobs/uploads/?digest-algorithm={unknown}");
        let answer = registry.post(target).send();
        assert_eq!(answer.status, 400, "{unknown}: {answer:?}");
    }
}

/// Case 18, for manifests.
#[test]
fn sha512_works_end_to_end_for_manifests() {
    let registry = Registry::start();
    let image = Image::new("sha512 manifest");
    registry.push_blobs_of("app", &image);
    let digest = sha512(&image.manifest.bytes);
    registry
        .put_manifest("app", &digest, &image.manifest)
        .expect(201)
        .expect_header("docker-content-digest", &digest)
        .expect_header("location", &format!("/v2/app/manifests/{digest}"));
    let answer = registry
        .get(format!("/v2/app/manifests/{digest}"))
        .send()
        .expect(200);
    assert_eq!(answer.body, image.manifest.bytes);
    answer.expect_header("docker-content-digest", &digest);
    registry
        .get(format!("/v2/app/manifests/{}", image.manifest.digest))
        .send()
        .expect(404);

    let child = Manifest {
        digest,
        ..image.manifest
    };
    let index = Manifest::index(&[&child]);
    registry.put_manifest("app", "multi", &index).expect(201);
}

/// A manifest of layers that are named by sha512.
#[test]
fn an_image_may_name_its_layers_by_sha512() {
    let registry = Registry::start();
    let mut image = Image::new("sha512 layers");
    registry.push_blob("app", &image.config.bytes);
    let layer = &mut image.layers[0];
    layer.digest = sha512(&layer.bytes);
    let session = registry.session("app");
    registry
        .close_upload(&session, &layer.digest, &layer.bytes)
        .expect(201);
    let layers = serde_json::json!({ "layers": [layer.descriptor()] });
    let image = image.with(&layers);
    registry
        .put_manifest("app", "v1", &image.manifest)
        .expect(201);
    registry.pull_image("app", "v1", &image);
}

/// Case 21.
#[test]
fn a_closing_put_needs_a_digest() {
    let registry = Registry::start();
    let session = registry.session("app");
    registry
        .put(&session)
        .body(b"abc")
        .send()
        .expect_error(400, "DIGEST_INVALID");
    registry
        .close_upload(&session, &sha256(b"abc"), b"abc")
        .expect(201);
}

/// Case 22.
#[test]
fn two_different_digests_in_one_request_are_refused() {
    let registry = Registry::start();
    let session = registry.session("app");
    let (one, two) = (sha256(b"abc"), sha256(b"abd"));
    let answer = registry
        .put(format!("{session}?digest={one}&digest={two}"))
        .body(b"abc")
        .send();
    assert_eq!(answer.status, 400, "{answer:?}");
    let post = format!("/v2/app/blobs/uploads/?digest={one}&digest={two}");
    assert_eq!(registry.post(post).body(b"abc").send().status, 400);
    assert!(!registry.has_blob("app", &one));
    assert!(!registry.has_blob("app", &two));
}
