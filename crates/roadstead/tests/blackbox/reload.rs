//! SIGHUP and files that change (cases 78 and 104).

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Builder, Registry, SOON, Wire, certificate, noise, over_tls, until};

/// Writes the builder's configuration to the file of its registry.
fn write(builder: &Builder) {
    builder.check();
}

/// Case 104.
#[test]
fn a_good_configuration_is_applied_and_no_connection_dropped() {
    let registry = Registry::start();
    let bytes = noise("in flight", 40 << 20);
    let digest = registry.push_blob("team/app", &bytes);
    let mut download = Wire::connect(registry.address());
    download.write(format!(
        "GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    ));
    let mut idle = Wire::connect(registry.address());
    idle.write("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.answer("GET").expect(200);
    let mut begun = download.read_some(10).unwrap();
    assert_eq!(begun, b"HTTP/1.1 2");

    let builder = registry.builder();
    let sections = json!({
        "log": { "level": "debug" },
        "http": { "draintimeout": "7s", "headers": { "X-New": ["1"] } },
    });
    write(&builder.config(sections));
    registry.signal(Signal::HUP);
    let line = registry.wait_for_log("the configuration was read again and is in force");
    assert!(line.contains("changed=\"log.level\""), "{line}");
    let line = registry.wait_for_log("need a restart");
    assert!(
        line.contains("http.draintimeout, http.headers.x-new\""),
        "{line}"
    );
    assert_eq!(registry.log().matches("need a restart").count(), 1);

    // The rest of the download, and the connection that was idle.
    begun.extend(download.read_some(2).unwrap());
    while !begun.ends_with(b"\r\n\r\n") {
        begun.extend(download.read_some(1).unwrap());
    }
    let mut body = Vec::new();
    while body.len() < bytes.len() {
        body.extend(download.read_some(1 << 20).unwrap());
    }
    assert!(body == bytes);
    idle.write("GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    idle.answer("GET").expect(200);
}

/// Case 104.
#[test]
fn a_broken_configuration_changes_nothing_and_is_one_error() {
    let sections = json!({ "http": { "debug": { "addr": "127.0.0.1:0" } } });
    let registry = Registry::configured(sections);
    let builder = registry.builder();
    assert_eq!(registry.health().expect(200).json(), json!({}));
    let errors = || {
        let log = registry.log();
        log.lines().filter(|line| line.contains("ERROR")).count()
    };
    for (count, broken) in [
        "version: 0.1\nstorage: [",
        "version: 0.1\nstorage: inmemory\nhttp: {adr: ':1', proxies: {trusted: [x]}}\nlog: {level: loud}\n",
        "",
    ]
    .iter()
    .enumerate()
    {
        std::fs::write(builder.path("config.yml"), broken).unwrap();
        registry.signal(Signal::HUP);
        until("the error", SOON, || (errors() == count + 1).then_some(()));
        registry.get("/v2/").send().expect(200);
        let health = registry.health().expect(200).json();
        let said = health["configuration"].as_str().unwrap();
        assert!(said.contains("the one of before stays in force"), "{said}");
    }
    // Its problems are in the one line, each with its place.
    let line = registry.wait_for_log("adr");
    assert!(
        line.contains("config.yml:3") && line.contains("loud"),
        "{line}"
    );

    write(&builder.config(json!({ "log": { "level": "debug" } })));
    registry.signal(Signal::HUP);
    registry.wait_for_log("changed=\"log.level\"");
    until("a healthy registry", SOON, || {
        (registry.health().expect(200).json() == json!({})).then_some(())
    });
    assert_eq!(errors(), 3);
}

/// Case 78.
#[test]
fn a_broken_file_of_users_keeps_the_old_ones_and_shows() {
    let sections = json!({ "http": { "debug": { "addr": "127.0.0.1:0" } } });
    let builder = Builder::new()
        .users(&[("alice", "secret")])
        .config(sections);
    let path = builder.path("htpasswd");
    let registry = builder.start();
    let good = std::fs::read_to_string(&path).unwrap();
    let login = || registry.get("/v2/").basic("alice", "secret").send();
    login().expect(200);
    for (number, broken) in [&good[..good.len() / 2], "garbage\n", "\0\u{1}\n", ""]
        .iter()
        .enumerate()
    {
        std::fs::write(&path, broken).unwrap();
        // It is noticed without the signal, too.
        if number % 2 == 0 {
            registry.signal(Signal::HUP);
        }
        let said = until("the problem", SOON, || {
            let health = registry.health().expect(200).json();
            health["htpasswd"].as_str().map(str::to_owned)
        });
        assert!(said.contains("those of before stay"), "{said}");
        assert!(!said.contains(path.to_str().unwrap()), "{said}");
        login().expect(200);
    }
    registry.wait_for_log("cannot be used; the users of before stay");
    std::fs::write(&path, &good).unwrap();
    until("a healthy registry", SOON, || {
        (registry.health().expect(200).json() == json!({})).then_some(())
    });
    login().expect(200);
}

/// Trusted proxies are other ones for the next connection.
#[test]
fn trusted_proxies_change_while_it_serves() {
    let registry = Registry::start();
    let logged = |tag: &str| {
        registry
            .get(format!("/v2/a/manifests/{tag}"))
            .header("X-Forwarded-For", "192.0.2.1")
            .send()
            .expect(404);
        registry.wait_for_log(&format!("reference=\"{tag}\""))
    };
    assert!(logged("before").contains("address=\"127.0.0.1:"));
    let trusting = json!({ "http": { "proxies": { "trusted": ["127.0.0.1"] } } });
    write(&registry.builder().config(trusting));
    registry.signal(Signal::HUP);
    registry.wait_for_log("changed=\"http.proxies.trusted\"");
    assert!(logged("after").contains("address=\"192.0.2.1\""));
}

#[test]
fn a_broken_certificate_keeps_the_old_one_and_shows() {
    let [certificate, key] = certificate();
    let builder = Builder::new();
    let copy = builder.path("certificate.pem");
    std::fs::copy(&certificate, &copy).unwrap();
    let registry = builder
        .config(json!({ "http": {
            "tls": { "certificate": copy, "key": key },
            "debug": { "addr": "127.0.0.1:0" },
        } }))
        .start();
    let request = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let is_up = || {
        let answer = over_tls(registry.address(), request).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    };
    std::fs::write(&copy, "garbage").unwrap();
    registry.signal(Signal::HUP);
    let said = until("the problem", SOON, || {
        let health = registry.health().expect(200).json();
        health["tls"].as_str().map(str::to_owned)
    });
    assert!(said.contains("those of before stay"), "{said}");
    is_up();
    std::fs::copy(&certificate, &copy).unwrap();
    registry.signal(Signal::HUP);
    until("a healthy registry", SOON, || {
        (registry.health().expect(200).json() == json!({})).then_some(())
    });
    is_up();
}

#[test]
fn an_audit_log_that_cannot_be_written_shows() {
    let builder = Builder::new();
    let path = builder.path("audit.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let sections = json!({
        "access": { "audit": { "path": path } },
        "http": { "debug": { "addr": "127.0.0.1:0" } },
    });
    let mut registry = builder.config(sections).start();
    registry.post("/v2/a/blobs/uploads/").send().expect(202);
    until("the problem", SOON, || {
        let health = registry.health().expect(200).json();
        health["audit"].as_str().map(str::to_owned)
    });
    std::fs::remove_file(&path).unwrap();
    until("a healthy registry", SOON, || {
        (registry.health().expect(200).json() == json!({})).then_some(())
    });
    assert!(registry.terminate().success());
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\"method\":\"POST\"").count(), 1, "{text}");
}
