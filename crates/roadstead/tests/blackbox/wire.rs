//! Connections over time: budgets for slow clients, caps, keep-alive, pipelining, and answers that
//! come before the request has been read.

use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Builder, OCI_IMAGE, Registry, SOON, Wire, noise, sha256, until};

fn limited(limits: Value) -> Registry {
    Registry::configured(json!({ "http": { "limits": limits } }))
}

const GET: &str = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";

/// Sends `part` again and again until the server has closed, and returns what it said.
fn dribble(registry: &Registry, begin: &str, part: &[u8], pause: Duration) -> String {
    let mut wire = Wire::connect(registry.address());
    wire.write(begin);
    let deadline = Instant::now() + SOON;
    let mut said = Vec::new();
    loop {
        let taken = wire.try_write(part);
        let reply = wire.read_all(pause);
        said.extend_from_slice(&reply.bytes);
        if reply.closed || !taken {
            return String::from_utf8_lossy(&said).into_owned();
        }
        assert!(Instant::now() < deadline, "{begin:?} is still open");
    }
}

fn check_timed_out(said: &str) {
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 408 "),
        "{said}"
    );
}

/// Other clients do not notice.
fn others_are_served(registry: &Registry) {
    let begin = Instant::now();
    let bytes = noise("meanwhile", 50_000);
    let digest = registry.push_blob("meanwhile", &bytes);
    assert_eq!(registry.pull_blob("meanwhile", &digest), bytes);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

/// Case 93; R26: the head of a request has a budget from its first byte.
#[test]
fn slow_heads_are_cut_off_while_others_are_served() {
    let registry = limited(json!({ "headertimeout": "1s" }));
    let pause = Duration::from_millis(100);
    thread::scope(|scope| {
        let slow: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| {
                    dribble(
                        &registry,
                        "GET /v2/ HTTP/1.1\r\nHost: x\r\n",
                        b"X: y\r\n",
                        pause,
                    )
                })
            })
            .collect();
        others_are_served(&registry);
        for slow in slow {
            check_timed_out(&slow.join().unwrap());
        }
    });
    // The second request of a connection, too.
    let said = dribble(&registry, &format!("{GET}GET /v2/ "), b"", pause);
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
}

/// R26: the two budgets are two. A connection may be idle for longer than a head may take.
#[test]
fn an_idle_connection_has_another_budget_than_a_head() {
    let registry = limited(json!({ "headertimeout": "1s", "idletimeout": "2m" }));
    let mut wire = Wire::connect(registry.address());
    assert!(!wire.read_all(Duration::from_secs(2)).closed);
    wire.write(GET);
    wire.answer("GET").expect(200);
    assert!(!wire.read_all(Duration::from_secs(2)).closed);
    wire.write(GET);
    wire.answer("GET").expect(200);
    wire.write("G");
    check_timed_out(&wire.read_all(SOON).text());

    let registry = limited(json!({ "headertimeout": "2m", "idletimeout": "1s" }));
    let mut wire = Wire::connect(registry.address());
    let reply = wire.read_all(SOON);
    assert!(reply.closed && reply.bytes.is_empty(), "{}", reply.text());
    let mut wire = Wire::connect(registry.address());
    wire.write(GET);
    wire.answer("GET").expect(200);
    let reply = wire.read_all(SOON);
    assert!(reply.closed && reply.bytes.is_empty(), "{}", reply.text());
    let mut wire = Wire::connect(registry.address());
    wire.write("GET /v2/ HTTP/1.1\r\n");
    assert!(!wire.read_all(Duration::from_secs(2)).closed);
    wire.write("Host: x\r\n\r\n");
    wire.answer("GET").expect(200);
}

/// Case 93; R26: a body makes progress or is cut off; what came is kept.
#[test]
fn slow_bodies_are_cut_off_while_others_are_served() {
    let registry = limited(json!({ "progresswindow": "1s", "minimumrate": 1024 }));
    let sessions: Vec<String> = (0..50)
        .map(|n| registry.session(&format!("slow{n}")))
        .collect();
    thread::scope(|scope| {
        let slow: Vec<_> = sessions
            .iter()
            .map(|session| {
                let head = format!(
                    "PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
                );
                let registry = &registry;
                scope.spawn(move || dribble(registry, &head, b"x", Duration::from_millis(100)))
            })
            .collect();
        others_are_served(&registry);
        for slow in slow {
            check_timed_out(&slow.join().unwrap());
        }
    });
    for session in &sessions {
        let status = registry.get(session).send().expect(204);
        let received: usize = status
            .need("range")
            .strip_prefix("0-")
            .unwrap()
            .parse()
            .unwrap();
        assert!(received < 1000, "{status:?}");
    }
    // A manifest's, too.
    let head = format!(
        "PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: {OCI_IMAGE}\r\n\
         Content-Length: 1000\r\n\r\n"
    );
    check_timed_out(&dribble(&registry, &head, b"{", Duration::from_millis(100)));
}

/// R26: slow is only who is below the rate; there is no limit on the whole.
#[test]
fn a_steady_body_may_take_many_windows() {
    let registry = limited(json!({ "progresswindow": "1s", "minimumrate": 1024 }));
    let session = registry.session("app");
    let part = noise("steady", 8 << 10);
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        part.len() * 16
    ));
    for _ in 0..16 {
        wire.write(&part);
        thread::park_timeout(Duration::from_millis(200));
    }
    wire.answer("PATCH")
        .expect(202)
        .expect_header("range", &format!("0-{}", part.len() * 16 - 1));
}

/// Case 93; R26: who does not read is let go.
#[test]
fn slow_readers_are_cut_off_while_others_are_served() {
    let registry = limited(json!({ "progresswindow": "1s", "minimumrate": 1024 }));
    let idle = registry.sockets();
    let bytes = noise("slow read", 16 << 20);
    let digest = registry.push_blob("app", &bytes);
    let mut readers: Vec<Wire> = (0..30)
        .map(|_| {
            let mut wire = Wire::connect(registry.address());
            wire.write(format!(
                "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
            ));
            wire
        })
        .collect();
    others_are_served(&registry);
    until("the slow readers are let go", SOON, || {
        (registry.sockets() <= idle).then_some(())
    });
    assert!(registry.peak_memory_bytes() < 256 << 20);
    for reader in &mut readers {
        let reply = reader.read_all(SOON);
        assert!(
            reply.closed && reply.bytes.len() < bytes.len(),
            "{}",
            reply.bytes.len()
        );
    }
    assert_eq!(registry.pull_blob("app", &digest), bytes);
}

/// R26: beyond the cap a connection waits, and is served when another has ended.
#[test]
fn beyond_the_cap_a_connection_waits_its_turn() {
    let registry = limited(json!({ "maxconnections": 4 }));
    let mut held: Vec<Wire> = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::connect(registry.address());
        wire.write(GET);
        wire.answer("GET").expect(200);
        held.push(wire);
    }
    let mut waiting = Wire::connect(registry.address());
    waiting.write(GET);
    let reply = waiting.read_all(Duration::from_secs(1));
    assert!(!reply.closed && reply.bytes.is_empty(), "{}", reply.text());
    // Who is in, goes on.
    held[0].write(GET);
    held[0].answer("GET").expect(200);
    held.pop();
    waiting.answer("GET").expect(200);
}

/// R26: one address takes no more than its share, if there is one.
#[test]
fn beyond_the_cap_of_an_address_a_connection_is_closed() {
    let registry = limited(json!({ "maxconnectionsperaddress": 3 }));
    let mut held: Vec<Wire> = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::connect(registry.address());
        wire.write(GET);
        wire.answer("GET").expect(200);
        held.push(wire);
    }
    let mut more = Wire::connect(registry.address());
    more.try_write(GET);
    let reply = more.read_all(SOON);
    assert!(reply.closed, "{}", reply.text());
    assert!(
        reply
            .statuses()
            .iter()
            .all(|status| [429, 503].contains(status)),
        "{}",
        reply.text()
    );
    held.pop();
    until("there is room again", SOON, || {
        let mut wire = Wire::connect(registry.address());
        wire.try_write(GET);
        (wire.try_answer("GET").ok()?.status == 200).then_some(())
    });
    held[0].write(GET);
    held[0].answer("GET").expect(200);
}

#[test]
fn one_connection_serves_many_requests() {
    let registry = Registry::start();
    let bytes = noise("keep-alive", 100_000);
    let digest = sha256(&bytes);
    let mut wire = Wire::connect(registry.address());
    for round in 0..20 {
        let repository = format!("app{round}");
        wire.write(format!(
            "POST /v2/{repository}/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        ));
        let session = wire.answer("POST").expect(202).need("location").to_owned();
        wire.write(format!(
            "PATCH {session} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        wire.write(format!("{:x}\r\n", bytes.len()));
        wire.write(&bytes);
        wire.write("\r\n0\r\n\r\n");
        wire.answer("PATCH").expect(202);
        wire.write(format!(
            "PUT {session}?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        ));
        wire.answer("PUT").expect(201);
        wire.write(format!(
            "HEAD /v2/{repository}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        wire.answer("HEAD").expect(200);
        wire.write(format!(
            "GET /v2/{repository}/manifests/none HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        wire.answer("GET").expect(404);
        wire.write(format!(
            "GET /v2/{repository}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        assert_eq!(wire.answer("GET").expect(200).body, bytes);
    }
}

#[test]
fn requests_in_a_row_are_answered_in_their_order() {
    let registry = Registry::start();
    let bytes = noise("pipelining", 50_000);
    let digest = registry.push_blob("app", &bytes);
    let mut requests = String::new();
    for number in 0..20 {
        requests.push_str(&format!(
            "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\
             Range: bytes={number}-{number}\r\n\r\n"
        ));
        requests.push_str("GET /v2/app/manifests/none HTTP/1.1\r\nHost: x\r\n\r\n");
        requests.push_str("HEAD /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    let mut wire = Wire::connect(registry.address());
    wire.write(requests);
    for byte in &bytes[..20] {
        assert_eq!(wire.answer("GET").expect(206).body, [*byte]);
        wire.answer("GET").expect(404);
        wire.answer("HEAD").expect(200);
    }
}

#[test]
fn a_connection_ends_where_the_client_wants_that() {
    let registry = Registry::start();
    for request in [
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /v2/ HTTP/1.0\r\nHost: x\r\n\r\n",
        "GET /v2/app/manifests/none HTTP/1.0\r\n\r\n",
    ] {
        let mut wire = Wire::connect(registry.address());
        wire.write(request);
        let answer = wire.answer("GET");
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        // HTTP/1.0 knows no chunks.
        assert!(answer.header("transfer-encoding").is_none(), "{answer:?}");
        assert!(wire.read_all(SOON).closed);
    }
    let mut wire = Wire::connect(registry.address());
    for _ in 0..3 {
        wire.write("GET /v2/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        wire.answer("GET").expect(200);
    }
}

/// R24: who is refused while sending gets to read why.
#[test]
fn a_refusal_is_read_although_the_body_is_not() {
    let open = Registry::start();
    let closed = Builder::new().users(&[("alice", "secret")]).start();
    let check = |registry: &Registry, method: &str, target: &str, status: u16, length: usize| {
        let answer: Answer = registry
            .request(method, target)
            .header("Content-Type", OCI_IMAGE)
            .body(vec![b' '; length])
            .exchange()
            .unwrap_or_else(|error| panic!("{method} {target} with {length} bytes: {error}"));
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!answer.code().is_empty(), "{answer:?}");
    };
    for length in [10, 100_000, 5 << 20, 64 << 20] {
        check(&closed, "PUT", "/v2/app/manifests/v1", 401, length);
        check(&closed, "POST", "/v2/app/blobs/uploads/", 401, length);
        check(&open, "PUT", "/v2/UPPER/manifests/v1", 400, length);
        check(&open, "PATCH", "/v2/app/blobs/uploads/unknown", 404, length);
        check(&open, "PROPFIND", "/v2/app/tags/list", 405, length);
    }
    for length in [5 << 20, 64 << 20] {
        check(&open, "PUT", "/v2/app/manifests/v1", 413, length);
    }
    assert!(open.peak_memory_bytes() < 128 << 20);
}

/// Expect: the body is asked for only where somebody reads it.
#[test]
fn a_body_is_asked_for_where_it_is_read() {
    let registry = Registry::start();
    let session = registry.session("app");
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));
    let asked = wire.read_some(1000).unwrap();
    assert!(
        asked.starts_with(b"HTTP/1.1 100 "),
        "{}",
        String::from_utf8_lossy(&asked)
    );
    wire.write("hello");
    wire.answer("PATCH").expect(202);
    let mut wire = Wire::connect(registry.address());
    wire.write(
        "PUT /v2/UPPER/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    let reply = wire.read_all(Duration::from_secs(1));
    assert_eq!(reply.statuses(), [400], "{}", reply.text());
}

/// Connections that come and go, in the middle of everything.
#[test]
fn clients_that_hang_up_leave_nothing_behind() {
    let registry = Registry::start();
    let before = registry.sockets();
    let bytes = noise("hang up", 2_000_000);
    let digest = registry.push_blob("app", &bytes);
    let session = registry.session("app");
    for request in [
        String::new(),
        "GET /v2/ HT".to_owned(),
        GET.to_owned(),
        format!("GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"),
        format!(
            "PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: {OCI_IMAGE}\r\n\
             Content-Length: 100\r\n\r\n{{"
        ),
        "PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"
            .to_owned(),
    ] {
        for _ in 0..20 {
            Wire::connect(registry.address()).try_write(&request);
        }
    }
    until("all connections are gone", SOON, || {
        (registry.sockets() <= before).then_some(())
    });
    assert_eq!(registry.pull_blob("app", &digest), bytes);
    drop(TcpStream::connect(registry.address()).unwrap());
    assert!(!registry.log().contains("ERROR"), "{}", registry.log());
}
