//! tags/list and tags in a push: byte order, pages, and all tags of a push or none.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::{Image, Manifest, Registry, Wire};

/// A registry with one image in `app` under these tags.
fn with_tags(tags: &[&str]) -> (Registry, Image) {
    let registry = Registry::start();
    let image = Image::new("tags");
    registry.push_blobs_of("app", &image);
    for tag in tags {
        registry
            .put_manifest("app", tag, &image.manifest)
            .expect(201);
    }
    (registry, image)
}

fn names(answer: &crate::harness::Answer) -> Vec<String> {
    let page = answer.json();
    page["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn tags_are_listed_in_byte_order() {
    let (registry, _) = with_tags(&["v1", "a", "V2", "0", "_x", "b", "c", "a.b", "a-b"]);
    let answer = registry.get("/v2/app/tags/list").send().expect(200);
    assert_eq!(answer.json()["name"], "app");
    assert_eq!(
        names(&answer),
        ["0", "V2", "_x", "a", "a-b", "a.b", "b", "c", "v1"]
    );
    assert!(answer.header("link").is_none(), "{answer:?}");
    answer.expect_header("content-type", "application/json");
}

/// Case 9; R1.
#[test]
fn a_page_size_that_is_no_number_is_refused_and_zero_is_an_empty_page() {
    let (registry, _) = with_tags(&["a", "b"]);
    for list in ["app/tags/list", "_catalog"] {
        for n in [
            "-1",
            "abc",
            "9223372036854775808",
            "100000000000000000000",
            "1.5",
            "0x1",
            "%201",
        ] {
            let answer = registry.get(format!("/v2/{list}?n={n}")).send();
            answer.expect_error(400, "PAGINATION_NUMBER_INVALID");
        }
        let twice = registry.get(format!("/v2/{list}?n=1&n=2")).send();
        assert_eq!(twice.status, 400, "{twice:?}");
        let zero = registry.get(format!("/v2/{list}?n=0")).send().expect(200);
        let member = if list == "_catalog" {
            "repositories"
        } else {
            "tags"
        };
        assert_eq!(zero.json()[member].as_array().unwrap().len(), 0);
        assert!(zero.header("link").is_none(), "{zero:?}");
    }
}

/// Case 10; R1.
#[test]
fn a_huge_page_size_is_clamped_and_allocates_nothing() {
    let (registry, _) = with_tags(&["a", "b", "c"]);
    let before = registry.peak_memory_bytes();
    for n in ["1000000000", "9223372036854775807"] {
        let answer = registry
            .get(format!("/v2/app/tags/list?n={n}"))
            .send()
            .expect(200);
        assert_eq!(names(&answer).len(), 3);
        assert!(answer.next().is_none());
        let catalog = registry.get(format!("/v2/_catalog?n={n}")).send();
        assert!([200, 400].contains(&catalog.status), "{catalog:?}");
    }
    assert!(registry.peak_memory_bytes() - before < 5 << 20);
}

/// Case 11.
#[test]
fn last_is_a_position_that_need_not_exist() {
    let (registry, _) = with_tags(&["a", "c", "e"]);
    for (query, expected) in [
        ("last=a", vec!["c", "e"]),
        ("last=b", vec!["c", "e"]),
        ("last=d&n=1", vec!["e"]),
        ("last=e", vec![]),
        ("last=z", vec![]),
        ("last=", vec!["a", "c", "e"]),
        ("last=B", vec!["a", "c", "e"]),
    ] {
        let answer = registry
            .get(format!("/v2/app/tags/list?{query}"))
            .send()
            .expect(200);
        assert_eq!(names(&answer), expected, "{query}");
        assert!(answer.next().is_none(), "{query}: {answer:?}");
    }
    let long = "a".repeat(1 << 20);
    registry
        .get(format!("/v2/app/tags/list?last={long}"))
        .send()
        .expect(414);
    assert_eq!(
        registry.get("/v2/app/tags/list?last=%ff%fe").send().status,
        400
    );
}

/// Link only where there is more, relative, and in the form of `distribution`.
#[test]
fn a_full_last_page_has_no_link() {
    let (registry, _) = with_tags(&["a", "b", "c", "d"]);
    let first = registry.get("/v2/app/tags/list?n=2").send().expect(200);
    assert_eq!(names(&first), ["a", "b"]);
    let next = first.next().expect("a next page");
    assert!(next.starts_with("/v2/app/tags/list?"), "{next}");
    assert!(next.contains("last=b") && next.contains("n=2"), "{next}");
    let second = registry.get(next).send().expect(200);
    assert_eq!(names(&second), ["c", "d"]);
    assert!(second.next().is_none(), "{second:?}");
    let all = registry.get("/v2/app/tags/list?n=4").send().expect(200);
    assert!(all.next().is_none(), "{all:?}");
}

/// `tags.maxtags` caps a page, asked for or not.
#[test]
fn pages_are_clamped_to_the_configured_maximum() {
    let registry = Registry::configured(serde_json::json!({ "tags": { "maxtags": 3 } }));
    let image = Image::new("clamped");
    registry.push_blobs_of("app", &image);
    for tag in ["a", "b", "c", "d", "e"] {
        registry
            .put_manifest("app", tag, &image.manifest)
            .expect(201);
    }
    let answer = registry.get("/v2/app/tags/list?n=5").send().expect(200);
    assert_eq!(names(&answer), ["a", "b", "c"]);
    assert!(answer.next().is_some());
    assert_eq!(
        registry.pages("/v2/app/tags/list?n=1000", "tags"),
        ["a", "b", "c", "d", "e"]
    );
}

/// A repository that never had a manifest is unknown; one whose tags are gone is empty.
#[test]
fn an_unknown_repository_has_no_list_and_an_empty_one_has() {
    let (registry, _) = with_tags(&["only"]);
    registry.push_blob("blobs-only", b"x");
    for name in ["never", "blobs-only"] {
        registry
            .get(format!("/v2/{name}/tags/list"))
            .send()
            .expect_error(404, "NAME_UNKNOWN");
    }
    registry.delete("/v2/app/manifests/only").send().expect(202);
    assert!(names(&registry.get("/v2/app/tags/list").send().expect(200)).is_empty());
}

/// Case 12; R28.
#[test]
fn paging_while_tags_come_and_go_shows_each_stable_one_once() {
    let registry = Registry::start();
    let image = Image::new("many tags");
    registry.push_blobs_of("app", &image);
    let stable: Vec<String> = (0..100_000)
        .map(|number| format!("stable-{number:05}"))
        .collect();
    for group in stable.chunks(100) {
        push_tagged(&registry, &image.manifest, group).expect(201);
    }
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                number = (number * 7 + 13) % 100_000;
                let tag = format!("stable-{number:05}-moving");
                registry
                    .put_manifest("app", &tag, &image.manifest)
                    .expect(201);
                registry
                    .delete(format!("/v2/app/manifests/{tag}"))
                    .send()
                    .expect(202);
            }
        });
        let seen: Vec<Vec<String>> = (0..3)
            .map(|_| registry.pages("/v2/app/tags/list?n=137", "tags"))
            .collect();
        done.store(true, Ordering::Relaxed);
        seen
    });
    for tags in seen {
        let mut counts = BTreeMap::new();
        for tag in tags.iter().filter(|tag| !tag.ends_with("-moving")) {
            *counts.entry(tag).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), stable.len());
        assert!(counts.values().all(|count| *count == 1));
        assert!(tags.is_sorted());
    }
}

/// PUT by digest with these tags.
fn push_tagged(
    registry: &Registry,
    manifest: &Manifest,
    tags: &[String],
) -> crate::harness::Answer {
    let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
    let reference = format!("{}?{}", manifest.digest, query.join("&"));
    registry.put_manifest("app", &reference, manifest)
}

/// Case 61.
#[test]
fn ten_tags_in_one_push_are_all_set_and_named() {
    let (registry, image) = with_tags(&[]);
    let tags: Vec<String> = (0..10).map(|number| format!("t{number}")).collect();
    let answer = push_tagged(&registry, &image.manifest, &tags).expect(201);
    let named: Vec<&str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("oci-tag"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(named, tags, "{answer:?}");
    assert_eq!(registry.tags("app"), tags);
    registry.pull_image("app", "t7", &image);
}

/// Case 61: none where one is refused.
#[test]
fn a_push_with_one_bad_tag_sets_none() {
    let (registry, image) = with_tags(&[]);
    let tags = ["good", "-bad", "also-good"].map(str::to_owned);
    assert_eq!(push_tagged(&registry, &image.manifest, &tags).status, 400);
    registry.get("/v2/app/manifests/good").send().expect(404);
    registry
        .get(format!("/v2/app/manifests/{}", image.manifest.digest))
        .send()
        .expect(404);
    let tags: Vec<String> = (0..1_000).map(|number| format!("t{number}")).collect();
    let answer = push_tagged(&registry, &image.manifest, &tags);
    assert!([400, 414].contains(&answer.status), "{answer:?}");
    registry.get("/v2/app/manifests/t0").send().expect(404);
}

/// A tag moves with the next push, and the manifest it pointed to stays under its digest.
#[test]
fn a_tag_moves_and_digests_stay() {
    let registry = Registry::start();
    let (one, two) = (Image::new("one"), Image::new("two"));
    registry.push_image("app", "latest", &one);
    registry.push_image("app", "latest", &two);
    registry.pull_image("app", "latest", &two);
    registry.pull_image("app", &one.manifest.digest, &one);
    assert_eq!(registry.tags("app"), ["latest"]);
}

/// Many requests on one connection: keep-alive works, and nothing of one leaks into the next.
#[test]
fn a_connection_serves_many_requests() {
    let (registry, image) = with_tags(&["v1"]);
    let mut wire = Wire::connect(registry.address());
    for _ in 0..50 {
        wire.write("GET /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(wire.answer("GET").expect(200).body, image.manifest.bytes);
        wire.write("HEAD /v2/app/manifests/v2 HTTP/1.1\r\nHost: x\r\n\r\n");
        wire.answer("HEAD").expect(404);
    }
}
