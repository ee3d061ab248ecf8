//! What replicas share: named values that change by compare-and-swap.

use futures_util::future::BoxFuture;

/// A value with what tells it from the one before.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The value. Some are secrets.
    pub bytes: Vec<u8>,
    /// Another one after every change.
    pub version: u64,
}

/// The store does not work.
#[derive(Debug, thiserror::Error)]
#[error("the store for ACME does not work")]
pub struct AcmeStoreError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl AcmeStoreError {
    /// For this reason.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Where the account, certificates with their keys, the answers to challenges and the lease of who
/// orders are kept. A name has lower-case letters, digits, `-` and `.` only, and 300 of them at
/// most; a value has 64 KiB at most.
pub trait AcmeStore: Send + Sync + 'static {
    /// The value of a name, as the last change of any replica left it.
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Stored>, AcmeStoreError>>;

    /// Sets a value where the version is still the one expected, `None` where there must be none;
    /// tells whether it did. What was set is there after a loss of power.
    fn store<'a>(
        &'a self,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<u64>,
    ) -> BoxFuture<'a, Result<bool, AcmeStoreError>>;
}
