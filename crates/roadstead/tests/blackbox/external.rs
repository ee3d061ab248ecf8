//! `auth.token` and `auth.silly`: tokens that another server issues, verified by certificates, by a
//! file of keys and by an address where keys are published.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::CertificateParams;
use serde_json::{Value, json};

use crate::harness::{Answer, Authority, Builder, Image, Provider, Registry, Request, SOON, until};

const REALM: &str = "https://auth.example/token";
const SERVICE: &str = "registry.example";
const ISSUER: &str = "auth.example";

/// A key of an issuer, and what it is called.
struct Signer {
    pair: EcdsaKeyPair,
    kid: String,
}

impl Signer {
    fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let kid = kid.to_owned();
        Self { pair, kid }
    }

    /// The key of a certificate, under its thumbprint (RFC 7638).
    fn of(key_pem: &str) -> Self {
        let der = key_pem.lines().filter(|line| !line.starts_with("-----"));
        let der = BASE64_STANDARD.decode(der.collect::<String>()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
        let mut signer = Self {
            pair,
            kid: String::new(),
        };
        let jwk = signer.jwk();
        let text = |name: &str| jwk[name].as_str().unwrap().to_owned();
        let (x, y) = (text("x"), text("y"));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        signer.kid = encode(digest::digest(&digest::SHA256, members.as_bytes()));
        signer
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": encode(x), "y": encode(y)})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.unwrap()))
    }

    fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "JWT", "kid": self.kid})
    }

    /// A good token with this access.
    fn token(&self, access: Value) -> String {
        self.sign(&self.header(), &claims(json!({ "access": access })))
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// The usual claims with these over them; null takes one away.
fn claims(more: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": SERVICE, "sub": "alice", "exp": now() + 300, "nbf": now(),
        "iat": now(), "jti": "1", "access": [],
    });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn repository(name: &str, actions: &[&str]) -> Value {
    json!({"type": "repository", "class": "", "name": name, "actions": actions})
}

fn write_keys(path: &Path, signers: &[&Signer]) {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    std::fs::write(path, json!({ "keys": keys }).to_string()).unwrap();
}

fn with_token(section: Value) -> Value {
    let mut token = json!({"realm": REALM, "service": SERVICE, "issuer": ISSUER});
    for (name, value) in section.as_object().unwrap() {
        token[name] = value.clone();
    }
    json!({
        "auth": {"token": token},
        "http": {"debug": {"addr": "127.0.0.1:0"}},
    })
}

/// A registry that takes tokens of this key, from a file.
fn start(signer: &Signer) -> Registry {
    let builder = Builder::new();
    let path = builder.path("jwks.json");
    write_keys(&path, &[signer]);
    builder.config(with_token(json!({ "jwks": path }))).start()
}

fn bearer(request: Request, token: &str) -> Request {
    request.header("Authorization", format!("Bearer {token}"))
}

fn challenge(scope: &str, error: &str) -> String {
    let mut text = format!("Bearer realm=\"{REALM}\",service=\"{SERVICE}\"");
    for (name, value) in [("scope", scope), ("error", error)] {
        if !value.is_empty() {
            text.push_str(&format!(",{name}=\"{value}\""));
        }
    }
    text
}

#[track_caller]
fn expect_challenge(answer: Answer, scope: &str, error: &str) {
    let answer = answer.expect_error(401, "UNAUTHORIZED");
    let expected = challenge(scope, error);
    assert_eq!(answer.need("www-authenticate"), expected, "{answer:?}");
}

fn push(registry: &Registry, signer: &Signer, name: &str) -> Image {
    let token = signer.token(json!([repository(name, &["pull", "push"])]));
    let image = Image::new(name);
    for blob in image.blobs() {
        let target = format!("/v2/{name}/blobs/uploads/?digest={}", blob.digest);
        let request = bearer(registry.post(target), &token);
        request.body(&blob.bytes).send().expect(201);
    }
    let request = bearer(registry.put(format!("/v2/{name}/manifests/v1")), &token);
    let request = request.header("Content-Type", &image.manifest.media_type);
    request.body(&image.manifest.bytes).send().expect(201);
    image
}

/// What each request needs, and that a token without it is told so (compatibility of the Docker
/// registry's token protocol).
#[test]
fn a_token_covers_what_its_access_says() {
    let signer = Signer::new("key");
    let registry = start(&signer);
    let image = push(&registry, &signer, "team/app");
    expect_challenge(registry.get("/v2/").send(), "", "");
    let manifest = "/v2/team/app/manifests/v1";
    let target = format!("/v2/team/app/manifests/{}", image.manifest.digest);
    let pull = "repository:team/app:pull";
    let push = "repository:team/app:pull,push";
    let delete = "repository:team/app:delete";
    expect_challenge(registry.get(manifest).send(), pull, "");
    expect_challenge(
        registry.post("/v2/team/app/blobs/uploads/").send(),
        push,
        "",
    );
    expect_challenge(registry.delete(manifest).send(), delete, "");
    expect_challenge(
        registry.get("/v2/_catalog").send(),
        "registry:catalog:*",
        "",
    );
    let catalog =
        |actions: &[&str]| json!({"type": "registry", "name": "catalog", "actions": actions});
    // Access, method, target, status, and the scope of a refusal.
    let uploads = "/v2/team/app/blobs/uploads/";
    for (access, method, target, status, scope) in [
        (json!([]), "GET", "/v2/", 200, ""),
        (Value::Null, "GET", "/v2/", 200, ""),
        (json!([]), "GET", manifest, 401, pull),
        (
            json!([repository("team/app", &["pull"])]),
            "GET",
            manifest,
            200,
            "",
        ),
        (
            json!([repository("team/app", &["pull"])]),
            "HEAD",
            manifest,
            200,
            "",
        ),
        (
            json!([repository("team/app", &["pull"])]),
            "GET",
            "/v2/team/app/tags/list",
            200,
            "",
        ),
        (
            json!([repository("team/app", &["pull"])]),
            "POST",
            uploads,
            401,
            push,
        ),
        (
            json!([repository("team/app", &["push"])]),
            "POST",
            uploads,
            401,
            push,
        ),
        (
            json!([repository("team/app", &["pull", "push"])]),
            "POST",
            uploads,
            202,
            "",
        ),
        // Records of the same name count together.
        (
            json!([
                repository("team/app", &["pull"]),
                repository("team/app", &["push"])
            ]),
            "POST",
            uploads,
            202,
            "",
        ),
        (
            json!([repository("team/app", &["*"])]),
            "POST",
            uploads,
            202,
            "",
        ),
        (
            json!([repository("team/app", &["pull", "push"])]),
            "DELETE",
            manifest,
            401,
            delete,
        ),
        (
            json!([repository("team/app", &["pull", "push"])]),
            "DELETE",
            &target,
            401,
            delete,
        ),
        // Names are no patterns, and neither are types.
        (
            json!([repository("team/*", &["*"])]),
            "GET",
            manifest,
            401,
            pull,
        ),
        (json!([repository("*", &["*"])]), "GET", manifest, 401, pull),
        (
            json!([repository("team", &["*"])]),
            "GET",
            manifest,
            401,
            pull,
        ),
        (
            json!([repository("Team/App", &["*"])]),
            "GET",
            manifest,
            401,
            pull,
        ),
        (
            json!([{"type": "repository(plugin)", "name": "team/app", "actions": ["*"]}]),
            "GET",
            manifest,
            401,
            pull,
        ),
        (
            json!([{"type": "repository", "class": "plugin", "name": "team/app", "actions": ["pull"]}]),
            "GET",
            manifest,
            200,
            "",
        ),
        (
            json!([repository("team/app", &["*"])]),
            "GET",
            "/v2/_catalog",
            401,
            "registry:catalog:*",
        ),
        (
            json!([catalog(&["pull"])]),
            "GET",
            "/v2/_catalog",
            401,
            "registry:catalog:*",
        ),
        (json!([catalog(&["*"])]), "GET", "/v2/_catalog", 200, ""),
        (json!([catalog(&["*"])]), "GET", manifest, 401, pull),
        (
            json!([repository("team/app", &["delete"])]),
            "DELETE",
            manifest,
            202,
            "",
        ),
    ] {
        let token = signer.token(access.clone());
        let answer = bearer(registry.request(method, target), &token).send();
        match status {
            401 => expect_challenge(answer, scope, "insufficient_scope"),
            status => assert_eq!(
                answer.status, status,
                "{access} {method} {target}: {answer:?}"
            ),
        }
    }
    // The catalog's token sees everything.
    let token = signer.token(json!([catalog(&["*"])]));
    let list = bearer(registry.get("/v2/_catalog"), &token)
        .send()
        .expect(200);
    assert_eq!(list.json(), json!({"repositories": ["team/app"]}));
}

#[test]
fn uploads_and_mounts_need_what_they_touch() {
    let signer = Signer::new("key");
    let registry = start(&signer);
    let image = push(&registry, &signer, "team/base");
    let push_token = signer.token(json!([repository("team/app", &["pull", "push"])]));
    let begin = || {
        let begun = bearer(registry.post("/v2/team/app/blobs/uploads/"), &push_token).send();
        begun.expect(202).need("location").to_owned()
    };
    // To cancel one's own upload is part of pushing, and no part of deleting.
    let session = begin();
    let deleter = signer.token(json!([repository("team/app", &["delete", "pull"])]));
    let answer = bearer(registry.delete(&session), &deleter).send();
    expect_challenge(
        answer,
        "repository:team/app:pull,push",
        "insufficient_scope",
    );
    bearer(registry.delete(&session), &push_token)
        .send()
        .expect(204);
    // Another's session is not there (R14).
    let session = begin();
    let access = json!([repository("team/app", &["*"])]);
    let other = claims(json!({"sub": "bob", "access": access}));
    let other = signer.sign(&signer.header(), &other);
    for method in ["GET", "PATCH", "DELETE"] {
        let answer = bearer(registry.request(method, &session), &other).send();
        answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    // A mount names its source, so that the client gets a token for both.
    let digest = &image.blobs().next().unwrap().digest;
    let mount = format!("/v2/team/app/blobs/uploads/?mount={digest}&from=team/base");
    let both = "repository:team/app:pull,push repository:team/base:pull";
    expect_challenge(registry.post(&mount).send(), both, "");
    let answer = bearer(registry.post(&mount), &push_token).send();
    expect_challenge(answer, both, "insufficient_scope");
    let elsewhere = format!("/v2/team/app/blobs/uploads/?mount={digest}&from=team/none");
    let answer = bearer(registry.post(&elsewhere), &push_token).send();
    let none = "repository:team/app:pull,push repository:team/none:pull";
    expect_challenge(answer, none, "insufficient_scope");
    let source = signer.token(json!([repository("team/base", &["pull"])]));
    let answer = bearer(registry.post(&mount), &source).send();
    expect_challenge(answer, both, "insufficient_scope");
    let token = signer.token(json!([
        repository("team/app", &["pull", "push"]),
        repository("team/base", &["pull"]),
    ]));
    bearer(registry.post(&mount), &token).send().expect(201);
}

/// R15 and cases 71 and 72, each with the challenge that `distribution` gives.
#[test]
fn tokens_that_prove_nothing_are_refused() {
    let (signer, stranger) = (Signer::new("key"), Signer::new("key"));
    let registry = start(&signer);
    let access = json!([repository("team/app", &["pull"])]);
    let with = |more: Value| {
        let mut all = json!({ "access": access });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        signer.sign(&signer.header(), &claims(all))
    };
    let good = with(json!({}));
    let usual = claims(json!({ "access": access }));
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let headed = |more: Value| {
        let mut header = signer.header();
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        header
    };
    let own = |more: Value| signer.sign(&headed(more), &usual);
    let theirs = |more: Value| stranger.sign(&headed(more), &usual);
    // The public key as the secret of an HMAC, the classic way in.
    let public = signer.pair.public_key().as_der().unwrap();
    let hmac = {
        let header = encode(json!({"alg": "HS256", "kid": "key"}).to_string());
        let signed = format!("{header}.{payload}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_ref());
        let tag = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", encode(tag))
    };
    let unsigned = |alg: &str| encode(json!({"alg": alg, "kid": "key"}).to_string());
    let garbage_x5c = own(json!({"x5c": ["AAAA"]}));
    let bad = [
        ("another issuer", with(json!({"iss": "other"}))),
        ("no issuer", with(json!({"iss": null}))),
        ("another service", with(json!({"aud": "other"}))),
        ("other services", with(json!({"aud": ["a", "b"]}))),
        ("no service", with(json!({"aud": null}))),
        ("expired", with(json!({"exp": now() - 120}))),
        ("no end", with(json!({"exp": null}))),
        ("not yet", with(json!({"nbf": now() + 600}))),
        ("unknown key", own(json!({"kid": "other"}))),
        ("no key named", own(json!({"kid": ""}))),
        ("alg none", format!("{}.{payload}.", unsigned("none"))),
        ("alg None", format!("{}.{payload}.", unsigned("None"))),
        ("unknown algorithm", own(json!({"alg": "ES256K"}))),
        ("a chain that leads nowhere", garbage_x5c),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.{signature}")),
        (
            "five parts, as an encrypted one",
            format!("{header}..{payload}.{payload}.{signature}"),
        ),
        ("encrypted", own(json!({"enc": "A128GCM", "alg": "dir"}))),
        ("padded", format!("{header}.{payload}.{signature}=")),
        ("no base64", format!("{header}.{payload}.*")),
        ("no JSON", format!("{}.{payload}.{signature}", encode("{"))),
    ];
    let plain = [
        ("a stranger's", theirs(json!({}))),
        (
            "other claims",
            format!(
                "{header}.{}.{signature}",
                encode(claims(json!({"access": []})).to_string())
            ),
        ),
        ("no signature", format!("{header}.{payload}.")),
        ("an embedded key", theirs(json!({"jwk": stranger.jwk()}))),
        (
            "a key elsewhere",
            theirs(json!({"jku": "https://evil.example", "x5u": "https://evil.example"})),
        ),
        ("critical extensions", own(json!({"crit": ["exp"]}))),
        ("an end that is text", with(json!({"exp": "tomorrow"}))),
        ("an end in fractions", with(json!({"exp": 1.5e9 + 0.5}))),
        ("access that is none", with(json!({"access": "all"}))),
    ];
    let manifest = "/v2/team/app/manifests/v1";
    let scope = "repository:team/app:pull";
    let kinds = [(&bad[..], "invalid_token"), (&plain[..], "")];
    for (tokens, error) in kinds {
        for (what, token) in tokens {
            let answer = bearer(registry.get(manifest), token).send();
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            assert_eq!(
                answer.need("www-authenticate"),
                challenge(scope, error),
                "{what}"
            );
            let answer = bearer(registry.get("/v2/"), token).send();
            assert_eq!(
                answer.need("www-authenticate"),
                challenge("", error),
                "{what}"
            );
        }
    }
    // HS256 with a public key: no key verifies it, whatever the challenge says of it.
    let answer = bearer(registry.get(manifest), &hmac).send().expect(401);
    assert!(
        !answer
            .need("www-authenticate")
            .contains("insufficient_scope")
    );
    // Nothing that could be a token.
    for value in [
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Token x",
        &format!("bearer{good}"),
    ] {
        let answer = registry.get("/v2/").header("Authorization", value).send();
        assert_eq!(answer.status, 401, "{value:?}");
        let told = answer.need("www-authenticate");
        assert_eq!(told, challenge("", ""), "{value:?}");
    }
    // And those that are good.
    for token in [
        good.clone(),
        with(json!({"nbf": null})),
        with(json!({"nbf": now() + 30})),
        with(json!({"exp": now() - 30})),
        with(json!({"aud": ["other", SERVICE]})),
        with(json!({"sub": null})),
        own(json!({"jwk": stranger.jwk()})),
    ] {
        bearer(registry.get(manifest), &token)
            .send()
            .expect_error(404, "MANIFEST_UNKNOWN");
    }
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let value = format!("{scheme} {good}");
        registry
            .get("/v2/")
            .header("Authorization", value)
            .send()
            .expect(200);
    }
    assert!(!registry.log().contains(&good));
}

/// Case 73: bounds come first, and they cost nothing.
#[test]
fn long_tokens_pass_and_endless_ones_are_refused_cheaply() {
    let signer = Signer::new("key");
    let registry = start(&signer);
    let names: Vec<Value> = (0..200)
        .map(|index| repository(&format!("team/app-{index}"), &["pull"]))
        .collect();
    let mut count = 0;
    let eight = loop {
        count += 1;
        let token = signer.token(json!(names[..count]));
        if token.len() >= 8 << 10 {
            break token;
        }
    };
    assert!(eight.len() < 9 << 10, "{}", eight.len());
    bearer(registry.get("/v2/"), &eight).send().expect(200);
    let covered = format!("/v2/team/app-{}/tags/list", count - 1);
    bearer(registry.get(covered), &eight)
        .send()
        .expect_error(404, "NAME_UNKNOWN");
    let dots = ".".repeat(10_000);
    for endless in [&dots, &"a.".repeat(5_000), &"x".repeat(16 << 10)] {
        let answer = bearer(registry.get("/v2/"), endless).send();
        expect_challenge(answer, "", "invalid_token");
    }
    let before = registry.processor_time();
    for _ in 0..20 {
        for token in [&"x".repeat(1 << 20), &"x".repeat(15 << 10), &dots] {
            // A server may close on a header that it will not read to its end.
            if let Ok(answer) = bearer(registry.get("/v2/"), token).exchange() {
                assert!(matches!(answer.status, 400 | 401 | 431), "{answer:?}");
            }
        }
    }
    // Sixty of them, for each of which 10 ms would be the most, on a build without optimisation.
    let spent = registry.processor_time() - before;
    assert!(spent < Duration::from_secs(6), "{spent:?}");
    bearer(registry.get("/v2/"), &eight).send().expect(200);
}

#[test]
fn certificates_are_trusted_by_thumbprint_and_by_chain() {
    let builder = Builder::new();
    let authority = Authority::new("tokens");
    let leaf = authority.issue(CertificateParams::default());
    let other = Authority::new("others").issue(CertificateParams::default());
    let path = builder.path("bundle.pem");
    let direct = authority.issue(CertificateParams::default());
    std::fs::write(&path, format!("{}{}", direct.certificate, authority.pem())).unwrap();
    let registry = builder
        .config(with_token(json!({ "rootcertbundle": path })))
        .start();
    let chain = |pair: &crate::harness::Pair| json!([BASE64_STANDARD.encode(pair.der())]);
    let signed = |signer: &Signer, header: Value| signer.sign(&header, &claims(json!({})));
    let (known, below, unknown) = (
        Signer::of(&direct.key),
        Signer::of(&leaf.key),
        Signer::of(&other.key),
    );
    for (what, token, error) in [
        ("by thumbprint", signed(&known, known.header()), None),
        (
            "by chain",
            signed(&below, json!({"alg": "ES256", "x5c": chain(&leaf)})),
            None,
        ),
        (
            "below the bundle, by thumbprint",
            signed(&below, below.header()),
            Some("invalid_token"),
        ),
        (
            "by a chain to another authority",
            signed(&unknown, json!({"alg": "ES256", "x5c": chain(&other)})),
            Some("invalid_token"),
        ),
        (
            "by somebody else's chain",
            signed(&unknown, json!({"alg": "ES256", "x5c": chain(&leaf)})),
            Some(""),
        ),
        (
            "under a known name",
            signed(&unknown, known.header()),
            Some(""),
        ),
        (
            "a chain that is none, for a known key",
            signed(
                &known,
                json!({"alg": "ES256", "kid": known.kid, "x5c": ["AAAA"]}),
            ),
            Some("invalid_token"),
        ),
    ] {
        let answer = bearer(registry.get("/v2/"), &token).send();
        match error {
            None => assert_eq!(answer.status, 200, "{what}: {answer:?}"),
            Some(error) => {
                assert_eq!(answer.status, 401, "{what}");
                assert_eq!(
                    answer.need("www-authenticate"),
                    challenge("", error),
                    "{what}"
                );
            }
        }
    }
}

/// R16: a key that is taken out of the file is worth nothing within seconds, tokens that were
/// verified before included.
#[test]
fn a_changed_key_file_is_in_force_and_a_broken_one_is_not() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let registry = start(&old);
    let path = registry.builder().path("jwks.json");
    let tokens = [&old, &new].map(|signer| signer.token(json!([])));
    let statuses = || {
        let status = |token| bearer(registry.get("/v2/"), token).send().status;
        tokens.each_ref().map(|token| status(token))
    };
    assert_eq!(statuses(), [200, 401]);
    let good = std::fs::read(&path).unwrap();
    for broken in [Some(&good[..good.len() / 2]), Some(b"{}"), Some(b""), None] {
        match broken {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        until("the health page says it", SOON, || {
            let health = registry.health();
            let text = String::from_utf8_lossy(&health.body).into_owned();
            text.contains("jwks.json").then_some(())
        });
        assert_eq!(statuses(), [200, 401]);
    }
    write_keys(&path, &[&new]);
    until("the new keys are in force", SOON, || {
        (statuses() == [401, 200]).then_some(())
    });
    until("the health page is content", SOON, || {
        let health = registry.health();
        let text = String::from_utf8_lossy(&health.body).into_owned();
        (!text.contains("jwks.json")).then_some(())
    });
}

#[test]
fn keys_are_taken_from_where_the_issuer_publishes_them() {
    let provider = Provider::start();
    provider.be_away(true);
    let url = format!("{}/keys", provider.issuer());
    let section = with_token(json!({"jwksurl": url, "issuer": provider.issuer()}));
    let egress = json!({"egress": {"allow": ["127.0.0.1"], "ca": provider.ca()}});
    let mut section = section;
    section["access"] = egress;
    // Rules may stand beside it: a token says by itself what its holder may do.
    section["access"]["preset"] = json!("private");
    section["access"]["tokens"] = json!({"disabled": true});
    let registry = Builder::new().config(section).start();
    let access = json!({"access": [repository("team/app", &["pull"])]});
    let stranger = Provider::start();
    let forged = json!({"access": access["access"], "iss": provider.issuer()});
    let token = || provider.id_token("alice", SERVICE, &access);
    let first = token();
    let answer = bearer(registry.get("/v2/"), &first).send_any();
    answer.expect_error(503, "UNAVAILABLE").need("retry-after");
    provider.be_away(false);
    until("the keys are there", SOON, || {
        let answer = bearer(registry.get("/v2/"), &first).send_any();
        (answer.status == 200).then_some(())
    });
    // A key that nobody has heard of is asked for at once.
    provider.rotate();
    bearer(registry.get("/v2/"), &token()).send().expect(200);
    let answer = bearer(
        registry.get("/v2/"),
        &stranger.id_token("alice", SERVICE, &forged),
    )
    .send();
    answer.expect(401);
    // Whoever is away later is missed by nobody.
    provider.be_away(true);
    let tags = "/v2/team/app/tags/list";
    bearer(registry.get(tags), &token())
        .send()
        .expect_error(404, "NAME_UNKNOWN");
    bearer(registry.get("/v2/team/lib/tags/list"), &first)
        .send()
        .expect(401);
}

#[test]
fn the_realm_may_follow_the_host_that_was_asked() {
    let signer = Signer::new("key");
    let builder = Builder::new();
    let path = builder.path("jwks.json");
    write_keys(&path, &[&signer]);
    for (more, expected) in [
        (json!({}), "/auth/token"),
        (
            json!({"autoredirectpath": "/service/token"}),
            "/service/token",
        ),
    ] {
        let mut section = json!({"jwks": path, "autoredirect": true});
        for (name, value) in more.as_object().unwrap() {
            section[name] = value.clone();
        }
        let registry = builder.clone().config(with_token(section)).start();
        let realm = |host: &str| {
            let answer = registry.get("/v2/").header("Host", host).send().expect(401);
            answer.need("www-authenticate").to_owned()
        };
        for host in ["r.example", "r.example:5000", "[::1]:5000"] {
            let url = format!("https://{host}{expected}");
            assert_eq!(
                realm(host),
                format!("Bearer realm=\"{url}\",service=\"{SERVICE}\"")
            );
        }
        // Nothing in a host ends the quotes.
        let answer = registry.get("/v2/").header("Host", "a\",error=\"b").send();
        if answer.status == 401 {
            let told = answer.need("www-authenticate");
            assert!(!told.contains(",error=\"b"), "{told}");
        }
    }
}

/// R18: what cannot be understood or loaded does not leave the registry open.
#[test]
fn a_section_that_cannot_be_used_stops_the_start() {
    let directory = Builder::new();
    let file = |name: &str, text: &str| {
        let path = directory.path(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    for (section, part) in [
        (json!({}), "auth.token needs a key"),
        (json!({"jwks": directory.path("none.json")}), "none.json"),
        (json!({"jwks": file("empty.json", "")}), "empty.json"),
        (
            json!({"jwks": file("nothing.json", r#"{"keys": []}"#)}),
            "nothing.json",
        ),
        (
            json!({"rootcertbundle": file("text.pem", "text")}),
            "text.pem",
        ),
        (json!({"jwksurl": "http://auth.example/keys"}), "https://"),
        (json!({"jwks": "x", "signingalgorithms": ["none"]}), "none"),
        (
            json!({"jwks": "x", "autoredirectpath": "token"}),
            "must begin with /",
        ),
        (json!({"jwks": "x", "issuer": null}), "auth.token needs it"),
        (json!({"jwks": "x", "realm": null}), "auth.token needs it"),
        (json!({"jwks": "x", "service": null}), "auth.token needs it"),
    ] {
        let lines = Builder::new().config(with_token(section.clone())).refused();
        assert!(
            lines.iter().any(|line| line.contains(part)),
            "{section}: {lines:?}"
        );
    }
}

#[test]
fn a_silly_registry_takes_any_credentials_at_all() {
    let silly = json!({"auth": {"silly": {"realm": "https://silly.example/", "service": "fun"}}});
    let registry = Builder::new().config(silly).start();
    let told = "Bearer realm=\"https://silly.example/\",service=\"fun\"";
    let manifest = "/v2/team/app/manifests/v1";
    let refused = registry
        .get("/v2/")
        .send()
        .expect_error(401, "UNAUTHORIZED");
    assert_eq!(refused.need("www-authenticate"), told);
    let refused = registry.get(manifest).send().expect(401);
    let scope = format!("{told},scope=\"repository:team/app:pull\"");
    assert_eq!(refused.need("www-authenticate"), scope);
    registry
        .get("/v2/")
        .header("Authorization", "")
        .send()
        .expect(401);
    for value in [
        "x",
        "Basic !",
        "Bearer",
        "Bearer a.b.c",
        "Seriously, Anything",
    ] {
        let request = |request: Request| request.header("Authorization", value);
        request(registry.get("/v2/")).send().expect(200);
        request(registry.get(manifest))
            .send()
            .expect_error(404, "MANIFEST_UNKNOWN");
        request(registry.post("/v2/team/app/blobs/uploads/"))
            .send()
            .expect(202);
    }
    assert!(registry.log().contains("silly"));
}
