//! Tags: names that move. Setting one is part of pushing a manifest.

use roadstead_failpoint::failpoint;
use roadstead_metadata::{Metadata, Page};
use roadstead_oci::{Action, Grant, Reference, Tag};

use crate::error::Error;
use crate::registry::{Context, Registry};

impl Registry {
    /// A page of the repository's tags in byte order, after `last`, which need not exist.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] where the repository never had a manifest.
    pub async fn tags(
        &self,
        grant: &Grant,
        last: Option<&str>,
        limit: u32,
    ) -> Result<Page<Tag>, Error> {
        self.require(grant, Action::Pull)?;
        let page = self.metadata.tags(grant.repository(), last, limit).await?;
        page.ok_or_else(|| Error::NameUnknown(grant.repository().clone()))
    }

    /// Removes a tag; the manifest stays.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] where there is no such tag; the modes' refusals.
    pub async fn delete_tag(
        &self,
        grant: &Grant,
        tag: &Tag,
        context: Context,
    ) -> Result<(), Error> {
        self.deletable(grant)?;
        failpoint!("registry::tag::delete");
        let deleted = self
            .metadata
            .delete_tag(grant.repository(), tag, context)
            .await?;
        failpoint!("registry::tag::deleted");
        if deleted {
            Ok(())
        } else {
            Err(Error::ManifestUnknown(Reference::Tag(tag.clone())))
        }
    }
}
