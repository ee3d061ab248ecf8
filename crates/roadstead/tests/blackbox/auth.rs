//! Who may come in: htpasswd, and that nothing is answered before it is known who asks.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Builder, Image, Registry, Request, SOON, Wire, sha256, until};

const ALICE: (&str, &str) = ("alice", "correct horse");
const BOB: (&str, &str) = ("bob", "battery staple");
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const UPLOAD: &str = "5f2c1a3e-7b94-4d0a-9c6e-1f0b8a7d6e5c";

fn with_users(users: &[(&str, &str)]) -> Registry {
    Builder::new().users(users).start()
}

fn as_user(request: Request, (user, password): (&str, &str)) -> Request {
    request.basic(user, password)
}

/// Each time from another address, so that wrong passwords make nobody wait.
fn may_come_in(registry: &Registry, user: &str, password: &str) -> bool {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [_, b, c, d] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let address = Ipv4Addr::new(127, b + 1, c, d);
    let asked = registry.get("/v2/").from(address);
    let answer = asked.basic(user, password).send();
    if answer.status != 200 {
        expect_challenge(&answer);
    }
    answer.status == 200
}

fn expect_challenge(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(
        answer.need("www-authenticate"),
        "Basic realm=\"test realm\"",
        "{answer:?}"
    );
}

/// The detail of a 401, as `distribution` words it.
fn records(kind: &str, name: &str, actions: &[&str]) -> Value {
    let record = |action| json!({ "Type": kind, "Class": "", "Name": name, "Action": action });
    actions.iter().map(record).collect()
}

#[test]
fn without_credentials_there_is_a_challenge_that_says_what_is_needed() {
    let registry = with_users(&[ALICE]);
    let push = &["pull", "push"][..];
    let manifest = "/v2/team/app/manifests/v1".to_owned();
    let upload = format!("/v2/team/app/blobs/uploads/{UPLOAD}");
    for (method, target, expected) in [
        ("GET", "/v2/".to_owned(), Value::Null),
        (
            "GET",
            "/v2/_catalog".to_owned(),
            records("registry", "catalog", &["*"]),
        ),
        (
            "GET",
            "/v2/team/app/tags/list".to_owned(),
            records("repository", "team/app", &["pull"]),
        ),
        (
            "GET",
            manifest.clone(),
            records("repository", "team/app", &["pull"]),
        ),
        (
            "PUT",
            manifest.clone(),
            records("repository", "team/app", push),
        ),
        (
            "DELETE",
            manifest,
            records("repository", "team/app", &["delete"]),
        ),
        (
            "GET",
            upload.clone(),
            records("repository", "team/app", &["pull"]),
        ),
        (
            "PATCH",
            upload.clone(),
            records("repository", "team/app", push),
        ),
        // To cancel one's own upload is part of pushing.
        ("DELETE", upload, records("repository", "team/app", push)),
        (
            "POST",
            "/v2/app/blobs/uploads/".to_owned(),
            records("repository", "app", push),
        ),
    ] {
        let answer = registry
            .request(method, &target)
            .send()
            .expect_error(401, "UNAUTHORIZED");
        expect_challenge(&answer);
        let error = answer.json()["errors"][0].clone();
        assert_eq!(error.get("detail"), Some(&expected), "{answer:?}");
    }
}

/// R10: every endpoint with every method, whatever else is wrong with the request.
#[test]
fn nothing_is_answered_before_it_is_known_who_asks() {
    let registry = with_users(&[ALICE]);
    let targets = [
        "/v2".to_owned(),
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/_catalog?n=-1".to_owned(),
        "/v2/app/tags/list".to_owned(),
        "/v2/app/tags/list?n=x&last=%ff".to_owned(),
        "/v2/app/manifests/v1".to_owned(),
        format!("/v2/app/manifests/{DIGEST}"),
        format!("/v2/app/blobs/{DIGEST}"),
        "/v2/app/blobs/uploads/".to_owned(),
        format!("/v2/app/blobs/uploads/?mount={DIGEST}&from=other"),
        format!("/v2/app/blobs/uploads/{UPLOAD}"),
        format!("/v2/app/blobs/uploads/{UPLOAD}?digest={DIGEST}"),
        format!("/v2/app/referrers/{DIGEST}"),
        // What names nothing, or is malformed.
        "/v2/app/blobs/sha256:abc".to_owned(),
        "/v2/app/blobs/uploads/no-id".to_owned(),
        "/v2/UPPER/tags/list".to_owned(),
        "/v2/app/manifests/.bad".to_owned(),
        "/v2/app/unknown".to_owned(),
        "/v2/a/../b/tags/list".to_owned(),
        "/v2/%zz/tags/list".to_owned(),
        "/v1/".to_owned(),
        "/metrics".to_owned(),
    ];
    for target in &targets {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
        ] {
            let answer = registry.request(method, target).send();
            expect_challenge(&answer);
        }
    }
    // Load balancers ask here, and learn nothing.
    registry.get("/").send().expect(200);
}

/// R10: an unknown route is 401 first, and 404 after it.
#[test]
fn what_is_not_there_is_told_to_users_alone() {
    let registry = with_users(&[ALICE]);
    for (target, code) in [
        ("/v2/app/unknown", "NAME_UNKNOWN"),
        ("/v2/app/tags/list", "NAME_UNKNOWN"),
        ("/v2/app/manifests/v1", "MANIFEST_UNKNOWN"),
        (&format!("/v2/app/blobs/{DIGEST}"), "BLOB_UNKNOWN"),
        (
            &format!("/v2/app/blobs/uploads/{UPLOAD}"),
            "BLOB_UPLOAD_UNKNOWN",
        ),
    ] {
        expect_challenge(&registry.get(target).send());
        as_user(registry.get(target), ALICE)
            .send()
            .expect_error(404, code);
    }
    expect_challenge(&registry.request("OPTIONS", "/v2/app/tags/list").send());
    let options = as_user(registry.request("OPTIONS", "/v2/app/tags/list"), ALICE).send();
    options.expect(200).need("allow");
}

#[test]
fn a_user_pushes_and_another_pulls() {
    let registry = with_users(&[ALICE, BOB]);
    let image = Image::new("two users");
    for blob in image.blobs() {
        let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
        as_user(registry.post(target), ALICE)
            .body(&blob.bytes)
            .send()
            .expect(201);
    }
    let put = registry.put("/v2/app/manifests/v1");
    let put = put
        .header("Content-Type", &image.manifest.media_type)
        .body(&image.manifest.bytes);
    as_user(put, ALICE).send().expect(201);
    let pulled = as_user(registry.get("/v2/app/manifests/v1"), BOB)
        .send()
        .expect(200);
    assert_eq!(pulled.body, image.manifest.bytes);
    let list = as_user(registry.get("/v2/_catalog"), BOB)
        .send()
        .expect(200);
    assert_eq!(list.json(), json!({ "repositories": ["app"] }));
    as_user(registry.delete("/v2/app/manifests/v1"), BOB)
        .send()
        .expect(202);
}

/// Cases 75 and 77, and R17: the same answer whoever it is and whatever is wrong.
#[test]
fn only_the_whole_right_password_lets_in() {
    let (long, longer) = ("x".repeat(72), "x".repeat(73));
    let registry = with_users(&[
        ALICE,
        ("colon", "a:b::c:"),
        ("Дмитрий", "пароль 🚢"),
        ("long", &long),
        // bcrypt cuts it to the first 72 bytes.
        ("longer", &longer),
        ("short", "a"),
    ]);
    let (user, password) = ALICE;
    for (user, password, expected) in [
        (user, password, true),
        (user, "wrong", false),
        (user, "correct hors", false),
        (user, "correct horse ", false),
        (user, "Correct horse", false),
        (user, "", false),
        ("Alice", password, false),
        ("alice ", password, false),
        ("nobody", password, false),
        ("", password, false),
        ("", "", false),
        ("colon", "a:b::c:", true),
        ("colon", "a:b::c", false),
        ("colon", "a", false),
        ("Дмитрий", "пароль 🚢", true),
        ("Дмитрий", "пароль", false),
        ("long", &long, true),
        ("long", &longer, false),
        ("longer", &longer, false),
        ("short", "a", true),
        ("short", "a\0", false),
        ("short", "a\0a", false),
    ] {
        for _ in 0..2 {
            assert_eq!(
                may_come_in(&registry, user, password),
                expected,
                "{user} {password:?}"
            );
        }
    }
    let unknown = registry
        .get("/v2/")
        .basic("nobody", "wrong")
        .send()
        .expect(401);
    let wrong = registry.get("/v2/").basic(user, "wrong").send().expect(401);
    assert_eq!(unknown.body, wrong.body);
}

#[test]
fn credentials_that_cannot_be_read_are_none() {
    let registry = with_users(&[ALICE]);
    let encode = |pair: &str| base64::prelude::BASE64_STANDARD.encode(pair);
    let right = encode("alice:correct horse");
    registry
        .get("/v2/")
        .header("Authorization", format!("bAsIc {right}"))
        .send()
        .expect(200);
    for value in [
        String::new(),
        "Basic".to_owned(),
        "Basic !!!!".to_owned(),
        format!("Basic{right}"),
        format!("Basic {}", right.trim_end_matches('=')),
        format!("Basic {right}=="),
        format!("Basic {right}, Basic {right}"),
        format!("Basic {}", encode("alice")),
        format!("Basic {}", encode(":")),
        format!("Bearer {right}"),
        format!("Digest username={right}"),
        right.clone(),
        format!("Basic {}", "A".repeat(6000)),
    ] {
        let answer = registry.get("/v2/").header("Authorization", &value).send();
        expect_challenge(&answer);
    }
}

#[test]
fn two_authorization_headers_are_refused() {
    let registry = with_users(&[ALICE, BOB]);
    for second in [ALICE, BOB, ("nobody", "wrong")] {
        let request = as_user(as_user(registry.get("/v2/"), ALICE), second);
        request.send().expect_error(400, "UNAUTHORIZED");
    }
}

#[test]
fn credentials_do_not_carry_over_to_the_next_request_of_a_connection() {
    let registry = with_users(&[ALICE]);
    let mut wire = Wire::connect(registry.address());
    let right = base64::prelude::BASE64_STANDARD.encode("alice:correct horse");
    let right = format!("Authorization: Basic {right}\r\n");
    for (line, status) in [
        ("", 401),
        (right.as_str(), 200),
        ("", 401),
        ("Authorization: Basic YWxpY2U6eA==\r\n", 401),
        (&right, 200),
    ] {
        wire.write(format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{line}\r\n"));
        wire.answer("GET").expect(status);
    }
}

/// Case 37.
#[test]
fn who_is_refused_does_not_get_to_send_the_body() {
    let registry = with_users(&[ALICE]);
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PUT /v2/app/blobs/uploads/{UPLOAD}?digest={DIGEST} HTTP/1.1\r\nHost: x\r\n\
         Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
    ));
    let reply = wire.read_all(Duration::from_secs(2));
    assert_eq!(reply.statuses(), [401], "{}", reply.text());
    // Nor where the body comes unasked: the answer does not wait for its end.
    let mut wire = Wire::connect(registry.address());
    wire.write(
        "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
    );
    wire.write([0; 1000]);
    expect_challenge(&wire.answer("POST"));
}

/// Case 30, the half that needs another user.
#[test]
fn a_session_belongs_to_whoever_began_it() {
    let registry = with_users(&[ALICE, BOB]);
    let begun = as_user(registry.post("/v2/app/blobs/uploads/"), ALICE)
        .send()
        .expect(202);
    let session = begun.need("location");
    as_user(registry.patch(session), ALICE)
        .body("abc")
        .send()
        .expect(202);
    let closing = format!("{session}?digest={}", sha256(b"abcdef"));
    for request in [
        registry.get(session),
        registry.patch(session).body("xyz"),
        registry.put(&closing).body("def"),
        registry.delete(session),
    ] {
        as_user(request, BOB)
            .send()
            .expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let status = as_user(registry.get(session), ALICE).send().expect(204);
    assert_eq!(status.need("range"), "0-2");
    as_user(registry.put(&closing), ALICE)
        .body("def")
        .send()
        .expect(201);
}

#[test]
fn a_changed_file_is_in_force_without_a_restart() {
    let registry = with_users(&[ALICE]);
    assert!(may_come_in(&registry, ALICE.0, ALICE.1));
    assert!(!may_come_in(&registry, BOB.0, BOB.1));
    write_users(&registry, &[BOB, (ALICE.0, "another")]);
    until("the new file is in force", SOON, || {
        may_come_in(&registry, BOB.0, BOB.1).then_some(())
    });
    // What was right before is not remembered any more.
    assert!(!may_come_in(&registry, ALICE.0, ALICE.1));
    assert!(may_come_in(&registry, ALICE.0, "another"));
}

/// Case 78.
#[test]
fn a_broken_file_keeps_the_users_and_is_reported() {
    let registry = with_users(&[ALICE]);
    let path = registry.builder().path("htpasswd");
    let good = std::fs::read_to_string(&path).unwrap();
    for (broken, problem) in [
        (Some("garbage\n"), "no user"),
        (Some(&good[..good.len() - 20]), "middle of a line"),
        (None, "cannot be read"),
    ] {
        match broken {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        until("the problem is in the log", SOON, || {
            assert!(may_come_in(&registry, ALICE.0, ALICE.1));
            assert!(!may_come_in(&registry, BOB.0, BOB.1));
            registry.log().contains(problem).then_some(())
        });
    }
    write_users(&registry, &[BOB]);
    until("the mended file is in force", SOON, || {
        may_come_in(&registry, BOB.0, BOB.1).then_some(())
    });
    assert!(!may_come_in(&registry, ALICE.0, ALICE.1));
    assert_eq!(
        registry.log().matches("the users of before stay").count(),
        3
    );
}

#[test]
fn a_line_that_cannot_be_used_disables_its_user_alone() {
    let builder = Builder::new().users(&[ALICE]);
    let path = builder.path("htpasswd");
    let mut text = std::fs::read_to_string(&path).unwrap();
    let costly = bcrypt::hash("secret", 4)
        .unwrap()
        .replacen("$04$", "$15$", 1);
    text.push_str("no colon\nplain:secret\nsha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    text.push_str(&format!("costly:{costly}\n"));
    std::fs::write(&path, text).unwrap();
    let registry = builder.start();
    assert!(may_come_in(&registry, ALICE.0, ALICE.1));
    for user in ["plain", "sha", "costly"] {
        assert!(!may_come_in(&registry, user, "secret"));
        let line = registry.wait_for_log(user);
        assert!(
            line.contains("a line of the htpasswd file is not used"),
            "{line}"
        );
    }
    let log = registry.log();
    assert!(
        !log.contains("5en6G6") && !log.contains(&costly[7..]),
        "{log}"
    );
}

/// R18: no default user, no made-up password.
#[test]
fn a_registry_without_its_file_of_users_does_not_start() {
    let builder = Builder::new();
    let path = builder.path("missing/htpasswd");
    let auth = json!({ "auth": { "htpasswd": { "realm": "test", "path": path } } });
    let output = builder.clone().config(auth).command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("roadstead: "))
        .collect();
    let [line] = lines.as_slice() else {
        panic!("{said}");
    };
    for part in [
        &path.display().to_string(),
        "htpasswd -Bbn USER PASSWORD",
        "No such file",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!builder.path("missing").exists());
}

/// R19.
#[test]
fn passwords_and_hashes_are_never_in_the_log() {
    let canary = "canary-password";
    let mut registry = Builder::new()
        .users(&[("alice", canary)])
        .config(json!({ "log": { "level": "debug" } }))
        .start();
    let hash = std::fs::read_to_string(registry.builder().path("htpasswd")).unwrap();
    let hash = hash.trim().rsplit('$').next().unwrap().to_owned();
    let encode = |pair: &str| base64::prelude::BASE64_STANDARD.encode(pair);
    let right = encode(&format!("alice:{canary}"));
    registry
        .get("/v2/")
        .basic("alice", canary)
        .send()
        .expect(200);
    registry
        .get("/v2/")
        .basic("alice", &format!("{canary}-wrong"))
        .send()
        .expect(401);
    registry
        .get("/v2/")
        .basic("mallory", canary)
        .send()
        .expect(401);
    registry
        .get("/v2/")
        .header("Authorization", format!("Bearer {right}"))
        .send()
        .expect(401);
    registry
        .get("/v2/")
        .header("Authorization", format!("Basic {right}="))
        .send()
        .expect(401);
    registry
        .post("/v2/app/blobs/uploads/")
        .basic("alice", canary)
        .send()
        .expect(202);
    // Somebody who is not known has no name.
    let found = registry.wait_for_log("alice");
    assert!(!found.contains(canary), "{found}");
    assert!(registry.terminate().success());
    registry.wait_for_log("stopped");
    let log = registry.log();
    for secret in [
        canary,
        &hash,
        &right,
        right.trim_end_matches('='),
        "mallory",
    ] {
        assert!(!log.contains(secret), "{secret}:\n{log}");
    }
}

/// Many requests with the same credentials need one check, and none is turned away.
#[test]
fn many_requests_of_one_user_at_once_are_all_let_in() {
    let registry = with_users(&[ALICE]);
    std::thread::scope(|scope| {
        let ask = || assert!(may_come_in(&registry, ALICE.0, ALICE.1));
        let asking: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        for asked in asking {
            asked.join().unwrap();
        }
    });
}

#[test]
fn an_open_registry_looks_at_no_credentials() {
    let registry = Registry::start();
    registry.get("/v2/").send().expect(200);
    assert!(may_come_in(&registry, "anybody", "anything"));
    registry
        .get("/v2/")
        .header("Authorization", "Basic !")
        .send()
        .expect(200);
}

/// Writes the file of users anew.
fn write_users(registry: &Registry, users: &[(&str, &str)]) {
    let _same_directory = registry.builder().users(users);
}
