//! Limits of requests: what is beyond them is 429 in the registry's own form, and nobody else
//! notices.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Builder, Registry, SOON, Wire, noise, until};

fn limited(limits: Value) -> Builder {
    Builder::new().config(json!({ "http": { "ratelimits": limits } }))
}

/// Many requests in one go on one connection.
fn many(registry: &Registry, headers: &str) -> Vec<Answer> {
    const MANY: usize = 60;
    let mut wire = Wire::connect(registry.address());
    let request = format!("GET /v2/team/app/tags/list HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    wire.write(request.repeat(MANY));
    (0..MANY).map(|_| wire.answer("GET")).collect()
}

fn check_refused(answer: &Answer) {
    let answer = answer.clone().expect_error(429, "TOOMANYREQUESTS");
    let seconds: u64 = answer.need("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{answer:?}");
    answer.expect_header("docker-distribution-api-version", "registry/2.0");
}

fn basic(user: &str, password: &str) -> String {
    let token = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {token}\r\n")
}

#[test]
fn an_address_asks_as_often_as_it_may() {
    let registry = limited(json!({ "address": { "requests": 1, "burst": 5 } })).start();
    let answers = many(&registry, "");
    // At least the burst, and far from all.
    for answer in &answers[..5] {
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status != 404)
        .collect();
    assert!(!refused.is_empty());
    refused.iter().for_each(|answer| check_refused(answer));
    // After the time that it was told, it is let in.
    until("an answer again", SOON, || {
        let answer = registry.get("/v2/").send();
        (answer.status == 200).then_some(())
    });
}

#[test]
fn users_and_the_anonymous_have_limits_of_their_own() {
    let limits = json!({ "user": { "requests": 1 }, "anonymous": { "requests": 1 } });
    let users = [("alice", "a"), ("bob", "b")];
    let registry = limited(limits).users(&users).start();
    let (alice, bob) = (basic("alice", "a"), basic("bob", "b"));
    let refused = |answers: &[Answer]| answers.iter().filter(|it| it.status == 429).count();
    let answers = many(&registry, &alice);
    assert!(answers[0].status == 404 && refused(&answers) > 0);
    answers
        .iter()
        .filter(|it| it.status == 429)
        .for_each(check_refused);
    // Another user has not asked yet.
    assert_eq!(many(&registry, &bob)[0].status, 404);
    // Whoever has no credentials is told so as often as they like: they are nobody yet.
    assert_eq!(refused(&many(&registry, "")), 0);

    let open = limited(json!({ "anonymous": { "requests": 1 } })).start();
    let answers = many(&open, "");
    assert!(answers[0].status == 404 && refused(&answers) > 0);
}

#[test]
fn a_download_takes_its_place_to_its_end() {
    let registry = Registry::start();
    let bytes = noise("large", 40 << 20);
    let digest = registry.push_blob("team/app", &bytes);
    let limits = json!({ "http": { "ratelimits": { "anonymous": { "concurrent": 1 } } } });
    // In force with the next request, without a restart.
    registry.builder().config(limits).check();
    registry.signal(rustix::process::Signal::HUP);
    registry.wait_for_log("changed=\"http.ratelimits.anonymous.concurrent\"");

    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    ));
    let begun = wire.read_some(1_000).unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 200 "));
    check_refused(&registry.get("/v2/team/app/tags/list").send());
    drop(wire);
    until("a free place", SOON, || {
        (registry.get("/v2/").send().status == 200).then_some(())
    });
}

#[test]
fn clients_of_a_trusted_proxy_count_one_by_one() {
    let limits = json!({ "address": { "requests": 1, "burst": 1 } });
    let sections = json!({ "http": { "proxies": { "trusted": ["127.0.0.1"] } } });
    let registry = limited(limits).config(sections).start();
    let answers = many(&registry, "X-Forwarded-For: 192.0.2.1\r\n");
    assert!(answers.iter().any(|answer| answer.status == 429));
    let get = |client: &str| {
        registry
            .get("/v2/")
            .header("X-Forwarded-For", client)
            .send()
    };
    get("192.0.2.2").expect(200);
    get("2001:db8::1").expect(200);
}
