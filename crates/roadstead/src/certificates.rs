//! Certificates of an ACME server in the metadata store, which all replicas share.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use roadstead_metadata::{Meta, Secrets as _};
use roadstead_server::{AcmeStore, AcmeStoreError, Stored};

/// What ACME keeps, among the secrets of the metadata store.
pub(crate) struct Certificates(pub(crate) Meta);

fn secret(name: &str) -> String {
    format!("acme.{name}")
}

impl AcmeStore for Certificates {
    fn load<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Stored>, AcmeStoreError>> {
        async move {
            let row = self.0.secret(&secret(name)).await;
            let row = row.map_err(AcmeStoreError::new)?;
            Ok(row.map(|row| Stored {
                bytes: row.value.to_vec(),
                version: row.version,
            }))
        }
        .boxed()
    }

    fn store<'a>(
        &'a self,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<u64>,
    ) -> BoxFuture<'a, Result<bool, AcmeStoreError>> {
        async move {
            let value = Some(Bytes::from(bytes));
            let swapped = self.0.swap_secret(&secret(name), expected, value).await;
            swapped.map_err(AcmeStoreError::new)
        }
        .boxed()
    }
}
