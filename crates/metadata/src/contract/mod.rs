//! The contract of [`Metadata`](crate::Metadata), one test a clause, run unchanged on every engine,
//! and a random walk on all of them at once.
//!
//! A clause says what callers see; what only the database promises (files, flushes, plans) is
//! tested beside it.

mod account;
mod blob;
mod journal;
mod list;
mod machine;
mod manifest;
mod mount;
mod names;
mod secret;
mod tag;
mod trash;
mod upload;
mod world;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use roadstead_oci::{Algorithm, Digest, Reference, Tag};
use uuid::Uuid;

use crate::{
    Advance, DeleteBlob, Finish, Horizons, JournalRow, ManualClock, MemoryMetadata, Meta, Metadata,
    MetadataError, MountBlob, NewManifest, NewUpload, Origin, Place, PutManifest, SqliteMetadata,
    Timestamp, UploadId,
};

/// An engine, its clock and what must outlive it.
pub(crate) struct Fixture {
    pub(crate) meta: Meta,
    pub(crate) clock: Arc<ManualClock>,
    _directory: Option<tempfile::TempDir>,
}

pub(crate) fn memory() -> Fixture {
    let clock = Arc::new(ManualClock::new(START));
    Fixture {
        meta: Meta::Memory(MemoryMetadata::new(HORIZONS, clock.clone())),
        clock,
        _directory: None,
    }
}

pub(crate) fn sqlite() -> Fixture {
    let clock = Arc::new(ManualClock::new(START));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roadstead.db");
    let sqlite = SqliteMetadata::open(&path, false, HORIZONS, clock.clone()).unwrap();
    Fixture {
        meta: Meta::Sqlite(sqlite),
        clock,
        _directory: Some(directory),
    }
}

/// Stamps each clause on each engine.
macro_rules! contract {
    ($($clause:ident),* $(,)?) => {
        mod on_memory {
            $(#[tokio::test] async fn $clause() {
                super::$clause($crate::contract::memory()).await;
            })*
        }
        mod on_sqlite {
            $(#[tokio::test] async fn $clause() {
                super::$clause($crate::contract::sqlite()).await;
            })*
        }
    };
}
pub(crate) use contract;
pub(crate) use world::*;

pub(crate) const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
pub(crate) const HORIZONS: Horizons = Horizons {
    lease: HOUR.saturating_mul(24),
    undo: HOUR.saturating_mul(24 * 7),
};
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What users do.
impl Fixture {
    /// Opens a session in `repository` with this id and a key derived from it.
    pub(crate) async fn begin(
        &self,
        repository: &str,
        id: u128,
    ) -> Result<(UploadId, Uuid), MetadataError> {
        let (id, key) = (upload_id(id), key(id));
        let repository = name(repository);
        let upload = new_upload(&repository, id, key);
        self.meta.begin_upload(upload).await.map(|_| (id, key))
    }

    /// Pushes blob `n` whole, as an object; its key is the session's.
    pub(crate) async fn push_object(&self, repository: &str, n: u32, session: u128) -> Uuid {
        let (id, key) = self.begin(repository, session).await.unwrap();
        let finish = finish(repository, n, Some((id, 0)), Place::Object(key));
        let finished = self.meta.finish_upload(finish).await.unwrap();
        assert!(matches!(finished, Finish::Stored { .. }), "{finished:?}");
        key
    }

    /// Pushes blob `n` in one request, into its row.
    pub(crate) async fn push_blob(&self, repository: &str, n: u32) {
        let finish = finish(repository, n, None, Place::Inline(content(n)));
        let finished = self.meta.finish_upload(finish).await.unwrap();
        assert_eq!(finished, Finish::Stored { discarded: None });
    }

    pub(crate) async fn put(&self, manifest: NewManifest) -> PutManifest {
        self.meta.put_manifest(manifest).await.unwrap()
    }

    /// Pushes a manifest that must be accepted.
    pub(crate) async fn push(&self, manifest: NewManifest) {
        let put = self.put(manifest).await;
        assert!(matches!(put, PutManifest::Stored { .. }), "{put:?}");
    }

    pub(crate) async fn mount(&self, n: u32, from: &str, to: &str) -> bool {
        let mount = MountBlob {
            from: name(from),
            to: name(to),
            digest: blob(n),
            origin: origin(),
        };
        self.meta.mount(mount).await.unwrap()
    }

    pub(crate) async fn delete_blob(&self, repository: &str, n: u32) -> DeleteBlob {
        self.meta
            .delete_blob(&name(repository), &blob(n), origin())
            .await
            .unwrap()
    }

    /// A pusher asks whether the blob is there.
    pub(crate) async fn renew_lease(&self, repository: &str, n: u32) -> bool {
        self.meta
            .renew_lease(&name(repository), &blob(n))
            .await
            .unwrap()
    }

    pub(crate) async fn has_blob(&self, repository: &str, n: u32) -> bool {
        let found = self.meta.blob(&name(repository), &blob(n)).await.unwrap();
        found.is_some()
    }

    /// What a tag or digest leads to.
    pub(crate) async fn resolve(&self, repository: &str, reference: Reference) -> Option<Digest> {
        let repository = name(repository);
        let row = self.meta.manifest(&repository, &reference).await.unwrap();
        let summary = self.meta.manifest_summary(&repository, &reference).await;
        let summary = summary.unwrap().map(|summary| summary.digest);
        let digest = row.map(|row| row.digest);
        assert_eq!(digest, summary);
        digest
    }

    pub(crate) async fn tag(&self, repository: &str, name: &str) -> Option<Digest> {
        self.resolve(repository, Reference::Tag(tag(name))).await
    }

    pub(crate) async fn has_manifest(&self, repository: &str, n: u32) -> bool {
        let reference = Reference::Digest(manifest_digest(n));
        self.resolve(repository, reference).await.is_some()
    }

    pub(crate) async fn delete_manifest(&self, repository: &str, n: u32) -> Option<Vec<Tag>> {
        self.meta
            .delete_manifest(&name(repository), &manifest_digest(n), origin())
            .await
            .unwrap()
    }

    pub(crate) async fn delete_tag(&self, repository: &str, name_of_tag: &str) -> bool {
        self.meta
            .delete_tag(&name(repository), &tag(name_of_tag), origin())
            .await
            .unwrap()
    }

    /// All referrers of manifest `n`.
    pub(crate) async fn referrers(&self, repository: &str, n: u32) -> Vec<Digest> {
        let (repository, subject) = (name(repository), manifest_digest(n));
        let page = self
            .meta
            .referrers(&repository, &subject, None, None, 100, 100_000)
            .await
            .unwrap();
        page.items.iter().map(|referrer| referrer.digest).collect()
    }

    pub(crate) async fn trash(&self) -> Vec<Uuid> {
        self.meta.trash_ready(100).await.unwrap()
    }

    pub(crate) async fn lines(&self) -> Vec<JournalRow> {
        self.meta.journal(0, 1_000).await.unwrap()
    }

    /// The journal as `change`, `change tag` or so: short enough for a table.
    pub(crate) async fn changes(&self) -> Vec<String> {
        let lines = self.lines().await;
        let spelled = lines.iter().map(|line| match &line.tag {
            Some(tag) => format!("{} {tag}", line.change),
            None => line.change.to_string(),
        });
        spelled.collect()
    }

    /// The end of a blob's lease, visible or not.
    pub(crate) fn blob_lease(&self, repository: &str, n: u32) -> Option<Timestamp> {
        let repository = name(repository);
        match &self.meta {
            Meta::Memory(memory) => memory.blob_lease(&repository, &blob(n)),
            Meta::Sqlite(sqlite) => sqlite.blob_lease(&repository, &blob(n)),
        }
    }

    /// The end of a manifest's lease, visible or not.
    pub(crate) fn manifest_lease(&self, repository: &str, n: u32) -> Option<Timestamp> {
        let (repository, digest) = (name(repository), manifest_digest(n));
        match &self.meta {
            Meta::Memory(memory) => memory.manifest_lease(&repository, &digest),
            Meta::Sqlite(sqlite) => sqlite.manifest_lease(&repository, &digest),
        }
    }
}

/// The answer must be a refusal; it comes back to be looked at.
pub(crate) fn refused<T: Debug>(result: Result<T, MetadataError>) -> MetadataError {
    result.expect_err("a refusal was expected")
}
