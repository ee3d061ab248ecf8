//! The trait and what it promises.

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use crate::append_state::AppendState;
use crate::error::StorageError;
use crate::key::Key;
use crate::sealed::Sealed;
use crate::store::{Appender, ObjectReader};
use crate::witness::Witness;

/// A store of objects.
///
/// For every method:
/// * A key names one object for ever. Nothing is renamed, nothing that is sealed is written to.
/// * What is not sealed need not survive, and need not be readable.
/// * One appender an object at a time; the caller sees to that.
/// * Cancel safety: a future that is dropped leaves the object with bytes beyond the caller's state
///   at most, which the next appender cuts off.
pub trait ObjectStore: Send + Sync {
    /// Opens an object for appending behind `state`; at the start it is created. Bytes behind the
    /// state, of an attempt that was cut off, are removed. The witness has seen all bytes that came
    /// when [`Appender::flush_durable`] or [`Appender::finish`] returns, and may have seen some that
    /// could not be written.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where the object has fewer bytes than the state says,
    /// [`StorageError::NotFound`] where it is gone.
    fn appender(
        &self,
        key: Key,
        state: &AppendState,
        witness: Box<dyn Witness>,
    ) -> impl Future<Output = Result<Appender, StorageError>> + Send;

    /// Flushes an object and its name to stable storage: what is returned survives a power loss.
    /// Bytes behind the state are removed first.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where the object has fewer bytes than the state says,
    /// [`StorageError::NotFound`] where it is gone. After [`StorageError::Flush`] the bytes are lost
    /// whatever a later read of them says: the object must be given up.
    fn seal(
        &self,
        key: Key,
        state: &AppendState,
    ) -> impl Future<Output = Result<Sealed, StorageError>> + Send;

    /// Opens a range of a sealed object that is `size` bytes long.
    ///
    /// # Errors
    /// [`StorageError::NotFound`]; [`StorageError::Damaged`] where its length is not `size`.
    fn open(
        &self,
        key: Key,
        range: Range<u64>,
        size: u64,
    ) -> impl Future<Output = Result<ObjectReader, StorageError>> + Send;

    /// The bytes that an object has now, sealed or not; `None` where there is none.
    ///
    /// # Errors
    /// Those of the system.
    fn length(&self, key: Key) -> impl Future<Output = Result<Option<u64>, StorageError>> + Send;

    /// Removes an object. One that is not there is removed already.
    ///
    /// # Errors
    /// Those of the system.
    fn delete(&self, key: Key) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// A link with which a client can read the object by itself for `lifetime`, from a store that
    /// gives such links.
    ///
    /// # Errors
    /// Those of the store.
    fn url(
        &self,
        key: Key,
        lifetime: Duration,
    ) -> impl Future<Output = Result<Option<String>, StorageError>> + Send;

    /// Keys of objects after `after`, at most `limit`, in an order that is the same each time: by
    /// folder, then by key. For maintenance; never on the way of a request.
    ///
    /// # Errors
    /// Those of the system.
    fn list(
        &self,
        after: Option<Key>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Key>, StorageError>> + Send;

    /// Whether the store can be used: what a health check asks. Writes nothing, so that a full
    /// store that still serves counts as healthy.
    ///
    /// # Errors
    /// Why it cannot.
    fn probe(&self) -> impl Future<Output = Result<(), StorageError>> + Send;
}
