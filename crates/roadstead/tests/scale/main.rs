//! Cases with thousands of clients, each against a real binary of its own. They run one after
//! another, so that they do not measure each other: that takes a minute or two.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test reports a broken expectation by panicking"
)]

#[allow(dead_code, unused_imports, reason = "shared with the black-box tests")]
#[path = "../harness/mod.rs"]
mod harness;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::{Builder, Image, Registry, Wire, certificate, noise, over_tls, until};

/// The longest that one of these steps may take on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// One at a time, with files for all clients of both sides: the binary inherits the limit.
fn alone(clients: u64) -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = getrlimit(Resource::Nofile);
    let needed = clients + 500;
    let most = limit.maximum.unwrap_or(u64::MAX);
    assert!(most >= needed, "ulimit -Hn is {most}, {needed} are needed");
    let raised = Rlimit {
        current: Some(limit.current.unwrap_or(most).max(needed)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    one
}

fn limited(limits: Value) -> Registry {
    Registry::configured(json!({ "http": { "limits": limits } }))
}

/// Other clients push and pull meanwhile, and each small request is answered at once.
fn others_are_served(registry: &Registry) {
    let bytes = noise("meanwhile", 50_000);
    let digest = registry.push_blob("meanwhile", &bytes);
    assert_eq!(registry.pull_blob("meanwhile", &digest), bytes);
    let slowest = (0..20)
        .map(|_| {
            let begin = Instant::now();
            registry.get("/v2/").send().expect(200);
            begin.elapsed()
        })
        .max();
    assert!(slowest < Some(Duration::from_secs(5)), "{slowest:?}");
}

/// Sends `part` on every connection again and again until the registry has let go of all.
fn dribble(registry: &Registry, idle: usize, mut wires: Vec<Wire>, part: &str) {
    others_are_served(registry);
    let mut pause = Instant::now();
    until("the slow clients are let go", LONG, || {
        if pause.elapsed() > Duration::from_millis(300) {
            for wire in &mut wires {
                // Some are closed already.
                wire.try_write(part);
            }
            pause = Instant::now();
        }
        (registry.sockets() <= idle).then_some(())
    });
    for wire in &mut wires {
        let reply = wire.read_all(LONG);
        let text = reply.text();
        let timed_out = text.is_empty() || text.starts_with("HTTP/1.1 408 ");
        assert!(reply.closed && timed_out, "{text}");
    }
    others_are_served(registry);
    assert!(registry.peak_memory_bytes() < 256 << 20);
}

/// Case 93; R26.
#[test]
fn two_thousand_slow_heads_are_cut_off_while_others_are_served() {
    let _alone = alone(2_000);
    let registry = limited(json!({ "headertimeout": "3s", "maxconnections": 2_500 }));
    let idle = registry.sockets();
    let open = |_| {
        let mut wire = Wire::connect(registry.address());
        wire.write("GET /v2/ HTTP/1.1\r\nX-Slow: ");
        wire
    };
    let wires = (0..2_000).map(open).collect();
    dribble(&registry, idle, wires, "x");
}

/// Case 93; R26.
#[test]
fn two_thousand_slow_bodies_are_cut_off_while_others_are_served() {
    let _alone = alone(2_000);
    let registry = limited(json!({ "progresswindow": "3s", "minimumrate": 1024,
        "maxconnections": 2_500 }));
    let idle = registry.sockets();
    let open = |n| {
        let session = registry.session(&format!("slow{}", n % 50));
        let mut wire = Wire::connect(registry.address());
        wire.write(format!(
            "PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx"
        ));
        wire
    };
    let wires = (0..2_000).map(open).collect();
    dribble(&registry, idle, wires, "x");
}

/// A client whose system takes few bytes that nobody has read, so that thousands of them do not need
/// gigabytes by themselves.
fn narrow(registry: &Registry) -> Wire {
    let address = registry.address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.connect(&address.into()).unwrap();
    Wire::over(socket.into()).unwrap()
}

/// Case 93; R26.
#[test]
fn two_thousand_slow_readers_are_let_go_while_others_are_served() {
    const READERS: usize = 2_000;
    let _alone = alone(READERS as u64);
    let registry = limited(json!({ "progresswindow": "3s", "minimumrate": 1024,
        "maxconnections": READERS + 500 }));
    let idle = registry.sockets();
    let bytes = noise("slow read", 16 << 20);
    let digest = registry.push_blob("app", &bytes);
    let open = |_| {
        let mut wire = narrow(&registry);
        wire.write(format!(
            "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        wire
    };
    let mut readers: Vec<Wire> = (0..READERS).map(open).collect();
    others_are_served(&registry);
    until("the slow readers are let go", LONG, || {
        (registry.sockets() <= idle).then_some(())
    });
    let peak = registry.peak_memory_bytes();
    println!("{READERS} slow readers: at most {} MiB", peak >> 20);
    assert!(peak < 256 << 20, "{} MiB", peak >> 20);
    for wire in &mut readers {
        let reply = wire.read_all(LONG);
        assert!(reply.closed && reply.bytes.len() < bytes.len());
    }
    assert_eq!(registry.pull_blob("app", &digest), bytes);
    others_are_served(&registry);
}

/// Case 94: those beyond the cap wait, the others' handshakes run out, and accepting goes on.
#[test]
fn five_thousand_idle_handshakes_are_capped_and_accepting_goes_on() {
    const CAP: usize = 2_000;
    let _alone = alone(5_000);
    let [certificate, key] = certificate();
    let registry = Registry::configured(json!({ "http": {
        "tls": { "certificate": certificate, "key": key },
        "limits": { "tlshandshaketimeout": "3s", "maxconnections": CAP } } }));
    let idle = registry.sockets();
    let mut silent: Vec<Wire> = (0..5_000)
        .map(|_| Wire::connect(registry.address()))
        .collect();
    let begin = Instant::now();
    let request = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n\r\n";
    thread::scope(|scope| {
        // Behind five thousand others.
        let served = scope.spawn(|| over_tls(registry.address(), request).unwrap());
        until("all handshakes run out", LONG, || {
            let open = registry.sockets() - idle;
            assert!(open <= CAP, "{open} connections are open");
            (open == 0 && begin.elapsed() > Duration::from_secs(3)).then_some(())
        });
        assert!(served.join().unwrap().starts_with(b"HTTP/1.1 200 OK\r\n"));
    });
    for wire in &mut silent {
        assert!(wire.read_all(LONG).closed);
    }
    let answer = over_tls(registry.address(), request).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(registry.peak_memory_bytes() < 256 << 20);
}

/// Case 34: all that was abandoned is reclaimed, and its principal may begin anew.
#[test]
fn ten_thousand_abandoned_sessions_are_reclaimed() {
    let _alone = alone(100);
    let registry = Registry::configured(json!({ "storage": { "maintenance": { "uploadpurging":
        { "enabled": true, "age": "5s", "interval": "1s", "dryrun": false } } } }));
    let begin = "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let sessions: Vec<String> = thread::scope(|scope| {
        let open = || {
            let mut wire = Wire::connect(registry.address());
            let mut last = String::new();
            for n in 0..500 {
                wire.write(begin);
                last = wire.answer("POST").expect(202).need("location").to_owned();
                if n % 10 == 0 {
                    wire.write(format!(
                        "PATCH {last} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nbytes"
                    ));
                    wire.answer("PATCH").expect(202);
                }
            }
            last
        };
        let workers: Vec<_> = (0..20).map(|_| scope.spawn(open)).collect();
        workers.into_iter().map(|it| it.join().unwrap()).collect()
    });
    until("the sessions and their bytes are gone", LONG, || {
        let open = |session: &String| registry.get(session).send().status != 404;
        let left = registry.objects().len() + sessions.iter().filter(|it| open(it)).count();
        (left == 0).then_some(())
    });
    others_are_served(&registry);
    registry.session("app");
}

/// Case 76; R17: of hundreds of wrong passwords at once, few cost a hash, the others are told when to
/// come again, and whoever has a token notices nothing.
#[test]
fn five_hundred_bad_logins_cost_a_few_hashes_while_others_pull_by_token() {
    const TRIES: usize = 500;
    /// Wrong passwords from one address that nobody waits for, and what a second more or less of a
    /// busy machine adds, where the waits double.
    const HASHES: usize = 20 + 5;
    let _alone = alone(TRIES as u64);
    let alice = ("alice", "correct horse");
    let registry = Builder::new()
        .users(&[alice])
        .config(json!({ "access": { "preset": "private", "tokens": { "service": "test" } } }))
        .start();
    let image = Image::new("pulled meanwhile");
    for blob in image.blobs() {
        let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
        let push = registry.post(target).basic(alice.0, alice.1);
        let push = push.header("Content-Type", "application/octet-stream");
        push.body(&blob.bytes).send().expect(201);
    }
    let push = registry.put("/v2/app/manifests/v1").basic(alice.0, alice.1);
    let push = push.header("Content-Type", &image.manifest.media_type);
    push.body(&image.manifest.bytes).send().expect(201);
    let target = "/auth/token?service=test&scope=repository:app:pull";
    let answer = registry.get(target).basic(alice.0, alice.1).send();
    let token = answer.expect(200).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();

    // Of users who are known and of others, and no password twice.
    let mut wires: Vec<Wire> = (0..TRIES)
        .map(|number| {
            let user = if number % 2 == 0 {
                "alice".to_owned()
            } else {
                format!("user-{number}")
            };
            let credentials = BASE64_STANDARD.encode(format!("{user}:guess {number}"));
            let mut wire = Wire::connect(registry.address()).patient(LONG);
            wire.write(format!(
                "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n\r\n"
            ));
            wire
        })
        .collect();
    for _ in 0..100 {
        let pull = registry.get("/v2/app/manifests/v1");
        let answer = pull
            .header("Authorization", format!("Bearer {token}"))
            .send();
        assert_eq!(answer.expect(200).body, image.manifest.bytes);
    }
    let (mut hashes, mut later) = (0, 0);
    for wire in &mut wires {
        let answer = wire.answer("GET");
        match answer.status {
            // Nothing but a hash tells that a password is wrong.
            401 => hashes += 1,
            _ => {
                let answer = answer.expect_error(429, "TOOMANYREQUESTS");
                let wait: u64 = answer.need("retry-after").parse().unwrap();
                assert!((1..=60).contains(&wait), "{wait}");
                later += 1;
            }
        }
    }
    assert_eq!(hashes + later, TRIES);
    assert!((1..=HASHES).contains(&hashes), "{hashes} hashes");
}
