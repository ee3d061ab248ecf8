//! Secrets that the processes of one registry share: keys that sign tokens, accounts with
//! certificate authorities.
//!
//! They are no content: no journal line tells of them, and nothing prints their values. A backup of
//! the database has them.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

use crate::error::MetadataError;

/// A secret as it is now.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its bytes.
    pub value: Bytes,
    /// Rises with each change of any secret; never used again for another value.
    pub version: u64,
}

impl fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretRow")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The shared secrets. What holds for every method of [`Metadata`](crate::Metadata) holds here, but
/// that there is no journal line.
pub trait Secrets: Send + Sync {
    /// A secret, if it is there. Nothing is kept from an earlier read.
    ///
    /// # Errors
    /// Only of the engine.
    fn secret(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<SecretRow>, MetadataError>> + Send;

    /// Sets a secret (`None`: removes it) if it still has the version that the caller saw (`None`:
    /// if it is still not there). `false`: somebody was faster; nothing changed.
    ///
    /// # Errors
    /// [`MetadataError::Misuse`] for an empty name, one of more than [`SECRET_NAME_BYTES_MAX`]
    /// bytes, or a value of more than [`SECRET_BYTES_MAX`].
    fn swap_secret(
        &self,
        name: &str,
        expected: Option<u64>,
        value: Option<Bytes>,
    ) -> impl Future<Output = Result<bool, MetadataError>> + Send;
}

/// Bytes of a secret's name, at most.
pub const SECRET_NAME_BYTES_MAX: usize = 512;
/// Bytes of a secret, at most.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// Whether it can be kept.
pub(crate) fn check(name: &str, value: Option<&Bytes>) -> Result<(), MetadataError> {
    if name.is_empty() || name.len() > SECRET_NAME_BYTES_MAX {
        return Err(MetadataError::Misuse(
            "a shared secret's name is empty or longer than 512 bytes",
        ));
    }
    if value.is_some_and(|value| value.len() > SECRET_BYTES_MAX) {
        return Err(MetadataError::Misuse(
            "a shared secret is larger than 64 KiB",
        ));
    }
    Ok(())
}
