//! What a token claims (RFC 7519 §4, and `access` of the registry's token protocol).

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};

use super::TokenError;

/// How far the issuer's clock may be from this one's.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whose token it is, where it says so.
    pub subject: Option<String>,
    /// What its bearer may do.
    pub access: Vec<AccessRecord>,
    /// From when it is refused, leeway included.
    pub expires_at: SystemTime,
}

/// One element of the `access` claim.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccessRecord {
    /// `repository` or `registry`.
    #[serde(rename = "type", default, deserialize_with = "null_is_nothing")]
    pub kind: String,
    /// Of a repository: `image`, `plugin` or nothing.
    #[serde(default, deserialize_with = "null_is_nothing")]
    pub class: String,
    /// The name, exactly.
    #[serde(default, deserialize_with = "null_is_nothing")]
    pub name: String,
    /// `pull`, `push`, `delete`, or `*` for all.
    #[serde(default, deserialize_with = "null_is_nothing")]
    pub actions: Vec<String>,
}

impl VerifiedToken {
    /// Whether any of the records of this very type and name has the action, or `*`. Names are no
    /// patterns, and the class is not looked at.
    #[must_use]
    pub fn allows(&self, kind: &str, name: &str, action: &str) -> bool {
        self.access
            .iter()
            .filter(|record| record.kind == kind && record.name == name)
            .flat_map(|record| &record.actions)
            .any(|granted| granted == action || granted == "*")
    }
}

#[derive(Debug, Deserialize)]
struct Claims {
    #[serde(default, deserialize_with = "null_is_nothing")]
    iss: String,
    sub: Option<String>,
    #[serde(default, deserialize_with = "null_is_nothing")]
    aud: Audience,
    exp: Option<i64>,
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "null_is_nothing")]
    access: Vec<AccessRecord>,
}

/// One name or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Reads claims and holds them against what they must be.
pub(crate) fn check(
    payload: &[u8],
    issuer: &str,
    service: &str,
    now: SystemTime,
) -> Result<VerifiedToken, TokenError> {
    parse(payload)?.check(issuer, service, now)
}

/// Reads the claims of a token whose signature is right.
fn parse(payload: &[u8]) -> Result<Claims, TokenError> {
    serde_json::from_slice(payload).map_err(|_| TokenError::Claims)
}

impl Claims {
    /// Holds the claims against what they must be, in `distribution`'s order.
    fn check(
        self,
        issuer: &str,
        service: &str,
        now: SystemTime,
    ) -> Result<VerifiedToken, TokenError> {
        if self.iss != issuer {
            return Err(TokenError::Issuer);
        }
        if !self.aud.contains(service) {
            return Err(TokenError::Audience);
        }
        let expires_at = end(self.exp.ok_or(TokenError::Expired)?);
        if now >= expires_at {
            return Err(TokenError::Expired);
        }
        if self.nbf.is_some_and(|nbf| now < start(nbf)) {
            return Err(TokenError::NotYetValid);
        }
        Ok(VerifiedToken {
            subject: self.sub.filter(|subject| !subject.is_empty()),
            access: self.access,
            expires_at,
        })
    }
}

impl Audience {
    pub(crate) fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Many(names) => names.iter().any(|name| name == wanted),
        }
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// When a token of this `exp` is refused.
pub(crate) fn end(exp: i64) -> SystemTime {
    at(exp.saturating_add(1)) + LEEWAY
}

/// When a token of this `nbf` or `iat` is taken.
pub(crate) fn start(nbf: i64) -> SystemTime {
    let start = at(nbf);
    start.checked_sub(LEEWAY).unwrap_or(start)
}

/// A time in seconds since 1970; none lies before that, or after the year 9999.
fn at(seconds: i64) -> SystemTime {
    const END: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).unwrap_or(0).min(END);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Go reads `null` as the empty value.
fn null_is_nothing<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn check(claims: &Value) -> Result<VerifiedToken, TokenError> {
        let claims = parse(claims.to_string().as_bytes())?;
        claims.check("issuer", "service", at(NOW))
    }

    fn with(member: &str, value: Value) -> Value {
        let mut claims = json!({"iss": "issuer", "aud": "service", "exp": NOW + 300});
        claims[member] = value;
        claims
    }

    #[test]
    fn claims_are_held_against_the_configuration() {
        use TokenError::*;
        for (member, value, expected) in [
            ("iss", json!("issuer"), None),
            ("iss", json!("Issuer"), Some(Issuer)),
            ("iss", json!("issuer/"), Some(Issuer)),
            ("iss", json!(""), Some(Issuer)),
            ("iss", json!(null), Some(Issuer)),
            ("iss", json!(["issuer"]), Some(Claims)),
            ("aud", json!("service"), None),
            ("aud", json!(["service"]), None),
            ("aud", json!(["other", "service"]), None),
            ("aud", json!("services"), Some(Audience)),
            ("aud", json!(["other"]), Some(Audience)),
            ("aud", json!([]), Some(Audience)),
            ("aud", json!(null), Some(Audience)),
            ("aud", json!(["service", 1]), Some(Claims)),
            ("aud", json!({"service": true}), Some(Claims)),
            ("exp", json!(NOW), None),
            ("exp", json!(NOW - 60), None),
            ("exp", json!(NOW - 61), Some(Expired)),
            ("exp", json!(0), Some(Expired)),
            ("exp", json!(-1), Some(Expired)),
            ("exp", json!(i64::MIN), Some(Expired)),
            ("exp", json!(i64::MAX), None),
            ("exp", json!(null), Some(Expired)),
            ("exp", json!(NOW as f64 + 0.5), Some(Claims)),
            ("exp", json!((NOW + 300).to_string()), Some(Claims)),
            ("exp", json!(u64::MAX), Some(Claims)),
            ("nbf", json!(NOW), None),
            ("nbf", json!(NOW + 60), None),
            ("nbf", json!(NOW + 61), Some(NotYetValid)),
            ("nbf", json!(i64::MAX), Some(NotYetValid)),
            ("nbf", json!(i64::MIN), None),
            ("nbf", json!(null), None),
            ("nbf", json!(1.5), Some(Claims)),
            ("nbf", json!("1"), Some(Claims)),
            ("iat", json!("whatever"), None),
            ("jti", json!(1), None),
            ("sub", json!(null), None),
            ("sub", json!(1), Some(Claims)),
            ("access", json!(null), None),
            ("access", json!([{}]), None),
            ("access", json!([{"type": null, "actions": null}]), None),
            ("access", json!("repository:a:pull"), Some(Claims)),
            ("access", json!([{"actions": "pull"}]), Some(Claims)),
        ] {
            let outcome = check(&with(member, value.clone()));
            assert_eq!(outcome.err(), expected, "{member}: {value}");
        }
        let mut without = with("exp", json!(0));
        without.as_object_mut().unwrap().remove("exp");
        assert_eq!(check(&without), Err(Expired));
    }

    #[test]
    fn what_is_no_object_with_each_member_once_is_refused() {
        for text in [
            "",
            "null",
            "\"a\"",
            "{",
            r#"{"iss":"issuer"} {"#,
            r#"{"iss":"other","iss":"issuer"}"#,
            r#"{"exp":1,"exp":9999999999}"#,
        ] {
            assert_eq!(
                parse(text.as_bytes()).err(),
                Some(TokenError::Claims),
                "{text}"
            );
        }
    }

    #[test]
    fn a_token_says_who_may_do_what_and_until_when() {
        let mut claims = with("sub", json!("alice"));
        claims["access"] = json!([
            {"type": "repository", "class": "image", "name": "a/b", "actions": ["pull", "push"]},
            {"type": "registry", "name": "catalog", "actions": ["*"], "more": 1},
        ]);
        let token = check(&claims).unwrap();
        assert_eq!(token.subject.as_deref(), Some("alice"));
        assert_eq!(token.expires_at, at(NOW + 361));
        let record = |kind: &str, class: &str, name: &str, actions: &[&str]| AccessRecord {
            kind: kind.into(),
            class: class.into(),
            name: name.into(),
            actions: actions.iter().map(|action| (*action).into()).collect(),
        };
        assert_eq!(
            token.access,
            [
                record("repository", "image", "a/b", &["pull", "push"]),
                record("registry", "", "catalog", &["*"]),
            ]
        );
    }

    #[test]
    fn records_of_one_name_add_up_and_names_are_no_patterns() {
        let mut claims = with("sub", json!("alice"));
        claims["access"] = json!([
            {"type": "repository", "name": "a", "actions": ["pull"]},
            {"type": "repository", "name": "a", "actions": ["push"], "class": "plugin"},
            {"type": "repository", "name": "b/*", "actions": ["pull"]},
            {"type": "repository(plugin)", "name": "c", "actions": ["pull"]},
            {"type": "registry", "name": "catalog", "actions": ["*"]},
            {"type": "repository", "name": "*", "actions": ["*"]},
        ]);
        let token = check(&claims).unwrap();
        for (kind, name, action, expected) in [
            ("repository", "a", "pull", true),
            ("repository", "a", "push", true),
            ("repository", "a", "delete", false),
            ("repository", "a", "*", false),
            ("repository", "A", "pull", false),
            ("repository", "b/c", "pull", false),
            ("repository", "c", "pull", false),
            ("repository", "catalog", "pull", false),
            ("registry", "catalog", "*", true),
            ("registry", "catalog", "anything", true),
            ("registry", "a", "pull", false),
        ] {
            assert_eq!(
                token.allows(kind, name, action),
                expected,
                "{kind}:{name}:{action}"
            );
        }
        let empty = check(&with("access", json!([]))).unwrap();
        assert!(!empty.allows("", "", ""));
    }

    proptest! {
        #[test]
        fn any_claims_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            exp in any::<i64>(),
            nbf in any::<Option<i64>>(),
            now in 1000..4_000_000_000_u64,
        ) {
            let _any = parse(&bytes);
            let claims = json!({"iss": "i", "aud": "s", "exp": exp, "nbf": nbf});
            let claims = parse(claims.to_string().as_bytes()).unwrap();
            let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            let outcome = claims.check("i", "s", clock);
            let now = i128::from(now);
            let good = now <= i128::from(exp) + 60
                && nbf.is_none_or(|nbf| i128::from(nbf) - 60 <= now);
            prop_assert_eq!(outcome.is_ok(), good);
        }
    }
}
