use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use super::*;
use crate::fetch::server::Server;
use crate::jose::signer::{Signer, encode};
use crate::jose::{certificate_kids, thumbprint};

const NOW: u64 = 1_800_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn claims() -> Value {
    json!({
        "iss": "issuer", "aud": "service", "sub": "alice", "exp": NOW + 300, "nbf": NOW,
        "access": [{"type": "repository", "name": "a", "actions": ["pull"]}],
    })
}

fn settings() -> TokenSettings {
    TokenSettings {
        issuer: "issuer".into(),
        service: "service".into(),
        rootcertbundle: None,
        jwks: None,
        jwks_url: None,
        algorithms: Algorithm::ALL.to_vec(),
    }
}

/// Files of keys in a directory of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn with_jwks(&self, jwks: impl AsRef<[u8]>) -> TokenVerifier {
        let jwks = Some(self.write("jwks.json", jwks));
        verifier(TokenSettings { jwks, ..settings() })
    }

    fn with_bundle(&self, pem: &str) -> TokenVerifier {
        let rootcertbundle = Some(self.write("bundle.pem", pem));
        verifier(TokenSettings {
            rootcertbundle,
            ..settings()
        })
    }
}

fn verifier(settings: TokenSettings) -> TokenVerifier {
    TokenVerifier::new(settings, &EgressSettings::default()).unwrap()
}

/// A certificate of a signer's key.
struct Certificate {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: Vec<u8>,
}

impl Certificate {
    /// In force from 2020 to 2040, unless `change` says otherwise. Its issuer is itself, or `by`.
    fn new(
        signer: &Signer,
        name: &str,
        by: Option<&Self>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let pkcs8 = signer.pkcs8();
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8)).unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        let mut subject = rcgen::DistinguishedName::new();
        subject.push(rcgen::DnType::CommonName, name);
        parameters.distinguished_name = subject;
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2040, 1, 1);
        change(&mut parameters);
        let certificate = match by {
            Some(by) => parameters.signed_by(&key, &by.issuer).unwrap(),
            None => parameters.self_signed(&key).unwrap(),
        };
        Self {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(parameters, key),
        }
    }

    fn x5c(&self) -> String {
        BASE64_STANDARD.encode(&self.der)
    }
}

fn authority(parameters: &mut CertificateParams) {
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn expired(parameters: &mut CertificateParams) {
    parameters.not_after = rcgen::date_time_ymd(2021, 1, 1);
}

fn unchanged(_: &mut CertificateParams) {}

#[tokio::test]
async fn every_algorithm_with_a_public_key_verifies() {
    let files = Files::new();
    for signer in [
        Signer::rsa("RS256"),
        Signer::rsa("RS384"),
        Signer::rsa("RS512"),
        Signer::rsa("PS256"),
        Signer::rsa("PS384"),
        Signer::rsa("PS512"),
        Signer::es256(),
        Signer::es384(),
        Signer::es512(),
        Signer::ed25519(),
    ] {
        let verifier = files.with_jwks(signer.jwks("k"));
        let token = signer.token(&json!({"kid": "k", "typ": "JWT"}), &claims());
        let verified = verifier.verify(&token, now()).await.unwrap();
        assert_eq!(
            verified.subject.as_deref(),
            Some("alice"),
            "{}",
            signer.algorithm
        );
        assert_eq!(verified.access.len(), 1);
        // One that is not allowed does not, whatever the key.
        let only = TokenSettings {
            jwks: Some(files.0.path().join("jwks.json")),
            algorithms: Algorithm::ALL
                .into_iter()
                .filter(|algorithm| algorithm.name() != signer.algorithm)
                .collect(),
            ..settings()
        };
        let outcome = self::verifier(only).verify(&token, now()).await;
        assert_eq!(outcome, Err(JoseError::Algorithm.into()));
    }
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let signer = Signer::es256();
    let verifier = Files::new().with_jwks(signer.jwks("k"));
    let token = signer.token(&json!({"kid": "k"}), &claims());
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let admin = encode(claims().to_string().replace("alice", "admin"));
    let other = Signer::es256().sign(format!("{header}.{payload}").as_bytes());
    let signature_error: TokenError = JoseError::Signature.into();
    for changed in [
        format!("{header}.{admin}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{}", encode(other)),
        format!("{header}.{payload}.{}", encode([0; 64])),
        format!("{header}.{payload}.{}", &signature[..40]),
    ] {
        let outcome = verifier.verify(&changed, now()).await;
        assert_eq!(outcome, Err(signature_error), "{changed}");
    }
    assert!(!signature_error.is_invalid_token());
    assert!(verifier.verify(&token, now()).await.is_ok());
}

/// Case 72 and algorithm confusion.
#[tokio::test]
async fn no_key_is_used_for_what_it_is_not_for() {
    let rsa = Signer::rsa("RS256");
    let oct = json!({"kty": "oct", "kid": "oct", "k": encode("secret")});
    let set = json!({"keys": [rsa.jwk("rsa"), oct]});
    let verifier = Files::new().with_jwks(set.to_string());
    let hmac = |header: Value, secret: &[u8]| {
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims().to_string())
        );
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", encode(tag))
    };
    let unsigned = |alg: &str| {
        let header = encode(json!({"alg": alg, "kid": "rsa"}).to_string());
        format!("{header}.{}.", encode(claims().to_string()))
    };
    for (token, expected) in [
        (unsigned("none"), JoseError::Algorithm),
        (unsigned("None"), JoseError::Algorithm),
        (unsigned("RS256"), JoseError::Signature),
        // The public key, which everybody knows, as a secret.
        (
            hmac(json!({"alg": "HS256", "kid": "rsa"}), &rsa.spki()),
            JoseError::Signature,
        ),
        (
            hmac(
                json!({"alg": "HS256", "kid": "rsa"}),
                rsa.jwk("rsa").to_string().as_bytes(),
            ),
            JoseError::Signature,
        ),
        (
            hmac(json!({"alg": "HS256", "kid": "oct"}), b"secret"),
            JoseError::UnknownKey,
        ),
        (
            rsa.token(&json!({"kid": "rsa", "alg": "PS256"}), &claims()),
            JoseError::Signature,
        ),
        (
            rsa.token(&json!({"kid": "rsa", "alg": "ES256"}), &claims()),
            JoseError::Signature,
        ),
        (
            rsa.token(&json!({"kid": "rsa", "alg": "EdDSA"}), &claims()),
            JoseError::Signature,
        ),
    ] {
        let outcome = verifier.verify(&token, now()).await;
        assert_eq!(outcome, Err(expected.into()), "{token}");
    }
}

/// Case 71, CVE-2025-24976.
#[tokio::test]
async fn a_key_in_the_header_is_only_a_name() {
    let (trusted, attacker) = (Signer::es256(), Signer::es256());
    let verifier = Files::new().with_jwks(trusted.jwks("trusted"));
    let check = |signer: &Signer, header: Value| {
        let (token, verifier) = (signer.token(&header, &claims()), &verifier);
        async move { verifier.verify(&token, now()).await.err() }
    };
    let unknown: TokenError = JoseError::UnknownKey.into();
    let signature: TokenError = JoseError::Signature.into();
    let unnamed: TokenError = JoseError::NoKeyNamed.into();
    let mine = attacker.jwk("trusted");
    assert_eq!(
        check(&attacker, json!({"jwk": mine})).await,
        Some(signature)
    );
    assert_eq!(
        check(&attacker, json!({"jwk": mine, "kid": "trusted"})).await,
        Some(signature)
    );
    assert_eq!(
        check(&attacker, json!({"jwk": attacker.jwk("mine")})).await,
        Some(unknown)
    );
    assert_eq!(
        check(
            &attacker,
            json!({"jwk": attacker.jwk("mine"), "kid": "trusted"})
        )
        .await,
        Some(unknown)
    );
    let thumb = attacker.jwk(&thumbprint(&attacker.public()));
    assert_eq!(check(&attacker, json!({"jwk": thumb})).await, Some(unknown));
    assert_eq!(check(&attacker, json!({"jwk": {}})).await, Some(unnamed));
    // The key of this name is used, whatever stands there.
    assert_eq!(check(&trusted, json!({"jwk": mine})).await, None);
    assert_eq!(
        check(&trusted, json!({"jwk": trusted.jwk("trusted")})).await,
        None
    );
    assert_eq!(check(&trusted, json!({"kid": "trusted"})).await, None);
    // Addresses are not even looked at.
    let url = json!({"kid": "trusted", "jku": "https://evil", "x5u": "https://evil"});
    assert_eq!(check(&attacker, url.clone()).await, Some(signature));
    assert_eq!(check(&trusted, url).await, None);
    for header in [
        json!({}),
        json!({"kid": ""}),
        json!({"jku": "https://evil"}),
    ] {
        assert_eq!(check(&trusted, header).await, Some(unnamed));
    }
    assert_eq!(
        check(&trusted, json!({"kid": "other"})).await,
        Some(unknown)
    );
}

#[tokio::test]
async fn critical_extensions_are_refused_and_say_nothing_in_the_challenge() {
    let signer = Signer::es256();
    let verifier = Files::new().with_jwks(signer.jwks("k"));
    for crit in [json!(["exp"]), json!([]), json!(null), json!(["b64"])] {
        let token = signer.token(&json!({"kid": "k", "crit": crit, "b64": false}), &claims());
        let outcome = verifier.verify(&token, now()).await.unwrap_err();
        assert_eq!(outcome, JoseError::Critical.into());
        assert!(!outcome.is_invalid_token());
    }
}

#[tokio::test]
async fn what_is_wrong_decides_whether_the_challenge_says_so() {
    let signer = Signer::es256();
    let verifier = Files::new().with_jwks(signer.jwks("k"));
    for (member, value, expected, said) in [
        ("iss", json!("other"), TokenError::Issuer, true),
        ("aud", json!("other"), TokenError::Audience, true),
        ("exp", json!(NOW - 100), TokenError::Expired, true),
        ("nbf", json!(NOW + 100), TokenError::NotYetValid, true),
        ("exp", json!("soon"), TokenError::Claims, false),
    ] {
        let mut claims = claims();
        claims[member] = value;
        let token = signer.token(&json!({"kid": "k"}), &claims);
        let outcome = verifier.verify(&token, now()).await.unwrap_err();
        assert_eq!((outcome, outcome.is_invalid_token()), (expected, said));
    }
    for token in ["", "a", "a.b.c"] {
        assert!(
            verifier
                .verify(token, now())
                .await
                .unwrap_err()
                .is_invalid_token()
        );
    }
}

/// Case 73.
#[tokio::test]
async fn long_tokens_pass_and_too_long_ones_cost_nothing() {
    let signer = Signer::es256();
    let verifier = Files::new().with_jwks(signer.jwks("k"));
    let mut claims = claims();
    claims["access"] = (0..60)
        .map(|number| {
            let name = format!("team/{number}/{}", "a".repeat(40));
            json!({"type": "repository", "name": name, "actions": ["pull", "push"]})
        })
        .collect();
    let token = signer.token(&json!({"kid": "k"}), &claims);
    assert!(
        (8 << 10..16 << 10).contains(&token.len()),
        "{}",
        token.len()
    );
    assert_eq!(
        verifier.verify(&token, now()).await.unwrap().access.len(),
        60
    );
    claims["more"] = "a".repeat(9000).into();
    let long = signer.token(&json!({"kid": "k"}), &claims);
    let began = Instant::now();
    for token in [
        long,
        "a".repeat(1 << 20),
        ".".repeat(10_000),
        ".".repeat(1 << 20),
    ] {
        let outcome = verifier.verify(&token, now()).await.unwrap_err();
        assert!(matches!(
            outcome,
            TokenError::Jose(JoseError::TooLong | JoseError::Parts)
        ));
    }
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn a_bundle_is_known_by_three_names_for_each_key() {
    let signers = [Signer::rsa("RS256"), Signer::es384(), Signer::ed25519()];
    let pem = |signer: &Signer| Certificate::new(signer, "a", None, unchanged).pem;
    let text = signers
        .iter()
        .map(pem)
        .collect::<Vec<_>>()
        .join("some words\n");
    let verifier = Files::new().with_bundle(&text);
    for signer in &signers {
        for kid in certificate_kids(&signer.public(), &signer.spki()) {
            let token = signer.token(&json!({ "kid": kid }), &claims());
            assert!(verifier.verify(&token, now()).await.is_ok(), "{kid}");
        }
    }
}

#[tokio::test]
async fn certificates_count_where_they_lead_to_the_bundle() {
    let root_key = Signer::es256();
    let root = Certificate::new(&root_key, "root", None, authority);
    let old_root = Certificate::new(&Signer::es256(), "old", None, |parameters| {
        authority(parameters);
        expired(parameters);
    });
    let middle = Certificate::new(&Signer::es256(), "middle", Some(&root), authority);
    let old_middle = Certificate::new(&Signer::es256(), "old", Some(&root), |parameters| {
        authority(parameters);
        expired(parameters);
    });
    let signer = Signer::es256();
    let leaf = |by: &Certificate, change: fn(&mut CertificateParams)| {
        Certificate::new(&signer, "leaf", Some(by), change)
    };
    let direct = leaf(&root, unchanged);
    let own = Certificate::new(&signer, "own", None, unchanged);
    let evil_root = Certificate::new(&Signer::es256(), "root", None, authority);
    let configured = leaf(&evil_root, unchanged);
    let bundle = [&root.pem, &old_root.pem, &own.pem, &configured.pem].map(String::as_str);
    let verifier = Files::new().with_bundle(&bundle.concat());
    let check = |signer: &Signer, header: Value| {
        let (token, verifier) = (signer.token(&header, &claims()), &verifier);
        async move { verifier.verify(&token, now()).await.err() }
    };
    let x5c = |chain: &[&Certificate]| -> Vec<String> {
        chain.iter().map(|certificate| certificate.x5c()).collect()
    };
    let server_only = |parameters: &mut CertificateParams| {
        parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    };
    let not_yet = |parameters: &mut CertificateParams| {
        parameters.not_before = rcgen::date_time_ymd(2039, 1, 1);
    };
    for (what, chain, good) in [
        ("of the root", x5c(&[&direct]), true),
        ("with the root", x5c(&[&direct, &root]), true),
        (
            "over another",
            x5c(&[&leaf(&middle, unchanged), &middle]),
            true,
        ),
        ("of a server", x5c(&[&leaf(&root, server_only)]), true),
        ("configured, of itself", x5c(&[&own]), true),
        ("configured, of somebody", x5c(&[&configured]), true),
        (
            "the middle is missing",
            x5c(&[&leaf(&middle, unchanged)]),
            false,
        ),
        (
            "of nobody",
            x5c(&[&Certificate::new(&signer, "leaf", None, unchanged)]),
            false,
        ),
        (
            "of a namesake",
            x5c(&[&leaf(&evil_root, server_only), &evil_root]),
            false,
        ),
        ("expired", x5c(&[&leaf(&root, expired)]), false),
        ("not yet", x5c(&[&leaf(&root, not_yet)]), false),
        (
            "over an expired one",
            x5c(&[&leaf(&old_middle, unchanged), &old_middle]),
            false,
        ),
        (
            "of an expired root",
            x5c(&[&leaf(&old_root, unchanged)]),
            false,
        ),
        ("an issuer", x5c(&[&leaf(&root, authority)]), false),
        (
            "by a leaf",
            x5c(&[&leaf(&direct, unchanged), &direct]),
            false,
        ),
        ("garbage", vec!["!".into()], false),
        (
            "no certificate",
            vec![BASE64_STANDARD.encode("certificate")],
            false,
        ),
        ("garbage behind", vec![direct.x5c(), "!".into()], false),
        ("too many", vec![direct.x5c(); 11], false),
    ] {
        let expected = (!good).then_some(TokenError::Chain);
        assert_eq!(
            check(&signer, json!({ "x5c": chain })).await,
            expected,
            "{what}"
        );
        let embedded = json!({"jwk": {"x5c": chain, "kid": "any"}});
        assert_eq!(check(&signer, embedded).await, expected, "{what}");
        // It counts before any name, good or bad.
        let kid = thumbprint(&signer.public());
        let named = json!({"x5c": chain, "kid": kid});
        assert_eq!(check(&signer, named).await, expected, "{what}");
    }
    // The root's own key, with the root as its own leaf.
    let own_leaf = json!({"x5c": x5c(&[&root])});
    assert_eq!(check(&root_key, own_leaf).await, Some(TokenError::Chain));
    // A good chain, and another's signature.
    let stolen = check(&Signer::es256(), json!({"x5c": x5c(&[&direct])})).await;
    assert_eq!(stolen, Some(JoseError::Signature.into()));
    assert!(TokenError::Chain.is_invalid_token());
    assert_eq!(
        check(&signer, json!({"x5c": []})).await,
        Some(JoseError::NoKeyNamed.into())
    );
}

#[tokio::test]
async fn certificates_count_for_nothing_where_no_bundle_is_configured() {
    let signer = Signer::es256();
    let certificate = Certificate::new(&signer, "a", None, unchanged);
    let verifier = Files::new().with_jwks(signer.jwks("k"));
    let header = json!({"x5c": [certificate.x5c()], "kid": "k"});
    let token = signer.token(&header, &claims());
    assert_eq!(verifier.verify(&token, now()).await, Err(TokenError::Chain));
}

#[test]
fn a_start_without_usable_keys_is_refused() {
    let files = Files::new();
    let good = Certificate::new(&Signer::es256(), "a", None, unchanged).pem;
    let cut = &good[..good.len() / 2];
    let p224 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, problem) in [
        ("", "no certificate"),
        ("words\n", "no certificate"),
        (cut, "PEM"),
        (&format!("{good}{cut}"), "PEM"),
        (p224, "certificate 1 of it cannot be read"),
        (
            &format!("{good}{p224}"),
            "certificate 2 of it cannot be read",
        ),
    ] {
        let rootcertbundle = Some(files.write("bundle.pem", content));
        let settings = TokenSettings {
            rootcertbundle,
            ..settings()
        };
        let told = told(settings);
        assert!(
            told.contains("bundle.pem") && told.contains(problem),
            "{told}"
        );
    }
    for (content, problem) in [
        ("", "not a JSON Web Key Set"),
        ("{}", "not a JSON Web Key Set"),
        (r#"{"keys":[]}"#, "no public key"),
        (r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, "no public key"),
        (r#"{"keys":[{"kty":"RSA"}]}"#, "key 1 of the set"),
    ] {
        let jwks = Some(files.write("jwks.json", content));
        let told = told(TokenSettings { jwks, ..settings() });
        assert!(
            told.contains("jwks.json") && told.contains(problem),
            "{told}"
        );
    }
    let missing = Some(files.0.path().join("missing"));
    let settings_of_missing = TokenSettings {
        jwks: missing,
        ..settings()
    };
    assert!(told(settings_of_missing).contains("cannot be read"));
    assert!(told(settings()).contains("rootcertbundle, jwks or jwksurl"));
}

fn told(settings: TokenSettings) -> String {
    match TokenVerifier::new(settings, &EgressSettings::default()) {
        Ok(_) => panic!("taken"),
        Err(error) => crate::fetch::chain(&error),
    }
}

/// Case 78, for keys.
#[tokio::test]
async fn keys_change_with_their_files_and_a_broken_one_keeps_the_old() {
    let files = Files::new();
    let (old, new) = (Signer::es256(), Signer::es256());
    let pem = |signer: &Signer| Certificate::new(signer, "a", None, unchanged).pem;
    let (bundle, jwks) = (files.write("b", pem(&old)), files.write("j", old.jwks("k")));
    let verifier = verifier(TokenSettings {
        rootcertbundle: Some(bundle.clone()),
        jwks: Some(jwks.clone()),
        ..settings()
    });
    let refresh = || {
        verifier.bundle.as_ref().unwrap().refresh();
        verifier.jwks.as_ref().unwrap().refresh();
    };
    let good = |signer: &Signer| {
        let thumbprint = thumbprint(&signer.public());
        let tokens =
            [thumbprint.as_str(), "k"].map(|kid| signer.token(&json!({ "kid": kid }), &claims()));
        let verifier = &verifier;
        async move {
            let [first, second] = tokens;
            [
                verifier.verify(&first, now()).await.is_ok(),
                verifier.verify(&second, now()).await.is_ok(),
            ]
        }
    };
    assert_eq!(good(&old).await, [true, true]);
    assert_eq!((verifier.problem(), verifier.generation()), (None, 0));
    for broken in ["", "garbage", "{\"keys\":["] {
        std::fs::write(&bundle, broken).unwrap();
        std::fs::write(&jwks, broken).unwrap();
        refresh();
        let problem = verifier.problem().unwrap();
        assert!(
            problem.contains(&name(&bundle)) && problem.contains(&name(&jwks)),
            "{problem}"
        );
        assert_eq!(good(&old).await, [true, true]);
        assert_eq!(verifier.generation(), 0);
    }
    std::fs::remove_file(&jwks).unwrap();
    std::fs::write(&bundle, pem(&new)).unwrap();
    refresh();
    assert!(verifier.problem().unwrap().contains("cannot be read"));
    assert_eq!(good(&new).await, [true, false]);
    assert_eq!(good(&old).await, [false, true]);
    std::fs::write(&jwks, new.jwks("k")).unwrap();
    refresh();
    assert_eq!(good(&new).await, [true, true]);
    assert_eq!(good(&old).await, [false, false]);
    assert_eq!((verifier.problem(), verifier.generation()), (None, 2));
}

#[tokio::test]
async fn a_changed_file_is_found_without_anybody_who_needs_it() {
    let files = Files::new();
    let (old, new) = (Signer::es256(), Signer::es256());
    let verifier = Arc::new(files.with_jwks(old.jwks("k")));
    let task = tokio::spawn({
        let verifier = Arc::clone(&verifier);
        async move { verifier.keep_current().await }
    });
    files.write("jwks.json", new.jwks("k"));
    let found = async {
        while verifier.generation() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), found).await;
    assert!(found.is_ok(), "not within 30 s");
    let token = new.token(&json!({"kid": "k"}), &claims());
    assert!(verifier.verify(&token, now()).await.is_ok());
    task.abort();
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn keys_at_a_url_are_fetched_and_a_new_one_is_found_at_once() {
    let server = Server::start().await;
    let (old, new) = (Signer::es256(), Signer::es256());
    let source = PublishedSet {
        url: server.url("/keys").parse().unwrap(),
        fetcher: server.fetcher(),
    };
    let verifier = TokenVerifier::with_source(settings(), Some(Box::new(source))).unwrap();
    let verifier = Arc::new(verifier);
    let token = |signer: &Signer, kid: &str| signer.token(&json!({ "kid": kid }), &claims());
    // Nothing is there yet: this may pass, and nobody is let in meanwhile.
    assert!(!verifier.remote.as_ref().unwrap().refresh().await);
    assert!(verifier.problem().unwrap().contains("404"));
    let early = token(&old, "old");
    let unavailable = verifier.verify(&early, now());
    let task = tokio::spawn({
        let verifier = Arc::clone(&verifier);
        async move { verifier.keep_current().await }
    });
    let unavailable = unavailable.await.unwrap_err();
    assert!(unavailable.is_unavailable() && !unavailable.is_invalid_token());
    task.abort();
    server.put("/keys", old.jwks("old"));
    assert!(verifier.remote.as_ref().unwrap().refresh().await);
    assert!(verifier.verify(&token(&old, "old"), now()).await.is_ok());
    assert_eq!(verifier.problem(), None);
    server.put("/keys", new.jwks("new"));
    assert!(verifier.remote.as_ref().unwrap().refresh().await);
    assert!(verifier.verify(&token(&new, "new"), now()).await.is_ok());
    let withdrawn = verifier.verify(&token(&old, "old"), now()).await;
    assert_eq!(withdrawn, Err(JoseError::UnknownKey.into()));
}

#[tokio::test]
async fn an_unknown_name_makes_the_issuer_be_asked() {
    let server = Server::start().await;
    let (old, new) = (Signer::es256(), Signer::es256());
    server.put("/keys", old.jwks("old"));
    let source = PublishedSet {
        url: server.url("/keys").parse().unwrap(),
        fetcher: server.fetcher(),
    };
    let verifier = TokenVerifier::with_source(settings(), Some(Box::new(source))).unwrap();
    let verifier = Arc::new(verifier);
    assert!(verifier.remote.as_ref().unwrap().refresh().await);
    server.put("/keys", new.jwks("new"));
    let task = tokio::spawn({
        let verifier = Arc::clone(&verifier);
        async move { verifier.remote.as_ref().unwrap().keep_current().await }
    });
    let token = new.token(&json!({"kid": "new"}), &claims());
    assert!(verifier.verify(&token, now()).await.is_ok());
    let asked = server.requests().len();
    for number in 0..20 {
        let token = new.token(&json!({"kid": number.to_string()}), &claims());
        let outcome = verifier.verify(&token, now()).await;
        assert_eq!(outcome, Err(JoseError::UnknownKey.into()));
    }
    assert!(server.requests().len() <= asked + 1);
    task.abort();
}
