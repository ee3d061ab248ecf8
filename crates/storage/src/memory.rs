//! Objects in memory: for tests, and for a registry that may forget everything.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::append_state::AppendState;
use crate::error::StorageError;
use crate::key::Key;
use crate::object_store::ObjectStore;
use crate::sealed::Sealed;
use crate::store::{Appender, ObjectReader};
use crate::witness::Witness;

/// Bytes of one chunk of a read at most.
const CHUNK_BYTES: usize = 256 << 10;

/// The store. Clones share the same objects.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Objects>>);

/// By folder and key, which is the order of lists.
type Objects = BTreeMap<(u8, Key), Object>;

#[derive(Debug)]
enum Object {
    Growing(BytesMut),
    Sealed(Bytes),
}

impl Object {
    fn len(&self) -> usize {
        match self {
            Self::Growing(bytes) => bytes.len(),
            Self::Sealed(bytes) => bytes.len(),
        }
    }
}

impl MemoryStore {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(key: Key) -> (u8, Key) {
    (key.shard(), key)
}

/// An object that grows.
#[derive(Debug)]
pub struct MemoryAppender {
    store: MemoryStore,
    key: Key,
    offset: u64,
    witness: Box<dyn Witness>,
}

impl MemoryAppender {
    pub(crate) fn write(&mut self, bytes: &Bytes) {
        self.witness.see(bytes);
        // One that was removed meanwhile takes nothing, as a file without a name.
        if let Some(Object::Growing(grown)) = self.store.objects().get_mut(&place(self.key)) {
            grown.extend_from_slice(bytes);
        }
        self.offset += bytes.len() as u64;
    }

    pub(crate) fn state(&self) -> AppendState {
        AppendState::at(self.offset)
    }
}

/// A range that is read.
#[derive(Debug)]
pub struct MemoryReader(Bytes);

impl MemoryReader {
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let length = self.0.len().min(CHUNK_BYTES);
        (length > 0).then(|| self.0.split_to(length))
    }
}

impl ObjectStore for MemoryStore {
    async fn appender(
        &self,
        key: Key,
        state: &AppendState,
        witness: Box<dyn Witness>,
    ) -> Result<Appender, StorageError> {
        let mut objects = self.objects();
        if state.offset() == 0 {
            objects.insert(place(key), Object::Growing(BytesMut::new()));
        }
        let offset = usize::try_from(state.offset()).unwrap_or(usize::MAX);
        match objects.get_mut(&place(key)) {
            None => return Err(StorageError::NotFound { key }),
            Some(object) if object.len() < offset => {
                let reason = "it has lost bytes";
                return Err(StorageError::Damaged { key, reason });
            }
            Some(Object::Growing(bytes)) => bytes.truncate(offset),
            Some(object @ Object::Sealed(_)) => {
                // A seal whose row was never written: the session goes on.
                if let Object::Sealed(bytes) = object {
                    *object = Object::Growing(BytesMut::from(&bytes[..offset]));
                }
            }
        }
        drop(objects);
        let (store, offset) = (self.clone(), state.offset());
        Ok(Appender::Memory(MemoryAppender {
            store,
            key,
            offset,
            witness,
        }))
    }

    async fn seal(&self, key: Key, state: &AppendState) -> Result<Sealed, StorageError> {
        let mut objects = self.objects();
        let Some(object) = objects.get_mut(&place(key)) else {
            return Err(StorageError::NotFound { key });
        };
        let offset = usize::try_from(state.offset()).unwrap_or(usize::MAX);
        if object.len() < offset {
            let reason = "it has lost bytes";
            return Err(StorageError::Damaged { key, reason });
        }
        if let Object::Growing(bytes) = object {
            bytes.truncate(offset);
            *object = Object::Sealed(std::mem::take(bytes).freeze());
        }
        Ok(Sealed::new(key, state.offset()))
    }

    async fn open(
        &self,
        key: Key,
        range: Range<u64>,
        size: u64,
    ) -> Result<ObjectReader, StorageError> {
        let bytes = match self.objects().get(&place(key)) {
            None => return Err(StorageError::NotFound { key }),
            Some(Object::Sealed(bytes)) if bytes.len() as u64 == size => bytes.clone(),
            Some(_) => {
                let reason = "it has another length than was sealed";
                return Err(StorageError::Damaged { key, reason });
            }
        };
        let at = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let (start, end) = (at(range.start), at(range.end));
        Ok(ObjectReader::Memory(MemoryReader(
            bytes.slice(start.min(end)..end),
        )))
    }

    async fn length(&self, key: Key) -> Result<Option<u64>, StorageError> {
        Ok(self
            .objects()
            .get(&place(key))
            .map(|object| object.len() as u64))
    }

    async fn delete(&self, key: Key) -> Result<(), StorageError> {
        self.objects().remove(&place(key));
        Ok(())
    }

    async fn url(&self, _: Key, _: Duration) -> Result<Option<String>, StorageError> {
        Ok(None)
    }

    async fn list(&self, after: Option<Key>, limit: usize) -> Result<Vec<Key>, StorageError> {
        let objects = self.objects();
        let rest = objects
            .keys()
            .filter(|at| after.is_none_or(|after| **at > place(after)));
        Ok(rest.map(|(_, key)| *key).take(limit).collect())
    }

    async fn probe(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
