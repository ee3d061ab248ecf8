//! To whom a rule applies.

use serde_json::Value;

use super::RuleError;
use super::pattern::NamePattern;
use crate::principal::{Identity, Kind};

/// To whom a rule applies.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Everyone,
    /// Whoever is known, in whatever way.
    Authenticated,
    Anonymous,
    /// Those of a kind with such a name, without the kind's prefix.
    Named(Kind, NamePattern),
    Group(NamePattern),
    /// Whose token has a claim of this name with this text, or a list with it.
    Claim(String, NamePattern),
}

/// What the forms of a subject are, for whoever wrote another.
const FORMS: &str = "a subject is everyone, authenticated, anonymous, user:NAME, group:NAME, \
                     robot:NAME, oidc:NAME, certificate:NAME or claim:NAME=VALUE, where * in a \
                     name or value stands for any text";

impl Subject {
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        let refused = || RuleError::Subject {
            text: text.to_owned(),
            forms: FORMS,
        };
        match text {
            "everyone" => return Ok(Self::Everyone),
            "authenticated" => return Ok(Self::Authenticated),
            "anonymous" => return Ok(Self::Anonymous),
            _ => {}
        }
        let (form, name) = text.split_once(':').ok_or_else(refused)?;
        match form {
            "group" => NamePattern::parse(name).map(Self::Group),
            "claim" => {
                let (claim, value) = name.split_once('=').ok_or_else(refused)?;
                Ok(Self::Claim(claim.to_owned(), NamePattern::parse(value)?))
            }
            form => match Kind::parse(form) {
                None | Some(Kind::Anonymous) => Err(refused()),
                Some(kind) => Ok(Self::Named(kind, NamePattern::parse(name)?)),
            },
        }
    }

    /// Whether the rule applies to somebody who is in these groups too.
    pub(crate) fn matches(&self, identity: &Identity, groups: &[String]) -> bool {
        match self {
            Self::Everyone => true,
            Self::Authenticated => identity.kind != Kind::Anonymous,
            Self::Anonymous => identity.kind == Kind::Anonymous,
            Self::Named(kind, name) => {
                identity.kind == *kind && name.matches(identity.short_name())
            }
            Self::Group(name) => {
                let mut all = identity.groups.iter().chain(groups);
                all.any(|group| name.matches(group))
            }
            Self::Claim(claim, value) => identity
                .claims
                .get(claim)
                .is_some_and(|claim| says(claim, value)),
        }
    }
}

/// Whether a claim has such a text.
fn says(claim: &Value, value: &NamePattern) -> bool {
    match claim {
        Value::String(text) => value.matches(text),
        Value::Bool(_) | Value::Number(_) => value.matches(&claim.to_string()),
        Value::Array(elements) => elements
            .iter()
            .any(|element| !element.is_array() && says(element, value)),
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_form_matches_its_own() {
        let alice = Identity::user("alice").in_groups(vec!["dev".to_owned()]);
        let robot = Identity::new(Kind::Robot, "ci-web");
        let claims = json!({"ref": "refs/heads/main", "aud": ["a", "b"], "n": 7, "o": {}});
        let job = Identity::new(Kind::Oidc, "gitlab/project:1")
            .with_claims(claims.as_object().unwrap().clone());
        let nobody = Identity::anonymous();
        let elsewhere = ["ops".to_owned()];
        for (text, who) in [
            ("everyone", [true, true, true, true]),
            ("authenticated", [true, true, true, false]),
            ("anonymous", [false, false, false, true]),
            ("user:alice", [true, false, false, false]),
            ("user:*", [true, false, false, false]),
            ("user:anonymous", [false, false, false, false]),
            ("user:ci-web", [false, false, false, false]),
            ("group:dev", [true, false, false, false]),
            ("group:ops", [true, true, true, true]),
            ("robot:ci-*", [false, true, false, false]),
            ("oidc:gitlab/*", [false, false, true, false]),
            ("certificate:*", [false, false, false, false]),
            ("claim:ref=refs/heads/*", [false, false, true, false]),
            ("claim:aud=b", [false, false, true, false]),
            ("claim:n=7", [false, false, true, false]),
            ("claim:o=*", [false, false, false, false]),
            ("claim:none=*", [false, false, false, false]),
        ] {
            let subject = Subject::parse(text).unwrap();
            for (identity, expected) in [&alice, &robot, &job, &nobody].into_iter().zip(who) {
                let matches = subject.matches(identity, &elsewhere);
                assert_eq!(matches, expected, "{text} {}", identity.name);
            }
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_forms() {
        for text in [
            "",
            "alice",
            "users:alice",
            "user:",
            "claim:ref",
            "anonymous:x",
            "user:[",
        ] {
            assert!(Subject::parse(text).is_err(), "{text:?}");
        }
        let error = Subject::parse("alice").unwrap_err().to_string();
        assert!(error.contains("user:NAME"), "{error}");
    }
}
