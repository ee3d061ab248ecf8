//! The trait: one method for each atomic operation of the registry, and what each promises.
//!
//! For every method:
//! * A change is durable (in an engine that keeps anything) and visible to every read that starts
//!   after it returned. What returns an error changed nothing, save [`MetadataError::Stopped`] and
//!   engine failures of a commit, whose outcome is unknown; every change may be repeated.
//! * A change writes its journal lines in the same transaction.
//! * Cancel safety: a change whose future is dropped happens whole or not at all.
//! * Reads see committed rows only. Names, tags and digests are ordered by their bytes.
//!
//! T1–T4 are the transactions of the durability design: T1 finish an upload, T2 mount or renew,
//! T3 put a manifest, T4 delete. I1–I5 are its invariants: I1 a committed object row means that the
//! bytes are durable; I2 an object is removed only when its key is in the trash; I3 a key leaves
//! the object table only when no repository links it; I4 an edge is inserted only while its target
//! row is held; I5 a key that left its table never enters one again.

use std::future::Future;

use roadstead_oci::{Digest, Reference, RepositoryName, Tag};
use uuid::Uuid;

use crate::account::Accounts;
use crate::change::{Advance, FinishUpload, MountBlob, NewManifest, NewUpload, Origin};
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::journal::JournalRow;
use crate::page::Page;
use crate::rows::{
    BlobRow, ManifestRow, ManifestSummary, Referrer, RepositoryId, UploadId, UploadRow,
};
use crate::secret::Secrets;

/// What became of an upload's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The blob is visible.
    Stored {
        /// The session's object, where it holds bytes that are not needed: another upload of the
        /// digest was first, or the bytes went inline. It is in the trash already.
        discarded: Option<Uuid>,
    },
    /// The session is gone or went on without the caller. Nothing changed.
    Stale,
}

/// What became of a blob's deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteBlob {
    /// It is not visible any more.
    Deleted,
    /// The repository does not have it.
    Unknown,
    /// So many visible manifests of the repository name it (counted up to 10,000).
    Referenced(u64),
}

/// What became of a manifest's push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutManifest {
    /// It is visible, and so are its tags.
    Stored {
        /// Whether it was not visible before.
        created: bool,
    },
    /// Required blobs or children that are not there: each once, blobs first. Nothing changed.
    Missing(Vec<Digest>),
    /// Blobs or children that have another length than the manifest says, with the true one.
    /// Nothing changed.
    SizeMismatch(Vec<(Digest, u64)>),
    /// Tags that point to another manifest and may not be moved. Nothing changed.
    TagsTaken(Vec<Tag>),
}

/// The rows of the registry.
pub trait Metadata: Accounts + Secrets + Send + Sync {
    /// Opens an upload session and makes the repository's row if there is none.
    ///
    /// # Errors
    /// [`MetadataError::TooManyUploads`]; [`MetadataError::Misuse`] for an id or a key that another
    /// open session has.
    fn begin_upload(
        &self,
        upload: NewUpload<'_>,
    ) -> impl Future<Output = Result<RepositoryId, MetadataError>> + Send;

    /// A session, if it is one of this repository.
    ///
    /// # Errors
    /// Only of the engine.
    fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> impl Future<Output = Result<Option<UploadRow>, MetadataError>> + Send;

    /// Records a step of a session and returns its new fence. `None`: the session is gone, or
    /// another step was recorded since `fence`; nothing changed.
    ///
    /// # Errors
    /// Only of the engine.
    fn advance_upload(
        &self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> impl Future<Output = Result<Option<u64>, MetadataError>> + Send;

    /// Ends a session; its key goes to the trash and is returned. `None`: there is none.
    ///
    /// # Errors
    /// Only of the engine.
    fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> impl Future<Output = Result<Option<Uuid>, MetadataError>> + Send;

    /// T1: makes an uploaded blob visible with a fresh lease and ends the session.
    ///
    /// The caller has flushed the bytes (I1). If the digest is stored already, the stored object
    /// stays and the session's key goes to the trash; if the stored one is marked missing, the new
    /// one takes its place (that heals every repository). Edges that wait for the blob get it.
    ///
    /// # Errors
    /// [`MetadataError::Misuse`] if `place` is an object other than the session's.
    fn finish_upload(
        &self,
        finish: FinishUpload,
    ) -> impl Future<Output = Result<Finish, MetadataError>> + Send;

    /// T2: links a blob of one repository into another with a fresh lease. `false`: the source does
    /// not have it, or its bytes are missing; nothing changed, no repository was made.
    ///
    /// # Errors
    /// Only of the engine.
    fn mount(&self, mount: MountBlob) -> impl Future<Output = Result<bool, MetadataError>> + Send;

    /// Repositories that have the blob, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Only of the engine.
    fn holders(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RepositoryName>, MetadataError>> + Send;

    /// T2 for a pusher that asks whether a blob is there: what is answered yes stays for at least
    /// half a lease. `false`: it is not there. Writes only where no visible manifest of the
    /// repository names the blob and less than half of its lease is left.
    ///
    /// # Errors
    /// Only of the engine.
    fn renew_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<bool, MetadataError>> + Send;

    /// A blob that the repository has and whose bytes are not known to be missing.
    ///
    /// # Errors
    /// Only of the engine.
    fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<Option<BlobRow>, MetadataError>> + Send;

    /// T4: takes a blob from the repository, unless a visible manifest names it. Its row stays,
    /// invisible, until the undo horizon has passed.
    ///
    /// # Errors
    /// Only of the engine.
    fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> impl Future<Output = Result<DeleteBlob, MetadataError>> + Send;

    /// Marks an object as gone or damaged, if the digest still lives in `key`. It is not visible in
    /// any repository until the digest is uploaded again.
    ///
    /// # Errors
    /// Only of the engine.
    fn mark_missing(
        &self,
        digest: &Digest,
        key: Uuid,
    ) -> impl Future<Output = Result<(), MetadataError>> + Send;

    /// T3: makes a manifest visible with its edges and all its tags.
    ///
    /// What is required must be visible at that instant. A digest that the repository has had
    /// before keeps the type that it was first stored with. A tag that points there already does
    /// not change. What a moved tag leaves untagged gets a fresh lease.
    ///
    /// # Errors
    /// Only of the engine.
    fn put_manifest(
        &self,
        manifest: NewManifest,
    ) -> impl Future<Output = Result<PutManifest, MetadataError>> + Send;

    /// A manifest with its bytes.
    ///
    /// # Errors
    /// Only of the engine.
    fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> impl Future<Output = Result<Option<ManifestRow>, MetadataError>> + Send;

    /// A manifest without its bytes.
    ///
    /// # Errors
    /// Only of the engine.
    fn manifest_summary(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> impl Future<Output = Result<Option<ManifestSummary>, MetadataError>> + Send;

    /// T4: removes a tag. `false`: there is none. What it leaves untagged gets a fresh lease.
    ///
    /// # Errors
    /// Only of the engine.
    fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        origin: Origin,
    ) -> impl Future<Output = Result<bool, MetadataError>> + Send;

    /// T4: makes a manifest invisible and removes its tags, which are returned in byte order.
    /// `None`: there is none. Row and edges stay until the undo horizon has passed; what it named
    /// gets a fresh lease.
    ///
    /// # Errors
    /// Only of the engine.
    fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> impl Future<Output = Result<Option<Vec<Tag>>, MetadataError>> + Send;

    /// Tags after `after` in byte order. `None`: the repository never had a manifest.
    ///
    /// # Errors
    /// Only of the engine.
    fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<Option<Page<Tag>>, MetadataError>> + Send;

    /// Repositories that ever had a manifest, after `after` in byte order.
    ///
    /// # Errors
    /// Only of the engine.
    fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<Page<RepositoryName>, MetadataError>> + Send;

    /// Visible manifests that name `subject`, in digest order, filtered before they are counted. A
    /// page ends before the descriptor that would take it over `bytes_max`, but has at least one.
    ///
    /// # Errors
    /// Only of the engine.
    fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: u32,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Page<Referrer>, MetadataError>> + Send;

    /// Sessions that count as abandoned at `now`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Only of the engine.
    fn expired_uploads(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<UploadId>, MetadataError>> + Send;

    /// Ends at most `limit` sessions that count as abandoned at `now`; their keys go to the trash
    /// and are returned.
    ///
    /// # Errors
    /// Only of the engine.
    fn expire_uploads(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Uuid>, MetadataError>> + Send;

    /// Keys in the trash that no reader can ever have seen and whose removal is due.
    ///
    /// # Errors
    /// Only of the engine.
    fn trash_ready(
        &self,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Uuid>, MetadataError>> + Send;

    /// Takes a key from the trash: its object is removed.
    ///
    /// # Errors
    /// Only of the engine.
    fn forget_trash(&self, key: Uuid) -> impl Future<Output = Result<(), MetadataError>> + Send;

    /// Puts a removal off after a failure, for longer each time (1 s doubling up to about 1 h).
    ///
    /// # Errors
    /// Only of the engine.
    fn retry_trash(&self, key: Uuid) -> impl Future<Output = Result<(), MetadataError>> + Send;

    /// Journal lines after `after_seq` in order, at most `limit`.
    ///
    /// # Errors
    /// [`MetadataError::Unreadable`] for a line of a newer release.
    fn journal(
        &self,
        after_seq: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<JournalRow>, MetadataError>> + Send;

    /// Whether reads and writes work now; changes nothing.
    ///
    /// # Errors
    /// Why they do not.
    fn probe(&self) -> impl Future<Output = Result<(), MetadataError>> + Send;
}
