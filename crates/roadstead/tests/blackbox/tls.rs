//! TLS: what is offered, what is refused, and that a handshake has a budget.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::harness::{
    Builder, Http2, Registry, SOON, Wire, certificate, noise, over_tls, sha256, shake_hands, until,
};

/// A registry with the tests' certificate, and these settings in `http`.
fn secure(http: Value) -> Registry {
    let [certificate, key] = certificate();
    Builder::new()
        .config(json!({ "http": { "tls": { "certificate": certificate, "key": key } } }))
        .config(json!({ "http": http }))
        .start()
}

fn is_up(registry: &Registry) {
    let request = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n\r\n";
    let answer = over_tls(registry.address(), request).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200 OK\r\n"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[test]
fn http_1_is_served_over_tls() {
    let registry = secure(json!({}));
    is_up(&registry);
    let bytes = noise("over tls", 300_000);
    let target = format!("/v2/app/blobs/uploads/?digest={}", sha256(&bytes));
    let mut request = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    )
    .into_bytes();
    request.extend_from_slice(&bytes);
    let answer = over_tls(registry.address(), &request).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 201 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let get = format!(
        "GET /v2/app/blobs/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        sha256(&bytes)
    );
    let answer = over_tls(registry.address(), get.as_bytes()).unwrap();
    assert!(answer.ends_with(&bytes));
}

#[test]
fn http_2_is_served_over_tls() {
    let registry = secure(json!({}));
    let client = Http2::connect_tls(registry.address());
    let bytes = noise("http 2 over tls", 3_000_000);
    let digest = sha256(&bytes);
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    client
        .send(Method::POST, &target, &[], &bytes)
        .unwrap()
        .expect(201);
    let target = format!("/v2/app/blobs/{digest}");
    let answer = client
        .send(Method::GET, &target, &[], b"")
        .unwrap()
        .expect(200);
    assert!(answer.body == bytes);
}

#[test]
fn the_protocol_is_agreed_on_in_the_handshake() {
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (http, offered, agreed) in [
        (json!({}), both, Some(&b"h2"[..])),
        (json!({}), &[b"http/1.1"], Some(b"http/1.1")),
        (json!({}), &[], None),
        (
            json!({ "http2": { "disabled": true } }),
            both,
            Some(b"http/1.1"),
        ),
    ] {
        let registry = secure(http.clone());
        let handshake = shake_hands(registry.address(), offered, &[]).unwrap();
        assert_eq!(handshake.protocol.as_deref(), agreed, "{http} {offered:?}");
        is_up(&registry);
    }
}

#[test]
fn the_oldest_version_is_configured() {
    let registry = secure(json!({}));
    let versions = [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ];
    for (offered, agreed) in versions {
        let handshake = shake_hands(registry.address(), &[], &[offered]).unwrap();
        assert_eq!(handshake.version, Some(agreed));
    }
    let registry = secure(json!({ "tls": { "minimumtls": "tls1.3" } }));
    assert!(shake_hands(registry.address(), &[], &[&TLS12]).is_err());
    shake_hands(registry.address(), &[], &[&TLS13]).unwrap();
}

/// Case 94 in small; R26: a handshake that does not come to its end is cut off.
#[test]
fn a_handshake_has_a_budget() {
    let registry = secure(json!({ "limits": { "tlshandshaketimeout": "1s" } }));
    let idle = registry.sockets();
    let mut silent: Vec<Wire> = (0..100)
        .map(|_| Wire::connect(registry.address()))
        .collect();
    for wire in silent.iter_mut().take(50) {
        // The beginning of a ClientHello that is never finished.
        wire.write([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]);
    }
    is_up(&registry);
    until("the silent connections are closed", SOON, || {
        (registry.sockets() <= idle).then_some(())
    });
    for wire in &mut silent {
        assert!(wire.read_all(SOON).closed);
    }
    is_up(&registry);
}

#[test]
fn cleartext_on_a_port_for_tls_is_refused() {
    let registry = secure(json!({}));
    for request in [
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
    ] {
        let mut wire = Wire::connect(registry.address());
        wire.write(request);
        let reply = wire.read_all(Duration::from_secs(15));
        assert!(
            reply.closed && reply.statuses().iter().all(|s| *s == 400),
            "{}",
            reply.text()
        );
    }
    is_up(&registry);
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start() {
    let [certificate, key] = certificate();
    let builder = Builder::new();
    let garbage = builder.path("garbage.pem");
    std::fs::write(&garbage, "garbage").unwrap();
    for (certificate, key, named) in [
        (&garbage, &key, "garbage.pem"),
        (&certificate, &garbage, "garbage.pem"),
        (&builder.path("missing.pem"), &key, "missing.pem"),
        (&key, &certificate, ".pem"),
    ] {
        let tls = json!({ "http": { "tls": { "certificate": certificate, "key": key } } });
        let said = builder.clone().config(tls).refused();
        assert!(said.len() == 1 && said[0].contains(named), "{said:?}");
        assert!(!said[0].contains("BEGIN"), "{said:?}");
    }
}
