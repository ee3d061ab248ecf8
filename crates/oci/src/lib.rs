//! The vocabulary of the registry: names, digests, references, manifests, ranges, codes, grants.
//!
//! Pure: no IO, no async, nothing of ours below it. Every type is valid by construction: what holds
//! one need not check it again. Read [`digest`](Digest) and [`manifest`](Manifest) first.

mod action;
mod descriptor;
mod digest;
mod error_code;
mod fields;
mod grant;
mod manifest;
mod media_type;
mod range;
mod reference;
mod repository_name;
mod strict_json;
mod tag;

pub use action::{Action, ActionSet};
pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError};
pub use error_code::ErrorCode;
pub use grant::{CatalogGrant, Grant, PrincipalName};
pub use manifest::{Manifest, ManifestError, ManifestKind};
pub use media_type::{MEDIA_TYPE_BYTES_MAX, MediaType, MediaTypeError};
pub use range::{
    ContentRange, ContentRangeError, PageSize, PageSizeError, RANGES_MAX, Ranges, Requested,
};
pub use reference::{Reference, ReferenceError};
pub use repository_name::{NAME_BYTES_MAX, NameError, RepositoryName};
pub use tag::{TAG_BYTES_MAX, Tag, TagError};
