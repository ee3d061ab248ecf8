//! TLS: certificates of clients, in each of `distribution`'s four modes.

use rcgen::{CertificateParams, DnType};
use serde_json::json;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::harness::{Authority, Builder, Pair, Registry, SOON, TlsClient, until};

const NAME: &str = "registry.test";

/// What a certificate that was verified leaves in the log.
const SEEN: &str = "a client is known by its certificate";

/// A registry that knows one authority of clients.
struct Served {
    registry: Registry,
    clients: Authority,
    client: TlsClient,
}

impl Served {
    fn new(mode: Option<&str>) -> Self {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let pair = servers.server(NAME);
        let builder = Builder::new();
        std::fs::write(builder.path("tls.crt"), pair.certificate).unwrap();
        std::fs::write(builder.path("tls.key"), pair.key).unwrap();
        std::fs::write(builder.path("clients.pem"), clients.pem()).unwrap();
        let registry = builder
            .clone()
            .config(json!({
                "log": { "level": "debug" },
                "http": { "tls": {
                    "certificate": builder.path("tls.crt"),
                    "key": builder.path("tls.key"),
                    "clientcas": [builder.path("clients.pem")],
                    "clientauth": mode,
                } },
            }))
            .start();
        Self {
            registry,
            clients,
            client: TlsClient::trusting(&servers.pem()),
        }
    }

    /// Whether a client that shows this is served, and was taken for the one it names.
    fn serves(&self, client: &TlsClient, shown: Option<&Pair>, subject: &str) -> (bool, bool) {
        let client = match shown {
            Some(pair) => client.clone().showing(pair),
            None => client.clone(),
        };
        let before = self.lines(subject);
        let asked = client.ask(self.registry.address(), NAME, "/v2/");
        if let Ok(status) = &asked {
            assert_eq!(*status, 200);
        }
        // The line is written before the first request is read.
        (asked.is_ok(), self.lines(subject) > before)
    }

    fn lines(&self, subject: &str) -> usize {
        let log = self.registry.log();
        let lines = log.lines();
        lines
            .filter(|line| line.contains(SEEN) && line.contains(subject))
            .count()
    }
}

fn expired(authority: &Authority) -> Pair {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "old");
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    authority.issue(params)
}

/// R18: what a certificate says counts exactly where it was verified.
#[test]
fn each_mode_takes_what_it_should() {
    const NO: (bool, bool) = (false, false);
    const SERVED: (bool, bool) = (true, false);
    const KNOWN: (bool, bool) = (true, true);
    // Without a certificate; with a stranger's, an expired one, a known one.
    let table = [
        (None, [NO, NO, NO, KNOWN]),
        (Some("require-and-verify-client-cert"), [NO, NO, NO, KNOWN]),
        (Some("verify-client-cert-if-given"), [SERVED, NO, NO, KNOWN]),
        (
            Some("require-any-client-cert"),
            [NO, SERVED, SERVED, SERVED],
        ),
        (
            Some("request-client-cert"),
            [SERVED, SERVED, SERVED, SERVED],
        ),
    ];
    for (mode, expected) in table {
        let served = Served::new(mode);
        let stranger = Authority::new("strangers").client("builder");
        let old = expired(&served.clients);
        let known = served.clients.client("builder");
        for version in [&TLS12, &TLS13] {
            let client = served.client.clone().of_version(version);
            let found = [
                served.serves(&client, None, "CN=builder"),
                served.serves(&client, Some(&stranger), "CN=builder"),
                served.serves(&client, Some(&old), "CN=old"),
                served.serves(&client, Some(&known), "CN=builder"),
            ];
            assert_eq!(found, expected, "{mode:?} {version:?}");
        }
    }
}

/// A client that has a certificate and not its key is nobody, verified or not.
#[test]
fn a_certificate_without_its_key_is_refused() {
    for mode in ["request-client-cert", "require-and-verify-client-cert"] {
        let served = Served::new(Some(mode));
        let mut stolen = served.clients.client("builder");
        stolen.key = served.clients.client("thief").key;
        for version in [&TLS12, &TLS13] {
            let client = served.client.clone().of_version(version);
            let client = client.showing_unchecked(&stolen);
            let asked = client.ask(served.registry.address(), NAME, "/v2/");
            assert!(asked.is_err(), "{mode} {version:?}");
        }
        assert_eq!(served.lines(""), 0);
    }
}

#[test]
fn certificate_authorities_of_clients_are_read_again() {
    let served = Served::new(None);
    let others = Authority::new("others");
    let mine = served.client.clone().showing(&served.clients.client("a"));
    let theirs = served.client.clone().showing(&others.client("b"));
    let address = served.registry.address();
    let mut open = mine.connect(address, NAME).unwrap();
    assert_eq!(open.ask("/v2/").unwrap(), 200);
    assert!(theirs.ask(address, NAME, "/v2/").is_err());
    let path = served.registry.builder().path("clients.pem");
    std::fs::write(&path, others.pem()).unwrap();
    until("the new authority", SOON, || {
        theirs.ask(address, NAME, "/v2/").ok()
    });
    assert!(mine.ask(address, NAME, "/v2/").is_err());
    assert_eq!(open.ask("/v2/").unwrap(), 200);
    std::fs::write(&path, "broken").unwrap();
    served
        .registry
        .wait_for_log("the files of TLS have changed and cannot be used");
    assert_eq!(theirs.ask(address, NAME, "/v2/").unwrap(), 200);
    assert!(mine.ask(address, NAME, "/v2/").is_err());
}

#[test]
fn a_mode_without_authorities_asks_nobody_and_says_so() {
    let pair = Authority::new("servers").server(NAME);
    let builder = Builder::new();
    std::fs::write(builder.path("tls.crt"), &pair.certificate).unwrap();
    std::fs::write(builder.path("tls.key"), &pair.key).unwrap();
    let registry = builder
        .clone()
        .config(json!({ "http": { "tls": {
            "certificate": builder.path("tls.crt"),
            "key": builder.path("tls.key"),
            "clientauth": "require-and-verify-client-cert",
        } } }))
        .start();
    registry.wait_for_log("http.tls.clientauth has no effect without http.tls.clientcas");
}
