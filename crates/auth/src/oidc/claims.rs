//! What an ID token claims (OpenID Connect Core 1.0 §2 and §3.1.3.7).

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{OidcError, OidcIdentity, OidcSettings};
use crate::token::claims::{Audience, end, start};

/// Bytes of a user's or group's name at most.
const MAX_NAME: usize = 255;

/// The claims of a token whose signature is right.
#[derive(Debug)]
pub(super) struct Claims {
    registered: Registered,
    all: Map<String, Value>,
}

/// Those that have a meaning here. Each may stand there only once.
#[derive(Debug, Deserialize)]
struct Registered {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
}

/// The issuer that a token says it is of. Nothing of it is verified.
pub(super) fn claimed_issuer(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let claims: Issuer = serde_json::from_slice(payload).ok()?;
    Some(claims.iss)
}

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, OidcError> {
        let registered = serde_json::from_slice(payload).map_err(|_| OidcError::Claims)?;
        let all = serde_json::from_slice(payload).map_err(|_| OidcError::Claims)?;
        Ok(Self { registered, all })
    }

    pub(super) fn check(
        self,
        settings: &OidcSettings,
        now: SystemTime,
    ) -> Result<OidcIdentity, OidcError> {
        let Registered {
            iss,
            sub,
            aud,
            exp,
            iat,
            nbf,
        } = self.registered;
        if iss != settings.issuer.as_str() {
            return Err(OidcError::Issuer);
        }
        let mut wanted = settings.audiences.iter().chain(&settings.client_id);
        if !wanted.any(|wanted| aud.contains(wanted)) {
            return Err(OidcError::Audience);
        }
        let expires_at = end(exp);
        if now >= expires_at {
            return Err(OidcError::Expired);
        }
        if now < start(iat) || nbf.is_some_and(|nbf| now < start(nbf)) {
            return Err(OidcError::NotYetValid);
        }
        if !is_name(&sub) {
            return Err(OidcError::Claims);
        }
        let username = username(&self.all, &settings.username_claim)?;
        let groups = match &settings.groups_claim {
            Some(claim) => groups(find(&self.all, claim))?,
            None => Vec::new(),
        };
        Ok(OidcIdentity {
            issuer: settings.name.clone(),
            subject: sub,
            username,
            groups,
            claims: self.all,
            expires_at,
        })
    }
}

/// For the fuzz target: whatever is claimed, an identity has a name that can be shown.
#[cfg(fuzzing)]
pub(crate) fn read(payload: &[u8], now: SystemTime) {
    let settings = OidcSettings {
        name: "idp".into(),
        issuer: "https://a".parse().expect("a URL"),
        audiences: vec!["service".into()],
        client_id: None,
        ca: None,
        algorithms: OidcSettings::default_algorithms(),
        username_claim: "/a/b".into(),
        groups_claim: Some("groups".into()),
    };
    let checked = Claims::parse(payload).and_then(|claims| claims.check(&settings, now));
    if let Ok(identity) = checked {
        assert!(is_name(&identity.username) && identity.groups.iter().all(|name| is_name(name)));
        assert!(identity.expires_at > now);
    }
}

/// A member, or what a JSON pointer (RFC 6901) leads to.
fn find<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a Value> {
    let Some(path) = claim.strip_prefix('/') else {
        return claims.get(claim);
    };
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, format!("/{rest}")),
        None => (path, String::new()),
    };
    let first = first.replace("~1", "/").replace("~0", "~");
    claims.get(&first)?.pointer(&rest)
}

fn username(claims: &Map<String, Value>, claim: &str) -> Result<String, OidcError> {
    let name = find(claims, claim).and_then(Value::as_str);
    let name = name
        .filter(|name| is_name(name))
        .ok_or(OidcError::Username)?;
    // An issuer lets anybody claim an address that it has not verified.
    if claim == "email"
        && claims
            .get("email_verified")
            .is_some_and(|verified| *verified != true)
    {
        return Err(OidcError::Unverified);
    }
    Ok(name.to_owned())
}

fn groups(claim: Option<&Value>) -> Result<Vec<String>, OidcError> {
    let name = |value: &Value| match value {
        Value::String(name) if is_name(name) => Ok(name.clone()),
        _ => Err(OidcError::Groups),
    };
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(name).collect(),
        Some(value) => Ok(vec![name(value)?]),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn settings() -> OidcSettings {
        OidcSettings {
            name: "idp".into(),
            issuer: "https://idp.example".parse().unwrap(),
            audiences: vec!["registry".into()],
            client_id: Some("client".into()),
            ca: None,
            algorithms: OidcSettings::default_algorithms(),
            username_claim: "sub".into(),
            groups_claim: Some("groups".into()),
        }
    }

    fn check(claims: &Value, settings: &OidcSettings) -> Result<OidcIdentity, OidcError> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        Claims::parse(claims.to_string().as_bytes())?.check(settings, now)
    }

    fn good() -> Value {
        json!({
            "iss": "https://idp.example", "sub": "alice", "aud": "registry",
            "exp": NOW + 300, "iat": NOW,
        })
    }

    fn with(member: &str, value: Value) -> Value {
        let mut claims = good();
        claims[member] = value;
        claims
    }

    #[test]
    fn claims_are_held_against_the_configuration() {
        use OidcError::*;
        for (member, value, expected) in [
            ("iss", json!("https://idp.example"), None),
            ("iss", json!("https://idp.example/"), Some(Issuer)),
            ("iss", json!("https://IDP.example"), Some(Issuer)),
            ("iss", json!("https://idp.example.evil"), Some(Issuer)),
            ("aud", json!("client"), None),
            ("aud", json!(["other", "registry"]), None),
            ("aud", json!("other"), Some(Audience)),
            ("aud", json!([]), Some(Audience)),
            ("exp", json!(NOW - 60), None),
            ("exp", json!(NOW - 61), Some(Expired)),
            ("exp", json!("9999999999"), Some(Claims)),
            ("iat", json!(NOW + 60), None),
            ("iat", json!(NOW + 61), Some(NotYetValid)),
            ("iat", json!(0), None),
            ("nbf", json!(NOW + 61), Some(NotYetValid)),
            ("sub", json!(""), Some(Claims)),
            ("sub", json!("a\nb"), Some(Claims)),
            ("sub", json!("a".repeat(256)), Some(Claims)),
            ("groups", json!(["a", 1]), Some(Groups)),
            ("groups", json!({"a": true}), Some(Groups)),
            ("groups", json!(["a\u{0}"]), Some(Groups)),
            ("groups", json!([""]), Some(Groups)),
        ] {
            let outcome = check(&with(member, value.clone()), &settings());
            assert_eq!(outcome.err(), expected, "{member}: {value}");
        }
        for member in ["iss", "sub", "aud", "exp", "iat"] {
            assert_eq!(check(&with(member, Value::Null), &settings()), Err(Claims));
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(member);
            assert_eq!(check(&claims, &settings()), Err(Claims), "{member}");
        }
        let twice = good().to_string().replacen('{', r#"{"sub":"root","#, 1);
        assert_eq!(super::Claims::parse(twice.as_bytes()).err(), Some(Claims));
    }

    #[test]
    fn names_and_groups_come_from_the_configured_claims() {
        let mut claims = good();
        claims["email"] = json!("alice@example.org");
        claims["realm"] = json!({"a/b": {"roles": ["dev", "ops"]}});
        claims["groups"] = json!("single");
        for (username, groups, expected) in [
            ("sub", None, Ok(("alice", vec![]))),
            (
                "email",
                Some("groups"),
                Ok(("alice@example.org", vec!["single"])),
            ),
            (
                "/email",
                Some("/realm/a~1b/roles"),
                Ok(("alice@example.org", vec!["dev", "ops"])),
            ),
            ("sub", Some("missing"), Ok(("alice", vec![]))),
            ("sub", Some("/realm/missing/x"), Ok(("alice", vec![]))),
            ("sub", Some("realm"), Err(OidcError::Groups)),
            ("missing", None, Err(OidcError::Username)),
            ("exp", None, Err(OidcError::Username)),
            ("/realm", None, Err(OidcError::Username)),
        ] {
            let settings = OidcSettings {
                username_claim: username.into(),
                groups_claim: groups.map(str::to_owned),
                ..settings()
            };
            let read = check(&claims, &settings);
            let shown = read.as_ref().map_err(|error| *error).map(|read| {
                let groups: Vec<&str> = read.groups.iter().map(String::as_str).collect();
                (read.username.as_str(), groups)
            });
            assert_eq!(shown, expected, "{username} {groups:?}");
        }
    }

    #[test]
    fn an_address_must_be_verified_where_the_issuer_says_whether_it_is() {
        let settings = OidcSettings {
            username_claim: "email".into(),
            ..settings()
        };
        for (verified, expected) in [
            (json!(true), None),
            (json!(false), Some(OidcError::Unverified)),
            (json!("true"), Some(OidcError::Unverified)),
            (json!(null), Some(OidcError::Unverified)),
        ] {
            let mut claims = with("email", json!("a@b"));
            claims["email_verified"] = verified;
            assert_eq!(check(&claims, &settings).err(), expected);
        }
        assert!(check(&with("email", json!("a@b")), &settings).is_ok());
    }

    proptest! {
        #[test]
        fn any_claims_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            name in any::<String>(),
            claim in "[a-z/~01]{0,10}",
        ) {
            let _any = Claims::parse(&bytes);
            let _any = claimed_issuer(&bytes);
            let settings = OidcSettings { username_claim: claim.clone(), ..settings() };
            match check(&with(&claim, json!(name)), &settings) {
                Ok(identity) => prop_assert!(is_name(&identity.username)),
                Err(error) => prop_assert!(!error.is_unavailable()),
            }
        }
    }
}
