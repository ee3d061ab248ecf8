//! Upload sessions.

use roadstead_oci::{Algorithm, RepositoryName};
use rusqlite::Connection;
use uuid::Uuid;

use crate::change::{Advance, NewUpload, Origin, Progress};
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::rows::{RepositoryId, UploadId, UploadRow};

use super::error::is_duplicate;
use super::repository;
use super::statement::{algorithm, bytes, change, int, many, one, repository_id, size, time, uuid};
use super::trash::{self, Seen};
use super::writer::Transaction;

/// A new session, on its way to the writer's thread.
pub(super) struct Begin {
    repository: RepositoryName,
    id: UploadId,
    key: Uuid,
    principal: String,
    algorithm: Algorithm,
    start: Progress,
    boot_id: String,
    expires_at: Timestamp,
    sessions_max: u64,
}

impl Begin {
    pub(super) fn of(new: NewUpload<'_>) -> Begin {
        Begin {
            repository: new.repository.clone(),
            id: new.id,
            key: new.key,
            principal: new.principal.to_owned(),
            algorithm: new.algorithm,
            start: new.start,
            boot_id: new.boot_id.to_owned(),
            expires_at: new.expires_at,
            sessions_max: new.sessions_max,
        }
    }
}

pub(super) fn begin(
    transaction: &Transaction<'_>,
    new: &Begin,
) -> Result<RepositoryId, MetadataError> {
    let connection = transaction.connection;
    let open = one(connection, TALLY, [&new.principal], |row| size(row, 0))?;
    if open.is_some_and(|open| open >= new.sessions_max) {
        return Err(MetadataError::TooManyUploads {
            limit: new.sessions_max,
        });
    }
    let origin = Origin {
        actor: new.principal.clone(),
        ..Origin::default()
    };
    let repository = repository::ensure(transaction, &new.repository, &origin)?;
    let parameters = (
        id_bytes(&new.id),
        new.key.as_bytes().as_slice(),
        repository.id.as_i64(),
        &new.principal,
        new.algorithm.as_str(),
        &new.boot_id,
        new.expires_at.as_micros(),
        int(new.start.offset)?,
        &new.start.hash_state[..],
        &new.start.store_state[..],
    );
    change(connection, INSERT, parameters).map_err(|error| {
        if is_duplicate(&error) {
            MetadataError::Misuse("another open upload has that id or that key")
        } else {
            error
        }
    })?;
    Ok(repository.id)
}

pub(super) fn read(
    connection: &Connection,
    repository: &RepositoryName,
    id: UploadId,
) -> Result<Option<UploadRow>, MetadataError> {
    one(
        connection,
        READ,
        (id_bytes(&id), repository.as_str()),
        |row| {
            let progress = |first: usize| -> Result<Progress, MetadataError> {
                Ok(Progress {
                    offset: size(row, first)?,
                    hash_state: bytes(row, first + 1)?,
                    store_state: bytes(row, first + 2)?,
                })
            };
            Ok(UploadRow {
                id,
                key: uuid(row, 0)?,
                repository: repository_id(row, 1)?,
                principal: row.get(2)?,
                algorithm: algorithm(row, 3)?,
                boot_id: row.get(4)?,
                fence: size(row, 5)?,
                expires_at: time(row, 6)?,
                progress: progress(7)?,
                durable: progress(10)?,
            })
        },
    )
}

/// What ending a session needs of it.
pub(super) struct Open {
    pub(super) key: Uuid,
    pub(super) fence: u64,
}

pub(super) fn find(
    connection: &Connection,
    repository: &RepositoryName,
    id: UploadId,
) -> Result<Option<Open>, MetadataError> {
    one(
        connection,
        FIND,
        (id_bytes(&id), repository.as_str()),
        |row| {
            Ok(Open {
                key: uuid(row, 0)?,
                fence: size(row, 2)?,
            })
        },
    )
}

pub(super) fn advance(
    transaction: &Transaction<'_>,
    id: UploadId,
    fence: u64,
    advance: &Advance,
) -> Result<Option<u64>, MetadataError> {
    let connection = transaction.connection;
    let Ok(fence) = i64::try_from(fence) else {
        // No step ever had such a fence.
        return Ok(None);
    };
    let id = id_bytes(&id);
    let expires_at = advance.expires_at.as_micros();
    let offset = int(advance.progress.offset)?;
    let hash_state = &advance.progress.hash_state[..];
    let store_state = &advance.progress.store_state[..];
    match &advance.durable {
        None => {
            let parameters = (
                &id,
                fence,
                &advance.boot_id,
                expires_at,
                offset,
                hash_state,
                store_state,
            );
            one(connection, ADVANCE, parameters, |row| size(row, 0))
        }
        Some(durable) => {
            let parameters = (
                &id,
                fence,
                &advance.boot_id,
                expires_at,
                offset,
                hash_state,
                store_state,
                int(durable.offset)?,
                &durable.hash_state[..],
                &durable.store_state[..],
            );
            one(connection, ADVANCE_DURABLE, parameters, |row| size(row, 0))
        }
    }
}

pub(super) fn cancel(
    transaction: &Transaction<'_>,
    repository: &RepositoryName,
    id: UploadId,
) -> Result<Option<Uuid>, MetadataError> {
    let Some(open) = find(transaction.connection, repository, id)? else {
        return Ok(None);
    };
    delete(transaction, id)?;
    trash::insert(transaction, open.key, Seen::Never)?;
    Ok(Some(open.key))
}

/// Removes the row; the key is the caller's to place (I5).
pub(super) fn delete(transaction: &Transaction<'_>, id: UploadId) -> Result<(), MetadataError> {
    change(transaction.connection, DELETE, [id_bytes(&id)]).map(drop)
}

pub(super) fn expired(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(UploadId, Uuid)>, MetadataError> {
    many(connection, EXPIRED, (now.as_micros(), limit), |row| {
        Ok((UploadId::from_uuid(uuid(row, 0)?), uuid(row, 1)?))
    })
}

pub(super) fn expire(
    transaction: &Transaction<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Uuid>, MetadataError> {
    let mut keys = Vec::new();
    for (id, key) in expired(transaction.connection, now, limit)? {
        delete(transaction, id)?;
        trash::insert(transaction, key, Seen::Never)?;
        keys.push(key);
    }
    Ok(keys)
}

fn id_bytes(id: &UploadId) -> [u8; 16] {
    id.as_uuid().into_bytes()
}

const TALLY: &str = include_str!("../sql/sqlite/upload/tally.sql");
const INSERT: &str = include_str!("../sql/sqlite/upload/insert.sql");
const READ: &str = include_str!("../sql/sqlite/upload/read.sql");
const FIND: &str = include_str!("../sql/sqlite/upload/find.sql");
const ADVANCE: &str = include_str!("../sql/sqlite/upload/advance.sql");
const ADVANCE_DURABLE: &str = include_str!("../sql/sqlite/upload/advance_durable.sql");
const DELETE: &str = include_str!("../sql/sqlite/upload/delete.sql");
const EXPIRED: &str = include_str!("../sql/sqlite/upload/expired.sql");
