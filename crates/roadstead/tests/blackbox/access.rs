//! Who may do what: the policy, the built-in token server, and that every endpoint asks both.

use std::collections::BTreeSet;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{Answer, Builder, Image, Registry, Request, sha256};

const ROOT: (&str, &str) = ("root", "the root password");
const ALICE: (&str, &str) = ("alice", "correct: horse");
const BOB: (&str, &str) = ("bob", "пароль");
const CREATE: (&str, &str) = ("carol", "create only");
const REALM: &str = "https://registry.example/auth/token";

fn with_access(access: Value) -> Registry {
    Builder::new()
        .users(&[ROOT, ALICE, BOB, CREATE])
        .config(json!({ "access": access }))
        .start()
}

/// A registry whose challenge is Bearer: it knows its own URL.
fn with_tokens(access: Value) -> Registry {
    Builder::new()
        .users(&[ROOT, ALICE, BOB, CREATE])
        .config(json!({
            "access": access,
            "http": {"host": "https://registry.example", "relativeurls": true},
        }))
        .start()
}

fn rules() -> Value {
    json!({
        "groups": {"dev": ["bob"]},
        "rules": [
            {"allow": ["admin"], "to": "user:root", "on": "**"},
            {"allow": ["pull", "list"], "to": "everyone", "on": "public/**"},
            {"allow": ["pull", "push", "overwrite", "list"], "to": "user:alice", "on": "team/**"},
            {"allow": ["pull", "list"], "to": "group:dev", "on": "team/**"},
            {"allow": ["pull", "push"], "to": "user:carol", "on": ["team/**", "public/**"]},
            {"deny": ["delete"], "to": "everyone", "on": "public/**", "name": "keep releases"},
        ],
    })
}

fn token(registry: &Registry, who: Option<(&str, &str)>, scopes: &str) -> String {
    let query: String = scopes
        .split_whitespace()
        .map(|scope| format!("&scope={scope}"))
        .collect();
    let target = format!("/auth/token?service=registry.example{query}");
    let answer = as_user(registry.get(target), who).send().expect(200);
    assert_eq!(answer.need("cache-control"), "no-store");
    let json = answer.json();
    assert_eq!(json["token"], json["access_token"]);
    assert_eq!(json["expires_in"], 300);
    json["token"].as_str().unwrap().to_owned()
}

fn as_user(request: Request, who: Option<(&str, &str)>) -> Request {
    match who {
        Some((user, password)) => request.basic(user, password),
        None => request,
    }
}

fn bearer(request: Request, token: &str) -> Request {
    request.header("Authorization", format!("Bearer {token}"))
}

fn seed(registry: &Registry, repository: &str, seed: &str) -> Image {
    let image = Image::new(seed);
    registry.push_image_as(ROOT, repository, "v1", &image);
    image
}

/// R10: every endpoint × method × subject × kind of repository, against one table. What each
/// subject may do is written down once, in `may`; a route without a row fails.
#[test]
fn the_matrix_of_routes_methods_and_subjects_holds() {
    let registry = with_tokens(rules());
    let images =
        ["public/app", "team/app", "other/app"].map(|name| (name, seed(&registry, name, name)));
    let subjects: [(&str, Option<(&str, &str)>); 5] = [
        ("anonymous", None),
        ("bob", Some(BOB)),
        ("carol", Some(CREATE)),
        ("alice", Some(ALICE)),
        ("root", Some(ROOT)),
    ];
    let may = |subject: &str, repository: &str, action: &str| -> bool {
        let public = repository.starts_with("public/");
        let team = repository.starts_with("team/");
        match (subject, action) {
            (_, "delete") => subject == "root" && !public,
            ("root", _) => true,
            (_, "pull") if public => true,
            ("carol", "pull" | "push") => public || team,
            ("alice", "pull" | "push" | "overwrite") => team,
            ("bob", "pull") => team,
            _ => false,
        }
    };
    let unknown = sha256(b"nobody has this");
    let mut labels = BTreeSet::new();
    for (repository, image) in &images {
        let manifest = &image.manifest.digest;
        let blob = &image.blobs().next().unwrap().digest;
        let id = "5f2c1a3e-7b94-4d0a-9c6e-1f0b8a7d6e5c";
        // Label, method, target, the action that it needs, and the answer to whoever may.
        let rows: Vec<(&str, &str, String, &str, u16)> = vec![
            ("tags", "GET", "tags/list".to_owned(), "pull", 200),
            ("tags", "HEAD", "tags/list".to_owned(), "pull", 200),
            ("tags", "PUT", "tags/list".to_owned(), "push", 405),
            ("manifest", "GET", "manifests/v1".to_owned(), "pull", 200),
            (
                "manifest",
                "HEAD",
                format!("manifests/{manifest}"),
                "pull",
                200,
            ),
            ("manifest", "PUT", "manifests/new".to_owned(), "push", 400),
            ("manifest", "POST", "manifests/new".to_owned(), "push", 405),
            (
                "manifest",
                "DELETE",
                format!("manifests/{unknown}"),
                "delete",
                404,
            ),
            (
                "manifest",
                "DELETE",
                "manifests/unknown".to_owned(),
                "delete",
                404,
            ),
            ("blob", "GET", format!("blobs/{blob}"), "pull", 200),
            ("blob", "HEAD", format!("blobs/{blob}"), "pull", 200),
            ("blob", "GET", format!("blobs/{unknown}"), "pull", 404),
            ("blob", "DELETE", format!("blobs/{unknown}"), "delete", 404),
            ("blob", "PATCH", format!("blobs/{unknown}"), "push", 405),
            (
                "blob_upload",
                "POST",
                "blobs/uploads/".to_owned(),
                "push",
                202,
            ),
            (
                "blob_upload",
                "GET",
                "blobs/uploads/".to_owned(),
                "pull",
                405,
            ),
            (
                "blob_upload_chunk",
                "GET",
                format!("blobs/uploads/{id}"),
                "pull",
                404,
            ),
            (
                "blob_upload_chunk",
                "HEAD",
                format!("blobs/uploads/{id}"),
                "pull",
                404,
            ),
            (
                "blob_upload_chunk",
                "PATCH",
                format!("blobs/uploads/{id}"),
                "push",
                404,
            ),
            (
                "blob_upload_chunk",
                "PUT",
                format!("blobs/uploads/{id}?digest={unknown}"),
                "push",
                404,
            ),
            (
                "blob_upload_chunk",
                "DELETE",
                format!("blobs/uploads/{id}"),
                "push",
                404,
            ),
            (
                "referrers",
                "GET",
                format!("referrers/{manifest}"),
                "pull",
                200,
            ),
            (
                "referrers",
                "HEAD",
                format!("referrers/{manifest}"),
                "pull",
                200,
            ),
            (
                "referrers",
                "DELETE",
                format!("referrers/{manifest}"),
                "delete",
                405,
            ),
        ];
        for (label, method, target, action, status) in rows {
            labels.insert(label);
            for (subject, who) in subjects {
                let target = format!("/v2/{repository}/{target}");
                let allowed = may(subject, repository, action);
                let expected = match (allowed, who) {
                    (true, _) => status,
                    // What is answered before anything of the repository is looked at.
                    (false, Some(_)) if status == 405 => 405,
                    (false, Some(_)) => 403,
                    (false, None) => 401,
                };
                let what = format!("{method} {target} by {subject}");
                let answer = as_user(registry.request(method, &target), who).send();
                assert_eq!(answer.status, expected, "{what}: {answer:?}");
                // With a token for exactly this, the same, save that its lack is a 401.
                let scope = format!("repository:{repository}:pull,push,delete");
                let token = token(&registry, who, &scope);
                let answer = bearer(registry.request(method, &target), &token).send();
                let expected = match expected {
                    _ if status == 405 => 405,
                    403 | 401 => 401,
                    other => other,
                };
                assert_eq!(answer.status, expected, "{what} with a token: {answer:?}");
                if expected == 401 {
                    let challenge = answer.need("www-authenticate");
                    assert!(
                        challenge.contains("error=\"insufficient_scope\""),
                        "{challenge}"
                    );
                }
                // And with a token for something else, never.
                let other = self::token(&registry, who, "repository:public/other:pull");
                let answer = bearer(registry.request(method, &target), &other).send();
                let expected = if status == 405 { 405 } else { 401 };
                assert_eq!(answer.status, expected, "{what} with another token");
            }
        }
    }
    // The routes that are not of a repository.
    for (label, target, anonymous, known) in [
        ("base", "/v2/", 401, 200),
        ("catalog", "/v2/_catalog", 200, 200),
        ("root", "/", 200, 200),
        ("token", "/auth/token", 200, 200),
    ] {
        labels.insert(label);
        registry.get(target).send().expect(anonymous);
        for (_, who) in subjects.iter().filter(|(_, who)| who.is_some()) {
            as_user(registry.get(target), *who).send().expect(known);
        }
    }
    for target in [
        "/v2/unknown",
        "/v1/",
        "/metrics",
        "/debug/health",
        "/v2/x/y",
    ] {
        registry
            .get(target)
            .send()
            .expect_error(401, "UNAUTHORIZED");
        let answer = as_user(registry.get(target), Some(BOB)).send();
        assert_eq!(answer.status, 404, "{target}");
    }
    let routes = include_str!("../../../server/src/routes.rs");
    let named = routes.split("fn label").nth(1).unwrap();
    let named = named.split("fn repository").next().unwrap();
    let all: BTreeSet<&str> = named.split('"').skip(1).step_by(2).collect();
    assert_eq!(labels, all, "a route has no row");
}

/// R13, case 65: whoever may create tags may not move them, whatever they are called.
#[test]
fn a_tag_is_moved_only_by_who_may_move_it() {
    let registry = with_access(rules());
    let image = seed(&registry, "team/app", "first");
    let other = seed(&registry, "team/app2", "second");
    let put = |who: (&str, &str), repository: &str, tag: &str, image: &Image| -> Answer {
        for blob in image.blobs() {
            let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
            let answer = as_user(registry.post(target), Some(who))
                .header("Content-Type", "application/octet-stream")
                .body(&blob.bytes)
                .send();
            assert_eq!(answer.status, 201, "{answer:?}");
        }
        as_user(
            registry.put(format!("/v2/{repository}/manifests/{tag}")),
            Some(who),
        )
        .header("Content-Type", &image.manifest.media_type)
        .body(&image.manifest.bytes)
        .send()
    };
    put(ALICE, "team/app", "latest", &image).expect(201);
    for tag in ["latest", "v1"] {
        let refused = put(CREATE, "team/app", tag, &other).expect_error(403, "DENIED");
        assert!(refused.reason().contains("may not move it"), "{refused:?}");
        // The same content again moves nothing.
        put(CREATE, "team/app", tag, &image).expect(201);
    }
    put(CREATE, "team/app", "new", &other).expect(201);
    put(CREATE, "team/app", "new", &image).expect_error(403, "DENIED");
    put(ALICE, "team/app", "latest", &other).expect(201);
}

/// A client made of `distribution`'s code, such as docker, takes an error that has the usual message
/// and no detail for another kind, and tries a push again and again for most of a minute.
#[test]
fn a_denial_says_what_was_denied() {
    let registry = with_access(rules());
    let blob = sha256(b"nobody has this");
    for (method, target, name, actions) in [
        (
            "POST",
            "/v2/team/app/blobs/uploads/",
            "team/app",
            &["pull", "push"][..],
        ),
        ("GET", "/v2/other/app/tags/list", "other/app", &["pull"]),
        (
            "DELETE",
            &format!("/v2/team/app/blobs/{blob}"),
            "team/app",
            &["delete"],
        ),
    ] {
        let answer = as_user(registry.request(method, target), Some(BOB)).send();
        let denied = answer.expect_error(403, "DENIED").json();
        let record = |action: &&str| json!({"Type": "repository", "Class": "", "Name": name, "Action": action});
        let expected: Vec<Value> = actions.iter().map(record).collect();
        assert_eq!(denied["errors"][0]["detail"], json!(expected), "{target}");
    }
}

#[test]
fn the_catalog_shows_each_caller_what_they_may_list() {
    let registry = with_access(rules());
    for name in [
        "other/app",
        "public/a",
        "public/b",
        "team/a",
        "team/b",
        "zoo",
    ] {
        seed(&registry, name, name);
    }
    let list = |who: Option<(&str, &str)>, query: &str| -> Vec<String> {
        let answer = as_user(registry.get(format!("/v2/_catalog{query}")), who).send();
        serde_json::from_value(answer.expect(200).json()["repositories"].clone()).unwrap()
    };
    let public = ["public/a", "public/b"];
    let team = ["public/a", "public/b", "team/a", "team/b"];
    assert_eq!(list(None, ""), public);
    // Who may push need not see.
    assert_eq!(list(Some(CREATE), ""), public);
    assert_eq!(list(Some(BOB), ""), team);
    assert_eq!(list(Some(ALICE), "?last=public/a"), &team[1..]);
    assert_eq!(list(Some(ROOT), "").len(), 6);
    let mut seen = Vec::new();
    let mut next = Some("/v2/_catalog?n=1".to_owned());
    while let Some(target) = next {
        let page = as_user(registry.get(&target), Some(BOB)).send().expect(200);
        let names: Vec<String> =
            serde_json::from_value(page.json()["repositories"].clone()).unwrap();
        assert_eq!(names.len(), 1);
        seen.extend(names);
        next = page.next();
    }
    assert_eq!(seen, team);
}

/// R12, case 42: a mount whose source the caller may not pull is an ordinary session, and tells
/// nothing.
#[test]
fn a_mount_needs_pull_on_its_source() {
    let registry = with_access(rules());
    let image = seed(&registry, "other/app", "secret");
    seed(&registry, "public/app", "open");
    let open = Image::new("open");
    let blob = &image.blobs().next().unwrap().digest;
    let known = &open.blobs().next().unwrap().digest;
    let mount = |digest: &str, from: &str| {
        let target = format!("/v2/team/app/blobs/uploads/?mount={digest}{from}");
        as_user(registry.post(target), Some(ALICE)).send()
    };
    for (digest, from, status) in [
        (blob, "&from=other/app", 202),
        (blob, "&from=other/none", 202),
        (&sha256(b"none"), "&from=other/app", 202),
        (blob, "&from=Bad", 202),
        (blob, "", 202),
        (known, "&from=public/app", 201),
        (known, "&from=public%2Fapp", 201),
        (known, "&from=team/app", 201),
        (known, "", 201),
    ] {
        let answer = mount(digest, from);
        assert_eq!(answer.status, status, "{digest} {from}: {answer:?}");
    }
    let target = format!("/v2/team/app/blobs/{blob}");
    as_user(registry.get(target), Some(ALICE))
        .send()
        .expect(404);
}

/// With a token that leaves the source out, a client is told of both scopes where it can have them,
/// so that one that asks for scopes as it goes can mount. Where it cannot, it is told nothing.
#[test]
fn a_token_without_the_source_of_a_mount_can_be_mended() {
    let registry = with_tokens(rules());
    let (secret, open) = (
        seed(&registry, "other/app", "secret"),
        seed(&registry, "public/app", "open"),
    );
    let target = "repository:team/app:pull,push";
    let mount = |image: &Image, from: &str, scopes: &str| {
        let digest = &image.blobs().next().unwrap().digest;
        let path = format!("/v2/team/app/blobs/uploads/?mount={digest}&from={from}");
        bearer(registry.post(path), &token(&registry, Some(ALICE), scopes)).send()
    };
    let answer = mount(&open, "public/app", target).expect_error(401, "UNAUTHORIZED");
    let both = format!("{target} repository:public/app:pull");
    let challenge = answer.need("www-authenticate");
    let expected = format!(",scope=\"{both}\",error=\"insufficient_scope\"");
    assert!(challenge.ends_with(&expected), "{challenge}");
    mount(&open, "public/app", &both).expect(201);
    mount(&secret, "other/app", target).expect(202);
    mount(&secret, "other/none", target).expect(202);
}

/// Case 41: what the caller may not pull and what is not there look alike, for whoever is known.
#[test]
fn existence_is_not_revealed() {
    let registry = with_access(rules());
    let image = seed(&registry, "other/app", "secret");
    let manifest = &image.manifest.digest;
    for (there, not_there) in [
        (
            "/v2/other/app/manifests/v1".to_owned(),
            "/v2/other/none/manifests/v1".to_owned(),
        ),
        (
            format!("/v2/other/app/manifests/{manifest}"),
            "/v2/other/app/manifests/none".to_owned(),
        ),
        (
            "/v2/other/app/tags/list".to_owned(),
            "/v2/other/none/tags/list".to_owned(),
        ),
    ] {
        for who in [None, Some(BOB)] {
            let one = as_user(registry.get(&there), who).send();
            let other = as_user(registry.get(&not_there), who).send();
            assert_eq!(one.status, if who.is_some() { 403 } else { 401 });
            let masked =
                |answer: &Answer| answer.json().to_string().replace("other/none", "other/app");
            assert_eq!((one.status, masked(&one)), (other.status, masked(&other)));
        }
    }
}

#[test]
fn the_challenge_asks_for_what_the_request_needs() {
    let registry = with_tokens(rules());
    let digest = sha256(b"x");
    for (method, target, scope) in [
        ("GET", "/v2/", None),
        ("GET", "/v2/_catalog?n=1", None),
        (
            "GET",
            "/v2/team/app/tags/list",
            Some("repository:team/app:pull"),
        ),
        (
            "PUT",
            "/v2/team/app/manifests/v1",
            Some("repository:team/app:pull,push"),
        ),
        (
            "DELETE",
            "/v2/team/app/manifests/v1",
            Some("repository:team/app:delete"),
        ),
        (
            "POST",
            &format!("/v2/team/app/blobs/uploads/?mount={digest}&from=other/lib"),
            Some("repository:team/app:pull,push repository:other/lib:pull"),
        ),
    ] {
        let answer = registry.request(method, target).send();
        if target.contains("_catalog") {
            answer.expect(200);
            continue;
        }
        let answer = answer.expect_error(401, "UNAUTHORIZED");
        let scope = scope
            .map(|scope| format!(",scope=\"{scope}\""))
            .unwrap_or_default();
        assert_eq!(
            answer.need("www-authenticate"),
            format!("Bearer realm=\"{REALM}\",service=\"registry.example\"{scope}")
        );
    }
    // Nothing that a client writes can add to it.
    let answer = registry.get("/v2/a%22,error=%22x/tags/list").send();
    assert_eq!(answer.status, 401);
    assert!(!answer.need("www-authenticate").contains("error"));
}

/// Case 74, and what a client needs of the token server.
#[test]
fn tokens_are_issued_for_no_more_than_the_policy_allows() {
    let registry = with_tokens(rules());
    seed(&registry, "team/app", "app");
    let scope = "repository:team/app:pull,push,delete";
    let token = token(&registry, Some(BOB), scope);
    bearer(registry.get("/v2/"), &token).send().expect(200);
    bearer(registry.get("/v2/team/app/manifests/v1"), &token)
        .send()
        .expect(200);
    let refused = bearer(registry.post("/v2/team/app/blobs/uploads/"), &token)
        .send()
        .expect_error(401, "UNAUTHORIZED");
    assert!(
        refused
            .need("www-authenticate")
            .contains("insufficient_scope")
    );
    assert!(!registry.log().contains(&token), "a token is in the log");

    // The form of OAuth 2.
    let form = |body: &str| {
        registry
            .post("/auth/token")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
    };
    let login = "grant_type=password&service=registry.example&client_id=test&access_type=offline\
                 &username=alice&password=correct%3A+horse&scope=repository:team/app:pull,push+repository:public/app:pull";
    let answer = form(login).expect(200).json();
    assert_eq!(
        answer["scope"],
        "repository:team/app:pull,push repository:public/app:pull"
    );
    let refresh = answer["refresh_token"].as_str().unwrap();
    let again = format!(
        "grant_type=refresh_token&service=registry.example&client_id=test&refresh_token={refresh}&scope={scope}"
    );
    let again = form(&again).expect(200).json();
    assert_eq!(again["scope"], "repository:team/app:pull,push");
    assert_eq!(again["refresh_token"], refresh);
    for body in [
        "grant_type=password&username=alice&password=wrong",
        "grant_type=refresh_token&refresh_token=a.b.c",
        &format!("grant_type=refresh_token&refresh_token={token}"),
    ] {
        let answer = form(body).expect_error(401, "UNAUTHORIZED");
        assert_eq!(answer.need("www-authenticate"), "Basic realm=\"roadstead\"");
    }
    for body in ["grant_type=password", "grant_type=magic", "service=other"] {
        form(body).expect(400);
    }
    let long = format!(
        "grant_type=password&username=a&password={}",
        "x".repeat(70_000)
    );
    form(&long).expect(413);
    registry.put("/auth/token").send().expect(405);
    let refused = registry.get("/auth/token").basic("alice", "wrong").send();
    refused.expect_error(401, "UNAUTHORIZED");
}

/// Case 30, R14: a session is its opener's alone, whatever another may do with the repository.
#[test]
fn an_upload_belongs_to_who_began_it() {
    let registry = with_access(rules());
    let begun = as_user(registry.post("/v2/team/app/blobs/uploads/"), Some(ALICE))
        .send()
        .expect(202);
    let session = begun.need("location").to_owned();
    for who in [CREATE, ROOT] {
        for method in ["GET", "PATCH", "DELETE"] {
            let request = as_user(registry.request(method, &session), Some(who));
            request.send().expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
    // Cancelling needs no right to delete.
    as_user(registry.delete(&session), Some(ALICE))
        .send()
        .expect(204);
}

/// Empty Basic credentials are nobody's, which some clients send after a Basic challenge.
#[test]
fn anonymous_clients_get_in_as_the_policy_lets_them() {
    let empty = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(":"));
    for (access, status) in [(rules(), 200), (json!({"preset": "private"}), 401)] {
        let registry = with_access(access);
        registry.get("/v2/").send().expect(401);
        let answer = registry.get("/v2/").header("Authorization", &empty).send();
        assert_eq!(answer.status, status);
    }
    let registry = with_access(json!({"preset": "public-read"}));
    seed(&registry, "any/app", "app");
    registry.get("/v2/any/app/manifests/v1").send().expect(200);
    registry
        .get("/v2/any/app/manifests/v1")
        .header("Authorization", &empty)
        .send()
        .expect(200);
    registry
        .post("/v2/any/app/blobs/uploads/")
        .send()
        .expect(401);
    // Wrong credentials are wrong, though nobody in particular would get in.
    registry
        .get("/v2/any/app/manifests/v1")
        .basic("alice", "wrong")
        .send()
        .expect(401);
}

/// R18: what lets everybody do everything is asked for twice, or for this machine alone.
#[test]
fn an_open_registry_on_every_address_is_asked_for_twice() {
    let open = |address: &str, access: Value| {
        Builder::new().config(json!({"access": access, "http": {"addr": address}}))
    };
    let lines = open("0.0.0.0:0", json!({"preset": "open"})).refused();
    assert!(
        lines.iter().any(|line| line.contains("opentoall")),
        "{lines:?}"
    );
    let twice = open("0.0.0.0:0", json!({"preset": "open", "opentoall": true})).check();
    assert!(twice.status.success(), "{twice:?}");
    let registry = open("127.0.0.1:0", json!({"preset": "open"})).start();
    registry.post("/v2/a/blobs/uploads/").send().expect(202);
}

#[test]
fn rules_that_cannot_be_understood_stop_the_start() {
    for (access, part) in [
        (json!({}), "without a preset and rules"),
        (
            json!({"preset": "public"}),
            "expected public-read, private, open",
        ),
        (
            json!({"rules": [{"to": "everyone", "on": "**"}]}),
            "needs allow or deny",
        ),
        (
            json!({"rules": [{"allow": "fly", "to": "everyone", "on": "**"}]}),
            "is no action",
        ),
        (
            json!({"rules": [{"allow": "pull", "to": "alice", "on": "**"}]}),
            "is no subject",
        ),
        (
            json!({"rules": [{"allow": "pull", "to": "everyone"}]}),
            "needs a repository",
        ),
        (
            json!({"rules": [{"allow": "pull", "to": "everyone", "on": "**", "when": "usr == 1"}]}),
            "usr is not known",
        ),
        (
            json!({"preset": "private", "tokens": {"lifetime": "2h"}}),
            "expected 1m to 1h",
        ),
        (
            json!({"preset": "private", "rules": [{"alow": "pull"}]}),
            "allow",
        ),
    ] {
        let builder = Builder::new().config(json!({ "access": access.clone() }));
        let lines = builder.refused();
        assert!(
            lines.iter().any(|line| line.contains(part)),
            "{access}: {lines:?}"
        );
        let wrong_preset = part.starts_with("expected public-read");
        assert!(!wrong_preset || lines.len() == 1, "{lines:?}");
    }
}

#[test]
fn the_policy_explains_itself() {
    let builder = Builder::new().config(json!({ "access": rules() }));
    // Writes the file.
    assert!(builder.check().status.success());
    let explain = |question: &str| {
        let config = builder.path("config.yml");
        let mut arguments = vec!["auth".to_owned(), "explain".to_owned()];
        arguments.extend(question.split(' ').map(str::to_owned));
        arguments.push(config.display().to_string());
        let output = builder.run(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    };
    let allowed = "--as bob --repository team/app --action pull";
    assert_eq!(
        explain(allowed),
        (
            0,
            "allowed: bob pull team/app\nby: rule 4: allow pull,list to group:dev on team/**\n\
             in groups: dev\n"
                .to_owned()
        )
    );
    let denied = "--as root --repository public/app --action delete";
    let (code, text) = explain(denied);
    assert_eq!(code, 3);
    assert!(text.contains("denied: root delete public/app"), "{text}");
    assert!(
        text.contains("by: rule 6 \"keep releases\": deny delete"),
        "{text}"
    );
    let (code, _) = explain("--as zoe --group dev --repository team/app --action pull");
    assert_eq!(code, 0);
    let (code, text) = explain("--as anonymous --repository team/app --action pull");
    assert_eq!((code, text.contains("no rule allows it")), (3, true));
    assert_eq!(explain("--as bob --repository Bad --action pull").0, 1);
    assert_eq!(explain("--as bob --repository a --action fly").0, 1);
}

/// Each example of the documentation is a configuration as it is written; parts of one are taken
/// with what every file has.
#[test]
fn the_examples_of_the_documentation_are_accepted() {
    let text = include_str!("../../../../docs/access.md");
    let blocks: Vec<&str> = text
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let complete = blocks.iter().filter(|block| block.contains("version:"));
    assert_eq!(complete.count(), 5);
    for block in blocks {
        let whole = match block.contains("version:") {
            true => block.to_owned(),
            false => format!("version: 0.1\nstorage: inmemory\n{block}"),
        };
        let output = Builder::new().bare().text(&whole).check();
        assert!(output.status.success(), "{whole}\n{output:?}");
    }
}

/// A credential is an `Authorization` header: neither a query nor a cookie is one, and nothing tells
/// a browser that it may ask for another site.
#[test]
fn credentials_come_in_one_place_and_browsers_are_told_nothing() {
    let registry = with_tokens(rules());
    let token = token(&registry, Some(ALICE), "repository:team/app:pull,push");
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("{}:{}", ALICE.0, ALICE.1));
    for (target, header, value) in [
        (
            format!("/v2/?access_token={token}"),
            "X-Nothing",
            String::new(),
        ),
        (format!("/v2/?token={token}"), "X-Nothing", String::new()),
        ("/v2/".to_owned(), "Cookie", format!("token={token}")),
        (
            "/v2/".to_owned(),
            "Cookie",
            format!("Authorization=Bearer {token}"),
        ),
        (
            "/v2/".to_owned(),
            "Proxy-Authorization",
            format!("Basic {basic}"),
        ),
        ("/v2/".to_owned(), "X-Forwarded-User", ALICE.0.to_owned()),
    ] {
        let answer = registry.get(&target).header(header, value).send();
        answer.expect_error(401, "UNAUTHORIZED");
    }
    for method in ["OPTIONS", "GET"] {
        let answer = as_user(
            registry.request(method, "/v2/team/app/tags/list"),
            Some(ALICE),
        )
        .header("Origin", "https://evil.example")
        .header("Access-Control-Request-Method", "PUT")
        .send();
        let cors = |name: &&str| answer.header(name).is_some();
        let told = [
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "access-control-allow-methods",
        ];
        assert!(!told.iter().any(cors), "{answer:?}");
    }
}

/// R19: whatever happens to a secret, it is in no log, no audit line, no answer and no health page.
#[test]
fn no_secret_is_in_any_output() {
    const CANARY: &str = "canary-0f3c";
    let users = [("alice", "canary-0f3c-alice"), ("bob", "canary-0f3c-bob")];
    let builder = Builder::new().users(&users);
    let audit = builder.path("audit.jsonl");
    let registry = builder
        .config(json!({
            "access": {"preset": "private", "audit": {"path": audit.clone(), "which": "all"}},
            "log": {"level": "debug", "formatter": "json"},
            "http": {"host": "https://registry.example", "relativeurls": true},
        }))
        .start();
    let robot = registry.builder().run([
        "robot".to_owned(),
        "create".to_owned(),
        registry.builder().path("config.yml").display().to_string(),
        "ci".to_owned(),
    ]);
    assert!(robot.status.success(), "{robot:?}");
    let key = String::from_utf8(robot.stdout).unwrap().trim().to_owned();
    let form = format!(
        "grant_type=password&username=alice&password={}&access_type=offline&scope=repository:a:pull",
        users[0].1
    );
    let answer = registry
        .post("/auth/token")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .expect(200)
        .json();
    let token = answer["token"].as_str().unwrap().to_owned();
    let refresh = answer["refresh_token"].as_str().unwrap().to_owned();
    let mut answers = String::new();
    let mut note = |answer: Answer| answers.push_str(&format!("{answer:?}"));
    for (user, password) in [
        ("alice", users[0].1),
        ("alice", "canary-0f3c-wrong"),
        ("canary-0f3c\u{1b}[31m", "x"),
        ("ci", &key),
        ("ci", &refresh),
        ("alice", &refresh),
        ("alice", &token),
    ] {
        note(registry.get("/v2/").basic(user, password).send());
    }
    for value in [&token, &refresh, &key, CANARY] {
        note(bearer(registry.get("/v2/a/tags/list"), value).send());
    }
    let query = format!("/auth/token?password={CANARY}&scope=repository:a:{CANARY}");
    note(registry.get(query).basic("bob", users[1].1).send());
    let log = registry.log();
    let audit = std::fs::read_to_string(audit).unwrap();
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for (what, text) in [("log", &log), ("audit", &audit), ("answers", &answers)] {
        for secret in [
            users[0].1,
            users[1].1,
            "canary-0f3c-wrong",
            &key,
            &signature(&token),
            &signature(&refresh),
        ] {
            assert!(!text.contains(secret), "{what} has {secret}");
        }
        assert!(!text.contains('\u{1b}'), "{what} has an escape character");
    }
}
