//! Upload sessions: chunks, status, resume, cancel, and everything out of order.

use crate::harness::{Registry, SOON, Wire, noise, sha256, until};

/// Chunked upload: PATCH with Content-Range, closing PUT with the last chunk.
#[test]
fn a_blob_is_pushed_in_chunks_with_content_range() {
    let registry = Registry::start();
    let bytes = noise("chunks", 30_000);
    let mut location = registry.session("app");
    for (first, last) in [(0, 9_999), (10_000, 19_999)] {
        let answer = registry
            .patch(&location)
            .header("Content-Range", format!("{first}-{last}"))
            .body(&bytes[first..=last])
            .send()
            .expect(202)
            .expect_header("range", &format!("0-{last}"));
        answer.need("docker-upload-uuid");
        location = answer.need("location").to_owned();
    }
    let status = registry
        .get(&location)
        .send()
        .expect(204)
        .expect_header("range", "0-19999");
    status.need("docker-upload-uuid");
    location = status.need("location").to_owned();
    registry
        .head(&location)
        .send()
        .expect(204)
        .expect_header("range", "0-19999");
    let digest = sha256(&bytes);
    registry
        .put(format!("{location}?digest={digest}"))
        .header("Content-Type", "application/octet-stream")
        .header("Content-Range", "20000-29999")
        .body(&bytes[20_000..])
        .send()
        .expect(201);
    assert_eq!(registry.pull_blob("app", &digest), bytes);
}

/// Case 24.
#[test]
fn a_chunk_out_of_order_is_416_with_where_to_go_on() {
    let registry = Registry::start();
    let session = registry.session("app");
    let early = registry
        .patch(&session)
        .header("Content-Range", "10-19")
        .body([0; 10])
        .send();
    check_out_of_order(&early.expect(416), &session, "0-0");
    registry
        .patch(&session)
        .header("Content-Range", "0-9")
        .body([1; 10])
        .send()
        .expect(202);
    for range in ["0-9", "5-14", "11-20", "20-29"] {
        let answer = registry
            .patch(&session)
            .header("Content-Range", range)
            .body([0; 10])
            .send();
        check_out_of_order(&answer.expect(416), &session, "0-9");
        let put = format!("{session}?digest={}", sha256(&[1; 20]));
        let answer = registry
            .put(put)
            .header("Content-Range", range)
            .body([0; 10])
            .send();
        check_out_of_order(&answer.expect(416), &session, "0-9");
    }
    registry
        .get(&session)
        .send()
        .expect(204)
        .expect_header("range", "0-9");
    registry
        .patch(&session)
        .header("Content-Range", "10-19")
        .body([1; 10])
        .send()
        .expect(202);
    registry
        .close_upload(&session, &sha256(&[1; 20]), b"")
        .expect(201);
}

fn check_out_of_order(answer: &crate::harness::Answer, session: &str, range: &str) {
    assert_eq!(answer.code(), "RANGE_INVALID", "{answer:?}");
    assert_eq!(answer.need("location"), session, "{answer:?}");
    assert_eq!(answer.need("range"), range, "{answer:?}");
}

/// Case 25.
#[test]
fn a_content_range_that_cannot_be_read_changes_nothing() {
    let registry = Registry::start();
    let session = registry.session("app");
    let bad = [
        "x",
        "5-1",
        "0-18446744073709551615",
        "0-18446744073709551616",
        "-1-5",
        "0",
        "0-",
        "-5",
        "0-4,5-9",
        "0x0-0x4",
        "bytes 0-4/3",
    ];
    for range in bad {
        let answer = registry
            .patch(&session)
            .header("Content-Range", range)
            .body(b"12345")
            .send();
        assert!([400, 416].contains(&answer.status), "{range}: {answer:?}");
    }
    registry
        .get(&session)
        .send()
        .expect(204)
        .expect_header("range", "0-0");
    registry
        .close_upload(&session, &sha256(b"12345"), b"12345")
        .expect(201);
}

/// Case 26.
#[test]
fn a_chunk_of_another_length_than_its_range_is_refused() {
    let registry = Registry::start();
    for body in [&b"1234"[..], b"123456"] {
        let session = registry.session("app");
        let answer = registry
            .patch(&session)
            .header("Content-Range", "0-4")
            .body(body)
            .send();
        assert!([400, 416].contains(&answer.status), "{answer:?}");
        registry
            .get(&session)
            .send()
            .expect(204)
            .expect_header("range", "0-0");
        let answer = registry
            .patch(&session)
            .header("Content-Range", "0-4")
            .chunked(&[body])
            .send();
        assert!([400, 416].contains(&answer.status), "{answer:?}");
        // Whatever was kept of it, the status says the truth: going on from there works.
        let range = registry
            .get(&session)
            .send()
            .expect(204)
            .need("range")
            .to_owned();
        let received = if range == "0-0" { 0 } else { body.len().min(5) };
        let rest = &b"12345"[received.min(5)..];
        if range == "0-0" || received == 4 {
            registry
                .close_upload(&session, &sha256(b"12345"), rest)
                .expect(201);
        }
    }
}

/// Case 27.
#[test]
fn a_streamed_patch_needs_no_content_range() {
    let registry = Registry::start();
    let bytes = noise("streamed", 150_000);
    let session = registry.session("app");
    let parts: Vec<&[u8]> = bytes.chunks(7_001).collect();
    let answer = registry.patch(&session).chunked(&parts).send().expect(202);
    let answer = answer.expect_header("range", "0-149999");
    registry
        .close_upload(answer.need("location"), &sha256(&bytes), b"")
        .expect(201);
    assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
}

/// Several PATCH requests without a range append one after the other; an empty one adds nothing.
#[test]
fn patches_without_a_range_append() {
    let registry = Registry::start();
    let session = registry.session("app");
    for (body, range) in [("abc", "0-2"), ("", "0-2"), ("def", "0-5")] {
        registry
            .patch(&session)
            .body(body)
            .send()
            .expect(202)
            .expect_header("range", range);
    }
    registry
        .close_upload(&session, &sha256(b"abcdefghi"), b"ghi")
        .expect(201);
}

/// Case 29.
#[test]
fn a_session_that_ended_is_unknown() {
    let registry = Registry::start();
    let finished = registry.session("app");
    registry
        .close_upload(&finished, &sha256(b"done"), b"done")
        .expect(201);
    let cancelled = registry.session("app");
    registry
        .patch(&cancelled)
        .body(noise("cancelled", 50_000))
        .send()
        .expect(202);
    registry.delete(&cancelled).send().expect(204);
    for session in [&finished, &cancelled] {
        registry
            .patch(session)
            .body(b"x")
            .send()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        registry
            .get(session)
            .send()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        registry
            .delete(session)
            .send()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        registry
            .close_upload(session, &sha256(b"x"), b"x")
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    until("the bytes are gone", SOON, || {
        (registry.object_bytes() == 0).then_some(())
    });
}

/// Case 30, the half that needs no other user.
#[test]
fn a_session_belongs_to_its_repository() {
    let registry = Registry::start();
    let session = registry.session("one");
    let foreign = session.replace("/v2/one/", "/v2/two/");
    registry
        .get(&foreign)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    registry
        .patch(&foreign)
        .body(b"x")
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    registry
        .delete(&foreign)
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    registry
        .close_upload(&foreign, &sha256(b"x"), b"x")
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    registry
        .close_upload(&session, &sha256(b"x"), b"x")
        .expect(201);
}

/// Case 31; sessions hold no state that a client could tamper with but their id.
#[test]
fn a_tampered_session_url_is_unknown() {
    let registry = Registry::start();
    let session = registry.session("app");
    let (base, id) = session.rsplit_once('/').unwrap();
    let flipped = if id.ends_with('0') { "1" } else { "0" };
    for tampered in [
        format!("{}{flipped}", &id[..id.len() - 1]),
        id[..id.len() - 1].to_owned(),
        format!("{id}0"),
        "x".to_owned(),
        "00000000-0000-0000-0000-000000000000".to_owned(),
    ] {
        let target = format!("{base}/{tampered}");
        registry
            .get(&target)
            .send()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        registry
            .patch(&target)
            .body(b"x")
            .send()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let answer = registry.request(method, format!("{base}/")).send();
        assert!([404, 405].contains(&answer.status), "{method}: {answer:?}");
    }
}

/// Case 33.
#[test]
fn what_came_before_a_broken_connection_is_kept_and_resumed() {
    let registry = Registry::start();
    let bytes = noise("broken", 1_000_000);
    for chunked in [false, true] {
        let session = registry.session("app");
        let mut wire = Wire::connect(registry.address());
        let framing = if chunked {
            "Transfer-Encoding: chunked"
        } else {
            "Content-Length: 1000000"
        };
        wire.write(format!(
            "PATCH {session} HTTP/1.1\r\nHost: x\r\n{framing}\r\nExpect: 100-continue\r\n\r\n"
        ));
        // The server asks for the body: it has begun to read, so it holds the session.
        let go_on = wire.read_some(1024).unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100"), "{go_on:?}");
        if chunked {
            wire.write("7a120\r\n");
        }
        wire.write(&bytes[..500_000]);
        drop(wire);
        let received = until("the session is free again", SOON, || {
            let status = registry.get(&session).send();
            let range = status.header("range")?.to_owned();
            let last: usize = range.strip_prefix("0-")?.parse().ok()?;
            // A busy session answers its last known offset; it has ended when it takes a PATCH.
            let free = registry.patch(&session).body(b"").send().status == 202;
            (free && last > 0).then_some(last + 1)
        });
        assert!(received <= 500_000, "{received}");
        let answer = registry
            .patch(&session)
            .header("Content-Range", format!("{received}-999999"))
            .body(&bytes[received..])
            .send()
            .expect(202);
        registry
            .close_upload(answer.need("location"), &sha256(&bytes), b"")
            .expect(201);
        assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
    }
}

/// R30: a hash state that cannot be read is no reason to panic: the session begins again.
#[test]
fn a_session_whose_stored_state_is_broken_begins_again() {
    let mut registry = Registry::start();
    let bytes = noise("broken state", 100_000);
    let sessions: Vec<String> = (0..4).map(|_| registry.session("app")).collect();
    for session in &sessions {
        registry
            .patch(session)
            .body(&bytes[..60_000])
            .send()
            .expect(202);
    }
    for (garbage, session) in [&[][..], &[0], &[0xff; 8], &[1; 300]].iter().zip(&sessions) {
        assert!(registry.terminate().success());
        let database = rusqlite::Connection::open(registry.data().join("roadstead.db")).unwrap();
        let update = "UPDATE upload SET hash_state = ?1, durable_hash_state = ?1, store_state = ?1";
        assert!(database.execute(update, [garbage]).unwrap() > 0);
        drop(database);
        registry = registry.restart();
        registry
            .get(session)
            .send()
            .expect(204)
            .expect_header("range", "0-0");
        registry
            .patch(session)
            .header("Content-Range", "0-99999")
            .body(&bytes)
            .send()
            .expect(202);
        registry
            .close_upload(session, &sha256(&bytes), b"")
            .expect(201);
        assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
    }
}
