//! The reference: the same contract in ordered maps behind one mutex.
//!
//! Serves `storage: inmemory`, and is what the database is compared with: the same random
//! operations on both must give the same answers. Written to be read, not to be fast; still no
//! operation walks more than one repository's tags. Keeps the last [`JOURNAL_MAX`] journal lines.

mod access;
mod blob;
mod list;
mod manifest;
mod state;
mod upload;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_oci::{Digest, Reference, RepositoryName, Tag};
use uuid::Uuid;

use crate::change::{Advance, FinishUpload, MountBlob, NewManifest, NewUpload, Origin};
use crate::clock::{Clock, Horizons, Timestamp};
use crate::error::MetadataError;
use crate::journal::JournalRow;
use crate::metadata::{DeleteBlob, Finish, Metadata, PutManifest};
use crate::page::Page;
use crate::rows::{
    BlobRow, ManifestRow, ManifestSummary, Referrer, RepositoryId, UploadId, UploadRow,
};

use state::State;

/// Rows in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryMetadata {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    horizons: Horizons,
    clock: Arc<dyn Clock>,
}

/// When and for how long: what a change needs beside its arguments.
#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    horizons: Horizons,
}

impl Moment {
    fn lease(self) -> Timestamp {
        self.now.plus(self.horizons.lease)
    }

    fn undo(self) -> Timestamp {
        self.now.plus(self.horizons.undo)
    }
}

impl MemoryMetadata {
    /// An empty registry.
    pub fn new(horizons: Horizons, clock: Arc<dyn Clock>) -> MemoryMetadata {
        let state = Mutex::new(State::default());
        MemoryMetadata {
            shared: Arc::new(Shared {
                state,
                horizons,
                clock,
            }),
        }
    }

    /// The state, whole even after a panic elsewhere: no method of it can panic half way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The state and the time at which it is changed, which never steps back.
    fn change(&self) -> (MutexGuard<'_, State>, Moment) {
        let mut state = self.state();
        let now = state.last_change.max(self.shared.clock.now());
        state.last_change = now;
        (
            state,
            Moment {
                now,
                horizons: self.shared.horizons,
            },
        )
    }

    #[cfg(test)]
    pub(crate) fn blob_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Option<Timestamp> {
        self.state().blob_lease(repository, digest)
    }

    #[cfg(test)]
    pub(crate) fn manifest_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Option<Timestamp> {
        self.state().manifest_lease(repository, digest)
    }
}

impl fmt::Debug for MemoryMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryMetadata").finish_non_exhaustive()
    }
}

impl Metadata for MemoryMetadata {
    async fn begin_upload(&self, upload: NewUpload<'_>) -> Result<RepositoryId, MetadataError> {
        let (mut state, moment) = self.change();
        state.begin_upload(moment, upload)
    }

    async fn upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<UploadRow>, MetadataError> {
        Ok(self.state().upload(repository, id).cloned())
    }

    async fn advance_upload(
        &self,
        id: UploadId,
        fence: u64,
        advance: Advance,
    ) -> Result<Option<u64>, MetadataError> {
        Ok(self.state().advance_upload(id, fence, advance))
    }

    async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: UploadId,
    ) -> Result<Option<Uuid>, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.cancel_upload(moment, repository, id))
    }

    async fn finish_upload(&self, finish: FinishUpload) -> Result<Finish, MetadataError> {
        let (mut state, moment) = self.change();
        state.finish_upload(moment, finish)
    }

    async fn mount(&self, mount: MountBlob) -> Result<bool, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.mount(moment, &mount))
    }

    async fn holders(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, MetadataError> {
        Ok(self.state().holders(digest, limit))
    }

    async fn renew_lease(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.renew_lease(moment, repository, digest))
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<BlobRow>, MetadataError> {
        Ok(self.state().blob(repository, digest))
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> Result<DeleteBlob, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.delete_blob(moment, repository, digest, &origin))
    }

    async fn mark_missing(&self, digest: &Digest, key: Uuid) -> Result<(), MetadataError> {
        self.state().mark_missing(digest, key);
        Ok(())
    }

    async fn put_manifest(&self, manifest: NewManifest) -> Result<PutManifest, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.put_manifest(moment, manifest))
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestRow>, MetadataError> {
        Ok(self.state().manifest(repository, reference))
    }

    async fn manifest_summary(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<ManifestSummary>, MetadataError> {
        Ok(self
            .state()
            .manifest(repository, reference)
            .map(|row| ManifestSummary {
                digest: row.digest,
                media_type: row.media_type,
                size_bytes: row.size_bytes,
                pushed_at: row.pushed_at,
            }))
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        origin: Origin,
    ) -> Result<bool, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.delete_tag(moment, repository, tag, &origin))
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: Origin,
    ) -> Result<Option<Vec<Tag>>, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.delete_manifest(moment, repository, digest, &origin))
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Option<Page<Tag>>, MetadataError> {
        Ok(self.state().tags(repository, after, limit))
    }

    async fn repositories(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, MetadataError> {
        Ok(self.state().repositories(after, limit))
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
        let state = self.state();
        Ok(state.referrers(repository, subject, artifact_type, after, limit, bytes_max))
    }

    async fn expired_uploads(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<UploadId>, MetadataError> {
        Ok(self.state().expired_uploads(now, limit))
    }

    async fn expire_uploads(&self, now: Timestamp, limit: u32) -> Result<Vec<Uuid>, MetadataError> {
        let (mut state, moment) = self.change();
        Ok(state.expire_uploads(moment, now, limit))
    }

    async fn trash_ready(&self, limit: u32) -> Result<Vec<Uuid>, MetadataError> {
        let (state, moment) = self.change();
        Ok(state.trash_ready(moment.now, limit))
    }

    async fn forget_trash(&self, key: Uuid) -> Result<(), MetadataError> {
        self.state().forget_trash(key);
        Ok(())
    }

    async fn retry_trash(&self, key: Uuid) -> Result<(), MetadataError> {
        let (mut state, moment) = self.change();
        state.retry_trash(moment.now, key);
        Ok(())
    }

    async fn journal(&self, after_seq: u64, limit: u32) -> Result<Vec<JournalRow>, MetadataError> {
        Ok(self.state().lines(after_seq, limit))
    }

    async fn probe(&self) -> Result<(), MetadataError> {
        Ok(())
    }
}

/// Journal lines that are kept.
const JOURNAL_MAX: usize = 65_536;
