//! The one place that decides who may do what.
//!
//! Every grant goes through [`Policy::decide`] or [`Policy::decide_catalog`]; whatever access
//! control there will be grows in here. What no rule allows is denied.

use roadstead_oci::{ActionSet, RepositoryName};

use crate::principal::{Known, Principal};

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Everybody may do everything.
    Everybody,
    /// Whoever has logged in may do everything, as with `distribution`.
    Users,
}

/// What comes of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    Deny,
}

impl Policy {
    /// Whether this principal may do all of this with this repository.
    pub(crate) fn decide(
        self,
        principal: &Principal,
        _repository: &RepositoryName,
        _actions: ActionSet,
    ) -> Decision {
        self.lets_in(principal)
    }

    /// Whether this principal may list the repositories.
    pub(crate) fn decide_catalog(self, principal: &Principal) -> Decision {
        self.lets_in(principal)
    }

    fn lets_in(self, principal: &Principal) -> Decision {
        match (self, principal.known()) {
            (Self::Everybody, _) | (Self::Users, Known::ByPassword) => Decision::Allow,
            (Self::Users, Known::NotAsked) => Decision::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_do_everything_and_others_only_where_everybody_may() {
        let (user, anonymous) = (Principal::by_password("alice"), Principal::anonymous());
        for (policy, principal, expected) in [
            (Policy::Everybody, &anonymous, Decision::Allow),
            (Policy::Everybody, &user, Decision::Allow),
            (Policy::Users, &user, Decision::Allow),
            (Policy::Users, &anonymous, Decision::Deny),
        ] {
            let repository = RepositoryName::parse("team/app").unwrap();
            for actions in [ActionSet::PULL, ActionSet::PUSH, ActionSet::DELETE] {
                let decision = policy.decide(principal, &repository, actions);
                assert_eq!(decision, expected, "{policy:?} {principal:?} {actions:?}");
            }
            assert_eq!(policy.decide_catalog(principal), expected);
        }
    }
}
