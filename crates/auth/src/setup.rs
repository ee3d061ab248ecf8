//! What an authoriser is made of, and what can be wrong with it.

use std::path::PathBuf;

use crate::challenge::{Challenge, Realm};
use crate::external::External;
use crate::hash::{HashError, NewHashError};
use crate::issuer::{IssuerSettings, SigningKeyError};
use crate::ldap::Ldap;
use crate::oidc::OidcIssuers;
use crate::policy::Policy;
use crate::user_file::HtpasswdError;

/// What an authoriser is made of.
pub struct Setup {
    /// The rules.
    pub policy: Policy,
    /// The realm of a Basic challenge.
    pub realm: String,
    /// Users and hashes in a file.
    pub htpasswd: Option<PathBuf>,
    /// Tokens of an external issuer.
    pub external: Option<External>,
    /// Every `Authorization` header is somebody, as `distribution`'s `silly`: realm and service.
    pub silly: Option<(String, String)>,
    /// Issuers of identities.
    pub oidc: OidcIssuers,
    /// A directory of users.
    pub ldap: Option<Ldap>,
    /// Whether local users and robots of the metadata store may come in.
    pub accounts: bool,
    /// Whether a verified client certificate says who asks.
    pub certificates: bool,
    /// The built-in token server.
    pub issuer: Option<IssuerSettings>,
}

impl Setup {
    /// How clients are told to log in: at an external issuer, here for a token, or by a password.
    pub(crate) fn challenge(&self) -> Challenge {
        if let Some(external) = &self.external {
            return external.challenge();
        }
        let realm = |issuer: &IssuerSettings| issuer.realm.clone().map(Realm::Url);
        let own = self.issuer.as_ref().and_then(|issuer| {
            realm(issuer).map(|realm| Challenge::Bearer {
                realm,
                service: issuer.service.clone(),
            })
        });
        let silly = self
            .silly
            .as_ref()
            .map(|(realm, service)| Challenge::Bearer {
                realm: Realm::Url(realm.clone()),
                service: service.clone(),
            });
        silly.or(own).unwrap_or_else(|| Challenge::Basic {
            realm: self.realm.clone(),
        })
    }
}

/// Why there is no authoriser.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of users cannot be used.
    #[error(transparent)]
    Htpasswd(#[from] HtpasswdError),
    /// There are no keys to sign tokens with.
    #[error("the token server cannot start")]
    Keys(#[from] SigningKeyError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Randomness(#[from] getrandom::Error),
    /// No password can be hashed.
    #[error("no password can be hashed")]
    Hash(#[from] NewHashError),
    /// Our own hash is not one that we read.
    #[error("a new hash cannot be read")]
    OwnHash(#[from] HashError),
}
