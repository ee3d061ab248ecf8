//! The authoriser: from credentials to a principal, from a principal to a grant.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roadstead_oci::{ActionSet, CatalogGrant, Grant, RepositoryName};

use crate::basic::Credentials;
use crate::challenge;
use crate::error::{Reason, Refusal};
use crate::policy::{Decision, Policy};
use crate::principal::Principal;
use crate::user_file::{HtpasswdError, UserFile};
use crate::verify::{NotChecked, Verifier};

/// The authority of a registry: it says who asks, and what they may do.
pub struct Authoriser {
    authenticator: Authenticator,
    policy: Policy,
}

/// How it is found out who asks.
enum Authenticator {
    /// It is not.
    Open,
    /// By password, against a file of users.
    Htpasswd(Box<Htpasswd>),
}

struct Htpasswd {
    challenge: String,
    file: Arc<UserFile>,
    verifier: Verifier,
}

/// When to come again with a password that there was no time for.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl Authoriser {
    /// Everybody may do everything. Credentials are neither asked for nor looked at.
    #[must_use]
    pub fn open() -> Self {
        Self {
            authenticator: Authenticator::Open,
            policy: Policy::Everybody,
        }
    }

    /// Whoever is in the htpasswd file may do everything. The file is read again when it changes.
    ///
    /// Blocks while it reads the file.
    ///
    /// # Errors
    /// A file that cannot be read or has no user who could log in. None is made, and no password:
    /// whoever reads the log would have it.
    pub fn htpasswd(realm: &str, path: &Path) -> Result<Self, HtpasswdError> {
        let file = Arc::new(UserFile::open(path)?);
        let verifier = Verifier::new().map_err(|error| HtpasswdError::new(path, error))?;
        Ok(Self {
            authenticator: Authenticator::Htpasswd(Box::new(Htpasswd {
                challenge: challenge::basic(realm),
                file,
                verifier,
            })),
            policy: Policy::Users,
        })
    }

    /// Finds out who asks, from the value of the `Authorization` header.
    ///
    /// # Errors
    /// `Unauthenticated` without credentials or with wrong ones, `Busy` where too many passwords
    /// wait to be checked, `Unavailable` where the check broke off.
    ///
    /// # Cancel safety
    /// Nothing is lost; a check that was begun keeps its core busy to its end.
    pub async fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Principal, Refusal> {
        match &self.authenticator {
            Authenticator::Open => Ok(Principal::anonymous()),
            Authenticator::Htpasswd(htpasswd) => htpasswd.authenticate(authorization).await,
        }
    }

    /// Grants all of these actions on a repository.
    ///
    /// # Errors
    /// `Denied`.
    pub fn authorise(
        &self,
        principal: &Principal,
        repository: &RepositoryName,
        actions: ActionSet,
    ) -> Result<Grant, Refusal> {
        match self.policy.decide(principal, repository, actions) {
            Decision::Allow => {
                let name = principal.name().clone();
                Ok(Grant::issue(repository.clone(), actions, name))
            }
            Decision::Deny => Err(denied(principal)),
        }
    }

    /// Grants the list of repositories.
    ///
    /// # Errors
    /// `Denied`.
    pub fn authorise_catalog(&self, principal: &Principal) -> Result<CatalogGrant, Refusal> {
        match self.policy.decide_catalog(principal) {
            Decision::Allow => Ok(CatalogGrant::issue(principal.name().clone())),
            Decision::Deny => Err(denied(principal)),
        }
    }

    /// Looks whether the file of users has changed, and reads it again, without waiting for a login.
    /// Blocks while it does.
    pub fn look(&self) {
        if let Authenticator::Htpasswd(htpasswd) = &self.authenticator {
            htpasswd.file.refresh();
        }
    }

    /// What is wrong with the file of users while those of before stay in force; for the health
    /// page. Found out when somebody logs in, and by [`Authoriser::look`].
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match &self.authenticator {
            Authenticator::Open => None,
            Authenticator::Htpasswd(htpasswd) => htpasswd.file.problem(),
        }
    }
}

impl fmt::Debug for Authoriser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authoriser")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Htpasswd {
    async fn authenticate(&self, authorization: Option<&[u8]>) -> Result<Principal, Refusal> {
        let refused = |reason| Refusal::Unauthenticated {
            challenge: self.challenge.clone(),
            reason,
        };
        let value = authorization.ok_or_else(|| refused(Reason::Missing))?;
        let credentials =
            Credentials::parse(value).map_err(|error| refused(Reason::Malformed(error)))?;
        let users = self.file.users().await;
        match self.verifier.verify(&users, &credentials).await {
            Ok(true) => Ok(Principal::by_password(&credentials.user)),
            Ok(false) => Err(refused(Reason::Wrong)),
            Err(NotChecked::Busy) => Err(Refusal::Busy {
                retry_after: RETRY_AFTER,
            }),
            Err(NotChecked::Failed(error)) => Err(Refusal::Unavailable(error)),
        }
    }
}

fn denied(principal: &Principal) -> Refusal {
    Refusal::Denied {
        principal: principal.name().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use roadstead_oci::Action;

    use super::*;

    fn with_users(users: &[(&str, &str)]) -> (tempfile::TempDir, Authoriser) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        let line = |(user, password): &(&str, &str)| {
            format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
        };
        std::fs::write(&path, users.iter().map(line).collect::<String>()).unwrap();
        (
            directory,
            Authoriser::htpasswd("a \"realm\"", &path).unwrap(),
        )
    }

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes()
    }

    #[tokio::test]
    async fn an_open_registry_looks_at_no_credentials() {
        let authoriser = Authoriser::open();
        for value in [None, Some(&basic("alice:secret")[..]), Some(b"garbage")] {
            let principal = authoriser.authenticate(value).await.unwrap();
            assert_eq!(principal.name().as_str(), "anonymous");
            let repository = RepositoryName::parse("app").unwrap();
            let grant = authoriser
                .authorise(&principal, &repository, ActionSet::ALL)
                .unwrap();
            assert!(Action::ALL.iter().all(|action| grant.permits(*action)));
            authoriser.authorise_catalog(&principal).unwrap();
        }
    }

    #[tokio::test]
    async fn a_user_gets_exactly_the_grant_that_was_asked_for() {
        let (_directory, authoriser) = with_users(&[("alice", "secret")]);
        let value = basic("alice:secret");
        let alice = authoriser.authenticate(Some(&value)).await.unwrap();
        let repository = RepositoryName::parse("team/app").unwrap();
        let grant = authoriser
            .authorise(&alice, &repository, ActionSet::PUSH)
            .unwrap();
        assert_eq!(grant.repository(), &repository);
        assert_eq!(grant.principal().as_str(), "alice");
        assert!(grant.permits(Action::Push) && !grant.permits(Action::Delete));
        let catalog = authoriser.authorise_catalog(&alice).unwrap();
        assert_eq!(catalog.principal(), alice.name());
    }

    #[tokio::test]
    async fn whoever_is_not_known_gets_the_challenge_and_nothing_more() {
        let (_directory, authoriser) = with_users(&[("alice", "secret")]);
        let (wrong, unknown) = (basic("alice:Secret"), basic("bob:secret"));
        for (value, expected) in [
            (None, Reason::Missing),
            (
                Some(&b"Bearer abc"[..]),
                Reason::Malformed(crate::BasicError::Scheme),
            ),
            (
                Some(b"Basic !"),
                Reason::Malformed(crate::BasicError::Base64),
            ),
            (Some(&wrong), Reason::Wrong),
            (Some(&unknown), Reason::Wrong),
        ] {
            match authoriser.authenticate(value).await {
                Err(Refusal::Unauthenticated { challenge, reason }) => {
                    assert_eq!(challenge, r#"Basic realm="a \"realm\"""#);
                    assert_eq!(reason, expected);
                }
                other => panic!("{value:?}: {other:?}"),
            }
        }
        let anonymous = Principal::anonymous();
        let repository = RepositoryName::parse("app").unwrap();
        let refused = authoriser.authorise(&anonymous, &repository, ActionSet::PULL);
        assert!(matches!(refused, Err(Refusal::Denied { .. })));
        assert!(authoriser.authorise_catalog(&anonymous).is_err());
    }
}
