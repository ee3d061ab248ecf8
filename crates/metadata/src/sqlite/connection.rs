//! Connections and their settings.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns. Foreign keys are on for
//! every connection, memory maps are off (a damaged disk is an error, not a signal), the schema is
//! not trusted to call functions.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::error::MetadataError;

use super::error::is_damage;
use super::file::{APPLICATION_ID, Files};
use super::log_index::LogIndex;
use super::migrate::{self, migrate};

/// How long a connection waits for a lock of another program, a backup for example.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a new database in WAL mode with the newest schema.
pub(super) fn build(path: &Path) -> Result<(), MetadataError> {
    let mut connection = Connection::open_with_flags(path, WRITE)?;
    settings(&connection)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    LogIndex::make_room(path, 0)?;
    wal(&connection)?;
    migrate(&mut connection)?;
    connection.close().map_err(|(_, error)| error.into())
}

/// The writer's connection to a database that is there, brought up to date.
pub(super) fn writer(files: &Files) -> Result<Connection, MetadataError> {
    let open = || {
        let mut connection = Connection::open_with_flags(&files.database, WRITE)?;
        settings(&connection)?;
        if migrate::version(&connection)? == 0 {
            return Err(files.damaged("it has no tables of this program"));
        }
        migrate(&mut connection)?;
        wal(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
        Ok(connection)
    };
    open().map_err(|error| {
        if is_damage(&error) {
            files.damaged("its pages are damaged")
        } else {
            error
        }
    })
}

/// A connection that makes a short change to a database whose writer may be another process. With
/// `keep_log`, closing it leaves the log as it is: it may not be this process's to remove.
pub(super) fn visitor(files: &Files, keep_log: bool) -> Result<Connection, MetadataError> {
    let connection = Connection::open_with_flags(&files.database, WRITE)?;
    settings(&connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep_log)?;
    let (found, needed) = (migrate::version(&connection)?, migrate::SUPPORTED);
    match found {
        0 => return Err(files.damaged("it has no tables of this program")),
        _ if found > needed => {
            let supported = needed;
            return Err(MetadataError::TooNew { found, supported });
        }
        _ if found < needed => return Err(MetadataError::TooOld { found, needed }),
        _ => {}
    }
    wal(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// A connection that only reads. There must be a writer's already.
pub(super) fn reader(path: &Path) -> Result<Connection, MetadataError> {
    let connection = Connection::open_with_flags(path, READ)?;
    settings(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection to copy the whole database over: it writes nothing, but not here either.
pub(super) fn source(path: &Path) -> Result<Connection, MetadataError> {
    let connection = Connection::open_with_flags(path, READ)?;
    settings(&connection)?;
    Ok(connection)
}

/// A connection to a file that nobody else uses, whose flush comes later: a copy that is made.
pub(super) fn alone(path: &Path) -> Result<Connection, MetadataError> {
    let connection = Connection::open_with_flags(path, WRITE)?;
    settings(&connection)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
    Ok(connection)
}

fn settings(connection: &Connection) -> Result<(), MetadataError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Plans do not depend on parameters. Without it SQLite compiles a statement anew each time it
    // is bound again, wherever a partial index had to be thought of: that is most of a read's cost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(())
}

/// Switches to WAL, or finds that it is on.
fn wal(connection: &Connection) -> Result<(), MetadataError> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" {
        Ok(())
    } else {
        Err(MetadataError::Unreadable {
            what: "a journal mode other than WAL",
        })
    }
}

const WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX)
    .union(OpenFlags::SQLITE_OPEN_NOFOLLOW);
const READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX)
    .union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

/// Prepared statements that a connection keeps; above the number there are.
pub(super) const STATEMENTS: usize = 96;
/// Pages in the log after which SQLite writes them back by itself: 4 MiB.
const AUTOCHECKPOINT_PAGES: i64 = 1_000;
/// What is left of the log after it was used up once.
const LOG_KEPT_BYTES: i64 = 16 << 20;
