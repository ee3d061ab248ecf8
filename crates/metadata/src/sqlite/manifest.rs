//! Manifests: T3 and their deletion.

use std::collections::HashSet;

use roadstead_failpoint::failpoint;
use roadstead_oci::{Digest, MediaType, Reference, RepositoryName, Tag};
use rusqlite::{Connection, Row};

use crate::change::{Edge, NewManifest, Origin};
use crate::error::MetadataError;
use crate::journal::{Change, Entry};
use crate::metadata::PutManifest;
use crate::rows::{ManifestRow, ManifestSummary, RepositoryId};

use super::statement::{
    bytes, change, digest, int, many, media_type, one, repository_id, size, sole, tag as read_tag,
    time,
};
use super::writer::Transaction;
use super::{blob, journal, repository, tag};

/// An edge and the visible row that it leads to, where there is one.
type Found<'n> = (&'n Edge, Option<Target>);

#[derive(Clone, Copy)]
struct Target {
    id: i64,
    size_bytes: u64,
    /// Whether its bytes are there. A blob whose bytes are missing is held all the same: once they
    /// are uploaded again, it is visible without a new row.
    whole: bool,
}

pub(super) fn put(
    transaction: &Transaction<'_>,
    new: &NewManifest,
) -> Result<PutManifest, MetadataError> {
    let connection = transaction.connection;
    let known = repository::find(connection, &new.repository)?.map(|known| known.id);
    let mut blobs: Vec<Found<'_>> = Vec::with_capacity(new.blobs.len());
    for edge in &new.blobs {
        let found = match known {
            Some(known) => blob::find(connection, known, &edge.digest)?,
            None => None,
        };
        let target = found.map(|found| Target {
            id: found.id,
            size_bytes: found.size_bytes,
            whole: !found.missing,
        });
        blobs.push((edge, target));
    }
    let mut children: Vec<Found<'_>> = Vec::with_capacity(new.children.len());
    for edge in &new.children {
        let found = match known {
            Some(known) => find(connection, known, &edge.digest)?,
            None => None,
        };
        let target = found.filter(|found| !found.deleted).map(|found| Target {
            id: found.id,
            size_bytes: found.size_bytes,
            whole: true,
        });
        children.push((edge, target));
    }
    if let Some(refused) = check(blobs.iter().chain(&children)) {
        return Ok(refused);
    }
    if let (false, Some(known)) = (new.overwrite, known) {
        let taken = tag::taken(transaction, known, new)?;
        if !taken.is_empty() {
            return Ok(PutManifest::TagsTaken(taken));
        }
    }
    let repository = repository::ensure(transaction, &new.repository, &new.origin)?;
    repository::mark_listed(transaction, repository)?;
    transaction.touch_digest(&new.digest);
    let stored = store(transaction, repository.id, new)?;
    for (sql, edges) in [(INSERT_BLOB, &blobs), (INSERT_CHILD, &children)] {
        for (edge, target) in edges {
            let target = target.map(|target| target.id);
            let parameters = (
                stored.id,
                edge.digest.to_string(),
                repository.id.as_i64(),
                target,
            );
            change(connection, sql, parameters)?;
        }
    }
    let size_bytes = new.body.len() as u64;
    let entry = Entry::new(Change::ManifestPush, repository.id, &new.repository)
        .digest(new.digest)
        .content(Some(&stored.media_type), size_bytes);
    journal::write(transaction, &entry, &new.origin)?;
    failpoint!("metadata::manifest::inserted");
    tag::set(
        transaction,
        repository.id,
        stored.id,
        new,
        (&stored.media_type, size_bytes),
    )?;
    Ok(PutManifest::Stored {
        created: stored.created,
    })
}

/// Whether the edges lead where they must: each digest is complained of once.
fn check<'f>(edges: impl Iterator<Item = &'f Found<'f>>) -> Option<PutManifest> {
    let mut missing = Vec::new();
    let mut wrong = Vec::new();
    let mut named = HashSet::new();
    for (edge, target) in edges {
        match target.filter(|target| target.whole) {
            None if edge.required && named.insert(edge.digest) => missing.push(edge.digest),
            Some(Target { size_bytes, .. })
                if size_bytes != edge.size_bytes && named.insert(edge.digest) =>
            {
                wrong.push((edge.digest, size_bytes));
            }
            _ => {}
        }
    }
    match (missing.is_empty(), wrong.is_empty()) {
        (false, _) => Some(PutManifest::Missing(missing)),
        (true, false) => Some(PutManifest::SizeMismatch(wrong)),
        (true, true) => None,
    }
}

/// The row of a push.
struct Stored {
    id: i64,
    /// The type that the digest was first stored with.
    media_type: MediaType,
    /// Whether it was not visible before.
    created: bool,
}

/// Makes the manifest visible, and leads indexes that waited for it to it.
fn store(
    transaction: &Transaction<'_>,
    repository: RepositoryId,
    new: &NewManifest,
) -> Result<Stored, MetadataError> {
    let connection = transaction.connection;
    let stored = match find(connection, repository, &new.digest)? {
        Some(found) => {
            if found.deleted {
                let parameters = (
                    found.id,
                    transaction.now(),
                    &new.origin.actor,
                    transaction.lease(),
                );
                change(connection, REVIVE, parameters)?;
            }
            Stored {
                id: found.id,
                media_type: found.media_type,
                created: found.deleted,
            }
        }
        None => Stored {
            id: insert(transaction, repository, new)?,
            media_type: new.media_type.clone(),
            created: true,
        },
    };
    if stored.created {
        let parameters = (repository.as_i64(), new.digest.to_string(), stored.id);
        change(connection, FILL_CHILDREN, parameters)?;
    }
    Ok(stored)
}

fn insert(
    transaction: &Transaction<'_>,
    repository: RepositoryId,
    new: &NewManifest,
) -> Result<i64, MetadataError> {
    let parameters = (
        repository.as_i64(),
        new.digest.to_string(),
        new.media_type.as_str(),
        new.artifact_type.as_deref(),
        new.subject.map(|subject| subject.to_string()),
        int(new.body.len() as u64)?,
        transaction.now(),
        &new.origin.actor,
        transaction.lease(),
        new.referrer.as_deref(),
        &new.body[..],
    );
    sole(one(transaction.connection, INSERT, parameters, |row| {
        Ok(row.get(0)?)
    })?)
}

/// A manifest that the repository has, visibly or not.
struct Known {
    id: i64,
    deleted: bool,
    media_type: MediaType,
    size_bytes: u64,
}

fn find(
    connection: &Connection,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Known>, MetadataError> {
    one(
        connection,
        FIND,
        (repository.as_i64(), digest.to_string()),
        |row| {
            Ok(Known {
                id: row.get(0)?,
                deleted: row.get(1)?,
                media_type: media_type(row, 2)?,
                size_bytes: size(row, 3)?,
            })
        },
    )
}

pub(super) fn read(
    connection: &Connection,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ManifestRow>, MetadataError> {
    let whole = |row: &Row<'_>| -> Result<ManifestRow, MetadataError> {
        Ok(ManifestRow {
            repository: repository_id(row, 0)?,
            digest: digest(row, 1)?,
            media_type: media_type(row, 2)?,
            size_bytes: size(row, 3)?,
            pushed_at: time(row, 4)?,
            body: bytes(row, 5)?,
        })
    };
    let name = repository.as_str();
    match reference {
        Reference::Tag(tag) => one(connection, BY_TAG, (name, tag.as_str()), whole),
        Reference::Digest(digest) => one(connection, BY_DIGEST, (name, digest.to_string()), whole),
    }
}

pub(super) fn read_summary(
    connection: &Connection,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ManifestSummary>, MetadataError> {
    let summary = |row: &Row<'_>| -> Result<ManifestSummary, MetadataError> {
        Ok(ManifestSummary {
            digest: digest(row, 0)?,
            media_type: media_type(row, 1)?,
            size_bytes: size(row, 2)?,
            pushed_at: time(row, 3)?,
        })
    };
    let name = repository.as_str();
    match reference {
        Reference::Tag(tag) => one(connection, SUMMARY_BY_TAG, (name, tag.as_str()), summary),
        Reference::Digest(digest) => one(
            connection,
            SUMMARY_BY_DIGEST,
            (name, digest.to_string()),
            summary,
        ),
    }
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    name: &RepositoryName,
    digest: &Digest,
    origin: &Origin,
) -> Result<Option<Vec<Tag>>, MetadataError> {
    let connection = transaction.connection;
    let Some(repository) = repository::find(connection, name)? else {
        return Ok(None);
    };
    let found = find(connection, repository.id, digest)?.filter(|found| !found.deleted);
    let Some(found) = found else {
        return Ok(None);
    };
    let tags = many(connection, TAGS_OF, [found.id], |row| read_tag(row, 0))?;
    transaction.touch_digest(digest);
    change(connection, DELETE_TAGS_OF, [found.id])?;
    for tag in &tags {
        transaction.touch_tag(name, tag);
        let entry = Entry::new(Change::TagDelete, repository.id, name)
            .tag(tag)
            .previous(Some(*digest));
        journal::write(transaction, &entry, origin)?;
    }
    change(
        connection,
        DELETE,
        (found.id, transaction.now(), transaction.undo()),
    )?;
    change(connection, LEASE_BLOBS, (found.id, transaction.lease()))?;
    change(connection, LEASE_CHILDREN, (found.id, transaction.lease()))?;
    let entry = Entry::new(Change::ManifestDelete, repository.id, name)
        .digest(*digest)
        .content(Some(&found.media_type), found.size_bytes);
    journal::write(transaction, &entry, origin)?;
    Ok(Some(tags))
}

const FIND: &str = include_str!("../sql/sqlite/manifest/find.sql");
const INSERT: &str = include_str!("../sql/sqlite/manifest/insert.sql");
const REVIVE: &str = include_str!("../sql/sqlite/manifest/revive.sql");
const DELETE: &str = include_str!("../sql/sqlite/manifest/delete.sql");
const BY_TAG: &str = include_str!("../sql/sqlite/manifest/by_tag.sql");
const BY_DIGEST: &str = include_str!("../sql/sqlite/manifest/by_digest.sql");
const SUMMARY_BY_TAG: &str = include_str!("../sql/sqlite/manifest/summary_by_tag.sql");
const SUMMARY_BY_DIGEST: &str = include_str!("../sql/sqlite/manifest/summary_by_digest.sql");
const INSERT_BLOB: &str = include_str!("../sql/sqlite/manifest_blob/insert.sql");
const INSERT_CHILD: &str = include_str!("../sql/sqlite/manifest_child/insert.sql");
const FILL_CHILDREN: &str = include_str!("../sql/sqlite/manifest_child/fill.sql");
const LEASE_BLOBS: &str = include_str!("../sql/sqlite/blob/lease_of_manifest.sql");
const LEASE_CHILDREN: &str = include_str!("../sql/sqlite/manifest/lease_children.sql");
const TAGS_OF: &str = include_str!("../sql/sqlite/tag/of_manifest.sql");
const DELETE_TAGS_OF: &str = include_str!("../sql/sqlite/tag/delete_of_manifest.sql");
