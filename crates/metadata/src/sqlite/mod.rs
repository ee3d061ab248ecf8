//! The embedded database: SQLite in WAL mode, one writer, many readers.
//!
//! A change runs on the writer's thread and returns once it is on the disk. A short read by index
//! runs where it is asked for, on a connection of that thread, unless what it wants was read lately
//! and has not changed since (`cache.rs`); a long list runs on a thread that
//! may block, on one of a few connections kept for that. What each transaction does is in the file
//! of its subject, its statements are in `sql/sqlite`.

mod account;
mod account_store;
mod blob;
mod cache;
mod checkpoint;
mod connection;
mod copy;
mod engine;
mod error;
mod file;
mod journal;
mod list;
mod log_index;
mod log_mark;
mod manifest;
mod migrate;
mod readers;
mod repository;
mod secret;
mod statement;
mod tag;
mod trash;
mod upload;
mod writer;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::clock::{Clock, Horizons};
use crate::error::MetadataError;

pub use account_store::AccountStore;
use cache::Cache;
pub use copy::DatabaseCopy;
use file::Files;
use log_index::LogIndex;
use log_mark::LogMark;
use readers::Readers;
use writer::Writer;

/// Rows in a database file that this process alone uses. Clones share it.
#[derive(Clone)]
pub struct SqliteMetadata {
    shared: Arc<Shared>,
}

/// Dropped in this order: what waits is written, readers close, the index of the log and the lock
/// go.
struct Shared {
    writer: Writer,
    readers: Readers,
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    horizons: Horizons,
    _log_index: LogIndex,
    _lock: Arc<File>,
}

/// The oldest SQLite without the defect that loses commits when a log is reset (3.51.3).
const SQLITE_MIN: i32 = 3_051_003;

impl SqliteMetadata {
    /// Opens the database, or makes a new one if there is none and `objects_exist` does not say
    /// that there should be. Blocks for as long as a disk needs for that.
    ///
    /// # Errors
    /// [`MetadataError::InUse`], [`MetadataError::NoDatabase`], [`MetadataError::Damaged`],
    /// [`MetadataError::LogGone`],
    /// [`MetadataError::TooNew`], [`MetadataError::NotAFile`],
    /// [`MetadataError::NetworkFilesystem`], [`MetadataError::OldSqlite`], [`MetadataError::Io`];
    /// what is there was not changed then.
    pub fn open(
        path: &Path,
        objects_exist: bool,
        horizons: Horizons,
        clock: Arc<dyn Clock>,
    ) -> Result<SqliteMetadata, MetadataError> {
        let found = rusqlite::version_number();
        if found < SQLITE_MIN {
            return Err(MetadataError::OldSqlite {
                found,
                needed: SQLITE_MIN,
            });
        }
        let files = Files::resolve(path)?;
        let lock = Arc::new(files.lock()?);
        let exists = files.check()?;
        LogMark::check(&files, &lock, exists)?;
        if !exists {
            if objects_exist {
                return Err(MetadataError::NoDatabase {
                    path: files.database,
                });
            }
            files.create(connection::build)?;
        }
        let log_bytes = files.log_bytes();
        let unclean = log_bytes > 0;
        LogIndex::make_room(&files.database, log_bytes)?;
        let connection = connection::writer(&files)?;
        let log_index = LogIndex::hold(&files.database, log_bytes)?;
        let cache = Arc::new(Cache::new());
        let writer = Writer::start(
            connection,
            LogMark::set(&files, &lock),
            files.log.clone(),
            horizons,
            Arc::clone(&clock),
            Arc::clone(&cache),
        )?;
        let readers = Readers::of(files.database.clone());
        if unclean {
            readers.check_in_background()?;
        }
        let shared = Shared {
            writer,
            readers,
            cache,
            clock,
            horizons,
            _log_index: log_index,
            _lock: lock,
        };
        Ok(SqliteMetadata {
            shared: Arc::new(shared),
        })
    }

    /// Returns when a write to the log or a flush of it went wrong, else never.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn failed(&self) {
        self.shared.writer.failed().await;
    }

    /// A short read by index, right here.
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, MetadataError>,
    ) -> Result<T, MetadataError> {
        self.shared.readers.here(read)
    }

    /// A list of at most `rows`: right here if it is short.
    async fn read_list<T: Send + 'static>(
        &self,
        rows: u32,
        read: impl FnOnce(&Connection) -> Result<T, MetadataError> + Send + 'static,
    ) -> Result<T, MetadataError> {
        if rows <= SHORT_LIST {
            return self.read(read);
        }
        let shared = Arc::clone(&self.shared);
        self.shared
            .readers
            .elsewhere(move || shared.readers.pooled(read))
            .await
    }

    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&writer::Transaction<'_>) -> Result<T, MetadataError> + Send + 'static,
    ) -> Result<T, MetadataError> {
        self.shared.writer.write(change).await
    }
}

/// Rows of a list that is read where it is asked for: some tens of microseconds.
const SHORT_LIST: u32 = 100;

impl fmt::Debug for SqliteMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteMetadata").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
