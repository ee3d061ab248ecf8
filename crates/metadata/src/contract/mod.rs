//! The contract of [`Metadata`](crate::Metadata), one test a clause, run unchanged on every
//! engine; and random operations, which must have the same answers on all of them.

mod blob;
mod journal;
mod list;
mod machine;
mod manifest;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roadstead_oci::{Algorithm, Digest, MediaType, Reference, RepositoryName, Tag};
use uuid::Uuid;

use crate::{
    Advance, BlobRow, Change, Edge, Finish, FinishUpload, Horizons, JournalRow, ManualClock,
    MemoryMetadata, Meta, Metadata, MetadataError, MountBlob, NewManifest, NewUpload, Origin,
    Place, Progress, PutManifest, SqliteMetadata, Timestamp, UploadId,
};

/// An engine with a clock that stands still until it is moved.
pub(crate) struct Fixture {
    pub(crate) meta: Meta,
    pub(crate) clock: Arc<ManualClock>,
    directory: Option<tempfile::TempDir>,
}

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn memory() -> Fixture {
    let clock = Arc::new(ManualClock::new(START));
    let meta = Meta::Memory(MemoryMetadata::new(Horizons::default(), clock.clone()));
    Fixture {
        meta,
        clock,
        directory: None,
    }
}

pub(crate) fn sqlite() -> Fixture {
    let clock = Arc::new(ManualClock::new(START));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meta.db");
    let meta = SqliteMetadata::open(&path, false, Horizons::default(), clock.clone()).unwrap();
    Fixture {
        meta: Meta::Sqlite(meta),
        clock,
        directory: Some(directory),
    }
}

/// Stamps each clause on each engine.
macro_rules! contract {
    ($($clause:ident),* $(,)?) => {
        mod on_memory {
            $(#[tokio::test] async fn $clause() {
                super::$clause(crate::contract::memory()).await;
            })*
        }
        mod on_sqlite {
            $(#[tokio::test] async fn $clause() {
                super::$clause(crate::contract::sqlite()).await;
            })*
        }
    };
}
pub(crate) use contract;

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// A digest that is told apart from others by a number.
pub(crate) fn digest(number: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &[number; 32]).unwrap()
}

pub(crate) fn edge(digest: Digest, size_bytes: u64) -> Edge {
    Edge {
        digest,
        size_bytes,
        required: true,
    }
}

pub(crate) fn origin() -> Origin {
    Origin {
        actor: "alice".to_owned(),
        request_id: "r1".to_owned(),
        ..Origin::default()
    }
}

pub(crate) fn progress(offset: u64) -> Progress {
    let state = Bytes::from(format!("state {offset}"));
    Progress {
        offset,
        hash_state: state.clone(),
        store_state: state,
    }
}

/// An image with these blobs and nothing else.
pub(crate) fn image(repository: &str, number: u8, blobs: Vec<Edge>) -> NewManifest {
    NewManifest {
        repository: name(repository),
        digest: digest(number),
        media_type: MediaType::OCI_IMAGE,
        artifact_type: None,
        subject: None,
        body: Bytes::from(vec![number; 10]),
        referrer: None,
        blobs,
        children: Vec::new(),
        tags: Vec::new(),
        origin: origin(),
    }
}

impl Fixture {
    /// Makes a blob of 5 bytes visible that came whole in one request.
    pub(crate) async fn push_blob(&self, repository: &str, number: u8) -> Digest {
        let finish = FinishUpload {
            repository: name(repository),
            upload: None,
            digest: digest(number),
            size_bytes: 5,
            place: Place::Inline(Bytes::from_static(b"bytes")),
            origin: origin(),
        };
        let finished = self.meta.finish_upload(finish).await.unwrap();
        assert_eq!(finished, Finish::Stored { discarded: None });
        digest(number)
    }

    pub(crate) async fn begin(&self, repository: &str, principal: &str) -> (UploadId, Uuid) {
        let (id, key) = (UploadId::random(), Uuid::new_v4());
        self.begin_with(repository, principal, id, key, 100)
            .await
            .unwrap();
        (id, key)
    }

    pub(crate) async fn begin_with(
        &self,
        repository: &str,
        principal: &str,
        id: UploadId,
        key: Uuid,
        sessions_max: u64,
    ) -> Result<(), MetadataError> {
        let new = NewUpload {
            repository: &name(repository),
            id,
            key,
            principal,
            algorithm: Algorithm::Sha256,
            start: progress(0),
            boot_id: "boot",
            expires_at: self.now().plus(HOUR),
            sessions_max,
        };
        self.meta.begin_upload(new).await.map(drop)
    }

    pub(crate) async fn advance(&self, id: UploadId, fence: u64, offset: u64) -> Option<u64> {
        let advance = Advance {
            progress: progress(offset),
            durable: None,
            boot_id: "boot".to_owned(),
            expires_at: self.now().plus(HOUR),
        };
        self.meta.advance_upload(id, fence, advance).await.unwrap()
    }

    /// Closes a session whose bytes are its object.
    pub(crate) async fn finish(
        &self,
        repository: &str,
        (id, key): (UploadId, Uuid),
        fence: u64,
        number: u8,
    ) -> Finish {
        let finish = FinishUpload {
            repository: name(repository),
            upload: Some((id, fence)),
            digest: digest(number),
            size_bytes: 5,
            place: Place::Object(key),
            origin: origin(),
        };
        self.meta.finish_upload(finish).await.unwrap()
    }

    pub(crate) async fn mount(&self, from: &str, to: &str, number: u8) -> bool {
        let mount = MountBlob {
            from: name(from),
            to: name(to),
            digest: digest(number),
            origin: origin(),
        };
        self.meta.mount(mount).await.unwrap()
    }

    pub(crate) async fn put(&self, manifest: NewManifest) -> PutManifest {
        self.meta.put_manifest(manifest).await.unwrap()
    }

    pub(crate) async fn put_tagged(&self, mut manifest: NewManifest, tags: &[&str]) {
        manifest.tags = tags.iter().map(|text| tag(text)).collect();
        let put = self.put(manifest).await;
        assert!(matches!(put, PutManifest::Stored { .. }), "{put:?}");
    }

    pub(crate) async fn blob(&self, repository: &str, number: u8) -> Option<BlobRow> {
        self.meta
            .blob(&name(repository), &digest(number))
            .await
            .unwrap()
    }

    /// The digest that a tag or digest leads to.
    pub(crate) async fn resolve(&self, repository: &str, reference: Reference) -> Option<Digest> {
        let repository = name(repository);
        let row = self.meta.manifest(&repository, &reference).await.unwrap();
        let summary = self
            .meta
            .manifest_summary(&repository, &reference)
            .await
            .unwrap();
        assert_eq!(
            row.as_ref().map(|row| row.digest),
            summary.map(|summary| summary.digest)
        );
        row.map(|row| row.digest)
    }

    pub(crate) async fn resolve_tag(&self, repository: &str, text: &str) -> Option<Digest> {
        self.resolve(repository, Reference::Tag(tag(text))).await
    }

    pub(crate) fn blob_lease(&self, repository: &str, number: u8) -> Option<Timestamp> {
        match &self.meta {
            Meta::Memory(memory) => memory.blob_lease(&name(repository), &digest(number)),
            Meta::Sqlite(sqlite) => sqlite.lease("blob", &name(repository), &digest(number)),
        }
    }

    pub(crate) fn manifest_lease(&self, repository: &str, number: u8) -> Option<Timestamp> {
        match &self.meta {
            Meta::Memory(memory) => memory.manifest_lease(&name(repository), &digest(number)),
            Meta::Sqlite(sqlite) => sqlite.lease("manifest", &name(repository), &digest(number)),
        }
    }

    pub(crate) async fn lines(&self) -> Vec<JournalRow> {
        self.meta.journal(0, 1_000).await.unwrap()
    }

    pub(crate) async fn changes(&self) -> Vec<Change> {
        self.lines()
            .await
            .into_iter()
            .map(|line| line.change)
            .collect()
    }

    pub(crate) fn now(&self) -> Timestamp {
        use crate::Clock as _;
        self.clock.now()
    }

    /// The directory, and the engine to be closed.
    pub(crate) fn into_parts(self) -> (Option<tempfile::TempDir>, Meta) {
        (self.directory, self.meta)
    }

    /// Where the database is.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.directory.as_ref().unwrap().path().join("meta.db")
    }
}
