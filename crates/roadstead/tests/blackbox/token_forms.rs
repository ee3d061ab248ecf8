//! Requests for tokens in odd forms: whatever is asked for, the answer is a token for what the policy
//! allows of it, or a refusal.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Builder, Registry};

const ALICE: (&str, &str) = ("alice", "correct horse");

fn start() -> Registry {
    let access = json!({"rules": [
        {"allow": "pull", "to": "everyone", "on": "public/**"},
        {"allow": ["pull", "push"], "to": "user:alice", "on": "team/**"},
    ]});
    let http = json!({"host": "https://registry.example", "relativeurls": true});
    let builder = Builder::new().users(&[ALICE]);
    builder
        .config(json!({"access": access, "http": http}))
        .start()
}

fn form(registry: &Registry, body: &str) -> Answer {
    let request = registry.post("/auth/token");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.basic(ALICE.0, ALICE.1).body(body).send()
}

fn scope(answer: Answer) -> String {
    let json = answer.expect(200).json();
    json["scope"].as_str().unwrap().to_owned()
}

/// The same parameters as a query and as a form.
#[test]
fn what_is_not_understood_is_left_out() {
    let registry = start();
    let team = "repository:team/app:pull,push";
    for (parameters, expected) in [
        ("", ""),
        ("scope=", ""),
        ("scope", ""),
        ("scope=repository:team/app:pull,push", team),
        // Spaces and several parameters are the same.
        (
            "scope=repository:team/app:pull+repository:team/app:push",
            team,
        ),
        (
            "scope=repository:team/app:pull%20%20repository:team/app:push%20",
            team,
        ),
        (
            "scope=repository:team/app:pull&scope=repository:team/app:push",
            team,
        ),
        (
            "scope=repository:team/app:push,pull,push,delete,fly,,*",
            team,
        ),
        ("scope=repository%3Ateam%2Fapp%3A*", team),
        // Other names, other things.
        ("scope=repository:Team/App:pull", ""),
        ("scope=repository:team/../team/app:pull", ""),
        ("scope=repository:team/*:pull", ""),
        ("scope=repository:**:pull", ""),
        ("scope=repository::pull", ""),
        ("scope=repository:team/app", ""),
        ("scope=repository:team/app:", ""),
        ("scope=repository:team/app%00:pull", ""),
        ("scope=repository:team/app%0a:pull", ""),
        ("scope=repository:team/app:pull%0d%0aX-Evil:1", ""),
        ("scope=repository(plugin):team/app:pull", ""),
        ("scope=registry:catalog:*", ""),
        (
            "scope=registry:admin:*&scope=repository:other:pull,push",
            "",
        ),
        ("scope=%ff%fe&scope=repository:team/app:pull,push", team),
        ("scope=%zz&scope=repository:team/app:pull,push", team),
        (
            "Scope=repository:team/app:pull&SCOPE=repository:team/app:pull",
            "",
        ),
        // Who one says to be is not who one is.
        ("account=&scope=repository:team/app:pull,push", team),
        (
            "account=root&client_id=root&scope=repository:team/app:pull,push",
            team,
        ),
        (
            "account=a&account=b&username=root&password=x&scope=repository:team/app:pull,push",
            team,
        ),
        ("unknown=1&=2&&&scope=repository:team/app:pull,push", team),
        (
            "service=registry.example&scope=repository:team/app:pull,push",
            team,
        ),
        ("service=&scope=repository:team/app:pull,push", team),
    ] {
        let target = format!("/auth/token?{parameters}");
        let answer = registry.get(target).basic(ALICE.0, ALICE.1).send();
        assert_eq!(scope(answer), expected, "GET {parameters}");
        assert_eq!(
            scope(form(&registry, parameters)),
            expected,
            "POST {parameters}"
        );
    }
    // Nobody in particular gets what nobody in particular may.
    let scopes = "scope=repository:team/app:pull&scope=repository:public/a:pull,push";
    let answer = registry
        .get(format!("/auth/token?account=alice&{scopes}"))
        .send();
    assert_eq!(scope(answer), "repository:public/a:pull");
    for body in [
        "service=other",
        "service=other&service=registry.example",
        "grant_type=client_credentials",
        "grant_type=password&username=alice",
        "grant_type=password&password=x",
        "grant_type=refresh_token",
    ] {
        form(&registry, body).expect(400);
    }
    // In a query a password is none: addresses are logged.
    let target = "/auth/token?grant_type=password&username=alice&password=correct+horse\
                  &scope=repository:team/app:pull";
    assert_eq!(scope(registry.get(target).send()), "");
    let request = registry.post(target);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(scope(request.send()), "");
    assert!(!registry.log().contains("correct"));
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
    ] {
        let request = registry.post("/auth/token").header("Content-Type", kind);
        request.body("{}").send().expect(400);
    }
    registry.post("/auth/token").send().expect(400);
}

#[test]
fn many_scopes_and_parameters_are_bounded() {
    let registry = start();
    let short: Vec<String> = (0..200)
        .map(|index| format!("repository:team/a{index}:pull"))
        .collect();
    // So many count, the first of them.
    let answer = form(&registry, &format!("scope={}", short.join("+")));
    let covered = scope(answer);
    assert_eq!(covered.split(' ').count(), 100);
    assert!(covered.starts_with(&short[0]) && covered.ends_with(&short[99]));
    let parameters: String = (0..128).map(|_| "a=b&").collect();
    assert_eq!(scope(form(&registry, parameters.trim_end_matches('&'))), "");
    form(&registry, &format!("{parameters}scope=x")).expect(400);
    let target = format!("/auth/token?{parameters}scope=x");
    registry
        .get(target)
        .basic(ALICE.0, ALICE.1)
        .send()
        .expect(400);
    // A token that no header could take: it is the client's to ask for less.
    let long: Vec<String> = (0..100)
        .map(|index| format!("repository:team/{}{index}:pull", "a".repeat(230)))
        .collect();
    let answer = form(&registry, &format!("scope={}", long.join("+"))).expect(400);
    assert!(answer.reason().contains("fewer scopes"), "{answer:?}");
    assert_eq!(
        scope(form(&registry, &format!("scope={}", long[0]))),
        long[0]
    );
    let body = format!("scope={}", "x".repeat(64 << 10));
    form(&registry, &body).expect(413);
    // As large as forms can be, and it costs nothing worth mentioning.
    let before = registry.processor_time();
    for text in ["+", "a+", "repository:team/a:pull+", "%20", ":", ","] {
        let body = format!("scope={}", text.repeat((60 << 10) / text.len()));
        form(&registry, &body).expect(200);
    }
    let spent = registry.processor_time() - before;
    assert!(spent < Duration::from_secs(5), "{spent:?}");
}
