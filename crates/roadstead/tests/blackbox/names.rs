//! Names, paths and queries: what a client writes is read once, strictly, and never normalised.

use std::time::{Duration, Instant};

use crate::harness::{Image, Registry};

/// Sends GET to each target and checks that it is refused without a redirect.
fn check_refused(targets: &[&str], statuses: &[u16]) {
    let registry = Registry::start();
    for target in targets {
        let answer = registry.get(target).send();
        assert!(statuses.contains(&answer.status), "{answer:?}");
        assert!(answer.header("location").is_none(), "{answer:?}");
    }
    registry.push_image("later", "v1", &Image::new("later"));
}

/// Case 1.
#[test]
fn an_upper_case_repository_name_is_refused() {
    let registry = Registry::start();
    for target in [
        "/v2/UPPER/tags/list",
        "/v2/UPPER/manifests/v1",
        "/v2/team/UPPER/tags/list",
    ] {
        let answer = registry.get(target).send();
        assert!([400, 404].contains(&answer.status), "{answer:?}");
        assert!(
            ["NAME_INVALID", "NAME_UNKNOWN"].contains(&&*answer.code()),
            "{answer:?}"
        );
    }
    registry
        .post("/v2/UPPER/blobs/uploads/")
        .send()
        .expect_error(400, "NAME_INVALID");
}

/// Case 2.
#[test]
fn a_repository_name_has_at_most_255_bytes() {
    let registry = Registry::start();
    let legal = "a".repeat(255);
    registry.push_image(&legal, "v1", &Image::new("long name"));
    for length in [256, 300] {
        let name = "a".repeat(length);
        registry
            .get(format!("/v2/{name}/tags/list"))
            .send()
            .expect_error(400, "NAME_INVALID");
        registry
            .post(format!("/v2/{name}/blobs/uploads/"))
            .send()
            .expect_error(400, "NAME_INVALID");
    }
}

/// Cases 3, 4 and 5; R6.
#[test]
fn a_path_is_never_normalised() {
    check_refused(
        &[
            "/v2/../etc/tags/list",
            "/v2/a/../../etc/tags/list",
            "/v2/./a/tags/list",
            "/v2/a%2f..%2fb/tags/list",
            "/v2/a%2Fb/tags/list",
            "/v2/a//b/tags/list",
            "/v2//a/tags/list",
            "/v2/a/tags//list",
            "//v2/a/tags/list",
        ],
        &[400, 404],
    );
}

#[test]
fn where_there_is_nothing_a_query_does_not_matter() {
    check_refused(&["/v2/a/nothing?x=%zz", "/nothing?x=%ff"], &[404]);
    check_refused(&["/v2/a/tags/list?n=%zz"], &[400]);
}

/// Case 6; R6.
#[test]
fn escapes_of_control_characters_dots_and_separators_are_refused() {
    check_refused(
        &[
            "/v2/a%00/tags/list",
            "/v2/a/manifests/v%00",
            "/v2/a%0d%0aX-Evil:%201/tags/list",
            "/v2/%252e%252e/tags/list",
            "/v2/a%252f%252e%252e/tags/list",
            "/v2/%2e%2e/etc/tags/list",
            "/v2/a;x=y/tags/list",
            "/v2/a%3bx=y/tags/list",
            "/v2/a%5cb/tags/list",
            "/v2/a/manifests/v%5c..",
            "/v2/a/manifests/v%2f1",
            "/v2/a%zz/tags/list",
            "/v2/a%/tags/list",
        ],
        &[400],
    );
}

/// Case 6: a backslash as it is.
#[test]
fn a_backslash_in_a_path_is_refused() {
    check_refused(&["/v2/a\\b/tags/list", "/v2/a/manifests/..\\x"], &[400]);
}

/// Case 7.
#[test]
fn a_tag_has_1_to_128_characters_and_begins_with_a_word_character() {
    let registry = Registry::start();
    let image = Image::new("tag grammar");
    registry.push_blobs_of("app", &image);
    for tag in [
        "t".repeat(128),
        "_".into(),
        "A.b-c_d".into(),
        "0".into(),
        "a..b".into(),
    ] {
        registry
            .put_manifest("app", &tag, &image.manifest)
            .expect(201);
        registry.pull_image("app", &tag, &image);
    }
    for tag in [
        "t".repeat(129),
        "-a".into(),
        ".a".into(),
        "a%20b".into(),
        "a+b".into(),
        "ä".into(),
    ] {
        let answer = registry.put_manifest("app", &tag, &image.manifest);
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(registry.tags("app").len(), 5);
}

/// Case 8.
#[test]
fn repositories_named_like_endpoints_are_routed_unambiguously() {
    let registry = Registry::start();
    let names = [
        "blobs",
        "manifests",
        "uploads",
        "tags",
        "referrers",
        "tags/list/x",
        "blobs/uploads",
        "a/blobs/uploads",
        "a/manifests/tags",
        "v2/v2",
        "library/tags/list",
    ];
    for name in names {
        let image = Image::new(name);
        registry.push_image(name, "list", &image);
        registry.pull_image(name, "list", &image);
        registry.pull_image(name, &image.manifest.digest, &image);
        assert_eq!(registry.tags(name), ["list"], "{name}");
    }
    assert_eq!(
        registry.pages("/v2/_catalog", "repositories").len(),
        names.len()
    );
}

/// Names that the grammar takes and names that it does not.
#[test]
fn a_repository_name_follows_the_grammar() {
    let registry = Registry::start();
    for name in [
        "a",
        "a/b/c/d/e",
        "a__b",
        "a--b",
        "a-----b",
        "a.b",
        "0/1",
        "Foo.com/bar",
    ] {
        let image = Image::new(name);
        registry.push_image(name, "v1", &image);
        registry.pull_image(name, "v1", &image);
    }
    for name in [
        "a..b", "a___b", "a._b", "-a", "a-", "_a", "a/_b", "a/", "a/b-", "a%20b", "ä",
    ] {
        let answer = registry.post(format!("/v2/{name}/blobs/uploads/")).send();
        assert!([400, 404].contains(&answer.status), "{name}: {answer:?}");
    }
}

/// Case 14.
#[test]
fn twenty_thousand_query_parameters_are_refused_at_once() {
    let registry = Registry::start();
    let query = "n=1&".repeat(5_000) + &"x=y&".repeat(2_000);
    let begin = Instant::now();
    let answer = registry.get(format!("/v2/_catalog?{query}")).send();
    assert!([400, 414].contains(&answer.status), "{answer:?}");
    let query = "a&".repeat(20_000);
    let answer = registry.get(format!("/v2/_catalog?{query}")).send();
    assert!([400, 414, 431].contains(&answer.status), "{answer:?}");
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
}

/// Case 15.
#[test]
fn a_url_of_a_mebibyte_is_414_and_headers_of_two_are_431() {
    let registry = Registry::start();
    let target = format!("/v2/{}/tags/list", "a".repeat(1 << 20));
    registry.get(target).send().expect(414);
    let answer = registry
        .get("/v2/")
        .header("X-Long", "a".repeat(2 << 20))
        .send();
    answer.expect(431);
    let mut request = registry.get("/v2/");
    for number in 0..200 {
        request = request.header(&format!("X-Header-{number}"), "x");
    }
    request.send().expect(431);
    registry.get("/v2/").send().expect(200);
}

/// Unknown routes answer as the API does; `/` belongs to load balancers.
#[test]
fn an_unknown_route_is_name_unknown_in_json() {
    let registry = Registry::start();
    for target in [
        "/v2/a",
        "/v2/a/b",
        "/v2/a/tags",
        "/v2/_unknown",
        "/v2/a/b/c/d",
    ] {
        registry
            .get(target)
            .send()
            .expect_error(404, "NAME_UNKNOWN");
    }
    let root = registry.get("/").send().expect(200);
    assert!(root.body.is_empty(), "{root:?}");
    root.expect_header("cache-control", "no-cache");
    assert_eq!(registry.get("/elsewhere").send().status, 404);
    assert_eq!(registry.get("/v1/_ping").send().status, 404);
}

/// R30: meta-characters of SQL are only characters.
#[test]
fn sql_in_names_and_queries_is_text() {
    let registry = Registry::start();
    let image = Image::new("sql");
    registry.push_image("app", "v1", &image);
    let injections = [
        "'",
        "''--",
        "';DROP%20TABLE%20tag;--",
        "%24%24",
        "%22",
        "v1'%20OR%20'1'='1",
        "%25",
    ];
    for injection in injections {
        let answer = registry
            .get(format!("/v2/app/manifests/{injection}"))
            .send();
        assert!([400, 404].contains(&answer.status), "{answer:?}");
        let list = registry
            .get(format!("/v2/app/tags/list?last={injection}"))
            .send();
        assert!([200, 400].contains(&list.status), "{list:?}");
        let target = format!(
            "/v2/app/referrers/{}?artifactType={injection}",
            image.manifest.digest
        );
        let referrers = registry.get(target).send();
        assert!([200, 400].contains(&referrers.status), "{referrers:?}");
    }
    registry.pull_image("app", "v1", &image);
}
