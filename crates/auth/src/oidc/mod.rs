//! OpenID Connect: identities that other issuers vouch for, of people and of jobs.
//!
//! An issuer publishes its keys (Discovery 1.0 §4); an ID token is verified by one of them that its
//! header names, and by nothing else that it brings. An issuer that cannot be reached keeps nobody
//! else out: its own tokens are refused meanwhile, as something that may work later.

pub(crate) mod claims;
mod discovery;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Map, Value};

use self::claims::Claims;
use self::discovery::DiscoveredKeys;
pub use self::discovery::Discovery;
use crate::fetch::{EgressSettings, Fetcher, HttpsUrl, RootsError};
use crate::jose::{Algorithm, Compact, Document, JoseError, RemoteKeys};

/// An issuer and how its tokens are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// What the issuer is called here: in rules, logs and names.
    pub name: String,
    /// The `iss` claim, exactly, and where the discovery document is.
    pub issuer: HttpsUrl,
    /// The `aud` claim must contain one of them; the client id counts too.
    pub audiences: Vec<String>,
    /// The client that people log in through.
    pub client_id: Option<String>,
    /// A PEM file of authorities: the issuer's certificate must be of one of these.
    pub ca: Option<PathBuf>,
    /// The algorithms that may sign.
    pub algorithms: Vec<Algorithm>,
    /// The claim that is the user's name, as a member or as a JSON pointer.
    pub username_claim: String,
    /// The claim that lists groups, likewise.
    pub groups_claim: Option<String>,
}

/// Whom a token is of.
#[derive(Debug, Clone, PartialEq)]
pub struct OidcIdentity {
    /// The name of the issuer in the configuration.
    pub issuer: String,
    /// The `sub` claim: never given to another of the same issuer.
    pub subject: String,
    /// What the configured claim says.
    pub username: String,
    /// All groups, as of this token: they replace those of an earlier one.
    pub groups: Vec<String>,
    /// Everything the token says.
    pub claims: Map<String, Value>,
    /// From when the token is refused, leeway included.
    pub expires_at: SystemTime,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// Its form or its signature.
    #[error(transparent)]
    Jose(#[from] JoseError),
    /// The claims are not the JSON that they should be, or one that is required is missing.
    #[error("the token's claims are malformed or lack one of iss, sub, aud, exp and iat")]
    Claims,
    /// No issuer of this name is configured.
    #[error("the token's issuer is not configured")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come, or it was issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The configured claim gives no usable name.
    #[error("the token does not say the user's name")]
    Username,
    /// The name is an address that nobody has verified.
    #[error("the token's e-mail address is not verified")]
    Unverified,
    /// The claim that should list groups does not.
    #[error("the token's groups are not a list of names")]
    Groups,
    /// The issuer's keys could not be fetched.
    #[error("the issuer's keys could not be fetched")]
    Unavailable,
}

/// Verifies the tokens of one issuer.
pub struct OidcIssuer {
    settings: OidcSettings,
    keys: RemoteKeys,
}

/// Any number of issuers.
#[derive(Default)]
pub struct OidcIssuers(Vec<OidcIssuer>);

impl OidcSettings {
    /// What may sign unless the configuration says otherwise: everything with a public key.
    #[must_use]
    pub fn default_algorithms() -> Vec<Algorithm> {
        let asymmetric = |algorithm: &Algorithm| algorithm.verification().is_some();
        Algorithm::ALL.into_iter().filter(asymmetric).collect()
    }
}

impl OidcError {
    /// Whether the same token may be good later: the registry is not able to tell now.
    #[must_use]
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}

impl OidcIssuer {
    /// Sets up the issuer without asking it: that is for [`OidcIssuer::keep_current`]. Reads files,
    /// so it blocks.
    ///
    /// # Errors
    /// The file of authorities cannot be used.
    pub fn new(settings: OidcSettings, egress: &EgressSettings) -> Result<Self, RootsError> {
        let fetcher = Fetcher::new(egress, settings.ca.clone())?;
        let source = DiscoveredKeys::new(settings.issuer.clone(), fetcher);
        let keys = RemoteKeys::new(settings.name.clone(), Box::new(source));
        Ok(Self { settings, keys })
    }

    /// What the issuer is called here.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The `iss` claim of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.settings.issuer.as_str()
    }

    /// Whether a token with these claims was issued to a person who logged in through the client of
    /// this registry.
    #[must_use]
    pub fn is_for_person(&self, claims: &Map<String, Value>) -> bool {
        let Some(client) = &self.settings.client_id else {
            return false;
        };
        match claims.get("aud") {
            Some(Value::String(audience)) => audience == client,
            Some(Value::Array(audiences)) => {
                audiences.iter().any(|audience| audience == client.as_str())
            }
            _ => false,
        }
    }

    /// Where things are at the issuer, as it said last.
    #[must_use]
    pub fn discovery(&self) -> Option<Discovery> {
        self.keys.current().ok()?.discovery.clone()
    }

    /// Keeps the keys as new as they should be, for ever: to be run as a task of its own. It may be
    /// dropped at any time.
    pub async fn keep_current(&self) {
        self.keys.keep_current().await;
    }

    /// Why the issuer's keys are not as new as they should be.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problem = self.keys.problem()?;
        Some(format!("issuer {}: {problem}", self.settings.name))
    }

    /// A number that changes whenever the keys may have.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.keys.generation()
    }

    /// Verifies an ID token, bounds first, signature second, claims last. Waits only where the token
    /// names a key that the issuer may have published since.
    ///
    /// # Errors
    /// The token is refused, see [`OidcError`].
    pub async fn verify(&self, token: &str, now: SystemTime) -> Result<OidcIdentity, OidcError> {
        let token = Compact::parse(token, &self.settings.algorithms)?;
        let mut outcome = self.check_signature(&token);
        if let Err(OidcError::Unavailable | OidcError::Jose(JoseError::UnknownKey)) = outcome {
            self.keys.want().await;
            outcome = self.check_signature(&token);
        }
        outcome?;
        Claims::parse(&token.payload)?.check(&self.settings, now)
    }

    fn check_signature(&self, token: &Compact<'_>) -> Result<(), OidcError> {
        let document: std::sync::Arc<Document> =
            self.keys.current().map_err(|_| OidcError::Unavailable)?;
        match token.kid() {
            Some(kid) => document.keys.verify(kid, token)?,
            None => {
                let only = document.keys.only_fit(token);
                only.ok_or(JoseError::NoKeyNamed)?.verify(token)?;
            }
        }
        Ok(())
    }
}

impl OidcIssuers {
    /// Issuers, each with another `iss`.
    #[must_use]
    pub fn new(issuers: Vec<OidcIssuer>) -> Self {
        Self(issuers)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &OidcIssuer> {
        self.0.iter()
    }

    /// Keeps the keys of all issuers as new as they should be, for ever, as
    /// [`OidcIssuer::keep_current`] does.
    pub async fn keep_current(&self) {
        futures_util::future::join_all(self.iter().map(OidcIssuer::keep_current)).await;
    }

    /// Verifies an ID token of whichever issuer it is.
    ///
    /// # Errors
    /// The token is refused, see [`OidcError`].
    pub async fn verify(&self, token: &str, now: SystemTime) -> Result<OidcIdentity, OidcError> {
        // Not verified: it only picks who verifies, and that one looks at it again.
        let claimed = Compact::parse(token, &Algorithm::ALL)?;
        let claimed = claims::claimed_issuer(&claimed.payload).ok_or(OidcError::Claims)?;
        let issuer = self.iter().find(|issuer| issuer.issuer() == claimed);
        issuer.ok_or(OidcError::Issuer)?.verify(token, now).await
    }
}
