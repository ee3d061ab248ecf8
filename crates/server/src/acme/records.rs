//! The values in the store: JSON documents, read whole and changed by compare-and-swap.

use std::time::{Duration, SystemTime};

use instant_acme::AccountCredentials;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Acme;
use super::host::AcmeHost;
use super::store::AcmeStoreError;

/// The account, at the directory that it is for.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountRecord {
    pub(super) directory: String,
    pub(super) email: Option<String>,
    pub(super) credentials: AccountCredentials,
}

/// What there is of a host.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct HostRecord {
    pub(super) issued: Option<Issued>,
    /// Orders that failed since the last that did not.
    pub(super) failures: u32,
    /// Why the last did.
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// Nobody orders before then, in seconds since 1970.
    pub(super) not_before: u64,
}

/// A certificate with its issuers, and its key, both PEM.
#[derive(Serialize, Deserialize, Clone)]
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: String,
}

/// What the ACME server may ask of any replica.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Challenges {
    pub(super) pending: Vec<Challenge>,
}

/// A challenge and its answers.
#[derive(Serialize, Deserialize, Clone)]
pub(super) struct Challenge {
    pub(super) host: String,
    pub(super) token: String,
    /// RFC 8555 §8.1.
    pub(super) key_authorization: String,
    /// Its SHA-256, for TLS-ALPN-01 (RFC 8737 §3).
    pub(super) digest: Vec<u8>,
    /// In seconds since 1970.
    pub(super) expires: u64,
}

/// Who orders.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Lease {
    pub(super) holder: String,
    /// In seconds since 1970.
    pub(super) until: u64,
}

pub(super) const ACCOUNT: &str = "account";
pub(super) const CHALLENGES: &str = "challenges";
pub(super) const LEASE: &str = "lease";

/// How often a change is tried where others change the same value.
const TRIES: usize = 20;

/// The name of what there is of a host.
pub(super) fn host(host: &AcmeHost) -> String {
    format!("host-{host}")
}

/// In seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A time in so many seconds since 1970, as far as there are such times.
pub(super) fn time(seconds: u64) -> SystemTime {
    let since = Duration::from_secs(seconds.min(u64::from(u32::MAX) * 4));
    SystemTime::UNIX_EPOCH + since
}

impl Acme {
    /// A value and its version, where there is one.
    pub(super) async fn load<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<(Option<T>, Option<u64>), AcmeStoreError> {
        let Some(stored) = self.store.load(name).await? else {
            return Ok((None, None));
        };
        // An error of JSON cites what it read: that may be a key.
        let value = serde_json::from_slice(&stored.bytes)
            .map_err(|_| AcmeStoreError::new(format!("{name} in it cannot be understood")))?;
        Ok((Some(value), Some(stored.version)))
    }

    /// Sets a value from this version on.
    pub(super) async fn swap<T: Serialize>(
        &self,
        name: &str,
        value: &T,
        expected: Option<u64>,
    ) -> Result<bool, AcmeStoreError> {
        let bytes = serde_json::to_vec(value).map_err(AcmeStoreError::new)?;
        self.store.store(name, bytes, expected).await
    }

    /// Changes a value, be it one that others change at the same time.
    pub(super) async fn change<T: Serialize + DeserializeOwned + Default>(
        &self,
        name: &str,
        mut change: impl FnMut(&mut T),
    ) -> Result<(), AcmeStoreError> {
        for _ in 0..TRIES {
            let (value, version) = self.load::<T>(name).await?;
            let mut value = value.unwrap_or_default();
            change(&mut value);
            if self.swap(name, &value, version).await? {
                return Ok(());
            }
        }
        Err(AcmeStoreError::new(format!(
            "{name} in it changes all the time"
        )))
    }
}
