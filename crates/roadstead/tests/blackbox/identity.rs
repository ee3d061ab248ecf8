//! Who somebody is by another server's word: jobs and people of an OIDC provider, at the token
//! endpoint, by Basic and by `roadstead login`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Answer, Builder, CLIENT, Image, Provider, Registry, Request, SOON, until};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ROOT: (&str, &str) = ("root", "the root password");
/// What a job's token is for.
const AUDIENCE: &str = "registry";
const MAIN: &str = "refs/heads/main";

fn access(providers: &[(&str, &Provider)]) -> Value {
    let issuer = |(name, provider): &(&str, &Provider)| {
        json!({
            "name": name, "issuer": provider.issuer(), "audiences": [AUDIENCE],
            "clientid": CLIENT, "ca": provider.ca(), "groupsclaim": "groups",
        })
    };
    json!({
        "egress": {"allow": ["127.0.0.1"]},
        "oidc": providers.iter().map(issuer).collect::<Vec<_>>(),
        "rules": [
            {"allow": ["admin"], "to": "user:root", "on": "**"},
            {"allow": ["pull", "push", "overwrite"], "to": format!("claim:ref={MAIN}"), "on": "ci/**"},
            {"allow": ["pull"], "to": "oidc:idp/*", "on": "shared/**"},
            {"allow": ["pull"], "to": "authenticated", "on": "protected/**",
             "when": "has(claims.environment) && claims.environment == 'production'"},
            {"allow": ["pull", "push"], "to": "oidc:idp/alice", "on": "home/alice/**"},
            {"allow": ["pull", "push"], "to": "group:dev", "on": "team/**"},
        ],
    })
}

fn builder(providers: &[(&str, &Provider)]) -> Builder {
    Builder::new().users(&[ROOT]).config(json!({
        "access": access(providers),
        "http": {"host": "https://registry.example", "relativeurls": true},
    }))
}

fn start(providers: &[(&str, &Provider)]) -> Registry {
    let registry = builder(providers).start();
    for (_, provider) in providers {
        until("the issuer's keys are there", SOON, || {
            let token = provider.id_token("ready", AUDIENCE, &json!({}));
            (exchange(&registry, &token, "").status == 200).then_some(())
        });
    }
    registry
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode =
        |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    pairs.join("&")
}

fn ask(registry: &Registry, fields: &[(&str, &str)]) -> Answer {
    let request = registry.post("/auth/token");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body(form(fields)).send_any()
}

/// Asks for a token and a refresh token.
fn exchange(registry: &Registry, subject_token: &str, scope: &str) -> Answer {
    ask(
        registry,
        &[
            ("grant_type", EXCHANGE),
            ("subject_token", subject_token),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token",
            ),
            ("service", "registry.example"),
            ("access_type", "offline"),
            ("scope", scope),
        ],
    )
}

fn bearer(request: Request, token: &str) -> Request {
    request.header("Authorization", format!("Bearer {token}"))
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {json}"))
}

fn seed(registry: &Registry, repository: &str) {
    registry.push_image_as(ROOT, repository, "v1", &Image::new(repository));
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Case 74, too: what is asked for beyond the policy is not in the token, and a request for it is
/// refused.
#[test]
fn a_job_exchanges_its_token_for_one_of_the_registry() {
    let provider = Provider::start();
    let registry = start(&[("idp", &provider)]);
    seed(&registry, "ci/app");
    seed(&registry, "shared/base");
    seed(&registry, "team/app");
    let job = provider.id_token("repo:team/app", AUDIENCE, &json!({"ref": MAIN}));
    let wanted = "repository:ci/app:pull,push,delete repository:shared/base:pull,push \
                  repository:team/app:pull registry:catalog:*";
    let answer = exchange(&registry, &job, wanted).expect(200).json();
    let covered = "repository:ci/app:pull,push repository:shared/base:pull";
    assert_eq!(text(&answer, "scope"), covered);
    // A job ends, and so must what it may do.
    assert_eq!(answer.get("refresh_token"), None, "{answer}");
    let token = text(&answer, "access_token");
    for (method, target, status) in [
        ("GET", "/v2/", 200),
        ("GET", "/v2/ci/app/manifests/v1", 200),
        ("POST", "/v2/ci/app/blobs/uploads/", 202),
        ("GET", "/v2/shared/base/manifests/v1", 200),
        ("POST", "/v2/shared/base/blobs/uploads/", 401),
        ("DELETE", "/v2/ci/app/manifests/v1", 401),
        ("GET", "/v2/team/app/manifests/v1", 401),
        ("GET", "/v2/_catalog", 401),
    ] {
        let answer = bearer(registry.request(method, target), token).send();
        assert_eq!(answer.status, status, "{method} {target}: {answer:?}");
        if status == 401 {
            let challenge = answer.need("www-authenticate");
            assert!(
                challenge.contains("error=\"insufficient_scope\""),
                "{challenge}"
            );
        }
    }
    // What a token says is read from the log of who did what, under the issuer's name.
    let line = registry.wait_for_log("oidc:idp/repo:team/app");
    assert!(!line.contains(token) && !registry.log().contains(&job));
    // Another branch, another right; and a condition on claims.
    let scopes = "repository:ci/app:push repository:protected/app:pull";
    for (claims, covered) in [
        (json!({"ref": "refs/heads/mainly"}), ""),
        (
            json!({"ref": "refs/heads/x", "environment": "production"}),
            "repository:protected/app:pull",
        ),
        (json!({"ref": [MAIN]}), "repository:ci/app:push"),
        (json!({"ref": {"name": MAIN}}), ""),
        (json!({"environment": "production", "ref": MAIN}), scopes),
        (json!({}), ""),
    ] {
        let token = provider.id_token("job", AUDIENCE, &claims);
        let answer = exchange(&registry, &token, scopes).expect(200).json();
        assert_eq!(text(&answer, "scope"), covered, "{claims}");
    }
}

/// As `docker login -u oidc` does, and what comes after it.
#[test]
fn a_token_stands_in_for_a_password() {
    let provider = Provider::start();
    let registry = start(&[("idp", &provider)]);
    seed(&registry, "shared/base");
    let job = provider.id_token("job", AUDIENCE, &json!({"ref": MAIN}));
    for (user, status) in [
        ("oidc", 200),
        ("idp/job", 200),
        ("root", 401),
        ("job", 401),
        ("idp/other", 401),
    ] {
        let answer = registry.get("/v2/").basic(user, &job).send();
        assert_eq!(answer.status, status, "{user}");
    }
    let target = "/auth/token?service=registry.example&account=oidc&offline_token=true\
                  &scope=repository:ci/app:push,pull&scope=repository:shared/base:pull";
    let answer = registry
        .get(target)
        .basic("oidc", &job)
        .send()
        .expect(200)
        .json();
    let covered = "repository:ci/app:pull,push repository:shared/base:pull";
    assert_eq!(text(&answer, "scope"), covered);
    assert_eq!(answer.get("refresh_token"), None);
    // Clients that know Basic alone use it at every request.
    let pulled = registry
        .get("/v2/shared/base/manifests/v1")
        .basic("oidc", &job);
    pulled.send().expect(200);
    let denied = registry
        .get("/v2/team/app/manifests/v1")
        .basic("oidc", &job);
    denied.send().expect_error(403, "DENIED");
    // As a Bearer token it is nothing: it was not issued for that.
    let direct = bearer(registry.get("/v2/"), &job).send().expect(401);
    assert!(
        direct
            .need("www-authenticate")
            .contains("error=\"invalid_token\"")
    );
}

/// R15, cases 71 and 72: each is refused in the same way, at the token endpoint and by Basic.
#[test]
fn tokens_that_prove_nothing_are_refused() {
    let (provider, stranger) = (Provider::start(), Provider::start());
    let registry = start(&[("idp", &provider)]);
    let job = |audience: &str, more: Value| provider.id_token("job", audience, &more);
    let good = job(AUDIENCE, json!({}));
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let none = encode(json!({"alg": "none", "kid": "key-1"}));
    let symmetric = encode(json!({"alg": "HS256", "kid": "key-1"}));
    let mut forged = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    forged[10] ^= 1;
    let forged = BASE64_URL_SAFE_NO_PAD.encode(forged);
    let other = encode(json!({
        "iss": provider.issuer(), "sub": "root", "aud": AUDIENCE, "exp": now() + 60, "iat": now(),
    }));
    let refused = [
        ("another audience", job("other", json!({}))),
        ("no audience", job(AUDIENCE, json!({"aud": []}))),
        ("expired", job(AUDIENCE, json!({"exp": now() - 120}))),
        ("no end", job(AUDIENCE, json!({"exp": null}))),
        ("not yet", job(AUDIENCE, json!({"nbf": now() + 600}))),
        ("of the future", job(AUDIENCE, json!({"iat": now() + 600}))),
        ("no subject", job(AUDIENCE, json!({"sub": null}))),
        (
            "another issuer",
            job(AUDIENCE, json!({"iss": "https://other.example"})),
        ),
        (
            "a stranger's",
            stranger.id_token("job", AUDIENCE, &json!({})),
        ),
        ("a stranger's in the issuer's name", {
            let claims = json!({"iss": provider.issuer()});
            stranger.id_token("job", AUDIENCE, &claims)
        }),
        ("no signature", format!("{none}.{payload}.")),
        ("unsigned", format!("{header}.{payload}.")),
        ("symmetric", format!("{symmetric}.{payload}.{signature}")),
        ("forged", format!("{header}.{payload}.{forged}")),
        ("other claims", format!("{header}.{other}.{signature}")),
        ("four parts", format!("{good}.x")),
        ("no token", "x".to_owned()),
        (
            "groups that are none",
            job(AUDIENCE, json!({"groups": {"dev": true}})),
        ),
    ];
    for (what, token) in &refused {
        let answer = exchange(&registry, token, "repository:ci/app:pull");
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert_eq!(answer.code(), "UNAUTHORIZED", "{what}");
        assert_eq!(answer.need("www-authenticate"), "Basic realm=\"roadstead\"");
        let answer = registry.get("/v2/").basic("oidc", token).send();
        assert!(matches!(answer.status, 401 | 429), "{what}: {answer:?}");
        assert!(
            !registry.log().contains(token.as_str()) || token.len() < 9,
            "{what}"
        );
    }
    exchange(&registry, &good, "").expect(200);
    ask(&registry, &[("grant_type", EXCHANGE)]).expect(400);
    ask(
        &registry,
        &[("grant_type", EXCHANGE), ("subject_token", "")],
    )
    .expect(400);
}

/// R19: what an issuer calls somebody is a name, and nothing else.
#[test]
fn odd_names_are_names() {
    let provider = Provider::start();
    let registry = start(&[("idp", &provider)]);
    let long = "x".repeat(5_000);
    for subject in [
        "a\nb",
        "a\r\nprincipal=\"root\"",
        "\u{1b}[31mred",
        "a\u{0}b",
        "../root",
        "user:root",
        "root",
        "Дмитрий 🚢",
        "",
        " ",
        &long,
    ] {
        let token = provider.id_token("x", AUDIENCE, &json!({ "sub": subject, "ref": MAIN }));
        let answer = exchange(&registry, &token, "repository:ci/app:pull,delete");
        assert!(
            matches!(answer.status, 200 | 401),
            "{subject:?}: {answer:?}"
        );
        if answer.status == 200 {
            let json = answer.json();
            assert_eq!(
                text(&json, "scope"),
                "repository:ci/app:pull",
                "{subject:?}"
            );
            bearer(registry.get("/v2/"), text(&json, "token"))
                .send()
                .expect(200);
        }
    }
    let log = registry.log();
    assert!(
        !log.contains(['\u{1b}', '\u{0}']) && !log.contains(&long),
        "{log}"
    );
    for line in log.lines().filter(|line| line.contains("route=\"token\"")) {
        assert!(line.contains("request_id="), "a line was cut: {line}");
        assert!(!line.contains("principal=\"root\""), "{line}");
    }
}

/// An address that nobody has verified could be anybody's.
#[test]
fn a_name_comes_from_the_claim_that_was_configured() {
    let (by_email, nested) = (Provider::start(), Provider::start());
    let mut access = access(&[("mail", &by_email), ("idp", &nested)]);
    access["oidc"][0]["usernameclaim"] = json!("email");
    access["oidc"][1]["usernameclaim"] = json!("/kubernetes.io/serviceaccount/name");
    access["rules"] = json!([
        {"allow": ["pull"], "to": "oidc:mail/alice@example.org", "on": "mail/**"},
        {"allow": ["pull"], "to": "oidc:idp/deployer", "on": "cluster/**"},
    ]);
    let http = json!({"host": "https://registry.example", "relativeurls": true});
    let config = json!({"access": access, "http": http});
    let registry = Builder::new().users(&[ROOT]).config(config).start();
    let scopes = "repository:mail/app:pull repository:cluster/app:pull";
    let account = |name: Value| json!({"kubernetes.io": {"serviceaccount": {"name": name}}});
    let email = |verified: Value| json!({"email": "alice@example.org", "email_verified": verified});
    for (provider, claims, expected) in [
        (
            &by_email,
            email(json!(true)),
            Some("repository:mail/app:pull"),
        ),
        (&by_email, email(json!(false)), None),
        (&by_email, email(Value::Null), None),
        (&by_email, json!({"sub": "alice@example.org"}), None),
        (
            &nested,
            account(json!("deployer")),
            Some("repository:cluster/app:pull"),
        ),
        (&nested, account(json!("other")), Some("")),
        (&nested, account(json!(["deployer"])), None),
        (&nested, account(json!("")), None),
        (&nested, json!({"sub": "deployer"}), None),
        (&nested, email(json!(true)), None),
    ] {
        let token = provider.id_token("x", AUDIENCE, &claims);
        let answer = until("the issuers' keys are there", SOON, || {
            let answer = exchange(&registry, &token, scopes);
            (answer.status != 503).then_some(answer)
        });
        match expected {
            None => assert_eq!(answer.status, 401, "{claims}: {answer:?}"),
            Some(scope) => {
                let json = answer.expect(200).json();
                assert_eq!(text(&json, "scope"), scope, "{claims}");
            }
        }
    }
}

#[test]
fn new_keys_count_at_once_and_withdrawn_ones_do_not_come_back() {
    let provider = Provider::start();
    let registry = start(&[("idp", &provider)]);
    let old = provider.id_token("job", AUDIENCE, &json!({}));
    exchange(&registry, &old, "").expect(200);
    provider.rotate();
    let new = provider.id_token("job", AUDIENCE, &json!({}));
    exchange(&registry, &new, "").expect(200);
    exchange(&registry, &old, "").expect(200);
    provider.withdraw_old_keys();
    let registry = registry.restart();
    until("the issuer's keys are there", SOON, || {
        (exchange(&registry, &new, "").status == 200).then_some(())
    });
    exchange(&registry, &old, "").expect(401);
}

/// R21: an issuer that is away keeps its own people waiting, and nobody else.
#[test]
fn an_issuer_that_is_away_keeps_nobody_else_out() {
    let (provider, away) = (Provider::start(), Provider::start());
    away.be_away(true);
    let providers = [("idp", &provider), ("away", &away)];
    let debug = json!({"http": {"debug": {"addr": "127.0.0.1:0"}}});
    let registry = builder(&providers).config(debug).start();
    let theirs = away.id_token("job", AUDIENCE, &json!({"ref": MAIN}));
    let answer = exchange(&registry, &theirs, "").expect_error(503, "UNAVAILABLE");
    assert!(answer.need("retry-after").parse::<u32>().unwrap() >= 1);
    let answer = registry.get("/v2/").basic("oidc", &theirs).send_any();
    answer.expect_error(503, "UNAVAILABLE").need("retry-after");
    let ours = provider.id_token("job", AUDIENCE, &json!({}));
    until("the other issuer's keys are there", SOON, || {
        (exchange(&registry, &ours, "").status == 200).then_some(())
    });
    registry
        .get("/v2/")
        .basic(ROOT.0, ROOT.1)
        .send()
        .expect(200);
    until("the health page says who is away", SOON, || {
        let health = registry.health();
        let text = String::from_utf8_lossy(&health.body).into_owned();
        text.contains("issuer away").then_some(())
    });
    away.be_away(false);
    until("it is back", SOON, || {
        (exchange(&registry, &theirs, "").status == 200).then_some(())
    });
}

/// Case 79, R16: what a person may do is what their last login says, and one login does not last
/// for ever.
#[test]
fn a_person_keeps_the_groups_of_the_last_login_alone() {
    let provider = Provider::start();
    let registry = start(&[("idp", &provider)]);
    seed(&registry, "team/app");
    let scope = "repository:team/app:pull repository:home/alice/x:push";
    let login = |groups: Value| {
        let person = provider.id_token("alice", CLIENT, &json!({ "groups": groups }));
        exchange(&registry, &person, scope).expect(200).json()
    };
    let with = login(json!(["dev"]));
    assert_eq!(text(&with, "scope"), scope);
    let refresh = text(&with, "refresh_token").to_owned();
    let again = |refresh: &str| {
        ask(
            &registry,
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh),
                ("service", "registry.example"),
                ("scope", scope),
            ],
        )
    };
    let renewed = again(&refresh).expect(200).json();
    assert_eq!(text(&renewed, "scope"), scope);
    assert_eq!(text(&renewed, "refresh_token"), refresh);
    // It ends within twelve hours of the login.
    let payload = refresh.split('.').nth(1).unwrap();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert!(payload["exp"].as_u64().unwrap() <= now() + 12 * 3_600);
    // Used as a password it lets its holder in, and begets no token that would outlive it.
    let target = "/auth/token?service=registry.example&offline_token=true&account=oidc\
                  &scope=repository:team/app:pull";
    for user in ["oidc", "idp/alice"] {
        registry
            .get("/v2/")
            .basic(user, &refresh)
            .send()
            .expect(200);
        let answer = registry
            .get(target)
            .basic(user, &refresh)
            .send()
            .expect(200)
            .json();
        assert_eq!(text(&answer, "scope"), "repository:team/app:pull");
        assert_eq!(text(&answer, "refresh_token"), refresh);
    }
    registry
        .get("/v2/")
        .basic("root", &refresh)
        .send()
        .expect(401);
    let pull = |who: &str, password: &str| {
        let request = registry.get("/v2/team/app/manifests/v1");
        request.basic(who, password).send().status
    };
    assert_eq!(pull("oidc", &refresh), 200);
    // The group is gone at the provider.
    let without = login(json!([]));
    assert_eq!(text(&without, "scope"), "repository:home/alice/x:push");
    let refresh = text(&without, "refresh_token");
    assert_eq!(pull("oidc", refresh), 403);
    let renewed = again(refresh).expect(200).json();
    assert_eq!(text(&renewed, "scope"), "repository:home/alice/x:push");
    let token = text(&renewed, "token");
    let pulled = bearer(registry.get("/v2/team/app/manifests/v1"), token).send();
    pulled.expect(401);
    // A job of the same name is nobody's person.
    let job = provider.id_token("alice", AUDIENCE, &json!({"groups": ["dev"]}));
    let job = exchange(&registry, &job, scope).expect(200).json();
    assert_eq!(job.get("refresh_token"), None);
    // A refresh token is no access token, and the other way about.
    let refused = bearer(registry.get("/v2/"), refresh).send().expect(401);
    assert!(refused.need("www-authenticate").contains("invalid_token"));
    again(token).expect(401);
}

/// A registry that an issuer was taken out of knows nobody of it any more.
#[test]
fn refresh_tokens_of_an_issuer_end_with_it() {
    let provider = Provider::start();
    let mut registry = start(&[("idp", &provider)]);
    let person = provider.id_token("alice", CLIENT, &json!({}));
    let answer = exchange(&registry, &person, "").expect(200).json();
    let refresh = text(&answer, "refresh_token").to_owned();
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    ask(&registry, &fields).expect(200);
    assert!(registry.terminate().success());
    let renamed = builder_again(&registry, &[("other", &provider)]).start();
    ask(&renamed, &fields).expect(401);
}

fn builder_again(registry: &Registry, providers: &[(&str, &Provider)]) -> Builder {
    registry
        .builder()
        .config(json!({ "access": access(providers) }))
}

/// A registry in plain HTTP that clients find the token server of.
fn start_for_login(providers: &[(&str, &Provider)]) -> Registry {
    for _ in 0..5 {
        // Somebody else may take it before the registry does.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let config = json!({
            "access": access(providers),
            "http": {"addr": address.to_string(), "host": format!("http://{address}")},
        });
        let builder = Builder::new().users(&[ROOT]).config(config);
        if let Ok(registry) = builder.try_start() {
            return registry;
        }
    }
    panic!("no port is free");
}

/// `roadstead login` as it runs.
struct Login {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Login {
    fn begin(registry: &Registry, provider: &Provider, client: &str, more: &[&str]) -> Self {
        let address = registry.address().to_string();
        let (issuer, ca) = (provider.issuer(), provider.ca().display().to_string());
        let words = [
            "login",
            &address,
            "--issuer",
            &issuer,
            "--client-id",
            client,
            "--ca",
            &ca,
            "--scope",
            "groups",
        ];
        let words = words.iter().chain(more).map(Into::into);
        let mut command = registry.builder().command_of(words);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            stderr,
            said: String::new(),
        }
    }

    /// The code that the person types in, from what is shown.
    fn code(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).unwrap();
            assert!(read > 0, "there is no code: {}", self.said);
            self.said.push_str(&line);
            if let Some((_, code)) = line.trim_end().split_once("this code: ") {
                assert!(line.contains("/activate"), "{line}");
                return code.to_owned();
            }
        }
    }

    /// Status, standard output and everything on standard error.
    fn end(mut self) -> (ExitStatus, String, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut output = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut output).unwrap();
        (self.child.wait().unwrap(), output, self.said)
    }
}

#[test]
fn a_person_logs_in_on_the_command_line() {
    let provider = Provider::start();
    let registry = start_for_login(&[("idp", &provider)]);
    seed(&registry, "team/app");
    let begin = |client: &str, more: &[&str]| Login::begin(&registry, &provider, client, more);
    let mut login = begin(CLIENT, &["--insecure-http"]);
    let code = login.code();
    provider.approve(&code, json!({"sub": "alice", "groups": ["dev"]}));
    let (status, output, said) = login.end();
    assert_eq!(status.code(), Some(0), "{said}");
    let token = output.strip_suffix('\n').unwrap();
    assert!(
        !token.contains(char::is_whitespace) && !said.contains(token),
        "{said}"
    );
    assert!(said.contains("Logged in at 127.0.0.1:"), "{said}");
    assert!(!registry.log().contains(token));
    let pulled = registry
        .get("/v2/team/app/manifests/v1")
        .basic("oidc", token);
    pulled.send().expect(200);

    // Whoever says no, and whoever says nothing.
    let mut login = begin(CLIENT, &["--insecure-http"]);
    let code = login.code();
    provider.deny(&code);
    let (status, output, said) = login.end();
    assert_eq!((status.code(), &*output), (Some(3), ""), "{said}");
    assert!(said.contains("denied"), "{said}");
    let mut login = begin(CLIENT, &["--insecure-http"]);
    let code = login.code();
    provider.expire(&code);
    let (status, output, said) = login.end();
    assert_eq!((status.code(), &*output), (Some(3), ""), "{said}");
    assert!(said.contains("expired"), "{said}");
    // A token that the registry does not take.
    let mut login = begin(CLIENT, &["--insecure-http"]);
    let code = login.code();
    provider.approve(&code, json!({"sub": "alice", "aud": "other"}));
    let (status, output, said) = login.end();
    assert_eq!((status.code(), &*output), (Some(3), ""), "{said}");
    assert!(said.contains("access.oidc"), "{said}");
    // A client that the provider does not know; and TLS to where there is none.
    for (client, more, part) in [
        ("other", &["--insecure-http"][..], "invalid_client"),
        (CLIENT, &[], "cannot connect"),
    ] {
        let (status, output, said) = begin(client, more).end();
        assert_eq!((status.code(), &*output), (Some(1), ""), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

/// R20: nobody is asked to confirm anything where the token would go to another server.
#[test]
fn a_login_goes_to_the_registry_that_was_named() {
    let provider = Provider::start();
    let registry = start(&[("idp", &provider)]);
    let asked = provider.requests().len();
    let (status, output, said) =
        Login::begin(&registry, &provider, CLIENT, &["--insecure-http"]).end();
    assert_eq!((status.code(), &*output), (Some(1), ""), "{said}");
    assert!(said.contains("another server"), "{said}");
    assert_eq!(provider.requests().len(), asked);
    let no_host = json!({"http": {"host": null}});
    let basic = builder(&[("idp", &provider)]).config(no_host).start();
    let (status, _, said) = Login::begin(&basic, &provider, CLIENT, &["--insecure-http"]).end();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("access.tokens.realm"), "{said}");
}
