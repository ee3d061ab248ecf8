//! Repositories: a row for each name, made by the first thing in it.

use roadstead_oci::RepositoryName;
use rusqlite::Connection;

use crate::change::Origin;
use crate::error::MetadataError;
use crate::journal::{Change, Entry};
use crate::rows::RepositoryId;

use super::journal;
use super::statement::{change, one, repository_id, sole};
use super::writer::Transaction;

/// The visible repository of a name.
#[derive(Clone, Copy)]
pub(super) struct Repository {
    pub(super) id: RepositoryId,
    /// Whether it ever had a manifest.
    pub(super) listed: bool,
}

pub(super) fn find(
    connection: &Connection,
    name: &RepositoryName,
) -> Result<Option<Repository>, MetadataError> {
    one(connection, FIND, [name.as_str()], |row| {
        Ok(Repository {
            id: repository_id(row, 0)?,
            listed: row.get(1)?,
        })
    })
}

/// Finds it or makes it.
pub(super) fn ensure(
    transaction: &Transaction<'_>,
    name: &RepositoryName,
    origin: &Origin,
) -> Result<Repository, MetadataError> {
    if let Some(found) = find(transaction.connection, name)? {
        return Ok(found);
    }
    let parameters = (name.as_str(), transaction.now());
    let id = one(transaction.connection, INSERT, parameters, |row| {
        repository_id(row, 0)
    })?;
    let id = sole(id)?;
    journal::write(
        transaction,
        &Entry::new(Change::RepositoryCreate, id, name),
        origin,
    )?;
    Ok(Repository { id, listed: false })
}

/// From now on it stands in the catalog.
pub(super) fn mark_listed(
    transaction: &Transaction<'_>,
    repository: Repository,
) -> Result<(), MetadataError> {
    if repository.listed {
        return Ok(());
    }
    let parameters = (repository.id.as_i64(), transaction.now());
    change(transaction.connection, MARK_LISTED, parameters).map(drop)
}

const FIND: &str = include_str!("../sql/sqlite/repository/find.sql");
const INSERT: &str = include_str!("../sql/sqlite/repository/insert.sql");
const MARK_LISTED: &str = include_str!("../sql/sqlite/repository/mark_listed.sql");
