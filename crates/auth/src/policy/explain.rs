//! What the policy would say, asked without a request.

use std::net::IpAddr;
use std::time::SystemTime;

use roadstead_oci::{Action, ActionSet, RepositoryName};
use serde_json::{Map, Value};

use super::{Circumstances, Decision, Policy, Wish};
use crate::principal::{Credential, Identity, Kind, Principal};

/// A question to the policy.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who would ask: `alice`, `robot:ci`, `oidc:gitlab/…`, `certificate:…` or `anonymous`.
    pub who: String,
    /// Groups beside those of the policy.
    pub groups: Vec<String>,
    /// Claims of a token.
    pub claims: Map<String, Value>,
    /// The repository.
    pub repository: RepositoryName,
    /// What they would do.
    pub action: Action,
    /// From where.
    pub client: Option<IpAddr>,
}

/// What the policy says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision, with the rule that made it.
    pub decision: Decision,
    /// All groups that counted.
    pub groups: Vec<String>,
}

impl Policy {
    /// What would be decided, by the very code that decides about requests.
    #[must_use]
    pub fn explain(&self, question: &Question) -> Explanation {
        let identity = identity(&question.who)
            .in_groups(question.groups.clone())
            .with_claims(question.claims.clone());
        let mut groups = identity.groups.clone();
        groups.extend(self.groups_of(&identity).iter().cloned());
        let principal = Principal::new(identity, Credential::Own);
        let wish = Wish {
            principal: &principal,
            repository: &question.repository,
            circumstances: Circumstances {
                client: question.client,
                now: SystemTime::now(),
            },
        };
        let decision = self.decide(&wish, ActionSet::NONE.with(question.action));
        Explanation { decision, groups }
    }
}

/// The identity of a whole name.
fn identity(who: &str) -> Identity {
    if who == Kind::Anonymous.as_str() {
        return Identity::anonymous();
    }
    let (kind, name) = Kind::of_name(who);
    Identity::new(kind, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_are_of() {
        for (who, kind, short) in [
            ("alice", Kind::User, "alice"),
            ("user:alice", Kind::User, "alice"),
            ("robot:ci", Kind::Robot, "ci"),
            ("oidc:gitlab/a:b", Kind::Oidc, "gitlab/a:b"),
            ("anonymous", Kind::Anonymous, "anonymous"),
        ] {
            let identity = identity(who);
            assert_eq!(
                (identity.kind, identity.short_name()),
                (kind, short),
                "{who}"
            );
        }
    }
}
