//! What goes into the store: the arguments of the transactions.

use bytes::Bytes;
use roadstead_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::rows::UploadId;

/// Who changes something and where the request came from. Goes into the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The principal's name.
    pub actor: String,
    /// The request's id, as in the answer and in the log.
    pub request_id: String,
    /// The peer's address.
    pub address: String,
    /// The host that the request named.
    pub host: String,
    /// The HTTP method.
    pub method: String,
    /// What the client calls itself.
    pub user_agent: String,
}

/// Where the bytes of a blob are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An object of the store, by its key.
    Object(Uuid),
    /// In the row itself.
    Inline(Bytes),
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes received.
    pub offset: u64,
    /// The hash after these bytes, opaque here.
    pub hash_state: Bytes,
    /// What the object store needs to go on, opaque here.
    pub store_state: Bytes,
}

/// A new upload session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload<'a> {
    /// The repository; its row is made if it is the first thing in it.
    pub repository: &'a RepositoryName,
    /// A fresh public name.
    pub id: UploadId,
    /// A fresh object key.
    pub key: Uuid,
    /// Who begins it.
    pub principal: &'a str,
    /// What its bytes are hashed with.
    pub algorithm: Algorithm,
    /// The state before the first byte.
    pub start: Progress,
    /// This boot.
    pub boot_id: &'a str,
    /// When it counts as abandoned.
    pub expires_at: Timestamp,
    /// Sessions that one principal may have open at a time.
    pub sessions_max: u64,
}

/// One step of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// How far it is now.
    pub progress: Progress,
    /// How far it is durably, where that changed. Never ahead of flushed bytes.
    pub durable: Option<Progress>,
    /// This boot.
    pub boot_id: String,
    /// When it counts as abandoned.
    pub expires_at: Timestamp,
}

/// The end of an upload: the blob becomes visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishUpload {
    /// The repository.
    pub repository: RepositoryName,
    /// The session and the fence of its last step. `None`: the bytes came whole in one request and
    /// are not an object.
    pub upload: Option<(UploadId, u64)>,
    /// The verified digest.
    pub digest: Digest,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Where the bytes are, durably: the session's object, or inline.
    pub place: Place,
    /// Who and where from.
    pub origin: Origin,
}

/// A blob of one repository that is to become one of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountBlob {
    /// The repository that has it.
    pub from: RepositoryName,
    /// The repository that gets it.
    pub to: RepositoryName,
    /// The blob.
    pub digest: Digest,
    /// Who and where from.
    pub origin: Origin,
}

/// A digest that a manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// What is named.
    pub digest: Digest,
    /// The length that the manifest says; compared where the target is there.
    pub size_bytes: u64,
    /// Whether the target must be visible in the repository now.
    pub required: bool,
}

/// A manifest that is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewManifest {
    /// The repository; its row is made if it is the first thing in it.
    pub repository: RepositoryName,
    /// The verified digest of `body`.
    pub digest: Digest,
    /// The type that it is served with from now on.
    pub media_type: MediaType,
    /// What the referrers list can be filtered by.
    pub artifact_type: Option<String>,
    /// The manifest that it refers to, which need not exist.
    pub subject: Option<Digest>,
    /// Its bytes.
    pub body: Bytes,
    /// Its descriptor as the referrers list shows it (JSON), where it has a subject.
    pub referrer: Option<Bytes>,
    /// Config and layers.
    pub blobs: Vec<Edge>,
    /// Manifests of an index.
    pub children: Vec<Edge>,
    /// Tags that shall point to it: all or none.
    pub tags: Vec<Tag>,
    /// Whether a tag that points to another manifest may be moved.
    pub overwrite: bool,
    /// Who and where from.
    pub origin: Origin,
}
