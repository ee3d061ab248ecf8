//! Blobs: what a repository has under a digest, and the way to its bytes.

use std::ops::Range;

use bytes::Bytes;
use roadstead_failpoint::failpoint;
use roadstead_metadata::{BlobRow, DeleteBlob, Metadata, MetadataError, Place, Timestamp};
use roadstead_oci::{Action, Digest, Grant};
use roadstead_storage::{Key, ObjectReader, ObjectStore, StorageError};

use crate::error::Error;
use crate::registry::{Context, Registry};

/// A blob that a repository has.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it entered the repository.
    pub linked_at: Timestamp,
    location: BlobLocation,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub enum BlobLocation {
    /// In the row itself.
    Inline(Bytes),
    /// In an object.
    Object(Key),
}

/// The bytes of a blob, or the way to them.
pub enum BlobContent {
    /// All of the range, in memory.
    Inline(Bytes),
    /// The range, streamed.
    Stream(ObjectReader),
}

impl Blob {
    fn from_row(row: BlobRow) -> Self {
        let location = match row.place {
            Place::Inline(bytes) => BlobLocation::Inline(bytes),
            Place::Object(key) => BlobLocation::Object(Key::from(key)),
        };
        Self {
            digest: row.digest,
            size_bytes: row.size_bytes,
            linked_at: row.linked_at,
            location,
        }
    }
}

impl Registry {
    /// Looks a blob up (end-2). One indexed read; nothing is written.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`], the same whether nobody has it or only another repository.
    pub async fn blob(&self, grant: &Grant, digest: &Digest) -> Result<Blob, Error> {
        self.require(grant, Action::Pull)?;
        let row = self.metadata.blob(grant.repository(), digest).await?;
        row.map(Blob::from_row).ok_or(Error::BlobUnknown(*digest))
    }

    /// Looks a blob up for somebody who may push and asks whether an upload can be saved: after a
    /// yes, the blob stays long enough for the manifest that is to follow (T2), and its bytes are
    /// there.
    ///
    /// # Errors
    /// As [`Registry::blob`].
    pub async fn blob_for_push(&self, grant: &Grant, digest: &Digest) -> Result<Blob, Error> {
        self.require(grant, Action::Push)?;
        let blob = self.blob(grant, digest).await?;
        if let BlobLocation::Object(key) = blob.location
            && self.store.length(key).await? != Some(blob.size_bytes)
        {
            self.lost(&blob, key).await?;
            return Err(Error::BlobUnknown(*digest));
        }
        if self.settings.mode.read_only {
            return Ok(blob);
        }
        match self.metadata.renew_lease(grant.repository(), digest).await {
            Ok(true) => Ok(blob),
            Ok(false) => Err(Error::BlobUnknown(*digest)),
            // It is there all the same, and whoever pulls may be allowed to push as well. The push
            // of a manifest will ask again.
            Err(MetadataError::Full(_) | MetadataError::ReadOnly(_)) => Ok(blob),
            Err(error) => Err(error.into()),
        }
    }

    /// Where a client is sent for the bytes, if the store or the configuration sends clients away.
    ///
    /// # Errors
    /// Only of the store.
    pub async fn redirect(&self, blob: &Blob) -> Result<Option<String>, Error> {
        let BlobLocation::Object(key) = blob.location else {
            return Ok(None);
        };
        if let Some(base) = &self.settings.redirect_base {
            return Ok(Some(format!(
                "{}/{}",
                base.trim_end_matches('/'),
                key.object_path()
            )));
        }
        Ok(self.store.url(key, REDIRECT_LIFETIME).await?)
    }

    /// Opens a range of a blob, `range` within its size.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] where the bytes are gone or damaged: the blob then counts as absent
    /// for pushes, so that the next push of it heals it.
    pub async fn open_blob(
        &self,
        grant: &Grant,
        blob: &Blob,
        range: Range<u64>,
    ) -> Result<BlobContent, Error> {
        match self
            .open_location(&blob.location, range.clone(), blob.size_bytes)
            .await
        {
            Err(StorageError::NotFound { .. }) => {}
            Err(StorageError::Damaged { .. }) => {
                if let BlobLocation::Object(key) = blob.location {
                    Box::pin(self.lost(blob, key)).await?;
                }
                return Err(Error::BlobUnknown(blob.digest));
            }
            other => return Ok(other?),
        }
        Box::pin(self.open_again(grant, blob, range)).await
    }

    async fn open_again(
        &self,
        grant: &Grant,
        blob: &Blob,
        range: Range<u64>,
    ) -> Result<BlobContent, Error> {
        // The object may have been replaced between the look-up and here: look once more.
        let again = self.blob(grant, &blob.digest).await?;
        match self
            .open_location(&again.location, range, again.size_bytes)
            .await
        {
            Err(StorageError::NotFound { .. } | StorageError::Damaged { .. }) => {
                if let BlobLocation::Object(key) = again.location {
                    self.lost(&again, key).await?;
                }
                Err(Error::BlobUnknown(blob.digest))
            }
            other => Ok(other?),
        }
    }

    /// Takes a blob out of the repository (end-10). Other repositories keep theirs.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`]; [`Error::BlobReferenced`] while visible manifests name it; the modes'
    /// refusals.
    pub async fn delete_blob(
        &self,
        grant: &Grant,
        digest: &Digest,
        context: Context,
    ) -> Result<(), Error> {
        self.deletable(grant)?;
        failpoint!("registry::blob::delete");
        let deleted = self
            .metadata
            .delete_blob(grant.repository(), digest, context)
            .await?;
        failpoint!("registry::blob::deleted");
        match deleted {
            DeleteBlob::Deleted => Ok(()),
            DeleteBlob::Unknown => Err(Error::BlobUnknown(*digest)),
            DeleteBlob::Referenced(manifests) => Err(Error::BlobReferenced { manifests }),
        }
    }

    async fn open_location(
        &self,
        location: &BlobLocation,
        range: Range<u64>,
        size: u64,
    ) -> Result<BlobContent, StorageError> {
        match location {
            BlobLocation::Inline(bytes) => {
                let start = usize::try_from(range.start)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = usize::try_from(range.end)
                    .unwrap_or(usize::MAX)
                    .clamp(start, bytes.len());
                Ok(BlobContent::Inline(bytes.slice(start..end)))
            }
            BlobLocation::Object(key) => self
                .store
                .open(*key, range, size)
                .await
                .map(BlobContent::Stream),
        }
    }

    /// Looks whether the bytes that somebody has under the digest are there, and marks them missing
    /// where they are not: before a push or a mount is answered with what is stored already (D9).
    ///
    /// # Errors
    /// Only of the stores.
    pub(crate) async fn notice_loss(&self, digest: &Digest) -> Result<(), Error> {
        let Some(holder) = self.metadata.holders(digest, 1).await?.pop() else {
            return Ok(());
        };
        let Some(row) = self.metadata.blob(&holder, digest).await? else {
            return Ok(());
        };
        let blob = Blob::from_row(row);
        if let BlobLocation::Object(key) = blob.location
            && self.store.length(key).await? != Some(blob.size_bytes)
        {
            self.lost(&blob, key).await?;
        }
        Ok(())
    }

    async fn lost(&self, blob: &Blob, key: Key) -> Result<(), Error> {
        tracing::error!(digest = %blob.digest, %key, "the object of a blob is gone or damaged");
        let marked = self.metadata.mark_missing(&blob.digest, key.as_uuid());
        match marked.await {
            // It is found missing again the next time.
            Err(MetadataError::Full(_) | MetadataError::ReadOnly(_)) => Ok(()),
            marked => Ok(marked?),
        }
    }
}

/// As `distribution` signs its URLs.
const REDIRECT_LIFETIME: std::time::Duration = std::time::Duration::from_secs(20 * 60);
