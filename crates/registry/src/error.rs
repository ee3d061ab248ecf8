//! What can go wrong in an operation of the registry. The HTTP answer is chosen in `server`.

use roadstead_metadata::MetadataError;
use roadstead_oci::{Action, Digest, ManifestError, Reference, RepositoryName, Tag};
use roadstead_storage::StorageError;

use crate::body::BodyFailure;

/// Every refusal and failure of the registry, named by what happened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository has no visible blob of that digest.
    #[error("blob unknown to the repository")]
    BlobUnknown(Digest),
    /// Visible manifests of the repository still name the blob.
    #[error("the blob is referenced by {manifests} manifest(s) of the repository")]
    BlobReferenced {
        /// How many visible manifests name it.
        manifests: u64,
    },
    /// The repository has no visible manifest under that tag or digest.
    #[error("manifest unknown to the repository")]
    ManifestUnknown(Reference),
    /// Nothing was ever listed under that repository name.
    #[error("repository name not known to the registry")]
    NameUnknown(RepositoryName),
    /// The repository has no such upload session for this principal.
    #[error("upload session unknown")]
    UploadUnknown,
    /// The bytes do not start where the session stands, or another request is writing to it.
    #[error("the upload continues at byte {offset}")]
    UploadRange {
        /// Bytes received so far: the only offset at which the session goes on.
        offset: u64,
    },
    /// The body is not as long as the request says.
    #[error("the body has {actual} bytes where the range says {declared}")]
    SizeInvalid {
        /// Bytes that Content-Range promises.
        declared: u64,
        /// Bytes that came, or that Content-Length promises.
        actual: u64,
    },
    /// The content has another digest than the client says.
    #[error("content does not match digest {expected}, it is {actual}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What the bytes are.
        actual: Digest,
    },
    /// The manifest breaks a rule of its format.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// The manifest names blobs or manifests that the repository does not have.
    #[error("{} reference(s) of the manifest are unknown to the repository", .0.len())]
    ReferencesUnknown(Vec<Digest>),
    /// Tags that point to another manifest, which the principal may not move.
    #[error("{} tag(s) point to another manifest", .0.len())]
    TagsTaken(Vec<Tag>),
    /// The manifest says another size than its target has: (digest, size that is stored).
    #[error("{} descriptor(s) of the manifest state a wrong size", .0.len())]
    ReferenceSize(Vec<(Digest, u64)>),
    /// A foreign layer's URL is not one that the configuration allows.
    #[error("the url of layer {digest} is not allowed by validation.manifests.urls")]
    LayerUrl {
        /// The layer.
        digest: Digest,
    },
    /// The registry is in read-only maintenance.
    #[error("the registry is read-only")]
    ReadOnly,
    /// Deletion is switched off.
    #[error("deletion is disabled by storage.delete.enabled")]
    DeleteDisabled,
    /// The grant does not hold the action: a mistake of the caller inside this program.
    #[error("the grant does not hold {0:?}")]
    NotGranted(Action),
    /// The body ended before its end.
    #[error(transparent)]
    Body(#[from] BodyFailure),
    /// The bytes' store failed.
    #[error("storage failed")]
    Storage(#[from] StorageError),
    /// The rows' store failed or refused.
    #[error("metadata failed")]
    Metadata(#[from] MetadataError),
    /// The session's stored hash state cannot be read: it was written by another version or damaged.
    #[error("the stored hash state of the upload cannot be read")]
    HashState,
    /// A task of the registry ended without an answer; only at shutdown or after a panic.
    #[error("the operation was cut off")]
    CutOff,
}
