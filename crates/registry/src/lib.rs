//! The rules of the registry: uploads, blobs, mounts, manifests, tags, referrers, deletion.
//!
//! The only crate that uses both `storage` (bytes) and `metadata` (rows). It knows no HTTP, no SQL
//! and, but for [`backup`], no file. Every operation takes a [`Grant`](roadstead_oci::Grant), the proof that somebody
//! was allowed to ask for it. Read [`registry`](Registry) first, then `upload`, which is the one
//! operation with a life longer than a request.

pub mod backup;
mod blob;
mod body;
mod catalog;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hashing;
mod idle;
mod manifest;
mod mount;
mod referrer;
mod registry;
mod session;
mod settings;
mod sweep;
mod tag;
mod upload;
mod validation;

pub use blob::{Blob, BlobContent, BlobLocation};
pub use body::{BodyFailure, ByteSource, NoBody};
pub use error::Error;
pub use manifest::{DockerAccept, PushedManifest};
pub use referrer::ReferrersPage;
pub use registry::{Context, Registry};
pub use settings::{
    ChildPolicy, Mode, Platform, Purging, ReferencePolicy, Settings, UrlPolicy, Validation,
};
pub use upload::{Declared, Started, UploadStatus};

/// Rows and pages that pass through unchanged from the metadata layer.
pub use roadstead_metadata::{ManifestRow, ManifestSummary, MetadataError, Origin, Page, UploadId};

/// Failures and byte streams of the store, which the HTTP layer sees but never makes.
pub use roadstead_storage::{Condition, ObjectReader, Sendable, StorageError};
