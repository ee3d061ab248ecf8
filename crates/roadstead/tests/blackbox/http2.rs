//! HTTP/2: a push and a pull, and clients that flood, stall and reset. Memory stays bounded, and
//! other clients are served meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;

use crate::harness::{Http2, Image, Registry, SOON, Wire, noise, sha256};

const MIB: u64 = 1 << 20;

/// A registry that takes HTTP/2 in cleartext.
fn with_h2c() -> Registry {
    Registry::configured(json!({ "http": { "h2c": { "enabled": true } } }))
}

/// A connection that sends frames as a test writes them (RFC 9113 §4).
struct Frames {
    stream: TcpStream,
}

/// A frame that came back.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

impl Frames {
    /// Connects and says what HTTP/2 begins with; `settings` are (identifier, value) pairs.
    fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        // A server that does not read any more is no reason to wait long.
        stream
            .set_write_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        let mut frames = Self { stream };
        frames
            .stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        assert!(frames.send(&frame(SETTINGS, 0, 0, &payload)));
        frames
    }

    /// Sends bytes; false where the server no longer takes them.
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends these bytes `times` times, as long as the server takes them.
    fn flood(&mut self, bytes: &[u8], times: usize) -> bool {
        (0..times).all(|_| self.send(bytes))
    }

    /// The next frame; none where the connection has ended or is silent for `silence`.
    fn next(&mut self, silence: Duration) -> Option<Frame> {
        self.stream.set_read_timeout(Some(silence)).unwrap();
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    /// Every frame until the connection ends or is silent for `silence`.
    fn rest(&mut self, silence: Duration) -> Vec<Frame> {
        std::iter::from_fn(|| self.next(silence)).collect()
    }

    /// Waits for the end of the connection: a GOAWAY, or a close. True if there was a GOAWAY.
    fn ends(&mut self) -> bool {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            match self.next(SOON) {
                Some(frame) if frame.kind == GOAWAY => return true,
                Some(_) => {}
                None => {
                    let closed = self.stream.read(&mut [0]);
                    let silent = closed.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
                    assert!(!silent, "the connection is still open");
                    return false;
                }
            }
        }
        panic!("the connection goes on");
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block without compression (RFC 7541 §6.2.2); every text is shorter than 127 bytes.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(
                u8::try_from(text.len())
                    .ok()
                    .filter(|length| *length < 127)
                    .unwrap(),
            );
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

fn request(method: &str, target: &str) -> Vec<u8> {
    block(&[
        (":method", method),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", target),
    ])
}

/// The number of the `index`-th stream of a client.
fn stream(index: u32) -> u32 {
    index * 2 + 1
}

/// Other clients, on connections of their own, do not notice.
fn others_are_served(registry: &Registry) {
    let begin = Instant::now();
    let bytes = noise("meanwhile", 50_000);
    let digest = registry.push_blob("meanwhile", &bytes);
    assert_eq!(registry.pull_blob("meanwhile", &digest), bytes);
    let client = Http2::connect(registry.address()).unwrap();
    client
        .send(Method::GET, "/v2/", &[], b"")
        .unwrap()
        .expect(200);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
}

/// Runs `attack` and checks that it costs little memory and that others are served.
fn check_bounded(registry: &Registry, attack: impl FnOnce()) {
    others_are_served(registry);
    let before = registry.peak_memory_bytes();
    attack();
    others_are_served(registry);
    let grown = registry.peak_memory_bytes() - before;
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
}

#[test]
fn an_image_is_pushed_and_pulled_over_http_2() {
    let registry = with_h2c();
    let client = Http2::connect(registry.address()).unwrap();
    let send = |method: Method, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        client.send(method, target, headers, body).unwrap()
    };
    let mut image = Image::new("http 2");
    image.layers[0].bytes = noise("http 2 layer", 5_000_000);
    let layer =
        crate::harness::Blob::new(&image.layers[0].media_type, image.layers[0].bytes.clone());
    let image = Image::of("http 2", vec![layer]);
    for blob in image.blobs() {
        let begun = send(Method::POST, "/v2/app/blobs/uploads/", &[], b"").expect(202);
        let session = begun.need("location").to_owned();
        assert!(session.starts_with("/v2/app/blobs/uploads/"), "{begun:?}");
        let half = blob.bytes.len() / 2;
        let range = format!("0-{}", half - 1);
        send(
            Method::PATCH,
            &session,
            &[("content-range", &range)],
            &blob.bytes[..half],
        )
        .expect(202);
        let closing = format!("{session}?digest={}", blob.digest);
        send(Method::PUT, &closing, &[], &blob.bytes[half..]).expect(201);
    }
    let manifest = &image.manifest;
    let kind = [("content-type", manifest.media_type.as_str())];
    let put = send(Method::PUT, "/v2/app/manifests/v1", &kind, &manifest.bytes).expect(201);
    assert_eq!(put.need("docker-content-digest"), manifest.digest);
    let got = send(Method::GET, "/v2/app/manifests/v1", &[], b"").expect(200);
    assert_eq!(got.body, manifest.bytes);
    assert!(got.headers.get("connection").is_none(), "{got:?}");
    for blob in image.blobs() {
        let target = format!("/v2/app/blobs/{}", blob.digest);
        assert!(send(Method::GET, &target, &[], b"").expect(200).body == blob.bytes);
        let head = send(Method::HEAD, &target, &[], b"").expect(200);
        assert_eq!(head.need("content-length"), blob.bytes.len().to_string());
        let part = send(Method::GET, &target, &[("range", "bytes=1-3")], b"").expect(206);
        assert_eq!(part.body, blob.bytes[1..4]);
    }
    let missing = send(Method::GET, "/v2/app/manifests/none", &[], b"").expect(404);
    assert!(
        String::from_utf8_lossy(&missing.body).contains("MANIFEST_UNKNOWN"),
        "{missing:?}"
    );
    // The same port speaks HTTP/1.1.
    registry.pull_image("app", "v1", &image);
}

#[test]
fn many_requests_share_one_connection() {
    let registry = with_h2c();
    let bytes = noise("streams", 300_000);
    let digest = registry.push_blob("app", &bytes);
    let client = Http2::connect(registry.address()).unwrap();
    let targets = vec![format!("/v2/app/blobs/{digest}"); 200];
    for answer in client.get_all(&targets) {
        assert!(answer.unwrap().expect(200).body == bytes);
    }
}

/// R25: only by prior knowledge, and only where it is turned on.
#[test]
fn cleartext_http_2_is_refused_where_it_is_off() {
    let registry = Registry::start();
    let client = Http2::connect(registry.address());
    let refused = client.and_then(|client| client.send(Method::GET, "/v2/", &[], b""));
    assert!(refused.is_err(), "{refused:?}");
    registry.get("/v2/").send().expect(200);
}

/// R25: an Upgrade is never taken.
#[test]
fn an_upgrade_to_http_2_is_not_taken() {
    for registry in [Registry::start(), with_h2c()] {
        let mut wire = Wire::connect(registry.address());
        wire.write(
            "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        );
        wire.answer("GET").expect(200);
    }
}

/// A preface that begins like that of HTTP/2 and goes on otherwise.
#[test]
fn half_a_preface_is_no_connection() {
    let registry = Registry::configured(json!({ "http": { "h2c": { "enabled": true },
        "limits": { "headertimeout": "1s", "idletimeout": "1s" } } }));
    for begin in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
    ] {
        let mut wire = Wire::connect(registry.address());
        wire.write(begin);
        let reply = wire.read_all(SOON);
        assert!(reply.closed, "{begin:?}");
        let refused = reply
            .statuses()
            .iter()
            .all(|status| (400..500).contains(status));
        assert!(refused, "{begin:?}: {}", reply.text());
    }
    let mut wire = Wire::connect(registry.address());
    wire.write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert!(wire.read_all(SOON).closed);
    let mut wire = Wire::connect(registry.address());
    wire.write("P");
    wire.write("UT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    wire.answer("PUT").expect(400);
}

/// R25: the bounds are told to the client.
#[test]
fn the_server_says_what_it_takes() {
    let registry = with_h2c();
    let mut frames = Frames::connect(registry.address(), &[]);
    let settings = frames.next(SOON).unwrap();
    assert_eq!((settings.kind, settings.stream), (SETTINGS, 0));
    let value = |wanted: u16| {
        let mut pairs = settings.payload.chunks(6);
        pairs
            .find(|pair| pair[..2] == wanted.to_be_bytes())
            .map(|pair| u32::from_be_bytes(pair[2..].try_into().unwrap()))
    };
    assert_eq!(value(3), Some(128), "MAX_CONCURRENT_STREAMS");
    assert_eq!(value(6), Some(32 << 10), "MAX_HEADER_LIST_SIZE");
}

/// Case 95: HEADERS and RST_STREAM again and again.
#[test]
fn rapid_reset_is_cut_off() {
    let registry = with_h2c();
    check_bounded(&registry, || {
        let mut frames = Frames::connect(registry.address(), &[]);
        let block = request("GET", "/v2/_catalog");
        for batch in 0..1_000 {
            let mut bytes = Vec::new();
            for index in batch * 100..(batch + 1) * 100 {
                bytes.extend(frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    stream(index),
                    &block,
                ));
                bytes.extend(frame(RST_STREAM, 0, stream(index), &8_u32.to_be_bytes()));
            }
            if !frames.send(&bytes) {
                break;
            }
        }
        frames.ends();
    });
}

/// Case 95: a header block that never ends.
#[test]
fn a_continuation_flood_is_cut_off() {
    let registry = with_h2c();
    check_bounded(&registry, || {
        let mut frames = Frames::connect(registry.address(), &[]);
        frames.send(&frame(HEADERS, 0, 1, &request("GET", "/v2/")));
        let filler = block(&[("x-filler", "y")]).repeat(1000);
        let taken = frames.flood(&frame(CONTINUATION, 0, 1, &filler), 100_000);
        assert!(!taken, "a GiB of headers was taken");
        frames.ends();
    });
    // Empty ones cost nothing but time.
    check_bounded(&registry, || {
        let mut frames = Frames::connect(registry.address(), &[]);
        frames.send(&frame(HEADERS, 0, 1, &request("GET", "/v2/")));
        frames.flood(&frame(CONTINUATION, 0, 1, b"").repeat(1000), 200);
        frames.ends();
    });
}

/// Case 95: frames that want an answer, from a client that reads none.
#[test]
fn floods_of_ping_and_settings_have_bounded_memory() {
    let registry = with_h2c();
    for (kind, payload) in [
        (PING, &b"12345678"[..]),
        (SETTINGS, &[0, 4, 0, 0, 0xff, 0xff]),
    ] {
        check_bounded(&registry, || {
            let mut frames = Frames::connect(registry.address(), &[]);
            frames.flood(&frame(kind, 0, 0, payload).repeat(1000), 2_000);
        });
    }
}

/// Case 95: DATA without data, on a request that never ends.
#[test]
fn a_flood_of_empty_data_has_bounded_memory() {
    let registry = with_h2c();
    let session = registry.session("app");
    check_bounded(&registry, || {
        let mut frames = Frames::connect(registry.address(), &[]);
        frames.send(&frame(HEADERS, END_HEADERS, 1, &request("PATCH", &session)));
        frames.flood(&frame(DATA, 0, 1, b"").repeat(1000), 1_000);
    });
    // Padding is counted like data.
    check_bounded(&registry, || {
        let mut frames = Frames::connect(registry.address(), &[]);
        frames.send(&frame(HEADERS, END_HEADERS, 1, &request("PATCH", &session)));
        let padded = [&[255][..], &[0; 255]].concat();
        frames.flood(&frame(DATA, 8, 1, &padded).repeat(100), 1_000);
    });
}

/// Case 95: window updates, priorities and frames of unknown kinds.
#[test]
fn floods_of_frames_without_meaning_have_bounded_memory() {
    let registry = with_h2c();
    for bytes in [
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(2, 0, 1, &[0, 0, 0, 0, 16]),
        frame(0x42, 0, 0, b"unknown"),
        frame(SETTINGS, 1, 0, b""),
    ] {
        check_bounded(&registry, || {
            let mut frames = Frames::connect(registry.address(), &[]);
            frames.flood(&bytes.repeat(1000), 1_000);
        });
    }
}

/// R25: headers are bounded as in HTTP/1.
#[test]
fn too_many_headers_are_refused() {
    let registry = with_h2c();
    let client = Http2::connect(registry.address()).unwrap();
    let long = "a".repeat(100_000);
    match client.send(Method::GET, "/v2/", &[("x-long", &long)], b"") {
        Ok(answer) => assert!([400, 431].contains(&answer.status), "{answer:?}"),
        // The client may be told by a reset.
        Err(error) => assert!(!error.is_io(), "{error}"),
    }
    // Many small ones, each named by one byte of the table after the first.
    check_bounded(&registry, || {
        let mut frames = Frames::connect(registry.address(), &[]);
        let mut block = request("GET", "/v2/");
        // Literal with indexing: entry 62 of the table; then only its number.
        block.extend_from_slice(&[0x40, 1, b'x', 100]);
        block.extend_from_slice(&[b'y'; 100]);
        block.extend_from_slice(&[0x80 | 62; 10_000]);
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
        let answered = frames.rest(Duration::from_millis(500));
        // 0x88 is the status 200 of the static table.
        let taken = answered
            .iter()
            .any(|frame| frame.kind == HEADERS && frame.payload.first() == Some(&0x88));
        assert!(!taken, "{answered:?}");
    });
}

/// Case 96: requests whose answers may never be sent.
#[test]
fn streams_without_a_window_are_bounded_and_timed_out() {
    let registry = Registry::configured(json!({ "http": { "h2c": { "enabled": true },
        "limits": { "progresswindow": "1s", "minimumrate": 1024 } } }));
    let bytes = noise("no window", 2_000_000);
    let target = format!("/v2/app/blobs/{}", registry.push_blob("app", &bytes));
    assert!(target.len() < 127);
    check_bounded(&registry, || {
        let mut all = Vec::new();
        for _ in 0..8 {
            // 4 is INITIAL_WINDOW_SIZE.
            let mut frames = Frames::connect(registry.address(), &[(4, 0)]);
            for index in 0..125 {
                frames.send(&frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    stream(index),
                    &request("GET", &target),
                ));
            }
            all.push(frames);
        }
        others_are_served(&registry);
        for frames in &mut all {
            let deadline = Instant::now() + SOON;
            loop {
                assert!(Instant::now() < deadline, "the streams are still open");
                match frames.next(SOON) {
                    Some(frame) if [RST_STREAM, GOAWAY].contains(&frame.kind) => break,
                    Some(frame) => {
                        assert!(frame.kind != DATA || frame.payload.is_empty(), "{frame:?}")
                    }
                    None => break,
                }
            }
        }
    });
}

/// More streams than were offered are refused, and the others go on.
#[test]
fn streams_beyond_the_bound_are_refused() {
    let registry = Registry::configured(json!({ "http": { "h2c": { "enabled": true },
        "limits": { "maxstreams": 10 } } }));
    let session = registry.session("app");
    let mut frames = Frames::connect(registry.address(), &[]);
    // Open uploads: none of them ends by itself.
    for index in 0..15 {
        let target = if index == 0 {
            session.clone()
        } else {
            registry.session("app")
        };
        frames.send(&frame(
            HEADERS,
            END_HEADERS,
            stream(index),
            &request("PATCH", &target),
        ));
    }
    let refused: Vec<u32> = frames
        .rest(Duration::from_secs(1))
        .iter()
        .filter(|frame| frame.kind == RST_STREAM && frame.payload == 7_u32.to_be_bytes())
        .map(|frame| frame.stream)
        .collect();
    assert_eq!(refused, [21, 23, 25, 27, 29]);
    frames.send(&frame(DATA, END_STREAM, 1, b"hello"));
    let answered = frames.rest(Duration::from_secs(1));
    assert!(
        answered
            .iter()
            .any(|frame| frame.kind == HEADERS && frame.stream == 1),
        "{answered:?}"
    );
    registry
        .get(&session)
        .send()
        .expect(204)
        .expect_header("range", "0-4");
}

/// A request whose body is shorter or longer than it said.
#[test]
fn a_body_of_another_length_than_declared_is_refused() {
    let registry = with_h2c();
    let digest = sha256(b"hello");
    for declared in ["4", "6"] {
        let session = registry.session("app");
        let mut frames = Frames::connect(registry.address(), &[]);
        let mut head = request("PUT", &session);
        let path = format!("{session}?digest={digest}");
        head.clear();
        head.extend(block(&[
            (":method", "PUT"),
            (":scheme", "http"),
            (":authority", "x"),
        ]));
        head.extend(
            [
                &[0, 5][..],
                b":path",
                &[127, u8::try_from(path.len() - 127).unwrap()],
                path.as_bytes(),
            ]
            .concat(),
        );
        head.extend(block(&[("content-length", declared)]));
        frames.send(&frame(HEADERS, END_HEADERS, 1, &head));
        frames.send(&frame(DATA, END_STREAM, 1, b"hello"));
        let answered = frames.rest(Duration::from_millis(500));
        let refused = answered
            .iter()
            .any(|frame| frame.kind == RST_STREAM || frame.kind == GOAWAY || frame.kind == HEADERS);
        assert!(refused, "{answered:?}");
        assert!(!registry.has_blob("app", &digest), "{declared}");
    }
}

/// What HTTP/1 has and HTTP/2 forbids (RFC 9113 §8.2, §8.3).
#[test]
fn malformed_requests_end_their_stream_alone() {
    let registry = with_h2c();
    let base = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", "/v2/"),
    ];
    for extra in [
        &[("connection", "close")][..],
        &[("transfer-encoding", "chunked")],
        &[("keep-alive", "timeout=5")],
        &[("upgrade", "websocket")],
        &[("te", "gzip")],
        &[("X-Upper", "y")],
        &[("x", "a\r\nb: c")],
        &[("x", "a\0b")],
        &[(":path", "/v2/other")],
        &[(":unknown", "y")],
        &[("x", "y"), (":method", "GET")],
    ] {
        let mut frames = Frames::connect(registry.address(), &[]);
        let headers: Vec<_> = base.iter().chain(extra).copied().collect();
        frames.send(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &block(&headers),
        ));
        let answered = frames.rest(Duration::from_millis(300));
        let taken = answered
            .iter()
            .any(|frame| frame.kind == HEADERS && frame.payload.first() == Some(&0x88));
        assert!(!taken, "{extra:?}: {answered:?}");
        assert!(
            answered.iter().all(|frame| frame.flags & 0x80 == 0),
            "{answered:?}"
        );
    }
    others_are_served(&registry);
}

/// SIGTERM: a GOAWAY, the requests in flight end, and then the connection does.
#[test]
fn a_stop_lets_the_streams_end() {
    let mut registry = with_h2c();
    let session = registry.session("app");
    let mut frames = Frames::connect(registry.address(), &[]);
    frames.send(&frame(HEADERS, END_HEADERS, 1, &request("PATCH", &session)));
    frames.send(&frame(DATA, 0, 1, b"hel"));
    // The answer to this comes after what was sent before it.
    frames.send(&frame(PING, 0, 0, b"12345678"));
    while frames.next(SOON).unwrap().kind != PING {}
    registry.signal(rustix::process::Signal::TERM);
    while frames.next(SOON).unwrap().kind != GOAWAY {}
    frames.send(&frame(DATA, END_STREAM, 1, b"lo"));
    let answered = frames.rest(SOON);
    assert!(
        answered
            .iter()
            .any(|frame| frame.kind == HEADERS && frame.stream == 1),
        "{answered:?}"
    );
    assert_eq!(registry.wait_for_exit().code(), Some(0));
    let registry = registry.restart();
    registry
        .close_upload(&session, &sha256(b"hello"), b"")
        .expect(201);
}
