//! Blobs: what is served, to whom, and with which headers.

use serde_json::json;

use crate::harness::{Image, Registry, noise, sha256};

/// Case 19.
#[test]
fn an_empty_blob_can_be_pushed_and_pulled() {
    let registry = Registry::start();
    let digest = registry.push_blob("app", b"");
    let target = format!("/v2/app/blobs/{digest}");
    let answer = registry
        .get(&target)
        .send()
        .expect(200)
        .expect_header("content-length", "0");
    assert!(answer.body.is_empty());
    registry
        .head(&target)
        .send()
        .expect(200)
        .expect_header("content-length", "0");
    // No byte of it can be asked for, so that a range is no reason to refuse.
    registry
        .get(&target)
        .header("Range", "bytes=0-")
        .send()
        .expect(200);
}

/// Case 40, the second half; R8.
#[test]
fn head_and_get_of_a_blob_agree_on_all_headers() {
    let registry = Registry::start();
    for length in [1, 4_000, 100_000] {
        let bytes = noise("headers", length);
        let digest = registry.push_blob("app", &bytes);
        let target = format!("/v2/app/blobs/{digest}");
        let get = registry.get(&target).send().expect(200);
        let head = registry.head(&target).send().expect(200);
        let compared = |answer: &crate::harness::Answer| {
            let own = ["date", "x-request-id"];
            let mut headers: Vec<_> = answer
                .headers
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.clone()))
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .collect();
            headers.sort();
            headers
        };
        assert_eq!(compared(&get), compared(&head));
        assert_eq!(get.body, bytes);
        let answer = get
            .expect_header("content-type", "application/octet-stream")
            .expect_header("content-length", &length.to_string())
            .expect_header("docker-content-digest", &digest)
            .expect_header("docker-distribution-api-version", "registry/2.0")
            .expect_header("etag", &format!("\"{digest}\""))
            .expect_header("cache-control", "max-age=31536000")
            .expect_header("accept-ranges", "bytes")
            .expect_header("x-content-type-options", "nosniff");
        assert!(answer.need("last-modified").ends_with(" GMT"), "{answer:?}");
        assert!(
            answer.need("content-security-policy").contains("sandbox"),
            "{answer:?}"
        );
        assert!(
            answer.need("content-disposition").starts_with("attachment"),
            "{answer:?}"
        );
    }
}

/// Case 41.
#[test]
fn a_blob_of_another_repository_looks_like_one_that_nobody_has() {
    let registry = Registry::start();
    let foreign = registry.push_blob("theirs", b"secret");
    let unknown = sha256(b"never pushed");
    registry.push_image("mine", "v1", &Image::new("mine"));
    for repository in ["mine", "new"] {
        for method in ["GET", "HEAD", "DELETE"] {
            let ask = |digest: &str| {
                let target = format!("/v2/{repository}/blobs/{digest}");
                let answer = registry.request(method, target).send().expect(404);
                let body = String::from_utf8(answer.body.clone())
                    .unwrap()
                    .replace(digest, "D");
                let headers: Vec<_> = answer
                    .headers
                    .into_iter()
                    .filter(|(name, _)| !["date", "x-request-id"].contains(&&*name.to_lowercase()))
                    .collect();
                (headers, body)
            };
            assert_eq!(ask(&foreign), ask(&unknown), "{method} in {repository}");
        }
    }
    registry
        .get(format!("/v2/mine/blobs/{foreign}"))
        .send()
        .expect_error(404, "BLOB_UNKNOWN");
}

/// A manifest does not become readable as a blob, nor a blob as a manifest.
#[test]
fn blobs_and_manifests_are_kept_apart() {
    let registry = Registry::start();
    let image = Image::new("apart");
    registry.push_image("app", "v1", &image);
    let layer = &image.layers[0].digest;
    let target = format!("/v2/app/manifests/{layer}");
    registry
        .get(target)
        .send()
        .expect_error(404, "MANIFEST_UNKNOWN");
}

/// The redirect middleware sends clients away; what is stored inline is served directly.
#[test]
fn the_redirect_middleware_answers_with_the_base_url_and_the_objects_key() {
    let registry = Registry::configured(json!({ "middleware": { "storage": [
        { "name": "redirect", "options": { "baseurl": "https://cdn.example/store/" } },
    ] } }));
    let large = registry.push_blob("app", &noise("large", 200_000));
    let target = format!("/v2/app/blobs/{large}");
    for method in ["GET", "HEAD"] {
        let answer = registry.request(method, &target).send().expect(307);
        let location = answer.need("location");
        let key = location
            .strip_prefix("https://cdn.example/store/objects/")
            .unwrap_or_else(|| {
                panic!("{answer:?}");
            });
        let object = registry.data().join("objects").join(key);
        assert_eq!(std::fs::read(object).unwrap().len(), 200_000);
    }
    let small = registry.push_blob("app", b"small");
    assert_eq!(registry.pull_blob("app", &small), b"small");
    let image = Image::new("redirected");
    registry.push_image("app", "v1", &image);
    let manifest = registry.get("/v2/app/manifests/v1").send().expect(200);
    assert_eq!(manifest.body, image.manifest.bytes);
}

/// Methods that a blob does not have.
#[test]
fn a_wrong_method_is_405_and_names_the_right_ones() {
    let registry = Registry::start();
    let digest = registry.push_blob("app", b"x");
    for (method, target, allowed) in [
        (
            "PUT",
            format!("/v2/app/blobs/{digest}"),
            "DELETE, GET, HEAD",
        ),
        (
            "PATCH",
            format!("/v2/app/blobs/{digest}"),
            "DELETE, GET, HEAD",
        ),
        (
            "POST",
            "/v2/app/manifests/v1".to_owned(),
            "DELETE, GET, HEAD, PUT",
        ),
        ("DELETE", "/v2/_catalog".to_owned(), "GET, HEAD"),
        ("PUT", "/v2/app/tags/list".to_owned(), "GET, HEAD"),
    ] {
        let answer = registry
            .request(method, &target)
            .send()
            .expect_error(405, "UNSUPPORTED");
        let mut methods: Vec<&str> = answer.need("allow").split(", ").collect();
        methods.sort_unstable();
        assert_eq!(methods.join(", "), allowed, "{method} {target}");
    }
    let options = registry
        .request("OPTIONS", format!("/v2/app/blobs/{digest}"))
        .send();
    assert_eq!(options.status, 200, "{options:?}");
    assert!(options.need("allow").contains("GET"), "{options:?}");
}

/// `/v2/` answers any method.
#[test]
fn the_base_answers_an_empty_object() {
    let registry = Registry::start();
    for method in ["GET", "POST", "DELETE"] {
        let answer = registry.request(method, "/v2/").send().expect(200);
        assert_eq!(answer.body, b"{}", "{answer:?}");
        answer
            .expect_header("content-type", "application/json")
            .expect_header("docker-distribution-api-version", "registry/2.0")
            .need("x-request-id");
    }
    registry
        .head("/v2/")
        .send()
        .expect(200)
        .expect_header("content-length", "2");
    assert_eq!(registry.get("/v2").send().status, 200, "without a redirect");
}
