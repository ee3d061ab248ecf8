//! _catalog: repositories in byte order, page by page.

use serde_json::json;

use crate::harness::{Image, Registry};

/// A registry that lists these repositories.
fn with_repositories(registry: &Registry, names: &[&str]) {
    for name in names {
        registry.push_image(name, "v1", &Image::new("catalog"));
    }
}

/// Case 13; R28.
#[test]
fn names_that_begin_alike_are_all_listed_once() {
    let registry = Registry::start();
    with_repositories(
        &registry,
        &["z/0x", "math/x", "math-voila", "math", "v/a", "z", "z-b"],
    );
    let sorted = ["math", "math-voila", "math/x", "v/a", "z", "z-b", "z/0x"];
    for n in 1..=8 {
        let listed = registry.pages(&format!("/v2/_catalog?n={n}"), "repositories");
        assert_eq!(listed, sorted, "n={n}");
    }
    assert_eq!(registry.pages("/v2/_catalog", "repositories"), sorted);
}

#[test]
fn the_catalog_has_links_only_where_there_is_more() {
    let registry = Registry::start();
    let empty = registry.get("/v2/_catalog").send().expect(200);
    assert_eq!(empty.json(), json!({ "repositories": [] }));
    with_repositories(&registry, &["a", "b/c", "d"]);
    let first = registry.get("/v2/_catalog?n=2").send().expect(200);
    assert_eq!(first.json(), json!({ "repositories": ["a", "b/c"] }));
    let next = first.next().expect("a next page");
    assert!(
        next.starts_with("/v2/_catalog?") && next.contains("last=b%2Fc"),
        "{next}"
    );
    let second = registry.get(next).send().expect(200);
    assert_eq!(second.json(), json!({ "repositories": ["d"] }));
    assert!(second.next().is_none());
    let exact = registry.get("/v2/_catalog?n=3").send().expect(200);
    assert!(exact.next().is_none(), "{exact:?}");
    let after = registry.get("/v2/_catalog?last=b").send().expect(200);
    assert_eq!(after.json(), json!({ "repositories": ["b/c", "d"] }));
}

/// Where nothing is asked for, a page has 100 names; `catalog.maxentries` caps every page.
#[test]
fn a_page_is_bounded_by_default_and_by_configuration() {
    let registry = Registry::configured(json!({ "catalog": { "maxentries": 110 } }));
    let names: Vec<String> = (0..120).map(|number| format!("r{number:03}")).collect();
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    with_repositories(&registry, &borrowed);
    let page = |target: &str| {
        let answer = registry.get(target).send();
        let count = answer.json()["repositories"].as_array().map_or(0, Vec::len);
        (answer.status, count)
    };
    assert_eq!(page("/v2/_catalog"), (200, 100));
    assert_eq!(page("/v2/_catalog?n=110"), (200, 110));
    let over = page("/v2/_catalog?n=111");
    assert!([(200, 110), (400, 0)].contains(&over), "{over:?}");
    assert_eq!(registry.pages("/v2/_catalog", "repositories"), names);
}

/// A repository is listed from its first manifest on, and stays when it is emptied.
#[test]
fn a_repository_is_listed_from_its_first_manifest_on() {
    let registry = Registry::start();
    registry.push_blob("blobs-only", b"x");
    assert!(registry.pages("/v2/_catalog", "repositories").is_empty());
    let image = Image::new("listed");
    registry.push_image("app", "v1", &image);
    assert_eq!(registry.pages("/v2/_catalog", "repositories"), ["app"]);
    registry
        .delete(format!("/v2/app/manifests/{}", image.manifest.digest))
        .send()
        .expect(202);
    assert_eq!(registry.pages("/v2/_catalog", "repositories"), ["app"]);
}
