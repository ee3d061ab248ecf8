//! The login of a person at a registry, from where they are: an ID token is exchanged for a refresh
//! token of the registry, which stands in for a password.
//!
//! The registry itself says where its token server is, in the challenge of `/v2/`. An ID token goes
//! there only where that is the registry's own server: whoever answers in the registry's place must
//! not get to name another.

mod challenge;

use serde::Deserialize;

use self::challenge::{Bearer, bearer};
use crate::fetch::{EgressSettings, FetchError, Fetcher, HttpUrl, InvalidUrl, RootsError};

/// A registry that somebody logs in at.
pub struct RegistryLogin {
    fetcher: Fetcher,
    realm: HttpUrl,
    service: Option<String>,
}

/// Whether the connection to a registry is by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTPS.
    Tls,
    /// Plain HTTP, which goes to addresses of this machine alone.
    Loopback,
}

/// Why a login at a registry fails.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The registry's name is none.
    #[error("{0:?} is no registry: expected HOST or HOST:PORT")]
    Registry(String),
    /// A file of authorities cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The registry cannot be reached.
    #[error("the registry does not answer")]
    Fetch(#[from] FetchError),
    /// There is no registry, or one that lets everybody in.
    #[error("{url} answers with status {status}, where a registry with a login answers with 401")]
    NoChallenge {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The registry has no token server.
    #[error(
        "the registry does not say where its tokens are: it needs access.tokens.realm, or http.host"
    )]
    NoTokens,
    /// The registry's token server cannot be asked.
    #[error("the registry sends to {realm:?} for tokens, which is no URL")]
    Realm {
        /// What it says.
        realm: String,
        /// What is wrong with it.
        #[source]
        problem: InvalidUrl,
    },
    /// The token server is another server.
    #[error(
        "the registry sends to {realm:?} for tokens, which is another server: nothing was sent there"
    )]
    Elsewhere {
        /// What it says.
        realm: String,
    },
    /// The registry does not let them in.
    #[error(
        "the registry does not take this login: is the issuer one of its access.oidc, and the \
         client its clientid?"
    )]
    Refused,
    /// The registry lets them in as a job.
    #[error(
        "the registry gives no refresh token: the client must be the clientid in its access.oidc"
    )]
    NotAPerson,
    /// The registry cannot tell now.
    #[error("the registry cannot tell now (status {0}): try again")]
    Later(u16),
    /// The answer is not what the specification says.
    #[error("the registry's answer is malformed (status {0})")]
    Malformed(u16),
}

impl LoginError {
    /// Whether the answer is no, and will be no again.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused | Self::NotAPerson)
    }
}

#[derive(Deserialize)]
struct Tokens {
    refresh_token: Option<String>,
}

impl RegistryLogin {
    /// Asks the registry, `HOST` or `HOST:PORT`, perhaps with the scheme before it, where its tokens are. Reads files, so it blocks
    /// for a moment.
    ///
    /// # Errors
    /// The registry cannot be reached, or has no token server of its own.
    pub async fn discover(
        registry: &str,
        transport: Transport,
        egress: &EgressSettings,
    ) -> Result<Self, LoginError> {
        let no_registry = || LoginError::Registry(registry.to_owned());
        let scheme = match transport {
            Transport::Tls => "https://",
            Transport::Loopback => "http://",
        };
        let host = registry.strip_prefix(scheme).unwrap_or(registry);
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.contains(['/', '?']) {
            return Err(no_registry());
        }
        let base = format!("{scheme}{host}/v2/").parse();
        let base: HttpUrl = base.map_err(|_| no_registry())?;
        let fetcher = Fetcher::new(egress, None)?;
        let answer = fetcher.ask(&base).await?;
        if answer.status.as_u16() != 401 {
            return Err(LoginError::NoChallenge {
                url: base.to_string(),
                status: answer.status.as_u16(),
            });
        }
        let lines = answer.headers.get_all(http::header::WWW_AUTHENTICATE);
        let mut lines = lines.iter().filter_map(|line| line.to_str().ok());
        let Bearer { realm, service } = lines.find_map(bearer).ok_or(LoginError::NoTokens)?;
        let url: HttpUrl = realm.parse().map_err(|problem| LoginError::Realm {
            realm: realm.clone(),
            problem,
        })?;
        if !url.is_same_origin(&base) {
            return Err(LoginError::Elsewhere { realm });
        }
        Ok(Self {
            fetcher,
            realm: url,
            service,
        })
    }

    /// Exchanges an ID token for a refresh token of the registry (RFC 8693).
    ///
    /// # Errors
    /// The registry does not let its holder in, or not now.
    pub async fn exchange(&self, id_token: &str) -> Result<String, LoginError> {
        let mut fields = vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token", id_token),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token",
            ),
            ("access_type", "offline"),
            ("client_id", "roadstead"),
        ];
        fields.extend(self.service.as_deref().map(|service| ("service", service)));
        let answer = self.fetcher.post_form(&self.realm, &fields).await?;
        let status = answer.status.as_u16();
        match status {
            200 => {}
            401 | 403 => return Err(LoginError::Refused),
            429 | 502..=504 => return Err(LoginError::Later(status)),
            _ => return Err(LoginError::Malformed(status)),
        }
        let tokens: Tokens =
            serde_json::from_slice(&answer.body).map_err(|_| LoginError::Malformed(status))?;
        let token = tokens.refresh_token.ok_or(LoginError::NotAPerson)?;
        // It goes to a pipe, alone on its line.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(LoginError::Malformed(status));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests;
