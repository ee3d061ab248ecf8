//! Certificates by ACME, from a real ACME server: pebble, Let's Encrypt's own for tests. Its looks
//! at names come to a place of the test, which leads them to the replica that it wants.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test reports a broken expectation by panicking"
)]

#[allow(dead_code, unused_imports, reason = "shared with the black-box tests")]
#[path = "../harness/mod.rs"]
mod harness;

mod detour;
mod names;
mod pebble;

use std::time::Duration;

use serde_json::json;

use detour::Detour;
use harness::{Builder, Registry, TlsClient, until};
use pebble::Pebble;

const NAME: &str = "registry.example.org";

/// The longest that an order, or the life of a certificate, may take on a busy machine.
const LONG: Duration = Duration::from_secs(120);

const ORDERED: &str = "a certificate is ordered";

/// A registry that orders from this server and keeps what it gets where `directory` says.
fn ordering(pebble: &Pebble, directory: &Builder, hosts: &[&str]) -> Builder {
    Builder::new().config(json!({ "http": { "tls": { "letsencrypt": {
        "cachefile": directory.path("acme"),
        "email": "admin@example.org",
        "hosts": hosts,
        "directoryurl": pebble.directory(),
        "cafile": pebble.authority(),
    } } } }))
}

/// Waits until a client that trusts this server's authority is served, and returns the certificate.
fn certificate(client: &TlsClient, registry: &Registry) -> Vec<u8> {
    until("a certificate", LONG, || {
        let mut connection = client.connect(registry.address(), NAME).ok()?;
        assert_eq!(connection.ask("/v2/").unwrap(), 200);
        Some(connection.certificate())
    })
}

/// One replica orders; the other answers what the server asks, and presents what came of it; both
/// go on to the next certificate when two thirds of its life are over.
#[test]
fn replicas_order_once_answer_for_each_other_and_renew() {
    let Some((detour, pebble)) = started(Duration::from_secs(20)) else {
        return;
    };
    let shared = Builder::new();
    let replicas = [(); 2].map(|()| ordering(&pebble, &shared, &[NAME]).start());
    let orders = |registry: &Registry| registry.log().matches(ORDERED).count();
    // The server is led to the one that does not order.
    let first = until("an order", LONG, || {
        replicas.iter().position(|registry| orders(registry) > 0)
    });
    detour.lead_to(replicas[1 - first].address());
    let client = TlsClient::trusting(&pebble.root());
    let served = [0, 1].map(|i| certificate(&client, &replicas[i]));
    let renewed = until("the next certificate", LONG, || {
        let next = certificate(&client, &replicas[0]);
        (next != served[0] && next != served[1]).then_some(next)
    });
    until("the next certificate of the other replica", LONG, || {
        let next = certificate(&client, &replicas[1]);
        (next == renewed || !served.contains(&next)).then_some(())
    });
    let issued: usize = replicas
        .iter()
        .map(|registry| registry.log().matches("a certificate was issued").count())
        .sum();
    let ordered: usize = replicas.iter().map(orders).sum();
    // What the first look found nobody for was ordered again; nothing was ordered twice.
    assert!((2..=ordered).contains(&issued), "{issued} of {ordered}");
    assert!(detour.connections() > 0);
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = shared.path("acme").join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&format!("roadstead-host-{NAME}")), 0o600);
    assert_eq!(mode("roadstead-account"), 0o600);
}

/// A name that the server refuses keeps nobody else from its certificate, and one that is there
/// outlives the registry and needs no server.
#[test]
fn names_are_proved_over_http_and_certificates_outlive_a_restart() {
    let Some((detour, pebble)) = started(Duration::from_secs(90 * 24 * 3600)) else {
        return;
    };
    let registry = ordering(&pebble, &Builder::new(), &[pebble::BLOCKED, NAME])
        .config(json!({ "http": { "tls": { "letsencrypt": { "httpaddr": "127.0.0.1:0" } } } }));
    let registry = registry.clone().start();
    let line = registry.wait_for_log("challenges of ACME are answered at ");
    let address = line.split("answered at ").nth(1).unwrap();
    let address = address.trim_matches('"').trim();
    let address = address.split('"').next().unwrap().parse().unwrap();
    detour.lead_to(address);
    let client = TlsClient::trusting(&pebble.root());
    let served = certificate(&client, &registry);
    assert!(detour.connections() > 0);
    let line = registry.wait_for_log("a certificate could not be had");
    assert!(line.contains(pebble::BLOCKED), "{line}");
    assert!(line.contains("it was to be tried again after"), "{line}");
    // Nobody gets a certificate for another name, nor the other name's.
    assert!(client.connect(registry.address(), pebble::BLOCKED).is_err());
    assert!(client.connect(registry.address(), "x.example.org").is_err());

    let get = |path: &str| {
        let mut wire = harness::Wire::connect(address);
        wire.write(format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n"));
        wire.read_all(harness::SOON)
    };
    for path in [
        "/",
        "/v2/",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/token",
        "/.well-known/acme-challenge/../../v2/",
    ] {
        let reply = get(path);
        assert_eq!(reply.statuses(), [404], "{path}: {}", reply.text());
        assert!(reply.closed);
    }

    drop(pebble);
    let registry = registry.restart();
    let mut connection = client.connect(registry.address(), NAME).unwrap();
    assert_eq!(connection.ask("/v2/").unwrap(), 200);
    assert_eq!(connection.certificate(), served);
}

/// A server that has forgotten everything gets a new account of whoever comes back.
#[test]
fn an_account_that_the_server_has_lost_is_made_anew() {
    let Some((detour, pebble)) = started(Duration::from_secs(10)) else {
        return;
    };
    let registry = ordering(&pebble, &Builder::new(), &[NAME])
        .config(json!({ "http": { "tls": { "letsencrypt": { "email": null } } } }));
    let registry = registry.clone().start();
    detour.lead_to(registry.address());
    certificate(&TlsClient::trusting(&pebble.root()), &registry);
    let pebble = pebble.restart();
    certificate(&TlsClient::trusting(&pebble.root()), &registry);
}

/// A server that issues for so long, and looks at names where the detour leads.
fn started(life: Duration) -> Option<(Detour, Pebble)> {
    let detour = Detour::new();
    let pebble = Pebble::start(life, detour.address())?;
    Some((detour, pebble))
}
