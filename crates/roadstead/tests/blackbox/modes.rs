//! Settings that change how the registry answers: read-only, host, prefix, headers.

use serde_json::json;

use crate::harness::{Builder, Image, Registry, noise, sha256};

#[test]
fn a_read_only_registry_serves_and_takes_nothing() {
    let mut registry = Registry::start();
    let image = Image::new("read-only");
    registry.push_image("app", "v1", &image);
    let session = registry.session("app");
    registry.terminate();
    let maintenance = json!({ "storage": { "maintenance": { "readonly": { "enabled": true } } } });
    let registry = registry.builder().config(maintenance).start();
    registry.pull_image("app", "v1", &image);
    assert_eq!(registry.tags("app"), ["v1"]);
    let digest = sha256(b"x");
    for (method, target) in [
        ("POST", "/v2/app/blobs/uploads/".to_owned()),
        (
            "POST",
            format!(
                "/v2/app/blobs/uploads/?mount={}&from=app",
                image.config.digest
            ),
        ),
        ("POST", format!("/v2/app/blobs/uploads/?digest={digest}")),
        ("PATCH", session.clone()),
        ("PUT", format!("{session}?digest={digest}")),
        ("DELETE", session.clone()),
        ("DELETE", "/v2/app/manifests/v1".to_owned()),
        ("DELETE", format!("/v2/app/blobs/{}", image.config.digest)),
    ] {
        let answer = registry.request(method, &target).body(b"x").send();
        let answer = answer.expect_error(405, "UNSUPPORTED");
        assert!(answer.reason().contains("read-only"), "{answer:?}");
    }
    registry
        .put_manifest("app", "v2", &image.manifest)
        .expect_error(405, "UNSUPPORTED");
    registry.get(&session).send().expect(204);
}

/// Location and Link are absolute with `http.host`, else path-absolute.
#[test]
fn urls_come_from_the_configuration_alone() {
    for (http, base, at) in [
        (json!({}), "", ""),
        (json!({ "relativeurls": true }), "", ""),
        (
            json!({ "host": "https://registry.example" }),
            "https://registry.example",
            "",
        ),
        (
            json!({ "host": "https://registry.example:8443/" }),
            "https://registry.example:8443",
            "",
        ),
        (json!({ "prefix": "/reg/" }), "/reg", "/reg"),
        (
            json!({ "prefix": "/reg/", "relativeurls": true }),
            "/reg",
            "/reg",
        ),
        (
            json!({ "prefix": "/reg/", "host": "https://r.example" }),
            "https://r.example/reg",
            "/reg",
        ),
    ] {
        let registry = Registry::configured(json!({ "http": http }));
        let ask = |method: &str, target: String| {
            registry
                .request(method, target)
                .header("Host", "evil.example")
                .header("X-Forwarded-Host", "evil.example")
                .header("X-Forwarded-Proto", "ftp")
                .header("Forwarded", "host=evil.example;proto=ftp")
        };
        let begun = ask("POST", format!("{at}/v2/app/blobs/uploads/"))
            .body("")
            .send()
            .expect(202);
        let location = begun.need("location");
        assert!(
            location.starts_with(&format!("{base}/v2/app/blobs/uploads/")),
            "{location}"
        );
        let local = location.replacen(base, at, usize::from(!base.is_empty()));
        let digest = sha256(b"x");
        let closed = ask("PUT", format!("{local}?digest={digest}"))
            .body(b"x")
            .send()
            .expect(201);
        assert_eq!(
            closed.need("location"),
            format!("{base}/v2/app/blobs/{digest}")
        );
        let image = Image::new("urls");
        for blob in image.blobs() {
            let digest = &blob.digest;
            let target = format!("{at}/v2/app/blobs/uploads/?digest={digest}");
            ask("POST", target).body(&blob.bytes).send().expect(201);
        }
        for tag in ["a", "b"] {
            let put = ask("PUT", format!("{at}/v2/app/manifests/{tag}"))
                .header("Content-Type", &image.manifest.media_type)
                .body(&image.manifest.bytes)
                .send()
                .expect(201);
            let expected = format!("{base}/v2/app/manifests/{}", image.manifest.digest);
            assert_eq!(put.need("location"), expected);
        }
        let page = ask("GET", format!("{at}/v2/app/tags/list?n=1"))
            .send()
            .expect(200);
        let next = page.next().unwrap();
        assert!(
            next.starts_with(&format!("{base}/v2/app/tags/list?")),
            "{next}"
        );
    }
}

#[test]
fn below_a_prefix_nothing_else_is_served_but_the_root() {
    let registry = Registry::configured(json!({ "http": { "prefix": "/reg/" } }));
    registry.get("/reg/v2/").send().expect(200);
    registry.get("/").send().expect(200);
    assert_eq!(registry.get("/v2/").send().status, 404);
    assert_eq!(registry.get("/other/v2/").send().status, 404);
}

#[test]
fn configured_headers_are_added_to_answers() {
    let registry = Registry::configured(json!({ "http": { "headers": {
        "X-Content-Type-Options": ["nosniff"], "X-Custom": ["one", "two"] } } }));
    let answer = registry.get("/v2/").send().expect(200);
    let custom: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-custom"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(custom, ["one", "two"], "{answer:?}");
    let digest = registry.push_blob("app", b"x");
    let blob = registry
        .get(format!("/v2/app/blobs/{digest}"))
        .send()
        .expect(200);
    blob.expect_header("x-content-type-options", "nosniff");
}

#[test]
fn a_registry_in_memory_works_until_it_ends() {
    let registry =
        Registry::configured(json!({ "storage": { "filesystem": null, "inmemory": {} } }));
    let image = Image::new("in memory");
    registry.push_image("app", "v1", &image);
    registry.pull_image("app", "v1", &image);
    assert_eq!(registry.tags("app"), ["v1"]);
    let large = noise("in memory", 300_000);
    let digest = registry.push_blob("app", &large);
    assert_eq!(registry.pull_blob("app", &digest), large);
    assert!(!registry.data().exists());
    let registry = registry.restart();
    registry
        .get("/v2/app/tags/list")
        .send()
        .expect_error(404, "NAME_UNKNOWN");
}

/// Every request has an id, in the answer and in the log.
#[test]
fn a_request_is_found_in_the_log_by_its_id() {
    let registry = Registry::start();
    let answer = registry.get("/v2/app/manifests/unknown").send().expect(404);
    let id = answer.need("x-request-id").to_owned();
    let line = registry.wait_for_log(&id);
    assert!(
        line.contains("404") && line.contains("MANIFEST_UNKNOWN"),
        "{line}"
    );
    let other = registry.get("/v2/").send();
    assert_ne!(other.need("x-request-id"), id);
}

/// Health of the debug server.
#[test]
fn the_debug_server_tells_the_health() {
    let registry = Builder::new()
        .config(json!({
            "http": { "debug": { "addr": "127.0.0.1:0" } },
            "health": { "storagedriver": { "enabled": true, "interval": "1s", "threshold": 1 } },
        }))
        .start();
    let line = registry.wait_for_log("debug");
    let pattern = regex::Regex::new(r"127\.0\.0\.1:[1-9]\d*").unwrap();
    let address = pattern
        .find(&line)
        .unwrap_or_else(|| panic!("{line}"))
        .as_str();
    let request = crate::harness::Request::new(address.parse().unwrap(), "GET", "/debug/health");
    let answer = request.send().expect(200);
    assert_eq!(answer.json(), json!({}), "{answer:?}");
    // The API's port has no such page.
    assert_eq!(registry.get("/debug/health").send().status, 404);
}
