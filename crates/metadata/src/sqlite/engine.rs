//! The trait on the database: which methods are changes, which are reads, and where they run.

use roadstead_oci::{Digest, Reference, RepositoryName, Tag};
use uuid::Uuid;

use crate::change::{Advance, FinishUpload, MountBlob, NewManifest, NewUpload, Origin};
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::journal::JournalRow;
use crate::metadata::{DeleteBlob, Finish, Metadata, PutManifest};
use crate::page::Page;
use crate::rows::{
    BlobRow, ManifestRow, ManifestSummary, Referrer, RepositoryId, UploadId, UploadRow,
};

use super::cache::{self, Name};
use super::{SqliteMetadata, blob, journal, list, manifest, tag, trash, upload};

impl Metadata for SqliteMetadata {
    async fn begin_upload(&self, upload: NewUpload<'_>) -> Result<RepositoryId, MetadataError> {
        let new = upload::Begin::of(upload);
        self.write(move |transaction| upload::begin(transaction, &new))
            .await
    }

    async fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<UploadRow>, MetadataError> {
        self.read(|connection| upload::read(connection, repository, id))
    }

    async fn advance_upload(
        &self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> Result<Option<u64>, MetadataError> {
        self.write(move |transaction| upload::advance(transaction, id, fence, &advance))
            .await
    }

    async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Uuid>, MetadataError> {
        let repository = repository.clone();
        self.write(move |transaction| upload::cancel(transaction, &repository, id))
            .await
    }

    async fn finish_upload(&self, finish: FinishUpload) -> Result<Finish, MetadataError> {
        self.write(move |transaction| blob::finish_upload(transaction, &finish))
            .await
    }

    async fn mount(&self, mount: MountBlob) -> Result<bool, MetadataError> {
        self.write(move |transaction| blob::mount(transaction, &mount))
            .await
    }

    async fn holders(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, MetadataError> {
        let digest = *digest;
        self.read_list(limit, move |connection| {
            blob::holders(connection, &digest, limit)
        })
        .await
    }

    async fn renew_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, MetadataError> {
        let half = self.shared.clock.now().plus(self.shared.horizons.lease / 2);
        let standing =
            self.read(|connection| blob::lease_standing(connection, repository, digest, half))?;
        match standing {
            blob::Lease::Absent => Ok(false),
            blob::Lease::Long => Ok(true),
            blob::Lease::Short => {
                let (repository, digest) = (repository.clone(), *digest);
                self.write(move |transaction| blob::renew_lease(transaction, &repository, &digest))
                    .await
            }
        }
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobRow>, MetadataError> {
        let (cache, name) = (&self.shared.cache, Name::blob(repository, digest));
        if let Some(row) = cache.blob(&name) {
            return Ok(Some(row));
        }
        let epoch = cache.epoch(&name);
        let row = self.read(|connection| blob::read(connection, repository, digest))?;
        if let Some(row) = &row {
            cache.keep_blob(name, epoch, row);
        }
        Ok(row)
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> Result<DeleteBlob, MetadataError> {
        let (repository, digest) = (repository.clone(), *digest);
        self.write(move |transaction| blob::delete(transaction, &repository, &digest, &origin))
            .await
    }

    async fn mark_missing(&self, digest: &Digest, key: Uuid) -> Result<(), MetadataError> {
        let digest = *digest;
        self.write(move |transaction| blob::mark_missing(transaction, &digest, key))
            .await
    }

    async fn put_manifest(&self, manifest: NewManifest) -> Result<PutManifest, MetadataError> {
        self.write(move |transaction| manifest::put(transaction, &manifest))
            .await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestRow>, MetadataError> {
        let (cache, name) = (&self.shared.cache, Name::manifest(repository, reference));
        if let Some(row) = cache.manifest(&name) {
            return Ok(Some(row));
        }
        let epoch = cache.epoch(&name);
        let row = self.read(|connection| manifest::read(connection, repository, reference))?;
        if let Some(row) = &row {
            cache.keep_manifest(name, epoch, row);
        }
        Ok(row)
    }

    async fn manifest_summary(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestSummary>, MetadataError> {
        let name = Name::manifest(repository, reference);
        if let Some(row) = self.shared.cache.manifest(&name) {
            return Ok(Some(row.summary()));
        }
        let summary =
            self.read(|connection| manifest::read_summary(connection, repository, reference))?;
        // Who asks for the headers of a manifest asks for its bytes next.
        match summary {
            Some(summary) if summary.size_bytes <= cache::ROW_BYTES_MAX as u64 => {
                let row = self.manifest(repository, reference).await?;
                Ok(row.map(|row| row.summary()))
            }
            other => Ok(other),
        }
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        origin: Origin,
    ) -> Result<bool, MetadataError> {
        let (repository, tag) = (repository.clone(), tag.clone());
        self.write(move |transaction| tag::delete(transaction, &repository, &tag, &origin))
            .await
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> Result<Option<Vec<Tag>>, MetadataError> {
        let (repository, digest) = (repository.clone(), *digest);
        self.write(move |transaction| manifest::delete(transaction, &repository, &digest, &origin))
            .await
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Option<Page<Tag>>, MetadataError> {
        let (repository, after) = (repository.clone(), after.unwrap_or_default().to_owned());
        self.read_list(limit, move |connection| {
            list::tags(connection, &repository, &after, limit)
        })
        .await
    }

    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, MetadataError> {
        let after = after.unwrap_or_default().to_owned();
        self.read_list(limit, move |connection| {
            list::repositories(connection, &after, limit)
        })
        .await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: u32,
        bytes_max: usize,
    ) -> Result<Page<Referrer>, MetadataError> {
        let wanted = list::Wanted {
            repository: repository.clone(),
            subject: *subject,
            artifact_type: artifact_type.map(str::to_owned),
            after: after.copied(),
            limit,
            bytes_max,
        };
        // Most subjects have few referrers, and whether these are many is not known before: the
        // index tells at once that there is none, which is the common case.
        self.read_list(limit, move |connection| {
            list::referrers(connection, &wanted)
        })
        .await
    }

    async fn expired_uploads(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<UploadId>, MetadataError> {
        self.read_list(limit, move |connection| {
            let expired = upload::expired(connection, now, limit)?;
            Ok(expired.into_iter().map(|(id, _)| id).collect())
        })
        .await
    }

    async fn expire_uploads(&self, now: Timestamp, limit: u32) -> Result<Vec<Uuid>, MetadataError> {
        self.write(move |transaction| upload::expire(transaction, now, limit))
            .await
    }

    async fn trash_ready(&self, limit: u32) -> Result<Vec<Uuid>, MetadataError> {
        let now = self.shared.clock.now();
        self.read_list(limit, move |connection| {
            trash::ready(connection, now, limit)
        })
        .await
    }

    async fn forget_trash(&self, key: Uuid) -> Result<(), MetadataError> {
        self.write(move |transaction| trash::forget(transaction, key))
            .await
    }

    async fn retry_trash(&self, key: Uuid) -> Result<(), MetadataError> {
        self.write(move |transaction| trash::put_off(transaction, key))
            .await
    }

    async fn journal(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalRow>, MetadataError> {
        self.read_list(limit, move |connection| {
            journal::list(connection, after_seq, limit)
        })
        .await
    }

    async fn probe(&self) -> Result<(), MetadataError> {
        self.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))?;
        self.write(|_| Ok(())).await
    }
}
