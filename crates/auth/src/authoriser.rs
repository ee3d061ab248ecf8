//! The authoriser: from credentials to a principal, from a principal to a grant.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use roadstead_metadata::Meta;
use roadstead_oci::{Action, ActionSet, CatalogGrant, Grant, RepositoryName};

use crate::authenticators::{Authenticators, stands_for};
use crate::basic::{BasicError, Credentials};
use crate::certificate::ClientCertificate;
use crate::challenge::{BearerError, Challenge, Origin};
use crate::error::{Reason, Refusal};
use crate::external::ExternalTokens;
use crate::issuer::{Issuer, SigningKeyError, TokenRefused};
use crate::policy::{Circumstances, Decision, Policy, Preset, Wish};
use crate::principal::{Credential, Identity, Principal};
use crate::scope::Scope;
use crate::setup::{Setup, SetupError};
use crate::token_server::{Login, refreshed};

/// The authority of a registry: it says who asks, and what they may do.
pub struct Authoriser {
    /// None: nobody is asked who they are.
    pub(crate) authenticators: Option<Authenticators>,
    pub(crate) issuer: Option<Issuer>,
    external: Option<ExternalTokens>,
    /// Whether every `Authorization` header is somebody.
    silly: bool,
    policy: ArcSwap<Policy>,
    /// Whether a client certificate says who asks.
    certificates: bool,
    challenge: Challenge,
}

/// What a request shows of who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// The client's certificate, verified.
    pub certificate: Option<&'a ClientCertificate>,
    /// The client's address.
    pub client: Option<IpAddr>,
}

/// A grant, and the rule that it was given by.
#[derive(Debug)]
pub struct Granted<G> {
    /// The grant.
    pub grant: G,
    /// What decided, in words.
    pub rule: Arc<str>,
}

impl Authoriser {
    /// Everybody may do everything. Credentials are neither asked for nor looked at.
    #[must_use]
    pub fn open() -> Self {
        Self {
            authenticators: None,
            issuer: None,
            external: None,
            silly: false,
            certificates: false,
            policy: ArcSwap::from_pointee(Policy::preset(Preset::Open)),
            challenge: Challenge::Basic {
                realm: String::new(),
            },
        }
    }

    /// Puts an authoriser together. Blocks while it reads files.
    ///
    /// # Errors
    /// [`SetupError`]: whatever is configured and cannot be used. Nothing is left out instead.
    pub async fn new(setup: Setup, metadata: Meta) -> Result<Self, SetupError> {
        let accounts = setup.accounts.then(|| metadata.clone());
        let challenge = setup.challenge();
        let file = setup.htpasswd.as_deref();
        let authenticators = Authenticators::new(file, accounts, setup.ldap, setup.oidc)?;
        let issuer = match setup.issuer {
            Some(settings) => Some(Issuer::open(settings, metadata).await?),
            None => None,
        };
        Ok(Self {
            authenticators: Some(authenticators),
            issuer,
            external: setup
                .external
                .map(|external| ExternalTokens::new(external.verifier)),
            silly: setup.silly.is_some(),
            certificates: setup.certificates,
            policy: ArcSwap::from_pointee(setup.policy),
            challenge,
        })
    }

    /// Puts other rules in force, for every request from now on.
    pub fn set_policy(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
    }

    /// The rules in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Takes over signing keys of other replicas and makes new ones in time: to be called every
    /// minute or so.
    ///
    /// # Errors
    /// Of the metadata store; the keys of before stay in force.
    pub async fn tend(&self) -> Result<(), SigningKeyError> {
        match &self.issuer {
            Some(issuer) => issuer.tend().await,
            None => Ok(()),
        }
    }

    /// Keeps keys of other issuers as new as they should be: to be run as a task of its own. It may
    /// be dropped at any time.
    pub async fn keep_current(&self) {
        let external = async {
            if let Some(external) = &self.external {
                external.keep_current().await;
            }
        };
        let oidc = async {
            if let Some(authenticators) = &self.authenticators {
                authenticators.oidc.keep_current().await;
            }
        };
        tokio::join!(external, oidc);
    }

    /// Finds out who asks. Whoever brings no credentials is nobody in particular.
    ///
    /// # Errors
    /// `Unauthenticated` for wrong credentials, `Busy` where too many passwords wait to be checked,
    /// `Unavailable` where the check broke off.
    ///
    /// # Cancel safety
    /// Nothing is lost; a check that was begun keeps its core busy to its end.
    pub async fn authenticate(&self, presented: &Presented<'_>) -> Result<Principal, Refusal> {
        let Some(authenticators) = &self.authenticators else {
            return Ok(Principal::anonymous());
        };
        let Some(value) = presented.authorization else {
            return Ok(match presented.certificate {
                Some(holder) if self.certificates => {
                    Principal::new(Identity::of_certificate(holder), Credential::Own)
                }
                _ => Principal::anonymous(),
            });
        };
        if self.silly && !value.is_empty() {
            return Ok(Principal::new(Identity::user("silly"), Credential::Own));
        }
        if let Some(token) = bearer(value) {
            return self.by_token(token).await;
        }
        let found = self
            .by_basic(authenticators, value, presented.client)
            .await?;
        let identity = match found {
            Some(login) => login.identity,
            None => return Ok(Principal::new(Identity::anonymous(), Credential::Empty)),
        };
        Ok(Principal::new(identity, Credential::Own))
    }

    /// Who these Basic credentials are of; none for those of nobody.
    pub(crate) async fn by_basic(
        &self,
        authenticators: &Authenticators,
        value: &[u8],
        client: Option<IpAddr>,
    ) -> Result<Option<Login>, Refusal> {
        match Credentials::parse(value) {
            Ok(credentials) => self
                .login(authenticators, &credentials, client)
                .await
                .map(Some),
            Err(BasicError::Nobody) => Ok(None),
            Err(error) => Err(Refusal::Unauthenticated(Reason::Malformed(error))),
        }
    }

    /// Whose name and password these are. A refresh token stands in for the password of whom it was
    /// issued to: clients that know Basic alone keep it instead.
    pub(crate) async fn login(
        &self,
        authenticators: &Authenticators,
        credentials: &Credentials,
        client: Option<IpAddr>,
    ) -> Result<Login, Refusal> {
        if let Some(issuer) = &self.issuer
            && let Ok(text) = str::from_utf8(credentials.password.expose())
            && issuer.is_ours(text).await
        {
            let identity = refreshed(issuer, authenticators, text).await?;
            return match stands_for(&identity, &credentials.user) {
                true => Ok(Login {
                    identity,
                    by: Some(text.to_owned()),
                }),
                false => Err(Refusal::Unauthenticated(Reason::Wrong)),
            };
        }
        let identity = authenticators.login(credentials, client).await?;
        Ok(identity.into())
    }

    async fn by_token(&self, token: &str) -> Result<Principal, Refusal> {
        if token.is_empty() {
            return Err(Refusal::Unauthenticated(Reason::Missing));
        }
        let refused = match &self.issuer {
            Some(issuer) => match issuer.verify(token).await {
                Ok(principal) => return Ok(principal),
                Err(refused) => refused,
            },
            None => TokenRefused::Foreign,
        };
        match (&self.external, refused) {
            (Some(external), TokenRefused::Foreign) => external.verify(token).await,
            (_, refused) => {
                tracing::debug!(%refused, "a token was refused");
                Err(Refusal::Unauthenticated(Reason::Token))
            }
        }
    }

    /// Lets somebody in at all: what `/v2/` answers. Where anybody can log in, nobody gets in
    /// without credentials, or clients would never send theirs.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn enter(&self, principal: &Principal) -> Result<(), Refusal> {
        if self.authenticators.is_none() {
            return Ok(());
        }
        let lets_in = match principal.credential() {
            Credential::None => false,
            Credential::Empty => self.policy.load().admits(principal.identity()),
            Credential::Own | Credential::Token(_) | Credential::External(_) => true,
        };
        if lets_in {
            return Ok(());
        }
        Err(Refusal::Unauthenticated(Reason::Missing))
    }

    /// Grants all of these actions on a repository, and those of `also` that may be done.
    ///
    /// # Errors
    /// `Unauthenticated` for nobody in particular, `InsufficientScope` for a token, `Denied` for
    /// everybody else.
    pub fn authorise(
        &self,
        principal: &Principal,
        repository: &RepositoryName,
        actions: ActionSet,
        also: ActionSet,
        circumstances: Circumstances,
    ) -> Result<Granted<Grant>, Refusal> {
        let wish = Wish {
            principal,
            repository,
            circumstances,
        };
        let policy = self.policy.load();
        let Decision { allowed, rule } = policy.decide(&wish, actions);
        if !allowed {
            return Err(self.refusal(principal, &rule));
        }
        let also = match also.is_empty() {
            true => also,
            false => policy.permitted(&wish, also),
        };
        let name = principal.name().clone();
        Ok(Granted {
            grant: Grant::issue(repository.clone(), actions.union(also), name),
            rule,
        })
    }

    /// Grants the list of repositories, of which it shows what the principal may list.
    ///
    /// # Errors
    /// As [`Self::authorise`].
    pub fn authorise_catalog(
        &self,
        principal: &Principal,
    ) -> Result<Granted<CatalogGrant>, Refusal> {
        let Decision { allowed, rule } = self.policy.load().decide_catalog(principal);
        if !allowed {
            return Err(self.refusal(principal, &rule));
        }
        Ok(Granted {
            grant: CatalogGrant::issue(principal.name().clone()),
            rule,
        })
    }

    /// Whether the list of repositories shows this one to somebody.
    #[must_use]
    pub fn lists(
        &self,
        principal: &Principal,
        repository: &RepositoryName,
        circumstances: Circumstances,
    ) -> bool {
        let wish = Wish {
            principal,
            repository,
            circumstances,
        };
        let list = ActionSet::NONE.with(Action::List);
        self.policy.load().decide(&wish, list).allowed
    }

    /// Where the next repository can be that somebody may list, after the name `after`: behind this
    /// text, which may be `after` itself. None: there is none.
    #[must_use]
    pub fn next_listed(&self, principal: &Principal, after: &str) -> Option<String> {
        let policy = self.policy.load();
        Some(policy.next_listed(principal, after)?.before(after))
    }

    /// What a client that was refused is told of how to log in.
    #[must_use]
    pub fn challenge(
        &self,
        scopes: &[Scope],
        error: Option<BearerError>,
        origin: Origin<'_>,
    ) -> String {
        self.challenge.value(scopes, error, origin)
    }

    fn refusal(&self, principal: &Principal, rule: &str) -> Refusal {
        if principal.is_by_token() {
            return Refusal::InsufficientScope {
                rule: rule.to_owned(),
            };
        }
        if self.authenticators.is_some() && !principal.is_identified() {
            return Refusal::Unauthenticated(Reason::Missing);
        }
        Refusal::Denied {
            principal: principal.name().to_string(),
            rule: rule.to_owned(),
        }
    }

    /// Looks whether files have changed, and reads them again, without waiting for a login. Blocks
    /// while it does.
    pub fn look(&self) {
        if let Some(authenticators) = &self.authenticators {
            authenticators.look();
        }
    }

    /// What is wrong with a file while what it said before stays in force; for the health page.
    /// Found out when somebody logs in, and by [`Authoriser::look`].
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let of_external = self.external.as_ref().and_then(ExternalTokens::problem);
        let authenticators = self.authenticators.as_ref();
        of_external.or_else(|| authenticators.and_then(Authenticators::problem))
    }
}

/// The token of a Bearer credential (RFC 6750 §2.1).
fn bearer(value: &[u8]) -> Option<&str> {
    let text = str::from_utf8(value).ok()?;
    let (scheme, token) = text.split_at_checked(7)?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer ");
    is_bearer.then(|| token.trim_start_matches(' '))
}

impl fmt::Debug for Authoriser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authoriser")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
