//! Tokens of an external issuer (`auth.token`): who decides what their holders may do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::challenge::{Challenge, Realm};
use crate::error::{Reason, Refusal};
use crate::issuer::Remembered;
use crate::principal::{Credential, Identity, Principal};
use crate::scope::{Access, Scope, add_action};
use crate::token::{AccessRecord, TokenError, TokenVerifier};

/// How tokens of an external issuer are taken, and where clients get them.
pub struct External {
    /// Verifies them.
    pub verifier: TokenVerifier,
    /// The URL of the token server.
    pub realm: String,
    /// The service that tokens are asked for.
    pub service: String,
    /// The path of the token server on the host that the client asked, in place of the realm
    /// (`autoredirect`).
    pub redirect_path: Option<String>,
}

/// The holder of a token without a name.
const UNNAMED: &str = "token";

/// Takes tokens of an external issuer, each verified once.
pub(crate) struct ExternalTokens {
    verifier: TokenVerifier,
    remembered: Remembered,
    /// Of the keys that those that are remembered were verified with.
    generation: AtomicU64,
}

impl External {
    /// The challenge that leads to the issuer.
    pub(crate) fn challenge(&self) -> Challenge {
        let realm = match &self.redirect_path {
            Some(path) => Realm::OfRequest { path: path.clone() },
            None => Realm::Url(self.realm.clone()),
        };
        Challenge::Bearer {
            realm,
            service: self.service.clone(),
        }
    }
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

impl ExternalTokens {
    pub(crate) fn new(verifier: TokenVerifier) -> Self {
        Self {
            generation: AtomicU64::new(verifier.generation()),
            verifier,
            remembered: Remembered::default(),
        }
    }

    /// Whose token this is, and what it says that they may do.
    ///
    /// # Errors
    /// `Unauthenticated`, and `Unavailable` while the issuer's keys cannot be had.
    pub(crate) async fn verify(&self, token: &str) -> Result<Principal, Refusal> {
        let now = SystemTime::now();
        let generation = self.verifier.generation();
        if self.generation.swap(generation, Ordering::AcqRel) != generation {
            // A key may be gone: whatever it signed is verified anew.
            self.remembered.clear();
        }
        if let Some(principal) = self.remembered.get(token, now) {
            return Ok(principal);
        }
        let verified = self.verifier.verify(token, now).await.map_err(refusal)?;
        let name = verified.subject.as_deref().filter(|name| !name.is_empty());
        let identity = Identity::user(name.unwrap_or(UNNAMED));
        let access: Access = verified.access.iter().filter_map(scope).collect();
        let principal = Principal::new(identity, Credential::External(access));
        if self.verifier.generation() == generation {
            self.remembered
                .insert(token, principal.clone(), verified.expires_at);
        }
        Ok(principal)
    }

    /// Looks at files of keys and fetches what is published, until it is dropped.
    pub(crate) async fn keep_current(&self) {
        self.verifier.keep_current().await;
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.verifier.problem()
    }
}

fn refusal(error: TokenError) -> Refusal {
    if error.is_unavailable() {
        return Refusal::Unavailable(Box::new(error));
    }
    Refusal::Unauthenticated(match error.is_invalid_token() {
        true => Reason::Token,
        false => Reason::Signature,
    })
}

/// What a record of the `access` claim covers; none for what the registry has no rights for.
fn scope(record: &AccessRecord) -> Option<Scope> {
    let mut actions = record.actions.iter();
    match record.kind.as_str() {
        "registry" if record.name == "catalog" => actions
            .any(|action| action == "*")
            .then_some(Scope::Catalog),
        "repository" => {
            let name = roadstead_oci::RepositoryName::parse(&record.name).ok()?;
            let actions = actions.fold(Default::default(), |set, name| add_action(set, name));
            Some(Scope::Repository(name, actions))
        }
        _ => None,
    }
}
