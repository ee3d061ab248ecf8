//! Ranges of blobs (RFC 9110 §14).

use crate::harness::{Registry, noise};

const SIZE: usize = 20_480;

/// Case 39.
#[test]
fn single_ranges_are_served_clipped_and_refused_as_the_rfc_says() {
    let registry = Registry::start();
    for size in [2_048, SIZE] {
        let bytes = noise("ranges", size);
        let digest = registry.push_blob("app", &bytes);
        let target = format!("/v2/app/blobs/{digest}");
        let last = size - 1;
        let beyond = format!("{}-{}", size - 48, size + 5_000);
        for (range, first, end) in [
            ("0-0", 0, 1),
            ("0-9", 0, 10),
            ("100-199", 100, 200),
            (&format!("{}-", size - 8), size - 8, size),
            ("-5", size - 5, size),
            ("-999999", 0, size),
            (&beyond, size - 48, size),
            (&format!("{last}-{last}"), last, size),
            ("0-18446744073709551615", 0, size),
        ] {
            let range = format!("bytes={range}");
            let answer = registry
                .get(&target)
                .header("Range", &range)
                .send()
                .expect(206);
            assert_eq!(answer.body, bytes[first..end], "{range}");
            let expected = format!("bytes {first}-{}/{size}", end - 1);
            let answer = answer
                .expect_header("content-range", &expected)
                .expect_header("content-length", &(end - first).to_string())
                .expect_header("docker-content-digest", &digest);
            assert_eq!(answer.need("etag"), format!("\"{digest}\""));
        }
    }
}

/// Case 39: beyond the end, nothing, numbers that do not fit.
#[test]
fn a_range_that_no_byte_satisfies_is_416_with_the_size() {
    let registry = Registry::start();
    let digest = registry.push_blob("app", &noise("unsatisfiable", SIZE));
    let target = format!("/v2/app/blobs/{digest}");
    for range in [
        "20480-",
        "50000-60000",
        "-0",
        "18446744073709551614-18446744073709551615",
    ] {
        registry
            .get(&target)
            .header("Range", format!("bytes={range}"))
            .send()
            .expect_error(416, "RANGE_INVALID")
            .expect_header("content-range", "bytes */20480");
    }
    for range in [
        "99999999999999999999999999-",
        "0-99999999999999999999999999999",
    ] {
        let answer = registry
            .get(&target)
            .header("Range", format!("bytes={range}"))
            .send();
        assert!([200, 206, 416].contains(&answer.status), "{answer:?}");
        assert!(answer.body.len() <= SIZE);
    }
}

/// Case 39: reversed, another unit, no number.
#[test]
fn a_range_that_cannot_be_read_is_ignored_or_refused() {
    let registry = Registry::start();
    let bytes = noise("unreadable", SIZE);
    let digest = registry.push_blob("app", &bytes);
    let target = format!("/v2/app/blobs/{digest}");
    for range in [
        "bytes=500-0",
        "bytes=abc",
        "items=0-5",
        "bytes",
        "bytes=",
        "bytes=--5",
        "bytes=1",
    ] {
        let answer = registry.get(&target).header("Range", range).send();
        assert!([200, 416].contains(&answer.status), "{range}: {answer:?}");
        if answer.status == 200 {
            assert_eq!(answer.body, bytes);
        }
    }
}

/// Several ranges come as multipart/byteranges.
#[test]
fn several_ranges_come_in_one_multipart_answer() {
    let registry = Registry::start();
    for size in [3_000, SIZE] {
        let bytes = noise("several", size);
        let digest = registry.push_blob("app", &bytes);
        let target = format!("/v2/app/blobs/{digest}");
        let answer = registry
            .get(&target)
            .header("Range", "bytes=0-9, 100-199,-5")
            .send()
            .expect(206);
        let kind = answer.need("content-type");
        let boundary = kind
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap_or_else(|| {
                panic!("{answer:?}");
            });
        assert!(answer.header("content-range").is_none(), "{answer:?}");
        let parts = parts(&answer.body, boundary.trim_matches('"'));
        let expected = [(0, 10), (100, 200), (size - 5, size)];
        assert_eq!(parts.len(), expected.len(), "{answer:?}");
        for ((head, body), (first, end)) in parts.iter().zip(expected) {
            assert_eq!(body, &bytes[first..end]);
            let range = format!("content-range: bytes {first}-{}/{size}", end - 1);
            assert!(head.to_lowercase().contains(&range), "{head}");
            assert!(
                head.to_lowercase()
                    .contains("content-type: application/octet-stream")
            );
        }
        let head = registry
            .head(&target)
            .header("Range", "bytes=0-9,20-29")
            .send();
        assert!([200, 206].contains(&head.status), "{head:?}");
    }
}

/// Several ranges of which some lie beyond the end, or none begins before it.
#[test]
fn unsatisfiable_ones_among_several_ranges_are_left_out() {
    let registry = Registry::start();
    let bytes = noise("among", SIZE);
    let digest = registry.push_blob("app", &bytes);
    let target = format!("/v2/app/blobs/{digest}");
    let answer = registry
        .get(&target)
        .header("Range", "bytes=0-4,99999-")
        .send()
        .expect(206);
    assert!(
        answer.body.windows(5).any(|window| window == &bytes[..5]),
        "{answer:?}"
    );
    registry
        .get(&target)
        .header("Range", "bytes=99999-,88888-")
        .send()
        .expect(416);
}

/// Case 39: no amplification.
#[test]
fn hundreds_of_ranges_never_amplify() {
    let registry = Registry::start();
    let bytes = noise("hundreds", SIZE);
    let digest = registry.push_blob("app", &bytes);
    let target = format!("/v2/app/blobs/{digest}");
    let many = |one: &str| format!("bytes={}", vec![one; 900].join(","));
    for range in [
        many("0-"),
        many("0-0"),
        "bytes=0-,0-,0-,0-,0-,0-".to_owned(),
    ] {
        let answer = registry.get(&target).header("Range", &range).send();
        assert!([200, 206, 416].contains(&answer.status), "{answer:?}");
        assert!(
            answer.body.len() <= SIZE + 4_096,
            "{} bytes",
            answer.body.len()
        );
    }
}

/// Splits a multipart body into (head, content).
fn parts(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let mark = format!("--{boundary}");
    let find = |from: usize, what: &[u8]| {
        body[from..]
            .windows(what.len())
            .position(|window| window == what)
            .map(|at| from + at)
    };
    let mut parts = Vec::new();
    let mut at = find(0, mark.as_bytes()).expect("a first boundary") + mark.len();
    while !body[at..].starts_with(b"--") {
        let head = find(at, b"\r\n\r\n").expect("the end of a part's head");
        let next = find(head, format!("\r\n{mark}").as_bytes()).expect("a next boundary");
        let text = String::from_utf8(body[at..head].to_vec()).unwrap();
        parts.push((text, body[head + 4..next].to_vec()));
        at = next + 2 + mark.len();
    }
    parts
}
