use proptest::prelude::*;

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn check(path: &str, expected: &str) {
    let got = match Route::parse(path, "/") {
        Ok(route) => {
            let name = route
                .repository()
                .map(RepositoryName::to_string)
                .unwrap_or_default();
            format!("{} {name}", route.label())
        }
        Err(RouteError::Unknown) => "unknown".into(),
        Err(RouteError::Malformed) => "malformed".into(),
        Err(RouteError::Name(_)) => "bad name".into(),
        Err(RouteError::Digest(_)) => "bad digest".into(),
        Err(RouteError::Tag(_)) => "bad tag".into(),
        Err(RouteError::Upload) => "bad upload".into(),
    };
    assert_eq!(got.trim_end(), expected, "{path}");
}

#[test]
fn paths_name_endpoints_unambiguously() {
    let id = "6fa459ea-ee8a-4ca4-894e-db77e160355e";
    for (path, expected) in [
        ("/", "root"),
        ("/v2", "base"),
        ("/v2/", "base"),
        ("/v2/_catalog", "catalog"),
        ("/v2/a/tags/list", "tags a"),
        ("/v2/tags/list/x/tags/list", "tags tags/list/x"),
        ("/v2/a/b/manifests/latest", "manifest a/b"),
        (
            "/v2/blobs/uploads/manifests/latest",
            "manifest blobs/uploads",
        ),
        ("/v2/a/manifests/list", "manifest a"),
        ("/v2/a/blobs/uploads/", "blob_upload a"),
        ("/v2/a/blobs/uploads", "blob_upload a"),
        ("/v2/uploads/blobs/uploads/", "blob_upload uploads"),
        (&format!("/v2/a/blobs/uploads/{id}"), "blob_upload_chunk a"),
        (&format!("/v2/a/blobs/sha256:{HEX}"), "blob a"),
        (&format!("/v2/a/blobs/sha256%3A{HEX}"), "blob a"),
        (&format!("/v2/a/manifests/sha256:{HEX}"), "manifest a"),
        (&format!("/v2/a/referrers/sha256:{HEX}"), "referrers a"),
    ] {
        check(path, expected);
    }
}

#[test]
fn odd_paths_are_refused_and_never_normalised() {
    for (path, expected) in [
        ("/v1/", "unknown"),
        ("/v2/tags/list", "unknown"),
        ("/v2/a", "unknown"),
        ("/v2/a/", "malformed"),
        ("/v2/../x", "malformed"),
        ("/v2/a/../../etc/tags/list", "malformed"),
        ("/v2/a/./tags/list", "malformed"),
        ("/v2/a%2f..%2fb/tags/list", "malformed"),
        ("/v2/a%5cb/tags/list", "malformed"),
        ("/v2/a\\b/tags/list", "malformed"),
        ("/v2/a%00/tags/list", "malformed"),
        ("/v2/a%0d%0a/tags/list", "malformed"),
        ("/v2/a%c2%85/tags/list", "malformed"),
        ("/v2/a/b/..", "malformed"),
        ("/v2/a/%252e%252e/tags/list", "malformed"),
        ("/v2/a//b/tags/list", "malformed"),
        ("/v2/a;x=y/tags/list", "malformed"),
        ("/v2/a%zz/tags/list", "malformed"),
        ("/v2/UPPER/tags/list", "bad name"),
        ("/v2/a/manifests/.x", "bad tag"),
        ("/v2/a/manifests/sha256:bad", "bad digest"),
        ("/v2/a/blobs/sha256:bad", "bad digest"),
        ("/v2/a/blobs/latest", "bad digest"),
        ("/v2/a/blobs/uploads/none", "bad upload"),
    ] {
        check(path, expected);
    }
}

#[test]
fn a_prefix_comes_before_everything_but_the_root() {
    assert_eq!(Route::parse("/reg/v2/", "/reg/"), Ok(Route::Base));
    assert_eq!(Route::parse("/", "/reg/"), Ok(Route::Root));
    assert_eq!(Route::parse("/v2/", "/reg/"), Err(RouteError::Unknown));
}

proptest! {
    #[test]
    fn no_path_makes_it_panic(path in "/.*") {
        let _ = Route::parse(&path, "/");
    }

    #[test]
    fn each_part_between_slashes_is_looked_at(path in "[/.a]{0,12}") {
        let expected = path.split('/').any(|part| matches!(part, "" | "." | ".."));
        prop_assert_eq!(has_empty_or_dots(path.as_bytes()), expected);
    }
}
