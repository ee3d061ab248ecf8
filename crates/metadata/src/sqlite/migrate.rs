//! The schema's history: numbered files, applied in order, never edited once released.

use rusqlite::Connection;

use crate::error::MetadataError;

/// The schema that this release writes.
pub(super) const SUPPORTED: i64 = MIGRATIONS.len() as i64;

/// The number of the schema in the file; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> Result<i64, MetadataError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Brings the schema up to date, each step in a transaction of its own.
///
/// # Errors
/// [`MetadataError::TooNew`], before anything is changed.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MetadataError> {
    let found = version(connection)?;
    if found > SUPPORTED {
        return Err(MetadataError::TooNew {
            found,
            supported: SUPPORTED,
        });
    }
    for (number, sql) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The first schema in which a registry has an id.
pub(super) const INSTANCE: i64 = 2;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_registry.sql"),
    include_str!("../../migrations/sqlite/0002_instance.sql"),
    include_str!("../../migrations/sqlite/0003_access.sql"),
];
