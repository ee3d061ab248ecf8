//! What can go wrong with the rows, by kind. Engines translate their codes in one file each.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the metadata store did not do it.
///
/// Cheap to clone: a commit that fails fails for everybody who shared it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetadataError {
    /// The principal has as many upload sessions open as it may.
    #[error("the principal has {limit} upload sessions open, which is the most it may have")]
    TooManyUploads {
        /// The limit that is reached.
        limit: u64,
    },
    /// The disk that the database is on is full. Nothing changed; reads go on.
    #[error("the disk with the metadata database is full")]
    Full(#[source] Arc<rusqlite::Error>),
    /// The database cannot be written.
    #[error("the metadata database is read-only")]
    ReadOnly(#[source] Arc<rusqlite::Error>),
    /// Another process has the database.
    #[error(
        "another process is using the metadata database {path}: stop it, or give this one a \
         data directory of its own"
    )]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a newer release.
    #[error(
        "the metadata database has schema {found}, this release understands up to {supported}: \
         start the release that wrote it, or a newer one"
    )]
    TooNew {
        /// The schema in the file.
        found: i64,
        /// The newest that this release knows.
        supported: i64,
    },
    /// The file is no database of ours, or damaged. It is never replaced.
    #[error(
        "the metadata database {path} cannot be used: {reason}; it was left as it is: put back a \
         backup together with its -wal file, or move it away to start with an empty registry"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The log of changes that are not in the database file yet was deleted.
    #[error(
        "the metadata database was not closed when it was last used, and its log {path} is gone: \
         the newest changes may be lost; put the log back; if another program has merged it, or to go \
         on without it, remove {lock}"
    )]
    LogGone {
        /// The log.
        path: PathBuf,
        /// The file that says that there must be one.
        lock: PathBuf,
    },
    /// A row holds what no release writes.
    #[error("the metadata database holds an unreadable value: {what}")]
    Unreadable {
        /// Which kind of value.
        what: &'static str,
    },
    /// There is a database where a copy of one was to be put.
    #[error("there is a metadata database at {path} already")]
    Exists {
        /// The database.
        path: PathBuf,
    },
    /// There is no database where one is expected.
    #[error(
        "there is no metadata database at {path}, but there are objects stored: put the database \
         back (from a backup), or move the objects away to start with an empty registry"
    )]
    NoDatabase {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is no database to look into.
    #[error("there is no metadata database at {path} yet: start the registry once, which makes it")]
    NotYet {
        /// Where it will be.
        path: PathBuf,
    },
    /// The database was written by an older release, and only a start brings it up to date.
    #[error(
        "the metadata database has schema {found}, this release needs {needed}: start the registry \
         with this release first, which brings the database up to date"
    )]
    TooOld {
        /// The schema in the file.
        found: i64,
        /// The one that this release writes.
        needed: i64,
    },
    /// The database is on a file system that does not keep locks and flushes.
    #[error(
        "the metadata database {path} is on a network file system ({kind}), which loses data: \
         set metadata.sqlite.path to a local disk"
    )]
    NetworkFilesystem {
        /// The database.
        path: PathBuf,
        /// Which file system.
        kind: &'static str,
    },
    /// The database is a symbolic link or no plain file.
    #[error("the metadata database {path} must be a plain file, not a link or anything else")]
    NotAFile {
        /// The database.
        path: PathBuf,
    },
    /// The SQLite that this binary was built with has a known data-loss defect.
    #[error("SQLite {found} is too old, at least {needed} is needed")]
    OldSqlite {
        /// Version number as SQLite counts (3051003 is 3.51.3).
        found: i32,
        /// The oldest that is accepted.
        needed: i32,
    },
    /// The file system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The engine failed. On the write path nothing of the transaction is visible.
    #[error("the metadata database failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// The writer has stopped, at shutdown or after a failure that it reported.
    #[error("the metadata database takes no more writes")]
    Stopped,
    /// A caller broke the contract; nothing changed.
    #[error("the metadata store was called wrongly: {0}")]
    Misuse(&'static str),
}
