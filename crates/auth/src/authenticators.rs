//! Every way to log in by name and password, one after the other.
//!
//! A name is looked for where names are known, in a fixed order; whoever knows it decides alone. So
//! a password of one place is never shown to another, and nobody can take a name over by adding it
//! elsewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::authoriser::SetupError;
use crate::basic::Credentials;
use crate::error::{Reason, Refusal};
use crate::htpasswd::Hash;
use crate::principal::{Identity, Kind};
use crate::user_file::UserFile;
use crate::verify::{NotChecked, Verifier};

/// The ways to log in by name and password.
pub(crate) struct Authenticators {
    htpasswd: Option<Arc<UserFile>>,
    verifier: Verifier,
}

/// When to come again with a password that there was no time for.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl Authenticators {
    pub(crate) fn new(htpasswd: Option<&Path>) -> Result<Self, SetupError> {
        Ok(Self {
            htpasswd: htpasswd.map(UserFile::open).transpose()?.map(Arc::new),
            verifier: Verifier::new()?,
        })
    }

    /// Whose name and password these are.
    ///
    /// # Errors
    /// `Unauthenticated`, `Busy`, `Unavailable`.
    pub(crate) async fn login(&self, credentials: &Credentials) -> Result<Identity, Refusal> {
        let Some(file) = &self.htpasswd else {
            return Err(Refusal::Unauthenticated(Reason::Wrong));
        };
        let users = file.users().await;
        match self.verifier.verify(&users, credentials).await {
            Ok(true) => Ok(Identity::user(&credentials.user)),
            Ok(false) => Err(Refusal::Unauthenticated(Reason::Wrong)),
            Err(NotChecked::Busy) => Err(Refusal::Busy {
                retry_after: RETRY_AFTER,
            }),
            Err(NotChecked::Failed(error)) => Err(Refusal::Unavailable(Box::new(error))),
        }
    }

    /// Somebody as they are known now, with a mark that changes when their credentials do. None:
    /// they are not known any more.
    pub(crate) async fn current(&self, identity: &Identity) -> Option<(Identity, String)> {
        if identity.kind != Kind::User {
            return None;
        }
        let users = self.htpasswd.as_ref()?.users().await;
        let hash = users.find(identity.name.as_str())?;
        Some((identity.clone(), fingerprint(hash)))
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.htpasswd.as_ref().and_then(|file| file.problem())
    }
}

/// Tells nothing of the hash, which tells nothing of the password.
fn fingerprint(hash: &Hash) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(hash.text())[..16])
}
