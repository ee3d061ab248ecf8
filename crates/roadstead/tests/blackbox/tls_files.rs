//! TLS: files that change while connections are served, and what cannot be agreed on.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_rustls::rustls::CipherSuite;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::harness::{Authority, Builder, Pair, Registry, SOON, Secure, TlsClient, Wire, until};

const NAME: &str = "registry.test";

/// A registry with a pair of its own authority, in files that a test may change.
struct Served {
    registry: Registry,
    authority: Authority,
    client: TlsClient,
    pair: Pair,
}

impl Served {
    fn new(tls: Value) -> Self {
        let authority = Authority::new("servers");
        let pair = authority.server(NAME);
        let builder = Builder::new();
        replace(&builder.path("tls.crt"), &pair.certificate);
        replace(&builder.path("tls.key"), &pair.key);
        let files = json!({
            "certificate": builder.path("tls.crt"),
            "key": builder.path("tls.key"),
        });
        let registry = builder
            .config(json!({ "http": { "tls": files } }))
            .config(json!({ "http": { "tls": tls } }))
            .start();
        Self {
            registry,
            client: TlsClient::trusting(&authority.pem()),
            authority,
            pair,
        }
    }

    fn connect(&self) -> Secure {
        let mut connection = self.client.connect(self.registry.address(), NAME).unwrap();
        assert_eq!(connection.ask("/v2/").unwrap(), 200);
        connection
    }

    /// Waits until new connections are shown this certificate.
    fn wait_for(&self, pair: &Pair) {
        until("the new certificate", SOON, || {
            (self.connect().certificate() == pair.der()).then_some(())
        });
    }

    fn put(&self, name: &str, content: &str) {
        replace(&self.registry.builder().path(name), content);
    }
}

/// Replaces a file as one should, by another one.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// Case 80, with files that change.
#[test]
fn a_new_certificate_is_for_new_connections_and_old_ones_go_on() {
    let served = Served::new(json!({}));
    let mut old = served.connect();
    let new = served.authority.server(NAME);
    served.put("tls.crt", &new.certificate);
    served.put("tls.key", &new.key);
    served.wait_for(&new);
    assert_eq!(old.ask("/v2/").unwrap(), 200);
    assert_eq!(old.certificate(), served.pair.der());
    // Written in place, as editors of another school do.
    let path = |name| served.registry.builder().path(name);
    std::fs::write(path("tls.crt"), &served.pair.certificate).unwrap();
    std::fs::write(path("tls.key"), &served.pair.key).unwrap();
    served.wait_for(&served.pair);
    assert_eq!(old.ask("/v2/").unwrap(), 200);
}

/// A secret in a volume: the files are links through a link that is set to another directory.
#[test]
fn a_secret_of_kubernetes_is_followed() {
    let authority = Authority::new("servers");
    let builder = Builder::new();
    let publish = |version: &str| {
        let pair = authority.server(NAME);
        let directory = builder.path(version);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("tls.crt"), &pair.certificate).unwrap();
        std::fs::write(directory.join("tls.key"), &pair.key).unwrap();
        std::os::unix::fs::symlink(version, builder.path("..data_tmp")).unwrap();
        std::fs::rename(builder.path("..data_tmp"), builder.path("..data")).unwrap();
        pair
    };
    let pair = publish("..2026_01_01");
    for name in ["tls.crt", "tls.key"] {
        let through = Path::new("..data").join(name);
        std::os::unix::fs::symlink(through, builder.path(name)).unwrap();
    }
    let files = json!({
        "certificate": builder.path("tls.crt"),
        "key": builder.path("tls.key"),
    });
    let registry = builder
        .clone()
        .config(json!({ "http": { "tls": files } }))
        .start();
    let served = Served {
        registry,
        client: TlsClient::trusting(&authority.pem()),
        pair,
        authority: Authority::new("nobody"),
    };
    assert_eq!(served.connect().certificate(), served.pair.der());
    let new = publish("..2026_02_02");
    std::fs::remove_dir_all(builder.path("..2026_01_01")).unwrap();
    served.wait_for(&new);
}

/// Case 81, with files that change.
#[test]
fn a_pair_that_cannot_be_used_leaves_the_old_one() {
    let served = Served::new(json!({}));
    let mut old = served.connect();
    let new = served.authority.server(NAME);
    served.put("tls.crt", &new.certificate);
    let line = served
        .registry
        .wait_for_log("the files of TLS have changed and cannot be used");
    assert!(line.contains("cannot be used together"), "{line}");
    assert!(!line.contains("BEGIN"), "{line}");
    assert_eq!(served.connect().certificate(), served.pair.der());
    assert_eq!(old.ask("/v2/").unwrap(), 200);
    served.put("tls.key", &new.key);
    served.wait_for(&new);
    let said = served.registry.log();
    assert_eq!(said.matches("have changed and cannot").count(), 1, "{said}");
}

#[test]
fn only_cipher_suites_that_are_named_are_agreed_on() {
    use CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as SMALL,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 as LARGE, TLS13_AES_128_GCM_SHA256 as SMALL_13,
        TLS13_AES_256_GCM_SHA384 as LARGE_13,
    };
    let suites = |names: &[&str]| json!({ "ciphersuites": names });
    let old = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let new = "TLS_AES_256_GCM_SHA384";
    // What is named; what is agreed on; what cannot be.
    let table = [
        (suites(&[]), vec![SMALL, LARGE, SMALL_13, LARGE_13], vec![]),
        (suites(&[old]), vec![LARGE, SMALL_13, LARGE_13], vec![SMALL]),
        (suites(&[new]), vec![LARGE_13], vec![SMALL, LARGE, SMALL_13]),
        (
            suites(&[old, new]),
            vec![LARGE, LARGE_13],
            vec![SMALL, SMALL_13],
        ),
        (
            json!({ "ciphersuites": [old], "minimumtls": "tls1.3" }),
            vec![SMALL_13, LARGE_13],
            vec![SMALL, LARGE],
        ),
    ];
    for (tls, agreed, refused) in table {
        let served = Served::new(tls.clone());
        let connect = |suite: CipherSuite| {
            let is_new = matches!(suite, SMALL_13 | LARGE_13);
            served
                .client
                .clone()
                .of_version(if is_new { &TLS13 } else { &TLS12 })
                .offering(&[suite])
                .connect(served.registry.address(), NAME)
        };
        for suite in agreed {
            let connection = connect(suite).unwrap();
            let found = connection.connection().negotiated_cipher_suite().unwrap();
            assert_eq!(found.suite(), suite, "{tls}");
        }
        for suite in refused {
            assert!(connect(suite).is_err(), "{tls} {suite:?}");
        }
    }
}

#[test]
fn a_cipher_suite_that_cannot_be_had_stops_the_start() {
    let authority = Authority::new("servers");
    let pair = authority.server(NAME);
    let builder = Builder::new();
    std::fs::write(builder.path("tls.crt"), pair.certificate).unwrap();
    std::fs::write(builder.path("tls.key"), pair.key).unwrap();
    let said = builder
        .clone()
        .config(json!({ "http": { "tls": {
            "certificate": builder.path("tls.crt"),
            "key": builder.path("tls.key"),
            "ciphersuites": ["TLS_RSA_WITH_RC4_128_SHA", "TLS_AES_128_GCM_SHA256"],
        } } }))
        .refused();
    assert!(
        said.len() == 1
            && said[0].contains("http.tls.ciphersuites")
            && said[0].contains("\"TLS_RSA_WITH_RC4_128_SHA\"")
            && said[0].contains("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
        "{said:?}"
    );
}

#[test]
fn a_request_in_clear_text_is_told_that_this_is_tls() {
    let served = Served::new(json!({}));
    for request in [
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT /v2/a/blobs/uploads/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nabc",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "G",
    ] {
        let mut wire = Wire::connect(served.registry.address());
        wire.write(request);
        let reply = wire.read_all(SOON);
        let text = reply.text();
        assert!(reply.closed, "{request:?}");
        assert_eq!(reply.statuses(), [400], "{text}");
        assert!(
            text.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
            "{text}"
        );
        assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    }
    served.connect();
}

/// Cases 80 and 81 with SIGHUP.
#[test]
fn sighup_brings_other_settings_into_force_or_changes_nothing() {
    let served = Served::new(json!({}));
    let address = served.registry.address();
    let old = served.client.clone().of_version(&TLS12);
    let mut open = old.connect(address, NAME).unwrap();
    assert_eq!(open.ask("/v2/").unwrap(), 200);
    let reload = |tls: Value| {
        let builder = served.registry.builder();
        builder.config(json!({ "http": { "tls": tls } })).check();
        served.registry.signal(Signal::HUP);
    };
    let pair = served.authority.server(NAME);
    served.put("new.crt", &pair.certificate);
    served.put("new.key", "broken");
    let path = |name: &str| served.registry.builder().path(name);
    let new = json!({
        "certificate": path("new.crt"),
        "key": path("new.key"),
        "minimumtls": "tls1.3",
    });
    reload(new.clone());
    let line = served
        .registry
        .wait_for_log("the new configuration cannot be used");
    assert!(line.contains("new.key"), "{line}");
    assert_eq!(served.connect().certificate(), served.pair.der());
    assert!(old.connect(address, NAME).is_ok());

    served.put("new.key", &pair.key);
    reload(new);
    served
        .registry
        .wait_for_log("the configuration was read again and is in force");
    assert_eq!(served.connect().certificate(), pair.der());
    assert!(old.connect(address, NAME).is_err());
    assert_eq!(open.ask("/v2/").unwrap(), 200);
    // The files of before are looked at no more, and the new ones are.
    served.put("tls.crt", "broken");
    let next = served.authority.server(NAME);
    served.put("new.crt", &next.certificate);
    served.put("new.key", &next.key);
    served.wait_for(&next);
}
