use std::sync::Arc;

use jsonwebtoken::{EncodingKey, encode};
use roadstead_metadata::{Horizons, MemoryMetadata, SystemClock};
use roadstead_oci::{Action, RepositoryName};
use serde_json::json;

use super::*;
use crate::principal::Kind;
use crate::scope::Scope;

fn metadata() -> Meta {
    Meta::Memory(MemoryMetadata::new(
        Horizons::default(),
        Arc::new(SystemClock),
    ))
}

fn settings() -> IssuerSettings {
    IssuerSettings {
        realm: None,
        service: "registry.example".to_owned(),
        lifetime: Duration::from_secs(300),
        refresh_lifetime: Duration::from_secs(3_600),
    }
}

async fn issuer(metadata: &Meta) -> Issuer {
    Issuer::open(settings(), metadata.clone()).await.unwrap()
}

fn access(scopes: &str) -> Access {
    Scope::parse_all([scopes].into_iter()).into_iter().collect()
}

fn job() -> Identity {
    let claims = json!({"ref": "main", "nested": {"a": [1]}});
    Identity::new(Kind::Oidc, "gitlab/project:1")
        .in_groups(vec!["dev".to_owned()])
        .with_claims(claims.as_object().unwrap().clone())
}

#[tokio::test]
async fn a_token_brings_back_who_and_what_and_nothing_more() {
    let issuer = issuer(&metadata()).await;
    let asked = access("repository:team/app:pull,push registry:catalog:*");
    let issued = issuer.issue(&job(), &asked).unwrap();
    assert_eq!(issued.lifetime, Duration::from_secs(300));
    // Once by its signature, once remembered.
    for _ in 0..2 {
        let principal = issuer.verify(&issued.token).await.unwrap();
        assert_eq!(principal.identity(), &job());
        assert_eq!(principal.credential(), &Credential::Token(asked.clone()));
    }
    let app = RepositoryName::parse("team/app").unwrap();
    assert!(asked.covers(&app, Action::Push) && !asked.covers(&app, Action::Delete));
}

#[tokio::test]
async fn replicas_share_their_keys_and_take_over_new_ones() {
    let metadata = metadata();
    let (one, other) = (issuer(&metadata).await, issuer(&metadata).await);
    let token = one.issue(&job(), &access("")).unwrap().token;
    assert!(other.verify(&token).await.is_ok());

    // A month later one replica makes a new key; what the old one signed still holds.
    let later = SystemTime::now() + Duration::from_secs(30 * 24 * 3_600 + 600);
    let before = one.keys.signing().id.clone();
    one.keys.tend(later).await.unwrap();
    assert_ne!(one.keys.signing().id, before);
    assert!(one.keys.find(&before).await.is_some());
    other.keys.tend(later).await.unwrap();
    assert_eq!(other.keys.signing().id, one.keys.signing().id);

    // Once all its tokens have ended, the key goes with the next that is made.
    let much_later = later + Duration::from_secs(31 * 24 * 3_600);
    one.keys.tend(much_later).await.unwrap();
    assert!(one.keys.find(&before).await.is_none());
}

#[tokio::test]
async fn a_refresh_token_is_no_token_and_a_token_no_refresh_token() {
    let issuer = issuer(&metadata()).await;
    let token = issuer.issue(&job(), &access("")).unwrap().token;
    let refresh = issuer
        .issue_refresh(&job(), "print".to_owned(), Duration::from_secs(60))
        .unwrap();
    assert_eq!(
        issuer.verify(&refresh.token).await.unwrap_err(),
        TokenRefused::Invalid
    );
    assert_eq!(
        issuer.verify_refresh(&token).await.unwrap_err(),
        TokenRefused::Invalid
    );
    let refresh = issuer.verify_refresh(&refresh.token).await.unwrap();
    assert_eq!(refresh.identity, job());
    assert_eq!(refresh.fingerprint, "print");
}

#[tokio::test]
async fn what_others_signed_or_changed_is_refused() {
    let metadata = metadata();
    let ours = issuer(&metadata).await;
    let theirs = issuer(&self::metadata()).await;
    let elsewhere = Issuer::open(
        IssuerSettings {
            service: "other.example".to_owned(),
            ..settings()
        },
        metadata.clone(),
    )
    .await
    .unwrap();
    let token = ours.issue(&job(), &access("")).unwrap().token;
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let unsigned = {
        use base64::Engine as _;
        let none = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!(
            r#"{{"alg":"none","kid":"{}"}}"#,
            ours.keys.signing().id
        ));
        format!("{none}.{payload}.")
    };
    let by_secret = encode(
        &Header {
            kid: Some(ours.keys.signing().id.clone()),
            ..Header::new(Algorithm::HS256)
        },
        &json!({"iss": "roadstead", "aud": "registry.example", "sub": "alice", "exp": 9_999_999_999_u64, "nbf": 0, "use": "access", "kind": "user", "iat": 0, "jti": uuid::Uuid::nil()}),
        &EncodingKey::from_secret(b"a secret that is long enough to be taken as one").unwrap(),
    )
    .unwrap();
    let dots = ".".repeat(10_000);
    let long = format!("{header}.{}.{signature}", "a".repeat(MAX_TOKEN_BYTES));
    for (what, token) in [
        ("theirs", theirs.issue(&job(), &access("")).unwrap().token),
        (
            "elsewhere",
            elsewhere.issue(&job(), &access("")).unwrap().token,
        ),
        ("unsigned", unsigned),
        ("by secret", by_secret),
        ("no signature", format!("{header}.{payload}.")),
        (
            "other signature",
            format!("{header}.{payload}.{}", "A".repeat(86)),
        ),
        ("dots", dots),
        ("long", long),
        ("empty", String::new()),
        ("text", "abc".to_owned()),
    ] {
        assert!(ours.verify(&token).await.is_err(), "{what}");
        assert!(ours.verify_refresh(&token).await.is_err(), "{what}");
    }
}

#[tokio::test]
async fn a_token_that_has_ended_is_refused() {
    let issuer = issuer(&metadata()).await;
    let ended = Claims::new(
        &job(),
        "registry.example",
        Use::Access,
        seconds_now() - 1_000,
        Duration::from_secs(300),
    );
    let early = Claims::new(
        &job(),
        "registry.example",
        Use::Access,
        seconds_now() + 1_000,
        Duration::from_secs(300),
    );
    for claims in [ended, early] {
        let token = issuer.sign(claims, Duration::ZERO).unwrap().token;
        assert_eq!(
            issuer.verify(&token).await.unwrap_err(),
            TokenRefused::Invalid
        );
    }
}

#[tokio::test]
async fn an_identity_with_endless_claims_gets_no_token() {
    let issuer = issuer(&metadata()).await;
    let claims = json!({"long": "x".repeat(MAX_TOKEN_BYTES)});
    let identity = job().with_claims(claims.as_object().unwrap().clone());
    let refused = issuer.issue(&identity, &access(""));
    assert!(matches!(refused, Err(IssueError::TooLong)));
}
