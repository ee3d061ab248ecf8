//! When the write-ahead log is written back into the database.
//!
//! SQLite does so by itself after every 1,000 pages as far as readers allow. Here the log is also
//! cut to nothing: when the writer has nothing to do, and when it has grown all the same.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use roadstead_failpoint::failpoint;
use rusqlite::Connection;

use crate::error::MetadataError;

use super::connection::BUSY_TIMEOUT;
use super::error::ends_the_process;

pub(super) struct Checkpoint {
    log: PathBuf,
    batches: u32,
    due: bool,
}

impl Checkpoint {
    /// Of this log file.
    pub(super) fn of(log: PathBuf) -> Checkpoint {
        Checkpoint {
            log,
            batches: 0,
            due: true,
        }
    }

    /// Looks at the log now and then.
    pub(super) fn after_batch(&mut self, connection: &Connection) -> Result<(), MetadataError> {
        self.due = true;
        self.batches += 1;
        if self.batches < BATCHES {
            return Ok(());
        }
        self.batches = 0;
        if self.log_bytes() > LOG_MAX_BYTES {
            self.truncate(connection)
        } else {
            Ok(())
        }
    }

    /// Cuts the log if anything was written since, by this process or by a command beside it.
    pub(super) fn when_idle(&mut self, connection: &Connection) -> Result<(), MetadataError> {
        if self.due || self.log_bytes() > 0 {
            self.truncate(connection)
        } else {
            Ok(())
        }
    }

    fn log_bytes(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |log| log.len())
    }

    /// Only a failing disk is an error; readers that are in the way are waited for another time.
    fn truncate(&mut self, connection: &Connection) -> Result<(), MetadataError> {
        connection.busy_timeout(Duration::ZERO)?;
        failpoint!("metadata::checkpoint::begun");
        let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            row.get::<_, bool>(0).map(|busy| !busy)
        });
        failpoint!("metadata::checkpoint::done");
        connection.busy_timeout(BUSY_TIMEOUT)?;
        match done.map_err(MetadataError::from) {
            Ok(done) => self.due = !done,
            Err(error) if ends_the_process(&error) => return Err(error),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the metadata log could not be written back, it is tried again"
            ),
        }
        Ok(())
    }
}

/// Commits between two looks at the log's length.
const BATCHES: u32 = 256;
/// A longer log is cut even while there is work.
const LOG_MAX_BYTES: u64 = 64 << 20;
