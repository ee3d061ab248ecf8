//! The registry as a process: its signals, its memory, its open files, and what is left after a
//! crash.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::harness::{
    Answer, Builder, Image, Manifest, OCI_IMAGE, Registry, SOON, Wire, hex, noise, sha256, until,
};

const MIB: usize = 1 << 20;

/// Begins a request with a body of `length` bytes and sends only `part` of it. The server has asked
/// for the body by then, so its handler is at work and holds the session.
fn begin(registry: &Registry, method: &str, target: &str, length: usize, part: &[u8]) -> Wire {
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\
         Expect: 100-continue\r\n\r\n"
    ));
    let go_on = wire.read_some(1024).unwrap();
    assert!(
        go_on.starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&go_on)
    );
    wire.write(part);
    wire
}

fn refuses_connections(address: SocketAddr) {
    until("the listener is closed", SOON, || {
        TcpStream::connect(address).is_err().then_some(())
    });
}

/// Case 105.
#[test]
fn a_second_process_on_a_data_directory_ends_with_a_clear_line() {
    let mut registry = Registry::start();
    let data = registry.data().display().to_string();
    let said = registry.builder().refused();
    let [line] = said.as_slice() else {
        panic!("{said:#?}")
    };
    assert!(
        line.contains(&data) && line.contains("another process"),
        "{line}"
    );
    // The same database under another directory of objects is no better.
    let other = registry.builder().path("other");
    let database = registry.data().join("roadstead.db");
    let said = registry
        .builder()
        .config(
            json!({ "storage": { "filesystem": { "rootdirectory": other } },
            "metadata": { "sqlite": { "path": database } } }),
        )
        .refused();
    let [line] = said.as_slice() else {
        panic!("{said:#?}")
    };
    assert!(
        line.contains("roadstead.db") && line.contains("another process"),
        "{line}"
    );
    registry.push_image("app", "v1", &Image::new("first"));
    assert!(registry.is_running());
    // A lock that nobody holds is none.
    registry.kill_9();
    registry
        .restart()
        .pull_image("app", "v1", &Image::new("first"));
}

/// Case 103: uploads in flight end, nothing new begins, and the exit is a success.
#[test]
fn a_stop_lets_twenty_uploads_end() {
    let mut registry = Registry::start();
    let blobs: Vec<Vec<u8>> = (0..20)
        .map(|n| noise(&format!("stop {n}"), 200_000))
        .collect();
    let sessions: Vec<String> = (0..20)
        .map(|n| registry.session(&format!("app{n}")))
        .collect();
    // Half of them close their session in this request, half only send a part.
    let mut wires: Vec<Wire> = Vec::new();
    for (number, (session, bytes)) in sessions.iter().zip(&blobs).enumerate() {
        let (method, target) = match number % 2 {
            0 => ("PUT", format!("{session}?digest={}", sha256(bytes))),
            _ => ("PATCH", session.clone()),
        };
        wires.push(begin(
            &registry,
            method,
            &target,
            bytes.len(),
            &bytes[..100_000],
        ));
    }
    let mut idle = Wire::connect(registry.address());
    idle.write("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.answer("GET").expect(200);
    registry.signal_term();
    refuses_connections(registry.address());
    assert!(idle.read_all(SOON).closed);
    assert!(registry.is_running());
    for (number, (wire, bytes)) in wires.iter_mut().zip(&blobs).enumerate() {
        wire.write(&bytes[100_000..]);
        let (method, status) = if number % 2 == 0 {
            ("PUT", 201)
        } else {
            ("PATCH", 202)
        };
        wire.answer(method).expect(status);
    }
    assert_eq!(
        registry.wait_for_exit().code(),
        Some(0),
        "{}",
        registry.log()
    );
    let registry = registry.restart();
    for (number, (session, bytes)) in sessions.iter().zip(&blobs).enumerate() {
        let (repository, digest) = (format!("app{number}"), sha256(bytes));
        if number % 2 == 1 {
            assert!(!registry.has_blob(&repository, &digest));
            registry
                .get(session)
                .send()
                .expect(204)
                .expect_header("range", "0-199999");
            registry.close_upload(session, &digest, b"").expect(201);
        }
        assert_eq!(registry.pull_blob(&repository, &digest), *bytes);
    }
}

/// Case 103: who does not come to an end is cut off at the deadline, and resumes afterwards.
#[test]
fn a_stop_waits_no_longer_than_its_deadline() {
    let mut registry = Registry::configured(json!({ "http": { "draintimeout": "1s" } }));
    let bytes = noise("deadline", 300_000);
    let session = registry.session("app");
    registry
        .patch(&session)
        .body(&bytes[..100_000])
        .send()
        .expect(202);
    let _stuck = begin(
        &registry,
        "PATCH",
        &session,
        200_000,
        &bytes[100_000..150_000],
    );
    let signalled = Instant::now();
    assert_eq!(registry.terminate().code(), Some(0), "{}", registry.log());
    assert!(
        signalled.elapsed() >= Duration::from_millis(900),
        "{:?}",
        signalled.elapsed()
    );
    let registry = registry.restart();
    let received = received(&registry.get(&session).send().expect(204));
    assert!((100_000..=150_000).contains(&received), "{received}");
    registry
        .patch(&session)
        .header("Content-Range", format!("{received}-299999"))
        .body(&bytes[received..])
        .send()
        .expect(202);
    registry
        .close_upload(&session, &sha256(&bytes), b"")
        .expect(201);
    assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
}

/// How many bytes the Range of an upload speaks of.
fn received(answer: &Answer) -> usize {
    let range = answer.need("range");
    let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
    last + 1
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut registry = Registry::configured(json!({ "http": { "draintimeout": "10m" } }));
    let session = registry.session("app");
    let _stuck = begin(&registry, "PATCH", &session, 1000, b"beginning");
    registry.signal_term();
    registry.wait_for_log("stopping");
    registry.signal(Signal::INT);
    assert_eq!(
        registry.wait_for_exit().code(),
        Some(1),
        "{}",
        registry.log()
    );
    registry.wait_for_log("second signal");
}

#[test]
fn sigint_stops_it_and_sighup_does_not() {
    let mut registry = Registry::start();
    registry.signal(Signal::HUP);
    registry.wait_for_log("the configuration was read again and is in force");
    registry.get("/v2/").send().expect(200);
    registry.signal(Signal::INT);
    assert_eq!(registry.wait_for_exit().code(), Some(0));
}

/// What was acknowledged is there after a crash of the process; a session goes on where it was.
#[test]
fn a_killed_registry_keeps_what_it_acknowledged() {
    let mut registry = Registry::start();
    let (kept, deleted) = (Image::new("kept"), Image::new("deleted"));
    let bytes = noise("resumed", 500_000);
    for round in 0..3 {
        let name = format!("round{round}");
        registry.push_image(&name, "kept", &kept);
        registry.push_image(&name, "deleted", &deleted);
        let target = format!("/v2/{name}/manifests/{}", deleted.manifest.digest);
        registry.delete(target).send().expect(202);
        registry
            .put_manifest(&name, "moved", &kept.manifest)
            .expect(201);
        let session = registry.session(&name);
        registry
            .patch(&session)
            .body(&bytes[..300_000])
            .send()
            .expect(202);
        registry.kill_9();
        registry = registry.restart();
        registry.pull_image(&name, "kept", &kept);
        assert_eq!(registry.tags(&name), ["kept", "moved"]);
        registry
            .get(format!("/v2/{name}/manifests/deleted"))
            .send()
            .expect(404);
        registry
            .get(&session)
            .send()
            .expect(204)
            .expect_header("range", "0-299999");
        registry
            .patch(&session)
            .header("Content-Range", "300000-499999")
            .body(&bytes[300_000..])
            .send()
            .expect(202);
        registry
            .close_upload(&session, &sha256(&bytes), b"")
            .expect(201);
        assert_eq!(registry.pull_blob(&name, &sha256(&bytes)), bytes);
    }
}

/// A push that a crash cut off is not there, or is there whole.
#[test]
fn a_kill_in_the_middle_of_pushes_leaves_no_half() {
    let mut registry = Registry::start();
    for round in 0..4 {
        let blobs: Vec<Vec<u8>> = (0..16)
            .map(|n| noise(&format!("half {round} {n}"), 100_000))
            .collect();
        let (acked, begun) = (
            std::sync::Mutex::new(Vec::new()),
            std::sync::Barrier::new(17),
        );
        thread::scope(|scope| {
            for bytes in &blobs {
                let (registry, acked, begun) = (&registry, &acked, &begun);
                scope.spawn(move || {
                    let digest = sha256(bytes);
                    begun.wait();
                    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
                    let answer = registry.post(target).body(bytes).exchange();
                    if answer.is_ok_and(|answer| answer.status == 201) {
                        acked.lock().unwrap().push(digest);
                    }
                });
            }
            begun.wait();
            // Some are acknowledged then and some are not; which ones is up to chance.
            until("some are there", SOON, || {
                (acked.lock().unwrap().len() > 2).then_some(())
            });
            registry.signal(Signal::KILL);
        });
        registry.kill_9();
        registry = registry.restart();
        let acked = acked.into_inner().unwrap();
        for bytes in &blobs {
            let digest = sha256(bytes);
            if registry.has_blob("app", &digest) {
                assert_eq!(registry.pull_blob("app", &digest), *bytes);
            } else {
                assert!(!acked.contains(&digest), "{digest} was acknowledged");
            }
        }
    }
}

/// R2: all at once, each at the limit.
#[test]
fn two_hundred_manifests_of_four_mebibytes_at_once_have_bounded_memory() {
    let registry = Registry::start();
    let image = Image::new("parallel");
    registry.push_blobs_of("app", &image);
    let size = 4 * MIB;
    let padding = vec![b' '; 64 << 10];
    let mut whole = image.manifest.bytes.clone();
    whole.resize(size, b' ');
    let manifest = Manifest::raw(OCI_IMAGE, whole);
    let send = || {
        // Each waits for those before it.
        let mut wire = Wire::connect(registry.address()).patient(Duration::from_secs(180));
        wire.write(format!(
            "PUT /v2/app/manifests/large HTTP/1.1\r\nHost: x\r\nContent-Type: {OCI_IMAGE}\r\n\
             Content-Length: {size}\r\n\r\n"
        ));
        wire.write(&image.manifest.bytes);
        let mut left = size - image.manifest.bytes.len();
        while left > 0 {
            let part = left.min(padding.len());
            wire.write(&padding[..part]);
            left -= part;
        }
        wire.answer("PUT")
            .expect(201)
            .expect_header("docker-content-digest", &manifest.digest);
    };
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(send);
        }
    });
    let peak = registry.peak_memory_bytes();
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
    assert_eq!(
        registry
            .get("/v2/app/manifests/large")
            .send()
            .expect(200)
            .body,
        manifest.bytes
    );
}

/// Case 35, with 512 MiB; R2.
#[test]
fn a_large_blob_passes_through_little_memory() {
    let registry = Registry::start();
    let block = noise("large", MIB);
    let times = 512;
    let mut hash = Sha256::new();
    (0..times).for_each(|_| hash.update(&block));
    let digest = format!("sha256:{}", hex(&hash.finalize()));
    let session = registry.session("app");
    registry
        .put(format!("{session}?digest={digest}"))
        .header("Content-Type", "application/octet-stream")
        .repeated(&block, times)
        .send()
        .expect(201);
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ));
    let (mut head, mut hash, mut count) = (Vec::new(), Sha256::new(), 0);
    let mut in_body = false;
    loop {
        let bytes = wire.read_some(256 << 10).unwrap();
        if bytes.is_empty() {
            break;
        }
        let mut body = &bytes[..];
        if !in_body {
            head.extend_from_slice(&bytes);
            let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            in_body = true;
            body = &bytes[bytes.len() - (head.len() - at - 4)..];
        }
        hash.update(body);
        count += body.len();
    }
    assert_eq!(count, times * MIB);
    assert_eq!(format!("sha256:{}", hex(&hash.finalize())), digest);
    let peak = registry.peak_memory_bytes();
    assert!(peak < 128 << 20, "{} MiB", peak >> 20);
}

/// Case 99: 64 files, 500 clients.
#[test]
fn with_64_files_it_goes_on_accepting_when_clients_leave() {
    let registry = Builder::new()
        .through(&["prlimit", "--nofile=64:64"])
        .config(json!({ "http": { "limits": { "idletimeout": "2m", "headertimeout": "2m" } } }))
        .start();
    let image = Image::new("few files");
    registry.push_image("app", "v1", &image);
    let clients: Vec<Wire> = (0..500)
        .map(|_| Wire::connect(registry.address()))
        .collect();
    let taken = until("it takes no more", SOON, || {
        let taken = registry.sockets();
        thread::park_timeout(Duration::from_millis(300));
        (registry.sockets() == taken && taken > 10).then_some(taken)
    });
    assert!(taken < 64, "{taken}");
    // Waiting costs nothing.
    let before = registry.processor_time();
    thread::park_timeout(Duration::from_secs(1));
    let used = registry.processor_time() - before;
    assert!(used < Duration::from_millis(500), "{used:?}");
    drop(clients);
    registry.pull_image("app", "v1", &image);
    registry.push_image("app", "v2", &Image::new("more"));
    let count = 40;
    thread::scope(|scope| {
        for number in 0..count {
            let registry = &registry;
            scope.spawn(move || registry.push_blob("app", &noise(&number.to_string(), 50_000)));
        }
    });
}

/// Case 99: the clients stay, but do nothing: they have to go in the end.
#[test]
fn with_64_files_idle_clients_make_room() {
    let registry = Builder::new()
        .through(&["prlimit", "--nofile=64:64"])
        .config(json!({ "http": { "limits": { "idletimeout": "1s", "headertimeout": "1s" } } }))
        .start();
    let _clients: Vec<Wire> = (0..100)
        .map(|_| Wire::connect(registry.address()))
        .collect();
    registry.get("/v2/").send().expect(200);
}
