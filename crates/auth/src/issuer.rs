//! The built-in token server: tokens that the registry issues to itself.
//!
//! A token says who its holder is and what was asked for when it was issued. What the holder may do
//! with it is decided at each request by the policy, within that. So a change of the policy counts
//! at once, and a token that is stolen is worth no more than its scopes and its few minutes.

mod claims;
mod keys;
mod remembered;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, Header, Validation};
use roadstead_metadata::Meta;

use crate::principal::{Credential, Identity, Principal};
use crate::scope::Access;
use claims::{Claims, Use};
use keys::KeyRing;
pub use keys::SigningKeyError;
pub(crate) use remembered::Remembered;

/// Where tokens are to be had, and for how long they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The URL of the token endpoint, as clients reach it. None: the challenge is Basic.
    pub realm: Option<String>,
    /// The name of the registry among services: the audience of its tokens.
    pub service: String,
    /// Of a token.
    pub lifetime: Duration,
    /// Of a refresh token.
    pub refresh_lifetime: Duration,
}

/// Issues tokens, and knows its own.
pub(crate) struct Issuer {
    settings: IssuerSettings,
    keys: KeyRing,
    remembered: Remembered,
}

/// A token, and until when it holds.
#[derive(Debug)]
pub(crate) struct IssuedToken {
    pub(crate) token: String,
    pub(crate) issued_at: SystemTime,
    pub(crate) lifetime: Duration,
}

/// Who a refresh token was issued to.
#[derive(Debug)]
pub(crate) struct Refresh {
    pub(crate) identity: Identity,
    /// Of the credentials that it was issued for: while they stay, it holds.
    pub(crate) fingerprint: String,
}

/// Why a token is not one of ours, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// It is not signed by a key of ours: somebody else may know it.
    #[error("the token is not one of this registry")]
    Foreign,
    /// It has ended, or is for something else.
    #[error("the token has expired or is for something else")]
    Invalid,
}

/// Bytes of a token at most, whoever issued it.
pub(crate) const MAX_TOKEN_BYTES: usize = 16 << 10;

impl Issuer {
    /// Reads the signing keys from the metadata store, or makes the first.
    ///
    /// # Errors
    /// Of the store, and of keys in it that cannot be used.
    pub(crate) async fn open(
        settings: IssuerSettings,
        metadata: Meta,
    ) -> Result<Self, SigningKeyError> {
        let keys = KeyRing::open(metadata, settings.refresh_lifetime).await?;
        Ok(Self {
            settings,
            keys,
            remembered: Remembered::default(),
        })
    }

    pub(crate) fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// Takes over keys of other replicas, and makes a new one when it is time.
    ///
    /// # Errors
    /// As [`Self::open`]; the keys of before stay.
    pub(crate) async fn tend(&self) -> Result<(), SigningKeyError> {
        self.keys.tend(SystemTime::now()).await
    }

    /// # Errors
    /// Claims that make a token too long for a header, or that cannot be signed.
    pub(crate) fn issue(
        &self,
        identity: &Identity,
        access: &Access,
    ) -> Result<IssuedToken, IssueError> {
        let lifetime = self.settings.lifetime;
        let claims = self.claims(identity, lifetime, Use::Access);
        self.sign(claims.with_access(access), lifetime)
    }

    /// # Errors
    /// As [`Self::issue`].
    pub(crate) fn issue_refresh(
        &self,
        identity: &Identity,
        fingerprint: String,
        lifetime: Duration,
    ) -> Result<IssuedToken, IssueError> {
        let claims = self.claims(identity, lifetime, Use::Refresh);
        self.sign(claims.with_fingerprint(fingerprint), lifetime)
    }

    fn claims(&self, identity: &Identity, lifetime: Duration, purpose: Use) -> Claims {
        Claims::new(
            identity,
            &self.settings.service,
            purpose,
            seconds_now(),
            lifetime,
        )
    }

    fn sign(&self, claims: Claims, lifetime: Duration) -> Result<IssuedToken, IssueError> {
        let key = self.keys.signing();
        let header = Header {
            kid: Some(key.id.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let issued_at = UNIX_EPOCH + Duration::from_secs(claims.issued_at());
        let token = jsonwebtoken::encode(&header, &claims, &key.private)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(IssueError::TooLong);
        }
        Ok(IssuedToken {
            token,
            issued_at,
            lifetime,
        })
    }

    /// Whose token this is. It is checked once, and then remembered while it holds.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub(crate) async fn verify(&self, token: &str) -> Result<Principal, TokenRefused> {
        if let Some(principal) = self.remembered.get(token, SystemTime::now()) {
            return Ok(principal);
        }
        let claims = self.check(token, Use::Access).await?;
        let (identity, access) = claims.read().ok_or(TokenRefused::Invalid)?;
        let ends = UNIX_EPOCH + Duration::from_secs(claims.expires_at());
        let principal = Principal::new(identity, Credential::Token(access));
        self.remembered.insert(token, principal.clone(), ends);
        Ok(principal)
    }

    /// Whose refresh token this is. Whether they may still come in is for the caller to see.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub(crate) async fn verify_refresh(&self, token: &str) -> Result<Refresh, TokenRefused> {
        let claims = self.check(token, Use::Refresh).await?;
        let (identity, _) = claims.read().ok_or(TokenRefused::Invalid)?;
        let fingerprint = claims.fingerprint().ok_or(TokenRefused::Invalid)?;
        Ok(Refresh {
            identity,
            fingerprint,
        })
    }

    /// Whether a text looks like a token that a key of ours has signed. It may not hold all the same.
    pub(crate) async fn is_ours(&self, text: &str) -> bool {
        match key_id(text) {
            Some(id) => self.keys.find(&id).await.is_some(),
            None => false,
        }
    }

    async fn check(&self, token: &str, purpose: Use) -> Result<Claims, TokenRefused> {
        let id = key_id(token).ok_or(TokenRefused::Foreign)?;
        let key = self.keys.find(&id).await.ok_or(TokenRefused::Foreign)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[&self.settings.service]);
        validation.set_issuer(&[claims::ISSUER]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 60;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.public, &validation)
            .map_err(|_| TokenRefused::Invalid)?;
        if decoded.claims.purpose() != purpose {
            return Err(TokenRefused::Invalid);
        }
        Ok(decoded.claims)
    }
}

/// The key that a token says it is signed with. None: it is no token, or too long for one, which is
/// looked at before anything is taken apart.
fn key_id(token: &str) -> Option<String> {
    let dots = token.bytes().filter(|byte| *byte == b'.').take(3).count();
    if token.len() > MAX_TOKEN_BYTES || dots != 2 {
        return None;
    }
    jsonwebtoken::decode_header(token).ok()?.kid
}

/// Why a token cannot be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The claims of its holder are too long.
    #[error("the claims of the identity make a token of more than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// The signature failed.
    #[error("the token cannot be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

fn seconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
