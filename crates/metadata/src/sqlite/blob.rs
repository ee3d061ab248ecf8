//! Blobs: T1, T2 and the deletion of a link.

use roadstead_failpoint::failpoint;
use roadstead_oci::{Digest, RepositoryName};
use rusqlite::Connection;
use uuid::Uuid;

use crate::change::{FinishUpload, MountBlob, Origin, Place};
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::journal::{Change, Entry};
use crate::metadata::{DeleteBlob, Finish};
use crate::rows::{BlobRow, RepositoryId};

use super::statement::{
    change, int, many, one, optional_bytes, optional_uuid, repository_id, repository_name, size,
    sole, time, unreadable,
};
use super::trash::{self, Seen};
use super::writer::Transaction;
use super::{journal, repository, upload};

pub(super) fn finish_upload(
    transaction: &Transaction<'_>,
    finish: &FinishUpload,
) -> Result<Finish, MetadataError> {
    let mut key = None;
    let mut touched = false;
    if let Some((id, fence)) = finish.upload {
        let open = upload::find(transaction.connection, &finish.repository, id)?;
        let Some(open) = open.filter(|open| open.fence == fence) else {
            return Ok(Finish::Stale);
        };
        key = Some(open.key);
        touched = open.fence > 0;
    }
    if let Place::Object(object) = finish.place
        && key != Some(object)
    {
        return Err(MetadataError::Misuse(
            "a blob's object must be its upload's",
        ));
    }
    if let Some((id, _)) = finish.upload {
        upload::delete(transaction, id)?;
        failpoint!("metadata::upload::unlinked");
    }
    let repository = repository::ensure(transaction, &finish.repository, &finish.origin)?.id;
    let kept = store(transaction, finish)?;
    let is_object = matches!(finish.place, Place::Object(_));
    let mut discarded = None;
    if let Some(key) = key
        && !(kept && is_object)
    {
        trash::insert(transaction, key, Seen::Never)?;
        // An object can be there only if something was written to it.
        discarded = (is_object || touched).then_some(key);
    }
    transaction.touch_digest(&finish.digest);
    link(transaction, repository, &finish.digest)?;
    let entry = Entry::new(Change::BlobPush, repository, &finish.repository)
        .digest(finish.digest)
        .content(None, finish.size_bytes);
    journal::write(transaction, &entry, &finish.origin)?;
    Ok(Finish::Stored { discarded })
}

/// Gives the digest its bytes; `false` where it has some already.
fn store(transaction: &Transaction<'_>, finish: &FinishUpload) -> Result<bool, MetadataError> {
    let digest = finish.digest.to_string();
    let stored = one(transaction.connection, FIND_OBJECT, [&digest], |row| {
        Ok((optional_uuid(row, 0)?, row.get::<_, bool>(1)?))
    })?;
    let (key, inline) = match &finish.place {
        Place::Object(key) => (Some(key.as_bytes().as_slice()), None),
        Place::Inline(bytes) => (None, Some(&bytes[..])),
    };
    // No path: only an adopted tree has those, and this release adopts none.
    let path: Option<&str> = None;
    let parameters = (&digest, key, path, inline, int(finish.size_bytes)?);
    match stored {
        None => {
            change(transaction.connection, INSERT_OBJECT, parameters)?;
            Ok(true)
        }
        Some((old, true)) => {
            change(transaction.connection, HEAL_OBJECT, parameters)?;
            if let Some(old) = old {
                trash::insert(transaction, old, Seen::Perhaps)?;
            }
            Ok(true)
        }
        Some((_, false)) => Ok(false),
    }
}

/// I4: the object's row was read or written in this transaction.
fn link(
    transaction: &Transaction<'_>,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<(), MetadataError> {
    let (connection, digest) = (transaction.connection, digest.to_string());
    let parameters = (
        repository.as_i64(),
        &digest,
        transaction.now(),
        transaction.lease(),
    );
    let id = sole(one(connection, LINK, parameters, |row| {
        Ok(row.get::<_, i64>(0)?)
    })?)?;
    change(connection, FILL_EDGES, (repository.as_i64(), &digest, id)).map(drop)
}

/// A visible link.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) size_bytes: u64,
    lease_until: Timestamp,
    pub(super) missing: bool,
}

pub(super) fn find(
    connection: &Connection,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Found>, MetadataError> {
    one(
        connection,
        FIND,
        (repository.as_i64(), digest.to_string()),
        |row| {
            Ok(Found {
                id: row.get(0)?,
                lease_until: time(row, 1)?,
                size_bytes: size(row, 2)?,
                missing: row.get(3)?,
            })
        },
    )
}

/// A visible link whose bytes are not known to be missing.
fn find_live(
    connection: &Connection,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Found>, MetadataError> {
    Ok(find(connection, repository, digest)?.filter(|found| !found.missing))
}

pub(super) fn mount(
    transaction: &Transaction<'_>,
    mount: &MountBlob,
) -> Result<bool, MetadataError> {
    let connection = transaction.connection;
    let Some(from) = repository::find(connection, &mount.from)? else {
        return Ok(false);
    };
    let Some(found) = find_live(connection, from.id, &mount.digest)? else {
        return Ok(false);
    };
    let to = repository::ensure(transaction, &mount.to, &mount.origin)?.id;
    transaction.touch_digest(&mount.digest);
    link(transaction, to, &mount.digest)?;
    let entry = Entry::new(Change::BlobMount, to, &mount.to)
        .digest(mount.digest)
        .content(None, found.size_bytes)
        .from(&mount.from);
    journal::write(transaction, &entry, &mount.origin)?;
    Ok(true)
}

pub(super) fn holders(
    connection: &Connection,
    digest: &Digest,
    limit: u32,
) -> Result<Vec<RepositoryName>, MetadataError> {
    many(connection, HOLDERS, (digest.to_string(), limit), |row| {
        repository_name(row, 0)
    })
}

/// How a pusher's question about a blob stands.
pub(super) enum Lease {
    Absent,
    /// It stays long enough: a manifest names it, or its lease is fresh.
    Long,
    /// It must be renewed.
    Short,
}

pub(super) fn lease_standing(
    connection: &Connection,
    repository: &RepositoryName,
    digest: &Digest,
    half: Timestamp,
) -> Result<Lease, MetadataError> {
    let Some(repository) = repository::find(connection, repository)? else {
        return Ok(Lease::Absent);
    };
    let Some(found) = find_live(connection, repository.id, digest)? else {
        return Ok(Lease::Absent);
    };
    if found.lease_until >= half || references(connection, found.id, 1)? > 0 {
        return Ok(Lease::Long);
    }
    Ok(Lease::Short)
}

pub(super) fn renew_lease(
    transaction: &Transaction<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, MetadataError> {
    let connection = transaction.connection;
    let half = transaction.now.plus(transaction.horizons.lease / 2);
    match lease_standing(connection, repository, digest, half)? {
        Lease::Absent => return Ok(false),
        Lease::Long => return Ok(true),
        Lease::Short => {}
    }
    let Some(repository) = repository::find(connection, repository)? else {
        return Ok(false);
    };
    let Some(found) = find_live(connection, repository.id, digest)? else {
        return Ok(false);
    };
    change(connection, RENEW, (found.id, transaction.lease()))?;
    Ok(true)
}

/// Visible manifests of the repository that name the blob, counted up to `limit`.
fn references(connection: &Connection, id: i64, limit: u32) -> Result<u64, MetadataError> {
    sole(one(connection, REFERENCES, (id, limit), |row| {
        size(row, 0)
    })?)
}

pub(super) fn read(
    connection: &Connection,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<BlobRow>, MetadataError> {
    one(
        connection,
        READ,
        (repository.as_str(), digest.to_string()),
        |row| {
            let place = match (optional_uuid(row, 3)?, optional_bytes(row, 5)?) {
                (Some(key), None) => Place::Object(key),
                (None, Some(bytes)) => Place::Inline(bytes),
                // A path of an adopted tree, which this release does not read.
                _ => return Err(unreadable("an object's place")),
            };
            Ok(BlobRow {
                repository: repository_id(row, 0)?,
                digest: *digest,
                size_bytes: size(row, 1)?,
                place,
                linked_at: time(row, 2)?,
            })
        },
    )
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    name: &RepositoryName,
    digest: &Digest,
    origin: &Origin,
) -> Result<DeleteBlob, MetadataError> {
    let connection = transaction.connection;
    let Some(repository) = repository::find(connection, name)? else {
        return Ok(DeleteBlob::Unknown);
    };
    let Some(found) = find(connection, repository.id, digest)? else {
        return Ok(DeleteBlob::Unknown);
    };
    match references(connection, found.id, REFERENCES_MAX)? {
        0 => {}
        naming => return Ok(DeleteBlob::Referenced(naming)),
    }
    transaction.touch_digest(digest);
    change(
        connection,
        DELETE,
        (found.id, transaction.now(), transaction.undo()),
    )?;
    let entry = Entry::new(Change::BlobDelete, repository.id, name)
        .digest(*digest)
        .content(None, found.size_bytes);
    journal::write(transaction, &entry, origin)?;
    Ok(DeleteBlob::Deleted)
}

pub(super) fn mark_missing(
    transaction: &Transaction<'_>,
    digest: &Digest,
    key: Uuid,
) -> Result<(), MetadataError> {
    transaction.touch_digest(digest);
    let parameters = (digest.to_string(), key.as_bytes().as_slice());
    change(transaction.connection, MARK_MISSING, parameters).map(drop)
}

/// Manifests that are counted before a deletion is refused.
const REFERENCES_MAX: u32 = 10_000;

const FIND_OBJECT: &str = include_str!("../sql/sqlite/object/find.sql");
const INSERT_OBJECT: &str = include_str!("../sql/sqlite/object/insert.sql");
const HEAL_OBJECT: &str = include_str!("../sql/sqlite/object/heal.sql");
const MARK_MISSING: &str = include_str!("../sql/sqlite/object/mark_missing.sql");
const FIND: &str = include_str!("../sql/sqlite/blob/find.sql");
const READ: &str = include_str!("../sql/sqlite/blob/read.sql");
const LINK: &str = include_str!("../sql/sqlite/blob/link.sql");
const FILL_EDGES: &str = include_str!("../sql/sqlite/manifest_blob/fill.sql");
const HOLDERS: &str = include_str!("../sql/sqlite/blob/holders.sql");
const REFERENCES: &str = include_str!("../sql/sqlite/blob/references.sql");
const RENEW: &str = include_str!("../sql/sqlite/blob/lease.sql");
const DELETE: &str = include_str!("../sql/sqlite/blob/delete.sql");
