//! Uploads of whole blobs: one request or two, right and wrong digests, many at once.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Registry, SOON, Wire, noise, sha256, until};

/// POST, then PUT with everything: what most clients do.
#[test]
fn a_blob_is_pushed_by_post_and_put() {
    let registry = Registry::start();
    let bytes = noise("post put", 70_000);
    let digest = sha256(&bytes);
    let begun = registry
        .post("/v2/app/blobs/uploads/")
        .send()
        .expect(202)
        .expect_header("range", "0-0")
        .expect_header("content-length", "0");
    let id = begun.need("docker-upload-uuid");
    let location = begun.need("location");
    assert!(
        location.starts_with("/v2/app/blobs/uploads/") && location.contains(id),
        "{begun:?}"
    );
    let location = format!("/v2/app/blobs/{digest}");
    registry
        .close_upload(begun.need("location"), &digest, &bytes)
        .expect(201)
        .expect_header("location", &location)
        .expect_header("docker-content-digest", &digest)
        .expect_header("content-length", "0");
    assert_eq!(registry.pull_blob("app", &digest), bytes);
}

/// Case 20: small (never on disk) and large (an object already).
#[test]
fn a_wrong_digest_ends_the_session_and_frees_its_bytes() {
    let registry = Registry::start();
    for length in [100, 300_000] {
        let bytes = noise("wrong digest", length);
        let wrong = sha256(b"something else");
        let session = registry.session("app");
        registry
            .close_upload(&session, &wrong, &bytes)
            .expect_error(400, "DIGEST_INVALID");
        assert!(!registry.has_blob("app", &wrong));
        assert!(!registry.has_blob("app", &sha256(&bytes)));
        registry
            .get(&session)
            .send()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        until("the bytes are gone", SOON, || {
            (registry.object_bytes() == 0).then_some(())
        });
        registry.push_blob(&format!("again{length}"), &bytes);
        registry
            .delete(format!("/v2/again{length}/blobs/{}", sha256(&bytes)))
            .send()
            .expect(202);
        if length > 100_000 {
            break;
        }
    }
}

/// Case 23.
#[test]
fn a_blob_is_pushed_by_one_post_with_its_digest() {
    let registry = Registry::start();
    for length in [1, 5_000, 500_000] {
        let bytes = noise("single post", length);
        let digest = sha256(&bytes);
        registry
            .post(format!("/v2/app/blobs/uploads/?digest={digest}"))
            .header("Content-Type", "application/octet-stream")
            .body(&bytes)
            .send()
            .expect(201)
            .expect_header("location", &format!("/v2/app/blobs/{digest}"))
            .expect_header("docker-content-digest", &digest);
        assert_eq!(registry.pull_blob("app", &digest), bytes);
    }
    let bytes = noise("wrong single post", 5_000);
    let wrong = sha256(b"another");
    let target = format!("/v2/app/blobs/uploads/?digest={wrong}");
    registry
        .post(&target)
        .body(&bytes)
        .send()
        .expect_error(400, "DIGEST_INVALID");
    registry
        .post(&target)
        .send()
        .expect_error(400, "DIGEST_INVALID");
    let empty = sha256(b"");
    registry
        .post(format!("/v2/app/blobs/uploads/?digest={empty}"))
        .send()
        .expect(201);
    assert!(!registry.has_blob("app", &wrong));
}

/// Case 28.
#[test]
fn a_session_has_one_writer_at_a_time() {
    let registry = Registry::start();
    let bytes = noise("two writers", 400_000);
    let session = registry.session("app");
    let (first, second) = bytes.split_at(200_000);
    // The first writer holds the session: half of its body is on the way.
    let mut writer = Wire::connect(registry.address());
    writer.write(format!(
        "PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        first.len()
    ));
    // The server asks for the body: it has begun to read, so it holds the session.
    let go_on = writer.read_some(1024).unwrap();
    assert!(
        go_on.starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&go_on)
    );
    writer.write(&first[..100_000]);
    let refused = until("the second writer is refused", SOON, || {
        let answer = registry.patch(&session).body(b"").send();
        (answer.status != 202).then_some(answer)
    });
    assert!([409, 416].contains(&refused.status), "{refused:?}");
    writer.write(&first[100_000..]);
    assert_eq!(writer.answer("PATCH").expect(202).need("range"), "0-199999");
    registry
        .close_upload(&session, &sha256(&bytes), second)
        .expect(201);
    assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
}

/// Case 28: however two writers race, the blob is right or is not there.
#[test]
fn racing_writers_never_mix_their_bytes() {
    let registry = Registry::start();
    for round in 0..10 {
        let session = registry.session("race");
        let bytes = noise(&format!("race {round}"), 50_000);
        let statuses: Vec<u16> = thread::scope(|scope| {
            let push = || {
                registry
                    .patch(&session)
                    .header("Content-Range", "0-49999")
                    .body(&bytes)
                    .send()
            };
            let both = [scope.spawn(push), scope.spawn(push)];
            both.into_iter()
                .map(|writer| writer.join().unwrap().status)
                .collect()
        });
        assert!(statuses.contains(&202), "{statuses:?}");
        assert!(
            statuses
                .iter()
                .all(|status| [202, 409, 416].contains(status)),
            "{statuses:?}"
        );
        assert_eq!(
            statuses.iter().filter(|status| **status == 202).count(),
            1,
            "{statuses:?}"
        );
        registry
            .close_upload(&session, &sha256(&bytes), b"")
            .expect(201);
    }
}

/// Case 32.
#[test]
fn upload_ids_cannot_be_guessed() {
    let registry = Registry::start();
    let ids: Vec<String> = (0..200)
        .map(|_| {
            registry
                .session("app")
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let unique: HashSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    for id in &ids {
        // UUIDv4: 122 random bits, the other six say so.
        let digits: Vec<char> = id.chars().filter(|c| *c != '-').collect();
        assert_eq!(digits.len(), 32, "{id}");
        assert_eq!(digits[12], '4', "{id}");
        assert!(['8', '9', 'a', 'b'].contains(&digits[16]), "{id}");
    }
    // 10,000 guesses on one connection: neighbours of a real one.
    let mut wire = Wire::connect(registry.address());
    for guess in 0..10_000_u32 {
        let id = format!("{}{guess:06x}", &ids[0][..30]);
        if id == ids[0] {
            continue;
        }
        wire.write(format!(
            "GET /v2/app/blobs/uploads/{id} HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(wire.answer("GET").status, 404);
    }
}

/// Case 34: the number of open sessions is bounded.
#[test]
fn a_principal_has_at_most_ten_thousand_open_sessions() {
    let registry = Registry::start();
    let begin = "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let limit = 10_000;
    let statuses: Vec<u16> = thread::scope(|scope| {
        let workers: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    let mut wire = Wire::connect(registry.address());
                    let open = |_| {
                        wire.write(begin);
                        wire.answer("POST").status
                    };
                    (0..limit / 20 + 1).map(open).collect::<Vec<u16>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 202).count(),
        limit
    );
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 20);
    let refused = registry
        .post("/v2/app/blobs/uploads/")
        .send()
        .expect_error(429, "TOOMANYREQUESTS");
    refused.need("retry-after");
}

/// Case 34: what was abandoned is reclaimed.
#[test]
fn an_abandoned_session_expires_and_its_bytes_go() {
    let registry = Registry::configured(json!({ "storage": { "maintenance": { "uploadpurging":
        { "enabled": true, "age": "1s", "interval": "1s", "dryrun": false } } } }));
    let session = registry.session("app");
    registry
        .patch(&session)
        .body(noise("abandoned", 100_000))
        .send()
        .expect(202);
    assert_eq!(registry.object_bytes(), 100_000);
    until("the session expires", SOON, || {
        (registry.get(&session).send().status == 404).then_some(())
    });
    until("the bytes are gone", SOON, || {
        (registry.object_bytes() == 0).then_some(())
    });
    registry
        .patch(&session)
        .body(b"x")
        .send()
        .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

/// Case 36.
#[test]
fn two_hundred_pushes_of_one_blob_store_it_once() {
    let registry = Registry::start();
    let bytes = noise("the same", 100_000);
    let digest = sha256(&bytes);
    let sessions: Vec<String> = (0..200)
        .map(|number| registry.session(&format!("app{}", number % 20)))
        .collect();
    thread::scope(|scope| {
        for session in &sessions {
            scope.spawn(|| registry.close_upload(session, &digest, &bytes).expect(201));
        }
    });
    for number in 0..20 {
        assert!(registry.has_blob(&format!("app{number}"), &digest));
    }
    until("one copy is left", SOON, || {
        (registry.object_bytes() == 100_000).then_some(())
    });
    assert_eq!(registry.pull_blob("app7", &digest), bytes);
}

/// Case 38.
#[test]
fn content_encoding_is_never_decoded() {
    let registry = Registry::start();
    // A gzip stream of nothing: decoding it would change the bytes.
    let gzip = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let digest = sha256(&gzip);
    let session = registry.session("app");
    let answer = registry
        .put(format!("{session}?digest={digest}"))
        .header("Content-Encoding", "gzip")
        .body(gzip)
        .send();
    if answer.status == 415 {
        return;
    }
    answer.expect(201);
    let got = registry
        .get(format!("/v2/app/blobs/{digest}"))
        .header("Accept-Encoding", "gzip")
        .send()
        .expect(200);
    assert_eq!(got.body, gzip);
    assert!(got.header("content-encoding").is_none(), "{got:?}");
}

/// curl's default type must not be read as a form.
#[test]
fn a_body_that_says_it_is_a_form_is_bytes() {
    let registry = Registry::start();
    let session = registry.session("app");
    let digest = sha256(b"a=1&b=2");
    registry
        .put(format!("{session}?digest={digest}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(b"a=1&b=2")
        .send()
        .expect(201);
    assert_eq!(registry.pull_blob("app", &digest), b"a=1&b=2");
}

/// R2: memory does not depend on what a client sends: the body stays in the socket meanwhile.
#[test]
fn a_slow_body_holds_no_memory_and_others_go_on() {
    let registry = Registry::start();
    let mut slow: Vec<Wire> = (0..50)
        .map(|number| {
            let session = registry.session(&format!("slow{number}"));
            let mut wire = Wire::connect(registry.address());
            wire.write(format!(
                "PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nbeginning"
            ));
            wire
        })
        .collect();
    registry.push_blob("fast", &noise("fast", 1_000_000));
    assert!(registry.peak_memory_bytes() < 256 << 20);
    for wire in &mut slow {
        wire.half_close();
    }
    for wire in &mut slow {
        let reply = wire.read_all(Duration::from_secs(20));
        assert!(reply.closed);
        assert!(
            reply.statuses().iter().all(|status| *status < 500),
            "{}",
            reply.text()
        );
    }
}
