//! Conditional requests (RFC 9110 §13) for blobs and manifests.

use crate::harness::{Answer, Image, Registry, noise, sha256};

/// A date long before and one long after any push.
const PAST: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
const FUTURE: &str = "Wed, 01 Jan 2200 00:00:00 GMT";

/// Asks GET and HEAD with these headers; both must answer alike.
fn ask(registry: &Registry, target: &str, headers: &[(&str, &str)]) -> Answer {
    let with = |method: &str| {
        let request = registry.request(method, target);
        headers
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(name, value)
            })
            .send()
    };
    let (get, head) = (with("GET"), with("HEAD"));
    assert_eq!(get.status, head.status, "{get:?}{head:?}");
    get
}

/// Case 40.
#[test]
fn if_none_match_with_the_digest_is_304() {
    let registry = Registry::start();
    for bytes in [noise("small", 100), noise("large", 20_000)] {
        let digest = registry.push_blob("app", &bytes);
        let target = format!("/v2/app/blobs/{digest}");
        let etag = format!("\"{digest}\"");
        let (weak, list) = (format!("W/{etag}"), format!("\"x\", {etag} , \"y\""));
        for value in [&*etag, &*weak, &*list, "*"] {
            let answer = ask(&registry, &target, &[("If-None-Match", value)]).expect(304);
            assert!(answer.body.is_empty());
            assert_eq!(answer.need("etag"), etag);
            answer.expect_header("docker-content-digest", &digest);
        }
        for value in ["\"sha256:other\"", "\"\""] {
            ask(&registry, &target, &[("If-None-Match", value)]).expect(200);
        }
    }
}

/// Case 40: the same for manifests, by tag and by digest.
#[test]
fn if_none_match_works_for_manifests_too() {
    let registry = Registry::start();
    let image = Image::new("conditional");
    registry.push_image("app", "v1", &image);
    let etag = format!("\"{}\"", image.manifest.digest);
    for reference in ["v1", &image.manifest.digest] {
        let target = format!("/v2/app/manifests/{reference}");
        let weak = format!("W/{etag}");
        for value in [&*etag, &*weak, "*"] {
            let answer = ask(&registry, &target, &[("If-None-Match", value)]).expect(304);
            assert_eq!(answer.need("etag"), etag);
        }
        ask(&registry, &target, &[("If-None-Match", "\"other\"")]).expect(200);
    }
    // A condition never makes a manifest that is not there exist.
    let unknown = sha256(b"unknown");
    let target = format!("/v2/app/manifests/{unknown}");
    ask(
        &registry,
        &target,
        &[("If-None-Match", &format!("\"{unknown}\""))],
    )
    .expect(404);
}

#[test]
fn if_match_and_the_dates_decide_as_the_rfc_says() {
    let registry = Registry::start();
    let digest = registry.push_blob("app", &noise("dates", 10_000));
    let target = format!("/v2/app/blobs/{digest}");
    let etag = format!("\"{digest}\"");
    let modified = registry
        .head(&target)
        .send()
        .need("last-modified")
        .to_owned();
    for (headers, status) in [
        (vec![("If-Match", &*etag)], 200),
        (vec![("If-Match", "*")], 200),
        (vec![("If-Match", "\"other\"")], 412),
        (vec![("If-Unmodified-Since", PAST)], 412),
        (vec![("If-Unmodified-Since", &*modified)], 200),
        (vec![("If-Unmodified-Since", FUTURE)], 200),
        (vec![("If-Modified-Since", PAST)], 200),
        (vec![("If-Modified-Since", &*modified)], 304),
        (vec![("If-Modified-Since", "no date")], 200),
        // Where both are there, the entity tag decides.
        (
            vec![
                ("If-None-Match", "\"other\""),
                ("If-Modified-Since", &*modified),
            ],
            200,
        ),
        (
            vec![("If-Match", &*etag), ("If-Unmodified-Since", PAST)],
            200,
        ),
    ] {
        let answer = ask(&registry, &target, &headers);
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
}

#[test]
fn if_range_decides_between_the_part_and_the_whole() {
    let registry = Registry::start();
    let bytes = noise("if-range", 10_000);
    let digest = registry.push_blob("app", &bytes);
    let target = format!("/v2/app/blobs/{digest}");
    let etag = format!("\"{digest}\"");
    let modified = registry
        .head(&target)
        .send()
        .need("last-modified")
        .to_owned();
    for (value, status) in [
        (&*etag, 206),
        ("\"other\"", 200),
        // A weak tag never matches here.
        (&*format!("W/{etag}"), 200),
        (PAST, 200),
    ] {
        let answer = registry
            .get(&target)
            .header("Range", "bytes=0-9")
            .header("If-Range", value)
            .send();
        assert_eq!(answer.status, status, "{value}: {answer:?}");
    }
    let by_date = registry
        .get(&target)
        .header("Range", "bytes=0-9")
        .header("If-Range", &modified)
        .send();
    assert!([200, 206].contains(&by_date.status), "{by_date:?}");
    // A failed precondition comes before the range.
    let answer = registry
        .get(&target)
        .header("Range", "bytes=99999-")
        .header("If-None-Match", &etag)
        .send();
    answer.expect(304);
}

/// `Last-Modified` is when the blob entered this repository.
#[test]
fn last_modified_is_a_date_of_now() {
    let registry = Registry::start();
    let digest = registry.push_blob("app", b"now");
    let target = format!("/v2/app/blobs/{digest}");
    ask(&registry, &target, &[("If-Modified-Since", PAST)]).expect(200);
    let date = registry.head(&target).send();
    let (modified, now) = (date.need("last-modified"), date.need("date"));
    // Within one run of a test, all but the minutes and seconds is the same but at midnight.
    assert_eq!(modified.len(), now.len(), "{date:?}");
}
