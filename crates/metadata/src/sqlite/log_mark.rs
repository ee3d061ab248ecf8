//! A mark that says that the database is not whole without its log, the file `-wal`.
//!
//! SQLite opens a database whose log was deleted as if the changes in it had never been made. So
//! while this process writes, the lock's file holds a mark: set when the log is known to be there
//! for good, and taken away before the last connection closes, which moves the log's content into
//! the database and deletes it. A start that finds the mark and no log was robbed of it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::error::MetadataError;

use super::file::{Files, io_error};

/// The mark of a database that is open. Drop it before the connection that writes.
#[derive(Debug)]
pub(super) struct LogMark {
    lock: Option<Arc<File>>,
}

const SET: &[u8] = b"log\n";
const NOT_SET: &[u8] = b"---\n";

impl LogMark {
    /// Refuses a database that needs a log which is not there, and takes the mark of an unclean stop
    /// away: a start that fails later may close the database and with that delete the log. Before it
    /// is opened.
    ///
    /// # Errors
    /// [`MetadataError::LogGone`]; [`MetadataError::Io`] where the lock's file cannot be read.
    pub(super) fn check(files: &Files, lock: &File, exists: bool) -> Result<(), MetadataError> {
        let mut mark = [0; SET.len()];
        let read = lock
            .read_at(&mut mark, 0)
            .map_err(io_error("read the lock of", &files.database))?;
        if mark[..read] != *SET {
            return Ok(());
        }
        if exists && !files.has_log() {
            return Err(MetadataError::LogGone {
                path: files.log.clone(),
                lock: files.lock_path(),
            });
        }
        // A full disk is no reason not to serve.
        if let Err(error) = write(lock, NOT_SET) {
            tracing::warn!(%error, "the metadata database's lock cannot be written");
        }
        Ok(())
    }

    /// Sets the mark, once the database is open. Where it cannot be set, which a full disk does,
    /// the registry serves without it.
    pub(super) fn set(files: &Files, lock: &Arc<File>) -> Self {
        let set = || {
            let directory = files.database.parent().unwrap_or(Path::new("/"));
            File::open(directory)?.sync_all()?;
            write(lock, SET)
        };
        if !files.has_log() {
            return Self { lock: None };
        }
        if let Err(error) = set() {
            tracing::warn!(
                %error,
                "the metadata database's lock cannot be written: a -wal file that is deleted after \
                 an unclean stop would not be missed"
            );
        }
        // Taken away in either case: some of it may have been written.
        Self {
            lock: Some(Arc::clone(lock)),
        }
    }
}

impl Drop for LogMark {
    fn drop(&mut self) {
        let Some(lock) = &self.lock else {
            return;
        };
        if let Err(error) = write(lock, NOT_SET) {
            tracing::error!(
                %error,
                "the metadata database's lock cannot be written: the next start may miss a log \
                 that is not needed any more"
            );
        }
    }
}

fn write(lock: &File, mark: &[u8]) -> std::io::Result<()> {
    lock.write_all_at(mark, 0)?;
    lock.sync_data()
}
