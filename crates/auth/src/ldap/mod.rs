//! Login by a directory (LDAP, RFC 4511): a service account finds the user's entry, then the entry's
//! name and the password are tried.
//!
//! What a user types goes into a filter alone, escaped. An empty password never reaches the server,
//! which would take it for a login of nobody (RFC 4513, section 5.1.2). Groups are read anew at each
//! login, and are all that count. Referrals are not followed: they would carry passwords to servers
//! that nobody configured.
//!
//! Read `login.rs` first; `pool.rs` keeps connections, `settings.rs` says what can be set.

mod dn;
mod login;
mod pool;
mod recent;
mod settings;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinError;

use crate::accepted::Marker;
use crate::secret::Secret;

#[cfg(fuzzing)]
pub(crate) use dn::parse as parse_name;
use login::Login;
pub use settings::{Groups, LdapSettings};

/// A user as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapIdentity {
    /// The name, as the entry has it: a login with other capitals is of the same user.
    pub user: String,
    /// All groups, in byte order, each once.
    pub groups: Vec<String>,
}

/// Why it is not known whether somebody may come in, or why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// A setting that cannot be used.
    #[error("{0}")]
    Settings(&'static str),
    /// The file of certificate authorities cannot be used.
    #[error("cannot read the certificates of {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// There is nothing to check the server's certificate by.
    #[error("there are no certificate authorities to check the directory's certificate by")]
    NoCertificates,
    /// TLS could not be set up.
    #[error("TLS for the directory cannot be set up")]
    Tls(#[source] rustls::Error),
    /// There are no random numbers.
    #[error("there are no random numbers")]
    NoRandom(#[source] getrandom::Error),
    /// More logins wait than there are connections.
    #[error("the directory has no time: all connections to it are in use")]
    Busy,
    /// The directory took longer than it may.
    #[error("the directory did not answer in time")]
    Timeout,
    /// The directory cannot be reached, or broke off.
    #[error("the directory cannot be asked")]
    Connection(#[source] ldap3::LdapError),
    /// The directory does not take the service account's name and password.
    #[error("the directory refuses the service account (result {code})")]
    ServiceRefused {
        /// Its result code (RFC 4511, appendix A).
        code: u32,
    },
    /// The directory answered something else than a result.
    #[error("the directory cannot do it (result {code})")]
    Refused {
        /// Its result code (RFC 4511, appendix A).
        code: u32,
    },
    /// The login broke off: an answer that is no LDAP.
    #[error("the directory's answer could not be read")]
    Broken(#[source] JoinError),
}

/// A directory that users log in by. Clones share its connections.
#[derive(Clone)]
pub struct Ldap {
    login: Arc<Login>,
}

impl Ldap {
    /// Reads the certificates. Nothing is connected yet: a directory that is not there keeps no
    /// registry from starting.
    ///
    /// # Errors
    /// Settings and files that cannot be used.
    pub fn new(settings: LdapSettings) -> Result<Self, LdapError> {
        settings.check()?;
        let marker = Marker::new().map_err(LdapError::NoRandom)?;
        Ok(Self {
            login: Arc::new(Login::new(settings, marker)?),
        })
    }

    /// The user whose password this was a moment ago: no question is asked.
    pub(crate) fn remembered(&self, user: &str, password: &Secret) -> Option<LdapIdentity> {
        self.login.remembered(user, password)
    }

    /// Whose name and password these are. `None`: nobody's. A password that was right is right for
    /// 60 s without another look, and so are the groups of then.
    ///
    /// # Errors
    /// Why it is not known.
    ///
    /// # Cancel safety
    /// What was begun goes on to its end, or to the timeout.
    pub async fn login(
        &self,
        user: &str,
        password: &Secret,
    ) -> Result<Option<LdapIdentity>, LdapError> {
        let (login, user, password) = (Arc::clone(&self.login), user.to_owned(), password.clone());
        // On a task of its own: an answer that the protocol's parser panics at ends that task alone.
        tokio::spawn(async move { login.login(&user, &password).await })
            .await
            .map_err(LdapError::Broken)?
    }

    /// Who is called so, with the groups of now: to renew what a user was given at a login. `None`:
    /// nobody, any more.
    ///
    /// # Errors
    /// Why it is not known.
    ///
    /// # Cancel safety
    /// As [`Ldap::login`].
    pub async fn find(&self, user: &str) -> Result<Option<LdapIdentity>, LdapError> {
        let (login, user) = (Arc::clone(&self.login), user.to_owned());
        tokio::spawn(async move { login.find(&user).await })
            .await
            .map_err(LdapError::Broken)?
    }
}

impl std::fmt::Debug for Ldap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ldap").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
