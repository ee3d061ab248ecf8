//! The login of a person on a command line (RFC 8628): the program shows an address and a code, the
//! person confirms in a browser, and the program gets an ID token.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::fetch::{EgressSettings, FetchError, Fetcher, HttpsUrl, RootsError};
use crate::jose::LoadError;
use crate::oidc::Discovery;
use crate::secret::Secret;

/// Begins logins at one issuer and waits for their ends.
pub struct DeviceClient {
    fetcher: Fetcher,
    client_id: String,
    scope: String,
    device_endpoint: HttpsUrl,
    token_endpoint: HttpsUrl,
}

/// A login that has begun.
#[derive(Debug)]
pub struct DeviceCode {
    /// What the person types in.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// An address with the code in it, for those who can click or scan.
    pub verification_uri_complete: Option<String>,
    /// When the code ends.
    pub ends: Instant,
    code: Secret,
    interval: Duration,
}

/// Why a login fails.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A file of authorities cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The issuer cannot be asked where things are.
    #[error("the issuer cannot be used")]
    Discovery(#[from] LoadError),
    /// The issuer has no such login.
    #[error("the issuer offers no login by device code")]
    NotOffered,
    /// The issuer cannot be reached.
    #[error("the issuer does not answer")]
    Fetch(#[from] FetchError),
    /// The answer is not what the specification says.
    #[error("the issuer's answer is malformed")]
    Malformed,
    /// The issuer refuses.
    #[error("the issuer refuses: {0}")]
    Refused(String),
    /// The person said no.
    #[error("the login was denied in the browser")]
    Denied,
    /// Nobody confirmed in time.
    #[error("the code has expired: begin again")]
    Expired,
}

/// Between two questions, where the issuer does not say (RFC 8628 §3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// No issuer makes anybody wait longer between two questions, or in all.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
const MAX_LIFETIME: Duration = Duration::from_secs(3600);
/// The longest text of an issuer that is shown to anybody.
const MAX_TEXT: usize = 500;

#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

/// What asking for the token gave.
enum Answer {
    Token(String),
    NotYet,
    SlowDown,
}

impl DeviceClient {
    /// Asks the issuer where its endpoints are. `scopes` are asked for besides `openid`.
    ///
    /// # Errors
    /// The issuer cannot be reached, or has no such login.
    pub async fn discover(
        issuer: &HttpsUrl,
        client_id: String,
        scopes: &[String],
        egress: &EgressSettings,
        ca: Option<PathBuf>,
    ) -> Result<Self, DeviceError> {
        let fetcher = Fetcher::new(egress, ca)?;
        let found = Discovery::fetch(issuer, &fetcher).await?;
        let (Some(device_endpoint), Some(token_endpoint)) =
            (found.device_authorization_endpoint, found.token_endpoint)
        else {
            return Err(DeviceError::NotOffered);
        };
        let mut scope = "openid".to_owned();
        for more in scopes {
            scope.push(' ');
            scope.push_str(more);
        }
        Ok(Self {
            fetcher,
            client_id,
            scope,
            device_endpoint,
            token_endpoint,
        })
    }

    /// Begins a login: what it returns is to be shown to the person.
    ///
    /// # Errors
    /// The issuer refuses or cannot be understood.
    pub async fn begin(&self) -> Result<DeviceCode, DeviceError> {
        let fields = [("client_id", &*self.client_id), ("scope", &*self.scope)];
        let answer = self.fetcher.post_form(&self.device_endpoint, &fields);
        let answer = answer.await?;
        if !answer.status.is_success() {
            return Err(refusal(&answer.body));
        }
        let begun: Begun =
            serde_json::from_slice(&answer.body).map_err(|_| DeviceError::Malformed)?;
        let shown = [&begun.user_code, &begun.verification_uri];
        let shown = shown.into_iter().chain(&begun.verification_uri_complete);
        if shown.into_iter().any(|text| !can_be_shown(text)) {
            return Err(DeviceError::Malformed);
        }
        let interval = begun.interval.map_or(INTERVAL, Duration::from_secs);
        let lifetime = Duration::from_secs(begun.expires_in).min(MAX_LIFETIME);
        Ok(DeviceCode {
            user_code: begun.user_code,
            verification_uri: begun.verification_uri,
            verification_uri_complete: begun.verification_uri_complete,
            ends: Instant::now() + lifetime,
            code: Secret::new(begun.device_code.into_bytes()),
            interval: interval.clamp(Duration::from_secs(1), MAX_INTERVAL),
        })
    }

    /// Asks again and again until the person has confirmed, and returns the ID token, which is not
    /// verified here. It may be dropped at any time.
    ///
    /// # Errors
    /// The person denied, nobody confirmed in time, or the issuer refuses.
    pub async fn wait(&self, login: &DeviceCode) -> Result<String, DeviceError> {
        let mut interval = login.interval;
        loop {
            if Instant::now() + interval > login.ends {
                return Err(DeviceError::Expired);
            }
            tokio::time::sleep(interval).await;
            match self.ask(login).await {
                Ok(Answer::Token(token)) => return Ok(token),
                Ok(Answer::NotYet) => {}
                Ok(Answer::SlowDown) => interval = (interval + INTERVAL).min(MAX_INTERVAL),
                // The specification asks for patience with a connection that times out (§3.5).
                Err(DeviceError::Fetch(FetchError::TimedOut | FetchError::Connect { .. })) => {
                    interval = (interval * 2).min(MAX_INTERVAL);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn ask(&self, login: &DeviceCode) -> Result<Answer, DeviceError> {
        let code = str::from_utf8(login.code.expose()).map_err(|_| DeviceError::Malformed)?;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", code),
            ("client_id", &*self.client_id),
        ];
        let answer = self
            .fetcher
            .post_form(&self.token_endpoint, &fields)
            .await?;
        if answer.status.is_success() {
            let tokens: Tokens =
                serde_json::from_slice(&answer.body).map_err(|_| DeviceError::Malformed)?;
            return Ok(Answer::Token(tokens.id_token));
        }
        let error: Refusal =
            serde_json::from_slice(&answer.body).map_err(|_| DeviceError::Malformed)?;
        match error.error.as_str() {
            "authorization_pending" => Ok(Answer::NotYet),
            "slow_down" => Ok(Answer::SlowDown),
            "access_denied" => Err(DeviceError::Denied),
            "expired_token" => Err(DeviceError::Expired),
            _ => Err(refusal(&answer.body)),
        }
    }
}

/// What an issuer says, without what could move a terminal's cursor.
fn refusal(body: &[u8]) -> DeviceError {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        return DeviceError::Malformed;
    };
    let mut text = refusal.error;
    if let Some(description) = refusal.error_description {
        text = format!("{text} ({description})");
    }
    if !can_be_shown(&text) {
        return DeviceError::Malformed;
    }
    DeviceError::Refused(text)
}

fn can_be_shown(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests;
