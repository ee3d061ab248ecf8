//! What comes out of the store.

use std::fmt;

use bytes::Bytes;
use roadstead_oci::{Algorithm, Digest, MediaType};
use uuid::Uuid;

use crate::change::{Place, Progress};
use crate::clock::Timestamp;

/// A repository's number. A name that is deleted and made again gets a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryId(i64);

impl RepositoryId {
    pub(crate) const fn new(id: i64) -> RepositoryId {
        RepositoryId(id)
    }

    /// The number, positive.
    pub const fn as_i64(self) -> i64 {
        self.0
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The public name of an upload session: 122 random bits, independent of the object's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Uuid);

impl UploadId {
    /// A fresh name.
    pub fn random() -> UploadId {
        UploadId(Uuid::new_v4())
    }

    /// Reads the hyphenated form that [`fmt::Display`] writes, and no other. `None`: it is not one.
    pub fn parse(text: &str) -> Option<UploadId> {
        let id = Uuid::try_parse(text).ok()?;
        let mut written = Uuid::encode_buffer();
        (id.hyphenated().encode_lower(&mut written) == text).then_some(UploadId(id))
    }

    /// As a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    pub(crate) const fn from_uuid(id: Uuid) -> UploadId {
        UploadId(id)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A blob that a repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// The repository.
    pub repository: RepositoryId,
    /// The blob's digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Where its bytes are.
    pub place: Place,
    /// When it entered the repository.
    pub linked_at: Timestamp,
}

/// An open upload session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    /// Its public name.
    pub id: UploadId,
    /// The key of the object that its bytes go to.
    pub key: Uuid,
    /// The repository that it belongs to.
    pub repository: RepositoryId,
    /// Who began it.
    pub principal: String,
    /// What its bytes are hashed with.
    pub algorithm: Algorithm,
    /// How far it is; counts only on the boot that `boot_id` names.
    pub progress: Progress,
    /// The boot that wrote `progress`.
    pub boot_id: String,
    /// How far it is durably; never ahead of flushed bytes.
    pub durable: Progress,
    /// Rises with every step; a step that names an older one is refused.
    pub fence: u64,
    /// When it counts as abandoned.
    pub expires_at: Timestamp,
}

/// A manifest with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// The repository.
    pub repository: RepositoryId,
    /// The manifest's digest.
    pub digest: Digest,
    /// The type that it was first stored with.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its bytes.
    pub body: Bytes,
    /// When it became visible.
    pub pushed_at: Timestamp,
}

impl ManifestRow {
    /// Everything but the bytes.
    pub fn summary(&self) -> ManifestSummary {
        ManifestSummary {
            digest: self.digest,
            media_type: self.media_type.clone(),
            size_bytes: self.size_bytes,
            pushed_at: self.pushed_at,
        }
    }
}

/// A manifest without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSummary {
    /// The manifest's digest.
    pub digest: Digest,
    /// The type that it was first stored with.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it became visible.
    pub pushed_at: Timestamp,
}

/// A manifest that names another one as its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The referring manifest's digest.
    pub digest: Digest,
    /// Its descriptor as the referrers list shows it, JSON.
    pub descriptor: Bytes,
}

/// An object as a copy of the database names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The content.
    pub digest: Digest,
    /// What its bytes lie under.
    pub key: Uuid,
    /// Its length in bytes.
    pub size: u64,
    /// It was found to be gone or damaged, and nothing was pushed in its place yet.
    pub missing: bool,
}
