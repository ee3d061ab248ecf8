//! The proof that an object is on stable storage.

use crate::key::Key;

/// An object whose bytes and name were flushed. Only a store can make one, after the flush: what
/// takes a `Sealed` cannot be called too early.
#[derive(Debug)]
pub struct Sealed {
    key: Key,
    size_bytes: u64,
}

impl Sealed {
    pub(crate) const fn new(key: Key, size_bytes: u64) -> Self {
        Self { key, size_bytes }
    }

    /// The object.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}
