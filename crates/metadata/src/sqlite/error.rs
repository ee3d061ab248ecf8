//! SQLite's codes as kinds of the crate. The only place that looks at them.

use std::sync::Arc;

use rusqlite::{Error, ErrorCode, ffi};
use rustix::io::Errno;

use crate::error::MetadataError;

impl From<Error> for MetadataError {
    fn from(error: Error) -> MetadataError {
        if error.sqlite_extended_code() == Some(ffi::SQLITE_IOERR_SHMSIZE) {
            // The shared index could not grow: there is no room for it.
            return MetadataError::Full(Arc::new(error));
        }
        if error.sqlite_extended_code() == Some(ffi::SQLITE_IOERR_WRITE) {
            return of_write(error);
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => MetadataError::Full(Arc::new(error)),
            Some(ErrorCode::ReadOnly) => MetadataError::ReadOnly(Arc::new(error)),
            _ => MetadataError::Sqlite(Arc::new(error)),
        }
    }
}

/// SQLite itself tells only ENOSPC from other failed writes. A quota, the largest file that this
/// process may write, and a file system that has become read-only refuse a write as cleanly: nothing
/// of it is in the log, and nothing is in doubt. This runs on the thread of the write, whose last
/// error the system still knows.
fn of_write(error: Error) -> MetadataError {
    match Errno::from_io_error(&std::io::Error::last_os_error()) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => MetadataError::Full(Arc::new(error)),
        Some(Errno::ROFS) => MetadataError::ReadOnly(Arc::new(error)),
        _ => MetadataError::Sqlite(Arc::new(error)),
    }
}

/// Whether an error inside a transaction means that the disk lies about what it holds, so that
/// nothing may be acknowledged any more.
pub(super) fn ends_the_process(error: &MetadataError) -> bool {
    code(error) == Some(ErrorCode::SystemIoFailure)
}

/// Whether an error of a commit does so: everything but what leaves the log as it was.
pub(super) fn commit_ends_the_process(error: &MetadataError) -> bool {
    match error {
        MetadataError::Sqlite(_) => code(error) != Some(ErrorCode::DatabaseBusy),
        _ => false,
    }
}

/// Whether the file is no database, or a damaged one.
pub(super) fn is_damage(error: &MetadataError) -> bool {
    matches!(
        code(error),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Whether a row with that key is there already.
pub(super) fn is_duplicate(error: &MetadataError) -> bool {
    let MetadataError::Sqlite(error) = error else {
        return false;
    };
    let code = error.sqlite_extended_code();
    code == Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY) || code == Some(ffi::SQLITE_CONSTRAINT_UNIQUE)
}

fn code(error: &MetadataError) -> Option<ErrorCode> {
    match error {
        MetadataError::Sqlite(error) => error.sqlite_error_code(),
        _ => None,
    }
}

trait ExtendedCode {
    fn sqlite_extended_code(&self) -> Option<i32>;
}

impl ExtendedCode for Error {
    fn sqlite_extended_code(&self) -> Option<i32> {
        self.sqlite_error().map(|error| error.extended_code)
    }
}
