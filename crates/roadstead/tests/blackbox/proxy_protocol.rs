//! The PROXY protocol: from trusted peers, before everything else, and strictly.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Builder, Registry, SOON, Wire, certificate, noise, over_tls_behind, sha256};
use crate::proxies::Proxy;

fn trusting(networks: &[&str]) -> Value {
    json!({ "http": { "proxies": { "trusted": networks, "protocol": true } } })
}

/// Sends this before a request that the log names, and returns the line of the log.
fn logged(registry: &Registry, tag: &str, header: &[u8]) -> String {
    let mut wire = Wire::connect(registry.address());
    wire.write(header);
    wire.write(format!(
        "GET /v2/team/app/manifests/{tag} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         X-Forwarded-For: 203.0.113.77\r\n\r\n"
    ));
    wire.answer("GET").expect(404);
    registry.wait_for_log(&format!("reference=\"{tag}\""))
}

#[test]
fn the_header_says_who_connects() {
    let registry = Registry::configured(trusting(&["127.0.0.1"]));
    let four = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x50\x01\xbb";
    for (tag, header, expected) in [
        (
            "one",
            &b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"[..],
            "192.0.2.1:5000",
        ),
        ("two", four, "192.0.2.1:80"),
        (
            "six",
            b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
            "[2001:db8::1]:1",
        ),
        ("unknown", b"PROXY UNKNOWN\r\n", "unknown"),
        ("local", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1:"),
        // Whoever is trusted as a proxy of connections may be one of requests, too.
        (
            "both",
            b"PROXY TCP4 127.0.0.1 127.0.0.1 5000 443\r\n",
            "203.0.113.77",
        ),
    ] {
        let line = logged(&registry, tag, header);
        assert!(
            line.contains(&format!("address=\"{expected}")),
            "{tag}: {line}"
        );
    }
}

#[test]
fn what_has_no_header_or_is_not_trusted_is_closed() {
    let registry = Registry::configured(trusting(&["127.0.0.1"]));
    let elsewhere = Registry::configured(trusting(&["192.0.2.1"]));
    let request = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    for (registry, header) in [
        (&registry, ""),
        (&registry, "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\n"),
        (&registry, "PROXY TCP4 192.0.2.256 192.0.2.2 5000 443\r\n"),
        (&registry, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x01a"),
        (&registry, "\r\n\r\n\0\r\nQUIT\n\x21\x11\x7f\x7f"),
        (&elsewhere, "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"),
    ] {
        let mut wire = Wire::connect(registry.address());
        wire.try_write(format!("{header}{request}"));
        let reply = wire.read_all(SOON);
        assert!(
            reply.closed && reply.bytes.is_empty(),
            "{header:?}: {}",
            reply.text()
        );
    }
    // Where the protocol is off, a header is no request.
    let off = Registry::start();
    let mut wire = Wire::connect(off.address());
    wire.try_write(format!(
        "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n{request}"
    ));
    assert!(!wire.read_all(SOON).statuses().contains(&200));
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let sections = json!({ "http": { "limits": { "tlshandshaketimeout": "200ms" } } });
    let builder = Builder::new().config(trusting(&["127.0.0.1"]));
    let registry = builder.config(sections).start();
    for part in ["", "PROXY", "PROXY TCP4 192.0.2.1"] {
        let mut wire = Wire::connect(registry.address());
        wire.try_write(part);
        assert!(wire.read_all(SOON).closed, "{part:?}");
    }
}

#[test]
fn it_comes_before_tls() {
    let [certificate, key] = certificate();
    let sections = json!({ "http": { "tls": { "certificate": certificate, "key": key } } });
    let builder = Builder::new().config(trusting(&["127.0.0.1"]));
    let registry = builder.config(sections).start();
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n";
    let request = b"GET /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = over_tls_behind(registry.address(), header, request).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 404 "));
    let line = registry.wait_for_log("reference=\"x\"");
    assert!(line.contains("address=\"192.0.2.1:5000\""), "{line}");
}

fn check_behind_haproxy(config: crate::proxies::Config) {
    let registry = Registry::configured(trusting(&["127.0.0.1"]));
    let Some(proxy) = Proxy::start(&registry, "haproxy", &["-db", "-f"], config) else {
        return;
    };
    // A whole push and pull, on connections that are kept.
    let bytes = noise("behind", 300_000);
    let mut wire = Wire::connect(proxy.address);
    let digest = sha256(&bytes);
    wire.write(format!(
        "POST /v2/team/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    ));
    wire.write(&bytes);
    wire.answer("POST").expect(201);
    wire.write(format!(
        "GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    ));
    assert_eq!(wire.answer("GET").expect(200).body, bytes);
    let line = registry.wait_for_log(&format!("reference=\"{digest}\""));
    assert!(line.contains("address=\"127.0.0.1:"), "{line}");
    // Past the proxy there is no way in.
    let mut wire = Wire::connect(registry.address());
    wire.try_write("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
    let reply = wire.read_all(Duration::from_secs(20));
    assert!(reply.closed && reply.bytes.is_empty());
}

fn haproxy(at: std::net::SocketAddr, to: std::net::SocketAddr, send: &str) -> String {
    format!(
        "global
  nbthread 1
defaults
  mode http
  timeout connect 20s
  timeout client 60s
  timeout server 60s
  retry-on conn-failure empty-response
frontend front
  bind {at}
  http-response set-header X-Proxy haproxy
  default_backend registry
backend registry
  option httpchk GET /v2/
  server one {to} {send} check\n"
    )
}

#[test]
fn behind_haproxy_version_1_works() {
    check_behind_haproxy(|_, at, to| haproxy(at, to, "send-proxy"));
}

#[test]
fn behind_haproxy_version_2_works() {
    check_behind_haproxy(|_, at, to| haproxy(at, to, "send-proxy-v2"));
}
