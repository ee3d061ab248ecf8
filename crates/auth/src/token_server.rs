//! What the token endpoint answers (the Docker registry token specification, its OAuth 2 form, and
//! RFC 8693 for tokens of other issuers).

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use roadstead_oci::{ActionSet, RepositoryName};

use crate::authenticators::Authenticators;
use crate::authoriser::Authoriser;
use crate::basic::Credentials;
use crate::error::{Reason, Refusal};
use crate::issuer::{IssueError, Issuer};
use crate::policy::{Circumstances, Wish};
use crate::principal::{Credential, Identity, Kind, Principal};
use crate::scope::{Access, Scope};
use crate::secret::Secret;

/// A request for a token.
#[derive(Debug)]
pub struct TokenRequest<'a> {
    /// Whose it shall be.
    pub grant: TokenGrant<'a>,
    /// What it shall cover: parameters with scopes apart by spaces.
    pub scopes: Vec<&'a str>,
    /// For which service.
    pub service: Option<&'a str>,
    /// Whether a refresh token shall come with it.
    pub offline: bool,
    /// Where the request comes from.
    pub client: Option<IpAddr>,
}

/// What a request for a token brings to show whose it is.
pub enum TokenGrant<'a> {
    /// The value of an `Authorization` header, or none, which is nobody in particular.
    Basic(Option<&'a [u8]>),
    /// A name and a password.
    Password(&'a str, &'a str),
    /// A refresh token.
    Refresh(&'a str),
    /// A token of an OIDC issuer (RFC 8693).
    Exchange(&'a str),
}

/// A token, as its holder gets it.
pub struct TokenAnswer {
    /// The token.
    pub token: String,
    /// A token to get others with, where one was asked for and can be had.
    pub refresh_token: Option<String>,
    /// When it was issued.
    pub issued_at: SystemTime,
    /// For how long it holds.
    pub lifetime: Duration,
    /// What it covers, as in a challenge.
    pub scope: String,
    /// Whose it is.
    pub principal: Principal,
}

/// Without the tokens.
impl std::fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenAnswer")
            .field("scope", &self.scope)
            .field("principal", self.principal.name())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TokenGrant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "Basic",
            Self::Password(..) => "Password",
            Self::Refresh(_) => "Refresh",
            Self::Exchange(_) => "Exchange",
        })
    }
}

impl Authoriser {
    /// Whether there is a token server.
    #[must_use]
    pub fn issues_tokens(&self) -> bool {
        self.issuer.is_some() && self.authenticators.is_some()
    }

    /// Issues a token that covers what was asked for, as far as the policy allows it.
    ///
    /// # Errors
    /// `Unauthenticated` for wrong credentials, and for nobody in particular where they may do
    /// nothing; `BadTokenRequest`; `Busy`; `Unavailable`.
    pub async fn token(&self, request: &TokenRequest<'_>) -> Result<TokenAnswer, Refusal> {
        let (Some(issuer), Some(authenticators)) = (&self.issuer, &self.authenticators) else {
            return Err(Refusal::BadTokenRequest("this registry issues no tokens"));
        };
        let service = &issuer.settings().service;
        if request.service.is_some_and(|wanted| wanted != service) {
            return Err(Refusal::BadTokenRequest(
                "the service is not this registry; ask with the service of its challenge",
            ));
        }
        let Login { identity, by } = self.holder(issuer, authenticators, request).await?;
        let access = self.covered(&identity, request);
        let issued = issuer.issue(&identity, &access);
        let issued = issued.map_err(|error| not_issued(error, TOO_MUCH_ASKED))?;
        let refresh_token = match (by, &request.grant, request.offline) {
            // The one that came holds on, whichever way it came: one that begets others never ends.
            (Some(token), TokenGrant::Refresh(_), _) | (Some(token), _, true) => Some(token),
            (None, _, true) => refresh(issuer, authenticators, &identity).await?,
            (_, _, false) => None,
        };
        let scope: Vec<String> = access.scopes().map(|scope| scope.to_string()).collect();
        Ok(TokenAnswer {
            token: issued.token,
            refresh_token,
            issued_at: issued.issued_at,
            lifetime: issued.lifetime,
            scope: scope.join(" "),
            principal: Principal::new(identity, Credential::Token(access)),
        })
    }

    /// Whether the holder of a token of this registry could get one that covers this too. Never for
    /// whoever has no such token.
    #[must_use]
    pub fn could_get(
        &self,
        principal: &Principal,
        repository: &RepositoryName,
        actions: ActionSet,
        circumstances: Circumstances,
    ) -> bool {
        if !matches!(principal.credential(), Credential::Token(_)) {
            return false;
        }
        let holder = Principal::new(principal.identity().clone(), Credential::Own);
        let wish = Wish {
            principal: &holder,
            repository,
            circumstances,
        };
        self.policy().decide(&wish, actions).allowed
    }

    async fn holder(
        &self,
        issuer: &Issuer,
        authenticators: &Authenticators,
        request: &TokenRequest<'_>,
    ) -> Result<Login, Refusal> {
        let client = request.client;
        let known = match &request.grant {
            TokenGrant::Basic(None) => None,
            TokenGrant::Basic(Some(value)) => self.by_basic(authenticators, value, client).await?,
            TokenGrant::Exchange(token) => Some(authenticators.exchange(token).await?.into()),
            TokenGrant::Password(user, password) => {
                let credentials = Credentials {
                    user: (*user).to_owned(),
                    password: Secret::new(password.as_bytes()),
                };
                Some(self.login(authenticators, &credentials, client).await?)
            }
            TokenGrant::Refresh(token) => Some(Login {
                identity: refreshed(issuer, authenticators, token).await?,
                by: Some((*token).to_owned()),
            }),
        };
        let login = known.unwrap_or_else(|| Identity::anonymous().into());
        let is_anonymous = login.identity.kind == Kind::Anonymous;
        if is_anonymous && !self.policy().admits(&login.identity) {
            return Err(Refusal::Unauthenticated(Reason::Missing));
        }
        Ok(login)
    }

    /// What was asked for and is allowed.
    fn covered(&self, identity: &Identity, request: &TokenRequest<'_>) -> Access {
        let principal = Principal::new(identity.clone(), Credential::Own);
        let circumstances = Circumstances {
            client: request.client,
            now: SystemTime::now(),
        };
        let policy = self.policy();
        let covered = |scope: Scope| match scope {
            Scope::Catalog => {
                let allowed = policy.decide_catalog(&principal).allowed;
                allowed.then_some(Scope::Catalog)
            }
            Scope::Repository(name, actions) => {
                let wish = Wish {
                    principal: &principal,
                    repository: &name,
                    circumstances,
                };
                let permitted = policy.permitted(&wish, actions);
                (!permitted.is_empty()).then_some(Scope::Repository(name, permitted))
            }
        };
        let scopes = Scope::parse_all(request.scopes.iter().copied());
        scopes.into_iter().filter_map(covered).collect()
    }
}

/// Who came in, and how.
pub(crate) struct Login {
    pub(crate) identity: Identity,
    /// The refresh token that they came with, if it was one.
    pub(crate) by: Option<String>,
}

impl From<Identity> for Login {
    fn from(identity: Identity) -> Self {
        Self { identity, by: None }
    }
}

/// The longest that a login of an OIDC issuer counts: so long it may take until a group that was
/// taken away there is gone here.
const WITHOUT_ASKING: Duration = Duration::from_secs(12 * 3_600);

async fn refresh(
    issuer: &Issuer,
    authenticators: &Authenticators,
    identity: &Identity,
) -> Result<Option<String>, Refusal> {
    let Some((identity, fingerprint)) = authenticators.current(identity).await? else {
        return Ok(None);
    };
    let lifetime = match identity.kind {
        // Nobody can be asked whether they are still who they were.
        Kind::Oidc => issuer.settings().refresh_lifetime.min(WITHOUT_ASKING),
        _ => issuer.settings().refresh_lifetime,
    };
    let issued = issuer.issue_refresh(&identity, fingerprint, lifetime);
    let issued = issued.map_err(|error| not_issued(error, TOO_MUCH_SAID))?;
    Ok(Some(issued.token))
}

const TOO_MUCH_ASKED: &str = "the token would be longer than any header: ask for fewer scopes";
const TOO_MUCH_SAID: &str =
    "a refresh token would be longer than any header: its holder has too many groups or claims";

/// Too long a token stays too long, however often it is asked for.
fn not_issued(error: IssueError, too_long: &'static str) -> Refusal {
    match error {
        IssueError::TooLong => Refusal::BadTokenRequest(too_long),
        error => Refusal::Unavailable(Box::new(error)),
    }
}

/// Who a refresh token is of, as they are known now: groups and all.
pub(crate) async fn refreshed(
    issuer: &Issuer,
    authenticators: &Authenticators,
    token: &str,
) -> Result<Identity, Refusal> {
    let wrong = || Refusal::Unauthenticated(Reason::Token);
    let refresh = issuer.verify_refresh(token).await.map_err(|_| wrong())?;
    let current = authenticators.current(&refresh.identity).await?;
    let (identity, fingerprint) = current.ok_or_else(wrong)?;
    if fingerprint != refresh.fingerprint {
        return Err(wrong());
    }
    Ok(identity)
}
