//! Bytes: objects under keys that are never used twice.
//!
//! Knows no digest, no repository and no database. An object is created, appended to, sealed, read
//! and removed; nothing is ever renamed or overwritten. That an object exists means nothing to a
//! user: a row elsewhere decides what is visible.
//!
//! Read first: `object_store.rs` (the trait and its contract) and `filesystem/mod.rs` (how bytes
//! lie on a disk).

mod append_state;
mod disk;
mod error;
mod filesystem;
mod key;
mod memory;
mod object_store;
mod sealed;
mod store;
mod witness;

#[cfg(test)]
mod contract;

pub use append_state::{AppendState, AppendStateError};
pub use disk::{Condition, Disk};
pub use error::StorageError;
pub use filesystem::{FilesystemStore, ObjectSource, ObjectTarget, Sendable};
pub use key::Key;
pub use memory::MemoryStore;
pub use object_store::ObjectStore;
pub use sealed::Sealed;
pub use store::{Appender, ObjectReader, Store};
pub use witness::Witness;
