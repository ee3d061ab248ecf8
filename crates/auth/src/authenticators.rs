//! Every way to log in by name and password, one after the other.
//!
//! A name is looked for where names are known, in a fixed order: local users, the htpasswd file, the
//! directory. Whoever knows it decides alone. So a password of one place is never shown to another,
//! and nobody can take a name over by adding it elsewhere. Keys of robots and tokens of OIDC issuers
//! say themselves where they belong.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use roadstead_metadata::{
    AccountKind, AccountRow, Accounts as _, Clock as _, Meta, Standing, SystemClock,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::api_key::ApiKey;
use crate::basic::Credentials;
use crate::error::{Reason, Refusal};
use crate::hash::{Hash, hash_password};
use crate::ldap::{Ldap, LdapIdentity};
use crate::oidc::{OidcIdentity, OidcIssuers};
use crate::principal::{Identity, Kind};
use crate::setup::SetupError;
use crate::user_file::UserFile;
use crate::verify::{NotChecked, Verifier};

/// The ways to log in by name and password.
pub(crate) struct Authenticators {
    /// Local users and robots.
    accounts: Option<Meta>,
    htpasswd: Option<Arc<UserFile>>,
    ldap: Option<Ldap>,
    pub(crate) oidc: OidcIssuers,
    verifier: Verifier,
    /// Nobody's hash, as costly as those of local users.
    nobody: Hash,
    /// Whether there are local users, as far as that was seen.
    has_local: OnceCell<AtomicBool>,
    /// Draws what an unknown name costs: always the same for one name, which nobody can foretell.
    lots: RandomState,
}

/// When to come again with a password that there was no time for.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// What a client may give as the name where the password is a token that has one of its own.
const TOKEN_USER: &str = "oidc";

impl Authenticators {
    /// Blocks while it reads the file.
    ///
    /// # Errors
    /// What cannot be used.
    pub(crate) fn new(
        htpasswd: Option<&Path>,
        accounts: Option<Meta>,
        ldap: Option<Ldap>,
        oidc: OidcIssuers,
    ) -> Result<Self, SetupError> {
        let made = hash_password(b"nobody")?;
        Ok(Self {
            accounts,
            htpasswd: htpasswd.map(UserFile::open).transpose()?.map(Arc::new),
            ldap,
            oidc,
            verifier: Verifier::new()?,
            nobody: Hash::parse(&made)?.nobody_like(),
            has_local: OnceCell::new(),
            lots: RandomState::new(),
        })
    }

    /// Whose name and password these are.
    ///
    /// # Errors
    /// `Unauthenticated`, `Busy`, `Unavailable`.
    pub(crate) async fn login(
        &self,
        credentials: &Credentials,
        client: Option<IpAddr>,
    ) -> Result<Identity, Refusal> {
        let text = str::from_utf8(credentials.password.expose()).unwrap_or_default();
        if let Some(robot) = self.robot(&credentials.user, text).await? {
            return Ok(robot);
        }
        if self.oidc.iter().next().is_some() && looks_like_a_token(text) {
            let identity = self.exchange(text).await?;
            return match stands_for(&identity, &credentials.user) {
                true => Ok(identity),
                false => Err(wrong()),
            };
        }
        self.by_password(credentials, client).await
    }

    async fn by_password(
        &self,
        credentials: &Credentials,
        client: Option<IpAddr>,
    ) -> Result<Identity, Refusal> {
        let user = credentials.user.as_str();
        let local = self.account(AccountKind::User, user).await?;
        let local_hash = match &local {
            Some(row) => Some(Hash::parse(row.hash.as_str()).map_err(unavailable)?),
            None => None,
        };
        let users = match &self.htpasswd {
            Some(file) => Some(file.users().await),
            None => None,
        };
        let of_file = || users.as_ref().and_then(|users| users.find(user));
        let known = local_hash.as_ref().or_else(of_file);
        if let (None, Some(ldap)) = (known, &self.ldap) {
            return self.by_directory(ldap, credentials, client).await;
        }
        // Somebody unknown costs what somebody who is known does: one of the file's users, or a local
        // one. The costliest would tell all others apart from those who are unknown.
        let has_local = self.has_local(local.is_some()).await?;
        let lot = self.lots.hash_one(user);
        let nobody = match &users {
            Some(users) if !has_local || lot & 1 == 0 => users.nobody(lot >> 1),
            _ => &self.nobody,
        };
        let outcome = self.verifier.verify_one(known, nobody, credentials, client);
        match self.checked(outcome.await).await? {
            // Whether an account is disabled is told to nobody who does not know its password.
            true if local.as_ref().is_none_or(is_active) => {
                let groups = local.map(|row| row.groups).unwrap_or_default();
                Ok(Identity::user(user).in_groups(groups))
            }
            _ => Err(wrong()),
        }
    }

    async fn by_directory(
        &self,
        ldap: &Ldap,
        credentials: &Credentials,
        client: Option<IpAddr>,
    ) -> Result<Identity, Refusal> {
        if let Some(found) = ldap.remembered(&credentials.user, &credentials.password) {
            return directory_identity(found).ok_or_else(wrong);
        }
        let attempt = self.verifier.attempt(&credentials.user, client);
        let attempt = self.checked(attempt).await?;
        let found = ldap.login(&credentials.user, &credentials.password);
        match found.await.map_err(unavailable)? {
            Some(found) => {
                attempt.succeeded(Instant::now());
                directory_identity(found).ok_or_else(wrong)
            }
            None => {
                attempt.failed(Instant::now());
                Err(wrong())
            }
        }
    }

    async fn checked<T>(&self, outcome: Result<T, NotChecked>) -> Result<T, Refusal> {
        match outcome {
            Ok(outcome) => Ok(outcome),
            Err(why) => Err(not_checked(self.verifier.hold(why).await)),
        }
    }

    /// The identity that a token of an OIDC issuer vouches for.
    ///
    /// # Errors
    /// `Unauthenticated`, `Unavailable`.
    pub(crate) async fn exchange(&self, token: &str) -> Result<Identity, Refusal> {
        let verified = self.oidc.verify(token, SystemTime::now()).await;
        let identity = verified.map_err(|error| {
            if error.is_unavailable() {
                return unavailable(error);
            }
            tracing::debug!(%error, "a token of an OIDC issuer was refused");
            Refusal::Unauthenticated(Reason::Token)
        })?;
        Ok(oidc_identity(identity))
    }

    /// The robot whose key stands in for a password. None: it is no key of ours.
    async fn robot(&self, user: &str, password: &str) -> Result<Option<Identity>, Refusal> {
        let Some(metadata) = &self.accounts else {
            return Ok(None);
        };
        let Ok(key) = ApiKey::parse(password) else {
            return Ok(None);
        };
        let found = metadata.account_by_id(key.id()).await;
        let robot = found.map_err(unavailable)?.filter(|row| {
            row.kind == AccountKind::Robot
                && row.name == user
                && key.matches(row.hash.as_str())
                && is_active(row)
        });
        match robot {
            Some(row) => Ok(Some(robot_identity(row))),
            None => Err(wrong()),
        }
    }

    /// Whether there are local users. Asked of the store once, and noticed later when one comes: a
    /// question at each login would take time that tells something by itself.
    async fn has_local(&self, found_one: bool) -> Result<bool, Refusal> {
        let Some(metadata) = &self.accounts else {
            return Ok(false);
        };
        let first = self.has_local.get_or_try_init(async || {
            let users = metadata.accounts(AccountKind::User, None, 1).await;
            Ok(AtomicBool::new(
                !users.map_err(unavailable)?.items.is_empty(),
            ))
        });
        let has_local = first.await?;
        if found_one {
            has_local.store(true, Ordering::Relaxed);
        }
        Ok(has_local.load(Ordering::Relaxed))
    }

    async fn account(&self, kind: AccountKind, name: &str) -> Result<Option<AccountRow>, Refusal> {
        let Some(metadata) = &self.accounts else {
            return Ok(None);
        };
        metadata.account(kind, name).await.map_err(unavailable)
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
            Kind::Oidc => return Ok(self.current_person(identity)),
            Kind::Anonymous | Kind::Certificate => return Ok(None),
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
        if kind == AccountKind::Robot {
            return Ok(None);
        }
        if let Some(file) = &self.htpasswd
            && let Some(hash) = file.users().await.find(name)
        {
            return Ok(Some((Identity::user(name), fingerprint(hash.text()))));
        }
        let Some(ldap) = &self.ldap else {
            return Ok(None);
        };
        // A directory does not show what would change with the password: who is in it still, is.
        let found = ldap.find(name).await.map_err(unavailable)?;
        let identity = found.and_then(directory_identity);
        Ok(identity.map(|identity| (identity, fingerprint("directory"))))
    }

    /// A person whom an OIDC issuer vouched for at their login. Jobs get no refresh tokens: theirs
    /// end with them.
    fn current_person(&self, identity: &Identity) -> Option<(Identity, String)> {
        let issuer = self.oidc.iter().find(|issuer| {
            let name = identity.short_name();
            name.strip_prefix(issuer.name())
                .is_some_and(|rest| rest.starts_with('/'))
        })?;
        issuer
            .is_for_person(&identity.claims)
            .then(|| (identity.clone(), fingerprint(issuer.issuer())))
    }

    /// Looks whether the file has changed. Blocks.
    pub(crate) fn look(&self) {
        if let Some(file) = &self.htpasswd {
            file.refresh();
        }
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let of_file = self.htpasswd.as_ref().and_then(|file| file.problem());
        of_file.or_else(|| self.oidc.iter().find_map(|issuer| issuer.problem()))
    }
}

/// Whether somebody may call themselves so who brings a token in place of a password.
pub(crate) fn stands_for(identity: &Identity, user: &str) -> bool {
    identity.short_name() == user || (identity.kind == Kind::Oidc && user == TOKEN_USER)
}

/// A user of a directory, whose name must not read as that of another kind.
fn directory_identity(found: LdapIdentity) -> Option<Identity> {
    let is_name = !found.user.contains(':');
    is_name.then(|| Identity::user(&found.user).in_groups(found.groups))
}

fn oidc_identity(found: OidcIdentity) -> Identity {
    let name = format!("{}/{}", found.issuer, found.username);
    Identity::new(Kind::Oidc, &name)
        .in_groups(found.groups)
        .with_claims(found.claims)
}

fn robot_identity(row: AccountRow) -> Identity {
    Identity::new(Kind::Robot, &row.name).in_groups(row.groups)
}

/// Three parts, the first of which begins as a JSON object does in base64.
fn looks_like_a_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn is_active(row: &AccountRow) -> bool {
    row.standing(SystemClock.now()) == Standing::Active
}

fn wrong() -> Refusal {
    Refusal::Unauthenticated(Reason::Wrong)
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Refusal {
    Refusal::Unavailable(Box::new(error))
}

fn not_checked(error: NotChecked) -> Refusal {
    match error {
        NotChecked::Busy => Refusal::Busy {
            retry_after: RETRY_AFTER,
        },
        NotChecked::Wait(retry_after) => Refusal::Busy { retry_after },
        NotChecked::Failed(error) => unavailable(error),
        NotChecked::NoThread(error) => unavailable(error),
    }
}

/// Tells nothing of the hash, which tells nothing of the password.
fn fingerprint(hash: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(hash)[..16])
}
