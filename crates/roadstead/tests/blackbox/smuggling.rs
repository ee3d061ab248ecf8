//! Requests that two programs could read as two different ones, and other HTTP/1 that no
//! well-behaved client sends.
//!
//! What is refused gets a 4xx or nothing, and the connection ends: what follows on it could be read
//! as a request that nobody sent. No payload may have two answers where one request was meant.

use std::time::Duration;

use crate::corpus::{CHUNKS, CODINGS, HELLO, LENGTHS, heads, upload};
use crate::harness::{Registry, SOON, Wire, noise, sha256};

/// How long a connection that stays open may be silent until the answer counts as whole.
const SILENCE: Duration = Duration::from_millis(500);

/// A request that a body or a split header would smuggle in: its answer would be a 404.
const SMUGGLED: &str = "GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends the payload, with the smuggled request behind it, and checks that it is refused and that
/// nothing after it is answered.
fn check_refused(registry: &Registry, payload: &str) {
    let mut wire = Wire::connect(registry.address());
    wire.try_write(payload);
    wire.try_write(SMUGGLED);
    let reply = wire.read_all(SOON);
    let statuses = reply.statuses();
    assert!(
        reply.closed,
        "{payload:?} keeps the connection: {}",
        reply.text()
    );
    assert!(
        statuses.len() <= 1,
        "{payload:?} has two answers: {}",
        reply.text()
    );
    let refused = statuses.iter().all(|status| (400..500).contains(status));
    assert!(refused, "{payload:?} is not refused: {}", reply.text());
    registry.get("/v2/").send().expect(200);
}

/// Case 90; R24: the length of a body is said once and in one way.
#[test]
fn a_body_with_two_lengths_is_refused() {
    let registry = Registry::start();
    for (headers, body) in LENGTHS {
        check_refused(&registry, &upload(headers, body));
    }
}

/// Case 90: behind another request, where both come at once.
#[test]
fn a_second_request_with_two_lengths_is_refused_too() {
    let registry = Registry::start();
    let first = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    let posted = "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
    for before in [
        first.to_owned(),
        first.repeat(3),
        posted.to_owned(),
        format!("{posted}{first}"),
    ] {
        for lengths in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
        ] {
            let count = before.matches("HTTP/1.1").count();
            let payload = upload(lengths, "5\r\nhello\r\n0\r\n\r\n");
            let mut wire = Wire::connect(registry.address());
            wire.try_write(format!("{before}{payload}{SMUGGLED}"));
            let reply = wire.read_all(SOON);
            let statuses = reply.statuses();
            assert!(reply.closed, "{}", reply.text());
            assert!(statuses.len() <= count + 1, "{}", reply.text());
            let refused = statuses
                .iter()
                .skip(count)
                .all(|status| (400..500).contains(status));
            assert!(refused, "{before:?} {lengths:?}: {}", reply.text());
        }
    }
}

/// Case 90; R24: chunked is the only coding, and the last one.
#[test]
fn another_transfer_coding_than_chunked_is_refused() {
    let registry = Registry::start();
    for headers in CODINGS {
        check_refused(&registry, &upload(headers, HELLO));
    }
    // HTTP/1.0 has no chunks.
    let old = format!(
        "POST /v2/app/blobs/uploads/ HTTP/1.0\r\nHost: x\r\n\
         Transfer-Encoding: chunked\r\n\r\n{HELLO}"
    );
    check_refused(&registry, &old);
}

/// Case 90: a Content-Length that the HTTP library has dropped is as if it were not there.
#[test]
fn a_length_after_the_chunked_coding_makes_no_second_request() {
    let registry = Registry::start();
    for (headers, body) in [
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 100",
            "0\r\n\r\n",
        ),
    ] {
        let mut wire = Wire::connect(registry.address());
        wire.write(upload(headers, body));
        let reply = wire.read_all(SILENCE);
        let [status] = reply.statuses().try_into().unwrap();
        assert!(
            status == 202 || (400..500).contains(&status),
            "{}",
            reply.text()
        );
    }
}

/// Case 90: chunks that are none. The answer is a 400 or a close, and the session goes on.
#[test]
fn a_body_whose_chunks_cannot_be_read_is_refused() {
    let registry = Registry::start();
    for chunks in CHUNKS {
        let session = registry.session("app");
        for (method, query) in [
            ("PATCH", String::new()),
            ("PUT", format!("?digest={}", sha256(b"hello"))),
        ] {
            let mut wire = Wire::connect(registry.address());
            wire.write(format!(
                "{method} {session}{query} HTTP/1.1\r\nHost: x\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{chunks}"
            ));
            wire.try_write(SMUGGLED);
            wire.half_close();
            let reply = wire.read_all(SOON);
            let statuses = reply.statuses();
            assert!(
                reply.closed,
                "{chunks:?} keeps the connection: {}",
                reply.text()
            );
            assert!(
                statuses.len() <= 1,
                "{chunks:?} has two answers: {}",
                reply.text()
            );
            assert!(
                statuses.iter().all(|s| (400..500).contains(s)),
                "{chunks:?}: {}",
                reply.text()
            );
        }
        assert!(!registry.has_blob("app", &sha256(b"hello")), "{chunks:?}");
    }
}

/// Bodies that end before they said they would.
#[test]
fn a_body_that_is_cut_short_is_never_a_whole_one() {
    let registry = Registry::start();
    let digest = sha256(b"hello");
    for (framing, body) in [
        ("Content-Length: 6", "hello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nhello"),
        ("Transfer-Encoding: chunked", "6\r\nhello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"),
    ] {
        let session = registry.session("app");
        let mut wire = Wire::connect(registry.address());
        wire.write(format!(
            "PUT {session}?digest={digest} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}"
        ));
        wire.half_close();
        let reply = wire.read_all(SOON);
        assert!(reply.closed, "{framing} {body:?}: {}", reply.text());
        assert!(
            reply.statuses().iter().all(|s| (400..500).contains(s)),
            "{}",
            reply.text()
        );
        assert!(!registry.has_blob("app", &digest), "{framing} {body:?}");
    }
}

/// Case 91; R24.
#[test]
fn a_head_that_cannot_be_read_in_one_way_is_refused() {
    let registry = Registry::start();
    for payload in heads() {
        check_refused(&registry, &payload);
    }
}

/// R24: a bare LF ends a line as CR LF does; it makes no second request.
#[test]
fn a_bare_line_feed_makes_no_second_request() {
    let registry = Registry::start();
    for payload in [
        "GET /v2/ HTTP/1.1\nHost: x\nConnection: close\n\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\nX: y\r\nConnection: close\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\n",
    ] {
        let mut wire = Wire::connect(registry.address());
        wire.write(payload);
        wire.try_write(SMUGGLED);
        let reply = wire.read_all(SOON);
        let statuses = reply.statuses();
        assert!(
            reply.closed && statuses.len() <= 1,
            "{payload:?}: {}",
            reply.text()
        );
        assert!(
            statuses.iter().all(|status| *status < 500),
            "{payload:?}: {}",
            reply.text()
        );
    }
}

/// R24: what comes as the body of a GET is never read as the next request.
#[test]
fn the_body_of_a_get_is_no_request() {
    let registry = Registry::start();
    for times in [1, 10, 5_000] {
        let body = SMUGGLED.repeat(times);
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            let mut wire = Wire::connect(registry.address());
            wire.try_write(format!(
                "{method} /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                body.len()
            ));
            wire.try_write(&body);
            let reply = wire.read_all(SILENCE);
            assert_eq!(
                reply.statuses().len(),
                1,
                "{method} {times}: {}",
                reply.text()
            );
            assert!(!reply.text().contains("NAME_UNKNOWN"), "{}", reply.text());
        }
    }
}

/// A body that nobody reads on a connection that goes on: it is skipped, or the connection ends.
#[test]
fn after_a_refused_body_the_next_request_is_read_at_its_beginning() {
    let registry = Registry::start();
    for length in [10, 10_000, 1_000_000] {
        let mut wire = Wire::connect(registry.address());
        let body = "x".repeat(length);
        wire.try_write(format!(
            "PUT /v2/app/manifests/%22 HTTP/1.1\r\nHost: x\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ));
        wire.try_write("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
        let reply = wire.read_all(SILENCE);
        match reply.statuses()[..] {
            [first] => assert!(first == 400 && reply.closed, "{length}: {}", reply.text()),
            [400, second] => assert_eq!(second, 200, "{}", reply.text()),
            _ => panic!("{length}: {}", reply.text()),
        }
    }
}

/// Case 97: extensions without an end.
#[test]
fn endless_chunk_extensions_are_cut_off() {
    let registry = Registry::start();
    let session = registry.session("app");
    let part = "a".repeat(64 << 10);
    for begin in ["5;", "5;a=\"", "5\r\nhello\r\n5;"] {
        let mut wire = Wire::connect(registry.address());
        wire.write(format!(
            "PATCH {session} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{begin}"
        ));
        // A GiB of it would be sent if it were taken.
        let taken = (0..(1 << 30) / part.len())
            .take_while(|_| wire.try_write(&part))
            .count();
        assert!(
            taken * part.len() < 64 << 20,
            "{begin:?}: {taken} parts were taken"
        );
        let reply = wire.read_all(SOON);
        assert!(reply.closed, "{}", reply.text());
        assert!(
            reply.statuses().iter().all(|s| (400..500).contains(s)),
            "{}",
            reply.text()
        );
    }
    // Many small ones are no better than one large one.
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PATCH {session} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    let part = format!("1;{}\r\nx\r\n", "a".repeat(1000)).repeat(64);
    let taken = (0..(1 << 30) / part.len())
        .take_while(|_| wire.try_write(&part))
        .count();
    assert!(taken * part.len() < 64 << 20, "{taken} parts were taken");
    assert!(registry.peak_memory_bytes() < 128 << 20);
    registry.push_blob("app", &noise("after", 10_000));
}

/// Case 97: trailers without an end.
#[test]
fn endless_trailers_are_cut_off() {
    let registry = Registry::start();
    let session = registry.session("app");
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PATCH {session} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n"
    ));
    let part = format!("X: {}\r\n", "a".repeat(1000)).repeat(64);
    let taken = (0..(1 << 30) / part.len())
        .take_while(|_| wire.try_write(&part))
        .count();
    assert!(taken * part.len() < 64 << 20, "{taken} parts were taken");
    let reply = wire.read_all(SOON);
    assert!(reply.closed, "{}", reply.text());
    assert!(
        reply.statuses().iter().all(|s| *s < 500),
        "{}",
        reply.text()
    );
    assert!(registry.peak_memory_bytes() < 128 << 20);
}

/// Case 97: chunks of one byte are taken, but cost neither memory nor other clients.
#[test]
fn chunks_of_one_byte_are_taken_in_bounded_memory() {
    let registry = Registry::start();
    let session = registry.session("app");
    let bytes = noise("single bytes", 200_000);
    let mut body = Vec::with_capacity(bytes.len() * 6);
    for byte in &bytes {
        body.extend_from_slice(b"1\r\n");
        body.push(*byte);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PATCH {session} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    wire.write(&body);
    wire.answer("PATCH")
        .expect(202)
        .expect_header("range", "0-199999");
    registry
        .close_upload(&session, &sha256(&bytes), b"")
        .expect(201);
    assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
    assert!(registry.peak_memory_bytes() < 128 << 20);
}

/// Case 98: what else HTTP/1 knows has an answer.
#[test]
fn odd_requests_have_defined_answers() {
    let registry = Registry::start();
    for (payload, allowed) in [
        ("GET /v2/ HTTP/1.0\r\n\r\n", &[200][..]),
        ("GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n", &[200]),
        (
            "GET http://registry.test/v2/ HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n\r\n",
            &[200],
        ),
        (
            "GET http://registry.test/v2/ HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n",
            &[200, 400],
        ),
        (
            "GET http://registry.test HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n\r\n",
            &[200],
        ),
        (
            "GET ftp://x/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[200, 400],
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[200, 204, 400, 404, 405],
        ),
        (
            "OPTIONS /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[200],
        ),
        (
            "GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 404],
        ),
        (
            "GET v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 404],
        ),
        (
            "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nConnection: close\r\n\r\n",
            &[400, 404, 405],
        ),
        (
            "CONNECT /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 404, 405],
        ),
        (
            "TRACE /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 405],
        ),
        (
            "TRACE /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 405],
        ),
        (
            "get /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 405],
        ),
        (
            "PROPFIND /v2/app/tags/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[405],
        ),
        (
            "PRI /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 405],
        ),
        (
            "\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[200, 400],
        ),
        (
            "GET /v2/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close, upgrade\r\n\r\n",
            &[200],
        ),
        (
            "GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\nConnection: close\r\n\r\n",
            &[200, 417],
        ),
        (
            "GET /v2/?a#b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[200, 400],
        ),
        (
            "GET /v2/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400, 404],
        ),
        (
            "GET /v2/ HTTP/1.1\r\nHost: [::1]:5000\r\nConnection: close\r\n\r\n",
            &[200],
        ),
        (
            "GET /v2/ HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
            &[200, 400],
        ),
    ] {
        let mut wire = Wire::connect(registry.address());
        wire.write(payload);
        let reply = wire.read_all(SOON);
        let [status] = reply
            .statuses()
            .try_into()
            .unwrap_or_else(|other| panic!("{payload:?}: {other:?}"));
        assert!(allowed.contains(&status), "{payload:?}: {}", reply.text());
        assert!(reply.closed, "{payload:?}: {}", reply.text());
        // TRACE would show what a proxy added.
        assert!(
            !reply.text().contains("Host: x"),
            "{payload:?}: {}",
            reply.text()
        );
    }
    // The beginning of HTTP/2, which is off here.
    let mut wire = Wire::connect(registry.address());
    wire.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let reply = wire.read_all(SOON);
    assert!(
        reply.closed && reply.statuses().iter().all(|s| (400..500).contains(s)),
        "{}",
        reply.text()
    );
    registry.get("/v2/").send().expect(200);
}

/// Case 100.
#[test]
fn a_client_that_ends_its_side_gets_its_whole_answer() {
    let registry = Registry::start();
    let bytes = noise("half close", 3_000_000);
    let digest = registry.push_blob("app", &bytes);
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    ));
    wire.half_close();
    let answer = wire.answer("GET").expect(200);
    assert_eq!(answer.body, bytes);
    assert!(wire.read_all(SOON).closed);
    // Uploads: the answer comes after everything has been written.
    let more = noise("half close, more", 500_000);
    let session = registry.session("app");
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PUT {session}?digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        sha256(&more),
        more.len()
    ));
    wire.write(&more);
    wire.half_close();
    wire.answer("PUT").expect(201);
    assert_eq!(registry.pull_blob("app", &sha256(&more)), more);
    // Several requests, then the end.
    let mut wire = Wire::connect(registry.address());
    wire.write("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10));
    wire.half_close();
    assert_eq!(wire.read_all(SOON).statuses(), [200; 10]);
    // Nothing at all, and half a request.
    for part in ["", "GET /v2/ HT"] {
        let mut wire = Wire::connect(registry.address());
        wire.write(part);
        wire.half_close();
        let reply = wire.read_all(SOON);
        assert!(
            reply.closed && reply.statuses().iter().all(|s| *s == 400),
            "{}",
            reply.text()
        );
    }
}
