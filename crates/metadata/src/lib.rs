//! The rows of the registry: which repository has which blob, manifest and tag, which uploads are
//! open, which objects are rubbish, who has an account, and the journal of all that changed.
//!
//! Knows SQL. Knows no bytes of blobs (an object is only a key here), no HTTP and no permission.
//! Visibility is a row: a thing exists for users exactly when the transaction that wrote its row is
//! committed.
//!
//! Read first: `metadata.rs` (the trait, one method a transaction, its contract) and
//! `sqlite/writer.rs` (how many transactions share one flush).

mod account;
mod change;
mod clock;
mod error;
mod journal;
mod memory;
mod meta;
mod metadata;
mod page;
mod rows;
mod secret;
mod sqlite;

#[cfg(test)]
mod contract;

pub use account::{
    AccountChange, AccountKind, AccountRow, Accounts, NewAccount, PasswordHash, Standing,
};
pub use change::{
    Advance, Edge, FinishUpload, MountBlob, NewManifest, NewUpload, Origin, Place, Progress,
};
pub use clock::{Clock, Horizons, ManualClock, SystemClock, Timestamp};
pub use error::MetadataError;
pub use journal::{Change, JournalRow};
pub use memory::MemoryMetadata;
pub use meta::Meta;
pub use metadata::{DeleteBlob, Finish, Metadata, PutManifest};
pub use page::Page;
pub use rows::{
    BlobRow, ManifestRow, ManifestSummary, Referrer, RepositoryId, StoredObject, UploadId,
    UploadRow,
};
pub use secret::{SECRET_BYTES_MAX, SECRET_NAME_BYTES_MAX, SecretRow, Secrets};
pub use sqlite::{AccountStore, DatabaseCopy, SqliteMetadata};
