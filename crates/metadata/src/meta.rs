//! The engine that was configured, chosen once, without a boxed future on the way of a request.

use bytes::Bytes;
use roadstead_oci::{Digest, Reference, RepositoryName, Tag};
use uuid::Uuid;

use crate::account::{AccountChange, AccountKind, AccountRow, Accounts, NewAccount};
use crate::change::{Advance, FinishUpload, MountBlob, NewManifest, NewUpload, Origin};
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::journal::JournalRow;
use crate::memory::MemoryMetadata;
use crate::metadata::{DeleteBlob, Finish, Metadata, PutManifest};
use crate::page::Page;
use crate::rows::{
    BlobRow, ManifestRow, ManifestSummary, Referrer, RepositoryId, UploadId, UploadRow,
};
use crate::secret::{SecretRow, Secrets};
use crate::sqlite::SqliteMetadata;

/// A metadata engine. Clones share the same rows.
#[derive(Debug, Clone)]
pub enum Meta {
    /// The embedded database.
    Sqlite(SqliteMetadata),
    /// Rows that end with the process.
    Memory(MemoryMetadata),
}

impl Meta {
    /// Returns when the engine has failed so that the process must end: a write to the log or a
    /// flush of it went wrong, after which nothing more may be acknowledged. Else never.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn failed(&self) {
        match self {
            Meta::Sqlite(sqlite) => sqlite.failed().await,
            Meta::Memory(_) => std::future::pending().await,
        }
    }
}

macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            Meta::Sqlite($engine) => $call.await,
            Meta::Memory($engine) => $call.await,
        }
    };
}

impl Metadata for Meta {
    async fn begin_upload(&self, upload: NewUpload<'_>) -> Result<RepositoryId, MetadataError> {
        each!(self, engine => engine.begin_upload(upload))
    }

    async fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<UploadRow>, MetadataError> {
        each!(self, engine => engine.upload(repository, id))
    }

    async fn advance_upload(
        &self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> Result<Option<u64>, MetadataError> {
        each!(self, engine => engine.advance_upload(id, fence, advance))
    }

    async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Uuid>, MetadataError> {
        each!(self, engine => engine.cancel_upload(repository, id))
    }

    async fn finish_upload(&self, finish: FinishUpload) -> Result<Finish, MetadataError> {
        each!(self, engine => engine.finish_upload(finish))
    }

    async fn mount(&self, mount: MountBlob) -> Result<bool, MetadataError> {
        each!(self, engine => engine.mount(mount))
    }

    async fn holders(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, MetadataError> {
        each!(self, engine => engine.holders(digest, limit))
    }

    async fn renew_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, MetadataError> {
        each!(self, engine => engine.renew_lease(repository, digest))
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobRow>, MetadataError> {
        each!(self, engine => engine.blob(repository, digest))
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> Result<DeleteBlob, MetadataError> {
        each!(self, engine => engine.delete_blob(repository, digest, origin))
    }

    async fn mark_missing(&self, digest: &Digest, key: Uuid) -> Result<(), MetadataError> {
        each!(self, engine => engine.mark_missing(digest, key))
    }

    async fn put_manifest(&self, manifest: NewManifest) -> Result<PutManifest, MetadataError> {
        each!(self, engine => engine.put_manifest(manifest))
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestRow>, MetadataError> {
        each!(self, engine => engine.manifest(repository, reference))
    }

    async fn manifest_summary(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestSummary>, MetadataError> {
        each!(self, engine => engine.manifest_summary(repository, reference))
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        origin: Origin,
    ) -> Result<bool, MetadataError> {
        each!(self, engine => engine.delete_tag(repository, tag, origin))
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> Result<Option<Vec<Tag>>, MetadataError> {
        each!(self, engine => engine.delete_manifest(repository, digest, origin))
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Option<Page<Tag>>, MetadataError> {
        each!(self, engine => engine.tags(repository, after, limit))
    }

    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, MetadataError> {
        each!(self, engine => engine.repositories(after, limit))
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
        each!(self, engine => engine.referrers(repository, subject, artifact_type, after, limit, bytes_max))
    }

    async fn expired_uploads(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<UploadId>, MetadataError> {
        each!(self, engine => engine.expired_uploads(now, limit))
    }

    async fn expire_uploads(&self, now: Timestamp, limit: u32) -> Result<Vec<Uuid>, MetadataError> {
        each!(self, engine => engine.expire_uploads(now, limit))
    }

    async fn trash_ready(&self, limit: u32) -> Result<Vec<Uuid>, MetadataError> {
        each!(self, engine => engine.trash_ready(limit))
    }

    async fn forget_trash(&self, key: Uuid) -> Result<(), MetadataError> {
        each!(self, engine => engine.forget_trash(key))
    }

    async fn retry_trash(&self, key: Uuid) -> Result<(), MetadataError> {
        each!(self, engine => engine.retry_trash(key))
    }

    async fn journal(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalRow>, MetadataError> {
        each!(self, engine => engine.journal(after_seq, limit))
    }

    async fn probe(&self) -> Result<(), MetadataError> {
        each!(self, engine => engine.probe())
    }
}

impl Secrets for Meta {
    async fn secret(&self, name: &str) -> Result<Option<SecretRow>, MetadataError> {
        each!(self, engine => engine.secret(name))
    }

    async fn swap_secret(
        &self,
        name: &str,
        expected: Option<u64>,
        value: Option<Bytes>,
    ) -> Result<bool, MetadataError> {
        each!(self, engine => engine.swap_secret(name, expected, value))
    }
}

impl Accounts for Meta {
    async fn create_account(&self, account: NewAccount) -> Result<bool, MetadataError> {
        each!(self, engine => engine.create_account(account))
    }

    async fn account(
        &self,
        kind: AccountKind,
        name: &str,
    ) -> Result<Option<AccountRow>, MetadataError> {
        each!(self, engine => engine.account(kind, name))
    }

    async fn account_by_id(&self, id: &str) -> Result<Option<AccountRow>, MetadataError> {
        each!(self, engine => engine.account_by_id(id))
    }

    async fn accounts(
        &self,
        kind: AccountKind,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<AccountRow>, MetadataError> {
        each!(self, engine => engine.accounts(kind, after, limit))
    }

    async fn change_account(
        &self,
        kind: AccountKind,
        name: &str,
        change: AccountChange,
        origin: Origin,
    ) -> Result<Option<AccountRow>, MetadataError> {
        each!(self, engine => engine.change_account(kind, name, change, origin))
    }

    async fn remove_account(
        &self,
        kind: AccountKind,
        name: &str,
        origin: Origin,
    ) -> Result<bool, MetadataError> {
        each!(self, engine => engine.remove_account(kind, name, origin))
    }
}
