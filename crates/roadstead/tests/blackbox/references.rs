//! What a manifest names: there when it is pushed, by policy, and never fetched by the server.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Blob, DOCKER_LIST, Image, Manifest, OCI_INDEX, Registry, descriptor, merge, sha256,
};

/// A descriptor with a platform.
fn on(manifest: &Manifest, architecture: &str) -> Value {
    let mut child = manifest.descriptor();
    merge(
        &mut child,
        &json!({ "platform": { "architecture": architecture, "os": "linux" } }),
    );
    child
}

/// An index of these descriptors.
fn index(children: &[Value]) -> Manifest {
    let document = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
    Manifest::new(OCI_INDEX, &document)
}

/// Case 53.
#[test]
fn an_image_without_its_blobs_is_refused_and_each_is_named() {
    let registry = Registry::start();
    let image = Image::of(
        "missing",
        vec![Blob::layer("one", 10), Blob::layer("two", 20)],
    );
    registry.push_blob("app", &image.layers[0].bytes);
    let answer = registry.put_manifest("app", "v1", &image.manifest);
    let answer = answer.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let mut named: Vec<&str> = errors
        .iter()
        .map(|error| error["detail"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    let mut expected = [&*image.config.digest, &*image.layers[1].digest];
    expected.sort_unstable();
    assert_eq!(named, expected);
    // A blob of another repository is as good as none.
    registry.push_blobs_of("other", &image);
    registry
        .put_manifest("app", "v1", &image.manifest)
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    registry.get("/v2/app/manifests/v1").send().expect(404);
    registry.push_image("app", "v1", &image);
}

/// Case 53, by policy.
#[test]
fn an_image_without_its_blobs_is_taken_where_references_are_not_checked() {
    let validation = json!({ "validation": { "manifests": { "references": "none" } } });
    let registry = Registry::configured(validation);
    let image = Image::new("sparse image");
    registry
        .put_manifest("app", "v1", &image.manifest)
        .expect(201);
    registry.pull_manifest_and_then_blobs(&image);
}

impl Registry {
    /// Blobs that come after their manifest are as good as those that come before it.
    fn pull_manifest_and_then_blobs(&self, image: &Image) {
        let layer = &image.layers[0];
        assert!(!self.has_blob("app", &layer.digest));
        self.push_blobs_of("app", image);
        self.pull_image("app", "v1", image);
        let blob = format!("/v2/app/blobs/{}", layer.digest);
        self.delete(blob).send().expect_error(405, "UNSUPPORTED");
    }
}

/// Case 54.
#[test]
fn an_index_without_a_child_is_refused_every_time() {
    let registry = Registry::start();
    let image = Image::new("child");
    let sparse = Manifest::index(&[&image.manifest]);
    for _ in 0..2 {
        let answer = registry.put_manifest("app", "index", &sparse);
        let answer = answer.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
        assert!(
            answer.reason().contains(&image.manifest.digest),
            "{answer:?}"
        );
    }
    registry.push_blobs_of("app", &image);
    registry.push_manifest("app", &image.manifest);
    registry.put_manifest("app", "index", &sparse).expect(201);
}

/// Case 54, by policy.
#[test]
fn a_sparse_index_is_taken_where_the_policy_says_so() {
    let sparse = Manifest::index(&[&Image::new("absent").manifest]);
    for validation in [
        json!({ "disabled": true }),
        json!({ "manifests": { "indexes": { "platforms": "none" } } }),
    ] {
        let registry = Registry::configured(json!({ "validation": validation }));
        for _ in 0..2 {
            registry.put_manifest("app", "index", &sparse).expect(201);
        }
        assert_eq!(
            registry
                .get("/v2/app/manifests/index")
                .send()
                .expect(200)
                .body,
            sparse.bytes
        );
    }
}

/// Case 54: only the children of the listed platforms must be there.
#[test]
fn an_index_needs_the_children_of_the_listed_platforms() {
    let registry = Registry::configured(json!({ "validation": { "manifests": { "indexes": {
        "platforms": "list",
        "platformlist": [{ "architecture": "amd64", "os": "linux" }],
    } } } }));
    let (present, absent) = (Image::new("present"), Image::new("absent"));
    registry.push_blobs_of("app", &present);
    registry.push_manifest("app", &present.manifest);
    let taken = index(&[
        on(&present.manifest, "amd64"),
        on(&absent.manifest, "arm64"),
    ]);
    registry.put_manifest("app", "taken", &taken).expect(201);
    let refused = index(&[
        on(&absent.manifest, "amd64"),
        on(&present.manifest, "arm64"),
    ]);
    registry
        .put_manifest("app", "refused", &refused)
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    // A child without a platform is of none that is listed.
    let bare = index(&[absent.manifest.descriptor()]);
    registry.put_manifest("app", "bare", &bare).expect(201);
}

/// Case 55; R27.
#[test]
fn deep_and_wide_indexes_cost_no_more_than_they_have_nodes() {
    let registry = Registry::start();
    let image = Image::new("bottom");
    registry.push_image("app", "image", &image);
    let mut chain = image.manifest.clone();
    for _ in 0..64 {
        chain = Manifest::index(&[&chain]);
        let answer = registry.put_manifest("app", &chain.digest, &chain);
        assert!([201, 400].contains(&answer.status), "{answer:?}");
        if answer.status == 400 {
            break;
        }
    }
    // Twenty levels of two nodes, each of which names both below it: 2^20 paths.
    let mut level = [image.manifest.clone(), image.manifest];
    for number in 0..20 {
        let node = |side: &str| {
            Manifest::index(&[&level[0], &level[1]])
                .with(&json!({ "annotations": { "at": format!("{number}{side}") } }))
        };
        level = [node("left"), node("right")];
        for manifest in &level {
            registry.push_manifest("app", manifest);
        }
    }
    registry
        .put_manifest("app", "diamond", &level[0])
        .expect(201);
    let begin = Instant::now();
    assert_eq!(registry.tags("app"), ["diamond", "image"]);
    let referrers = format!("/v2/app/referrers/{}", level[0].digest);
    registry.get(referrers).send().expect(200);
    registry
        .delete("/v2/app/manifests/diamond")
        .send()
        .expect(202);
    let target = format!("/v2/app/manifests/{}", level[0].digest);
    registry.delete(target).send().expect(202);
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
}

/// An image with one foreign layer of this URL.
fn foreign(seed: &str, media_type: &str, url: &str) -> Image {
    let image = Image::new(seed);
    let mut layer = descriptor(media_type, &sha256(seed.as_bytes()), 1_000);
    layer["urls"] = json!([url]);
    let layers = json!([image.layers[0].descriptor(), layer]);
    image.with(&json!({ "layers": layers }))
}

const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

/// Case 56.
#[test]
fn the_url_of_a_foreign_layer_is_stored_and_never_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/layer", listener.local_addr().unwrap());
    let registry = Registry::configured(json!({ "validation": { "manifests": { "urls": {
        "allow": ["^http://127\\.0\\.0\\.1", "^http://169\\.254\\.169\\.254/"],
    } } } }));
    for (tag, url) in [
        ("local", &*url),
        ("metadata", "http://169.254.169.254/latest/meta-data"),
    ] {
        let image = foreign(tag, FOREIGN, url);
        registry.push_blobs_of("app", &image);
        registry
            .put_manifest("app", tag, &image.manifest)
            .expect(201);
        let got = registry
            .get(format!("/v2/app/manifests/{tag}"))
            .send()
            .expect(200);
        assert_eq!(got.body, image.manifest.bytes);
    }
    let connection = listener.accept().expect_err("nobody connects");
    assert_eq!(connection.kind(), std::io::ErrorKind::WouldBlock);
}

/// Case 56: which URLs are taken.
#[test]
fn the_urls_of_foreign_layers_follow_the_configuration() {
    let url = "https://example.com/layer";
    for (validation, accepted) in [
        (json!({}), vec![]),
        (
            json!({ "disabled": true }),
            vec![url, "ftp://example.com/x"],
        ),
        (
            json!({ "manifests": { "urls": { "allow": ["^https://example\\.com/"] } } }),
            vec![url],
        ),
        (
            json!({ "manifests": { "urls": { "deny": ["^https://evil\\.com/"] } } }),
            vec![url],
        ),
    ] {
        let registry = Registry::configured(json!({ "validation": validation }));
        registry.push_blobs_of("app", &Image::new("urls"));
        let candidates = [url, "https://evil.com/x", "ftp://example.com/x"];
        for candidate in candidates {
            if accepted.contains(&url) && candidate != url && !accepted.contains(&candidate) {
                continue;
            }
            let image = foreign("urls", FOREIGN, candidate);
            let answer = registry.put_manifest("app", "v1", &image.manifest);
            if accepted.contains(&candidate) {
                answer.expect(201);
            } else {
                answer.expect_error(400, "MANIFEST_INVALID");
            }
        }
    }
}

/// A docker list is checked as an index is.
#[test]
fn a_docker_list_needs_its_children_too() {
    let registry = Registry::start();
    let image = Image::docker("listed");
    let document = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST,
        "manifests": [on(&image.manifest, "amd64")] });
    let list = Manifest::new(DOCKER_LIST, &document);
    registry
        .put_manifest("app", "list", &list)
        .expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    registry.push_blobs_of("app", &image);
    registry.push_manifest("app", &image.manifest);
    registry.put_manifest("app", "list", &list).expect(201);
}
