//! The list of repositories.

use roadstead_metadata::{Metadata, Page};
use roadstead_oci::{CatalogGrant, RepositoryName};

use crate::error::Error;
use crate::registry::Registry;

impl Registry {
    /// A page of the repositories that ever had a manifest, in byte order, after `last`.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn repositories(
        &self,
        _grant: &CatalogGrant,
        last: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, Error> {
        Ok(self.metadata.repositories(last, limit).await?)
    }
}
