//! The store that was configured, chosen once, without a boxed future on the way of a request.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::append_state::AppendState;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::filesystem::{FileAppender, FileReader, FilesystemStore, Sendable};
use crate::key::Key;
use crate::memory::{MemoryAppender, MemoryReader, MemoryStore};
use crate::object_store::ObjectStore;
use crate::sealed::Sealed;
use crate::witness::Witness;

/// A store. Clones share the same objects.
#[derive(Debug, Clone)]
pub enum Store {
    /// A directory.
    Filesystem(FilesystemStore),
    /// Memory of this process.
    Memory(MemoryStore),
}

/// An object that is being written to.
#[derive(Debug)]
pub enum Appender {
    /// In a directory.
    Filesystem(FileAppender),
    /// In memory.
    Memory(MemoryAppender),
}

/// The bytes of a range, chunk by chunk, with a fixed amount of memory.
#[derive(Debug)]
pub enum ObjectReader {
    /// From a directory.
    Filesystem(FileReader),
    /// From memory.
    Memory(MemoryReader),
}

impl Appender {
    /// Adds bytes. They are received, not durable, and may be written later.
    ///
    /// # Errors
    /// Those of this write or of an earlier one; after one of them the appender is of no more use.
    ///
    /// # Cancel safety
    /// Dropped, the bytes may or may not have been taken: give the appender up.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        match self {
            Self::Filesystem(appender) => appender.write(bytes).await,
            Self::Memory(appender) => {
                appender.write(&bytes);
                Ok(())
            }
        }
    }

    /// Flushes everything written so far to stable storage, and goes on.
    ///
    /// # Errors
    /// As [`Appender::write`]; what was not flushed is lost.
    pub async fn flush_durable(&mut self) -> Result<AppendState, StorageError> {
        match self {
            Self::Filesystem(appender) => appender.flush_durable().await,
            Self::Memory(appender) => Ok(appender.state()),
        }
    }

    /// Writes everything out, so that this boot of the system keeps it, and returns where the next
    /// appender goes on.
    ///
    /// # Errors
    /// As [`Appender::write`].
    pub async fn finish(self) -> Result<AppendState, StorageError> {
        match self {
            Self::Filesystem(appender) => appender.finish().await,
            Self::Memory(appender) => Ok(appender.state()),
        }
    }
}

impl ObjectReader {
    /// The next bytes, `None` behind the last. After an error nothing more comes.
    ///
    /// # Cancel safety
    /// Dropped, no bytes are lost.
    pub async fn next(&mut self) -> Option<Result<Bytes, StorageError>> {
        match self {
            Self::Filesystem(reader) => reader.next().await,
            Self::Memory(reader) => reader.next().map(Ok),
        }
    }

    /// The object, if the kernel can send it by itself: then [`ObjectReader::next_unread`] gives
    /// bytes that [`Sendable::send`] takes.
    pub fn sendable(&mut self) -> Option<Sendable> {
        match self {
            Self::Filesystem(reader) => reader.sendable(),
            Self::Memory(_) => None,
        }
    }

    /// As [`ObjectReader::next`], but where the object is sendable its bytes are not read: they are
    /// to be sent by [`Sendable::send`]. Up to 1 MiB at a time.
    ///
    /// # Cancel safety
    /// Dropped, no bytes are lost.
    pub async fn next_unread(&mut self) -> Option<Result<Bytes, StorageError>> {
        match self {
            Self::Filesystem(reader) => reader.next_unread().await,
            Self::Memory(reader) => reader.next().map(Ok),
        }
    }
}

impl Store {
    /// The disk that the objects are on.
    #[must_use]
    pub fn disk(&self) -> Arc<Disk> {
        match self {
            Self::Filesystem(store) => store.disk(),
            Self::Memory(_) => Arc::new(Disk::boundless()),
        }
    }
}

macro_rules! each {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Store::Filesystem($store) => $call.await,
            Store::Memory($store) => $call.await,
        }
    };
}

impl ObjectStore for Store {
    async fn appender(
        &self,
        key: Key,
        state: &AppendState,
        witness: Box<dyn Witness>,
    ) -> Result<Appender, StorageError> {
        each!(self, store => store.appender(key, state, witness))
    }

    async fn seal(&self, key: Key, state: &AppendState) -> Result<Sealed, StorageError> {
        each!(self, store => store.seal(key, state))
    }

    async fn open(
        &self,
        key: Key,
        range: Range<u64>,
        size: u64,
    ) -> Result<ObjectReader, StorageError> {
        each!(self, store => store.open(key, range, size))
    }

    async fn length(&self, key: Key) -> Result<Option<u64>, StorageError> {
        each!(self, store => store.length(key))
    }

    async fn delete(&self, key: Key) -> Result<(), StorageError> {
        each!(self, store => store.delete(key))
    }

    async fn url(&self, key: Key, lifetime: Duration) -> Result<Option<String>, StorageError> {
        each!(self, store => store.url(key, lifetime))
    }

    async fn list(&self, after: Option<Key>, limit: usize) -> Result<Vec<Key>, StorageError> {
        each!(self, store => store.list(after, limit))
    }

    async fn probe(&self) -> Result<(), StorageError> {
        each!(self, store => store.probe())
    }
}
