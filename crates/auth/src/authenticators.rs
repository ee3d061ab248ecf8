//! Every way to log in by name and password, one after the other.
//!
//! A name is looked for where names are known, in a fixed order: local users, then the htpasswd
//! file. Whoever knows it decides alone. So a password of one place is never shown to another, and
//! nobody can take a name over by adding it elsewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use roadstead_metadata::{
    AccountKind, AccountRow, Accounts as _, Clock as _, Meta, Standing, SystemClock,
};
use sha2::{Digest as _, Sha256};

use crate::api_key::ApiKey;
use crate::authoriser::SetupError;
use crate::basic::Credentials;
use crate::error::{Reason, Refusal};
use crate::hash::{Hash, hash_password};
use crate::principal::{Identity, Kind};
use crate::user_file::UserFile;
use crate::verify::{NotChecked, Verifier};

/// The ways to log in by name and password.
pub(crate) struct Authenticators {
    /// Local users and robots.
    accounts: Option<Meta>,
    htpasswd: Option<Arc<UserFile>>,
    verifier: Verifier,
    /// Nobody's hash, as costly as those of local users.
    nobody: Hash,
}

/// When to come again with a password that there was no time for.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl Authenticators {
    pub(crate) fn new(htpasswd: Option<&Path>, accounts: Option<Meta>) -> Result<Self, SetupError> {
        let made = hash_password(b"nobody")?;
        Ok(Self {
            accounts,
            htpasswd: htpasswd.map(UserFile::open).transpose()?.map(Arc::new),
            verifier: Verifier::new()?,
            nobody: Hash::parse(&made)?.nobody_like(),
        })
    }

    /// Whose name and password these are.
    ///
    /// # Errors
    /// `Unauthenticated`, `Busy`, `Unavailable`.
    pub(crate) async fn login(&self, credentials: &Credentials) -> Result<Identity, Refusal> {
        if let Some(robot) = self.robot(credentials).await? {
            return Ok(robot);
        }
        let user = credentials.user.as_str();
        let local = self.account(AccountKind::User, user).await?;
        let users = match &self.htpasswd {
            Some(file) => Some(file.users().await),
            None => None,
        };
        let hash_of_local = match &local {
            Some(row) => Some(
                Hash::parse(row.hash.as_str())
                    .map_err(|error| Refusal::Unavailable(Box::new(error)))?,
            ),
            None => None,
        };
        let known = match (&hash_of_local, &users) {
            (Some(hash), _) => Some(hash),
            (None, Some(users)) => users.find(user),
            (None, None) => None,
        };
        // Somebody unknown costs what the costliest of those who are known do.
        let nobody = match &users {
            Some(users) if self.accounts.is_none() => users.nobody(),
            Some(users) if users.nobody().work() > self.nobody.work() => users.nobody(),
            _ => &self.nobody,
        };
        let outcome = self.verifier.verify_one(known, nobody, credentials).await;
        match outcome.map_err(not_checked)? {
            // Whether an account is disabled is told to nobody who does not know its password.
            true if local.as_ref().is_none_or(is_active) => {
                let groups = local.map(|row| row.groups).unwrap_or_default();
                Ok(Identity::user(user).in_groups(groups))
            }
            _ => Err(Refusal::Unauthenticated(Reason::Wrong)),
        }
    }

    /// The robot whose key stands in for a password. None: it is no key of ours.
    async fn robot(&self, credentials: &Credentials) -> Result<Option<Identity>, Refusal> {
        let Some(metadata) = &self.accounts else {
            return Ok(None);
        };
        let text = str::from_utf8(credentials.password.expose()).unwrap_or_default();
        let Ok(key) = ApiKey::parse(text) else {
            return Ok(None);
        };
        let found = metadata.account_by_id(key.id()).await;
        let found = found.map_err(|error| Refusal::Unavailable(Box::new(error)))?;
        let robot = found.filter(|row| {
            row.kind == AccountKind::Robot
                && row.name == credentials.user
                && key.matches(row.hash.as_str())
                && is_active(row)
        });
        match robot {
            Some(row) => Ok(Some(robot_identity(row))),
            None => Err(Refusal::Unauthenticated(Reason::Wrong)),
        }
    }

    async fn account(&self, kind: AccountKind, name: &str) -> Result<Option<AccountRow>, Refusal> {
        let Some(metadata) = &self.accounts else {
            return Ok(None);
        };
        let found = metadata.account(kind, name).await;
        found.map_err(|error| Refusal::Unavailable(Box::new(error)))
    }

    /// Somebody as they are known now, with a mark that changes when their credentials do. None:
    /// they are not known any more.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn current(
        &self,
        identity: &Identity,
    ) -> Result<Option<(Identity, String)>, Refusal> {
        let name = identity.short_name();
        let kind = match identity.kind {
            Kind::User => AccountKind::User,
            Kind::Robot => AccountKind::Robot,
            Kind::Anonymous | Kind::Oidc | Kind::Certificate => return Ok(None),
        };
        if let Some(row) = self.account(kind, name).await? {
            if !is_active(&row) {
                return Ok(None);
            }
            let mark = fingerprint(row.hash.as_str());
            let identity = match kind {
                AccountKind::Robot => robot_identity(row),
                AccountKind::User => Identity::user(name).in_groups(row.groups),
            };
            return Ok(Some((identity, mark)));
        }
        let (Kind::User, Some(file)) = (identity.kind, &self.htpasswd) else {
            return Ok(None);
        };
        let users = file.users().await;
        let known = users.find(name);
        Ok(known.map(|hash| (Identity::user(name), fingerprint(hash.text()))))
    }

    pub(crate) fn look(&self) {
        if let Some(file) = &self.htpasswd {
            file.refresh();
        }
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.htpasswd.as_ref().and_then(|file| file.problem())
    }
}

fn robot_identity(row: AccountRow) -> Identity {
    Identity::new(Kind::Robot, &row.name).in_groups(row.groups)
}

fn is_active(row: &AccountRow) -> bool {
    row.standing(SystemClock.now()) == Standing::Active
}

fn not_checked(error: NotChecked) -> Refusal {
    match error {
        NotChecked::Busy => Refusal::Busy {
            retry_after: RETRY_AFTER,
        },
        NotChecked::Failed(error) => Refusal::Unavailable(Box::new(error)),
    }
}

/// Tells nothing of the hash, which tells nothing of the password.
fn fingerprint(hash: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(hash)[..16])
}
