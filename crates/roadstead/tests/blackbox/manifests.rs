//! Manifests: every kind is taken, kept byte for byte, and served as what it is.

use serde_json::json;

use crate::harness::{
    DOCKER_IMAGE, DOCKER_LIST, Image, Manifest, OCI_IMAGE, OCI_INDEX, Registry, merge, sha256,
};

/// Accept headers that clients send, none of which changes what is served.
const ACCEPTS: [&str; 7] = [
    OCI_IMAGE,
    OCI_INDEX,
    DOCKER_IMAGE,
    "*/*",
    "application/json",
    "text/html;q=0.5",
    "",
];

/// A docker list of one linux/amd64 and one linux/arm64 image, pushed with its children.
fn docker_list(registry: &Registry) -> (Manifest, Image) {
    let mut children = Vec::new();
    let images = ["amd64", "arm64"].map(|architecture| {
        let image = Image::docker(architecture);
        registry.push_blobs_of("app", &image);
        registry.push_manifest("app", &image.manifest);
        let mut child = image.manifest.descriptor();
        merge(
            &mut child,
            &json!({ "platform": { "architecture": architecture, "os": "linux" } }),
        );
        children.insert(0, child);
        image
    });
    let document = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": children });
    let [amd64, _] = images;
    (Manifest::new(DOCKER_LIST, &document), amd64)
}

#[test]
fn every_kind_of_manifest_is_pushed_and_pulled() {
    let registry = Registry::start();
    let (oci, docker) = (Image::new("oci"), Image::docker("docker"));
    registry.push_image("app", "oci", &oci);
    registry.push_image("app", "docker", &docker);
    let index = Manifest::index(&[&oci.manifest, &docker.manifest]);
    let nested = Manifest::index(&[&index, &oci.manifest]);
    let (list, _) = docker_list(&registry);
    for (tag, manifest) in [("index", &index), ("nested", &nested), ("list", &list)] {
        registry
            .put_manifest("app", tag, manifest)
            .expect(201)
            .expect_header(
                "location",
                &format!("/v2/app/manifests/{}", manifest.digest),
            )
            .expect_header("docker-content-digest", &manifest.digest)
            .expect_header("content-length", "0");
        for reference in [tag, &manifest.digest] {
            let target = format!("/v2/app/manifests/{reference}");
            let get = registry
                .get(&target)
                .header("Accept", &manifest.media_type)
                .send()
                .expect(200);
            assert_eq!(get.body, manifest.bytes);
            let head = registry
                .head(&target)
                .header("Accept", &manifest.media_type)
                .send();
            for answer in [get, head] {
                answer
                    .expect(200)
                    .expect_header("content-type", &manifest.media_type)
                    .expect_header("content-length", &manifest.bytes.len().to_string())
                    .expect_header("docker-content-digest", &manifest.digest)
                    .expect_header("etag", &format!("\"{}\"", manifest.digest));
            }
        }
    }
    registry.pull_image("app", "oci", &oci);
    registry.pull_image("app", "docker", &docker);
}

/// Bytes are kept as they came, odd spacing and unknown members included.
#[test]
fn a_manifest_is_kept_byte_for_byte() {
    let registry = Registry::start();
    let image = Image::new("odd");
    registry.push_blobs_of("app", &image);
    let document = image.manifest.document();
    let odd = format!(
        "\n{{ \"unknown\" :  [1, null,{{}}],\t\"schemaVersion\":2,\"mediaType\":\"{OCI_IMAGE}\",\n\
         \"config\": {},  \"layers\": {} }}\n\n",
        document["config"], document["layers"]
    );
    let manifest = Manifest::raw(OCI_IMAGE, odd);
    registry.put_manifest("app", "odd", &manifest).expect(201);
    let got = registry
        .get(format!("/v2/app/manifests/{}", manifest.digest))
        .send()
        .expect(200);
    assert_eq!(got.body, manifest.bytes);
}

/// Case 45.
#[test]
fn a_manifest_has_at_most_four_mebibytes() {
    let registry = Registry::start();
    let image = Image::new("large");
    registry.push_blobs_of("app", &image);
    let of_size = |size: usize| {
        let mut bytes = image.manifest.bytes.clone();
        bytes.resize(size, b' ');
        Manifest::raw(OCI_IMAGE, bytes)
    };
    let limit = 4 << 20;
    let largest = of_size(limit);
    registry
        .put_manifest("app", "largest", &largest)
        .expect(201);
    assert_eq!(
        registry
            .get("/v2/app/manifests/largest")
            .send()
            .expect(200)
            .body
            .len(),
        limit
    );
    let too_large = of_size(limit + 1);
    registry.put_manifest("app", "more", &too_large).expect(413);
    let chunks: Vec<&[u8]> = too_large.bytes.chunks(60_000).collect();
    registry
        .request("PUT", "/v2/app/manifests/more")
        .header("Content-Type", OCI_IMAGE)
        .chunked(&chunks)
        .send()
        .expect(413);
    registry.get("/v2/app/manifests/more").send().expect(404);
    registry
        .put_manifest("app", "largest", &image.manifest)
        .expect(201);
}

/// Case 50.
#[test]
fn without_a_content_type_the_body_decides() {
    let registry = Registry::start();
    let image = Image::new("untyped");
    registry.push_blobs_of("app", &image);
    let put = |tag: &str, manifest: &Manifest| {
        registry
            .put(format!("/v2/app/manifests/{tag}"))
            .body(&manifest.bytes)
            .send()
    };
    put("typed", &image.manifest).expect(201);
    registry
        .get("/v2/app/manifests/typed")
        .send()
        .expect_header("content-type", OCI_IMAGE);
    let untyped = image.manifest.with(&json!({ "mediaType": null }));
    put("untyped", &untyped).expect_error(400, "MANIFEST_INVALID");
    // With a Content-Type, a body without one is legal, and keeps the type it came with.
    registry
        .put_manifest("app", "untyped", &untyped)
        .expect(201);
    registry
        .get("/v2/app/manifests/untyped")
        .send()
        .expect_header("content-type", OCI_IMAGE);
}

/// Case 60.
#[test]
fn a_put_by_digest_needs_the_body_of_that_digest() {
    let registry = Registry::start();
    let (one, two) = (Image::new("one"), Image::new("two"));
    registry.push_blobs_of("app", &one);
    registry
        .put_manifest("app", &two.manifest.digest, &one.manifest)
        .expect_error(400, "DIGEST_INVALID");
    for image in [&one, &two] {
        let target = format!("/v2/app/manifests/{}", image.manifest.digest);
        registry
            .get(target)
            .send()
            .expect_error(404, "MANIFEST_UNKNOWN");
    }
}

/// Case 62.
#[test]
fn a_manifest_pushed_twice_is_one_entry() {
    let mut registry = Registry::start();
    let image = Image::new("twice");
    registry.push_image("app", "v1", &image);
    registry
        .put_manifest("app", "v1", &image.manifest)
        .expect(201);
    registry
        .put_manifest("app", &image.manifest.digest, &image.manifest)
        .expect(201);
    assert_eq!(registry.tags("app"), ["v1"]);
    registry.pull_image("app", "v1", &image);
    registry.terminate();
    let database = rusqlite::Connection::open(registry.data().join("roadstead.db")).unwrap();
    let moves: u32 = database
        .query_row("SELECT count(*) FROM journal WHERE tag = 'v1'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(moves, 1);
}

/// Case 68.
#[test]
fn accept_changes_nothing() {
    let registry = Registry::start();
    let image = Image::new("accept");
    registry.push_image("app", "image", &image);
    let index = Manifest::index(&[&image.manifest]);
    registry.put_manifest("app", "index", &index).expect(201);
    for (tag, manifest) in [("image", &image.manifest), ("index", &index)] {
        for accept in ACCEPTS {
            let request = registry.get(format!("/v2/app/manifests/{tag}"));
            let request = if accept.is_empty() {
                request
            } else {
                request.header("Accept", accept)
            };
            let answer = request.send().expect(200);
            assert_eq!(answer.body, manifest.bytes, "{accept}");
            answer.expect_header("content-type", &manifest.media_type);
        }
    }
}

/// Case 68: the one exception, for clients from before manifest lists.
#[test]
fn a_docker_list_by_tag_is_its_linux_amd64_child_for_a_client_that_names_only_v2() {
    let registry = Registry::start();
    let (list, amd64) = docker_list(&registry);
    registry.put_manifest("app", "list", &list).expect(201);
    let get = |reference: &str, accept: &str| {
        registry
            .get(format!("/v2/app/manifests/{reference}"))
            .header("Accept", accept)
            .send()
    };
    let child = get("list", DOCKER_IMAGE)
        .expect(200)
        .expect_header("content-type", DOCKER_IMAGE)
        .expect_header("docker-content-digest", &amd64.manifest.digest)
        .expect_header("etag", &format!("\"{}\"", amd64.manifest.digest));
    assert_eq!(child.body, amd64.manifest.bytes);
    let head = registry
        .head("/v2/app/manifests/list")
        .header("Accept", DOCKER_IMAGE)
        .send();
    head.expect(200)
        .expect_header("docker-content-digest", &amd64.manifest.digest);
    let both = format!("{DOCKER_IMAGE}, {DOCKER_LIST}");
    for (reference, accept) in [
        ("list", &*both),
        ("list", "*/*"),
        ("list", OCI_IMAGE),
        (&*list.digest, DOCKER_IMAGE),
    ] {
        let answer = get(reference, accept).expect(200);
        assert_eq!(answer.body, list.bytes, "{reference} {accept}");
    }
}

/// Case 69: the API returns it verbatim; the log has no control characters.
#[test]
fn annotations_are_verbatim_and_the_log_is_escaped() {
    let registry = Registry::start();
    let annotations = json!({ "annotations": {
        "title": "<script>alert(1)</script>", "escape": "\u{1b}[31mred", "rtl": "\u{202e}gpj.exe" } });
    let image = Image::new("annotated").with(&annotations);
    registry.push_image("app", "v1", &image);
    registry.pull_image("app", "v1", &image);
    let raw = image.manifest.bytes.clone();
    let unescaped = String::from_utf8(raw)
        .unwrap()
        .replace("\\u202e", "\u{202e}");
    registry
        .put_manifest("app", "v2", &Manifest::raw(OCI_IMAGE, unescaped))
        .expect(201);
    registry
        .get("/v2/app/manifests/%1b%5b31m")
        .header("User-Agent", "\u{202e}x")
        .send()
        .expect(400);
    registry
        .get("/v2/app/manifests/v1")
        .header("User-Agent", "agent\u{85}")
        .send();
    registry.wait_for_log("GET");
    let log = registry.log();
    assert!(!log.contains('\u{1b}'), "an escape code in the log");
    assert!(!log.contains('\u{202e}'), "a direction override in the log");
}

/// Schema 1 is refused, and the refusal says what to do.
#[test]
fn schema_1_is_refused_with_a_way_out() {
    let registry = Registry::start();
    let document = json!({ "schemaVersion": 1, "name": "app", "tag": "v1",
        "fsLayers": [{ "blobSum": sha256(b"layer") }], "history": [] });
    for kind in [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/json",
        OCI_IMAGE,
    ] {
        let answer = registry.put_manifest("app", "v1", &Manifest::new(kind, &document));
        let answer = answer.expect_error(400, "MANIFEST_INVALID");
        if kind.contains("manifest.v1") {
            let reason = answer.reason().to_lowercase();
            assert!(
                reason.contains("schema") && reason.contains("convert"),
                "{answer:?}"
            );
        }
    }
}

/// An unknown tag, digest and repository are all MANIFEST_UNKNOWN, as `distribution` has it.
#[test]
fn an_unknown_manifest_is_manifest_unknown() {
    let registry = Registry::start();
    registry.push_image("app", "v1", &Image::new("known"));
    let digest = sha256(b"unknown");
    for (repository, reference) in [
        ("app", "v2"),
        ("app", &*digest),
        ("new", "v1"),
        ("new", &*digest),
    ] {
        let target = format!("/v2/{repository}/manifests/{reference}");
        registry
            .get(&target)
            .send()
            .expect_error(404, "MANIFEST_UNKNOWN");
        assert_eq!(registry.head(&target).send().status, 404);
    }
}
