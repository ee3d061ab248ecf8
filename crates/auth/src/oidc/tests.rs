use std::time::Duration;

use serde_json::json;

use super::*;
use crate::fetch::server::Server;
use crate::jose::signer::{Signer, encode};

const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn settings(server: &Server) -> OidcSettings {
    OidcSettings {
        name: "idp".into(),
        issuer: server.url("").parse().unwrap(),
        audiences: vec!["registry".into()],
        client_id: None,
        ca: Some(server.ca()),
        algorithms: OidcSettings::default_algorithms(),
        username_claim: "sub".into(),
        groups_claim: Some("groups".into()),
    }
}

/// Publishes keys as a provider does.
fn publish(server: &Server, keys: &[Value]) {
    let discovery = json!({
        "issuer": server.url(""),
        "jwks_uri": server.url("/keys"),
        "token_endpoint": server.url("/token"),
    });
    server.put("/.well-known/openid-configuration", discovery.to_string());
    server.put("/keys", json!({ "keys": keys }).to_string());
}

fn claims(server: &Server) -> Value {
    json!({
        "iss": server.url(""), "sub": "alice", "aud": "registry",
        "exp": NOW + 300, "iat": NOW, "groups": ["dev"], "more": {"a": 1},
    })
}

#[tokio::test]
async fn an_identity_comes_from_a_token_of_the_issuers_keys() {
    let server = Server::start().await;
    let (first, second) = (Signer::es256(), Signer::rsa("RS256"));
    let issuer = OidcIssuer::new(settings(&server), &server.egress()).unwrap();
    publish(&server, &[first.jwk("first"), second.jwk("second")]);
    assert!(issuer.keys.refresh().await);
    let verify = |token: String| {
        let issuer = &issuer;
        async move { issuer.verify(&token, now()).await }
    };
    let claims = claims(&server);
    let token = first.token(&json!({"kid": "first"}), &claims);
    let identity = verify(token.clone()).await.unwrap();
    assert_eq!(
        (identity.issuer.as_str(), identity.subject.as_str()),
        ("idp", "alice")
    );
    assert_eq!(
        (identity.username.as_str(), &*identity.groups),
        ("alice", &["dev".to_owned()][..])
    );
    assert_eq!(Value::Object(identity.claims), claims);
    assert_eq!(identity.expires_at, now() + Duration::from_secs(361));
    assert_eq!(
        issuer.discovery().unwrap().token_endpoint.unwrap().as_str(),
        server.url("/token")
    );
    // One key of each kind: no name is needed.
    assert!(verify(second.token(&json!({}), &claims)).await.is_ok());
    for (token, expected) in [
        (
            first.token(&json!({"kid": "second"}), &claims),
            JoseError::Signature,
        ),
        (
            Signer::es256().token(&json!({"kid": "first"}), &claims),
            JoseError::Signature,
        ),
        (
            Signer::es256().token(&json!({}), &claims),
            JoseError::Signature,
        ),
        (
            Signer::ed25519().token(&json!({}), &claims),
            JoseError::NoKeyNamed,
        ),
        (
            first.token(&json!({"kid": "first", "crit": ["a"]}), &claims),
            JoseError::Critical,
        ),
        (
            first.token(&json!({"kid": "first", "alg": "HS256"}), &claims),
            JoseError::Algorithm,
        ),
        (
            first.token(&json!({"kid": "first", "alg": "none"}), &claims),
            JoseError::Algorithm,
        ),
        (format!("{token}.a.b"), JoseError::Parts),
    ] {
        assert_eq!(verify(token).await.unwrap_err(), expected.into());
    }
    // What a token brings along is not looked at.
    let mine = Signer::es256();
    let header = json!({"kid": "first", "jwk": mine.jwk("first"), "jku": "https://evil"});
    assert_eq!(
        verify(mine.token(&header, &claims)).await,
        Err(JoseError::Signature.into())
    );
    assert!(verify(first.token(&header, &claims)).await.is_ok());
    // Two keys of a kind: a name is needed.
    publish(&server, &[first.jwk("first"), mine.jwk("mine")]);
    assert!(issuer.keys.refresh().await);
    let nameless = verify(first.token(&json!({}), &claims)).await;
    assert_eq!(nameless, Err(JoseError::NoKeyNamed.into()));
}

#[tokio::test]
async fn an_issuer_that_is_away_refuses_only_its_own() {
    let (server, away) = (Server::start().await, Server::start().await);
    let signer = Signer::es256();
    publish(&server, &[signer.jwk("k")]);
    let issuer = |server: &Server| OidcIssuer::new(settings(server), &server.egress()).unwrap();
    let issuers = OidcIssuers::new(vec![issuer(&server), issuer(&away)]);
    for issuer in issuers.iter() {
        issuer.keys.refresh().await;
    }
    let token = |server: &Server| signer.token(&json!({"kid": "k"}), &claims(server));
    assert!(issuers.verify(&token(&server), now()).await.is_ok());
    let keep_current = issuers.keep_current();
    let (here, there) = (token(&server), token(&away));
    tokio::select! {
        () = keep_current => panic!("it does not end"),
        outcome = issuers.verify(&there, now()) => {
            assert!(outcome.unwrap_err().is_unavailable());
        }
    }
    assert!(issuers.verify(&here, now()).await.is_ok());
    let problems: Vec<String> = issuers.iter().filter_map(OidcIssuer::problem).collect();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("404"), "{problems:?}");
    let other = Server::start().await;
    assert_eq!(
        issuers.verify(&token(&other), now()).await,
        Err(OidcError::Issuer)
    );
    let nobody = format!("{}.{}.", encode(r#"{"alg":"ES256"}"#), encode("{}"));
    assert_eq!(issuers.verify(&nobody, now()).await, Err(OidcError::Claims));
}

/// R15, R21: a discovery document leads neither to another issuer nor to another address.
#[tokio::test]
async fn a_discovery_document_that_lies_brings_no_keys() {
    let (server, evil) = (Server::start().await, Server::start().await);
    let signer = Signer::es256();
    publish(&server, &[signer.jwk("k")]);
    publish(&evil, &[signer.jwk("k")]);
    let path = "/.well-known/openid-configuration";
    let document =
        |issuer: String, keys: String| json!({"issuer": issuer, "jwks_uri": keys}).to_string();
    for (what, answer) in [
        (
            "another issuer",
            document(evil.url(""), server.url("/keys")),
        ),
        (
            "metadata",
            document(server.url(""), "https://169.254.169.254/keys".into()),
        ),
        (
            "mapped",
            document(server.url(""), "https://[::ffff:127.0.0.1]/keys".into()),
        ),
        (
            "plain",
            document(server.url(""), "http://127.0.0.1/keys".into()),
        ),
        ("empty", String::new()),
    ] {
        server.put(path, answer);
        let issuer = OidcIssuer::new(settings(&server), &server.egress()).unwrap();
        assert!(!issuer.keys.refresh().await, "{what}");
        assert!(issuer.problem().is_some(), "{what}");
    }
    let target = evil.url(path);
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
    server.put_raw(path, redirect);
    let issuer = OidcIssuer::new(settings(&server), &server.egress()).unwrap();
    assert!(!issuer.keys.refresh().await);
    assert!(issuer.problem().unwrap().contains("redirect"));
    assert_eq!(evil.requests(), Vec::<String>::new());
    // Without leave, its own address is private too.
    publish(&server, &[signer.jwk("k")]);
    let asked = server.requests().len();
    let issuer = OidcIssuer::new(settings(&server), &EgressSettings::default()).unwrap();
    assert!(!issuer.keys.refresh().await);
    assert!(issuer.problem().unwrap().contains("not a public address"));
    assert_eq!(server.requests().len(), asked);
}
